"""One small life of the daemon: start, a client, a reload that changes the service, a client, stop.

In most plans it stays in the foreground. Detached, its log is a syslog of the test's own, and the
first client comes by a Unix socket. In the plan of an upgrade the program is executed anew, which
reloads as well.

Something may fail in it: a system call (Tracer) or an allocation (Shortage). `Life.judge` says what
came of it, in a word of FATES, or what a user could not accept.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(1, os.path.join(os.path.dirname(sys.path[0]), "system"))

from clients import read_to_end  # noqa: E402
from gate import Gate  # noqa: E402
from harness import BUILD, LINE, QUIET_LEVELS, SERVING_USER, free_port, section  # noqa: E402
from processes import wait_exit  # noqa: E402
from sinks import LEVELS, parse_syslog, wrapper  # noqa: E402
from tap import scaled  # noqa: E402

FORKECHOD = os.path.join(BUILD, "tests/faults/forkechod")
LISTENER = os.path.join(BUILD, "tests/faults/listener")

# What may come of a fault.
FATES = {
    "served": "both clients got their answers",
    "rejected": "the reload was rejected, and both clients got the old configuration's answers",
    "lost": "one client was lost, and the log says so",
    "refused": "the daemon refused to start, with one message and a status that is not 0",
    "ended": "the program that was executed in the daemon's place could not go on, and ended like that",
}
START_S, CLIENT_S, RELOAD_S, STOP_S = 25, 20, 25, 15
LINES_MAX = 40  # of a life's log


class Lines:
    """What the daemon prints, as it comes, and what it sends to syslog, as if it were printed."""

    def __init__(self, descriptor, syslog=None):
        self.lines, self.ended = [], False
        self._news, self._syslog = threading.Condition(), syslog
        self._threads = [threading.Thread(target=self._read, args=[descriptor], daemon=True)]
        if syslog:
            self._threads.append(threading.Thread(target=self._take, daemon=True))
        for thread in self._threads:
            thread.start()

    def _add(self, line):
        with self._news:
            self.lines.append(line)
            self._news.notify_all()

    def _read(self, descriptor):
        with open(descriptor, encoding="utf-8", errors="backslashreplace") as stream:
            for line in stream:
                self._add(line.rstrip("\n"))
        with self._news:
            self.ended = not self._syslog
            self._news.notify_all()

    def _take(self):
        while data := self._syslog.recv(65536):
            fields = parse_syslog(data)
            self._add(f"forkechod: {LEVELS[int(fields['PRIORITY'])]}: {fields['MESSAGE']}")
        self._syslog.close()

    def find(self, pattern):
        """The first match, or None."""
        return next(filter(None, (re.search(pattern, line) for line in self.lines)), None)

    def wait(self, pattern, seconds):
        """The first match once it is there; None after so many seconds, or when all is over."""
        deadline = time.monotonic() + scaled(seconds)
        with self._news:
            while not (found := self.find(pattern)):
                left = deadline - time.monotonic()
                if self.ended or left <= 0:
                    break
                self._news.wait(left)
        return found

    def finish(self):
        """The daemon has ended."""
        if self._syslog:
            self._syslog.sendto(b"", self._syslog.getsockname())
        for thread in self._threads:
            thread.join(scaled(2))


class Life:
    """One daemon in a directory of its own."""

    def __init__(self, plan, fault):
        self.plan, self.fault = plan, fault
        self.directory = tempfile.mkdtemp(prefix="forkechod-fault-")
        os.chmod(self.directory, 0o755)
        self.port = free_port()
        self.pids = {}
        self.clients, self.wrong = [], []
        self.ready = self.reload = self.status = self.syslog = None
        self._upgrades = plan.reload != signal.SIGHUP

    def path(self, name):
        return os.path.join(self.directory, name)

    def configure(self, service):
        daemon = {"pid_file": self.path("pid"), "control_socket": self.path("control"),
                  "log_type": "syslog" if self.plan.detached else "stderr", "user": SERVING_USER,
                  "graceful_timeout": "500ms", "max_sessions": 64} | SANDBOX.get("daemon", {})  # fmt: skip
        defaults = {"linger_timeout": "100ms", "instances": 8} | SANDBOX.get("defaults", {})
        text = section("daemon", daemon) + section("defaults", defaults)
        listen = f"127.0.0.1:{self.port}"
        if self.plan.detached:
            listen += f" unix:{self.path('unix')}"
        text += section("service echo", dict(service, listen=listen))
        with open(self.path("new"), "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(self.path("new"), self.path("forkechod.conf"))

    # ---- what happens in it ----

    def run(self):
        self.configure(self.plan.before)
        command = [FORKECHOD, "-1", "-c", self.path("forkechod.conf")]
        command = [*self._place(), *command] if self.plan.detached else [*command, "-F"]
        read_end, write_end = os.pipe()
        environment = dict(os.environ, FORKECHOD_GATE="1", FORKECHOD_LISTENER=LISTENER)
        self.command = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=write_end, stderr=write_end, env=environment,
            start_new_session=True)  # fmt: skip
        os.close(write_end)
        self.log = Lines(read_end, self.syslog)
        gate = Gate(self.command.pid, self._arrived, self.plan.detached)
        try:
            self._live()
        finally:
            gate.close()
            self._clean_up()
        return self

    def _place(self):
        """What puts a command where syslog is a socket of ours."""
        directory = self.path("syslog")
        os.mkdir(directory)
        self.syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.syslog.bind(os.path.join(directory, "socket"))
        return wrapper("syslog", directory)

    def _arrived(self, name, pid):
        self.pids.setdefault(name, pid)
        self.fault.arrived(self, name, pid)

    def _live(self):
        self.ready = self._start()
        if self.ready:
            self._ask()
            self._reload()
            self._ask()
            self._signal(signal.SIGTERM)
        seconds = STOP_S if self.ready or self.log.ended or self.plan.detached else 0.1
        self.status = self._end("master", seconds)
        if self.command.poll() is None or not self.ready:
            self.status = self._end("command", 0)
        self.log.finish()

    def _start(self):
        if not self.plan.detached:
            return self.log.wait(r": notice: start: |^echo 127\.", START_S)
        # The command ends when the daemon serves.
        if wait_exit(self.command.pid, START_S) and self.command.wait() == 0:
            return self.log.wait(r": notice: start: ", 3)  # a log that was gone is tried again
        return None

    def _end(self, name, seconds):
        """Waits for its end → its status, or None if it was never there."""
        own = name == "command" or not self.plan.detached
        pid = self.command.pid if own else self.pids.get(name)
        if not pid:
            return None
        if not wait_exit(pid, seconds):
            where = "after SIGTERM" if self.ready else "at its start"
            self.wrong.append(f"hangs: the {name} still runs {where}")
            os.kill(pid, signal.SIGKILL)
        if own:
            return self.command.wait()
        with contextlib.suppress(ChildProcessError):  # the command that started it has seen it end
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return None

    def _signal(self, number):
        with contextlib.suppress(ProcessLookupError, KeyError):
            os.kill(self.pids["master"], number)

    def _ask(self):
        """A client's course, for as long as an old listener may still take it: its port and what
        befell it."""
        request = self.plan.requests[0 if self.reload is None else 1]
        old, new = self.plan.answers
        deadline = time.monotonic() + scaled(10)
        while True:
            port, answer, fate = self._exchange(request)
            is_old, is_new = bool(old.match(answer)), bool(new.match(answer))
            right = is_old if self.reload in (None, "rejected") else is_old or is_new
            self.clients.append((port, "served" if right else fate or f"got {answer[:60]}"))
            if self.reload != "ok" or is_new or not is_old:
                return
            if time.monotonic() > deadline:
                self.wrong.append("partial: the reload is ok, and the old configuration answers")
                return

    def _exchange(self, request):
        port, answer = None, b""
        try:
            with self._connect() as client:
                port = client.getsockname()[1:2]
                port = port[0] if port else "unix"
                sender = threading.Thread(target=self._send, args=[client, request])
                sender.start()
                try:
                    answer = read_to_end(client)
                finally:
                    sender.join()
        except TimeoutError:
            return port, answer, "silent"
        except OSError as why:
            return port, answer, os.strerror(why.errno)
        return port, answer, None

    def _connect(self):
        local = self.plan.detached and not self.clients
        client = socket.socket(socket.AF_UNIX if local else socket.AF_INET)
        client.settimeout(scaled(CLIENT_S))
        try:
            client.connect(self.path("unix") if local else ("127.0.0.1", self.port))
        except OSError:
            client.close()
            raise
        return client

    @staticmethod
    def _send(client, request):
        with contextlib.suppress(OSError):  # which whoever reads gets to know
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)

    def _reload(self):
        self.configure(self.plan.after)
        if not (self.plan.by_control and self._control()):
            self._signal(self.plan.reload)
        found = self.log.wait(r": ((?:reload|upgrade) (ok|rejected)|log dropped)", RELOAD_S)
        self.reload = found and (found.group(2) or "dropped")

    def _control(self):
        """Asks for the reload; whether it got an answer. Without one forkechoctl(8) would fail."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as control:
            control.settimeout(scaled(RELOAD_S))
            control.connect(self.path("control"))
            control.sendall(b"reload\n")
            return read_to_end(control).startswith((b"ok", b"rejected"))
        return False

    def _members(self):
        """The living processes of the daemon's sessions."""
        found, sessions = [], {str(self.command.pid), str(self.pids.get("middle"))}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                fields = file.read().rpartition(")")[2].split()
                if fields[3] in sessions and fields[0] != "Z":
                    found.append(int(pid))
        return found

    def _clean_up(self):
        deadline = time.monotonic() + scaled(10)
        while (left := self._members()) and time.monotonic() < deadline:
            time.sleep(0.01)
        if left:
            self.wrong.append(f"stuck: {len(left)} processes are left")
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        for name, pid in self.pids.items():  # orphans among them have become ours
            with contextlib.suppress(ChildProcessError):
                if pid != self.command.pid:
                    os.waitpid(pid, os.WNOHANG)
        # What the next start takes over, and has nobody's number in it, may stay without a line: the
        # lock file, and after an upgrade the socket.
        for name in ["pid", "unix"] + ["control"] * (not self._upgrades):
            if os.path.exists(self.path(name)) and not self.telling():
                self.wrong.append(f"silent: left behind: {name}")

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    # ---- what to think of it ----

    def telling(self):
        """The lines that tell of a failure: warnings and worse, and what is no log line. What a command
        prints for its daemon, the daemon's own log has too."""
        expected = re.compile(r"echo (127\.0\.0\.1|unix):|.* \[(daemon|defaults)\] sandbox: ")
        lines = [line for line in self.log.lines if not expected.match(line)]
        found = [line for line in lines
                 if not (match := LINE.match(line)) or match.group(1) not in QUIET_LEVELS]
        printed = [line.partition(": ")[2] for line in found if not LINE.match(line)]
        if self.plan.detached:
            found = [line for line in found
                     if not (LINE.match(line) and any(text and line.endswith(text) for text in printed))]
        # A rejected reload has a line, and one for each mistake.
        rejected = any(": reload rejected" in line for line in found)
        return [line for line in found if not (rejected and ": reload mistake" in line)]

    def _said_of(self, port):
        return [line for line in self.log.lines
                if re.search(rf": session (end|error): .*[: ]{port}\b", line)]

    def _judge_clients(self, telling):
        """Adds to what is wrong; returns how many were lost."""
        lost = 0
        for number, (port, fate) in enumerate(self.clients, 1):
            said = self._said_of(port)
            told = self.log.find(": (records|log) dropped")
            if fate == "served":
                if len(said) != 1 and not told:
                    self.wrong.append(f"silent: client {number} has {len(said)} lines of its end")
                continue
            lost += 1
            reason = [line for line in said if "client closed" not in line]
            if fate in ("silent", "Connection refused") or not (reason or telling):
                self.wrong.append(f"silent: client {number}: {fate}")
        if lost > 1:
            self.wrong.append(f"both clients are lost: {self.clients}")
        return lost

    def judge(self):
        """A word of FATES; "wrong": see self.wrong."""
        telling = self.telling()
        if self.status is not None and self.status < 0:
            self.wrong.append(f"crash: signal {-self.status}")
        crash = self.log.find(r"signal (?!9 )\d|Sanitizer|core dumped")
        if crash:
            self.wrong.append(f"crash: {crash.string}")
        if len(telling) > 1:
            self.wrong.append(f"{len(telling)} lines tell of one failure")
        if len(self.log.lines) > LINES_MAX:
            self.wrong.append(f"storm: {len(self.log.lines)} lines")
        fate = self._judge_course(telling)
        return "wrong" if self.wrong else fate

    def _judge_course(self, telling):
        if not self.ready:
            if self.status == 0 or len(telling) != 1:
                self.wrong.append(f"refused with status {self.status} and {len(telling)} messages")
            return "refused"
        if self.status != 0 and not (self.status > 0 and telling):
            self.wrong.append(f"ended with status {self.status}")
        if self._upgrades and (self.status or 0) > 0 and not self.reload and len(telling) == 1:
            return "ended"
        lost = self._judge_clients(telling)
        if not self.reload:
            self.wrong.append("silent: nothing is said of the reload")
        return "lost" if lost else "rejected" if self.reload == "rejected" else "served"


def sandbox_off():
    """How the sandbox is switched off, where there is one: strace makes a forbidden call of one that
    it lets fail."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write("[service echo]\nlisten = 127.0.0.1:1\n")
        file.flush()
        text = subprocess.run([FORKECHOD, "-T", "-c", file.name], capture_output=True, text=True,
                              check=False).stdout  # fmt: skip
    place = "daemon"
    for line in text.splitlines():
        if line.startswith("["):
            place = "daemon" if line.startswith("[daemon") else "defaults"
        if re.match(r"sandbox\s*=", line):
            return {place: {"sandbox": "off"}}
    return {}


SANDBOX = sandbox_off()
