"""What befalls a daemon while it is soaked: one act a second, in an order of chance."""

import contextlib
import random
import signal
import time

from clients import exchange
from crowd import kill
from harness import free_port, limit_descriptors
from processes import status
from tap import note

# Lines of the log that the acts provoke, and no others.
PROVOKED = (
    "listener died: service (changing|pool): killed by signal 9",
    "session error: .*: (died by a signal|unknown exit status)",
    "worker died: service (pool|once) .*: killed by signal 9",
    "reload mistake: .* hander: no such key",
    "reload rejected: 1 mistake",
    "throttled begin: echo: descriptors",
    "log dropped: ",
    "records dropped: ",
)


class Patient:
    """A daemon with a service of each kind, and everything that is done to it.

    echo, once, http, status and unix keep their listeners; those of changing and pool are killed,
    and changing is configured anew. `losses` has whose processes were killed with a client."""

    def __init__(self, daemon, journal, upgrades, seed):
        self.daemon, self.journal, self.chance = daemon, journal, random.Random(seed)
        self.ports = {name: free_port() for name in ("echo", "changing", "pool", "once", "http")}
        self.status = daemon.path("status")
        self.losses, self.killed = [], 0
        self.done, self.turns, self.longest = {}, 0, 0
        self.acts = [
            *[self.reload] * 4, *[self.hang_up] * 2, self.mistake,
            *[self.kill_session] * 4, *[self.kill_worker] * 3, *[self.kill_listener] * 2,
            *[self.hold_session] * 2, self.hold_worker, self.hold_listener, self.hold_master,
            self.starve, self.pause, self.scale, self.look, self.state,
        ]
        if journal:
            self.acts += [self.journal_stalls, self.journal_vanishes, self.journal_restarts]
        if upgrades:
            self.acts += [self.upgrade]
        self.bag = []

    @property
    def places(self):
        return dict(self.ports, unix=f"unix:{self.daemon.path('socket')}")

    def configure(self, word="handler"):
        """The next of the configurations in turn; they differ in the service changing."""
        self.turns += 1
        listen = {name: f"127.0.0.1:{port}" for name, port in self.ports.items()}
        pool = {"process_model": "prefork", "start_servers": 4, "max_spare": 8}
        self.daemon.configure(
            {
                "echo": {"listen": listen["echo"], word: "echo"},
                "changing": {"listen": listen["changing"], "instances": 200 + self.turns % 2},
                "pool": dict(pool, listen=listen["pool"], max_requests=100),
                "once": dict(pool, listen=listen["once"], max_requests=1),
                "http": {"listen": listen["http"], "handler": "http"},
                "unix": {"listen": f"unix:{self.daemon.path('socket')}"},
                "status": {"listen": f"unix:{self.status}", "handler": "status"},
            },
            daemon={"log_type": "journal" if self.journal else "stderr"},
        )

    def befall(self):
        """The next act; every act comes as often as any other."""
        if not self.bag:
            self.bag = list(self.acts)
            self.chance.shuffle(self.bag)
        act = self.bag.pop()
        try:
            act()
        except BaseException:
            note(f"in {act.__name__}, number {sum(self.done.values())}")
            raise
        self.done[act.__name__] = self.done.get(act.__name__, 0) + 1

    def command(self, *words, expected=0):
        got, text = self.daemon.control(*words)
        assert got == expected, (words, got, text)
        return text

    # ---- what the operator does -----------------------------------------------------------------

    def reload(self):
        self.configure()
        self.command("reload")

    def hang_up(self):
        self.configure()
        for _ in range(5):
            self.daemon.kill(self.daemon.pid, signal.SIGHUP)

    def mistake(self):
        self.configure(word="hander")
        assert "hander" in self.command("reload", expected=1)
        self.reload()

    def pause(self):
        self.command("pause", "changing")
        time.sleep(0.3)
        self.command("resume", "changing")

    def scale(self):
        self.command("scale", "pool", str(self.chance.randint(2, 8)))
        time.sleep(0.5)
        self.command("scale", "pool", "auto")

    def look(self):
        assert "changing" in self.command("status", "-S", f"unix:{self.status}")
        assert "CLIENT" in self.command("list", "-S", f"unix:{self.status}")

    def state(self):
        self.daemon.kill(self.daemon.pid, signal.SIGUSR1)

    def upgrade(self):
        assert self.command("upgrade") == "upgraded\n"

    # ---- what an accident does ------------------------------------------------------------------

    def sessions(self, *services):
        """Process and service of each session, and of each process of a pool."""
        found = [(process.pid, service) for service in services
                 for process in self.daemon.processes("session", service)]
        return self.chance.sample(found, len(found))

    def kill(self, pid, service):
        self.losses += kill(self.daemon, pid, service)
        self.killed += 1

    def kill_session(self):
        for pid, service in self.sessions("echo", "changing", "unix")[:1]:
            self.kill(pid, service)

    def kill_worker(self):
        for pid, service in self.sessions("pool", "once")[:1]:
            self.kill(pid, service)

    def kill_listener(self):
        service = self.chance.choice(("changing", "pool"))
        found = self.daemon.processes("listener", service)
        if found:
            self.kill(self.chance.choice(found).pid, service)
        time.sleep(0.2)
        assert exchange(self.ports[service], b"hello") == b"hello"

    def note_delay(self, took):
        """On a machine that lets nobody run for so long, a listener is rightly taken for dead."""
        self.longest = max(self.longest, took)
        if took > 5:
            self.daemon.announce("listener stuck: ", "listener died: service")

    def hold(self, pid, seconds):
        """SIGSTOP, and SIGCONT later."""
        with contextlib.suppress(ProcessLookupError):
            begin = time.monotonic()
            self.daemon.kill(pid, signal.SIGSTOP)
            time.sleep(seconds)
            self.daemon.kill(pid, signal.SIGCONT)
            self.note_delay(time.monotonic() - begin)

    def hold_session(self):
        for pid, _ in self.sessions("echo", "changing", "unix")[:1]:
            self.hold(pid, 0.5)

    def hold_worker(self):
        for pid, _ in self.sessions("pool", "once")[:1]:
            self.hold(pid, 0.5)

    def hold_listener(self):
        self.hold(self.chance.choice(self.daemon.processes("listener")).pid, 0.5)

    def hold_master(self):
        self.hold(self.daemon.pid, 0.5)

    def starve(self):
        """No further descriptor for the listener of echo, for half a second."""
        found = self.daemon.processes("listener", "echo")
        if len(found) == 1 and status(found[0].pid):
            before = limit_descriptors(found[0].pid, None)
            time.sleep(0.5)
            limit_descriptors(found[0].pid, before)

    # ---- what journald does ---------------------------------------------------------------------

    def journal_stalls(self):
        self.journal.stall()
        time.sleep(2)
        self.journal.resume()

    def journal_vanishes(self):
        self.journal.vanish()
        time.sleep(0.5)
        self.journal.appear()

    def journal_restarts(self):
        self.journal.appear()


