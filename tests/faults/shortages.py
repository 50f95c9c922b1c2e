#!/usr/bin/python3
"""Each allocation that the daemon makes fails once: in forkechod -T, and in a small life (life.py).

    shortages.py             all of it, in TAP
    shortages.py NAME...     one alone, in full: PLAN/N (the plans of life.py, and dump)

The Nth allocation of all processes together gets no memory (shortage.c). Whatever comes of it, no
configuration is ever in force in part: the start is refused, or all is served; a reload is rejected and
the old configuration answers, or the new one does. A client whose page finds no memory is told so, with
503 and a line in the log; none is lost.
"""

import collections
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from life import FATES, FORKECHOD, Life
from gate import Gate
from plans import PLANS
from tap import Skip, note, scaled

AT_ONCE = 2 * (os.cpu_count() or 1)
NEVER = 1 << 40
BAD = {"wrong", "lost"}
LIVES = [name for name, plan in PLANS.items() if plan.systemd or not plan.adds]

CONFIGURATION = """
[daemon]
user = nobody
[defaults]
idle_timeout = 5min
[service a]
listen = 127.0.0.1:1 [::1]:1 unix:/tmp/forkechod-a
only_from = 127.0.0.0/8 ::1
no_access = 192.0.2.1, 192.0.2.2
[service b]
listen = 127.0.0.1:2
handler = http
body = "Hello\\r\\n"
[service c]
listen = 127.0.0.1:3
process_model = prefork
"""


class Shortage:
    """The file that counts allocations down, made while the master waits at its gate."""

    def __init__(self, number):
        self.number, self.path = number, None

    def arrived(self, life, name, pid):
        if name == "master":
            self.begin(pid)

    def begin(self, session):
        self.path = f"/dev/shm/forkechod-shortage-{session}"
        with open(self.path, "wb") as file:
            file.write(self.number.to_bytes(8, sys.byteorder))
        os.chmod(self.path, 0o666)

    def end(self):
        """How many allocations were made, up to the one that failed."""
        with open(self.path, "rb") as file:
            left = int.from_bytes(file.read(8), sys.byteorder, signed=True)
        os.unlink(self.path)
        return self.number - left


def live(plan, number):
    """A life → what came of it, what there is to say, how many allocations were made."""
    shortage = Shortage(number)
    life = Life(PLANS[plan], shortage).run()
    made = shortage.end()
    fate = life.judge()
    telling = life.telling()
    # What went wrong with a listener is in its own words, or it is known only that it ended.
    if fate == "refused" and "memory" not in telling[0] and "cannot hold" not in telling[0]:
        fate, life.wrong = "wrong", ["refused for another reason than memory"]
    report = [f"{plan}/{number}: {'; '.join(life.wrong) or fate}"]
    report += [f"  {line}" for line in life.log.lines]
    report += [f"  clients {life.clients}, status {life.status}"]
    life.remove()
    return fate, "\n".join(report), made


def dump(number):
    """forkechod -T of a file with something of everything → its status, what it printed, and how
    many allocations were made."""
    shortage = Shortage(number)
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(CONFIGURATION)
        file.flush()
        command = subprocess.Popen(
            [FORKECHOD, "-T", "-c", file.name], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=dict(os.environ, FORKECHOD_GATE="1"), start_new_session=True, text=True)  # fmt: skip
        gate = Gate(command.pid, lambda name, pid: shortage.arrived(None, name, pid))
        out, err = command.communicate(timeout=scaled(60))
        gate.close()
    return command.returncode, out.replace(file.name, "FILE"), err, shortage.end()


def judge_dump(number, whole):
    status, out, err, made = dump(number)
    if (status, out) == (0, whole):
        fate = "identical"
    elif status > 0 and "memory" in err:
        fate = "refused"
    else:
        fate = "wrong"
    return fate, f"dump/{number}: {fate}\n  status {status}: {err}\n{out}", made


def each(number, what, count, try_one):
    """One case of TAP: all allocations of one kind of run."""
    fates = collections.Counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for fate, report, made in pool.map(try_one, range(1, count + 1)):
            fates[fate] += 1
            if fate in BAD:
                note(report)
    told = ", ".join(f"{times} {fate}" for fate, times in sorted(fates.items()))
    good = not BAD & fates.keys()
    print(f"{'ok' if good else 'not ok'} {number} - {what}: {count} allocations: {told}", flush=True)
    return good


def main():
    begin = time.monotonic()
    print(f"1..{1 + len(LIVES)}", flush=True)
    status, whole, err, made = dump(NEVER)
    assert status == 0, err
    good = each(1, "forkechod -T", made, lambda number: judge_dump(number, whole))
    for case, plan in enumerate(LIVES, 2):
        try:
            fate, report, made = live(plan, NEVER)
        except Skip as why:
            print(f"ok {case} # SKIP {why}")
            continue
        assert fate == "served", report
        good &= each(case, plan, made, lambda number, plan=plan: live(plan, number))
    note(f"{time.monotonic() - begin:.0f} s; " +
         ", ".join(f"{word}: {meaning}" for word, meaning in FATES.items() if word not in BAD))  # fmt: skip
    return 0 if good else 1


def show(name):
    plan, _, number = name.partition("/")
    if plan == "dump":
        note(judge_dump(int(number), dump(NEVER)[1])[1])
    else:
        note(live(plan, int(number))[1])


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("1..0 # SKIP the sandboxed listener's descriptors are root's to look at")
    elif sys.argv[1:]:
        for argument in sys.argv[1:]:
            show(argument)
    else:
        sys.exit(main())
