"""SIGKILL and SIGSTOP, at random, to processes of every kind, while clients of every kind come and go.

The master is stopped as well, but killed only in the last case: nobody is above it. TEST_SECONDS in
the environment is how long (60), TEST_SEED repeats a run that failed.
"""

import contextlib
import json
import os
import random
import signal
import time

from clients import asks, connect, exchange
from crowd import Crowd
from harness import IS_ROOT, Daemon, free_port
from processes import daemon_processes, descriptors, reap_orphans, wait_until
from tap import case, covers, note, run

SECONDS = float(os.environ.get("TEST_SECONDS", "60"))
POOLS = {"pool": {"max_requests": 50}, "once": {"max_requests": 1}}
PROVOKED = (
    "listener died: service (echo|unix|pool|once): killed by signal 9",
    "listener stuck: service (echo|unix|pool|once)",
    "session error: .*: (died by a signal|unknown exit status|worker timeout)",
    "worker died: service (pool|once) ",
    "worker stuck: service (pool|once) ",
    "records dropped: ",
)


def serve(daemon, **options):
    """Starts services of both models; returns where they listen."""
    places = {name: free_port() for name in ("echo", *POOLS)}
    services = {name: {"listen": f"127.0.0.1:{port}"} for name, port in places.items()}
    pool = {"process_model": "prefork", "start_servers": 4, "max_spare": 8, "worker_timeout": "5s"}
    for name, keys in POOLS.items():
        services[name].update(pool, **keys)
    places["unix"] = f"unix:{daemon.path('socket')}"
    services["unix"] = {"listen": places["unix"]}
    services["status"] = {"handler": "status", "listen": f"unix:{daemon.path('status')}"}
    daemon.configure(services, daemon=options)
    daemon.start()
    return places


class Chaos:
    """Whoever sends the signals. `kills` has when each was, and to whose process."""

    def __init__(self, daemon, names, seed):
        self.daemon, self.names, self.chance = daemon, list(names), random.Random(seed)
        self.stopped = {}  # process → when it goes on
        self.left = {}  # processes that nobody lets go on → their services
        self.kills, self.sent = [], {}
        self.looked = time.monotonic()

    def count(self, what):
        self.sent[what] = self.sent.get(what, 0) + 1

    def send(self, pid, number):
        with contextlib.suppress(ProcessLookupError):
            self.daemon.kill(pid, number)

    def go_on(self, everybody=False):
        """Those whose time has come; and looks who of those that were left has been ended."""
        now = time.monotonic()
        for pid, when in list(self.stopped.items()):
            if everybody or when <= now:
                self.send(pid, signal.SIGCONT)
                del self.stopped[pid]
        living = {process.pid: process for process in self.daemon.processes()}
        for pid, service in list(self.left.items()):
            if pid not in living:
                self.kills.append((self.looked, service))
                del self.left[pid]
            elif "session" in living[pid].title and living[pid].ppid == self.daemon.pid:
                # Its listener is gone, and with it the watch over this process.
                self.stopped[pid] = now
                del self.left[pid]
        self.looked = now

    def hit(self):
        """One process, of a service and a kind."""
        service = self.chance.choice(self.names)
        kind = self.chance.choices(("session", "listener", "master"), (12, 3, 1))[0]
        found = self.daemon.processes(kind, None if kind == "master" else service)
        if kind == "listener":  # and no session that was just forked, which has its title
            found = [process for process in found if process.ppid == self.daemon.pid]
        victims = [process.pid for process in found if process.pid not in self.left]
        if not victims:
            return
        pid, fate = self.chance.choice(victims), self.chance.random()
        if fate < 0.4 and kind != "master":
            self.count(f"{kind}s killed")
            self.kills.append((time.monotonic(), service))
            self.send(pid, signal.SIGKILL)
        elif fate < 0.5 and (kind == "listener" or service in POOLS) and kind != "master":
            # worker_timeout, or the watch over listeners, has to find it out.
            self.count(f"{kind}s left stopped")
            self.left[pid] = service
            self.stopped.pop(pid, None)
            self.send(pid, signal.SIGSTOP)
        else:
            self.count(f"{kind}s stopped")
            self.stopped[pid] = time.monotonic() + self.chance.uniform(0, 1.5)
            self.send(pid, signal.SIGSTOP)

    def rage(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.hit()
            self.go_on()
            time.sleep(self.chance.uniform(0, 0.3))
        wait_until("who was left stopped has been ended", self.nobody_left)

    def nobody_left(self):
        self.go_on(everybody=True)
        return not self.left and not self.stopped


def held(daemon):
    """What the master has open, by kind."""
    if not IS_ROOT:
        return None
    return sorted(kind.split(":")[0] for kind in descriptors(daemon.pid).values())


def expect_whole(daemon, places):
    """Every service has one listener and answers; the board shows the processes that there are."""
    wait_until(
        "each service has one listener",
        lambda: len(daemon.processes("listener")) == len(places) + 1,
        seconds=15,
    )
    with contextlib.ExitStack() as crowd:
        for where in places.values():
            for _ in range(3):
                assert asks(crowd.enter_context(connect(where)), b"hello") == b"hello"

        def agree():
            code, text = daemon.control("list", "-j", "-S", f"unix:{daemon.path('status')}")
            shown = [row["pid"] for row in json.loads(text) if row["service"] != "status"]
            return code == 0 and sorted(shown) == sorted(daemon.sessions())

        # A listener may be behind its sessions.
        wait_until("the board has the sessions that ps has", agree)
    daemon.wait_sessions(0)
    daemon.expect_no_zombie()
    daemon.check()


@covers("F16", "F17", "F20", "F64")
@case("60 seconds of SIGKILL and SIGSTOP under load: then all is whole, and only who was hit has lost",
      limit=SECONDS + 90)
def sixty_seconds():
    seed = os.environ.get("TEST_SEED") or os.urandom(4).hex()
    note(f"TEST_SEED={seed}")
    with Daemon() as daemon:
        daemon.announce(*PROVOKED)
        places = serve(daemon)
        expect_whole(daemon, places)
        before, chaos = held(daemon), Chaos(daemon, places, seed)
        with Crowd(places, hold=10) as crowd:
            chaos.rage(SECONDS)
            talk = crowd.finish()
        note(", ".join(f"{number} {what}" for what, number in sorted(chaos.sent.items())))
        note(talk)
        assert talk.clients > SECONDS, talk
        assert not talk.unexplained(chaos.kills), talk.unexplained(chaos.kills)
        daemon.wait_sessions(0)
        expect_whole(daemon, places)
        assert held(daemon) == before, (held(daemon), before)


@covers("F20", "F40")
@case("the master killed at random moments under load: all of it ends, and the next start serves",
      limit=240)
def master_too():
    chance = random.Random()
    for _ in range(5):
        with Daemon() as daemon:
            places = serve(daemon, graceful_timeout="1s")
            with Crowd(places, hold=10):
                time.sleep(chance.uniform(0, 1))
                daemon.kill(daemon.pid)
                daemon.command.wait()
                daemon.pid = None
                if chance.random() < 0.5:  # while old sessions still have their time
                    wait_until("all have gone", all_gone)
                daemon.start()
                for where in places.values():
                    assert exchange(where, b"hello") == b"hello"
                wait_until("the old ones have gone", lambda: only_of(daemon))
            daemon.wait_sessions(0)
            daemon.check()


def all_gone():
    reap_orphans()
    return not daemon_processes()


def only_of(daemon):
    """Whether every process is the new daemon's."""
    reap_orphans(spare=[daemon.pid])
    mine = {process.pid for process in daemon_processes(daemon.pid)} | {daemon.pid}
    return all(process.pid in mine for process in daemon_processes())


if __name__ == "__main__":
    run()
