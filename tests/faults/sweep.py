#!/usr/bin/python3
"""Each system call that the daemon makes in a small life fails once, in each way it plausibly does.

    sweep.py                 all of it, in TAP: one case a plan and process
    sweep.py WORD...         the faults whose name contains one of the words
    sweep.py NAME...         exactly these, each shown in full
    sweep.py --list          the names

A fault's name is PLAN/PROCESS/CALL/ERRNO/N: in a life after PLAN (life.py), the Nth CALL of PROCESS
fails with ERRNO, by strace(1). Which calls there are to fail is recorded first. Of those that come
from the same place in the same process, the first two fail, and the last one.
"""

import collections
import os
import re
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from errnos import errnos_of
from life import FATES, PLANS, Life, Tracer
from tap import note

CALL = re.compile(r"(\w+)\((.*)")
FRAME = re.compile(r" > .*/(forkechod|listener)\((\w+\+0x\w+)\)")
AT_ONCE = 2 * (os.cpu_count() or 1)
SITE_MAX = 3


class Fault:
    def __init__(self, plan, process, call, errno, number):
        self.plan, self.process, self.call, self.errno, self.number = (
            plan, process, call, errno, number)  # fmt: skip
        self.name = f"{plan}/{process}/{call}/{errno}/{number}"

    def tracer(self):
        return Tracer(
            self.process,
            f"--trace={self.call}",
            f"--inject={self.call}:error={self.errno}:when={self.number}",
        )


class Site:
    """A place in the program: its calls, as numbers among all the process's calls of that name."""

    def __init__(self, call, errnos):
        self.call, self.errnos, self.numbers = call, errnos, []

    def chosen(self):
        return sorted({*self.numbers[: SITE_MAX - 1], self.numbers[-1]})


def sites_of(process, text):
    """What strace -k wrote of a process → its sites, by what identifies them."""
    sites, counts = {}, collections.Counter()
    for part in re.split(r"\n(?! > )", text):
        head, *frames = part.split("\n")
        match = CALL.match(head)
        if not match:
            continue
        call, arguments = match.groups()
        counts[call] += 1
        if any("(gate_pass+" in frame for frame in frames):
            continue
        place = tuple(found.group(2) for frame in frames if (found := FRAME.match(frame)))
        if not place: # the dynamic loader, and libraries before main
            continue
        word = next((word for word in arguments.split(", ") if word.startswith(("F_", "SIOC"))), "")
        site = Site(call, errnos_of(process, call, arguments))
        sites.setdefault((call, word, place), site).numbers.append(counts[call])
    return sites


def record(plan):
    """Its life without a fault → sites by process."""
    tracer = Tracer(None, "-k")
    life = Life(PLANS[plan], tracer).run()
    fate = life.judge()
    assert fate == "served", (plan, fate, life.wrong, life.log.lines)
    found = {process: sites_of(process, tracer.text(process)) for process in tracer.files}
    life.remove()
    return found


def is_name(word):
    return word.count("/") == 4


def plan_faults(words):
    """Those that are asked for: by plan and process. What a process of another plan does too is left
    out."""
    if words and all(map(is_name, words)):
        named = [Fault(*word.split("/")) for word in words]
        return {(fault.plan, fault.process): [fault] for fault in named}
    groups, seen = {}, set()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        recorded = dict(zip(PLANS, pool.map(record, PLANS)))
    for plan, processes in recorded.items():
        for process, sites in processes.items():
            new = {key: site for key, site in sites.items() if (process, key) not in seen}
            seen |= {(process, key) for key in new}
            groups[plan, process] = [
                Fault(plan, process, site.call, errno, number)
                for site in new.values()
                for errno in site.errnos
                for number in site.chosen()
            ]
    return groups


def live(fault):
    """Lives through it. Returns what came of it, and what there is to say if that is not right."""
    tracer = fault.tracer()
    life = Life(PLANS[fault.plan], tracer).run()
    struck = tracer.struck()
    fate = life.judge()
    report = [f"{fault.name}: {'; '.join(life.wrong) or fate}"]
    report += [f"  with {command}" for command in tracer.commands]
    report += [f"  {line}" for line in life.log.lines]
    report += [f"  clients {life.clients}, status {life.status}"]
    life.remove()
    return (fate if struck or fate == "wrong" else "not struck"), "\n".join(report)


def judge(number, group, results, in_full):
    """One line of TAP, and what was wrong. Returns how often what came of it."""
    fates = collections.Counter()
    for fate, report in results:
        fates[fate] += 1
        if fate == "wrong" or in_full:
            note(report)
    told = ", ".join(f"{count} {fate}" for fate, count in sorted(fates.items()))
    word = "not ok" if fates["wrong"] else "ok"
    print(f"{word} {number} - {' '.join(group)}: {fates.total()} faults: {told}", flush=True)
    return fates


def judge_record(number, fates):
    """Calls that wait for time or for others are not the same ones in each life, but most are."""
    missed = fates["not struck"]
    word = "not ok" if missed > fates.total() // 10 + 1 else "ok"
    print(f"{word} {number} - what was recorded is what is lived: {missed} faults did not strike")
    return word == "ok"


def main(words):
    begin = time.monotonic()
    chosen = {}
    for group, faults in plan_faults(words).items():
        kept = [fault for fault in faults
                if not words or any(word in fault.name for word in words)]  # fmt: skip
        if kept:
            chosen[group] = kept
    print(f"1..{len(chosen) + 1}", flush=True)
    in_full = all(map(is_name, words or [""]))
    fates = collections.Counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = {group: pool.map(live, faults) for group, faults in chosen.items()}
        for number, group in enumerate(chosen, 1):
            fates += judge(number, group, results[group], in_full)
    good = judge_record(len(chosen) + 1, fates) and not fates["wrong"]
    note(f"{fates.total()} faults in {time.monotonic() - begin:.0f} s; " +
         ", ".join(f"{word}: {meaning}" for word, meaning in FATES.items()))  # fmt: skip
    return 0 if good else 1


def may_attach():
    """Whether strace may look into processes that are of other users, or not dumpable."""
    return os.geteuid() == 0 and shutil.which("strace") is not None


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if not may_attach():
        print("1..0 # SKIP only root may attach strace to the daemon's processes")
    elif arguments[:1] == ["--list"]:
        for listed in plan_faults([]).values():
            print("\n".join(fault.name for fault in listed))
    else:
        sys.exit(main(arguments))
