"""What accept4(2) can fail with, and clients that are gone before they are accepted.

Failures are put into the listener's system calls by strace(1), which starts the daemon.
"""

import contextlib
import os
import shutil
import signal
import socket
import struct
import time

from clients import Load, connect, exchange
from harness import Daemon, free_port
from processes import status, wait_until
from tap import Skip, case, covers, expect_time, note, run, scaled

SHORTAGES = ("EMFILE", "ENFILE", "ENOBUFS", "ENOMEM")
# What befell a connection while it waited is told by accept4, too.
STRAY = (
    "ENETDOWN EPROTO ENOPROTOOPT EHOSTDOWN ENONET EHOSTUNREACH EOPNOTSUPP ENETUNREACH ECONNABORTED "
    "ETIMEDOUT ECONNRESET EPERM ENOSR ESOCKTNOSUPPORT EPROTONOSUPPORT"
).split()
BROKEN = ("EBADF", "ENOTSOCK", "EINVAL", "EFAULT")


def failing(call, error, when="1"):
    """The arguments of a start in which these calls of each process fail."""
    if not shutil.which("strace"):
        raise Skip("strace is not installed")
    inject = ["-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={when}"]
    # A leak check is none under a tracer.
    environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")
    return {"wrapper": ["strace", "-D", "-f", "-qq", "-o", "/dev/null", *inject], "env": environment}


def serve(daemon, start, **keys):
    """Starts echo on two ports of its own."""
    ports = [free_port(), free_port()]
    listen = " ".join(f"127.0.0.1:{port}" for port in ports)
    # strace leaves out a call by giving it a number that no filter knows.
    daemon.configure({"echo": dict({"listen": listen}, **daemon.sandbox(off=True), **keys)})
    daemon.start(**start)
    return ports


def time_of(action):
    begin = time.monotonic()
    action()
    return time.monotonic() - begin


def answered(port):
    assert exchange(port, b"hello") == b"hello"


def levels(daemon):
    """The lines of warning and worse."""
    return daemon.said("^forkechod: (warning|err|crit|alert|emerg): (?!configuration warning)")


@covers("F01")
@case("nothing left to accept with, for whatever reason: the client waits, one line at begin and end")
def shortages():
    for error in SHORTAGES:
        with Daemon() as daemon:
            daemon.announce("throttled begin: echo: descriptors")
            port, _ = serve(daemon, failing("accept4", error, "1..4"))
            took = time_of(lambda: answered(port))
            # 50, 100, 200 and 400 ms
            expect_time(took, 0.7, 0.75 + scaled(0.5), error)
            daemon.expect("throttled end: echo: descriptors, 4 times in")
            assert len(levels(daemon)) == 1, levels(daemon)


@covers("F02")
@case("each error that a connection can leave behind costs nobody anything, and no line")
def stray_errors():
    for error in STRAY:
        with Daemon() as daemon:
            port, _ = serve(daemon, failing("accept4", error))
            took = time_of(lambda: answered(port))
            expect_time(took, 0, scaled(0.5), error)
            assert not levels(daemon), (error, levels(daemon))


@covers("F02")
@case("a hundred such errors in a row: the listener neither spins nor gives up, and says it in one line")
def storm_of_errors():
    with Daemon() as daemon:
        daemon.announce("throttled begin: echo: network")
        port, _ = serve(daemon, failing("accept4", "ECONNABORTED", "1..100"))
        answered(port)
        daemon.expect("throttled end: echo: network, 6 times in")
        assert len(levels(daemon)) == 1, levels(daemon)
        expect_time(time_of(lambda: answered(port)), 0, scaled(0.5))


@covers("F03")
@case("an accept4 that was interrupted, or found nobody, is no event")
def interrupted():
    for error in ("EINTR", "EAGAIN"):
        with Daemon() as daemon:
            port, _ = serve(daemon, failing("accept4", error, "1..3"))
            took = time_of(lambda: answered(port))
            expect_time(took, 0, scaled(0.5), error)
            assert not levels(daemon), (error, levels(daemon))


@covers("F04")
@case("a socket that cannot be used any more is given up with one line; the service's others go on")
def broken_socket():
    for error in BROKEN:
        with Daemon() as daemon:
            daemon.announce("accept4 on 127.0.0.1:")
            one, other = serve(daemon, failing("accept4", error))
            with connect(one) as client:
                client.settimeout(scaled(30))
                daemon.expect(f"accept4 on 127.0.0.1:{one}: .*; nobody is served there")
                for _ in range(3):
                    answered(other)
            assert len(levels(daemon)) == 1, (error, levels(daemon))


@covers("F12")
@case("a machine without IPv6: where IPv4 is listed too, it is served, and one line says so")
def no_ipv6():
    for error in ("EADDRNOTAVAIL", "EAFNOSUPPORT"):
        with Daemon() as daemon:
            port = free_port()
            listen = f"[::1]:{port} 127.0.0.1:{port}"
            # Without a control socket, what is bound first is the first address.
            daemon.configure({"echo": {"listen": listen}}, daemon={"control_socket": ""})
            daemon.start(**failing("bind", error))
            daemon.expect("socket skipped: service echo: .*; its IPv4 address is served")
            answered(port)


# ---- clients that do not wait ------------------------------------------------------------------


def leave(client, data, reset):
    with contextlib.suppress(OSError):
        client.sendall(data)
    if reset:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@covers("F05")
@case("three hundred clients that left before they were accepted, half of them by a reset, harm nobody")
def gone_before_accepted():
    with Daemon() as daemon:
        port = free_port()
        daemon.configure({"echo": {"listen": f"127.0.0.1:{port}"}})
        daemon.start()
        listener = daemon.listener()
        daemon.kill(listener, signal.SIGSTOP)
        for number in range(300):
            leave(connect(port), b"hello" if number % 3 else b"", number % 2)
        daemon.kill(listener, signal.SIGCONT)
        took = time_of(lambda: answered(port))
        note(f"the next one was answered after {took:.2f} s")
        daemon.wait_sessions(0)
        daemon.expect_no_zombie()
        assert not levels(daemon), levels(daemon)
        daemon.check()


@covers("F08")
@case("a crowd at one address of a service does not keep clients waiting at the other")
def busy_neighbour():
    with Daemon() as daemon:
        one, other = serve(daemon, {})
        slowest = 0
        with Load("steady", one, 16) as load:
            for _ in range(100):
                slowest = max(slowest, time_of(lambda: answered(other)))
            result = load.finish()
        note(f"{result}; slowest at the other {slowest:.3f} s")
        assert result.answered > 100 and not result.lost, result
        expect_time(slowest, 0, scaled(0.5))


def wake_ups(pids):
    return sum(int(status(pid)["voluntary_ctxt_switches"]) for pid in pids)


@covers("F07")
@case("a client wakes one of a pool's waiting processes, not all of them")
def no_herd():
    with Daemon() as daemon:
        port = free_port()
        pool = {"process_model": "prefork", "start_servers": 10, "min_spare": 1, "max_spare": 10}
        daemon.configure({"echo": dict(pool, listen=f"127.0.0.1:{port}")})
        daemon.start()

        def idle():
            return [one.pid for one in daemon.processes("session") if one.title.endswith(" idle")]

        wait_until("the pool is whole", lambda: len(idle()) == 10)
        before = wake_ups(idle())
        for _ in range(200):
            answered(port)
        woken = (wake_ups(idle()) - before) / 200
        note(f"{woken:.1f} waits of the ten for each client")
        # Its own: for the client, for the client's bytes, for the client's end.
        assert woken < 5, woken


if __name__ == "__main__":
    run()
