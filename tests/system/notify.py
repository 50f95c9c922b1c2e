"""What the daemon tells its service manager (sd_notify(3)), and the sockets it leaves there."""

import os
import re
import signal
import socket
import stat
import time
from contextlib import suppress
from types import SimpleNamespace

from clients import Load, asks, connect, exchange, is_refused, read_exactly
from harness import Daemon, forkechod, free_port
from manager import Notifications, listening, passing
from processes import daemon_processes, reap_orphans, wait_until
from tap import case, covers, expect_time, note, run, scaled


def serve(daemon, told, *, name="echo", keys=None, settings=None, **more):
    """Starts a service on a port of its own; returns the port."""
    port = free_port()
    daemon.configure({name: dict({"listen": f"127.0.0.1:{port}"}, **(keys or {}))}, settings)
    daemon.start(**passing(told=told, **more))
    if isinstance(told, Notifications):
        told.wait("READY")
    return port


@covers("F63")
@case("READY=1 comes when every service answers, with the main process and the state")
def ready():
    ports = [free_port() for _ in range(8)]
    with Daemon() as daemon, Notifications(daemon) as told:
        daemon.configure({f"s{port}": {"listen": f"127.0.0.1:{port}"} for port in ports})
        daemon.launch(**passing(told=told))
        message = told.wait("READY", "1")
        for port in ports:
            assert exchange(port, b"hello") == b"hello"
        assert message.fields["MAINPID"] == str(daemon.pid), message
        assert message.fields["STATUS"] == "8 services, 0 sessions", message


@covers("F63")
@case("READY=1 never comes from a start that fails")
def never_ready():
    with Daemon() as daemon, Notifications(daemon) as told, listening(free_port()) as taken:
        daemon.configure(
            {
                "one": {"listen": f"127.0.0.1:{free_port()}"},
                "two": {"listen": f"127.0.0.1:{taken.getsockname()[1]}"},
            }
        )
        for options in ((), ("-F",)):
            done = forkechod("-c", daemon.file, *options, **passing(told=told))
            assert done.returncode == 71, done
        wait_until("all is over", lambda: reap_orphans() is not None and not daemon_processes())
        assert not told.find("READY"), told.messages


@case("a daemon that detaches names its final process")
def detached():
    port = free_port()
    with Daemon() as daemon, Notifications(daemon) as told:
        daemon.configure({"echo": {"listen": f"127.0.0.1:{port}"}})
        daemon.detach(**passing(told=told))
        message = told.wait("READY", "1")
        assert message.fields["MAINPID"] == str(daemon.pid), (message, daemon.pid)
        assert len(told.find("READY")) == 1, told.messages


@case("a manager with an abstract address is told as well")
def abstract():
    with Daemon() as daemon:
        with Notifications(daemon, f"@forkechod-test-{os.getpid()}") as told:
            serve(daemon, told)
            told.wait("READY", "1")
            daemon.stop()


def expect_gaps(times, most):
    for one, next_one in zip(times, times[1:]):
        expect_time(next_one - one, 0, scaled(most))


def expect_reloading(told, begin, before):
    """RELOADING=1 with the time, then READY=1; returns the latter."""
    reloading = told.wait("RELOADING", "1", begin)
    when = int(reloading.fields["MONOTONIC_USEC"])
    assert before <= when <= time.monotonic_ns() // 1000, (before, when)
    ready_again = told.wait("READY", "1", begin)
    assert told.messages.index(reloading) < told.messages.index(ready_again), told.messages
    return ready_again


@covers("F56")
@case("a reload is RELOADING=1 with its time, then READY=1; also one that is refused")
def reload():
    with Daemon() as daemon, Notifications(daemon) as told:
        daemon.announce("reload mistake", "reload rejected")
        port = serve(daemon, told)
        services = {"echo": {"listen": f"127.0.0.1:{port}"}}
        services["upper"] = {"listen": f"127.0.0.1:{free_port()}", "handler": "upper"}
        for reload_by in (daemon.hang_up, daemon.reload):
            daemon.configure(services)
            begin, before = len(told.messages), time.monotonic_ns() // 1000
            reload_by()
            message = expect_reloading(told, begin, before)
            assert message.fields["STATUS"] == "2 services, 0 sessions", message

            daemon.write("[daemon]\nwrong = yes\n")
            begin, before = len(told.messages), time.monotonic_ns() // 1000
            daemon.hang_up()
            message = expect_reloading(told, begin, before)
            assert message.fields["STATUS"] == (
                "2 services, 0 sessions; reload rejected, the old configuration is in force"
            ), message


@case("STATUS follows the sessions, and comes once a second at most")
def status():
    with Daemon() as daemon, Notifications(daemon) as told:
        port = serve(daemon, told)
        begin = len(told.messages)
        with connect(port), connect(port), Load("steady", port, 4) as load:
            wait_until("it has come three times", lambda: len(told.find("STATUS", begin=begin)) > 2)
            result = load.finish()
            told.wait("STATUS", "1 service, 2 sessions", begin)
        assert not result.lost, result
        told.wait("STATUS", "1 service, 0 sessions", begin)
        times = [message.time for message in told.find("STATUS", begin=begin)]
        note(f"{len(times)} times in {times[-1] - times[0]:.1f} s")
        assert 2 < len(times) < times[-1] - times[0] + 2, times


@covers("F59")
@case("a stop is STOPPING=1, then more time is asked for as long as clients are served")
def stopping():
    with Daemon() as daemon, Notifications(daemon) as told:
        port = serve(daemon, told, settings={"graceful_timeout": "3s"})
        with connect(port) as client:
            assert asks(client, b"hello") == b"hello"
            begin = len(told.messages)
            daemon.stop()
        first = told.wait("STOPPING", "1", begin)
        early = told.messages[begin : told.messages.index(first)]
        assert all("session" in message.fields.get("STATUS", "") for message in early), early
        asked = told.find("EXTEND_TIMEOUT_USEC", begin=begin)
        assert len(asked) >= 2, told.messages[begin:]
        for message in asked:
            assert int(message.fields["EXTEND_TIMEOUT_USEC"]) >= 2000000, message
        assert not told.find("READY", begin=begin), told.messages[begin:]
        expect_gaps([first.time] + [message.time for message in asked], 1.5)


@covers("F61")
@case("WATCHDOG=1 comes at half the time that was set, whatever else goes on")
def watchdog():
    with Daemon() as daemon, Notifications(daemon) as told:
        port = serve(daemon, told, WATCHDOG_USEC="1000000", WATCHDOG_PID="own")
        with Load("steady", port, 4):
            for instances in (100, 200, 300, 400):
                time.sleep(0.7)
                daemon.configure({"echo": {"listen": f"127.0.0.1:{port}", "instances": instances}})
                daemon.reload()
        times = [message.time for message in told.find("WATCHDOG", "1")]
        note(f"{len(times)} times in {times[-1] - times[0]:.1f} s")
        assert len(times) < 2 * (times[-1] - times[0]) + 2, times
        expect_gaps(times, 0.9)


@case("WATCHDOG=1 goes on while nobody reads the log")
def watchdog_without_log():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"full" * 1024)
    os.set_blocking(writer, True)
    with Daemon() as daemon, Notifications(daemon) as told:
        port = free_port()
        daemon.configure({"echo": {"listen": f"127.0.0.1:{port}"}})
        options = passing(told=told, WATCHDOG_USEC="600000", WATCHDOG_PID="own")
        daemon.start(stderr=writer, **options)
        os.close(writer)
        with Load("serial", port, 600) as load:
            result = load.finish()
        assert result.answered == 600, result
        expect_time(result.slowest, 0, scaled(0.5))
        wait_until("it comes four times", lambda: len(told.find("WATCHDOG", "1")) >= 4)
        times = [message.time for message in told.find("WATCHDOG", "1")]
        daemon.stop()
        expect_gaps(times, 0.5)
    os.close(reader)


@case("without a watchdog, or with one for another process, WATCHDOG=1 never comes")
def no_watchdog():
    for more in ({}, {"WATCHDOG_USEC": "200000", "WATCHDOG_PID": str(os.getpid())}):
        with Daemon() as daemon, Notifications(daemon) as told:
            serve(daemon, told, **more)
            time.sleep(0.5)
            assert not told.find("WATCHDOG"), told.messages


def fill(path):
    """Sends until there is no room for even one message of somebody new."""
    sent = True
    while sent:
        sent = False
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other, suppress(BlockingIOError):
            other.setblocking(False)
            while True:
                other.sendto(b"X=full", path)
                sent = True


@case("a manager that does not read holds nobody up, and the log says what it was not told")
def stalled_manager():
    with Daemon() as daemon, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        untold = "cannot tell the service manager FDSTORE=1: Resource temporarily unavailable"
        daemon.announce(untold)
        deaf.bind(daemon.path("notify"))
        fill(daemon.path("notify"))
        port = serve(daemon, SimpleNamespace(address=daemon.path("notify")))
        with Load("serial", port, 300) as load:
            daemon.configure({"echo": {"listen": f"127.0.0.1:{port}", "instances": 99}})
            begin = time.monotonic()
            daemon.reload()
            took = time.monotonic() - begin
            result = load.finish()
        assert result.answered == 300, result
        daemon.expect(untold)
        expect_time(took, 0, scaled(4))
        expect_time(result.slowest, 0, scaled(0.5))


# ---- the descriptor store ------------------------------------------------------------------------


def kept(told):
    """What the manager's store holds now: name → socket."""
    found = {}
    for message in told.messages:
        name = message.fields.get("FDNAME")
        if "FDSTORE" in message.fields:
            (found[name],) = message.sockets
        elif "FDSTOREREMOVE" in message.fields:
            found.pop(name)
    return found


def hand_back(stored):
    """A store as the next start gets it."""
    return {name: [one] for name, one in stored.items()}


def inode(one):
    return os.fstat(one.fileno()).st_ino


@case("sockets that the daemon bound are left in the store, each under a name of its own")
def stored():
    with Daemon() as daemon, Notifications(daemon) as told, listening(free_port()) as passed:
        ports = [free_port(), free_port()]
        daemon.configure(
            {
                "echo": {"listen": f"127.0.0.1:{ports[0]}, [::1]:{ports[1]}"},
                "local": {"listen": f"unix:{daemon.path('socket')}"},
                "passed": {},
            }
        )
        daemon.start(**passing({"passed": [passed]}, told))
        told.wait("READY")
        found = kept(told)
        names = [one.getsockname() for one in found.values()]
        assert [name[:2] for name in names[:2]] == [("127.0.0.1", ports[0]), ("::1", ports[1])]
        assert names[2:] == [daemon.path("socket")], names
        for name, one in found.items():
            assert re.fullmatch(r"store-[!-~]{1,249}", name) and ":" not in name, name
            assert one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1, name
        for message in told.find("FDSTORE"):
            assert message.fields["FDSTORE"] == "1", message
        daemon.stop()
        os.unlink(daemon.path("socket"))


@case("a reload that drops a socket takes it out of the store, and one that adds puts it in")
def store_follows():
    with Daemon() as daemon, Notifications(daemon) as told:
        old = serve(daemon, told)
        new = free_port()
        (first,) = kept(told)
        daemon.configure({"echo": {"listen": f"127.0.0.1:{new}"}})
        daemon.reload()
        wait_until("it is taken out", lambda: kept(told) and first not in kept(told))
        (left,) = kept(told).values()
        assert left.getsockname()[1] == new
        assert told.find("FDSTOREREMOVE", "1")[0].fields["FDNAME"] == first
        told.forget_all_but(left)
        wait_until("nobody listens any more", lambda: is_refused(old))


@covers("F60")
@case("over a restart clients wait in the stored sockets, and nobody is refused")
def restart():
    with Daemon() as daemon, Notifications(daemon) as told:
        port, path = free_port(), daemon.path("socket")
        places = (port, f"[::1]:{port}", f"unix:{path}")
        listen = f"127.0.0.1:{port}, [::1]:{port}, unix:{path}"
        daemon.configure({"echo": {"listen": listen}})
        daemon.start(**passing(told=told))
        before = {inode(one) for one in kept(told).values()}
        for _ in range(3):
            daemon.stop()
            clients = [connect(where) for where in places]
            for client in clients:
                client.sendall(b"waiting")
            begin = len(told.messages)
            daemon.start(**passing(hand_back(kept(told)), told))
            for client in clients:
                assert read_exactly(client, 7) == b"waiting"
                client.close()
            for where in places:
                assert exchange(where, b"hello") == b"hello"
            daemon.expect("socket kept: echo ", count=3)
            assert not told.find("FDSTORE", begin=begin), told.messages[begin:]
        assert {inode(one) for one in kept(told).values()} == before
        daemon.stop()
        assert stat.S_ISSOCK(os.lstat(path).st_mode), "clients find the stored socket by its file"
        os.unlink(path)


@case("a stored socket whose address is no longer configured is closed and taken out")
def no_longer_wanted():
    with Daemon() as daemon, Notifications(daemon) as told:
        old = serve(daemon, told)
        daemon.stop()
        new = free_port()
        daemon.configure({"echo": {"listen": f"127.0.0.1:{new}"}})
        daemon.start(**passing(hand_back(kept(told)), told))
        told.wait("FDSTOREREMOVE", "1")
        (left,) = kept(told).values()
        assert left.getsockname()[1] == new
        assert exchange(new, b"hello") == b"hello"
        told.forget_all_but(left)
        wait_until("nobody listens any more", lambda: is_refused(old))


@case("what else is found in the store does not hinder a start")
def odd_store():
    with Daemon() as daemon, Notifications(daemon) as told:
        port = free_port()
        pair = socket.socketpair()
        with pair[0], pair[1], listening(free_port()) as stranger:
            daemon.configure({"echo": {"listen": f"127.0.0.1:{port}"}})
            daemon.start(**passing({"store-odd": [pair[0]], "store-strange": [stranger]}, told))
            assert exchange(port, b"hello") == b"hello"


@case("a drain is STOPPING=1 at its begin, and time is asked for as long as drain_delay takes")
def drain():
    with Daemon() as daemon, Notifications(daemon) as told:
        echo = {"listen": f"127.0.0.1:{free_port()}"}
        daemon.configure({"echo": echo}, daemon={"drain_delay": "2500ms"})
        daemon.start(**passing(told=told))
        daemon.kill(daemon.pid, signal.SIGTERM)
        begin = time.monotonic()
        told.wait("STOPPING", "1")
        expect_time(time.monotonic() - begin, 0, scaled(1))
        assert daemon.wait_end() == 0
        assert len(told.find("EXTEND_TIMEOUT_USEC")) >= 2, told.messages
        shown = [message.fields["STATUS"] for message in told.find("STATUS")]
        assert any(text.startswith("draining, ") for text in shown), shown


if __name__ == "__main__":
    run()
