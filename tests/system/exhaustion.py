"""Out of descriptors, out of processes: clients wait, nobody spins, and it ends when the want does.
"""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from clients import asks, connect, exchange, read_exactly
from harness import IS_ROOT, Daemon, free_port, limit_descriptors, ordinary
from processes import cpu_seconds
from tap import Skip, case, covers, expect_time, note, run, scaled

PIDS = "/sys/fs/cgroup/pids"
WAITING = 5  # clients


@contextlib.contextmanager
def no_descriptors(pid):
    """The process can open no further descriptor: RLIMIT_NOFILE."""
    before = limit_descriptors(pid, None)
    try:
        yield
    finally:
        if os.path.exists(f"/proc/{pid}"):
            limit_descriptors(pid, before)


@contextlib.contextmanager
def no_processes_for_the_user(pid):
    """The process, which is not root's, cannot fork: RLIMIT_NPROC."""
    change = ["prlimit", f"--pid={pid}"]
    look = [*change, "--nproc", "--noheadings", "--output=SOFT"]
    before = subprocess.check_output(look, text=True, **ordinary()).strip()
    subprocess.check_call([*change, "--nproc=0:"], **ordinary())
    try:
        yield
    finally:
        if os.path.exists(f"/proc/{pid}"):
            subprocess.check_call([*change, f"--nproc={before}:"], **ordinary())


@contextlib.contextmanager
def no_processes_in_the_group(pid):
    """The process cannot fork: pids.max of a control group."""
    group = f"{PIDS}/forkechod-test-{os.getpid()}"

    os.mkdir(group)
    try:
        Path(group, "pids.max").write_text("1")
        Path(group, "cgroup.procs").write_text(str(pid))
        yield
    finally:
        for member in Path(group, "cgroup.procs").read_text().split():
            Path(PIDS, "cgroup.procs").write_text(member)
        os.rmdir(group)


# What holds for root's processes too, where it can be had.
no_processes = no_processes_for_the_user
if IS_ROOT and os.path.isdir(PIDS):
    no_processes = no_processes_in_the_group


def serve(daemon, **start):
    """Two services; returns their ports."""
    ports = [free_port(), free_port()]
    daemon.configure(
        {
            "echo": {"listen": f"127.0.0.1:{ports[0]}"},
            "upper": {"listen": f"127.0.0.1:{ports[1]}", "handler": "upper"},
        },
        defaults=daemon.visible(),
    )
    daemon.start(**start)
    return ports


def begin_waiting(port):
    """Clients that have said something and wait for their answer."""
    clients = [connect(port) for _ in range(WAITING)]
    for number, client in enumerate(clients):
        client.sendall(b"%d" % number)
    return clients


def expect_answers(clients, seconds):
    """Each gets its own within so many seconds."""
    begin = time.monotonic()
    for number, client in enumerate(clients):
        assert read_exactly(client, 1) == b"%d" % number
        client.close()
    took = time.monotonic() - begin
    note(f"answered {took:.2f} s after the relief")
    expect_time(took, 0, scaled(seconds))


def check_outage(cause, limit, duration):
    """The whole course: others are not affected, nobody spins, all waiting clients are served
    within a second of the relief, and the log has one line at the begin and one at the end."""
    with Daemon() as daemon:
        daemon.announce(f"throttled begin: echo: {cause}")
        ports = serve(daemon)
        with connect(ports[0]) as old:
            assert asks(old, b"before") == b"before"
            watched = [daemon.pid, daemon.listener("echo")]
            with limit(daemon.listener("echo")):
                begin, used = time.monotonic(), [cpu_seconds(pid) for pid in watched]
                clients = begin_waiting(ports[0])
                daemon.expect(f"throttled begin: echo: {cause}: .+, clients wait")
                throttled = time.monotonic()
                while time.monotonic() < begin + duration:
                    assert asks(old, b"meanwhile") == b"meanwhile"
                    assert exchange(ports[1], b"other") == b"OTHER"
                    time.sleep(0.1)
                used = [cpu_seconds(pid) - before for pid, before in zip(watched, used)]
                least = time.monotonic() - throttled
                note(f"{used} s of processor time in {time.monotonic() - begin:.1f} s")
                expect_time(max(used), 0, scaled(0.05 * duration), "of the processor")
            expect_answers(clients, 1)
        line = daemon.expect(rf"throttled end: echo: {cause}, (\d+) times in ([\d.]+) s")
        most = time.monotonic() - begin
        assert 1 < int(line.group(1)) <= 10 + 2 * most, line.string
        # From the first failure to the last one, between which the pauses double.
        assert least / 4 <= float(line.group(2)) <= most + 0.1, (least, most, line.string)
        assert len(daemon.said("throttled")) == 2, daemon.said("throttled")


@covers("F01")
@case("out of descriptors for 4.9 s: clients wait, and are served within a second of the relief")
def descriptors_run_out():
    check_outage("descriptors", no_descriptors, 4.9)


@covers("F13")
@case("fork refused for a second (RLIMIT_NPROC): the same; one line at the begin, one at the end")
def processes_run_out():
    check_outage("processes", no_processes_for_the_user, 1)


@covers("F13", "F22")
@case("fork refused for 4.9 s (TasksMax=, where the machine has such groups): the same")
def processes_run_out_for_long():
    check_outage("processes", no_processes, 4.9)


@covers("F13")
@case("fork refused for longer: one client is lost, which the log says; the others are served")
def processes_too_long():
    with Daemon() as daemon:
        daemon.announce("throttled begin: echo: processes", "client lost: ")
        port = serve(daemon)[0]
        with no_processes_for_the_user(daemon.listener("echo")):
            begin = time.monotonic()
            clients = begin_waiting(port)
            line = daemon.expect(r"client lost: echo (127\.0\.0\.1:\d+): processes")
            names = ["%s:%d" % client.getsockname() for client in clients]
            lost = clients.pop(names.index(line.group(1)))
            took = time.monotonic() - begin
        for client in clients:
            assert client.recv(1)
            client.close()
        lost.close()
        assert len(daemon.said("client lost")) == 1, daemon.said("client lost")
        # The last pause is a second.
        expect_time(took, 4, 5 + scaled(1.5))


def check_stop(cause, limit):
    with Daemon() as daemon:
        daemon.announce(f"throttled begin: echo: {cause}", "client lost: echo .*: processes")
        # A leak check, in builds that make one, takes what there is none of.
        port = serve(daemon, env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))[0]
        with limit(daemon.listener("echo")):
            clients = begin_waiting(port)
            daemon.expect(f"throttled begin: echo: {cause}")
            begin = time.monotonic()
            daemon.stop()
            took = time.monotonic() - begin
            note(f"gone after {took:.2f} s")
        for client in clients:
            client.close()
        expect_time(took, 0, 2 + scaled(1))


@covers("F01")
@case("SIGTERM while descriptors are out: gone within graceful_timeout and a second")
def stop_without_descriptors():
    check_stop("descriptors", no_descriptors)


@case("SIGTERM while fork is refused: gone within graceful_timeout and a second")
def stop_without_processes():
    check_stop("processes", no_processes_for_the_user)


@covers("F11")
@case("a master out of descriptors refuses a reload, does not spin, and reloads after the relief")
def master_without_descriptors():
    if not IS_ROOT:
        raise Skip("only root can see which descriptors the master has")
    with Daemon() as daemon:
        daemon.announce("reload (mistake|rejected)")
        port, _ = serve(daemon)
        services = {"echo": {"listen": f"127.0.0.1:{port}", "handler": "upper"}}
        daemon.configure(services)
        with no_descriptors(daemon.pid):
            daemon.hang_up()
            daemon.expect("reload rejected")
            with connect(f"unix:{daemon.path('control')}") as asking:
                asking.sendall(b"reload\n")
                used = cpu_seconds(daemon.pid)
                time.sleep(1)
                used = cpu_seconds(daemon.pid) - used
                expect_time(used, 0, scaled(0.05), "of the processor")
                assert exchange(port, b"hello") == b"hello"
        daemon.reload()
        assert exchange(port, b"hello") == b"HELLO"


@covers("F13")
@case("a listener that dies while fork is refused is replaced after the relief; clients wait")
def master_without_processes():
    if IS_ROOT and no_processes is no_processes_for_the_user:
        raise Skip(f"nothing but a control group keeps root from forking, and there is no {PIDS}")
    with Daemon() as daemon:
        daemon.announce("listener died", "listener failed: .*cannot fork")
        port, other = serve(daemon)
        with no_processes(daemon.pid):
            daemon.kill(daemon.listener("echo"), signal.SIGKILL)
            daemon.expect("listener failed: .*cannot fork")
            clients = begin_waiting(port)
            time.sleep(1)
            assert exchange(other, b"other") == b"OTHER"
        expect_answers(clients, 2)


if __name__ == "__main__":
    run()
