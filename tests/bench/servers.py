"""The servers that are measured: each runs in the foreground on a port of 127.0.0.1."""

import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import processes
from harness import IS_ROOT, Daemon, free_port, section
from programs import BUILD

POOL = 8

_directory = tempfile.TemporaryDirectory(prefix="forkechod-bench-")
os.chmod(_directory.name, 0o755)


@functools.cache
def installed(program):
    """A copy of a built program, made as installing does: what a linker has written lies in small
    pieces in the page cache, and every fork pays for that (up to 5 %)."""
    copy = os.path.join(_directory.name, os.path.basename(program))
    subprocess.run(["install", os.path.join(BUILD, program), copy], check=True)
    return copy


class Server:
    """A running server: where it is, and what its processes use."""

    def __init__(self, name):
        self.name, self.host, self.port, self.root = name, "127.0.0.1", free_port(), None

    @property
    def where(self):
        return [self.host, str(self.port)]

    def pids(self):
        return [self.root] + [process.pid for process in processes.descendants(self.root)]

    def memory(self):
        """Bytes in memory of all its processes; what they share is divided among them (PSS)."""
        total = 0
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                    total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
            except (FileNotFoundError, ProcessLookupError):
                pass
        return total * 1024

    def cpu_seconds(self):
        """Processor time of its processes, with that of the children that they have waited for."""
        ticks = 0
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                    text = file.read()
            except (FileNotFoundError, ProcessLookupError):
                continue
            ticks += sum(map(int, text[text.rindex(")") + 2 :].split()[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def await_service(self):
        deadline = time.monotonic() + 10
        while True:
            try:
                with socket.create_connection((self.host, self.port), 1) as client:
                    client.sendall(b"A")
                    if client.recv(1) != b"A":
                        raise ConnectionError("no echo")
                return
            except OSError as why:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{self.name} does not serve: {why}") from why
                time.sleep(0.02)


class Program(Server):
    """A command in a directory of its own. In `words` and `files`, PORT and DIRECTORY are named
    by {port} and {directory}."""

    def __init__(self, name, *words, files=None, host=None, port=None):
        super().__init__(name)
        self.words, self.files = words, files or {}
        self.host, self.port = host or self.host, port or self.port

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="forkechod-bench-")
        places = {"port": self.port, "directory": self.directory, "host": self.host}
        for name, text in self.files.items():
            with open(os.path.join(self.directory, name), "w", encoding="ascii") as file:
                file.write(text % places)
        # In our own session, as the daemon and the client: the scheduler shares time among sessions.
        self.process = subprocess.Popen(
            [word % places for word in self.words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.root = self.process.pid
        self.await_service()
        return self

    def __exit__(self, *_):
        for pid in reversed(self.pids()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        processes.reap_orphans()
        shutil.rmtree(self.directory, ignore_errors=True)


class Forkechod(Server):
    """The daemon with what it ships, and these keys of the service besides. Its log is a file."""

    def __init__(self, name="forkechod", lines=False, **keys):
        super().__init__(name)
        self.lines, self.keys = lines, keys

    def __enter__(self):
        self.daemon = Daemon()
        level = "info" if self.lines else "notice"
        self.daemon.write(
            section("daemon", dict(self.daemon.own_options(), log_level=level))
            + section("service echo", dict({"listen": f"127.0.0.1:{self.port}"}, **self.keys))
        )
        with open(self.daemon.path("log"), "wb") as log:
            listener = installed("src/listener/listener")
            self.daemon.start(stderr=log, env=dict(os.environ, FORKECHOD_LISTENER=listener))
        self.root = self.daemon.pid
        return self

    def __exit__(self, *_):
        self.daemon.kill(self.root, signal.SIGINT)
        self.daemon.wait_end(20)
        shutil.rmtree(self.daemon.directory)


# ---- the plain loops ----------------------------------------------------------------------------


def bare(kind, *words):
    return Program(f"bare {kind}", installed(f"tests/bench/bare-{kind}"), "%(port)s", *words)


def bare_pool():
    return bare("pool", str(POOL))


# ---- what Debian ships -----------------------------------------------------------------------------

INETD = "127.0.0.7:echo stream tcp nowait.1000000000 root internal\n"
# For libwrap as for the titles of its processes, it would ask the name service who each client is.
XINETD = """defaults
{
    instances = UNLIMITED
    per_source = UNLIMITED
    cps = 1000000 1
    log_type = FILE %(directory)s/log
}
service echo
{
    type = INTERNAL UNLISTED
    flags = NOLIBWRAP
    id = echo-stream
    socket_type = stream
    protocol = tcp
    wait = no
    user = root
    bind = 127.0.0.1
    port = %(port)s
}
"""


def _inetd(path):
    # It knows its own echo by the name of port 7 alone.
    return Program("openbsd-inetd", path, "-i", "-R", "0", "%(directory)s/conf", files={"conf": INETD},
                   host="127.0.0.7", port=7)


def _xinetd(path):
    return Program("xinetd", "env", "RES_OPTIONS=attempts:0", path, "-dontfork", "-f",
                   "%(directory)s/conf", "-pidfile", "%(directory)s/pid", files={"conf": XINETD})


def _tcpserver(path):
    return Program("tcpserver", path, "-H", "-R", "-l0", "-c100000", "-b511", "127.0.0.1", "%(port)s",
                   "cat")


def _socat(path):
    listen = "TCP4-LISTEN:%(port)s,bind=127.0.0.1,reuseaddr,fork,backlog=511"
    return Program("socat", path, listen, "PIPE")


# Package → its program, how to run it, and whether that takes root.
_PEERS = {
    "openbsd-inetd": ("inetd", _inetd, True),
    "xinetd": ("xinetd", _xinetd, True),
    "ucspi-tcp": ("tcpserver", _tcpserver, False),
    "socat": ("socat", _socat, False),
}


def peers():
    """Those that are installed, and a line for each that is not."""
    found, missing = [], []
    for package, (program, make, needs_root) in _PEERS.items():
        path = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
        if not path:
            missing.append(f"{package} is not there")
        elif needs_root and not IS_ROOT:
            missing.append(f"{package} can be started by root alone")
        else:
            found.append(make(path))
    return found, missing
