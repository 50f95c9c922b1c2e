"""What the log says, and that nobody waits for whoever does not read it."""

import os
import pty
import re
import signal
import socket
import subprocess
import time

from clients import Load, asks, connect, exchange, read_to_end
from harness import IS_ROOT, Daemon, Log, free_port
from processes import cpu_seconds, wait_until
from tap import Skip, case, covers, expect_time, note, run, scaled

LEVELS = ("crit", "err", "warning", "notice", "info", "debug")


def serve(daemon, settings=None, start=None, **keys):
    """Starts echo on a port of its own; returns the port."""
    port = free_port()
    daemon.configure({"echo": dict({"listen": f"127.0.0.1:{port}"}, **keys)}, settings)
    daemon.start(**(start or {}))
    return port


def request(daemon, data):
    """Sends bytes to the control socket; returns the answer."""
    with connect(f"unix:{daemon.path('control')}") as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        return read_to_end(client)


@case("one line for each session: who it was, why it ended, how much went through, how long")
def session_end():
    with Daemon() as daemon:
        port = serve(daemon)
        begin = time.monotonic()
        with connect(port) as client:
            assert asks(client, b"hello") == b"hello"
            name = "%s:%d" % client.getsockname()
            (pid,) = daemon.sessions()
            time.sleep(0.2)
        line = daemon.expect("session end")
        most = time.monotonic() - begin
        expected = rf"^forkechod: info: session end: echo {name} \[{pid}\]: client closed, "
        expected += r"5 bytes in, 5 bytes out, (\d+\.\d\d\d) s$"
        told = re.search(expected, line.string)
        assert told and 0.19 < float(told.group(1)) <= most + 0.01, (line.string, most)


def provoke_all_levels(daemon, port):
    """Lines of every level from err to debug."""
    with connect(port) as client:
        assert asks(client, b"hello") == b"hello"
        daemon.kill(daemon.sessions()[0], signal.SIGKILL)
        assert read_to_end(client) == b""
    services = {"echo": {"listen": f"127.0.0.1:{port}", "instances": "many"}}
    daemon.configure(services, {"log_level": "debug"})
    status, _ = daemon.control("reload")
    assert status == 1


@case("log_level leaves out what is less important, and nothing else")
def log_level():
    for level in LEVELS:
        with Daemon() as daemon:
            daemon.announce("session error: .* died by a signal 9", "reload (mistake|rejected)")
            port = serve(daemon, {"log_level": level})
            provoke_all_levels(daemon, port)
            daemon.stop()
            seen = {line.split(": ")[1] for line in daemon.log.lines}
            wanted = set(LEVELS[1 : LEVELS.index(level) + 1])
            assert seen == wanted, (level, seen, wanted)


@case("a reload changes log_level")
def log_level_at_reload():
    with Daemon() as daemon:
        port = serve(daemon)
        services = {"echo": {"listen": f"127.0.0.1:{port}"}}
        for level, wanted in (("debug", ["start", "end"]), ("notice", []), ("info", ["end"])):
            daemon.configure(services, {"log_level": level})
            daemon.reload()
            daemon.mark()
            assert exchange(port, b"hello") == b"hello"
            daemon.wait_sessions(0)
            daemon.kill(daemon.pid, signal.SIGUSR1)
            daemon.expect("state: echo")
            lines = daemon.said("session (start|end)")
            seen = [re.search(r"session (\w+)", line).group(1) for line in lines]
            assert seen == wanted, (level, seen)


@case("log_probes = no leaves out connections that sent nothing, and only those")
def log_probes():
    with Daemon() as daemon:
        port = serve(daemon, {"log_probes": "no"})
        for _ in range(5):
            assert exchange(port) == b""
        assert exchange(port, b"hello") == b"hello"
        daemon.expect("session end")
        daemon.configure({"echo": {"listen": f"127.0.0.1:{port}"}}, {"log_probes": "yes"})
        daemon.reload()
        assert exchange(port) == b""
        daemon.expect("session end: .* 0 bytes in", count=1)
        assert len(daemon.said("session end")) == 2, daemon.said("session end")


@case("log_address decides how much of a client's address the log shows")
def log_address():
    port = free_port()
    services = {"echo": {"listen": f"127.0.0.1:{port}, [::1]:{port}"}}
    with Daemon() as daemon:
        for number, (view, first, second) in enumerate(
            (
                ("full", r"127\.0\.0\.1:\d+", r"\[::1\]:\d+"),
                ("masked", r"127\.0\.0\.0", "::/48"),
                ("none", "-", "-"),
            )
        ):
            daemon.configure(services, {"log_address": view})
            if number:
                daemon.reload()
            else:
                daemon.start()
            for where, shown in ((f"127.0.0.1:{port}", first), (f"[::1]:{port}", second)):
                daemon.mark()
                assert exchange(where, b"hello") == b"hello"
                daemon.expect(rf"session end: echo {shown} \[\d+\]: client closed")


@case("SIGUSR1 logs the state of every service: live, served, refused, bytes")
def state():
    ports = [free_port(), free_port()]
    with Daemon() as daemon:
        daemon.configure(
            {
                "echo": {"listen": f"127.0.0.1:{ports[0]}", "instances": 9},
                "upper": {"listen": f"127.0.0.1:{ports[1]}", "no_access": "127.0.0.1"},
            }
        )
        daemon.start()
        assert exchange(ports[0], b"hello") == b"hello"
        with connect(ports[0]) as client:
            assert asks(client, b"hi") == b"hi"
            exchange(ports[1])
            daemon.expect("session end: echo")
            daemon.expect("refused: upper 127.0.0.1:.* no_access")
            title = "forkechod: listener echo [1/9]"
            wait_until(title, lambda: daemon.processes("listener", "echo")[0].title == title)
            daemon.kill(daemon.pid, signal.SIGUSR1)
            daemon.expect("state: echo: 1/9 sessions, 2 accepted, 0 refused, 5 bytes in, 5 bytes")
            daemon.expect("state: upper: 0/256 sessions, 0 accepted, 1 refused, 0 bytes in, 0 ")


@covers("F49")
@case("what a client sends is never in the log, whatever it is")
def clients_bytes():
    words = b"\nforkechod: emerg: sesame\r\n<0>sesame\x1b[2J\0sesame" + bytes(range(256))
    with Daemon() as daemon:
        port = serve(daemon, {"log_level": "debug"}, quit="Bye")
        assert exchange(port, words * 50) == words * 50
        daemon.expect("session end")
        daemon.stop()
        assert not [line for line in daemon.log.lines if "sesame" in line], daemon.log.lines
        assert len([line for line in daemon.log.lines if "session" in line.split(": ")[2]]) == 2


@covers("F49")
@case("foreign bytes are escaped: one line, no control characters, 1 KiB at most")
def foreign_bytes():
    with Daemon() as daemon:
        daemon.announce("reload (mistake|rejected)")
        serve(daemon)
        answer = request(daemon, b"a\x1b[2J\r\x7f\xff\xc2\x9b\"\\ \xc5\xbe\n")
        assert b"\x1b" not in answer and b"\xff" not in answer, answer
        line = daemon.expect("control: ").string
        assert line.endswith(r'control: a\x1B[2J\x0D\x7F\xFF\xC2\x9B\x22\x5C ž'), line
        daemon.mark()
        for value in (b"\x1b]0;title\x07", b"\xff\xfe", b"x" * 60000, "ž".encode() * 2000):
            with open(daemon.file, "ab") as file:
                file.write(b"\n[service s%d]\nlisten = " % len(value) + value + b"\n")
        daemon.hang_up()
        daemon.expect("reload mistake", count=3)
        for line in daemon.log.lines:
            assert len(line.encode()) <= len("forkechod: warning: ") + 1024, len(line)
            assert not re.search(r"[\x00-\x1f\x7f-\x9f]|\\x1b(?i:\])", line), line


# ---- when nobody reads it ------------------------------------------------------------------------


def expect_nothing_noticed(daemon, port, count=600):
    """So many clients in a row are answered at once, and reloads go on."""
    with Load("serial", port, count) as load:
        result = load.finish()
    note(result)
    assert result.answered == count and not result.lost, result
    expect_time(result.slowest, 0, scaled(0.5))
    daemon.reload()


# Each returns a descriptor that must stay open, or None, and what is to be stderr.


def stalled_pipe():
    return os.pipe()


def stalled_terminal():
    return pty.openpty()


def closed_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    return None, writer


def full_device():
    return None, os.open("/dev/full", os.O_WRONLY)


def check_bad_stderr(make):
    """600 clients, a reload, a stop: as if the log were read."""
    reader, writer = make()
    with Daemon() as daemon:
        port = serve(daemon, {"log_level": "debug"}, start={"stderr": writer})
        os.close(writer)
        before = cpu_seconds(daemon.pid)
        begin = time.monotonic()
        expect_nothing_noticed(daemon, port)
        daemon.wait_sessions(0)
        time.sleep(0.5)
        idle = cpu_seconds(daemon.pid)
        time.sleep(1)
        spun = cpu_seconds(daemon.pid) - idle
        note(f"{idle - before:.2f} s of processor time in {time.monotonic() - begin:.1f} s")
        daemon.stop()
        expect_time(spun, 0, scaled(0.05), "of the processor")
    if reader is not None:
        os.close(reader)


@covers("F46")
@case("stderr is a pipe that nobody reads: 600 clients, a reload and a stop notice nothing")
def stderr_stalls():
    check_bad_stderr(stalled_pipe)


@case("stderr is a terminal that is held (Ctrl-S): 600 clients, a reload, a stop notice nothing")
def stderr_is_held():
    check_bad_stderr(stalled_terminal)


@case("stderr is a pipe whose reader is gone: 600 clients, a reload and a stop notice nothing")
def stderr_is_closed():
    check_bad_stderr(closed_pipe)


@covers("F48")
@case("stderr is a full disk: 600 clients, a reload and a stop notice nothing")
def stderr_is_full():
    check_bad_stderr(full_device)


def fill(daemon, seconds=60):
    """Requests that are one line of the log each, until the log must have dropped some. Returns how
    many."""
    count, end = 0, time.monotonic() + scaled(seconds)
    while count < 4000:
        assert request(daemon, b"fill %04d %s\n" % (count, b"x" * 90)).startswith(b"error: unknown")
        count += 1
        assert time.monotonic() < end
    return count


SESSION_END = r"session end: .* s$"
FILL = r"control: fill \d+ x+$"
RELOAD = "(reload ok|control: reload)"


def account(daemon, kinds):
    """Every line of these kinds is in the log or among the dropped ones, exactly."""
    line = daemon.expect(r"warning: log dropped: (\d+) lines? could not be written")
    dropped = int(line.group(1))
    found = {kind: len(set(daemon.said(kind))) for kind in kinds}
    note(f"{found}, {dropped} dropped")
    assert dropped > 0
    assert sum(found.values()) + dropped == sum(kinds.values()), (found, dropped, kinds)
    numbers = [int(re.search(r"fill (\d+)", line).group(1)) for line in daemon.said(FILL)]
    assert numbers == list(range(len(numbers))), "the oldest are kept, in their order"


@case("when stderr is read again, the log says how many lines were dropped, exactly")
def exact_count():
    reader, writer = stalled_pipe()
    with Daemon() as daemon:
        daemon.announce("log dropped: ")
        port = serve(daemon, start={"stderr": writer})
        os.close(writer)
        expect_nothing_noticed(daemon, port)
        daemon.wait_sessions(0)
        count = fill(daemon)
        daemon.log = Log(reader)
        account(daemon, {SESSION_END: 600, FILL: count, RELOAD: 2})
        daemon.mark()
        request(daemon, b"read again\n")
        daemon.reload()
        daemon.expect("control: read again")
        daemon.expect("reload ok")
        assert not daemon.said("log dropped")


@covers("F48")
@case("when the disk has room again, the log says how many lines were dropped, exactly")
def full_disk():
    if not IS_ROOT:
        raise Skip("only root can fill a file system of its own")
    with Daemon() as daemon:
        # And the line that was cut where the disk was full.
        daemon.announce("log dropped: ", r"^f\w*:?( \w*)?$")
        disk = daemon.path("disk")
        os.mkdir(disk)
        private = ["unshare", "--mount", "--propagation=private", "sh", "-ec"]
        private += ['mount -t tmpfs -o size=64k none "$0"; exec "$@" 2>>"$0/log"', disk]
        port = serve(daemon, start={"wrapper": private})
        expect_nothing_noticed(daemon, port)
        daemon.wait_sessions(0)
        count = fill(daemon)
        file = os.open(f"/proc/{daemon.pid}/root{disk}/log", os.O_RDONLY)
        assert os.fstat(file).st_size <= 65536
        enter = ["nsenter", f"--target={daemon.pid}", "--mount"]
        subprocess.run([*enter, "mount", "-o", "remount,size=4m", "none", disk], check=True)
        wait_until("lines come again", lambda: os.fstat(file).st_size > 200000)
        daemon.stop()
        daemon.log = Log(file)
        account(daemon, {SESSION_END: 600, FILL: count, RELOAD: 2})


if __name__ == "__main__":
    run()
