"""Process numbers that are given to somebody else: he is never signalled for who had it before.

The test runs in a namespace of process numbers of its own, where it can say which one is next.
"""

import contextlib
import json
import signal
import subprocess

import namespaces
from clients import asks, connect
from harness import Daemon, free_port
from processes import wait_exit, wait_until
from tap import case, covers, run


@contextlib.contextmanager
def bystander(pid):
    """Somebody else's process with this number."""
    found = None
    while not found:
        with open("/proc/sys/kernel/ns_last_pid", "w", encoding="ascii") as last:
            last.write(str(pid - 1))
        process = subprocess.Popen(["sleep", "600"])
        if process.pid == pid:
            found = process
        else:
            process.kill()
            process.wait()
    try:
        yield found
    finally:
        found.kill()
        found.wait()


@contextlib.contextmanager
def serving(**keys):
    namespaces.needed()
    with Daemon() as daemon:
        port = free_port()
        daemon.configure(
            {
                "echo": dict({"listen": f"127.0.0.1:{port}"}, **keys),
                "status": {"handler": "status", "listen": f"unix:{daemon.path('status')}"},
            }
        )
        daemon.start(wrapper=namespaces.powerless())
        yield daemon, port


def session(daemon, client):
    """Its process, and the id that forkechoctl knows it by."""
    code, text = daemon.control("list", "-j", "-S", f"unix:{daemon.path('status')}")
    assert code == 0, text
    name = "%s:%d" % client.getsockname()
    (row,) = [row for row in json.loads(text) if row["client"] == name]
    return row["pid"], row["id"]


@covers("F23")
@case("`forkechoctl kill` of a session that is over does nothing to who has its number now")
def told_too_late():
    with serving() as (daemon, port):
        with connect(port) as client:
            assert asks(client, b"hello") == b"hello"
            pid, name = session(daemon, client)
        daemon.wait_sessions(0, "echo")
        with bystander(pid) as process:
            for _ in range(3):
                assert daemon.control("kill", name)[0] == 1
            assert not wait_exit(process.pid, 0.2)


@covers("F23")
@case("a stop and its grace, and a listener's death, end sessions and no bystander")
def stop_beside_it():
    with serving() as (daemon, port), contextlib.ExitStack() as crowd:
        daemon.announce("listener died")
        clients = [crowd.enter_context(connect(port)) for _ in range(4)]
        for client in clients:
            assert asks(client, b"hello") == b"hello"
        pids = [session(daemon, client)[0] for client in clients]
        bystanders = []
        for client, pid in zip(clients[:3], pids):
            # The first with its listener, the others as the master's own.
            client.close()
            wait_until("it has ended", lambda: pid not in daemon.sessions("echo"))
            daemon.expect_no_zombie()
            bystanders.append(crowd.enter_context(bystander(pid)))
            if client is clients[0]:
                daemon.kill(daemon.listener("echo"), signal.SIGKILL)
                daemon.expect("listener restarted")
        daemon.stop()
        for process in bystanders:
            assert not wait_exit(process.pid, 0.1)


@covers("F23")
@case("timeouts of a pool end its processes, and no bystander")
def worker_timeout():
    pool = {"process_model": "prefork", "start_servers": 2, "max_spare": 2, "worker_timeout": "1s"}
    with serving(**pool) as (daemon, port), contextlib.ExitStack() as crowd:
        daemon.announce("worker stuck", "worker died")
        wait_until("the pool is there", lambda: len(daemon.processes("session", "echo")) == 2)
        workers = [one.pid for one in daemon.processes("session", "echo")]
        daemon.kill(workers[0], signal.SIGSTOP)
        daemon.expect("worker stuck: service echo")
        daemon.expect("worker died: service echo")
        process = crowd.enter_context(bystander(workers[0]))
        assert not wait_exit(process.pid, 3)
        with connect(port) as client:
            assert asks(client, b"hello") == b"hello"
        daemon.check()


if __name__ == "__main__":
    namespaces.enter("--pid", "--fork", "--mount-proc", "--kill-child")
    run()
