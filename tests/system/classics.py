"""The four classics of doc/examples/classic.conf, as a client sees them."""

import os
import time

from clients import asks, connect, exchange, read_exactly, read_to_end
from harness import Daemon, free_port
from processes import wait_until
from programs import SOURCE
from tap import case, covers, expect_time, run, scaled


def start_classics(daemon):
    """The example as it is shipped; only [daemon] is told to keep to the test's directory."""
    daemon.file = os.path.join(SOURCE, "doc/examples/classic.conf")
    options = [f"-odaemon.{key}={value}" for key, value in daemon.own_options().items()]
    daemon.start(*options)


def ask_once(port, text):
    """What comes back until the end of the stream, without having closed anything."""
    with connect(port) as client:
        client.sendall(text)
        return read_to_end(client)


@case("6240: A comes back as B and the stream ends at once")
def next_answers():
    with Daemon() as daemon:
        start_classics(daemon)
        assert ask_once(6240, b"A") == b"B"
        # Its process stays for 5 s more.
        assert len(daemon.sessions("next")) == 1


@case("6240: the process stays for five seconds, in ps and among the instances")
def next_stays():
    with Daemon() as daemon:
        start_classics(daemon)
        begin = time.monotonic()
        assert ask_once(6240, b"A") == b"B"
        time.sleep(1)
        (session,) = daemon.processes("session", "next")
        assert session.title.startswith("forkechod: session next 127.0.0.1:"), session
        (listener,) = daemon.processes("listener", "next")
        assert listener.title == "forkechod: listener next [1/256]", listener
        daemon.wait_sessions(0, "next")
        expect_time(time.monotonic() - begin, 4.9, 5 + scaled(1))
        daemon.expect("session end: next .* served, 1 bytes in, 1 bytes out")


@case("a process that is held counts in `instances`: the next client waits for its place")
def held_counts():
    with Daemon() as daemon:
        daemon.announce("throttled begin: hold: instances")
        port = free_port()
        hold = {"listen": f"127.0.0.1:{port}", "handler": "next", "once": "yes"}
        daemon.configure({"hold": dict(hold, hold_process="3s", instances=1)})
        daemon.start()
        begin = time.monotonic()
        assert ask_once(port, b"A") == b"B"
        assert len(daemon.sessions("hold")) == 1
        assert ask_once(port, b"M") == b"N"
        expect_time(time.monotonic() - begin, 2.9, 3 + scaled(1))


@case("a process that is held ends at once when the daemon stops")
def held_ends():
    with Daemon() as daemon:
        port = free_port()
        hold = {"listen": f"127.0.0.1:{port}", "handler": "next", "once": "yes"}
        daemon.configure(
            {"hold": dict(hold, hold_process="100s")}, daemon={"graceful_timeout": "100s"}
        )
        daemon.start()
        assert ask_once(port, b"A") == b"B"
        daemon.wait_sessions(1, "hold")
        daemon.stop()


@case("5555: each message comes back a second later, whatever its alphabet")
def slow_answers():
    with Daemon() as daemon:
        start_classics(daemon)
        with connect(5555) as client:
            for text in ("hello", "žluťoučký kůň", "こんにちは 🐎\r\n"):
                begin = time.monotonic()
                assert asks(client, text.encode()) == text.encode()
                expect_time(time.monotonic() - begin, 0.99, 1 + scaled(0.5))


@case("5555: Bye ends the session unanswered")
def slow_says_bye():
    with Daemon() as daemon:
        start_classics(daemon)
        for bye in (b"Bye", b"Bye\n", b"Bye\r\n"):
            begin = time.monotonic()
            assert ask_once(5555, bye) == b""
            expect_time(time.monotonic() - begin, 0, scaled(0.5))
        daemon.expect("session end: slow .* client said quit", count=3)
        with connect(5555) as client:
            assert asks(client, b"Bye bye") == b"Bye bye"


@case("6666: one message comes back in capitals, then the stream ends")
def upper_answers():
    with Daemon() as daemon:
        start_classics(daemon)
        assert ask_once(6666, "hello, žluťoučký wörld 123\n".encode()) == (
            "HELLO, žLUťOUčKý WöRLD 123\n".encode()
        )


@covers("F35")
@case("6666: the daemon restarts on the port at once")
def upper_restarts():
    for _ in range(3):
        with Daemon() as daemon:
            start_classics(daemon)
            # The server closes first, so that its end waits in TIME_WAIT.
            assert ask_once(6666, b"again") == b"AGAIN"
            daemon.wait_sessions(0, "upper")
            daemon.stop()


@covers("F29")
@case("7777: 64 bytes sent as 64 segments come back, all and in order")
def plain_answers():
    sent = bytes(range(192, 256))
    with Daemon() as daemon:
        start_classics(daemon)
        with connect(7777) as client:
            for byte in sent:
                client.sendall(bytes([byte]))
                time.sleep(0.001)
            assert read_exactly(client, 64) == sent
        assert exchange(7777, sent) == sent


@case("ps shows a master, a listener for each service, and a session for each client")
def ps_shows_it():
    with Daemon() as daemon:
        start_classics(daemon)
        with connect(7777) as first, connect(5555) as second:
            wait_until("two sessions", lambda: len(daemon.sessions()) == 2)
            host, port = first.getsockname()
            wanted = [
                "forkechod: listener next [0/256]",
                "forkechod: listener plain [1/256]",
                "forkechod: listener slow [1/256]",
                "forkechod: listener upper [0/256]",
                "forkechod: master [4 services, 2 sessions]",
                f"forkechod: session plain {host}:{port}",
                "forkechod: session slow %s:%d" % second.getsockname(),
            ]
            wait_until(wanted, lambda: sorted(one.title for one in daemon.processes()) == wanted)


if __name__ == "__main__":
    run()
