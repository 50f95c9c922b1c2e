"""The end of the daemon: in order, in time, and with nothing left behind."""

import contextlib
import fcntl
import os
import pty
import signal
import termios
import time

from clients import asks, connect, exchange, is_refused, read_to_end
from harness import Daemon, free_port
from processes import wait_until
from tap import case, covers, expect_time, run, scaled


def serve(daemon, grace="2s", **keys):
    """Starts echo on a port of its own and on a Unix socket; returns the port."""
    port = configure(daemon, grace, **keys)
    daemon.start()
    return port


def configure(daemon, grace, port=None, **keys):
    port = port or free_port()
    listen = {"listen": f"127.0.0.1:{port} unix:{daemon.path('socket')}"}
    daemon.configure({"echo": dict(listen, **keys)}, daemon={"graceful_timeout": grace})
    return port


def expect_end(daemon, begin, least, most):
    """It ends in order so long after `begin`, and leaves nothing."""
    status = daemon.wait_end()
    took = time.monotonic() - begin
    assert status == 0, status
    expect_nothing_left(daemon)
    expect_time(took, least, most)


def expect_nothing_left(daemon):
    daemon.expect_nothing_left()
    left = set(os.listdir(daemon.directory)) - {"forkechod.conf"}
    assert not left, left


def crowd_of(crowd, port, count):
    """Clients that are being served, and stay until the crowd leaves."""
    clients = [crowd.enter_context(connect(port)) for _ in range(count)]
    for client in clients:
        assert asks(client, b"hello") == b"hello"
    return clients


# ---- the signals --------------------------------------------------------------------------------


@covers("F58")
@case("TERM: nobody new comes in, sessions go on, and with the last one the daemon ends")
def term_waits():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, grace="100s")
        clients = crowd_of(crowd, port, 3)
        daemon.kill(daemon.pid, signal.SIGTERM)
        wait_until("the port is closed", lambda: is_refused(port))
        daemon.expect("stop: .* sessions?, which may finish")
        assert is_refused(f"unix:{daemon.path('socket')}")
        for client in clients:
            assert asks(client, b"still here") == b"still here"
        for client in clients[1:]:
            client.close()
        assert asks(clients[0], b"alone") == b"alone"
        begin = time.monotonic()
        clients[0].close()
        expect_end(daemon, begin, 0, scaled(0.5))
        assert "stopped" in daemon.log.lines[-1], daemon.log.lines[-1]


@covers("F58")
@case("sessions that do not finish are ended after graceful_timeout, and the log says by whom")
def term_ends():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, grace="1s")
        clients = crowd_of(crowd, port, 5)
        begin = time.monotonic()
        daemon.kill(daemon.pid, signal.SIGTERM)
        for client in clients:
            assert read_to_end(client) == b""
        expect_end(daemon, begin, 1, 1 + scaled(0.5))
        daemon.expect("session end: echo .*: daemon stopped, 5 bytes in, 5 bytes out", count=5)


@covers("F59")
@case("a second TERM ends the wait")
def second_term():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, grace="100s")
        clients = crowd_of(crowd, port, 3)
        daemon.kill(daemon.pid, signal.SIGTERM)
        daemon.expect("stop: ")
        assert asks(clients[0], b"still here") == b"still here"
        begin = time.monotonic()
        daemon.kill(daemon.pid, signal.SIGTERM)
        expect_end(daemon, begin, 0, scaled(0.5))
        for client in clients:
            assert read_to_end(client) == b""


@case("INT and QUIT end everything at once")
def at_once():
    for number in (signal.SIGINT, signal.SIGQUIT):
        with Daemon() as daemon, contextlib.ExitStack() as crowd:
            port = serve(daemon, grace="100s")
            clients = crowd_of(crowd, port, 3)
            begin = time.monotonic()
            daemon.kill(daemon.pid, number)
            expect_end(daemon, begin, 0, scaled(0.5))
            daemon.expect("stop: .* sessions?, ended at once")
            for client in clients:
                assert read_to_end(client) == b""


@case("without clients it is gone at once, in the foreground and detached")
def idle():
    for start in (Daemon.start, Daemon.detach):
        with Daemon() as daemon:
            configure(daemon, "100s")
            start(daemon)
            begin = time.monotonic()
            daemon.kill(daemon.pid, signal.SIGTERM)
            expect_end(daemon, begin, 0, scaled(0.5))


@case("graceful_timeout = 0 ends sessions with the first TERM")
def no_grace():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, grace="0")
        crowd_of(crowd, port, 3)
        begin = time.monotonic()
        daemon.kill(daemon.pid, signal.SIGTERM)
        expect_end(daemon, begin, 0, scaled(0.5))


# ---- who is in the way --------------------------------------------------------------------------


@covers("F58")
@case("clients that were connected, but not accepted yet, are served before the end")
def queue_is_emptied():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, grace="100s")
        exchange(port, b"warm")
        listener = daemon.listener()
        daemon.kill(listener, signal.SIGSTOP)
        waiting = [crowd.enter_context(connect(port)) for _ in range(50)]
        waiting += [
            crowd.enter_context(connect(f"unix:{daemon.path('socket')}")) for _ in range(50)
        ]
        daemon.kill(daemon.pid, signal.SIGTERM)
        daemon.expect("stop: ")
        daemon.kill(listener, signal.SIGCONT)
        for number, client in enumerate(waiting):
            text = b"client %d" % number
            assert asks(client, text) == text
            client.close()
        assert daemon.wait_end() == 0
        expect_nothing_left(daemon)


@covers("F17")
@case("a session that somebody stopped (SIGSTOP) does not hold up the end")
def stopped_session():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, grace="500ms")
        crowd_of(crowd, port, 3)
        daemon.kill(daemon.sessions()[0], signal.SIGSTOP)
        begin = time.monotonic()
        daemon.kill(daemon.pid, signal.SIGTERM)
        expect_end(daemon, begin, 0.5, 0.5 + scaled(1))
        daemon.expect("session end: echo .*: daemon stopped", count=2)


@case("a listener that somebody stopped does not hold up the end, and its sessions are ended too")
def stopped_listener():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, grace="500ms")
        crowd_of(crowd, port, 3)
        daemon.kill(daemon.listener(), signal.SIGSTOP)
        begin = time.monotonic()
        daemon.kill(daemon.pid, signal.SIGTERM)
        expect_end(daemon, begin, 0.5, 0.5 + scaled(1))


@case("sessions of a listener that is dead already may finish too, and are ended in time")
def orphans():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce("listener died")
        port = serve(daemon, grace="3s")
        clients = crowd_of(crowd, port, 3)
        daemon.kill(daemon.listener())
        daemon.expect("listener restarted")
        begin = time.monotonic()
        daemon.kill(daemon.pid, signal.SIGTERM)
        daemon.expect("stop: 3 sessions, which may finish")
        assert asks(clients[0], b"still here") == b"still here"
        expect_end(daemon, begin, 3, 3 + scaled(0.5))
        daemon.expect("session end: echo .*: daemon stopped", count=3)


@case("pkill -HUP, which reaches every one of its processes, loses no session")
def hang_up_all():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon)
        clients = crowd_of(crowd, port, 5)
        before = sorted(process.pid for process in daemon.processes())
        for _ in range(5):
            daemon.mark()
            for pid in before:
                daemon.kill(pid, signal.SIGHUP)
            daemon.expect("reload ok")
        for client in clients:
            assert asks(client, b"still here") == b"still here"
        assert sorted(process.pid for process in daemon.processes()) == before
        assert exchange(port, b"new") == b"new"


@case("Ctrl-C at its terminal ends the daemon in the foreground, with all of its sessions")
def control_c():
    keyboard, terminal = pty.openpty()

    def take_terminal():
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

    try:
        with Daemon() as daemon, contextlib.ExitStack() as crowd:
            port = configure(daemon, "100s")
            daemon.start(start_new_session=True, preexec_fn=take_terminal)
            clients = crowd_of(crowd, port, 3)
            begin = time.monotonic()
            os.write(keyboard, b"\x03")
            for client in clients:
                assert read_to_end(client) == b""
            expect_end(daemon, begin, 0, scaled(0.5))
            daemon.expect("session end: echo .*: daemon stopped", count=3)
    finally:
        os.close(keyboard)
        os.close(terminal)


if __name__ == "__main__":
    run()
