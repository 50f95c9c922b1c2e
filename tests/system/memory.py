"""Memory that runs out: the session that ate it dies, and nobody else. And what a session costs."""

import contextlib
import os
from pathlib import Path

from clients import asks, connect, exchange
from harness import IS_ROOT, Daemon, free_port
from processes import wait_until
from programs import BUILD, SANITIZED
from tap import Skip, case, covers, note, run

# The listener with a handler that eats what it gets (scribble.c).
GLUTTON = os.path.join(BUILD, "tests/system/listener-scribbling")
GROUPS = Path("/sys/fs/cgroup")
LIMIT = 48 << 20  # less than the glutton can eat
ROUNDS = 10


def make_group(name):
    """A control group of LIMIT bytes, of whichever version the machine has. None: it has none."""
    for parent, settings in (
        (GROUPS / "memory", {"memory.limit_in_bytes": LIMIT}),
        (GROUPS, {"memory.max": LIMIT, "memory.swap.max": 0}),
    ):
        group = parent / name
        with contextlib.suppress(OSError):
            group.mkdir()
            try:
                for setting, value in settings.items():
                    (group / setting).write_text(str(value))
                return group
            except OSError:
                group.rmdir()
    return None


@contextlib.contextmanager
def confined():
    """What starts a daemon that has LIMIT bytes, with all of its processes."""
    if not IS_ROOT:
        raise Skip("only root can make a control group")
    if SANITIZED:
        raise Skip("with sanitizers no process is content with so little")
    group = make_group(f"forkechod-test-{os.getpid()}")
    if not group:
        raise Skip("no control group for memory can be made here")
    try:
        yield ["sh", "-ec", f'echo $$ >{group}/cgroup.procs; exec "$@"', "sh"]
    finally:
        wait_until("the group is empty", lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


def check_glutton(daemon, wrapper, **keys):
    """Again and again a session eats all that the group has."""
    daemon.announce("session error: wild .*: died by a signal 9")
    echo, wild = free_port(), free_port()
    daemon.configure(
        {
            "echo": dict({"listen": f"127.0.0.1:{echo}"}, **keys),
            "wild": dict({"listen": f"127.0.0.1:{wild}", "handler": "discard"}, **keys),
        }
    )
    daemon.start(wrapper=wrapper, env=dict(os.environ, FORKECHOD_LISTENER=GLUTTON))
    fixed = [daemon.pid, daemon.listener("echo"), daemon.listener("wild")]
    with contextlib.ExitStack() as crowd:
        stay = [crowd.enter_context(connect(port)) for port in (echo, echo, wild)]
        assert asks(stay[0], b"hello") == asks(stay[1], b"hello") == b"hello"
        for _ in range(ROUNDS):
            with connect(wild) as eater:
                name = "%s:%d" % eater.getsockname()
                eater.sendall(b"eat")
                daemon.expect(rf"session error: wild {name} .*: died by a signal 9")
            assert asks(stay[0], b"still here") == asks(stay[1], b"still here") == b"still here"
            assert exchange(echo, b"new") == b"new"
        assert fixed == [daemon.pid, daemon.listener("echo"), daemon.listener("wild")]
        assert len(daemon.said("session error")) == ROUNDS, daemon.said("session error")
        daemon.check()
    daemon.stop()


@covers("F21")
@case(f"out of memory: the session that ate it is killed, {ROUNDS} times of {ROUNDS}, and nobody else", limit=240)
def glutton():
    with confined() as wrapper, Daemon() as daemon:
        check_glutton(daemon, wrapper)


@covers("F21")
@case("out of memory: of a pool's processes, too, the one that ate it is killed, and replaced", limit=240)
def glutton_in_a_pool():
    with confined() as wrapper, Daemon() as daemon:
        check_glutton(daemon, wrapper, process_model="prefork", start_servers=3)


def memory(pid):
    """smaps_rollup: KiB by name."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        rows = [line.split() for line in file.readlines()[1:]]
    return {row[0][:-1]: int(row[1]) for row in rows}


@covers("F25")
@case("a session that waits has at most 64 KiB of its own, and 256 KiB with its share of the rest")
def price_of_a_session():
    if SANITIZED:
        raise Skip("with sanitizers every process has much more of its own")
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = free_port()
        daemon.configure({"echo": {"listen": f"127.0.0.1:{port}"}})
        daemon.start()
        for _ in range(100):
            assert asks(crowd.enter_context(connect(port)), b"hello") == b"hello"
        try:
            found = [memory(pid) for pid in daemon.wait_sessions(100)]
        except PermissionError as why:
            raise Skip("nobody but root may look into a session") from why
        private = max(one["Private_Dirty"] for one in found)
        share = max(one["Pss"] for one in found)
        note(f"{private} KiB of its own, {share} KiB with its share")
        assert private <= 64 and share <= 256, (private, share)


if __name__ == "__main__":
    run()
