"""SIGKILL and SIGSTOP, at random, to processes of every kind, while clients of every kind come and go.

Who was stopped goes on, or is left so until the daemon ends him. A master that was killed is started
again. TEST_SECONDS in the environment is how long (60), TEST_SEED repeats a run that failed.
"""

import collections
import contextlib
import json
import os
import random
import signal
import sys
import time

from clients import connect, connected, is_refused
from crowd import Crowd, Loss, gets, kill
from harness import IS_ROOT, Daemon, descriptors_at_rest, free_port
from processes import daemon_processes, has_client, reap_orphans, wait_stopped, wait_until
from tap import case, covers, note, run, scaled

SECONDS = float(os.environ.get("TEST_SECONDS", "60"))
POOLS = {"pool": {"max_requests": 50}, "once": {"max_requests": 1}}
PROVOKED = (
    "listener died: service .*: killed by signal 9",
    "listener stuck: service ",
    "session error: .*: (died by a signal|unknown exit status|worker timeout)",
    "worker died: service (pool|once) ",
    "worker stuck: service (pool|once) ",
    "records dropped: ",
)
# Kind of process → what befalls it, and how often in one round: for each service, and for the master.
FATES = {
    "session": {"killed": 3, "stopped": 2},
    "worker": {"killed": 3, "stopped": 2, "left stopped": 1},
    "listener": {"killed": 1, "stopped": 1, "left stopped": 1},
    "master": {"killed": 1, "stopped": 3},
}
MASTER_KILLED = ("master", None, "killed")
NEVER = float("inf")
SEAT = "anon_inode:[eventpoll]"
TOO_LONG = 3  # seconds after which worker_timeout may get even one that has just gone on


def serve(daemon):
    """Starts services of both models, and status; returns where they listen."""
    places = {name: free_port() for name in ("echo", *POOLS)}
    places = {name: f"127.0.0.1:{port}" for name, port in places.items()}
    places |= {name: f"unix:{daemon.path(name)}" for name in ("unix", "status")}
    services = {name: {"listen": where} for name, where in places.items()}
    pool = {"process_model": "prefork", "start_servers": 4, "max_spare": 8, "worker_timeout": "5s"}
    for name, keys in POOLS.items():
        services[name].update(pool, **keys)
    services["status"]["handler"] = "status"
    daemon.configure(services, daemon={"graceful_timeout": "1s"}, defaults=daemon.visible())
    daemon.start()
    return places


class Stop(collections.namedtuple("Stop", "service busy since until")):
    """Of a process that stands still: whether it has a client in hand, since when, until when."""


class Chaos:
    """Whoever sends the signals. `losses` has which processes were lost with a client in hand."""

    def __init__(self, daemon, places, seed):
        self.daemon, self.places, self.chance = daemon, places, random.Random(seed)
        self.stops, self.losses = {}, []  # process → its Stop
        self.round, self.sent = [], collections.Counter()
        self.due = set(self.new_round())  # what has befallen nobody so far
        self.looked = time.monotonic()

    def new_round(self):
        """All that befalls a kind of process of a service, in an order of chance."""
        kinds = [("master", None)]
        for service in self.places:
            kinds += [("listener", service), ("worker" if service in POOLS else "session", service)]
        acts = [(kind, service, fate) for kind, service in kinds
                for fate, count in FATES[kind].items() for _ in range(count)]
        return self.chance.sample(acts, len(acts))

    def look(self, due):
        """Lets those go on who stand still until `due`, and sees who has been ended."""
        now = time.monotonic()
        living = {process.pid: process for process in self.daemon.processes()}
        for pid, stop in list(self.stops.items()):
            process = living.get(pid)
            # Its listener is gone, and with it the watch over this process.
            orphan = process and "session" in process.title and process.ppid == self.daemon.pid
            if process and not orphan and stop.until > due:
                continue
            with contextlib.suppress(ProcessLookupError):
                self.daemon.kill(pid, signal.SIGCONT)
            if stop.busy and (not process or now - stop.since > TOO_LONG):
                self.losses.append(Loss(stop.service, max(self.looked, stop.since), now))
            del self.stops[pid]
        self.looked = now

    def stop(self, pid, service, until):
        since = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            self.daemon.kill(pid, signal.SIGSTOP)
            busy = wait_stopped(pid) and has_client(pid)
            self.stops[pid] = Stop(service, busy, since, until)

    def restart(self):
        """The master dies and is started again, half the time while old sessions still have theirs."""
        daemon, log, begin = self.daemon, self.daemon.log, time.monotonic()
        daemon.kill(daemon.pid)
        daemon.command.wait()
        daemon.command.stdout.close()
        self.look(NEVER)
        wait_until("its ports are closed", lambda: all(map(is_refused, self.places.values())))
        if self.chance.random() < 0.5:
            wait_until("all have gone", all_gone)
        daemon.start()
        expect_answers(self.places)
        wait_until("the old ones have gone", lambda: only_of(daemon))
        self.losses.append(Loss(None, begin, time.monotonic()))
        log.finish()
        daemon.log.lines[:0] = log.lines

    def victims(self, kind, service):
        if kind == "master":
            return [self.daemon.pid]
        found = self.daemon.processes("listener" if kind == "listener" else "session", service)
        if kind == "listener":  # and no session that was just forked, which has its title
            found = [process for process in found if process.ppid == self.daemon.pid]
        return [process.pid for process in found]

    def hit(self, act):
        """Whether anybody was there."""
        kind, service, fate = act
        victims = [pid for pid in self.victims(kind, service) if pid not in self.stops]
        if not victims:
            return False
        pid = self.chance.choice(victims)
        if fate == "stopped":
            self.stop(pid, service, time.monotonic() + self.chance.uniform(0, 1.5))
        elif fate == "left stopped":  # worker_timeout, or the watch over listeners, finds it out
            self.stop(pid, service, NEVER)
        elif kind == "master":
            self.restart()
        else:
            self.losses += kill(self.daemon, pid, service)
        self.sent[f"{kind}s {fate}"] += 1
        self.due.discard(act)
        return True

    def rage(self, seconds):
        """So long, and on until everything has befallen everybody. The last third is one master's,
        which has time to leak."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end or self.due:
            assert now < end + scaled(60), f"nobody was there for {self.due}"
            self.round = self.round or self.new_round()
            act = self.round.pop()
            late = now > end - seconds / 3 and act == MASTER_KILLED and act not in self.due
            if not late and not self.hit(act):
                self.round.insert(0, act)
            self.look(time.monotonic())
            time.sleep(self.chance.uniform(0, 0.3))
        wait_until("who was left stopped has been ended", self.nobody_left)

    def nobody_left(self):
        self.look(sys.float_info.max)
        return not self.stops


def held(daemon):
    """What master and listeners have open while they wait: kinds, and folders of files. Of a pool, which is
    now larger and now smaller, its keeper has a seat for each process: those are left out, and no more."""
    looked_at = {process.title.split()[2]: process.pid for process in daemon.processes("listener")}
    if IS_ROOT:
        looked_at["master"] = daemon.pid
    found = {}
    for name, pid in looked_at.items():
        names = list(descriptors_at_rest(pid).values())
        for _ in daemon.processes("session", name):
            if SEAT in names:
                names.remove(SEAT)
        found[name] = sorted(os.path.dirname(what) or what.split(":")[0] for what in names)
    return found


def expect_answers(places):
    """Each service serves."""
    for name, where in places.items():
        with contextlib.ExitStack() as crowd:
            if name == "status":
                assert gets(crowd.enter_context(connect(where)))
            else:
                connected(crowd, where)


def expect_whole(daemon, places):
    """Every service has one listener and answers; the board shows the processes that there are."""
    wait_until(
        "each service has one listener",
        lambda: len(daemon.processes("listener")) == len(places),
        seconds=15,
    )
    with contextlib.ExitStack() as crowd:
        for name, where in places.items():
            if name != "status":
                connected(crowd, where, 3)

        def agree():
            code, text = daemon.control("list", "-j", "-S", places["status"])
            shown = [row["pid"] for row in json.loads(text) if row["service"] != "status"]
            return code == 0 and sorted(shown) == sorted(daemon.sessions())

        # A listener may be behind its sessions.
        wait_until("the board has the sessions that ps has", agree)
    daemon.wait_sessions(0)
    daemon.expect_no_zombie()
    daemon.check()


@covers("F16", "F17", "F20", "F40", "F64")
@case("60 seconds of SIGKILL and SIGSTOP under load: then all is whole, and only who was hit has lost",
      limit=SECONDS + 240)
def sixty_seconds():
    seed = os.environ.get("TEST_SEED") or os.urandom(4).hex()
    note(f"TEST_SEED={seed}")
    with Daemon() as daemon:
        daemon.announce(*PROVOKED)
        places = serve(daemon)
        expect_whole(daemon, places)
        before, chaos = held(daemon), Chaos(daemon, places, seed)
        begin = time.monotonic()
        with Crowd(places, hold=10) as crowd:
            chaos.rage(SECONDS)
            talk = crowd.finish()
        took = time.monotonic() - begin
        note(", ".join(f"{number} {what}" for what, number in sorted(chaos.sent.items())))
        note(f"{took:.0f} s: {talk}; {len(chaos.losses)} losses")
        assert not talk.unexplained(chaos.losses), talk.unexplained(chaos.losses)
        assert (talk.clients - len(talk.failures)) * scaled(1) > 20 * took, talk
        daemon.wait_sessions(0)
        expect_whole(daemon, places)
        after = held(daemon)
        assert after == before, (after, before)


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
