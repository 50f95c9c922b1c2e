"""Processes that die, and what their clients notice of it."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time

from clients import Load, asks, connect, crowd_of, exchange, expect_answers, is_refused
from harness import IS_ROOT, Daemon, free_port
from processes import daemon_processes, descriptors, reap_orphans, status, wait_until
from tap import Skip, case, covers, expect_time, note, run, scaled

DIED = "listener died: service echo: killed by signal 9"


def serve(daemon, options=None, **keys):
    """Starts echo on a port of its own; returns the port."""
    port = free_port()
    daemon.configure({"echo": dict({"listen": f"127.0.0.1:{port}"}, **keys)}, daemon=options)
    # A crash is to look as it does without sanitizers.
    daemon.start(env=dict(os.environ, ASAN_OPTIONS="handle_segv=0"))
    return port


def open_descriptors(daemon):
    """What master and listener have open. A master that cannot be looked into is left out."""
    try:
        return [len(descriptors(pid)) for pid in (daemon.pid, daemon.listener())]
    except PermissionError:
        assert not IS_ROOT
        return []


def kill_listener(daemon):
    """Kills the listener and waits until another serves in its place."""
    daemon.announce(DIED)
    daemon.mark()
    daemon.kill(daemon.listener())
    daemon.expect("listener restarted: service echo")
    daemon.expect_no_zombie()
    daemon.check()


# ---- the listener -------------------------------------------------------------------------------


@case("a listener killed three times under load: nobody refused, at most one client a kill is cut")
def killed_under_load():
    with Daemon() as daemon:
        port = serve(daemon)
        exchange(port, b"warm")
        before = open_descriptors(daemon)
        with Load("steady", port, 8) as load:
            for _ in range(3):
                time.sleep(0.5)
                kill_listener(daemon)
            time.sleep(0.5)
            result = load.finish()
        note(result)
        assert result.answered > 100 and not result.refused, result
        assert result.reset + result.cut <= 3 and not result.wrong + result.silent, result
        daemon.wait_sessions(0)
        daemon.expect_no_zombie()
        daemon.check()
        assert open_descriptors(daemon) == before, (open_descriptors(daemon), before)
        # One that the listener had reaped, and could not report any more, has a line without why.
        daemon.announce("session error: echo .*: unknown exit status")
        daemon.log.wait("session (end|error)", result.answered + 1, 0, 30)
        lines = [line for line in daemon.log.lines if re.search("session (end|error)", line)]
        assert result.answered < len(lines) <= result.answered + result.lost + 1, len(lines)


@covers("F24")
@case("each session of a killed listener gets its `session end` line, with what it has done")
def every_end_is_told():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon)
        clients = crowd_of(crowd, port, 30)
        kill_listener(daemon)
        clients += crowd_of(crowd, port, 10)
        kill_listener(daemon)
        for number, client in enumerate(clients):
            more = bytes(100 + number)
            assert asks(client, more) == more
            sent = len(b"client %d" % (number % 30)) + len(more)
            peer = "%s:%d" % client.getsockname()
            client.close()
            daemon.expect(f"session end: echo {peer} .*: client closed, {sent} bytes in, {sent} ")
        assert len(daemon.said("session end")) == 40, daemon.said("session end")


@case("sessions of a killed listener are served to their end, and count in `instances` until then")
def still_counted():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce("throttled begin: echo: instances")
        port = serve(daemon, instances=5)
        clients = crowd_of(crowd, port, 5)
        kill_listener(daemon)
        waiting = crowd.enter_context(connect(port))
        waiting.sendall(b"my turn")
        daemon.expect("throttled begin: echo: instances")
        expect_answers(clients)
        assert len(daemon.sessions()) == 5
        daemon.kill(daemon.pid, signal.SIGUSR1)
        daemon.expect("state: echo: 5/5 sessions, 5 accepted, .* 2 generations")
        clients[0].close()
        assert waiting.recv(7) == b"my turn"
        daemon.expect("throttled end: echo: instances")


@case("places of sessions whose listener was killed are free again: max_sessions holds as before")
def slots_come_back():
    with Daemon() as daemon:
        port = serve(daemon, options={"max_sessions": 8})
        # For a moment, while the last ones of before are being counted.
        daemon.announce("throttled begin: echo: max_sessions")
        for _ in range(4):
            with contextlib.ExitStack() as crowd:
                clients = crowd_of(crowd, port, 8)
                kill_listener(daemon)
                expect_answers(clients)
            daemon.wait_sessions(0)
            wait_until("one listener is left", lambda: len(daemon.processes("listener")) == 1)


@contextlib.contextmanager
def dies_at(pid, call):
    """The process is killed at its next system call of this name."""
    tracer = ["strace", "-qq", f"--attach={pid}", f"--trace={call}", f"--inject={call}:signal=KILL"]
    with subprocess.Popen(tracer, stderr=subprocess.PIPE, text=True) as strace:
        try:
            wait_until(
                "it is traced",
                lambda: strace.poll() is not None or status(pid)["TracerPid"] != "0",
            )
            if strace.poll() is not None:
                raise Skip(f"nobody may look into a process here: {strace.stderr.read().strip()}")
            yield
        finally:
            strace.kill()


@case("a listener killed between reaping a session and saying so: its place is free at once")
def slot_of_a_reaped_session():
    if not shutil.which("strace"):
        raise Skip("strace is not installed")
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce(DIED, "session error: echo .*: unknown exit status")
        port = serve(daemon, **daemon.visible())
        leaves, stays = crowd_of(crowd, port, 2)
        daemon.mark()
        with dies_at(daemon.listener(), "sendto"):
            leaves.close()
            daemon.expect("listener restarted: service echo")
        daemon.expect("session (end: echo .* client closed, 8 bytes in|error: echo .* unknown)")
        daemon.check()
        assert len(daemon.sessions()) == 1 and asks(stays, b"still here") == b"still here"


@covers("F62")
@case("a listener that dies again and again is replaced after pauses that double")
def back_off():
    with Daemon() as daemon:
        daemon.announce(DIED)
        port = serve(daemon)
        for pause in (0, 0.1, 0.2, 0.4, 0.8):
            daemon.mark()
            begin = time.monotonic()
            daemon.kill(daemon.listener())
            with connect(port) as client:  # the port stays open meanwhile
                assert asks(client, b"hello") == b"hello"
            daemon.expect("listener restarted: service echo")
            took = time.monotonic() - begin
            expect_time(took, pause * 0.9, pause + scaled(1))


@covers("F17")
@case("a listener that was stopped is replaced after 10 s; sessions go on, nobody is refused")
def stopped_listener():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce("listener stuck: service echo: no sign of life for 10 s", DIED)
        port = serve(daemon)
        clients = crowd_of(crowd, port, 3)
        begin = time.monotonic()
        daemon.kill(daemon.listener(), signal.SIGSTOP)
        waiting = [crowd.enter_context(connect(port)) for _ in range(20)]
        for client in waiting:
            client.sendall(b"hello")
        expect_answers(clients)
        for client in waiting:
            assert client.recv(5) == b"hello"
        took = time.monotonic() - begin
        expect_time(took, 9, 10 + scaled(3))
        daemon.expect("listener stuck: service echo")
        daemon.expect("listener restarted: service echo")
        expect_answers(clients + waiting)


# ---- a session ----------------------------------------------------------------------------------


@covers("F16")
@case("a session that crashes is told as an error with its signal, and harms nobody else")
def crash():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce("session error: echo .*: died by a signal")
        port = serve(daemon)
        crowd_of(crowd, port, 1)
        before = daemon.listener()
        for number, words in ((signal.SIGSEGV, "11"), (signal.SIGABRT, "6"), (signal.SIGKILL, "9")):
            others = crowd_of(crowd, port, 3)
            known = daemon.sessions()
            with connect(port) as victim:
                assert asks(victim, b"hello") == b"hello"
                (pid,) = set(daemon.sessions()) - set(known)
                daemon.kill(pid, number)
                # It may die between sending its answer and counting it.
                daemon.expect(
                    rf"session error: echo .* \[{pid}\]: died by a signal {words} \(.*\),"
                    " 5 bytes in, [05] bytes out"
                )
                assert victim.recv(1) == b""
            expect_answers(others)
        assert daemon.listener() == before
        daemon.expect_no_zombie()
        daemon.check()


@covers("F16")
@case("a crash is told also when the session's listener is dead already")
def crash_of_an_orphan():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce("session error: echo .*: died by a signal")
        port = serve(daemon)
        crowd_of(crowd, port, 1)
        (pid,) = daemon.sessions()
        kill_listener(daemon)
        daemon.kill(pid, signal.SIGSEGV)
        daemon.expect(rf"session error: echo .* \[{pid}\]: died by a signal 11 ")
        daemon.expect_no_zombie()
        daemon.check()


# ---- the master ---------------------------------------------------------------------------------


def kill_master(daemon):
    """Kills the master alone, and sees that it is dead. Others may still have the log open."""
    daemon.kill(daemon.pid)
    assert daemon.command.wait(scaled(60)) == -signal.SIGKILL
    daemon.command.stdout.close()
    daemon.pid = None


def wait_all_gone():
    def nobody():
        reap_orphans()
        return not daemon_processes()

    wait_until("nothing is left", nobody)


def expect_closed(port):
    begin = time.monotonic()
    wait_until("the port is closed", lambda: is_refused(port))
    expect_time(time.monotonic() - begin, 0, scaled(1))


@covers("F20")
@case("when the master is killed, ports close at once, and sessions may finish before all is gone")
def master_killed():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, options={"graceful_timeout": "100s"})
        clients = crowd_of(crowd, port, 5)
        kill_master(daemon)
        expect_closed(port)
        expect_answers(clients)
        for client in clients[1:]:
            client.close()
        time.sleep(1)
        assert asks(clients[0], b"still here") == b"still here"
        clients[0].close()
        wait_all_gone()


@covers("F20")
@case("a session that does not finish is ended graceful_timeout after the master was killed")
def master_killed_and_clients_stay():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, options={"graceful_timeout": "4s"})
        clients = crowd_of(crowd, port, 3)
        kill_listener(daemon)
        clients += crowd_of(crowd, port, 3)
        kill_listener(daemon)
        clients += crowd_of(crowd, port, 3)
        begin = time.monotonic()
        kill_master(daemon)
        expect_closed(port)
        expect_answers(clients)
        for client in clients:
            assert client.recv(1) == b""
        expect_time(time.monotonic() - begin, 3.9, 4 + scaled(0.5))
        wait_all_gone()


@case("a listener that was stopped when its master was killed ends what is left once it goes on")
def stopped_when_master_killed():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, options={"graceful_timeout": "4s"})
        clients = crowd_of(crowd, port, 3)
        kill_listener(daemon)
        clients += crowd_of(crowd, port, 3)
        listener = daemon.listener()
        daemon.kill(listener, signal.SIGSTOP)
        kill_master(daemon)
        expect_answers(clients)
        daemon.kill(listener, signal.SIGCONT)
        expect_closed(port)
        wait_all_gone()


@case("after the master was killed the next start finds nothing in its way")
def start_again():
    with Daemon() as daemon:
        port = serve(daemon)
        kill_master(daemon)
        wait_all_gone()
        assert os.path.exists(daemon.path("pid")) and os.path.exists(daemon.path("control"))
        daemon.start()
        assert exchange(port, b"hello") == b"hello"
        assert daemon.written_pid() == daemon.pid
        daemon.reload()


@case("while old sessions finish, a new master serves on the same port at once")
def start_beside():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, options={"graceful_timeout": "100s"})
        (client,) = crowd_of(crowd, port, 1)
        kill_master(daemon)
        expect_closed(port)
        daemon.start()
        assert exchange(port, b"hello") == b"hello"
        assert asks(client, b"still here") == b"still here"
        client.close()
        wait_until("the old ones are gone", lambda: len(daemon.processes("listener")) == 1)
        reap_orphans(spare=[daemon.pid])


if __name__ == "__main__":
    run()
