"""What `ps` and `pgrep` show of the daemon."""

import os
import re
import subprocess

from clients import asks, connect
from harness import Daemon, free_port
from processes import wait_until
from programs import SOURCE
from tap import case, run

COMMAND = "ps --forest --no-headers -o args --pid"


def shown(daemon):
    """The lines of ps for the daemon's processes."""
    pids = ",".join(str(process.pid) for process in daemon.processes())
    done = subprocess.run([*COMMAND.split(), pids], capture_output=True, text=True)
    return [line.rstrip() for line in done.stdout.splitlines()]


def expect_shown(daemon, *lines):
    """ps shows these lines, at the latest a moment later."""
    last = []

    def is_so():
        last[:] = shown(daemon)
        return last == list(lines)

    try:
        wait_until("ps shows it", is_so)
    except AssertionError as why:
        raise AssertionError(f"ps shows {last}, not {list(lines)}") from why


def name_of(client):
    """A client's address as titles have it."""
    host, port = client.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def picture():
    """The process tree as forkechod(8) draws it."""
    with open(os.path.join(SOURCE, "man/forkechod.8"), encoding="utf-8") as file:
        page = file.read()
    block = re.search(r"\.Sh PROCESSES\n\.Bd -literal\n(.*?)\.Ed\n", page, re.DOTALL).group(1)
    return block.replace("\\e", "\\")


@case("the process tree is the one in the manual")
def tree_of_the_manual():
    port = free_port()
    with Daemon() as daemon:
        daemon.configure(
            {
                "echo": {"listen": f"127.0.0.1:{port}"},
                "upper": {"listen": f"[::1]:{port}", "handler": "upper"},
            }
        )
        daemon.start()
        clients = []
        for where in (f"127.0.0.1:{port}", f"127.0.0.1:{port}", f"[::1]:{port}"):
            clients.append(connect(where))
            assert asks(clients[-1], b"HELLO") == b"HELLO"
        expected = picture()
        examples = re.findall(r"session \w+ (\S+)$", expected, re.MULTILINE)
        assert len(examples) == len(clients), examples
        for example, client in zip(examples, clients):
            expected = expected.replace(example, name_of(client))
        expect_shown(daemon, *expected.splitlines())
        for client in clients:
            client.close()


@case("pgrep finds master, listeners and sessions under one name")
def pgrep_finds_all():
    port = free_port()
    with Daemon() as daemon:
        daemon.configure({"echo": {"listen": f"127.0.0.1:{port}"}})
        daemon.start()
        with connect(port) as client:
            assert asks(client, b"hello") == b"hello"
            found = subprocess.run(["pgrep", "-x", "forkechod"], capture_output=True, check=True)
            found = {int(pid) for pid in found.stdout.split()}
            ours = {process.pid for process in daemon.processes()}
            assert len(ours) == 3 and ours <= found, (ours, found)


@case("the numbers follow the sessions, up and down")
def numbers_follow():
    port = free_port()
    with Daemon() as daemon:
        daemon.configure({"echo": {"listen": f"127.0.0.1:{port}", "instances": 5}})
        daemon.start()
        clients = []
        for count in (0, 1, 2, 3):
            if count:
                clients.append(connect(port))
            expect_shown(
                daemon,
                f"forkechod: master [1 service, {count} session{'' if count == 1 else 's'}]",
                f" \\_ forkechod: listener echo [{count}/5]",
                *(f"     \\_ forkechod: session echo {name_of(client)}" for client in clients),
            )
        while clients:
            clients.pop().close()
            wait_until(
                "the listener counts one less",
                lambda: f" \\_ forkechod: listener echo [{len(clients)}/5]" in shown(daemon),
            )
        expect_shown(
            daemon,
            "forkechod: master [1 service, 0 sessions]",
            " \\_ forkechod: listener echo [0/5]",
        )


@case("log_address decides how much of a client's address ps shows")
def addresses_are_private():
    port = free_port()
    services = {"echo": {"listen": f"127.0.0.1:{port}, [::1]:{port}"}}
    with Daemon() as daemon:
        daemon.configure(services)
        daemon.start()
        for view, names in (
            ("full", (None, None)),
            ("masked", ("127.0.0.0", "::/48")),
            ("none", ("-", "-")),
        ):
            daemon.configure(services, {"log_address": view})
            daemon.reload()
            for where, name in zip((f"127.0.0.1:{port}", f"[::1]:{port}"), names):
                with connect(where) as client:
                    assert asks(client, b"hello") == b"hello"
                    (session,) = daemon.processes("session")
                    expected = f"forkechod: session echo {name or name_of(client)}"
                    assert session.title == expected, (session.title, expected)
                daemon.wait_sessions(0)


@case("a client of a Unix socket is shown as such")
def unix_client():
    with Daemon() as daemon:
        where = f"unix:{daemon.path('echo')}"
        daemon.configure({"echo": {"listen": where}})
        daemon.start()
        with connect(where) as client:
            assert asks(client, b"hello") == b"hello"
            (session,) = daemon.processes("session")
            assert session.title == "forkechod: session echo unix", session


@case("after a reload, ps shows which listener finishes with its clients")
def old_listener_finishes():
    port = free_port()
    with Daemon() as daemon:
        daemon.configure({"echo": {"listen": f"127.0.0.1:{port}"}})
        daemon.start()
        with connect(port) as client:
            assert asks(client, b"hello") == b"hello"
            daemon.configure(
                {
                    "echo": {"listen": f"127.0.0.1:{port}", "instances": 7},
                    "upper": {"listen": f"127.0.0.1:{free_port()}", "handler": "upper"},
                }
            )
            daemon.reload()
            expect_shown(
                daemon,
                "forkechod: master [2 services, 1 session]",
                " \\_ forkechod: listener echo [1/256] finishing",
                f" |   \\_ forkechod: session echo {name_of(client)}",
                " \\_ forkechod: listener echo [0/7]",
                " \\_ forkechod: listener upper [0/256]",
            )
        expect_shown(
            daemon,
            "forkechod: master [2 services, 0 sessions]",
            " \\_ forkechod: listener echo [0/7]",
            " \\_ forkechod: listener upper [0/256]",
        )


@case("the tree looks the same when the daemon has detached")
def detached():
    port = free_port()
    with Daemon() as daemon:
        daemon.configure({"echo": {"listen": f"127.0.0.1:{port}"}})
        daemon.detach()
        with connect(port) as client:
            assert asks(client, b"hello") == b"hello"
            expect_shown(
                daemon,
                "forkechod: master [1 service, 1 session]",
                " \\_ forkechod: listener echo [1/256]",
                f"     \\_ forkechod: session echo {name_of(client)}",
            )


if __name__ == "__main__":
    run()
