"""The real daemon, in a directory of its own, as whoever runs the tests.

    with Daemon() as daemon:
        daemon.configure({"echo": {"listen": f"127.0.0.1:{port}"}})
        daemon.start()
        assert exchange(port, b"hello") == b"hello"
        daemon.expect("session end: echo 127.0.0.1.* client closed")

Leaving the block stops the daemon, and fails the case when it does not end as asked, when a process
is left, when a line of its log is a warning or worse and was not announced by `announce`, or when
it is not the daemon's at all (a sanitizer's, for instance).
"""

import fcntl
import os
import pwd
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import termios
import threading
import time

import processes
from processes import (
    become_subreaper,
    daemon_processes,
    reap_orphans,
    wait_exit,
    wait_until,
)
from programs import BUILD, FORKECHOCTL, FORKECHOD, SANITIZED, WRAPPER
from tap import note, scaled

IS_ROOT = os.geteuid() == 0
# TEST_SANDBOX=off is for what cannot work under a filter: strace -e inject, valgrind, gcov.
SANDBOX_OFF = os.environ.get("TEST_SANDBOX") == "off"
_SANDBOX_WARNING = "sandbox: a session that is taken over"
# Who serves clients: as root somebody else, as a user oneself.
SERVING_USER = "nobody" if IS_ROOT else ""
# On the command line it holds for files of every kind, and after each reload.
SANDBOX_OPTIONS = ["-o", "defaults.sandbox=off"] if SANDBOX_OFF else []
INETD = [*WRAPPER, FORKECHOD, "-i", *SANDBOX_OPTIONS]

LINE = re.compile(r"forkechod: (emerg|alert|crit|err|warning|notice|info|debug): ")
QUIET_LEVELS = ("notice", "info", "debug")

os.environ["FORKECHOD_LISTENER"] = os.path.join(BUILD, "src/listener/listener")
become_subreaper()


def free_port():
    """A port that nobody listens on, below those that the kernel gives to clients."""
    while True:
        port = 10000 + int.from_bytes(os.urandom(2), "big") % 22000
        try:
            for family in (socket.AF_INET, socket.AF_INET6):
                with socket.socket(family) as trial:
                    trial.bind(("", port))
            return port
        except OSError:
            continue


def ordinary(daemon=None):
    """What makes subprocess run a command as an ordinary user, who may write in the directory of
    this daemon."""
    if not IS_ROOT:
        return {}
    user = pwd.getpwnam(SERVING_USER)
    if daemon:
        os.chown(daemon.directory, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def section(name, values):
    """One section of a configuration file."""
    return f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())


def said_otherwise(text):
    """What a command said beside the warning of a sandbox that the whole run is without."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not (SANDBOX_OFF and _SANDBOX_WARNING in line))


def forkechod(*arguments, wrapper=(), seconds=60, **popen):
    """Runs the command to its end. Returns what subprocess.run returns, with texts."""
    done = subprocess.run(
        [*wrapper, *WRAPPER, FORKECHOD, *SANDBOX_OPTIONS, *arguments],
        capture_output=True,
        text=True,
        timeout=scaled(seconds),
        **popen,
    )
    done.stderr = said_otherwise(done.stderr)
    return done


class Log:
    """Lines that arrive on a descriptor. A thread reads them, so that the writer never waits."""

    def __init__(self, descriptor):
        self.lines = []
        self._descriptor = descriptor
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        rest = b""
        news = select.poll()
        news.register(self._descriptor, select.POLLIN)
        while True:
            news.poll()
            with self._news:
                try:
                    part = os.read(self._descriptor, 1 << 20)
                except OSError:  # a terminal that its last process has left
                    part = b""
                *lines, rest = (rest + part).split(b"\n")
                if not part and rest:
                    lines.append(rest)
                self.lines += [line.decode(errors="backslashreplace").rstrip("\r") for line in lines]
                self._news.notify_all()
                if not part:
                    os.close(self._descriptor)
                    self._descriptor = None
                    return

    def catch_up(self):
        """Waits until all that has been written so far is in `lines`."""
        while True:
            with self._news:
                if self._descriptor is None:
                    return
                waiting = fcntl.ioctl(self._descriptor, termios.FIONREAD, bytes(4))
                if waiting == bytes(4):
                    return
            time.sleep(0.001)

    def wait(self, pattern, count, begin, seconds):
        """The first `count` matches at or after line `begin`, or fewer when time is over."""
        expression, deadline = re.compile(pattern), time.monotonic() + scaled(seconds)
        found = []
        with self._news:
            while True:
                for line in self.lines[begin:]:
                    match = expression.search(line)
                    found += [match] if match else []
                begin = len(self.lines)
                left = deadline - time.monotonic()
                if len(found) >= count or left <= 0:
                    return found[:count]
                self._news.wait(left)

    def finish(self):
        """Waits until whoever writes has closed it."""
        self._thread.join(scaled(30))


class Daemon:
    """One daemon: its directory, its configuration, its log and its processes."""

    defaults = {}  # keys of every service that says nothing else

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="forkechod-test-")
        os.chmod(self.directory, 0o755)
        self.file = self.path("forkechod.conf")
        self.command = None
        self.pid = None
        self.log = None
        self.output = ""
        self._announced = [_SANDBOX_WARNING] if SANDBOX_OFF else []
        self._mark = 0

    def path(self, name):
        """A path in the daemon's own directory."""
        return os.path.join(self.directory, name)

    # ---- its configuration ----------------------------------------------------------------------

    def own_options(self):
        """What [daemon] needs so that the daemon keeps to its directory."""
        options = {
            "pid_file": self.path("pid"),
            "control_socket": self.path("control"),
            "log_type": "stderr",
            "graceful_timeout": "2s",
        }
        return dict(options, user=SERVING_USER) if IS_ROOT else options

    def configure(self, services, daemon=None, defaults=None):
        """Writes the file from dictionaries of keys; `services` by name."""
        text = section("daemon", dict(self.own_options(), **(daemon or {})))
        preset = {"per_source": 0, **self.defaults}
        text += section("defaults", {**preset, **(defaults or {})})
        text += "".join(section(f"service {name}", keys) for name, keys in services.items())
        self.write(text)

    def sandbox(self, off):
        """Keys that leave the sandbox off, if it is to be."""
        if not off:
            return {}
        self.announce(f"configuration warning: .* {_SANDBOX_WARNING}")
        return {"sandbox": "off"}

    def visible(self):
        """Keys with which an ordinary user may look into listeners and sessions (proc(5))."""
        return self.sandbox(not IS_ROOT and not SANITIZED)

    def write(self, text):
        """Replaces the file at once, as an editor does."""
        with open(self.file + ".new", "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        os.rename(self.file + ".new", self.file)

    # ---- start ----------------------------------------------------------------------------------

    def launch(self, *options, wrapper=(), **popen):
        """Starts it in the foreground and returns at once."""
        read_end, write_end = os.pipe()
        self.command = subprocess.Popen(
            [*wrapper, *WRAPPER, FORKECHOD, "-c", self.file, "-F", "-1", *SANDBOX_OPTIONS, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=popen.pop("stderr", write_end),
            **popen,
        )
        os.close(write_end)
        self.pid = self.command.pid
        self._mark, self.log = 0, Log(read_end)
        return self

    def start(self, *options, wrapper=(), **popen):
        """Starts it in the foreground and waits until it serves."""
        self.launch(*options, wrapper=wrapper, **popen)
        self.output = os.read(self.command.stdout.fileno(), 65536).decode()
        if not self.output:
            self.command.wait(scaled(30))
            self.log.finish()
            raise AssertionError(
                f"it did not start: status {self.command.returncode}, {self.log.lines}"
            )
        return self

    def detach(self, *options, wrapper=(), **run):
        """Starts it as a service is started: the command returns, the daemon goes on."""
        done = forkechod("-c", self.file, "-1", *options, wrapper=wrapper, **run)
        assert done.returncode == 0, (done.returncode, done.stderr)
        self.output = done.stdout
        self.pid = self.written_pid()
        return self

    def written_pid(self):
        """What the pid file says."""
        with open(self.path("pid"), encoding="ascii") as file:
            return int(file.read())

    @property
    def addresses(self):
        """The bound addresses that -1 printed: NAME → list."""
        found = {}
        for line in self.output.splitlines():
            name, address = line.split(" ", 1)
            found.setdefault(name, []).append(address)
        return found

    # ---- what it says ---------------------------------------------------------------------------

    def mark(self):
        """From here on `expect` looks at new lines alone."""
        self.log.catch_up()
        self._mark = len(self.log.lines)

    def expect(self, pattern, count=1, seconds=30):
        """Waits for lines since the mark in which the pattern is found; returns the last match."""
        found = self.log.wait(pattern, count, self._mark, seconds)
        said = "\n".join(self.log.lines[self._mark :][-30:])
        assert len(found) == count, (
            f"{len(found)} of {count} lines with {pattern!r} within {seconds} s; the log says:\n{said}"
        )
        return found[-1]

    def said(self, pattern):
        """The lines since the mark in which the pattern is found."""
        self.log.catch_up()
        return [line for line in self.log.lines[self._mark :] if re.search(pattern, line)]

    def announce(self, *patterns):
        """Lines of level warning and worse that this case is going to provoke."""
        self._announced += patterns

    # ---- its processes --------------------------------------------------------------------------

    def processes(self, kind=None, service=None):
        """Its living processes, all or those of a kind (master, listener, session)."""
        below = [process for process in daemon_processes() if process.state != "Z"]
        words = "forkechod: " + " ".join(word for word in (kind, service) if word)
        return [process for process in below if not kind or process.title.startswith(words + " ")]

    def listener(self, service="echo"):
        """The process number of a service's only listener."""
        found = []

        def is_alone():
            # A session that was just forked still has its listener's title.
            found[:] = self.processes("listener", service)
            return len(found) == 1

        wait_until(f"{service} has one listener", is_alone)
        return found[0].pid

    def sessions(self, service=None):
        """The process numbers of the sessions; a pool's processes without a client are none."""
        found = self.processes("session", service)
        return [process.pid for process in found if not process.title.endswith(" idle")]

    def wait_sessions(self, count, service=None, seconds=30):
        """Waits until there are so many sessions; returns their process numbers."""
        what = f"{count} sessions"
        wait_until(what, lambda: len(self.sessions(service)) == count, seconds)
        return self.sessions(service)

    def expect_no_zombie(self):
        """Whatever has ended has been waited for, at the latest a moment later."""
        wait_until(
            "every ended process is waited for",
            lambda: not [process for process in daemon_processes() if process.state == "Z"],
        )

    def kill(self, pid, number=signal.SIGKILL):
        os.kill(pid, number)

    # ---- reload and stop ------------------------------------------------------------------------

    def control(self, *words):
        """Runs forkechoctl. Returns its status and all that it printed."""
        done = subprocess.run(
            [FORKECHOCTL, "-s", self.path("control"), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=scaled(60),
        )
        return done.returncode, done.stdout

    def check(self):
        """Sees that board, processes and descriptors agree."""
        status, text = self.control("check")
        assert status == 0, text

    def reload(self):
        """Reloads, and waits until the new configuration is in force."""
        status, text = self.control("reload")
        assert status == 0, text

    def hang_up(self):
        """Reloads by SIGHUP, and waits for the line that says how it went."""
        self.mark()
        self.kill(self.pid, signal.SIGHUP)
        self.expect("reload (ok|rejected)")

    def wait_end(self, seconds=30):
        """Waits for the master's end; returns its exit status (negative: the signal)."""
        assert wait_exit(self.pid, seconds), f"it still runs after {seconds} s: {self.processes()}"
        if self.command:
            status = self.command.wait()
            self.command.stdout.close()
            self.log.finish()
        else:
            status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.pid = None
        return status

    def stop(self, number=signal.SIGTERM, seconds=30):
        """Stops it, and sees that it ends in order and leaves nothing."""
        self.kill(self.pid, number)
        status = self.wait_end(seconds)
        assert status == 0, f"status {status}"
        self.expect_nothing_left()

    def expect_nothing_left(self):
        """No process, no zombie, no file but what the test made itself."""
        left = daemon_processes()
        assert not left, f"left behind: {left}"
        for name in ("pid", "control"):
            assert not os.path.exists(self.path(name)), f"left behind: {name}"

    # ---- the case's block -----------------------------------------------------------------------

    def __enter__(self):
        return self

    def __exit__(self, kind, _value, _trace):
        try:
            if kind is None and self.pid:
                self.expect_no_zombie()
                self.stop()
            if kind is None:
                self.judge_log()
        except BaseException:
            kind = AssertionError
            raise
        finally:
            self.tear_down()
            if kind and self.log:
                note("its log:\n" + "\n".join(self.telling_lines()))

    def judge_log(self):
        """Fails on lines that nobody announced."""
        for line in self.log.lines if self.log else []:
            match = LINE.match(line)
            quiet = match and match.group(1) in QUIET_LEVELS
            assert quiet or any(re.search(known, line) for known in self._announced), (
                f"an unannounced line: {line}"
            )

    def telling_lines(self):
        """The log without the mass of ended sessions."""
        lines = self.log.lines
        return [line for line in lines[:-10] if "session end" not in line][-30:] + lines[-10:]

    def tear_down(self):
        """Ends whatever still runs, and removes the directory."""
        for _ in range(100):
            left = [process for process in daemon_processes() if process.state != "Z"]
            for process in left:
                try:
                    os.kill(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if self.command:
                self.command.poll()
            reap_orphans()
            if not left:
                break
            time.sleep(0.02)
        if self.command:
            if self.command.stdout:
                self.command.stdout.close()
            self.log.finish()
        shutil.rmtree(self.directory, ignore_errors=True)


def descriptors_at_rest(pid):
    """What it has open while it waits: none that it is about to close."""

    def look():
        before = processes.status(pid)
        found = processes.descriptors(pid)
        same = ("State", "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")
        after = processes.status(pid)
        return before["State"][0] in "ST" and all(before[key] == after[key] for key in same) and found

    return wait_until("it waits", look)


def limit_descriptors(pid, count):
    """Lowers (or raises, up to the hard limit) how many descriptors a running process may open;
    returns what it was. None: so that it can open none."""
    with open(f"/proc/{pid}/limits", encoding="ascii") as file:
        (before,) = [line.split()[3] for line in file if line.startswith("Max open files")]
    if count is None:
        open_now = descriptors_at_rest(pid)
        count = next(number for number in range(1 << 20) if number not in open_now)
    # As the process's own user: for others that takes a capability which root may lack.
    facts = processes.status(pid)
    user, group = (int(facts[key].split()[0]) for key in ("Uid", "Gid"))
    own = {"user": user, "group": group, "extra_groups": []} if IS_ROOT else {}
    subprocess.run(["prlimit", f"--pid={pid}", f"--nofile={count}:"], check=True, **own)
    return int(before)
