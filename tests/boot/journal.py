"""A journal that stalls, restarts or is gone: clients notice nothing, and nothing is lost unsaid."""

import os
import re
import signal
import time

from machine import Machine, wait_until
from clients import Load, exchange
from processes import descendants
from tap import case, covers, expect_time, note, run, scaled

ECHO = "127.0.0.1:7"
CLIENTS = 600
MORE_THAN_WAIT = 4000  # their lines are more than the daemon keeps for a log that does not take them

machine = Machine()
machine.install()
# So that the watchdog has to be fed several times within each case.
machine.drop_in("WatchdogSec=6s").__enter__()
machine.run("systemctl restart forkechod")


def serve_all(count=CLIENTS):
    """So many clients one after another; all of them have to be answered, none late."""
    with Load("serial", ECHO, count) as load:
        result = load.finish()
    note(result)
    assert result.answered == count and result.lost == 0, result
    expect_time(result.slowest, 0, scaled(1))


def journald():
    found = [p for p in descendants(machine.leader) if p.comm == "systemd-journal"]
    assert len(found) == 1, found
    return found[0].pid


def lines_since(since):
    return machine.out(f"journalctl --no-pager --output=cat --unit=forkechod --since=@{since}")


def ends(text):
    """How many sessions the log tells the end of."""
    return len(re.findall("session end: ", text))


def dropped(text):
    """How many lines the log itself says were dropped."""
    return sum(int(n) for n in re.findall(r"log dropped: (\d+) lines?", text))


def wait_accounted(read, count):
    """Waits until the log has an end of each of so many sessions, or counts it as dropped."""
    wait_until(
        "lines and dropped lines add up", lambda: ends(read()) + dropped(read()) >= count
    )
    text = read()
    note(f"{ends(text)} session ends in the log, {dropped(text)} lines dropped")
    assert 0 < dropped(text) and ends(text) <= count, text[-1000:]


def reload_with(name):
    machine.configure(f"[service {name}]\nhandler = upper\nlisten = 127.0.0.1:4001\n")
    machine.run("systemctl reload forkechod")
    assert exchange("127.0.0.1:4001", b"hello") == b"HELLO"


@covers("F46")
@case("journald stopped: 600 clients, reload and watchdog go on; what is dropped is counted", 300)
def journald_stopped():
    since = time.time()
    master = machine.master()
    os.kill(journald(), signal.SIGSTOP)
    try:
        serve_all()
        reload_with("stalled")
        serve_all(MORE_THAN_WAIT)
        time.sleep(8)
        assert machine.master() == master, "the watchdog was fed"
    finally:
        os.kill(journald(), signal.SIGCONT)
    serve_all()
    # One more is the client of the reload.
    wait_accounted(lambda: lines_since(since), 2 * CLIENTS + MORE_THAN_WAIT + 1)


@covers("F47")
@case("journald restarted in the middle: nobody notices, and lines come back", 300)
def journald_restarted():
    with Load("steady", ECHO, 4) as load:
        for _ in range(3):
            machine.run("systemctl restart systemd-journald")
            time.sleep(0.5)
        result = load.finish()
    note(result)
    assert result.lost == 0, result
    time.sleep(1.1)
    since = time.time()
    assert exchange(ECHO, b"hello") == b"hello"
    wait_until("a line of it", lambda: ends(lines_since(since)) == 1)
    expect_time(result.slowest, 0, scaled(1))


@case("journald's socket gone: 600 clients and a reload go on", 300)
def journal_socket_gone():
    machine.run("systemctl stop systemd-journald.socket systemd-journald-dev-log.socket", check=False)
    machine.run("systemctl stop systemd-journald.service", check=False)
    machine.run("rm -f /run/systemd/journal/socket")
    serve_all()
    reload_with("gone")
    machine.run("systemctl start systemd-journald.socket systemd-journald.service")
    time.sleep(1.1)
    since = time.time()
    serve_all()
    wait_until("lines come again", lambda: ends(lines_since(since)) > 0)


@case("syslog: /dev/log gone and back, and nobody notices", 300)
def syslog_gone():
    machine.write("/etc/forkechod.conf.d/log.conf", "[daemon]\nlog_type = syslog\n")
    machine.run("systemctl reload forkechod")
    since = time.time()
    assert exchange(ECHO, b"hello") == b"hello"
    wait_until("a line of it by syslog", lambda: ends(lines_since(since)) == 1)
    machine.run("mv /run/systemd/journal/dev-log /run/systemd/journal/dev-log.away")
    # A socket that is connected already still reaches journald: make it connect anew.
    machine.run("systemctl restart forkechod")
    serve_all()
    reload_with("away")
    machine.run("mv /run/systemd/journal/dev-log.away /run/systemd/journal/dev-log")
    time.sleep(1.1)
    since = time.time()
    serve_all()
    wait_until("lines come again", lambda: ends(lines_since(since)) > 0)
    machine.run("rm /etc/forkechod.conf.d/log.conf; systemctl reload forkechod")


@covers("F48")
@case("stderr on a full disk: clients and a reload go on; what is dropped is counted", 300)
def stderr_full():
    machine.run("mkdir -p /run/small && mount -t tmpfs -o size=16k tmpfs /run/small")
    machine.write("/etc/forkechod.conf.d/log.conf", "[daemon]\nlog_type = stderr\n")
    with machine.drop_in("StandardError=append:/run/small/log"):
        machine.run("systemctl restart forkechod")
        serve_all(MORE_THAN_WAIT)
        reload_with("full")
        assert os.stat(machine.path("/run/small/log")).st_size <= 16384
        machine.run("mount -o remount,size=16m /run/small")
        wait_accounted(lambda: machine.read("/run/small/log"), MORE_THAN_WAIT + 1)


if __name__ == "__main__":
    run()
