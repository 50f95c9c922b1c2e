#!/usr/bin/env python3
"""What an administrator would find out late: a process that spins, a service that is down though
nothing died, an address that stays open, a limit that is told of and was never met."""

import contextlib
import signal
import socket
import subprocess
import time

from clients import asks, connect, exchange, is_refused
from harness import Daemon, forkechod, free_port, said_otherwise
from processes import cpu_seconds, wait_until
from tap import case, covers, expect_time, run, scaled


def serve(daemon, *options, wrapper=(), port=None, **keys):
    """Starts echo on a port of its own; returns it."""
    port = port or free_port()
    daemon.configure({"echo": dict({"listen": f"127.0.0.1:{port}"}, **keys)})
    daemon.start(*options, wrapper=wrapper)
    return port


def expect_idle(*pids, seconds=1.5):
    """They have nothing to do, and do nothing."""
    before = [cpu_seconds(pid) for pid in pids]
    time.sleep(seconds)
    used = [cpu_seconds(pid) - then for pid, then in zip(pids, before)]
    expect_time(max(used), 0, scaled(0.05), "of the processor")


def connected(crowd, port):
    """A client that is being served, and stays until the crowd leaves."""
    client = crowd.enter_context(connect(port))
    assert asks(client, b"hello") == b"hello"
    return client


def listens(port):
    """Whether somebody listens there; to try it would put a client in the queue."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table]
    return any(row[3] == "0A" and row[1].endswith(f":{port:04X}") for row in rows)


@case("a daemon that waits for its last sessions uses no processor time")
def draining():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = free_port()
        daemon.configure(
            {"echo": {"listen": f"127.0.0.1:{port}"}}, daemon={"graceful_timeout": "100s"}
        )
        daemon.start()
        client = connected(crowd, port)
        listener = daemon.listener()
        daemon.kill(daemon.pid, signal.SIGTERM)
        daemon.expect("stop: ")
        time.sleep(1.2)  # the last call is over
        expect_idle(daemon.pid, listener)
        client.close()
        assert daemon.wait_end() == 0


@covers("F11")
@case("with few descriptors it serves as always; with too few it says what to raise")
def few_descriptors():
    with Daemon() as daemon:
        port = free_port()
        daemon.configure({"echo": {"listen": f"127.0.0.1:{port}"}})
        done = forkechod("-F", "-c", daemon.file, wrapper=["prlimit", "--nofile=16"])
        assert done.returncode == 71 and "too few descriptors (raise" in done.stderr, done
        daemon.start(wrapper=["prlimit", "--nofile=40"])
        assert exchange(port, b"hello") == b"hello"
        expect_idle(daemon.pid, daemon.listener())


@covers("F11")
@case("a pool that has more processes than its keeper may have descriptors serves as always")
def few_descriptors_for_a_pool():
    for limit in (0, 1):
        with Daemon() as daemon, contextlib.ExitStack() as crowd:
            port = free_port()
            keys = {"process_model": "prefork", "start_servers": 50, "max_spare": 50,
                    "max_requests": limit, "per_source": 0}
            daemon.configure({"echo": dict(keys, listen=f"127.0.0.1:{port}")})
            daemon.start(wrapper=["prlimit", "--nofile=24"])
            for _ in range(40):
                connected(crowd, port)
            expect_idle(daemon.pid, daemon.listener())


@covers("F11")
@case("a master without a free descriptor does not spin when somebody wants to talk to it")
def control_without_descriptors():
    with Daemon() as daemon:
        serve(daemon, wrapper=["prlimit", "--nofile=40:100"])
        held = subprocess.run(
            ["ls", f"/proc/{daemon.pid}/fd"], stdout=subprocess.PIPE, text=True, check=False
        ).stdout.split()
        if not held:  # not root: the master cannot be looked into
            return
        limit = ["prlimit", f"--pid={daemon.pid}"]
        subprocess.run([*limit, f"--nofile={max(map(int, held)) + 1}:"], check=True)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(daemon.path("control"))
            client.sendall(b"reload\n")
            expect_idle(daemon.pid)
            subprocess.run([*limit, "--nofile=40:"], check=True)
            client.settimeout(scaled(30))
            assert client.recv(64).startswith(b"ok")


@case("who asks over the control socket and half-closes gets the answer")
def half_closed_request():
    with Daemon() as daemon:
        serve(daemon)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(scaled(30))
            client.connect(daemon.path("control"))
            client.sendall(b"reload\n")
            client.shutdown(socket.SHUT_WR)
            assert said_otherwise(client.recv(1000).decode()) == "ok\n"


@case("a TERM that somebody sends to a listener takes no service away")
def term_to_a_listener():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon)
        old = connected(crowd, port)
        listener = daemon.listener()
        daemon.kill(listener, signal.SIGTERM)
        time.sleep(0.2)
        assert exchange(port, b"new") == b"new" and asks(old, b"old") == b"old"
        assert daemon.listener() == listener


@covers("F09")
@case("a service that is just full says nothing; it says that clients wait when one does")
def exactly_full():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce("throttled begin: echo: instances")
        port = serve(daemon, instances=1)
        first = connected(crowd, port)
        time.sleep(0.2)
        assert not daemon.said("throttled"), daemon.log.lines
        second = crowd.enter_context(connect(port))
        daemon.expect("throttled begin: echo: instances")
        expect_idle(daemon.listener())
        first.close()
        assert asks(second, b"my turn") == b"my turn"
        daemon.expect("throttled end: echo: instances")


@case("an address that is taken out of a full service is closed, though there is no room")
def removed_from_a_full_service():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        goes, stays = free_port(), free_port()
        listen = {"listen": f"127.0.0.1:{goes} 127.0.0.1:{stays}", "instances": 1}
        daemon.configure({"echo": listen})
        daemon.start()
        client = connected(crowd, goes)
        daemon.configure({"echo": dict(listen, listen=f"127.0.0.1:{stays}")})
        daemon.reload()
        wait_until("the removed address is closed", lambda: not listens(goes))
        assert is_refused(goes)
        assert asks(client, b"still here") == b"still here"


@case("a reload goes from one address to all addresses of a port, and back")
def from_one_to_all():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon)
        client = connected(crowd, port)
        for host in ("0.0.0.0", "127.0.0.1") * 2:
            daemon.configure({"echo": {"listen": f"{host}:{port}"}})
            daemon.reload()
            assert exchange(port, b"hello") == b"hello", host
            with socket.socket() as other:  # who does not ask to share gets no part
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    other.bind(("127.0.0.1", port))
                    raise AssertionError(f"{host}: another program can bind the port too")
                except OSError:
                    pass
        assert asks(client, b"still here") == b"still here"


@case("a start that failed leaves nothing in the way of the next, which may come at once")
def failed_and_again():
    with Daemon() as daemon, socket.create_server(("127.0.0.1", 0)) as taken:
        port = free_port()
        good = {"listen": f"127.0.0.1:{port}"}
        bad = {"listen": f"127.0.0.1:{taken.getsockname()[1]}"}
        for _ in range(5):
            daemon.configure({"echo": good, "other": bad})
            done = forkechod("-c", daemon.file)
            assert done.returncode == 71 and "in use" in done.stderr, done
            daemon.expect_nothing_left()
        daemon.configure({"echo": good})
        daemon.detach()
        assert exchange(port, b"hello") == b"hello"


if __name__ == "__main__":
    run()
