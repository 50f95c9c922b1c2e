#!/usr/bin/python3
"""Valgrind's memcheck over the unit tests and over the programs in the system tests, for `make
memcheck`: TEST-PROGRAM... Each is a case, which fails when the test does or when valgrind complains of
any process that it started: of memory, and of each descriptor that is open when the process ends, but
for those that OPEN_AT_END names. Unit tests and the cases of LEAKS are searched for lost memory too.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../system"))
from tap import note  # noqa: E402

SOURCE, BUILD = os.environ["top_srcdir"], os.environ["top_builddir"]
MEMCHECK = [shutil.which("valgrind"), "--quiet", "--vgdb=no", "--error-exitcode=99", "--track-fds=yes",
            "--suppressions=" + os.path.join(SOURCE, "tests/analysis/valgrind-suppressions")]
LOST = ["--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"]
SLOWNESS = "20"
LIMIT = 1800
# The search goes through the whole board when a process ends, a session as well: over a second each.
LEAKS = (
    ("unix.py",),
    ("webserver.py",),
    ("activation.py", "socket of its name", "a passed socket serves", "takes every socket"),
    ("services.py", "-a thousand clients"),
    ("control.py", "what is not known", "4095 bytes", "come in pieces", "stall hold up",
     "twenty that ask", "nobody but root", "lets clients wait, and", "a pause outlives",
     "is switched at once"),
    ("inetd.py",),
    ("pool.py", "figures tell", "a removed address refuses", "pause lets clients wait"),
    ("status.py", "JSON and metrics", "only this machine's own names"),
    ("reload.py", "once forkechoctl reload has returned", "taken out and put back", "keeps its listener",
     "as finishing", "touches nothing", "added address"),
    ("upgrade.py", "what the file says by then", "has switched stays"),
)
# What stays out, by words of the cases' names. The sanitizers run it all. It takes valgrind for quick, for
# small in descriptors or memory, or for the program that it runs; or has a process end halfway to being
# another, with all that it would have had.
LEFT_OUT = {
    "death.py": ("while old sessions finish",),
    "forkecho-bench.py": ("too few open files",),
    "inetd.py": ("ps shows",),
    "loglines.py": ("a reload changes",),
    "notify.py": ("a reload that drops a socket",),
    "pool.py": ("eighty clients",),
    "privilege.py": ("and nothing else",),
    "quiet.py": ("with few descriptors", "than its keeper"),
    "reuse.py": ("a stop and its grace",),
    "start.py": ("descriptors 0 to 2", "directory may have been", "too few desc", "24 desc",
                 "a listener program that", "a listener that dies"),
    "stop.py": ("but not accepted yet",),
    "unix.py": ("200 clients",),
    "upgrade.py": ("100 upgrades", "again and again", "clients who wait are served", "a pool: busy workers",
                   "a program that fails", "a program that hangs", "64 generations", "cannot be bound"),
    "webserver.py": ("ten seconds in all",),
}
# Programs of which everything does: they measure time or rates, or have sessions or starts by the hundred;
# they use up what a process may have, stop it at system calls, ask ps, want the sandbox, or reload faster
# than valgrind starts a listener. Of some, LEAKS has cases all the same.
NOT_AT_ALL = ("accepting.py", "chaos.py", "clock.py", "cut.py", "exhaustion.py", "load.py", "memory.py",
              "moments.py", "reload.py", "sandbox.py", "scribble.py", "sessions.py", "status-load.py",
              "titles.py")
# What a process may have open when it ends, by the function that opened it, and how often; of sockets
# that listen, and of what came with a client, once for each address. All of it is there as long as the
# process, which leaves it to the kernel; so does a child of it that executes nothing, as the one that
# reads the configuration.
OPEN_AT_END = {
    "master_open_signals": 1,
    "loop_open": 1,
    "keep_own_descriptors": 1,  # a listener's channel to the master
    "open_program": 1,
    "board_create": 2,
    "pidfile_open": 1,
    "control_open": 1,
    "sockets_listen": 1,
    "accept_port": 1,  # the client of a session that a signal ended
    "worker_main": 1,  # the same of a pool
    "accept_client": 8,  # as many may wait to be told; that is all whom the control socket takes
    "generation_start": 4,  # channels of generations that are left at the end, which was at once
    "daemonize": 2,  # as has the pipe by which the command hears of its daemon
    "pool_open": 2,
    "seats_open": 8,  # where processes of a pool wait
    "conf_ini_confirm": 1,
    "session_main": 1,  # its client
    "connect_socket": 1,  # to the log
    "open_stderr": 1,
    "open_tmp_file": 2,  # libcheck's
}
# What valgrind says of itself: a system call that it does not know fails with ENOSYS.
CHATTER = re.compile(r"^--\d+-- .*\n", re.MULTILINE)
# What a unit test opened, or had opened, its processes may leave to their end.
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
        if "inherited" in lines[1] or any(map(OWN.search, lines[2:4])):
            continue
        functions = re.findall(r"(?:at|by) 0x[0-9A-F]+: (\w+) ", "\n".join(lines))
        known = next((name for name in functions if name in OPEN_AT_END), None)
        place = known, *LISTENING.findall(lines[0])
        seen[place] += 1
        if seen[place] > OPEN_AT_END.get(known, 0):
            yield "\n".join(lines)


class Reports:
    """What valgrind says of the processes, each of which sends it here: one that changes users could not
    write the file that it began before."""

    def __init__(self):
        self._server = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._texts = []
        self._readers = []
        self.address = "127.0.0.1:%d" % self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            connection, _ = self._server.accept()
            reader = threading.Thread(target=self._read, args=(connection,), daemon=True)
            self._readers.append(reader)
            reader.start()

    def _read(self, connection):
        with connection, connection.makefile(errors="replace") as file:
            self._texts.append(file.read())

    def by_process(self):
        """A text for each process that has ended. Those that it forked share its connection."""
        for reader in self._readers:
            reader.join(60)
            assert not reader.is_alive(), "a process is left"
        for text in self._texts:
            processes = {}
            for line in text.splitlines():
                number = re.match(r"[=-]{2}(\d+)[=-]{2} ", line)
                processes.setdefault(number and number[1], []).append(line)
            yield from ("\n".join(lines) + "\n" for lines in processes.values())


def check(search, program, *words):
    """Runs one program, with the options of a search for lost memory or none; returns what is wrong."""
    reports = Reports()
    memcheck = [*MEMCHECK, *(search or ["--leak-check=no"]), f"--log-socket={reports.address}"]
    environment = dict(os.environ, TEST_SLOWNESS=SLOWNESS, TEST_SANDBOX="off",
                       CK_FORK="yes", CK_TIMEOUT_MULTIPLIER=SLOWNESS)
    if program.endswith(".py"):
        command = [sys.executable, os.path.join(SOURCE, "tests/system", program), *words]
        environment["TEST_WRAPPER"] = " ".join([*memcheck, "--trace-children=yes"])
    else:
        command = [*memcheck, os.path.join(BUILD, program)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", env=environment, timeout=LIMIT, check=False)
    found = [complaint for text in reports.by_process() for complaint in complaints(text)]
    if done.returncode != 0:
        found.append(f"{program}: status {done.returncode}\n{done.stdout[-20000:]}")
    return found


def left_out(name):
    return ["-" + word for word in LEFT_OUT.get(name, ())]


def entries(programs):
    """Arguments of check(), of one call each."""
    for program in programs:
        name = os.path.basename(program)
        if not name.endswith(".py"):
            yield LOST, program
        elif name not in NOT_AT_ALL:
            yield [], name, *left_out(name)
    for name, *words in LEAKS:
        yield LOST, name, *words, *left_out(name)


def main(programs):
    chosen = list(entries(programs))
    if os.geteuid() != 0:
        note("only root sees the titles of processes in valgrind: the unit tests alone")
        chosen = [entry for entry in chosen if not entry[1].endswith(".py")]
    failed = 0
    print(f"1..{len(chosen)}", flush=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda entry: check(*entry), chosen)
        for number, ((search, *words), found) in enumerate(zip(chosen, results), 1):
            for text in found:
                note(text)
            failed += bool(found)
            words = ", ".join(words) + (" (lost memory)" if search else "")
            print(f"{'not ' if found else ''}ok {number} - {words} under memcheck", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
