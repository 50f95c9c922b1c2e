"""SIGTERM at any moment: the daemon is gone in time, and nothing of it is left.

TEST_SEED in the environment repeats the moments of a run that failed; TEST_MOMENTS is how many
there are of each kind.
"""

import contextlib
import os
import random
import signal
import subprocess
import time

from clients import asks, connect
from harness import IS_ROOT, Daemon, free_port, limit_descriptors
from processes import daemon_processes, reap_orphans, wait_until
from programs import FORKECHOD
from tap import case, covers, expect_time, note, run, scaled

MOMENTS = int(os.environ.get("TEST_MOMENTS", "100"))
GRACE = 0.05


@contextlib.contextmanager
def moments():
    """Chance, whose seed is in the report when the case fails."""
    seed = os.environ.get("TEST_SEED") or os.urandom(4).hex()
    try:
        yield random.Random(seed)
    except BaseException:
        note(f"TEST_SEED={seed}")
        raise


def configure(daemon, port, **keys):
    listen = {"listen": f"127.0.0.1:{port} unix:{daemon.path('socket')}"}
    daemon.configure(
        {"echo": dict(listen, **keys), "upper": {"handler": "upper", "listen": "127.0.0.1:0"}},
        daemon={"graceful_timeout": f"{int(GRACE * 1000)}ms"},
        defaults=daemon.visible(),
    )


def serve(daemon, **start):
    port = free_port()
    configure(daemon, port)
    daemon.start(**start)
    return port


def duration_of(action):
    begin = time.monotonic()
    action()
    return time.monotonic() - begin


def clients_of(crowd, port, count):
    clients = [crowd.enter_context(connect(port)) for _ in range(count)]
    for client in clients:
        assert asks(client, b"hello") == b"hello"
    return clients


def expect_nothing_left(daemon):
    daemon.expect_nothing_left()
    left = set(os.listdir(daemon.directory)) - {"forkechod.conf"}
    assert not left, left


def nobody_is_left():
    reap_orphans()
    return not daemon_processes()


def expect_gone(daemon, statuses=(0,)):
    """TERM was sent: it ends in time, and leaves nothing."""
    begin = time.monotonic()
    status = daemon.wait_end()
    took = time.monotonic() - begin
    assert status in statuses, status
    expect_nothing_left(daemon)
    expect_time(took, 0, GRACE + scaled(1))


@covers("F64")
@case("TERM at any moment of a start in the foreground", limit=600)
def start_in_the_foreground():
    with Daemon() as daemon:
        usual = duration_of(lambda: serve(daemon))
    with moments() as chance:
        for _ in range(MOMENTS):
            with Daemon() as daemon:
                configure(daemon, free_port())
                daemon.launch()
                time.sleep(chance.uniform(0, 1.2 * usual))
                daemon.kill(daemon.pid, signal.SIGTERM)
                # Before it takes its signals, TERM does to it what it does to any program.
                expect_gone(daemon, (0, -signal.SIGTERM))


@covers("F64")
@case("TERM at any moment of the command that starts it: no daemon is left behind", limit=600)
def start_detached():
    with Daemon() as daemon:
        configure(daemon, free_port())
        usual = duration_of(daemon.detach)
    with moments() as chance:
        quiet = subprocess.DEVNULL
        ends = {"started": 0, "ended": 0}
        for _ in range(MOMENTS):
            with Daemon() as daemon:
                configure(daemon, free_port())
                command = subprocess.Popen([FORKECHOD, "-c", daemon.file], stderr=quiet)
                time.sleep(chance.uniform(0, 1.2 * usual))
                command.send_signal(signal.SIGTERM)
                if command.wait(scaled(30)) == 0:  # too late: the start went well
                    ends["started"] += 1
                    daemon.pid = daemon.written_pid()
                    daemon.kill(daemon.pid, signal.SIGTERM)
                    expect_gone(daemon)
                else:
                    ends["ended"] += 1
                    assert command.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM)
                    wait_until("no process is left", nobody_is_left)
                    expect_nothing_left(daemon)
        note(ends)


@covers("F64")
@case("TERM at any moment of a reload", limit=600)
def reload():
    with moments() as chance, Daemon() as daemon:
        port = serve(daemon)
        configure(daemon, port, instances=7)
        usual = duration_of(daemon.reload)
        daemon.stop()
        for turn in range(MOMENTS):
            with Daemon() as daemon, contextlib.ExitStack() as crowd:
                port = serve(daemon)
                if turn % 3 == 0:
                    clients_of(crowd, port, 2)
                configure(daemon, port, instances=7)
                daemon.kill(daemon.pid, signal.SIGHUP)
                time.sleep(chance.uniform(0, 1.2 * usual))
                daemon.kill(daemon.pid, signal.SIGTERM)
                expect_gone(daemon)


@covers("F64")
@case("TERM, and more of it, at any moment while old sessions finish", limit=600)
def drain():
    with moments() as chance:
        for turn in range(MOMENTS):
            with Daemon() as daemon, contextlib.ExitStack() as crowd:
                port = serve(daemon)
                clients = clients_of(crowd, port, 3)
                configure(daemon, port, instances=7)
                daemon.reload()
                acts = [client.close for client in clients[: turn % 4]]
                acts += [lambda: daemon.kill(daemon.pid, signal.SIGTERM)] * (turn % 2)
                daemon.kill(daemon.pid, signal.SIGTERM)
                chance.shuffle(acts)
                for act in acts:
                    time.sleep(chance.uniform(0, GRACE / 4))
                    with contextlib.suppress(ProcessLookupError):
                        act()
                expect_gone(daemon)


@covers("F64")
@case("TERM at any moment while it is out of descriptors and clients wait", limit=600)
def out_of_descriptors():
    # Without descriptors the sanitizers' leak check fails.
    environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")
    with moments() as chance:
        for turn in range(MOMENTS):
            with Daemon() as daemon, contextlib.ExitStack() as crowd:
                daemon.announce("throttled begin: echo: descriptors")
                port = free_port()
                configure(daemon, port)
                daemon.start(env=environment)
                clients_of(crowd, port, 1)
                limit_descriptors(daemon.listener(), None)
                if turn % 2 and IS_ROOT:  # nobody else can look into a master
                    limit_descriptors(daemon.pid, None)
                for _ in range(5):
                    crowd.enter_context(connect(port)).sendall(b"hello")
                if turn % 4 < 2:
                    daemon.expect("throttled begin")
                time.sleep(chance.uniform(0, GRACE))
                daemon.kill(daemon.pid, signal.SIGTERM)
                expect_gone(daemon)


if __name__ == "__main__":
    run()
