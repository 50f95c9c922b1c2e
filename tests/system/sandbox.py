"""The sandbox: what a session that was taken over tries is its own end, and nobody else's."""

import array
import contextlib
import ctypes
import errno
import fcntl
import os
import signal
import socket
import termios

from clients import asks, connect, exchange, is_refused, read_to_end
from harness import IS_ROOT, SANDBOX_OFF, Daemon, free_port
from processes import status, wait_until
from programs import BUILD, SANITIZED
from tap import Skip, case, covers, run

VIOLATOR = os.path.join(BUILD, "tests/system/listener-violating")
LACKING = os.path.join(BUILD, "tests/system/lacking")
PROFILE = "sanitizers" if SANITIZED else "strict"


def case_of_strict(what, **limits):
    """A case that there is no sense in with sanitizers: they handle signals themselves, and use files."""
    return (lambda function: function) if SANITIZED else case(what, **limits)


ACT = signal.SIGRTMIN + 5
# What the signals from ACT on make a process try, in their order.
BY_SIGNAL = ("socket", "sendto", "shutdown")

# What it does, the system call that is named, and whether sanitizers need that call themselves.
FILES = [("opens", "openat", True), ("opens_folder", "openat", True), ("creates", "openat", False),
         ("removes", "unlink", False), ("changes_mode", "chmod", False),
         ("makes_memory_file", "memfd_create", False)]
SOCKETS = [("makes_socket", "socket", False), ("makes_pair", "socketpair", False),
           ("connects", "connect", False), ("binds", "bind", False), ("listens", "listen", False),
           ("picks_interface", "setsockopt", False), ("lists_interfaces", "ioctl", False)]
PORTS = [("connects_at_once", "sendto", False), ("sends_elsewhere", "sendto", False),
         ("sends_urgently", "sendto", False), ("passes_message", "sendmsg", False),
         ("shuts_port", "shutdown", False), ("shuts_port_wholly", "shutdown", False),
         ("guesses_shutting", "shutdown", False), ("receives_descriptor", "recvmsg", False)]
PROCESSES = [("executes", "execve", False), ("forks", "clone", True), ("starts_thread", "mprotect", True),
             ("clones", "clone", True), ("clones_newly", "clone3", False), ("unshares", "unshare", False)]
OTHERS = [("kills", "kill", False), ("guesses", "kill", False),
          ("queues", "rt_sigqueueinfo", False), ("kills_thread", "tgkill", True),
          ("aims_descriptor", "fcntl", False), ("opens_process", "pidfd_open", False),
          ("traces", "ptrace", True), ("reads_memory", "process_vm_readv", True),
          ("limits_listener", "prlimit64", False)]
CODE = [("maps_code", "mmap", True), ("makes_code", "mprotect", True)]
IDENTITY = [("becomes_root", "setuid", False), ("becomes_group", "setgid", False),
            ("names_itself", "prctl", True), ("becomes_dumpable", "prctl", True)]
MACHINE = [("mounts", "mount", False), ("leaves_root", "chroot", False),
           ("renames_machine", "sethostname", False), ("reboots", "reboot", False),
           ("sets_clock", "clock_settime", False)]
KERNEL = [("loads_filter", "bpf", False), ("makes_ring", "io_uring_setup", False),
          ("asks_keys", "keyctl", False), ("measures", "perf_event_open", False),
          ("handles_faults", "userfaultfd", False)]


class Taken:
    """A daemon with an echo service and one whose handler somebody has taken over."""

    def __init__(self, daemon, start=None, **keys):
        if SANDBOX_OFF:
            raise Skip("TEST_SANDBOX=off")
        self.daemon, self.echo, self.wild = daemon, free_port(), free_port()
        daemon.configure(
            {
                "echo": dict({"listen": f"127.0.0.1:{self.echo}"}, **keys),
                "wild": dict(
                    {"listen": f"127.0.0.1:{self.wild} unix:{daemon.path('wild')}", "handler": "discard"}, **keys
                ),
            }
        )
        daemon.start(env=dict(os.environ, FORKECHOD_LISTENER=VIOLATOR), **(start or {}))

    def pids(self):
        return [self.daemon.pid, self.daemon.listener("echo"), self.daemon.listener("wild")]

    def act(self, word):
        """What the session of that client says: nothing, if it ended at the attempt."""
        with connect(self.wild) as wild:
            self.daemon.mark()
            wild.sendall(word.encode())
            try:
                return read_to_end(wild), wild.getsockname()[1]
            except ConnectionResetError:
                return b"", wild.getsockname()[1]

    def expect_stopped(self, acts):
        """Each of them ends in a line that names the call; the others do not notice."""
        self.daemon.announce("session error: wild .*: sandbox: ")
        before = self.pids()
        with connect(self.echo) as client:
            for word, call, _ in [act for act in acts if not (SANITIZED and act[2])]:
                said, port = self.act(word)
                assert said == b"", (word, said)
                self.daemon.expect(
                    rf"session error: wild 127\.0\.0\.1:{port} \[\d+\]: sandbox: {call}, {len(word)} bytes in"
                )
                assert asks(client, b"still here") == b"still here", word
        assert self.pids() == before
        self.daemon.check()


def stops(what, acts):
    """A case for that class of calls."""

    @case(f"a session that {what} is ended, and its line names the system call")
    def stopped():
        with Daemon() as daemon:
            Taken(daemon).expect_stopped(acts)


stops("opens, makes or changes files", FILES)
stops("makes sockets, or connects its own", SOCKETS)
stops("sends where it has no business, or shuts what is not its own", PORTS)
stops("executes a program, forks, starts a thread", PROCESSES)
stops("signals, traces, reads or limits other processes", OTHERS)
stops("makes memory that can be executed", CODE)
stops("wants to be somebody else", IDENTITY)
stops("changes the machine", MACHINE)
stops("tries the kernel's less trodden paths", KERNEL)


@case("a process of a pool that is taken over is ended likewise, and replaced")
def pool():
    with Daemon() as daemon:
        place = Taken(daemon, process_model="prefork", start_servers=2)
        place.expect_stopped(SOCKETS + PORTS + MACHINE)
        wait_until("the pool is whole", lambda: len(daemon.processes("session", "wild")) >= 2)
        assert exchange(place.echo, b"well") == b"well"


@case("one that has no client at the time is named too")
def idle_worker():
    with Daemon() as daemon:
        place = Taken(daemon, process_model="prefork", start_servers=2)
        daemon.announce("worker died: service wild")

        def idle():
            workers = daemon.processes("session", "wild")
            return len(workers) >= 2 and all(worker.title.endswith(" idle") for worker in workers)

        for number, call in enumerate(BY_SIGNAL, ACT):
            wait_until("the pool is whole and idle", idle)  # also of the client before
            first = daemon.processes("session", "wild")[0]
            daemon.kill(first.pid, number)
            daemon.expect(rf"worker died: service wild \[{first.pid}\]: sandbox: {call}$")
            wait_until("the pool is whole", lambda: len(daemon.processes("session", "wild")) >= 2)
            assert place.act("rests")[0] == b"done 0 0", "its port is as open as before"
        assert exchange(place.echo, b"well") == b"well"


@case("a listener that violates its sandbox dies, the line names the call, and it is replaced")
def listener():
    with Daemon() as daemon:
        place = Taken(daemon)
        daemon.announce("listener died: service wild")
        with connect(place.wild) as wild, connect(place.echo) as client:
            wild.sendall(b"")
            assert asks(client, b"before") == b"before"
            daemon.wait_sessions(1, "wild")
            daemon.kill(daemon.listener("wild"), ACT)
            daemon.expect("listener died: service wild: sandbox: socket$")
            daemon.expect("listener restarted: service wild")
            # The session went on. Now the master waits for it.
            daemon.announce("session error: wild .*: sandbox: execve")
            wild.sendall(b"executes")
            daemon.expect("session error: wild .*: sandbox: execve, 8 bytes in")
            assert asks(client, b"after") == b"after"
        for number, call in list(enumerate(BY_SIGNAL, ACT))[1:]:
            daemon.mark()
            daemon.kill(daemon.listener("wild"), number)
            daemon.expect(f"listener died: service wild: sandbox: {call}$")
            daemon.expect("listener restarted: service wild")
            assert place.act("rests")[0] == b"done 0 0", "its port is as open as before"


@case_of_strict("what cannot be told by the process itself kills it: abort, SIGSYS blocked, a foreign call")
def killed():
    with Daemon() as daemon:
        place = Taken(daemon)
        daemon.announce("session error: wild .*: died by a signal")
        for word, number in (("aborts", 11), ("blocks_signal", 31), ("speaks_foreign", 31)):
            said, port = place.act(word)
            assert said == b"", (word, said)
            daemon.expect(rf"session error: wild 127\.0\.0\.1:{port} .*: died by a signal {number} ")
            assert exchange(place.echo, b"well") == b"well"


@case("listener and session are under the filter, gain no privilege, and nobody looks into them")
def state():
    if SANDBOX_OFF:
        raise Skip("TEST_SANDBOX=off")
    with Daemon() as daemon:
        port = free_port()
        daemon.configure({"echo": {"listen": f"127.0.0.1:{port}"}})
        daemon.start()
        daemon.expect(rf"listener started: service echo \[\d+\], sandbox {PROFILE}$")
        with connect(port) as client:
            assert asks(client, b"hello") == b"hello"
            (session,) = daemon.sessions()
            for pid in (daemon.listener(), session):
                facts = status(pid)
                assert facts["Seccomp"] == "2" and facts["NoNewPrivs"] == "1", facts
                assert int(facts["CapBnd"], 16) == 0 or not IS_ROOT, facts
                owner = os.stat(f"/proc/{pid}/mem").st_uid
                assert (owner == 0) or SANITIZED, "it is dumpable"
            assert status(daemon.pid)["Seccomp"] == "0"


@covers("F21")
@case("when memory runs out, sessions and listeners go before their master")
def memory_shortage():
    def score(pid):
        with open(f"/proc/{pid}/oom_score_adj", encoding="ascii") as file:
            return int(file.read())

    with Daemon() as daemon:
        port, own = free_port(), score(os.getpid())
        daemon.configure({"echo": {"listen": f"127.0.0.1:{port}"}})
        daemon.start()
        with connect(port) as client:
            assert asks(client, b"hello") == b"hello"
            (session,) = daemon.sessions()
            assert score(session) == score(daemon.listener()) == max(300, own)
            may_lower = int(status(os.getpid())["CapEff"], 16) & 1 << 24
            assert score(daemon.pid) == (-500 if may_lower and own == 0 else own)


@case("without a sandbox the same calls work, and the log warns of it")
def off():
    with Daemon() as daemon:
        place = Taken(daemon, sandbox="off")
        daemon.announce("configuration warning: .*sandbox: a session that is taken over can")
        daemon.expect(r"configuration warning: .*: \[service wild\] sandbox: a session .* \(strict")
        daemon.expect(r"listener started: service wild \[\d+\], sandbox off$")
        for word in ("opens", "makes_socket", "forks", "maps_code"):
            said, _ = place.act(word)
            assert said.startswith(b"done ") and not said.startswith(b"done -1"), (word, said)
        with connect(place.echo) as client:
            assert asks(client, b"hello") == b"hello"
            assert [status(pid)["Seccomp"] for pid in daemon.sessions("echo")] == ["0"]


@case("no descriptor that a client passes over a Unix socket reaches a session, as it would without a sandbox")
def descriptors():
    for off in (True, False):
        with Daemon() as daemon:
            Taken(daemon, **daemon.sandbox(off=True) if off else {})
            daemon.announce("session error: wild .*: sandbox: recvmsg")
            with connect(f"unix:{daemon.path('wild')}") as client:
                client.sendall(b"receives_descriptor")
                unread = array.array("i", [0])
                wait_until("the word is read", lambda: fcntl.ioctl(client, termios.TIOCOUTQ, unread) == unread[0] == 0)
                with open("/dev/null", "rb") as file, contextlib.suppress(BrokenPipeError):
                    socket.send_fds(client, [b"x"], [file.fileno()])
                said = read_to_end(client)
            if off:
                assert said.startswith(b"done ") and not said.startswith(b"done -1"), said
            else:
                assert said == b"", said
                daemon.expect("session error: wild .*: sandbox: recvmsg, 19 bytes in")


@case("without one, who holds the listening socket can connect by it, and end the service for everybody")
def off_in_pool():
    with open("/proc/sys/net/ipv4/tcp_fastopen", encoding="ascii") as file:
        if int(file.read()) & 1 == 0:
            raise Skip("this machine makes no connections by sendto: net.ipv4.tcp_fastopen")
    with Daemon() as daemon:
        place = Taken(daemon, process_model="prefork", start_servers=1, **daemon.sandbox(off=True))
        daemon.announce("system call failed: service wild: accept4 on ")
        said, _ = place.act("connects_at_once")
        assert said == b"done -1 %d" % errno.EINPROGRESS, said
        wait_until("its port is shut", lambda: is_refused(place.wild))


@case("it is switched for one service by a reload; its sessions stay what they were")
def reloaded():
    if SANDBOX_OFF:
        raise Skip("TEST_SANDBOX=off")
    with Daemon() as daemon:
        keys = {"listen": f"127.0.0.1:{free_port()}"}
        port = int(keys["listen"].rsplit(":", 1)[1])
        daemon.configure({"echo": keys, "upper": {"handler": "upper", "listen": f"127.0.0.1:{free_port()}"}})
        daemon.start()
        upper = daemon.listener("upper")
        with connect(port) as before:
            assert asks(before, b"hello") == b"hello"
            (old,) = daemon.sessions("echo")
            daemon.announce("configuration warning: .* sandbox: ")
            daemon.configure({"echo": dict(keys, sandbox="off"), "upper": {"handler": "upper", "listen": daemon.addresses["upper"][0]}})
            daemon.reload()
            assert daemon.listener("upper") == upper
            with connect(port) as after:
                assert asks(after, b"hello") == b"hello"
                (new,) = set(daemon.sessions("echo")) - {old}
                assert [status(pid)["Seccomp"] for pid in (old, new)] == ["2", "0"]


# What each handler that speaks HTTP answers with.
PAGES = {
    "http": {"/": 200, "/livez": 200, "/readyz": 200, "/metrics": 404, "/status.json": 404},
    "status": {"/": 200, "/?sessions=all": 200, "/status.json": 200, "/metrics": 200, "/livez": 200,
               "/readyz": 200, "/nothing": 404},
}
HANDLERS = ("echo", "upper", "next", "discard", "chargen", "daytime", "time", *PAGES)


def get(port, path):
    """The status and the body that a request of its own connection gets."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    head, _, body = exchange(port, request.encode()).partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def use(port, handler):
    """As its clients do. Returns how many connections that took."""
    if handler in PAGES:
        for path, expected in PAGES[handler].items():
            said, body = get(port, path)
            assert said == expected and body, (handler, path, said, body)
        return len(PAGES[handler])
    with connect(port) as client:
        if handler in ("echo", "upper", "next"):
            assert len(asks(client, b"hello")) == 5
        elif handler == "chargen":
            assert client.recv(10)
        elif handler == "discard":
            client.sendall(b"x" * 100000)
    return 1


@case("every handler serves under it, in both process models, with every key that costs a call", limit=240)
def handlers():
    for model in ("fork", "prefork"):
        with Daemon() as daemon:
            services = {name: {"handler": name, "listen": f"127.0.0.1:{free_port()}"} for name in HANDLERS}
            services["all"] = {
                "listen": f"127.0.0.1:{free_port()} unix:{daemon.path('echo')}",
                "delay": "1ms", "session_timeout": "20s", "rlimit_as": "2G" if not SANITIZED else "0",
                "hold_process": "10ms", "tcp_user_timeout": "0", "keepalive_time": "5s",
                "per_source": "1", "busy_message": "busy", "max_requests": "1", "rlimit_cpu": "10s",
            }
            daemon.configure(services, defaults={"process_model": model, "start_servers": "2"})
            daemon.start()
            ports = {name: int(keys["listen"].split()[0].rsplit(":", 1)[1]) for name, keys in services.items()}
            used = sum(use(ports[name], name) for name in HANDLERS)
            with connect(ports["all"]) as client:
                assert asks(client, b"hello") == b"hello"
                assert exchange(ports["all"]) == b"busy"
            with connect(f"unix:{daemon.path('echo')}") as client:
                assert asks(client, b"hello") == b"hello"
            daemon.expect(r"session end: .*", count=used + 2)


# What a kernel before 6.7 lacks of its own.
OLD_LANDLOCK = r"(landlock of .* \(version \d\), )?"


@case_of_strict("a kernel that lacks a part of it is told of once, and gets the rest", limit=240)
def lacking():
    if SANDBOX_OFF:
        raise Skip("the profile has no such part")
    gaps = {
        "landlock_create_ruleset": r"landlock \(ENOSYS\)",
        "landlock_create_ruleset=95": r"landlock \(EOPNOTSUPP\)",
        "landlock_restrict_self=1": r"landlock \(EPERM\)",
        "seccomp=22": rf"{OLD_LANDLOCK}seccomp \(EINVAL\)",
        "landlock_create_ruleset seccomp=22": r"landlock \(ENOSYS\), seccomp \(EINVAL\)",
    }
    for calls, words in gaps.items():
        with Daemon() as daemon:
            port = free_port()
            daemon.configure({"echo": {"listen": f"127.0.0.1:{port}"},
                              "upper": {"handler": "upper", "listen": f"127.0.0.1:{free_port()}"}})
            daemon.start(wrapper=[LACKING, *calls.split(), "--"])
            assert exchange(port, b"hello") == b"hello"
            daemon.expect(f"sandbox: strict, without {words}$")
            assert len(daemon.said("sandbox: strict, without")) == 1


def landlock_version():
    """What this kernel's Landlock can do (landlock(7)); 0: there is none."""
    create_ruleset, version = 444, 1
    return max(0, ctypes.CDLL(None).syscall(create_ruleset, None, 0, version))


@case_of_strict("where seccomp is missing, Landlock refuses files and ports, and the session lives on", limit=240)
def landlock():
    version = landlock_version()
    if SANDBOX_OFF or version == 0:
        raise Skip("TEST_SANDBOX=off" if SANDBOX_OFF else "this kernel has no Landlock")
    files = ("opens", "opens_folder", "creates")
    ports = {"connects_newly": errno.ECONNREFUSED, "binds_newly": 0}
    for gaps, of_files, of_ports in (
        ("seccomp=22", errno.EACCES, errno.EACCES if version >= 4 else None),
        ("seccomp=22 landlock_create_ruleset", 0, None),
    ):
        for model in ("fork", "prefork"):
            with Daemon() as daemon:
                place = Taken(daemon, start={"wrapper": [LACKING, *gaps.split(), "--"]}, process_model=model)
                expected = {**{word: of_files for word in files[: 2 if of_files == 0 else 3]},
                            **{word: of_ports or error for word, error in ports.items()}}
                for word, error in expected.items():
                    said, _ = place.act(word)
                    assert said.startswith(b"done ") and int(said.split()[-1]) == error, (word, said, error)
                    daemon.expect(r"session end: wild .*")
                assert exchange(place.echo, b"well") == b"well"
                daemon.check()


@case("a kernel without close_range serves under it", limit=240)
def without_close_range():
    for model in ("fork", "prefork"):
        with Daemon() as daemon:
            place = Taken(daemon, start={"wrapper": [LACKING, "close_range", "--"]}, process_model=model)
            for _ in range(3):
                assert exchange(place.echo, b"hello") == b"hello"
            place.expect_stopped([act for act in FILES if act[0] != "opens_folder"])


if __name__ == "__main__":
    run()
