"""A session that writes over all the memory it can: the others, its listener and the master live."""

import os
import time

from clients import asks, connect, exchange, read_exactly
from harness import Daemon, free_port
from processes import wait_until
from programs import BUILD
from shown import Shown
from tap import case, covers, expect_time, run, scaled

SCRIBBLER = os.path.join(BUILD, "tests/system/listener-scribbling")
SEEDS = (0, 255, 1, 7)


def orders(client, words):
    """Whether it has done what was asked."""
    client.sendall(words)
    return read_exactly(client, 4) == b"done"


class Scribbled:
    """A daemon with an echo service and one whose handler writes over memory."""

    def __init__(self, daemon, **keys):
        self.daemon, self.echo, self.wild = daemon, free_port(), free_port()
        keys |= daemon.sandbox(off=True)  # the handler opens a file to find its memory
        daemon.configure(
            {
                "echo": dict({"listen": f"127.0.0.1:{self.echo}"}, **keys),
                "wild": dict({"listen": f"127.0.0.1:{self.wild}", "handler": "discard"}, **keys),
            },
            daemon={"graceful_timeout": "0"},
        )
        daemon.start(
            env=dict(os.environ, FORKECHOD_LISTENER=SCRIBBLER, ASAN_OPTIONS="handle_segv=0")
        )
        self.processes = self.pids()

    def pids(self):
        return [self.daemon.pid, self.daemon.listener("echo"), self.daemon.listener("wild")]

    def expect_all_well(self, client):
        assert self.pids() == self.processes
        assert asks(client, b"still here") == b"still here"
        assert exchange(self.echo, b"new") == b"new"
        assert self.daemon.control("reload")[0] == 0
        assert exchange(self.echo, b"again") == b"again"
        self.processes = self.pids()


@case("what sessions share is written over: everybody else lives, and knows whom it serves")
def shared_memory():
    with Daemon() as daemon:
        # Those that wrote are there until the stop, which may have to kill them on a busy machine.
        daemon.announce("session error: wild .*: (unknown exit status|died by a signal 9)")
        place = Scribbled(daemon)
        for seed in SEEDS:
            with connect(place.echo) as client, connect(place.wild) as wild:
                asks(client, b"before")
                assert orders(wild, b"shared %d" % seed)
                place.expect_all_well(client)


@covers("F16")
@case("a session that writes over everything dies of it, alone, and its line has its client")
def everything():
    with Daemon() as daemon:
        place = Scribbled(daemon)
        daemon.announce("session error: wild 127.0.0.1:")
        for seed in SEEDS:
            with connect(place.echo) as client, connect(place.wild) as wild:
                asks(client, b"before")
                daemon.mark()
                assert orders(wild, b"all %d" % seed)
                daemon.expect(rf"session error: wild 127\.0\.0\.1:{wild.getsockname()[1]} .*died by")
                place.expect_all_well(client)
        wait_until("no session is left", lambda: not daemon.sessions())


@case("whoever looks at the daemon meanwhile is told whose numbers are not to be believed")
def shown():
    with Daemon() as daemon:
        daemon.announce("session error: wild .*died by")
        os.environ["FORKECHOD_LISTENER"], own = SCRIBBLER, os.environ["FORKECHOD_LISTENER"]
        try:
            page = Shown(daemon, {"wild": dict(daemon.sandbox(off=True), listen="127.0.0.1:0", handler="discard"),
                                  "echo": {"listen": "127.0.0.1:0"}})
        finally:
            os.environ["FORKECHOD_LISTENER"] = own
        echo, place = daemon.addresses["echo"][0], daemon.addresses["wild"][0]
        for seed in SEEDS:
            with connect(echo) as before, connect(place) as neighbour, connect(place) as wild:
                assert asks(before, b"well") == b"well"
                assert orders(wild, b"shared %d" % seed)
                sessions = page.sessions("wild")  # whose rows lie side by side
                assert all(one["torn"] and one["state"] == "unknown" for one in sessions), sessions
                clients = {"%s:%d" % client.getsockname() for client in (neighbour, wild)}
                assert {one["client"] for one in sessions} == clients, sessions
                page.metrics()
                assert page.get().count("</html>") == 1
                with connect(echo) as client:
                    assert asks(client, b"well") == b"well"
                    assert asks(before, b"still") == b"still"
                    assert [one["torn"] for one in page.sessions("echo")] == [False, False]
                for one in sessions:
                    daemon.kill(one["pid"])
            wait_until("all were waited for", lambda: not page.sessions("wild") + page.sessions("echo"))


@covers("F17")
@case("a pool's process that hangs is ended after worker_timeout, named with its client, and replaced")
def hanging():
    with Daemon() as daemon:
        place = Scribbled(
            daemon, process_model="prefork", start_servers=3, max_spare=10, worker_timeout="3s"
        )
        daemon.announce("worker stuck: service wild", "session error: wild 127.0.0.1:")
        with connect(place.echo) as client, connect(place.wild) as wild:
            asks(client, b"before")
            wild.sendall(b"hang")
            daemon.expect(r"worker stuck: service wild \[\d+\]: its client is 127\.0\.0\.1:")
            daemon.expect(
                rf"session error: wild 127\.0\.0\.1:{wild.getsockname()[1]} .*: worker timeout"
            )
            assert asks(client, b"still here") == b"still here"
        wait_until(
            "the pool is whole", lambda: len(daemon.processes("session", "wild")) == 3, seconds=5
        )
        daemon.check()


@covers("F17")
@case("a session that hangs is ended by session_timeout, whatever it does")
def hanging_session():
    with Daemon() as daemon:
        place = Scribbled(daemon, session_timeout="1s")
        begin = time.monotonic()
        with connect(place.wild) as wild:
            wild.sendall(b"hang")
            daemon.expect(r"session end: wild .*: session timeout")
            took = time.monotonic() - begin
            expect_time(took, 0.9, 1 + scaled(1))
        daemon.check()


@case("a pool's process writes over what it shares: the others serve on")
def shared_in_a_pool():
    with Daemon() as daemon:
        place = Scribbled(daemon, process_model="prefork", start_servers=3, max_spare=10)
        daemon.announce("session error: wild 127.0.0.1:", "worker died: service wild")
        for seed in SEEDS:
            with connect(place.echo) as client, connect(place.wild) as wild:
                asks(client, b"before")
                assert orders(wild, b"shared %d" % seed)
                place.expect_all_well(client)


if __name__ == "__main__":
    run()
