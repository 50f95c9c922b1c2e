"""Sockets that a service manager passes (sd_listen_fds(3))."""

import fcntl
import os
import socket

from clients import asks, connect, exchange, is_refused, read_exactly
from harness import Daemon, forkechod, free_port
from manager import listening, passing
from processes import daemon_processes, reap_orphans, wait_until
from tap import case, covers, run


def expect_refused_start(daemon, status, *words, **start):
    """The start fails with this status and one line that has these words."""
    done = forkechod("-c", daemon.file, **start)
    assert done.returncode == status, done
    assert len(done.stderr.splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr, (word, done.stderr)
    wait_until("no process is left", lambda: reap_orphans() is not None and not daemon_processes())
    daemon.expect_nothing_left()


@case("a passed socket serves the service of its name, and that service's `listen` is left out")
def by_name():
    ports = [free_port() for _ in range(3)]
    with Daemon() as daemon, listening(ports[0]) as server:
        daemon.configure(
            {
                "echo": {"listen": f"127.0.0.1:{ports[1]}"},
                "upper": {"listen": f"127.0.0.1:{ports[2]}", "handler": "upper"},
            }
        )
        daemon.start(**passing({"echo": [server]}))
        assert daemon.addresses == {
            "echo": [f"127.0.0.1:{ports[0]}"],
            "upper": [f"127.0.0.1:{ports[2]}"],
        }, daemon.output
        assert exchange(ports[0], b"hello") == b"hello"
        assert is_refused(ports[1])
        assert exchange(ports[2], b"hello") == b"HELLO"
        daemon.expect(f"socket kept: echo 127.0.0.1:{ports[0]}")
        daemon.expect(f"socket opened: upper 127.0.0.1:{ports[2]}")


@case("a service without `listen` is served by the socket of its name")
def without_listen():
    with Daemon() as daemon, listening(free_port()) as server:
        daemon.configure({"echo": {}})
        daemon.start(**passing({"echo": [server]}))
        assert exchange(server.getsockname()[1], b"hello") == b"hello"


@case("`listen = systemd:NAME` takes every socket of that name, beside other addresses")
def by_listen():
    with Daemon() as daemon:
        port, path = free_port(), daemon.path("passed")
        with listening(free_port()) as v4, listening(("::1", free_port())) as v6, listening(
            path
        ) as local:
            daemon.configure({"echo": {"listen": f"systemd:web, 127.0.0.1:{port}"}})
            daemon.start(**passing({"web": [v4, v6, local]}))
            for where in (
                v4.getsockname()[1],
                f"[::1]:{v6.getsockname()[1]}",
                f"unix:{path}",
                port,
            ):
                assert exchange(where, b"hello") == b"hello"
            daemon.expect("socket kept: echo ", count=3)
            daemon.stop()
            assert os.path.exists(path), "the file belongs to whoever passed the socket"
            os.unlink(path)


@case("a name that is required and was not passed is an error that says it: status 78")
def missing():
    with Daemon() as daemon, listening(free_port()) as server:
        daemon.configure({"one": {"listen": "systemd:web"}, "two": {"listen": "systemd:other"}})
        words = ("service two:", "no socket named other")
        expect_refused_start(daemon, 78, *words, **passing({"web": [server]}))
        words = ("service one:", "no socket named web")
        expect_refused_start(daemon, 78, *words, **passing())


@case("a passed socket that nobody takes is an error that names it: status 78")
def unused():
    with Daemon() as daemon, listening(free_port()) as one, listening(free_port()) as two:
        daemon.configure({"echo": {"listen": f"127.0.0.1:{free_port()}"}})
        words = ("systemd passed the socket lost", "no service takes it")
        expect_refused_start(daemon, 78, *words, **passing({"echo": [one], "lost": [two]}))


@case("what is passed and is no listening stream socket is an error that names it: status 78")
def wrong_kind():
    with Daemon() as daemon:
        daemon.configure({"echo": {}})
        pair = socket.socketpair()
        with pair[0], pair[1], socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.bind(("127.0.0.1", 0))
            for one in (pair[0], datagrams):
                words = ("systemd passed echo", "not a listening stream socket")
                expect_refused_start(daemon, 78, *words, **passing({"echo": [one]}))


@case("a passed socket that blocks is made non-blocking")
def non_blocking():
    with Daemon() as daemon, listening(free_port()) as server:
        daemon.configure({"echo": {}})
        assert not fcntl.fcntl(server, fcntl.F_GETFL) & os.O_NONBLOCK
        daemon.start(**passing({"echo": [server]}))
        assert fcntl.fcntl(server, fcntl.F_GETFL) & os.O_NONBLOCK
        assert exchange(server.getsockname()[1], b"hello") == b"hello"


@case("the client that caused the start, and those behind it, are answered; ten times of ten")
def first_clients():
    with listening(free_port()) as server:
        for _ in range(10):
            clients = [connect(server.getsockname()[1]) for _ in range(3)]
            for number, client in enumerate(clients):
                client.sendall(b"%d" % number)
            with Daemon() as daemon:
                daemon.configure({"echo": {}})
                daemon.start(**passing({"echo": [server]}))
                for number, client in enumerate(clients):
                    assert read_exactly(client, 1) == b"%d" % number
                    client.close()


@covers("F39")
@case("the sockets come through the double fork")
def detached():
    with Daemon() as daemon, listening(free_port()) as one, listening(free_port()) as two:
        daemon.configure({"echo": {}, "upper": {"handler": "upper"}})
        daemon.detach(**passing({"echo": [one], "upper": [two]}))
        assert exchange(one.getsockname()[1], b"hello") == b"hello"
        assert exchange(two.getsockname()[1], b"hello") == b"HELLO"


@case("variables that are meant for another process are not believed")
def for_another():
    port = free_port()
    with Daemon() as daemon, listening(free_port()) as server:
        daemon.configure({"echo": {"listen": f"127.0.0.1:{port}"}})
        daemon.start(**passing({"echo": [server]}, LISTEN_PID=str(os.getpid())))
        assert daemon.addresses == {"echo": [f"127.0.0.1:{port}"]}, daemon.output


@covers("F63")
@case("no variable of the service manager reaches listeners and sessions")
def variables_end_here():
    with Daemon() as daemon, listening(free_port()) as server:
        daemon.configure({"echo": daemon.visible()})
        daemon.start(**passing({"echo": [server]}, WATCHDOG_USEC="9000000", WATCHDOG_PID="own"))
        with connect(server.getsockname()[1]) as client:
            assert asks(client, b"hello") == b"hello"
            for process in daemon.processes("listener") + daemon.processes("session"):
                with open(f"/proc/{process.pid}/environ", "rb") as file:
                    text = file.read()
                for word in (b"LISTEN_", b"WATCHDOG_", b"NOTIFY_"):
                    assert word not in text, (process, text)


@case("a reload keeps a passed socket, also for a service that changes")
def kept_at_reload():
    with Daemon() as daemon, listening(free_port()) as server:
        port = server.getsockname()[1]
        daemon.configure({"echo": {}})
        daemon.start(**passing({"echo": [server]}))
        with connect(port) as client:
            assert asks(client, b"hello") == b"hello"
            daemon.configure({"echo": {"handler": "upper"}})
            daemon.reload()
            assert exchange(port, b"hello") == b"HELLO"
            assert asks(client, b"hello") == b"hello"


@case("a reload after which nobody would take a passed socket is refused, and names it")
def dropped_at_reload():
    port = free_port()
    with Daemon() as daemon, listening(free_port()) as server:
        daemon.announce("reload rejected: systemd passed the socket echo, and no service takes it")
        daemon.configure({"echo": {}})
        daemon.start(**passing({"echo": [server]}))
        daemon.configure({"other": {"listen": f"127.0.0.1:{port}"}})
        status, text = daemon.control("reload")
        assert status == 1 and "systemd passed the socket echo" in text, (status, text)
        assert exchange(server.getsockname()[1], b"hello") == b"hello"
        wait_until("the new service's port is closed again", lambda: is_refused(port))


@case("after a stop, clients wait in the socket for the next start")
def next_start():
    with listening(free_port()) as server:
        port = server.getsockname()[1]
        with Daemon() as daemon:
            daemon.configure({"echo": {}})
            daemon.start(**passing({"echo": [server]}))
            assert exchange(port, b"hello") == b"hello"
        with Daemon() as daemon, connect(port) as client:
            client.sendall(b"waiting")
            daemon.configure({"echo": {}})
            daemon.start(**passing({"echo": [server]}))
            assert read_exactly(client, 7) == b"waiting"


@case("a socket that was passed stays open when its service is drained, and clients wait in it")
def drained():
    with Daemon() as daemon, listening(free_port()) as server:
        port = server.getsockname()[1]
        daemon.configure({"echo": {}})
        daemon.start(**passing({"echo": [server]}))
        assert exchange(port, b"hello") == b"hello"
        status, text = daemon.control("drain", "echo")
        assert status == 0 and "systemd passed stays open" in text, text
        wait_until("its listener ends", lambda: not daemon.processes("listener", "echo"))
        with connect(port) as waiting:
            daemon.reload()
            daemon.check()
            assert daemon.control("resume", "echo")[0] == 0
            assert asks(waiting, b"hello") == b"hello"


if __name__ == "__main__":
    run()
