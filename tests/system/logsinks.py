"""The journal and syslog: what arrives there, and what happens when they do not take it."""

import os
import re
import signal
import time

from clients import Load, asks, connect, exchange, read_to_end
from harness import Daemon, free_port
from programs import SOURCE
from sinks import LEVELS, Sink, wrapper
from tap import case, covers, expect_time, note, run, scaled


def serve(daemon, kind, settings=None, **keys):
    """Starts echo with this log; returns its port, the log, and the log of stderr."""
    sink, port = Sink(daemon, kind), free_port()
    daemon.configure(
        {"echo": dict({"listen": f"127.0.0.1:{port}"}, **keys)},
        dict({"log_type": kind}, **(settings or {})),
    )
    try:
        daemon.start(wrapper=wrapper(kind, sink.directory))
    except BaseException:
        sink.finish()
        raise
    stderr, daemon.log = daemon.log, sink
    return port, sink, stderr


def vocabulary():
    """The events of the log: words → level and message id."""
    with open(os.path.join(SOURCE, "src/log/events.def"), encoding="utf-8") as file:
        text = file.read()
    entry = r'^EVENT\(\w+, LOG_(\w+), "([^"]+)", "([0-9a-f]{32})"'
    return {m[2]: (m[1].lower(), m[3]) for m in re.finditer(entry, text, re.MULTILINE)}


# ---- what arrives --------------------------------------------------------------------------------


@case("the journal gets a session's end with fields for everything in it")
def journal_fields():
    with Daemon() as daemon:
        port, sink, _ = serve(daemon, "journal")
        with connect(port) as client:
            assert asks(client, b"hello") == b"hello"
            name = "%s:%d" % client.getsockname()
            (pid,) = daemon.sessions()
        message = daemon.expect("session end").string.split(": ", 2)[2]
        fields = sink.record("session end")
        duration = int(fields.pop("FORKECHOD_DURATION_US"))
        assert 0 < duration < scaled(1000000), duration
        assert int(fields.pop("FORKECHOD_TURNS")) >= 0
        assert fields == {
            "MESSAGE": message,
            "MESSAGE_ID": vocabulary()["session end"][1],
            "PRIORITY": "6",
            "SYSLOG_FACILITY": "3",
            "SYSLOG_IDENTIFIER": "forkechod",
            "FORKECHOD_EVENT": "session end",
            "FORKECHOD_SERVICE": "echo",
            "FORKECHOD_CLIENT": name,
            "FORKECHOD_REASON": "client closed",
            "FORKECHOD_PID": str(pid),
            "FORKECHOD_BYTES_IN": "5",
            "FORKECHOD_BYTES_OUT": "5",
        }, fields


def provoke_everything(daemon, port):
    """As many kinds of events as can be had in a moment."""
    daemon.kill(daemon.pid, signal.SIGUSR1)
    with connect(port) as first, connect(port) as waiting:
        assert asks(first, b"hello") == b"hello"
        daemon.expect("throttled begin")
        first.close()
        assert asks(waiting, b"hello") == b"hello"
        daemon.expect("throttled end")
        daemon.kill(daemon.listener(), signal.SIGKILL)
        daemon.expect("listener restarted")
        daemon.kill(daemon.sessions()[0], signal.SIGKILL)
        daemon.expect("session error")
    services = {"echo": {"listen": f"127.0.0.1:{port}", "no_access": "127.0.0.1"}}
    services["upper"] = {"listen": f"127.0.0.1:{free_port()}", "handler": "upper"}
    settings = {"log_type": "journal", "log_level": "debug", "user": "daemon"}
    daemon.configure(services, settings)
    daemon.reload()
    exchange(port)
    exchange(port)
    daemon.configure({"echo": {"listen": "nowhere"}})
    assert daemon.control("reload")[0] == 1


@case("every line in the journal has the MESSAGE_ID and the level of its event")
def message_ids():
    known = vocabulary()
    with Daemon() as daemon:
        daemon.announce("throttled begin", "listener died", "session error", "restart needed")
        daemon.announce("reload mistake", "reload rejected")
        port, sink, _ = serve(daemon, "journal", {"log_level": "debug"}, instances=1)
        provoke_everything(daemon, port)
        daemon.stop()
        seen = set()
        for fields in sink.records:
            words = fields["FORKECHOD_EVENT"]
            level, number = known[words]
            assert fields["MESSAGE"].startswith(words + ": "), fields
            assert fields["MESSAGE_ID"] == number, fields
            assert LEVELS[int(fields["PRIORITY"])] == level, fields
            seen.add(words)
        note("seen: " + ", ".join(sorted(seen)))
        text = "start, stop, stopped, state, control, session start, session end, session error, "
        text += "refused, refused end, throttled begin, throttled end, listener died, "
        text += "listener restarted, reload ok, reload rejected, reload mistake, restart needed"
        assert set(text.split(", ")) <= seen, set(text.split(", ")) - seen


@case("syslog gets lines with time, name, process number, facility and level")
def syslog_lines():
    with Daemon() as daemon:
        daemon.announce("throttled begin")
        port, sink, _ = serve(daemon, "syslog", {"syslog_facility": "local3"}, instances=1)
        with connect(port) as first, connect(port) as waiting:
            assert asks(first, b"hello") == b"hello"
            daemon.expect("throttled begin")
            first.close()
            assert asks(waiting, b"hello") == b"hello"
        daemon.expect("session end", count=2)
        for pattern, level in (("session end", 6), ("throttled begin", 4), ("start: ", 5)):
            fields = sink.record(pattern)
            assert fields["PRIORITY"] == str(level), fields
            assert fields["SYSLOG_FACILITY"] == str(16 + 3), fields
            assert fields["SYSLOG_IDENTIFIER"] == "forkechod", fields
            assert fields["SYSLOG_PID"] == str(daemon.pid), (fields, daemon.pid)
        now = [time.strftime("%b %e %H:%M", time.localtime(time.time() - ago)) for ago in (0, 60)]
        assert fields["SYSLOG_TIMESTAMP"][:-3] in now, (fields, now)


@case("a daemon that detaches logs to the journal where there is one, else to syslog")
def chosen_by_itself():
    for kind in ("journal", "syslog"):
        with Daemon() as daemon:
            sink, port = Sink(daemon, kind), free_port()
            daemon.configure({"echo": {"listen": f"127.0.0.1:{port}"}}, {"log_type": "auto"})
            daemon.detach(wrapper=wrapper(kind, sink.directory))
            daemon.log = sink
            assert exchange(port, b"hello") == b"hello"
            daemon.expect("session end: echo")
            daemon.stop()


@case("a reload moves the log from the journal to stderr and back")
def moved():
    with Daemon() as daemon:
        port, sink, stderr = serve(daemon, "journal")
        services = {"echo": {"listen": f"127.0.0.1:{port}"}}
        for kind, log, other in (("stderr", stderr, sink), ("journal", sink, stderr)):
            daemon.configure(services, {"log_type": kind})
            daemon.reload()
            before, daemon.log = len(other.lines), log
            daemon.mark()
            assert exchange(port, b"hello") == b"hello"
            daemon.expect("session end: echo")
            assert not re.search("session end", "\n".join(other.lines[before:])), other.lines


# ---- when it does not arrive ---------------------------------------------------------------------


def expect_nothing_noticed(daemon, port):
    """600 clients in a row are answered at once, and a reload goes on."""
    with Load("serial", port, 600) as load:
        result = load.finish()
    note(result)
    assert result.answered == 600 and not result.lost, result
    expect_time(result.slowest, 0, scaled(0.5))
    daemon.reload()
    daemon.wait_sessions(0)


def fill(daemon, count):
    """Requests that are one line of the log each."""
    for number in range(count):
        with connect(f"unix:{daemon.path('control')}") as client:
            client.sendall(b"fill %04d %s\n" % (number, b"x" * 90))
            assert read_to_end(client).startswith(b"error: unknown request")


SESSION_END = r"session end: .* s$"
FILL = r"control: fill \d+ x+$"
RELOAD = "(reload ok|control: reload)"


def account(daemon, kinds, seconds=60):
    """Every line of these kinds has come, or is among the dropped ones, exactly."""
    told = r"warning: log dropped: (\d+) lines? could not be written"
    dropped = int(daemon.expect(told, seconds=seconds).group(1))
    found = {kind: len(daemon.said(kind)) for kind in kinds}
    note(f"{found}, {dropped} dropped")
    assert sum(found.values()) + dropped == sum(kinds.values()), (found, dropped, kinds)
    daemon.mark()
    daemon.reload()
    daemon.expect("reload ok")
    assert not daemon.said("log dropped")
    return dropped


def check_stalled(kind, count):
    with Daemon() as daemon:
        daemon.announce("log dropped: ")
        port, sink, stderr = serve(daemon, kind)
        daemon.expect("start: ")
        daemon.mark()
        sink.stall()
        expect_nothing_noticed(daemon, port)
        fill(daemon, count)
        sink.resume()
        begin = time.monotonic()
        dropped = account(daemon, {SESSION_END: 600, FILL: count, RELOAD: 2})
        note(f"caught up after {time.monotonic() - begin:.1f} s")
        assert dropped > 0
        assert not stderr.lines, stderr.lines


@covers("F46")
@case("journald stalls: 600 clients and a reload notice nothing; dropped lines are counted exactly")
def journal_stalls():
    check_stalled("journal", 1000)


@covers("F46")
@case("syslogd stalls: 600 clients and a reload notice nothing; dropped lines are counted exactly")
def syslog_stalls():
    check_stalled("syslog", 3000)


def check_gone(kind):
    with Daemon() as daemon:
        daemon.announce("log dropped: ")
        port, sink, stderr = serve(daemon, kind)
        daemon.expect("start: ")
        daemon.mark()
        sink.vanish()
        expect_nothing_noticed(daemon, port)
        told = "^forkechod: warning: cannot reach the log at /"
        assert stderr.wait(told, 1, 0, 5), stderr.lines
        sink.appear()
        found = daemon.log.wait(SESSION_END, 600, 0, 60)
        if len(found) < 600:
            account(daemon, {SESSION_END: 600, RELOAD: 2})
        assert len(stderr.lines) == 1, stderr.lines


@covers("F47")
@case("journald is gone: 600 clients notice nothing; its return is noticed; stderr is told once")
def journal_is_gone():
    check_gone("journal")


@covers("F47")
@case("/dev/log is gone: 600 clients notice nothing; its return is noticed; stderr is told once")
def syslog_is_gone():
    check_gone("syslog")


def check_replaced(kind):
    with Daemon() as daemon:
        port, sink, stderr = serve(daemon, kind)
        for _ in range(3):
            assert exchange(port, b"hello") == b"hello"
            daemon.expect("session end")
            sink.stall()
            sink.appear()
            sink.resume()
            daemon.mark()
        assert exchange(port, b"hello") == b"hello"
        daemon.expect("session end")
        assert not stderr.lines, stderr.lines


@covers("F47")
@case("a log daemon that was restarted gets the very next line")
def replaced():
    for kind in ("journal", "syslog"):
        check_replaced(kind)


if __name__ == "__main__":
    run()
