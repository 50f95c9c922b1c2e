"""The drain: what a daemon does from SIGTERM to its end, and when."""

import contextlib
import signal
import time

from clients import asks, connect, exchange, is_refused, read_to_end
from harness import Daemon, free_port
from processes import wait_until
from tap import case, expect_time, run, scaled


def configure(daemon, port, delay, grace="100s", **keys):
    health = {"handler": "http", "listen": f"unix:{daemon.path('health')}"}
    daemon.configure(
        {"echo": dict({"listen": f"127.0.0.1:{port}"}, **keys), "health": health},
        daemon={"drain_delay": delay, "graceful_timeout": grace},
    )


def serve(daemon, delay, grace="100s", **keys):
    """Starts echo and a service that answers health checks; returns echo's port."""
    port = free_port()
    configure(daemon, port, delay, grace, **keys)
    daemon.start()
    return port


def status_of(daemon, path):
    """The status of an HTTP answer."""
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    with connect(f"unix:{daemon.path('health')}") as client:
        client.sendall(request)
        return int(read_to_end(client).split()[1])


def crowd_of(crowd, port, count):
    clients = [crowd.enter_context(connect(port)) for _ in range(count)]
    for client in clients:
        assert asks(client, b"hello") == b"hello"
    return clients


@case("readyz fails at once, for drain_delay all is served as before, then the addresses close")
def sequence():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, "4s")
        (old,) = crowd_of(crowd, port, 1)
        assert (status_of(daemon, "/readyz"), status_of(daemon, "/livez")) == (200, 200)
        begin = time.monotonic()
        daemon.kill(daemon.pid, signal.SIGTERM)
        daemon.expect("stop: .*clients are taken for drain_delay")
        assert (status_of(daemon, "/readyz"), status_of(daemon, "/livez")) == (503, 200)
        assert exchange(port, b"new") == b"new"
        (late,) = crowd_of(crowd, port, 1)
        wait_until("the port is closed", lambda: is_refused(port))
        expect_time(time.monotonic() - begin, 3.9, 4 + scaled(1))
        for client in old, late:
            assert asks(client, b"still") == b"still"
            client.close()
        assert daemon.wait_end() == 0
        daemon.expect_nothing_left()


@case("without drain_delay the addresses close at once, and sessions have graceful_timeout")
def no_delay():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, "0", grace="3s")
        (old,) = crowd_of(crowd, port, 1)
        begin = time.monotonic()
        daemon.kill(daemon.pid, signal.SIGTERM)
        wait_until("the port is closed", lambda: is_refused(port))
        closed = time.monotonic() - begin
        assert asks(old, b"still") == b"still"
        assert daemon.wait_end() == 0
        expect_time(closed, 0, scaled(0.5))
        expect_time(time.monotonic() - begin, 2.9, 3 + scaled(1))


@case("a TERM more ends the delay, one more the grace; INT ends everything")
def more_signals():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, "60s", grace="60s")
        (old,) = crowd_of(crowd, port, 1)
        daemon.kill(daemon.pid, signal.SIGTERM)
        daemon.expect("stop: ")
        assert exchange(port, b"new") == b"new"
        daemon.kill(daemon.pid, signal.SIGTERM)
        wait_until("the port is closed", lambda: is_refused(port))
        assert asks(old, b"still") == b"still"
        begin = time.monotonic()
        daemon.kill(daemon.pid, signal.SIGTERM)
        assert daemon.wait_end() == 0
        expect_time(time.monotonic() - begin, 0, scaled(1.5))
        daemon.expect("session end: echo .*: daemon stopped")
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, "60s", grace="60s")
        crowd_of(crowd, port, 3)
        daemon.kill(daemon.pid, signal.SIGTERM)
        daemon.expect("stop: ")
        begin = time.monotonic()
        daemon.kill(daemon.pid, signal.SIGINT)
        assert daemon.wait_end() == 0
        expect_time(time.monotonic() - begin, 0, scaled(1.5))


@case("while it drains, a reload is refused, a dead listener is replaced, and check agrees")
def meanwhile():
    with Daemon() as daemon:
        daemon.announce("listener died")
        port = serve(daemon, "60s")
        daemon.kill(daemon.pid, signal.SIGTERM)
        daemon.expect("stop: ")
        for command in (["reload"], ["pause", "echo"], ["drain", "echo"]):
            status, text = daemon.control(*command)
            assert status == 1 and "the daemon is stopping" in text, text
        status, text = daemon.control("drain")
        assert status == 0 and "is stopping already" in text, text
        daemon.kill(daemon.pid, signal.SIGHUP)
        daemon.kill(daemon.listener())
        daemon.expect("listener restarted: service echo")
        assert exchange(port, b"new") == b"new"
        daemon.check()
        assert not daemon.said("reload (ok|rejected)")
        daemon.kill(daemon.pid, signal.SIGTERM)
        assert daemon.wait_end() == 0


@case("a reload that runs when it is told to stop is undone, and its asker hears why")
def during_reload():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port, other = serve(daemon, "60s"), free_port()
        configure(daemon, other, "60s")
        client = crowd.enter_context(connect(f"unix:{daemon.path('control')}"))
        client.sendall(b"reload\n")
        daemon.expect("control: reload")
        daemon.kill(daemon.pid, signal.SIGTERM)
        daemon.expect("stop: ")
        answer = read_to_end(client).decode().splitlines()
        if answer[0] == "rejected":
            assert "the daemon is stopping" in answer[1], answer
            assert exchange(port, b"old") == b"old"
            wait_until("the new address is closed", lambda: is_refused(other))
        else:  # it was too fast
            assert answer == ["ok"] and exchange(other, b"new") == b"new"
        daemon.check()
        daemon.kill(daemon.pid, signal.SIGTERM)
        assert daemon.wait_end() == 0


@case("who waits in the queue is served before it closes, though more come, a queue's length at most")
def last_call():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, "0", grace="100s", backlog=8)
        daemon.control("pause", "echo")
        waiting = [crowd.enter_context(connect(port)) for _ in range(8)]
        daemon.kill(daemon.pid, signal.SIGTERM)
        for client in waiting:
            assert asks(client, b"hello") == b"hello"
        wait_until("the port is closed", lambda: is_refused(port))
        assert len(daemon.sessions("echo")) <= 9
        for client in waiting:
            client.close()
        assert daemon.wait_end() == 0


@case("clients that never cease to come do not keep it from closing")
def storm():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, "0", grace="200ms", backlog=4, instances=2000)
        clients = [crowd.enter_context(connect(port)) for _ in range(20)]
        daemon.kill(daemon.pid, signal.SIGTERM)
        begin = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - begin < scaled(5):
                clients.append(crowd.enter_context(connect(port)))
        expect_time(time.monotonic() - begin, 0, scaled(1.5), f"{len(clients)} clients")
        assert daemon.wait_end() == 0


@case("`forkechoctl drain` is the same as SIGTERM, and says who asked")
def by_request():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, "3s")
        (old,) = crowd_of(crowd, port, 1)
        status, text = daemon.control("drain")
        assert (status, text) == (0, "the daemon stops; sessions left: 1\n"), text
        daemon.expect(r"drain: the daemon, asked by uid \d+ \[\d+\]")
        assert status_of(daemon, "/readyz") == 503
        wait_until("the port is closed", lambda: is_refused(port))
        assert asks(old, b"still") == b"still"
        old.close()
        assert daemon.wait_end() == 0


if __name__ == "__main__":
    run()
