"""Many clients, one after another and at once."""

import time

from clients import Load, asks, connect, exchange, read_exactly
from harness import IS_ROOT, Daemon, free_port
from processes import cpu_seconds, descriptors
from tap import case, covers, expect_time, note, run, scaled


def open_descriptors(daemon):
    """What master and listener have open. A master that cannot be looked into is left out."""
    try:
        return [len(descriptors(pid)) for pid in (daemon.pid, daemon.listener())]
    except PermissionError:
        assert not IS_ROOT
        return []


def serve(daemon, **keys):
    port = free_port()
    daemon.configure({"echo": dict({"listen": f"127.0.0.1:{port}"}, **keys)})
    daemon.start()
    exchange(port, b"warm")
    daemon.expect("session end")
    return port


def run_load(mode, count, **keys):
    with Daemon() as daemon:
        port = serve(daemon, **keys)
        before = open_descriptors(daemon)
        with Load(mode, port, count) as load:
            result = load.finish()
        note(result)
        assert result.answered == count and not result.lost, result
        daemon.expect("session end: echo .* client closed", count=count)
        daemon.wait_sessions(0)
        daemon.expect_no_zombie()
        daemon.check()
        assert open_descriptors(daemon) == before, (open_descriptors(daemon), before)


@case("10 000 connections one after another are all answered, and nothing piles up", limit=240)
def one_after_another():
    run_load("serial", 10000)


@case("2 000 clients at once are all answered, and nothing piles up", limit=240)
def all_at_once():
    run_load("crowd", 2000, instances=2000, backlog=4096)


@covers("F06", "F09")
@case("the kernel's queue holds a crowd that is larger than `instances`, and each gets its turn")
def a_crowd_waits():
    with Daemon() as daemon:
        daemon.announce("throttled begin: echo: instances")
        port = serve(daemon, instances=50, backlog=1024)
        clients = [connect(port) for _ in range(400)]
        for number, client in enumerate(clients):
            client.sendall(b"%03d" % number)
        daemon.expect("throttled begin: echo: instances")
        for number, client in enumerate(clients):
            assert len(daemon.sessions()) <= 50
            assert read_exactly(client, 3) == b"%03d" % number
            client.close()
        daemon.expect("throttled end: echo: instances")


@case("a client that is connected keeps its answers while thousands come and go", limit=240)
def one_stays():
    with Daemon() as daemon:
        port = serve(daemon)
        with connect(port) as client, Load("steady", port, 16) as load:
            for turn in range(200):
                text = b"turn %d" % turn
                assert asks(client, text) == text
            result = load.finish()
        assert result.answered and not result.lost, result


@covers("F31")
@case("200 clients that wait in silence cost no processor time", limit=240)
def silence_is_free():
    with Daemon() as daemon:
        port = serve(daemon)
        clients = [connect(port) for _ in range(200)]
        daemon.wait_sessions(200)
        before = [cpu_seconds(process.pid) for process in daemon.processes()]
        time.sleep(2)
        after = [cpu_seconds(process.pid) for process in daemon.processes()]
        used = sum(after) - sum(before)
        for client in clients:
            client.close()
        daemon.wait_sessions(0)
        expect_time(used, 0, scaled(0.1), "of the processor")


if __name__ == "__main__":
    run()
