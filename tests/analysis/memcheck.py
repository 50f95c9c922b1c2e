#!/usr/bin/python3
"""Valgrind's memcheck over unit tests and over the daemon in some of the system tests, for
`make memcheck`: UNIT-TEST... Each is a case, which fails when the program does or when valgrind
complains of any process that it started: of memory, of what is lost, and of descriptors, when a
process ends with two open that were opened at the same place: one of them was forgotten.
They run as an ordinary user, since each process writes to a file of its own before and after it
changes users.
"""

import os
import pwd
import re
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../system"))
from tap import note  # noqa: E402

SOURCE, BUILD = os.environ["top_srcdir"], os.environ["top_builddir"]
MEMCHECK = ["valgrind", "--quiet", "--error-exitcode=99", "--track-fds=yes", "--leak-check=full",
            "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite",
            "--suppressions=" + os.path.join(SOURCE, "tests/analysis/valgrind-suppressions")]
SLOWNESS = "20"
LIMIT = 900
# Start and stop, a session of each handler, the pool, the status service, the control socket, reload and
# upgrade, by words of the cases' names; each line is run by itself. Left out are the cases that measure
# time or rates, have sessions by the hundred, use up what a process may have, or look at the daemon by
# ps or /proc, which show valgrind: that is slow, and has descriptors, memory and arguments of its own.
# The sanitizers run them all.
SYSTEM = (
    ("services.py", "echo sends", "discard takes", "chargen", "daytime says", "time sends", "upper turns",
     "next sends"),
    ("webserver.py", "a GET of /", "what is not HTTP"),
    ("unix.py", "gets its bytes back", "a reload that drops"),
    ("pool.py", "figures tell", "a removed address refuses", "pause lets clients wait"),
    ("status.py", "JSON and metrics", "only this machine's own names"),
    ("reload.py", "once forkechoctl reload has returned"),
    ("reload.py", "taken out and put back"),
    ("upgrade.py", "what the file says by then"),
    ("upgrade.py", "has switched stays"),
    ("control.py", "what is not known", "is switched at once"),
)
# What valgrind says of itself: a system call that it does not know fails with ENOSYS.
CHATTER = re.compile(r"^--\d+-- .*\n", re.MULTILINE)
# What a unit test opened by itself, its processes may leave to their end.
OWN = re.compile(r"\((test-|talk)[\w-]*\.c:\d+\)$")
LISTENING = re.compile(r"socket \d+: (.* <-> unbound|[/@].*)$")


def complaints(text):
    """What one process's file has to say, but for descriptors that may be open at the end."""
    seen = Counter()
    for block in re.split(r"^==\d+== \n", CHATTER.sub("", text), flags=re.MULTILINE):
        lines = [re.sub(r"^==\d+== ", "", line) for line in block.splitlines()]
        lines = [line for line in lines if not line.startswith("FILE DESCRIPTORS:")]
        if not lines:
            continue
        if not lines[0].startswith("Open "):
            yield "\n".join(lines)
            continue
        place = tuple(re.sub(r"0x[0-9A-F]+", "", line) for line in lines[1:])
        # One call opens them all: they are told apart by where they listen.
        place += tuple(LISTENING.findall(lines[0]))
        if any(map(OWN.search, place[1:2])):
            continue
        seen[place] += 1
        at_once = 2 if "pipe" in place[0] or "socketpair" in place[0] else 1
        if seen[place] > at_once and "inherited" not in place[0]:
            yield "\n".join(lines)


def as_ordinary_user(folder):
    """What makes subprocess run a test as somebody who is not root."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("nobody")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def check(program, *words):
    """Runs one program; returns what is wrong with it."""
    with tempfile.TemporaryDirectory(prefix="forkechod-memcheck-") as folder:
        memcheck = [*MEMCHECK, f"--log-file={folder}/%p"]
        environment = dict(os.environ, TEST_SLOWNESS=SLOWNESS, TEST_SANDBOX="off",
                           CK_FORK="yes", CK_TIMEOUT_MULTIPLIER=SLOWNESS)
        if program.endswith(".py"):
            command = [sys.executable, os.path.join(SOURCE, "tests/system", program), *words]
            wrapper = [*memcheck, "--trace-children=yes"]
            environment["TEST_WRAPPER"] = " ".join(wrapper)
        else:
            command = [*memcheck, os.path.join(BUILD, program)]
        user = as_ordinary_user(folder)
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", env=environment, timeout=LIMIT, check=False, **user)
        found = []
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                found += complaints(file.read())
    if done.returncode != 0:
        found.append(f"{program}: status {done.returncode}\n{done.stdout[-20000:]}")
    return found


def main(units):
    # The slow ones first, so that none of them is alone at the end.
    chosen = [*SYSTEM, *((unit,) for unit in units)]
    failed = 0
    print(f"1..{len(chosen)}", flush=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda entry: check(*entry), chosen)
        for number, (entry, found) in enumerate(zip(chosen, results), 1):
            for text in found:
                note(text)
            failed += bool(found)
            name = ": ".join((entry[0], ", ".join(entry[1:]))) if entry[1:] else entry[0]
            print(f"{'not ' if found else ''}ok {number} - {name} under memcheck", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
