#!/usr/bin/python3
"""Each system call that the daemon makes in a small life fails once, in each way it plausibly does.

    sweep.py                 all of it, in TAP: one case a plan and process
    sweep.py WORD...         the faults whose name contains one of the words
    sweep.py NAME...         exactly these, each shown in full
    sweep.py --list          the names

A fault's name is PLAN/PROCESS/CALL/ERRNO/N: in a life after PLAN (life.py), the Nth CALL of PROCESS
fails with ERRNO, by strace(1). Which calls there are to fail is recorded first. Of those that come
from the same place in the same process, the first two fail, and the last one. In plans that add to the
others, a call has to come from a new place: one that no process of its kind has called from before.
"""

import collections
import os
import re
import shutil
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from errnos import errnos_of
from life import FATES, Life  # knows the way to tests/system, which the next ones take
from gate import Tracer
from plans import PLANS
from tap import Skip, note, scaled
from unfelt import excuse

CALL = re.compile(r"(\w+)\((.*)")
FRAME = re.compile(r" > .*/(forkechod|listener)\((\w+\+0x\w+)\)")
AT_ONCE = 2 * (os.cpu_count() or 1)
SITE_MAX = 3
NEAR = 4  # callers that make a place of a plan that adds a new one

LIMIT_S = 240  # for the sweep; longer only where half of the lives are not as short as this:
TYPICAL_S = 0.2

UNFELT = "unfelt"
MEANINGS = FATES | {"served": "both clients got their answers, and a line tells of the fault",
                    UNFELT: "both clients got their answers, and no line has to tell of it (unfelt.py)"}  # fmt: skip


class Fault:
    """`callers`: the functions that the call comes from, the innermost first."""

    def __init__(self, plan, process, call, errno, number, callers=()):
        self.plan, self.process, self.call, self.errno, self.number, self.callers = (
            plan, process, call, errno, number, callers)  # fmt: skip
        self.name = f"{plan}/{process}/{call}/{errno}/{number}"

    def tracer(self, *options):
        return Tracer(
            self.process,
            *options,
            f"--trace={self.call}",
            f"--inject={self.call}:error={self.errno}:when={self.number}",
        )


def functions(place):
    """The functions of these frames."""
    return [frame.partition("+")[0] for frame in place]


class Site:
    """A place in the program: its calls, as numbers among all the process's calls of that name."""

    def __init__(self, call, errnos, place):
        self.call, self.errnos, self.numbers = call, errnos, []
        self.callers = functions(place)

    def chosen(self):
        return sorted({*self.numbers[: SITE_MAX - 1], self.numbers[-1]})


def sites_of(process, text):
    """What strace -k wrote of a process → its sites, by what identifies them, and the calls that
    errnos.py knows nothing of."""
    sites, counts, unknown = {}, collections.Counter(), set()
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
        if not place:  # the dynamic loader, and libraries before main
            continue
        word = next((word for word in arguments.split(", ") if word.startswith(("F_", "SIOC"))), "")
        errnos = errnos_of(process, call, arguments)
        if errnos is None:
            unknown.add(f"{call}({arguments}"[:100])
        site = Site(call, errnos or [], place)
        sites.setdefault((call, word, place), site).numbers.append(counts[call])
    return sites, unknown


def record(plan):
    """Its life without a fault → sites by process, and unknown calls. Nothing when this plan cannot
    be lived here."""
    tracer = Tracer(None, "-k", "-y")
    life = Life(PLANS[plan], tracer)
    try:
        life.run()
    except Skip as why:
        life.remove()
        note(f"{plan} is left out: {why}")
        return {}, set()
    fate = life.judge()
    assert fate == "served", (plan, fate, life.wrong, life.log.lines)
    found, unknown = {}, set()
    for process in tracer.files:
        found[process], strange = sites_of(process, tracer.text(process))
        unknown |= strange
    life.remove()
    return found, unknown


def is_name(word):
    return word.count("/") == 4


class Seen:
    """What the plans up to now have called from where."""

    def __init__(self):
        self._known = set()

    @staticmethod
    def _names(process, key):
        call, word, place = key
        kind = process.partition("-")[0]
        return (process, key), (kind, call, word, place[:NEAR])

    def new(self, plan, process, sites):
        """Those of the sites that it does not know; from now on it does."""
        if process == "command":  # does what a master does that stays in the foreground
            process = "master"
        found = [site for key, site in sites.items()
                 if self._names(process, key)[PLANS[plan].adds] not in self._known]  # fmt: skip
        for key in sites:
            self._known.update(self._names(process, key))
        return found


def plan_faults(words):
    """Those that are asked for: by plan and process; and the calls that errnos.py does not know. What
    a process of another plan does too is left out."""
    if words and all(map(is_name, words)):
        groups = {}
        for fault in (Fault(*word.split("/")) for word in words):
            groups.setdefault((fault.plan, fault.process), []).append(fault)
        return groups, set()
    groups, seen, unknown = {}, Seen(), set()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        recorded = dict(zip(PLANS, pool.map(record, PLANS)))
    for plan, (processes, strange) in recorded.items():
        unknown |= strange
        for process, sites in processes.items():
            if process not in (PLANS[plan].only or processes):
                continue
            groups[plan, process] = [
                Fault(plan, process, site.call, errno, number, site.callers)
                for site in seen.new(plan, process, sites)
                for errno in site.errnos
                for number in site.chosen()
            ]
    return groups, unknown


def struck_from(tracer):
    """The functions that the call which failed came from, of a tracer with -k."""
    texts = [part for name in tracer.files for part in re.split(r"\n(?! > )", tracer.text(name))]
    head_and_frames = next((text for text in texts if "(INJECTED)" in text), "").split("\n")
    return functions(found.group(2) for frame in head_and_frames if (found := FRAME.match(frame)))


def live_once(fault, *options):
    """Returns what came of it, the life, and its tracer."""
    tracer = fault.tracer(*options)
    life = Life(PLANS[fault.plan], tracer).run()
    struck = tracer.struck()
    fate = life.judge()
    if fate == "served" and not life.telling():
        fate = UNFELT
    return fate if struck or fate == "wrong" else "not struck", life, tracer


def live(fault):
    """Lives through it. Returns what came of it, what there is to say if that is not right, and how
    long it took. Which call is the Nth may differ from what was recorded: before one is blamed that
    must not go unfelt, it is lived again, to see which it is."""
    begin = time.monotonic()
    fate, life, tracer = live_once(fault)
    seconds = time.monotonic() - begin
    if fate == UNFELT and not excuse(fault.call, fault.errno, fault.callers):
        life.remove()
        fate, life, tracer = live_once(fault, "-k")
        callers = struck_from(tracer)
        if fate == UNFELT and not excuse(fault.call, fault.errno, callers):
            fate = "wrong"
            life.wrong.append(f"silent: no line tells of it, nor unfelt.py why: {' < '.join(callers)}")
    report = [f"{fault.name}: {'; '.join(life.wrong) or fate}"]
    report += [f"  with {command}" for command in tracer.commands]
    report += [f"  {line}" for line in life.log.lines]
    report += [f"  clients {life.clients}, status {life.status}"]
    life.remove()
    return fate, "\n".join(report), seconds


class Report:
    """The sweep's cases, in TAP."""

    def __init__(self, groups, in_full):
        self.fates, self.seconds, self.good = collections.Counter(), [], True
        self._number, self._in_full, self._missed = 0, in_full, []
        print(f"1..{groups + 3}", flush=True)

    def case(self, good, text):
        self._number += 1
        self.good &= good
        print(f"{'ok' if good else 'not ok'} {self._number} - {text}", flush=True)

    def group(self, group, results):
        """The faults of a plan and process."""
        fates = collections.Counter()
        for fate, report, seconds in results:
            fates[fate] += 1
            self.seconds.append(seconds)
            if fate == "not struck":
                self._missed.append(report.partition(":")[0])
            elif fate == "wrong" or self._in_full:
                note(report)
        told = ", ".join(f"{count} {fate}" for fate, count in sorted(fates.items()))
        self.case(not fates["wrong"], f"{' '.join(group)}: {fates.total()} faults: {told}")
        self.fates += fates

    def unknown(self, calls):
        for call in sorted(calls):
            note(f"neither in ERRNOS nor in SAFE: {call}")
        self.case(not calls, "each call that was recorded is in a list of errnos.py")

    def record(self, whole):
        """Calls that wait for time or for others are not the same ones in each life, but most are;
        of some that were picked out, more may be."""
        for name in self._missed:
            note(f"did not strike: {name}")
        missed = len(self._missed)
        self.case(missed <= self.fates.total() // 10 + (1 if whole else 10),
                  f"what was recorded is what is lived: {missed} faults did not strike")  # fmt: skip

    def time(self, seconds):
        """On a slow machine, or one that has other things to do, each life is longer: the limit grows
        with the one in the middle. So what is judged is how many lives there are, and whether some
        of them wait."""
        middle, longest = statistics.median(self.seconds or [0]), max(self.seconds or [0])
        limit = scaled(LIMIT_S) * max(1, middle / TYPICAL_S)
        self.case(seconds <= limit, f"it took {seconds:.0f} s of {limit:.0f}: half of the lives "
                                    f"{middle:.2f} s at most, the longest {longest:.1f} s")  # fmt: skip


def main(words):
    begin = time.monotonic()
    groups, unknown = plan_faults(words)
    chosen = {}
    for group, faults in groups.items():
        kept = [fault for fault in faults
                if not words or any(word in fault.name for word in words)]  # fmt: skip
        if kept:
            chosen[group] = kept
    report = Report(len(chosen), all(map(is_name, words or [""])))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = {group: pool.map(live, faults) for group, faults in chosen.items()}
        for group in chosen:
            report.group(group, results[group])
    report.unknown(unknown)
    report.record(not words)
    report.time(time.monotonic() - begin)
    note(f"{report.fates.total()} faults; " +
         ", ".join(f"{word}: {meaning}" for word, meaning in MEANINGS.items()))  # fmt: skip
    return 0 if report.good else 1


def may_attach():
    """Whether strace may look into processes that are of other users, or not dumpable."""
    return os.geteuid() == 0 and shutil.which("strace") is not None


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if not may_attach():
        print("1..0 # SKIP only root may attach strace to the daemon's processes")
    elif arguments[:1] == ["--list"]:
        for listed in plan_faults([])[0].values():
            print("\n".join(fault.name for fault in listed))
    else:
        sys.exit(main(arguments))
