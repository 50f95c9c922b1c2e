"""What /proc tells about the processes that a test has started, and waiting for it to change."""

import ctypes
import os
import re
import select
import time

from tap import scaled

NAME = "forkechod"  # the short name of master, listeners and sessions alike
VALGRIND_STACK_END = 0x1FFF001000  # where the address space has 64 bits
PAGE = 4096


class Process:
    """One process as /proc showed it at one moment."""

    def __init__(self, pid, comm, state, ppid, group):
        self.pid, self.comm, self.state, self.ppid, self.group = pid, comm, state, ppid, group
        self.title = ""

    def __repr__(self):
        return f"{self.pid} {self.state} {self.title or self.comm}"


def _read(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _stat(pid):
    text = _read(pid, "stat").decode(errors="replace")
    if not text:
        return None
    comm, rest = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()
    return Process(int(pid), comm, rest[0], int(rest[1]), int(rest[2]))


def descendants(root=None):
    """Every process below `root` (this one): children, theirs, and so on."""
    stats = [_stat(pid) for pid in os.listdir("/proc") if pid.isdigit()]
    below = {}
    for process in stats:
        if process:
            below.setdefault(process.ppid, []).append(process)
    found, ask = [], [root or os.getpid()]
    while ask:
        children = below.get(ask.pop(), [])
        found += children
        ask += [child.pid for child in children]
    return found


def _shown(pid):
    """What ps shows. Of a program in valgrind that is valgrind's own; the program's is in the strings at
    the end of the stack that valgrind made for it, where root may read: the last, for what is before
    them on the stack may be a title of earlier."""
    arguments = _read(pid, "cmdline")
    if b"--track-fds" not in arguments:
        return arguments
    found, strings = [], b""
    try:
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            while not found:
                memory.seek(VALGRIND_STACK_END - len(strings) - PAGE)
                strings = memory.read(PAGE) + strings
                found = re.findall(rb"\0(forkechod: [^\0]+)(?=\0)", strings)
    except OSError:  # it has no title yet, or has just ended
        return b""
    return found[-1]


def daemon_processes(root=None):
    """The daemon's among them, with the titles that ps shows."""
    found = [process for process in descendants(root) if process.comm == NAME]
    for process in found:
        title = _shown(process.pid).split(b"\0", 1)[0]
        process.title = title.decode(errors="replace").strip()
    return found


def status(pid):
    """/proc/PID/status as a dictionary."""
    lines = _read(pid, "status").decode().splitlines()
    return dict((key, value.strip()) for key, value in (line.split(":", 1) for line in lines))


def descriptors(pid):
    """Open descriptors: number → what it is."""
    found = {}
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(number)] = os.readlink(f"/proc/{pid}/fd/{number}")
        except FileNotFoundError:
            pass
    return found


def mappings(pid):
    """/proc/PID/maps, by lines."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as file:
        return file.readlines()


def has_client(pid):
    """Whether the process has a connection in hand; yes, where one may not look."""
    try:
        sockets = {kind[8:-1] for kind in descriptors(pid).values() if kind.startswith("socket:")}
    except FileNotFoundError:
        return False
    except PermissionError:
        return True
    # proc(5): 0A is a TCP socket that listens; 03 a Unix socket that is connected, and one that was
    # accepted has the path where it was.
    tcp = [line.split() for line in (_read(pid, "net/tcp") + _read(pid, "net/tcp6")).splitlines()]
    unix = [line.split() for line in _read(pid, "net/unix").splitlines()]
    connected = [line[9] for line in tcp if line[3] not in (b"st", b"0A")]
    connected += [line[6] for line in unix if line[5] == b"03" and len(line) > 7]
    return any(inode.decode() in sockets for inode in connected)


def wait_stopped(pid):
    """Waits until SIGSTOP has reached it. False when it has ended instead."""

    def state():
        found = _stat(pid)
        return "Z" if found is None else found.state in "TtZX" and found.state

    return wait_until("it has stopped", state) in "Tt"


def cpu_seconds(pid):
    """Processor time that a process has used; 0 when it is gone."""
    text = _read(pid, "stat").decode(errors="replace")
    if not text:
        return 0
    fields = text[text.rindex(")") + 2 :].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until(what, condition, seconds=30):
    """Returns the first true value of `condition`; fails with `what` after so many seconds."""
    deadline = time.monotonic() + scaled(seconds)
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)


def wait_exit(pid, seconds):
    """Waits until the process is gone or a zombie. False when it still runs after that time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], scaled(seconds))[0])
    finally:
        os.close(descriptor)


def become_subreaper():
    """Processes that lose their parent become children of this one, so that none escapes."""
    pr_set_child_subreaper = 36
    assert ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0) == 0


def reap_orphans(spare=()):
    """Collects the statuses of ended children that nobody else waits for: pid → status."""
    ended = {}
    for process in descendants():
        if process.ppid == os.getpid() and process.state == "Z" and process.pid not in spare:
            ended[process.pid] = os.waitstatus_to_exitcode(os.waitpid(process.pid, 0)[1])
    return ended
