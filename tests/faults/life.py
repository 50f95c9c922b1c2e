"""One small life of the daemon: start, clients, a reload that changes the services, clients, stop.

There is a client at each address. In most plans the daemon stays in the foreground. Detached, its log is
a syslog of the test's own; under a service manager of the test's own, a journal. In the plan of an upgrade the program is executed anew, which reloads as well.

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
import time

sys.path.insert(1, os.path.join(os.path.dirname(sys.path[0]), "system"))

from clients import read_to_end  # noqa: E402
from doors import exchange  # noqa: E402
from gate import Gate  # noqa: E402
from harness import LINE, QUIET_LEVELS, SERVING_USER, free_port, section  # noqa: E402
from lines import Lines, Told  # noqa: E402
from manager import listening, passing  # noqa: E402
from processes import wait_exit  # noqa: E402
from programs import BUILD, WITH_SYSTEMD  # noqa: E402
from sinks import wrapper  # noqa: E402
from tap import Skip, scaled  # noqa: E402

FORKECHOD = os.path.join(BUILD, "tests/faults/forkechod")
LISTENER = os.path.join(BUILD, "tests/faults/listener")

# What may come of a fault.
FATES = {
    "served": "all clients got their answers, before and after the reload",
    "rejected": "the reload was rejected, and all clients got the old configuration's answers",
    "told": "one client was told that it cannot be answered now (503), and the log says so",
    "lost": "one client was lost, and the log says so",
    "refused": "the daemon refused to start, with one message and a status that is not 0",
    "ended": "the program that was executed in the daemon's place could not go on, and ended like that",
}
START_S, CLIENT_S, RELOAD_S, STOP_S = 25, 20, 25, 15
LINES_MAX = 40  # of a life's log
EITHER = {"old", "new"}
TAKEN = set()  # ports
IN_FORCE = {"ok": {"new"}, "rejected": {"old"}}  # after what the log says of the reload


class Life:
    """One daemon in a directory of its own."""

    def __init__(self, plan, fault):
        self.plan, self.fault = plan, fault
        self.directory = tempfile.mkdtemp(prefix="forkechod-fault-")
        os.chmod(self.directory, 0o755)
        words = plan.doors(plan.before) + plan.doors(plan.after)
        self.places = {word: self._place(word) for word in words}
        self.pids = {}
        self.clients, self.wrong = [], []
        self.ready = self.reload = self.status = self.server = self.told = None
        self._upgrades = plan.reload != signal.SIGHUP

    def path(self, name):
        return os.path.join(self.directory, name)

    def _place(self, word):
        if word.startswith("unix"):
            return self.path(word)
        while (port := free_port()) in TAKEN:  # by another life, whose daemon does not listen yet
            pass
        TAKEN.add(port)
        return port

    def _address(self, word):
        """What is said of a plan's address in the file."""
        place = self.places[word]
        if word.startswith("systemd:"):
            return word
        return f"unix:{place}" if isinstance(place, str) else f"127.0.0.1:{place}"

    def configure(self, services):
        daemon = {"pid_file": self.path("pid"), "control_socket": self.path("control"),
                  "log_type": self.plan.log, "user": SERVING_USER,
                  "graceful_timeout": "500ms", "max_sessions": 64} | SANDBOX.get("daemon", {})  # fmt: skip
        defaults = {"linger_timeout": "100ms", "instances": 8} | SANDBOX.get("defaults", {})
        text = section("daemon", daemon) + section("defaults", defaults)
        for name, options in services.items():
            listen = " ".join(map(self._address, options["listen"].split()))
            text += section(f"service {name}", options | {"listen": listen})
        with open(self.path("new"), "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(self.path("new"), self.path("forkechod.conf"))

    # ---- what happens in it ----

    def run(self):
        self.configure(self.plan.before)
        with contextlib.ExitStack() as stack:
            self._run(stack)
        return self

    def _run(self, stack):
        command = [FORKECHOD, "-1", "-c", self.path("forkechod.conf"), *["-F"] * (not self.plan.detached)]
        given = self._manage(stack) if self.plan.systemd else {"env": dict(os.environ)}
        given["env"] |= {"FORKECHOD_GATE": "1", "FORKECHOD_LISTENER": LISTENER}
        command = [*given.pop("wrapper", []), *command]
        if self.plan.log != "stderr":
            command = [*self._enclose(), *command]
        read_end, write_end = os.pipe()
        self.command = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=write_end, stderr=write_end,
            start_new_session=True, **given)  # fmt: skip
        os.close(write_end)
        self.log = Lines(read_end, not self.plan.detached, self.plan.log, self.server)
        gate = Gate(self.command.pid, self._arrived, self.plan.detached)
        try:
            self._live()
        finally:
            gate.close()
            self._clean_up()

    def _manage(self, stack):
        """A service manager: it passes a socket, listens, and wants to hear of the watchdog."""
        if not WITH_SYSTEMD:
            raise Skip("it is built without systemd")
        self.told = stack.enter_context(contextlib.closing(Told(self.path("notify"))))
        passed = stack.enter_context(listening(self.places["systemd:web"]))
        return passing({"web": [passed]}, self.told, WATCHDOG_USEC="60000000", WATCHDOG_PID="own")

    def _enclose(self):
        """What puts a command where the log daemon's socket is one of ours."""
        directory = self.path("log")
        os.mkdir(directory)
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.server.bind(os.path.join(directory, "socket"))
        return wrapper(self.plan.log, directory)

    def _arrived(self, name, pid):
        self.pids.setdefault(name, pid)
        self.fault.arrived(self, name, pid)

    def _live(self):
        self.ready = self._start()
        if self.ready:
            self._ask(self.plan.requests[0], {"old"})
            self._reload()
            self._ask(self.plan.requests[1], IN_FORCE.get(self.reload, EITHER))
            self._signal(signal.SIGTERM)
        seconds = STOP_S if self.ready or self.log.ended or self.plan.detached else 0.1
        self.status = self._end("master", seconds)
        if self.command.poll() is None or not self.ready:
            self.status = self._end("command", 0)
        self.log.finish()

    def _start(self):
        if not self.plan.detached:
            return self.log.wait(r": notice: start: |^(echo|other) 127\.", START_S)
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

    def _ask(self, request, possible):
        """Clients at each address, for as long as an old listener may still take one: all answers have
        to be of one configuration that may be in force, "old" or "new"."""
        found, deadline = {}, time.monotonic() + scaled(10)
        while True:
            for door in self.places:
                if "new" not in found.get(door, ()):
                    found[door] = self._ask_at(door, request, possible)
            if possible.intersection(*found.values()):
                return
            if time.monotonic() > deadline:
                self.wrong.append(f"partial: the reload is {self.reload}, and in force is {found}")
                return
            time.sleep(0.01)

    def _ask_at(self, door, request, possible):
        """A client's course → the configurations by which it is right. One that got nothing, and was to
        get something, is lost: that says nothing of the configuration."""
        port, answer, fate = exchange(self.places[door], request, CLIENT_S)
        found = set()
        for name, services, right in self.plan.configurations():
            there = door in self.plan.doors(services)
            if right.match(answer) if there else not answer and fate != "silent":
                found.add(name)
        if not answer and found & possible:
            return found
        fits = answer and found
        told = "told" if answer.startswith(b"HTTP/1.1 503 ") else None
        self.clients.append((port, "served" if fits else told or fate or f"got {answer[:60]}"))
        return found if fits else EITHER

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
        local = [word for word, place in self.places.items() if isinstance(place, str)]
        for name in ["pid", *local] + ["control"] * (not self._upgrades):
            if os.path.exists(self.path(name)) and not self.telling():
                self.wrong.append(f"silent: left behind: {name}")

    def remove(self):
        TAKEN.difference_update(self.places.values())
        shutil.rmtree(self.directory, ignore_errors=True)

    # ---- what to think of it ----

    def telling(self):
        """The lines that tell of a failure: warnings and worse, and what is no log line. What a command
        prints for its daemon, the daemon's own log has too."""
        expected = re.compile(r"(echo|other) (127\.0\.0\.1|unix):|.* \[(daemon|defaults)\] sandbox: ")
        lines = [line for line in self.log.lines if not expected.match(line)]
        found = [line for line in lines
                 if not (match := LINE.match(line)) or match.group(1) not in QUIET_LEVELS]
        printed = [line.partition(": ")[2] for line in found if not LINE.match(line)]
        if self.plan.log != "stderr":
            found = [line for line in found
                     if not (LINE.match(line) and any(text and line.endswith(text) for text in printed))]
        # A rejected reload has a line, and one for each mistake.
        rejected = any(": reload rejected" in line for line in found)
        return [line for line in found if not (rejected and ": reload mistake" in line)]

    def _said_of(self, port):
        return [line for line in self.log.lines
                if re.search(rf": session (end|error): .*[: ]{port}\b", line)]

    def _judge_clients(self, telling):
        """Adds to what is wrong; returns what befell those that were not served."""
        lost = []
        for number, (port, fate) in enumerate(self.clients, 1):
            said = self._said_of(port)
            told = self.log.find(": (records|log) dropped")
            if fate == "served":
                alike = [other for name, other in self.clients if name == port]  # "unix" is several
                if not alike.count("served") <= len(said) <= len(alike) and not told:
                    self.wrong.append(f"silent: client {number} has {len(said)} lines of its end")
                continue
            lost.append(fate)
            reason = [line for line in said if not re.search(": (client closed|served),", line)]
            given_up = fate == "silent" and self.log.find("; nobody is served there ")
            if fate in ("silent", "Connection refused") and not given_up or not (reason or telling):
                self.wrong.append(f"silent: client {number}: {fate}")
        if len(lost) > 1:
            self.wrong.append(f"{len(lost)} clients are lost: {self.clients}")
        return lost

    def _judge_told(self, telling):
        """What the manager has to get, or it ends what runs well."""
        for field, count in ((b"READY", 2), (b"RELOADING", 1)):
            if self.told.count(field) < count and not telling:
                self.wrong.append(f"silent: the manager did not get {field.decode()}")

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
        if self.told:
            self._judge_told(telling)
        if not self.reload:
            self.wrong.append("silent: nothing is said of the reload")
        if lost:
            return "told" if lost == ["told"] else "lost"
        return "rejected" if self.reload == "rejected" else "served"


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
