"""The control socket: what can be asked, what comes of it, and who holds up nobody."""

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import time

from clients import Load, asks, connect, connected, exchange, is_refused, read_to_end
from harness import IS_ROOT, Daemon, free_port, ordinary
from manager import listening
from processes import wait_until
from programs import FORKECHOCTL
from tap import Skip, case, covers, expect_time, note, run, scaled


def serve(daemon, services=None, options=None, **keys):
    """Starts echo on a port of its own, and beside it the status service; returns the port."""
    port = free_port()
    configure(daemon, port, services, options, **keys)
    daemon.start()
    return port


def configure(daemon, port, services=None, options=None, **keys):
    status = {"handler": "status", "listen": f"unix:{daemon.path('status')}"}
    echo = {"listen": f"127.0.0.1:{port}"}
    daemon.configure({"echo": dict(echo, **keys), "look": status, **(services or {})}, options)


def ask(daemon, request):
    """Sends these bytes; returns the lines of the answer."""
    with connect(f"unix:{daemon.path('control')}") as client:
        client.sendall(request if isinstance(request, bytes) else request.encode() + b"\n")
        return read_to_end(client).decode().splitlines()


def expect_error(daemon, request, *words):
    (line,) = ask(daemon, request)
    assert line.startswith("error: "), line
    for word in words:
        assert word in line, (word, line)


def expect_ok(daemon, request):
    lines = ask(daemon, request)
    assert lines[0] == "ok", lines
    return lines[1:]


def look(daemon, *words):
    """What forkechoctl reads from the status service, as JSON."""
    done = subprocess.run(
        [FORKECHOCTL, "-S", f"unix:{daemon.path('status')}", *words, "--json"],
        capture_output=True,
        text=True,
        timeout=scaled(60),
        check=False,
    )
    return json.loads(done.stdout)


def service_state(daemon, name="echo"):
    (found,) = [one for one in look(daemon, "status")["services"] if one["name"] == name]
    return found["state"]


def sessions_of(daemon, service="echo"):
    """Its rows by client."""
    found = look(daemon, "list", "--service", service)
    rows = found["sessions"] if isinstance(found, dict) else found
    return {row["client"]: row for row in rows}


def name_of(client):
    return "%s:%d" % client.getsockname()[:2]


def is_ended(client):
    return read_to_end(client) == b""


ASKED = rf"asked by uid {os.geteuid()} \[\d+\]"

# ---- the protocol -------------------------------------------------------------------------------


@case("what is not known, and what has too few or too many arguments, is told what would be right")
def wrong():
    with Daemon() as daemon:
        serve(daemon)
        expect_error(daemon, "frob", 'unknown request "frob"', "pause SERVICE", "check")
        expect_error(daemon, "", "unknown request")
        expect_error(daemon, b"rel\0oad\n", r"unknown request", r"\x00")
        expect_error(daemon, "\x1b[2J", r"\x1B[2J")
        for request in "pause", "pause echo look", "scale echo", "check now", "kill", "reload echo":
            expect_error(daemon, request, "right is: " + request.split()[0])
        for request in "pause", "resume", "drain":
            expect_error(daemon, request + " ehco", 'no such service: "ehco"', "did you mean echo?")
        expect_error(daemon, "scale ehco 1", "no such service")
        expect_error(daemon, "log loud", "crit, err, warning, notice, info, debug", "default")
        assert service_state(daemon) == "serving"
        daemon.check()


@case("4095 bytes are a request, one more is an error")
def too_long():
    with Daemon() as daemon:
        serve(daemon)
        line = "kill" + " 0-1" * 2000
        expect_error(daemon, line[:4096].encode(), "longer than 4095 bytes")
        lines = ask(daemon, line[: 4 + 4 * 1022])
        assert lines[0] == "rejected" and len(lines) == 1023, (lines[0], len(lines))


@case("a request may come in pieces; what stands behind its line is not read as another one")
def pieces():
    with Daemon() as daemon:
        serve(daemon)
        with connect(f"unix:{daemon.path('control')}") as client:
            for byte in b"pause echo":
                client.sendall(bytes([byte]))
                time.sleep(0.001)
            client.sendall(b"\nresume echo\n")
            assert read_to_end(client).startswith(b"ok\n")
        assert service_state(daemon) == "paused"


@case("clients that stall hold up nobody, and are sent away after 2 s")
def stalled():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon)
        path = f"unix:{daemon.path('control')}"

        def beside_silent_ones():
            """Whether others were answered while seven were waited for; those are told, too."""
            begin = time.monotonic()
            silent = [crowd.enter_context(connect(path)) for _ in range(7)]
            silent[0].sendall(b"rel")
            expect_ok(daemon, "check")
            daemon.reload()
            assert exchange(port, b"hello") == b"hello"
            waited_for = not select.select(silent, [], [], 0)[0]
            for client in silent:
                assert b"error: no request within 2 s" in read_to_end(client)
            expect_time(time.monotonic() - begin, 1.9, scaled(4))
            return waited_for

        # On a machine that is busy the 2 s may be over before.
        assert any(beside_silent_ones() for _ in range(5))


@case("twenty that ask at once are all answered, eight at a time")
def many():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        serve(daemon)
        clients = [crowd.enter_context(connect(f"unix:{daemon.path('control')}")) for _ in range(16)]
        for number, client in enumerate(clients):
            client.sendall((b"reload\n", b"check\n", b"pause echo\n", b"resume echo\n")[number % 4 :][0])
        for client in clients:
            assert read_to_end(client).startswith(b"ok\n")
        assert service_state(daemon) in ("serving", "paused")
        daemon.check()


@case("nobody but root and the daemon's own user may ask")
def permissions():
    with Daemon() as daemon:
        serve(daemon)
        path = daemon.path("control")
        assert os.stat(path).st_mode & 0o777 == 0o600
        if not IS_ROOT:
            raise Skip("only root can be somebody else")
        os.chmod(path, 0o666)
        done = subprocess.run(
            [FORKECHOCTL, "-s", path, "pause", "echo"],
            capture_output=True,
            text=True,
            check=False,
            **ordinary(),
        )
        assert done.returncode == 1 and "only root" in done.stderr, done
        assert service_state(daemon) == "serving"


# ---- pause, drain, resume -----------------------------------------------------------------------


@case("a paused service lets clients wait, and serves them once it is resumed")
def pause():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon)
        (old,) = connected(crowd, port, 1)
        assert "paused" in expect_ok(daemon, "pause echo")[0]
        daemon.expect(f"paused: service echo, {ASKED}")
        wait_until(
            "its title says so",
            lambda: daemon.processes("listener", "echo")[0].title.endswith("[1/256] paused"),
        )
        waiting = [crowd.enter_context(connect(port)) for _ in range(3)]
        for client in waiting:
            client.sendall(b"hello")
        time.sleep(0.3)
        assert len(daemon.sessions("echo")) == 1
        assert asks(old, b"still") == b"still"
        assert service_state(daemon) == "paused"
        expect_ok(daemon, "pause echo")
        assert len(daemon.said("paused: ")) == 1
        daemon.check()
        expect_ok(daemon, "resume echo")
        for client in waiting:
            assert client.recv(5) == b"hello"
        daemon.expect(f"resumed: service echo, {ASKED}")
        assert service_state(daemon) == "serving"


@case("a pause outlives reloads and its listener, and ends with the service")
def pause_lasts():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce("listener died")
        port = serve(daemon)
        expect_ok(daemon, "pause echo")
        first = daemon.listener()
        configure(daemon, port, idle_timeout="100s")
        daemon.reload()
        wait_until("there is another listener", lambda: daemon.listener() != first)
        waiting = crowd.enter_context(connect(port))
        waiting.sendall(b"hello")
        daemon.mark()
        daemon.kill(daemon.listener())
        daemon.expect("listener restarted")
        time.sleep(0.2)
        assert not daemon.sessions("echo") and service_state(daemon) == "paused"
        expect_ok(daemon, "resume echo")
        assert waiting.recv(5) == b"hello"
        expect_ok(daemon, "pause echo")
        configure(daemon, port, disable="yes")
        daemon.reload()
        configure(daemon, port)
        daemon.reload()
        assert exchange(port, b"hello") == b"hello"


@case("a paused service that a reload moves away still serves who waits at the old address")
def pause_and_last_call():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon)
        expect_ok(daemon, "pause echo")
        waiting = [crowd.enter_context(connect(port)) for _ in range(5)]
        configure(daemon, free_port())
        daemon.reload()
        for client in waiting:
            assert asks(client, b"hello") == b"hello"
        wait_until("the old address is closed", lambda: is_refused(port))


@case("a drained service serves who waits, closes, lets its sessions finish; others go on")
def drain():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        other = free_port()
        port = serve(daemon, {"upper": {"listen": f"127.0.0.1:{other}", "handler": "upper"}})
        (old,) = connected(crowd, port, 1)
        upper = daemon.listener("upper")
        expect_ok(daemon, "pause echo")
        waiting = crowd.enter_context(connect(port))
        assert "sessions left: 1" in expect_ok(daemon, "drain echo")[0]
        daemon.expect(f"drained: service echo, sessions left: 1, {ASKED}")
        assert asks(waiting, b"hello") == b"hello"
        wait_until("the port is closed", lambda: is_refused(port))
        assert asks(old, b"still") == b"still"
        assert service_state(daemon) == "drained"
        expect_error(daemon, "pause echo", "drained")
        daemon.check()
        old.close(), waiting.close()
        wait_until("its listener ends", lambda: not daemon.processes("listener", "echo"))
        daemon.reload()
        configure(daemon, port, {"upper": {"listen": f"127.0.0.1:{other}", "handler": "upper"}},
                  idle_timeout="9s")
        daemon.reload()
        assert is_refused(port) and exchange(other, b"a") == b"A"
        assert daemon.listener("upper") == upper
        daemon.check()
        expect_ok(daemon, "resume echo")
        assert exchange(port, b"hello") == b"hello"
        assert service_state(daemon) == "serving" and not daemon.said("listener restarted")
        daemon.check()


@case("who drains and resumes at once gets the same address again, ten times")
def drain_and_resume():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon)
        clients = connected(crowd, port, 2)
        for _ in range(10):
            expect_ok(daemon, "drain echo")
            expect_ok(daemon, "resume echo")
            assert exchange(port, b"hello") == b"hello"
        for client in clients:
            assert asks(client, b"still") == b"still"
        daemon.check()


@case("an address that was taken meanwhile fails the resume, until it is free again")
def taken():
    with Daemon() as daemon:
        other = free_port()
        port = serve(daemon)
        configure(daemon, port, {"echo": {"listen": f"127.0.0.1:{port} 127.0.0.1:{other}"}})
        daemon.reload()
        expect_ok(daemon, "drain echo")
        wait_until("the port is closed", lambda: is_refused(port))
        with listening(port):
            expect_error(daemon, "resume echo", str(port), "in use")
            assert service_state(daemon) == "drained" and is_refused(other)
            daemon.check()
        expect_ok(daemon, "resume echo")
        for one in port, other:
            assert exchange(one, b"hello") == b"hello"


@case("what is asked while a reload runs is done after it")
def during_reload():
    with Daemon() as daemon:
        port = serve(daemon)
        for turn in range(5):
            configure(daemon, port, idle_timeout=f"{100 + turn}s")
            daemon.kill(daemon.pid, signal.SIGHUP)
            expect_ok(daemon, "drain echo")
            daemon.kill(daemon.pid, signal.SIGHUP)
            expect_ok(daemon, "resume echo")
            assert exchange(port, b"hello") == b"hello"
        daemon.check()


# ---- kill ---------------------------------------------------------------------------------------


@case("kill ends the session that is named, and no other one")
def kill():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon)
        clients = connected(crowd, port, 6)
        rows = sessions_of(daemon)
        ids = [rows[name_of(client)]["id"] for client in clients]
        assert expect_ok(daemon, f"kill {ids[1]} {ids[4]}") == ["sessions told to end: 2"]
        for number, client in enumerate(clients):
            if number in (1, 4):
                assert is_ended(client)
                daemon.expect(f"session end: echo {name_of(client)} .*: ended by the operator")
                daemon.expect(f"killed: echo {name_of(client)} {ids[number]} .*, {ASKED}")
            else:
                assert asks(client, b"still") == b"still"
        daemon.wait_sessions(4, "echo")
        # The slots have new clients: the old names are nobody's.
        newer = connected(crowd, port, 2)
        lines = ask(daemon, f"kill {ids[1]} {ids[4]} 4000000000-1 {ids[0]}")
        assert lines[0] == "rejected" and len(lines) == 4, lines
        assert all("there is no such session" in line for line in lines[1:]), lines
        assert is_ended(clients[0])
        for client in (*newer, clients[2], clients[3], clients[5]):
            assert asks(client, b"still") == b"still"
        for wrong in "1", "1-", "-1", "1-2-3", "01-1", "a-b", "1-0", "1-4294967296", "0x1-1", "-0-1":
            expect_error(daemon, f"kill {ids[2]} {wrong}", "is no ID (SLOT-TURN")
        assert asks(clients[2], b"still") == b"still"
        daemon.check()


@covers("F17")
@case("a session that does not hear TERM is killed when it is asked for again")
def kill_twice():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon)
        (client,) = connected(crowd, port, 1)
        (pid,) = daemon.sessions("echo")
        daemon.kill(pid, signal.SIGSTOP)
        row = sessions_of(daemon)[name_of(client)]
        expect_ok(daemon, f"kill {row['id']}")
        time.sleep(0.1)
        expect_ok(daemon, f"kill {row['id']}")
        daemon.expect("session end: echo .*: ended by the operator")


@case("sessions whose listener is dead can be ended too")
def kill_orphans():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce("listener died")
        port = serve(daemon)
        clients = connected(crowd, port, 3)
        # A listener may be behind its sessions: who has answered is perhaps not written down yet.
        wait_until("all are noted", lambda: all(r["pid"] for r in sessions_of(daemon).values()))
        daemon.kill(daemon.listener())
        daemon.expect("listener restarted")
        rows = sessions_of(daemon)
        expect_ok(daemon, f"kill {rows[name_of(clients[0])]['id']}")
        assert is_ended(clients[0])
        daemon.expect(f"session end: echo {name_of(clients[0])} .*: ended by the operator")
        assert asks(clients[1], b"still") == b"still"
        assert expect_ok(daemon, "kill-client 127.0.0.1") == ["sessions of 127.0.0.1 told to end: 2"]
        daemon.wait_sessions(0, "echo")
        daemon.check()


@case("kill-client ends all sessions of an address, or the one of its port")
def kill_client():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        local = daemon.path("local")
        port = free_port()
        configure(daemon, port, {"local": {"listen": f"unix:{local}"}},
                  listen=f"127.0.0.1:{port} [::1]:{port}")
        daemon.start()
        ours = connected(crowd, port, 3, "127.0.0.2")
        near = connected(crowd, port, 1, "127.0.0.21")
        six = connected(crowd, f"[::1]:{port}", 2)
        unix = connected(crowd, f"unix:{local}", 2)
        for request in "127.0.0.3", "127.0.0.2:1", "::2":
            assert ask(daemon, f"kill-client {request}")[0] == "rejected"
        for request in "127.0.0", "7", "localhost", "[::1", "127.0.0.2:", "unix:/x", "1.2.3.4.5":
            expect_error(daemon, f"kill-client {request}", "is no client's address")
        expect_ok(daemon, f"kill-client {name_of(ours[0])}")
        assert is_ended(ours[0]) and asks(ours[1], b"still") == b"still"
        expect_ok(daemon, "kill-client 127.0.0.2")
        assert is_ended(ours[1]) and is_ended(ours[2])
        assert asks(near[0], b"still") == b"still"
        expect_ok(daemon, "kill-client [::1]:%d" % six[0].getsockname()[1])
        assert is_ended(six[0]) and asks(six[1], b"still") == b"still"
        expect_ok(daemon, "kill-client 0:0:0:0:0:0:0:1")
        assert is_ended(six[1])
        assert asks(unix[0], b"still") == b"still"
        lines = expect_ok(daemon, "kill-client unix")
        assert lines[0].startswith("sessions of unix told to end: "), lines
        assert is_ended(unix[0]) and is_ended(unix[1])
        assert asks(near[0], b"still") == b"still"


@case("clients whose addresses are not kept cannot be named by them")
def kill_masked():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        for view in "masked", "none":
            port = free_port()
            configure(daemon, port, options={"log_address": view})
            daemon.reload() if daemon.pid else daemon.start()
            (client,) = connected(crowd, port, 1)
            expect_error(daemon, "kill-client 127.0.0.1", "log_address", "kill by ID")
            assert asks(client, b"still") == b"still"


@case("500 sessions of one client end at one word")
def kill_many():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, instances=600)
        clients = connected(crowd, port, 500)
        assert expect_ok(daemon, "kill-client 127.0.0.1") == ["sessions of 127.0.0.1 told to end: 500"]
        for client in clients:
            assert is_ended(client)
        daemon.expect("session end: .*: ended by the operator", count=500)
        daemon.check()


# ---- log, scale ---------------------------------------------------------------------------------


@case("the log level is switched at once, outlives reloads, and goes back to what is configured")
def log_level():
    with Daemon() as daemon:
        port = serve(daemon)
        expect_ok(daemon, "log debug")
        daemon.expect(f"log level: from debug on, {ASKED}")
        exchange(port, b"x")
        daemon.expect("session start: echo")
        daemon.reload()
        configure(daemon, port, idle_timeout="99s", options={"log_level": "notice"})
        daemon.reload()
        daemon.mark()
        exchange(port, b"x")
        daemon.expect("session start: echo")
        shown = look(daemon, "status")["daemon"]
        assert (shown["log_level"], shown["log_level_switched"]) == ("debug", True), shown
        expect_ok(daemon, "log default")
        daemon.expect(f"log level: as configured, {ASKED}")
        daemon.mark()
        exchange(port, b"x")
        daemon.kill(daemon.pid, signal.SIGUSR1)
        daemon.expect("state: echo")
        assert not daemon.said("session (start|end)"), daemon.said("session (start|end)")
        shown = look(daemon, "status")["daemon"]
        assert (shown["log_level"], shown["log_level_switched"]) == ("notice", False), shown


@case("a service without a pool cannot be scaled, and is told so")
def scale():
    with Daemon() as daemon:
        serve(daemon)
        expect_error(daemon, "scale echo 3", "no pool", "prefork")
        expect_error(daemon, "scale echo auto", "no pool")


# ---- check --------------------------------------------------------------------------------------


@case("check is right while a thousand clients a second come and go, and listeners die")
def check_under_load():
    with Daemon() as daemon:
        daemon.announce("listener died", "session error: .*: unknown exit status", "records dropped")
        port = serve(daemon)
        with Load("steady", port, 8) as load:
            for turn in range(12):
                if turn % 4 == 1:
                    daemon.kill(daemon.listener())
                if turn % 4 == 3:
                    configure(daemon, port, idle_timeout=f"{100 + turn}s")
                    daemon.reload()
                daemon.check()
            note(load.finish())


@case("check tells of a foreign process in a listener's group, and of a child that is nobody's")
def check_strangers():
    with Daemon() as daemon:
        serve(daemon)
        group = daemon.listener()
        expect_ok(daemon, "check")
        stranger = subprocess.Popen(
            ["sleep", "60"], preexec_fn=lambda: os.setpgid(0, group)  # pylint: disable=W1509
        )
        try:
            begin = time.monotonic()
            lines = ask(daemon, "check")
            expect_time(time.monotonic() - begin, 0, scaled(4))
        finally:
            stranger.kill()
            stranger.wait()
        assert lines[0] == "rejected" and len(lines) == 2, lines
        assert re.search(f"service echo: process {stranger.pid} is in the group", lines[1]), lines
        status, text = daemon.control("check")
        assert status == 0 and text.startswith("all agree: sessions"), text


@case("check knows each descriptor of the master, those of who asks too")
def check_descriptors():
    def count():
        (line,) = expect_ok(daemon, "check")
        return int(re.search(r"descriptors (\d+)", line).group(1))

    with Daemon() as daemon:
        serve(daemon)
        before = count()

        def three_more():
            # They are sent away after 2 s, which may pass before a busy machine has counted.
            with contextlib.ExitStack() as crowd:
                for _ in range(3):
                    crowd.enter_context(connect(f"unix:{daemon.path('control')}"))
                return count() == before + 3

        wait_until("those who ask are counted", three_more)


if __name__ == "__main__":
    run()
