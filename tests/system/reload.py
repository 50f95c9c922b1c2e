"""A new configuration comes into force, and no client notices."""

import contextlib
import os
import re
import signal
import socket
import time

from clients import Load, asks, connect, exchange, is_refused
from harness import IS_ROOT, Daemon, free_port, said_otherwise
from processes import descriptors, wait_until
from tap import case, covers, note, run

REJECTED = "reload (rejected|mistake)"


def on(*ports, **keys):
    """The keys of a service on these ports."""
    return dict({"listen": " ".join(f"127.0.0.1:{port}" for port in ports)}, **keys)


def open_descriptors(daemon):
    """What master and listener have open. A master that cannot be looked into is left out."""
    try:
        return [len(descriptors(pid)) for pid in (daemon.pid, daemon.listener())]
    except PermissionError:
        assert not IS_ROOT
        return []


def titles(daemon, kind, service):
    return [process.title for process in daemon.processes(kind, service)]


def served_by(daemon, port):
    """The name of the service whose session a client of this port gets."""
    with connect(port) as client:
        assert asks(client, b"who") == b"who"
        peer = "%s:%d" % client.getsockname()
        found = [process.title for process in daemon.processes("session")]
        (title,) = [title for title in found if title.endswith(" " + peer)]
    return title.split()[2]


def connected(crowd, port, text=None):
    """A client that stays until the crowd leaves, and has its answer if it was to ask."""
    client = crowd.enter_context(connect(port))
    assert text is None or asks(client, text) == text
    return client


# ---- under load ---------------------------------------------------------------------------------


@covers("F52")
@case("SIGHUP every 50 ms for 10 s, with good and bad files in turn, costs no client", limit=240)
def storm():
    with Daemon() as daemon:
        daemon.announce(REJECTED)
        port = free_port()
        daemon.configure({"echo": on(port)})
        daemon.start()
        exchange(port, b"warm")
        before = open_descriptors(daemon)
        files = [
            {"echo": on(port, idle_timeout="100s")},
            {"echo": on(port, idle_timeout="never")},
            {"echo": on(port, idle_timeout="200s")},
            {"echo": on(port, colour="blue")},
        ]

        def few():
            return any(len(daemon.said(f"reload {word}")) < 11 for word in ("ok", "rejected"))

        with connect(port) as long, Load("steady", port, 8) as load:
            end, turn = time.monotonic() + 10, 0
            while time.monotonic() < end or few():
                text = b"turn %d" % turn
                daemon.configure(files[turn % len(files)])
                daemon.kill(daemon.pid, signal.SIGHUP)
                assert asks(long, text) == text
                time.sleep(0.05)
                turn += 1
            assert asks(long, b"still here") == b"still here"
            result = load.finish()
        reloads = {word: len(daemon.said(f"reload {word}")) for word in ("ok", "rejected")}
        note(f"{result}; {reloads}")
        assert result.answered > 100 and not result.lost, result
        assert min(reloads.values()) > 10, reloads
        wait_until("the old listeners are gone", lambda: len(daemon.processes("listener")) == 1)
        daemon.expect_no_zombie()
        daemon.check()
        assert open_descriptors(daemon) == before, (open_descriptors(daemon), before)


@covers("F55")
@case("addresses that move from one service to another under load lose no client", limit=240)
def addresses_move():
    with Daemon() as daemon:
        one, two, three = ports = [free_port() for _ in range(3)]
        ways = [
            {"a": on(one, two), "b": on(three)},
            {"a": on(two), "b": on(three, one)},
            {"a": on(three), "b": on(one, two)},
        ]
        daemon.configure(ways[0])
        daemon.start()
        with contextlib.ExitStack() as loads:
            running = [loads.enter_context(Load("steady", port, 3)) for port in ports]
            for turn in range(1, 31):
                daemon.configure(ways[turn % 3])
                daemon.reload()
            daemon.configure(ways[2])
            daemon.reload()
            results = [load.finish() for load in running]
        for result in results:
            assert result.answered and not result.lost, results
        assert [served_by(daemon, port) for port in ports] == ["b", "b", "a"]


# ---- what changes, and what does not ------------------------------------------------------------


@case("a service that did not change keeps its listener; one that did gets another")
def comparison():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        one, two = free_port(), free_port()
        daemon.configure({"same": on(one), "other": on(two)})
        daemon.start()
        same, other = daemon.listener("same"), daemon.listener("other")
        first, second = (connected(crowd, port, b"hello") for port in (one, two))
        daemon.configure({"same": on(one), "other": on(two, handler="upper")})
        daemon.reload()
        assert daemon.listener("same") == same
        assert len(daemon.processes("listener", "other")) == 2
        assert exchange(two, b"hello") == b"HELLO"
        assert asks(first, b"hello") == b"hello" and asks(second, b"hello") == b"hello"
        second.close()
        wait_until(
            "the old listener has gone with its last client",
            lambda: other not in [process.pid for process in daemon.processes("listener")],
        )
        assert len(daemon.processes("listener")) == 2


@case("ps shows the old listener as finishing, with the clients that it still has")
def finishing():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = free_port()
        daemon.configure({"echo": on(port)})
        daemon.start()
        old = [connected(crowd, port, b"old") for _ in range(2)]
        daemon.configure({"echo": on(port, instances=99)})
        daemon.reload()
        connected(crowd, port, b"new")
        wanted = ["forkechod: listener echo [1/99]", "forkechod: listener echo [2/256] finishing"]
        wait_until(wanted, lambda: sorted(titles(daemon, "listener", "echo")) == sorted(wanted))
        old[0].close()
        wanted[1] = "forkechod: listener echo [1/256] finishing"
        wait_until(wanted, lambda: sorted(titles(daemon, "listener", "echo")) == sorted(wanted))
        assert asks(old[1], b"as ever") == b"as ever"


@case("a reload of the same file touches nothing")
def nothing_changes():
    with Daemon() as daemon:
        port = free_port()
        daemon.configure({"echo": on(port)})
        daemon.start()
        before = daemon.listener()
        for _ in range(20):
            daemon.hang_up()
        daemon.reload()
        assert daemon.listener() == before
        assert len(daemon.said("listener started")) == 0, daemon.said("listener")


@case("once forkechoctl reload has returned, clients get the new configuration")
def in_force():
    with Daemon() as daemon:
        port = free_port()
        daemon.configure({"echo": on(port)})
        daemon.start()
        for turn in range(10):
            handler, answer = (("upper", b"HELLO"), ("echo", b"hello"))[turn % 2]
            daemon.configure({"echo": on(port, handler=handler)})
            status, text = daemon.control("reload")
            assert (status, said_otherwise(text)) == (0, "reload accepted\n"), (status, text)
            assert exchange(port, b"hello") == answer


@case("a service that is taken out and put back serves again, and its counters go on")
def there_and_back():
    with Daemon() as daemon:
        one, two = free_port(), free_port()
        both = {"echo": on(one), "guest": on(two)}
        daemon.configure(both)
        daemon.start()
        for services in ({"echo": on(one)}, dict(both, guest=on(two, disable="yes"))):
            with connect(two) as client:
                assert asks(client, b"hello") == b"hello"
                daemon.configure(services)
                daemon.reload()
                wait_until("its port is closed", lambda: is_refused(two))
                assert asks(client, b"still here") == b"still here"
            wait_until("its listener is gone", lambda: not daemon.processes("listener", "guest"))
            daemon.configure(both)
            daemon.reload()
            assert exchange(two, b"again") == b"again"
        daemon.expect("session end: guest .*, [1-9][0-9]* bytes in", count=4)
        daemon.kill(daemon.pid, signal.SIGUSR1)
        accepted = int(daemon.expect(r"state: guest: .* (\d+) accepted").group(1))
        assert accepted >= 4, accepted


@case("an option that is fixed at the start is warned about, and the rest comes into force")
def fixed_options():
    with Daemon() as daemon:
        daemon.announce("restart needed")
        port, other = free_port(), free_port()
        daemon.configure({"echo": on(port)})
        daemon.start()
        daemon.configure(
            {"echo": on(other)}, daemon={"max_sessions": 5000, "pid_file": daemon.path("elsewhere")}
        )
        daemon.reload()
        daemon.expect(r'restart needed: \[daemon\] max_sessions: changed from "0" to "5000"')
        daemon.expect(r"restart needed: \[daemon\] pid_file: changed from .*/pid\" to .*elsewhere")
        assert len(daemon.said("restart needed")) == 2, daemon.said("restart needed")
        assert exchange(other, b"hello") == b"hello"
        assert daemon.written_pid() == daemon.pid


# ---- addresses ----------------------------------------------------------------------------------


@covers("F55")
@case("an added address is served; a removed one serves who waits there, and is refused then")
def added_and_removed():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        stays, goes, comes = (free_port() for _ in range(3))
        daemon.configure({"echo": on(stays, goes)})
        daemon.start()
        old = daemon.listener()
        daemon.kill(old, signal.SIGSTOP)
        waiting = [connected(crowd, goes) for _ in range(40)]
        for number, client in enumerate(waiting):
            client.sendall(b"%02d" % number)
        daemon.configure({"echo": on(stays, comes)})
        daemon.reload()
        assert exchange(comes, b"new") == b"new" and exchange(stays, b"old") == b"old"
        daemon.kill(old, signal.SIGCONT)
        for number, client in enumerate(waiting):
            assert client.recv(2) == b"%02d" % number
        wait_until("the removed address is refused", lambda: is_refused(goes))
        assert exchange(comes, b"new") == b"new" and exchange(stays, b"old") == b"old"
        daemon.expect("socket closed: .*" + str(goes))


@covers("F55")
@case("who waits at a removed address for room under `instances` still gets his turn")
def removed_while_full():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce("throttled begin: echo: instances")
        goes, comes = free_port(), free_port()
        daemon.configure({"echo": on(goes, instances=1)})
        daemon.start()
        first = connected(crowd, goes, b"first")
        second = connected(crowd, goes)
        second.sendall(b"second")
        daemon.expect("throttled begin: echo: instances")
        daemon.configure({"echo": on(comes, instances=1)})
        daemon.reload()
        first.close()
        assert second.recv(6) == b"second"
        wait_until("the removed address is refused", lambda: is_refused(goes))
        second.close()
        assert exchange(comes, b"new") == b"new"


@covers("F41", "F55")
@case("an address that cannot be bound refuses the whole reload, and all is as before")
def cannot_bind():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce(REJECTED)
        port, fresh, added = (free_port() for _ in range(3))
        taken = crowd.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        daemon.configure({"echo": on(port)})
        daemon.start()
        client = connected(crowd, port, b"before")
        before, held = daemon.listener(), open_descriptors(daemon)
        daemon.configure(
            {"echo": on(port, fresh, handler="upper"), "more": on(added), "wrong": on(taken)}
        )
        status, text = daemon.control("reload")
        assert status == 1 and f"127.0.0.1:{taken}" in text and "in use" in text, (status, text)
        daemon.expect(f"reload rejected: .*127.0.0.1:{taken}.*the old configuration is in force")
        wait_until("new listeners are gone", lambda: len(daemon.processes("listener")) == 1)
        assert daemon.listener() == before
        assert is_refused(fresh) and is_refused(added)
        assert asks(client, b"after") == b"after" and exchange(port, b"new") == b"new"
        daemon.expect_no_zombie()
        daemon.check()
        assert open_descriptors(daemon) == held, (open_descriptors(daemon), held)


# ---- bad files ----------------------------------------------------------------------------------

BAD = """[service echo]
listen = 127.0.0.1:{port}
backlog = lots
idle_timeout = 5 parsecs
instence = 3
[service echo2]
handler = ecko
listen = 127.0.0.1:99999
"""
WRONG = (3, "backlog"), (4, "idle_timeout"), (5, "instence"), (7, "handler"), (8, "listen")


@covers("F51")
@case("a bad file changes nothing; log and forkechoctl name the position of every mistake")
def bad_file():
    with Daemon() as daemon:
        daemon.announce(REJECTED)
        port = free_port()
        daemon.configure({"echo": on(port)})
        daemon.start()
        before = daemon.listener()
        daemon.write(BAD.format(port=port))
        status, text = daemon.control("reload")
        assert status == 1, (status, text)
        for line, key in WRONG:
            assert re.search(rf"^{re.escape(daemon.file)}:{line}: .*{key}", text, re.M), (key, text)
            daemon.expect(rf"reload mistake: {re.escape(daemon.file)}:{line}: .*{key}")
        daemon.expect("reload rejected: 5 mistakes; the old configuration is in force")
        daemon.hang_up()
        for line, key in WRONG:
            daemon.expect(rf"reload mistake: {re.escape(daemon.file)}:{line}: .*{key}")
        assert daemon.listener() == before and exchange(port, b"hello") == b"hello"
        daemon.configure({"echo": on(port, handler="upper")})
        daemon.reload()
        assert exchange(port, b"hello") == b"HELLO"


@covers("F51")
@case("a file that is gone, empty or not text is a bad file")
def no_file():
    with Daemon() as daemon:
        daemon.announce(REJECTED)
        port = free_port()
        daemon.configure({"echo": on(port)})
        daemon.start()
        damages = (
            lambda: daemon.write(b""),
            lambda: daemon.write(b"\0\xff" * 500),
            lambda: os.unlink(daemon.file),
        )
        for damage in damages:
            damage()
            status, text = daemon.control("reload")
            assert status == 1 and daemon.file in text, (status, text)
            assert exchange(port, b"hello") == b"hello"


# ---- many at once -------------------------------------------------------------------------------


@covers("F54")
@case("many SIGHUPs are one reload, and the last file wins")
def many_are_one():
    with Daemon() as daemon:
        port = free_port()
        daemon.configure({"echo": on(port)})
        daemon.start()
        daemon.kill(daemon.pid, signal.SIGSTOP)
        for instances in range(1, 21):
            daemon.configure({"echo": on(port, instances=instances)})
            daemon.kill(daemon.pid, signal.SIGHUP)
        daemon.kill(daemon.pid, signal.SIGCONT)
        daemon.expect("reload ok")
        assert len(daemon.said("reload ok")) == 1, daemon.said("reload")

        daemon.mark()
        for instances in range(101, 201):
            daemon.configure({"echo": on(port, instances=instances)})
            daemon.kill(daemon.pid, signal.SIGHUP)
        wanted = ["forkechod: listener echo [0/200]"]
        wait_until(wanted, lambda: titles(daemon, "listener", "echo") == wanted)
        assert len(daemon.said("reload ok")) < 100, len(daemon.said("reload ok"))


@case("everybody who asks forkechoctl for a reload at the same time is told how it went")
def many_ask():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = free_port()
        daemon.configure({"echo": on(port)})
        daemon.start()
        daemon.configure({"echo": on(port, instances=7)})
        daemon.kill(daemon.pid, signal.SIGSTOP)
        asking = [crowd.enter_context(connect(f"unix:{daemon.path('control')}")) for _ in range(6)]
        for client in asking:
            client.sendall(b"reload\n")
        daemon.kill(daemon.pid, signal.SIGCONT)
        for client in asking:
            assert said_otherwise(client.recv(1000).decode()) == "ok\n"
        wanted = ["forkechod: listener echo [0/7]"]
        wait_until(wanted, lambda: titles(daemon, "listener", "echo") == wanted)


@case("a service has at most 64 generations: then a reload is refused until one is gone", limit=240)
def too_many_generations():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce(REJECTED)
        port = free_port()
        daemon.configure({"echo": on(port, instances=1000)})
        daemon.start()
        clients = [connected(crowd, port, b"hello")]
        for instances in range(1001, 1064):
            daemon.configure({"echo": on(port, instances=instances)})
            daemon.reload()
            clients.append(connected(crowd, port, b"hello"))
        daemon.configure({"echo": on(port, instances=2000)})
        status, text = daemon.control("reload")
        assert status == 1 and "service echo: 64 older generations still have clients" in text, text
        assert exchange(port, b"still here") == b"still here"
        for client in clients:
            assert asks(client, b"as ever") == b"as ever"
        clients[5].close()
        wait_until("one is gone", lambda: len(daemon.processes("listener", "echo")) == 63)
        daemon.reload()
        assert exchange(port, b"at last") == b"at last"


@covers("F53")
@case("`instances` counts also the sessions that finish under an old configuration")
def instances_of_all():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce("throttled begin: echo: instances")
        port = free_port()
        daemon.configure({"echo": on(port, instances=3)})
        daemon.start()
        old = [connected(crowd, port, b"old") for _ in range(2)]
        daemon.configure({"echo": on(port, instances=3, idle_timeout="200s")})
        daemon.reload()
        connected(crowd, port, b"new")
        waiting = connected(crowd, port)
        waiting.sendall(b"wait")
        daemon.expect("throttled begin: echo: instances")
        assert len(daemon.sessions()) == 3
        old[0].close()
        assert waiting.recv(4) == b"wait"
        assert len(daemon.wait_sessions(3)) == 3
        daemon.expect("throttled end: echo: instances")


if __name__ == "__main__":
    run()
