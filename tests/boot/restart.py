"""Restarts, kills and hangs under load: what clients notice of them."""

import os
import signal
import time

from machine import Machine, kill_and_wait, wait_until
from clients import Load, asks, connect, exchange
from tap import case, covers, expect_time, note, run, scaled

ECHO = "127.0.0.1:7"
SOCKET_PATH = "/run/forkechod/echo"
WORKERS = 4  # clients at any time

machine = Machine()
machine.install()
machine.configure(f"[service unix]\nhandler = echo\nlisten = unix:{SOCKET_PATH}\n")
machine.run("systemctl reload forkechod")
UNIX = "unix:" + machine.path(SOCKET_PATH)


def under_load(where, disturb):
    """Runs `disturb` while clients come and go; returns what became of them."""
    with Load("steady", where, WORKERS) as load:
        time.sleep(0.5)
        disturb()
        time.sleep(0.5)
        result = load.finish()
    note(f"{where}: {result}")
    return result


def restart_often():
    for _ in range(5):
        machine.run("systemctl restart forkechod")
        time.sleep(0.3)


def expect_nothing_lost(where):
    result = under_load(where, restart_often)
    assert result.lost == 0, result
    assert result.answered > 100, result
    expect_time(result.slowest, 0, scaled(3))


@covers("F60")
@case("systemctl restart: no TCP client is refused or cut, the slowest waits less than 3 s", 300)
def restart_tcp():
    expect_nothing_lost(ECHO)


@case("systemctl restart: the same over IPv6", 300)
def restart_tcp6():
    expect_nothing_lost("[::1]:7")


@case("systemctl restart: the same on a Unix socket", 300)
def restart_unix():
    expect_nothing_lost(UNIX)


@case("what was stored for a restart is forgotten when a reload drops the address", 300)
def store_forgets():
    stored = int(machine.show("NFileDescriptorStore"))
    machine.configure("")
    machine.run("systemctl reload forkechod")
    assert int(machine.show("NFileDescriptorStore")) == stored - 1
    machine.run("systemctl restart forkechod")
    assert not machine.exists(SOCKET_PATH)
    machine.configure(f"[service unix]\nhandler = echo\nlisten = unix:{SOCKET_PATH}\n")
    machine.run("systemctl reload forkechod")


@covers("F20")
@case("the master killed: its successor serves within a second, sessions finish", 300)
def master_killed():
    with connect(ECHO) as client:
        asks(client, b"x")
        old = {process.pid for process in machine.daemon()}
        master = machine.master()
        begin = time.monotonic()
        kill_and_wait(master)
        wait_until("a new client is served", serves)
        took = time.monotonic() - begin
        note(f"served again after {took:.3f} s")
        assert asks(client, b"still served") == b"still served"
        assert machine.show("NRestarts") == "1"
        # The old session ends with graceful_timeout, and then its listener.
        client.settimeout(scaled(60))
        assert client.recv(1) == b""
        left = time.monotonic() - begin
    wait_until("nothing of the old is left", lambda: not old & {p.pid for p in machine.daemon()})
    machine.run("systemctl reset-failed forkechod")
    expect_time(took, 0, scaled(1))
    expect_time(left, 0, scaled(11.5))


def serves():
    """True when a fresh client is answered."""
    try:
        return exchange(ECHO, b"hello", seconds=3) == b"hello"
    except OSError:
        return False


@case("the master killed under load: clients are refused or cut for less than a second", 300)
def master_killed_under_load():
    result = under_load(ECHO, lambda: kill_and_wait(machine.master()))
    assert result.cut + result.reset <= WORKERS and result.wrong == 0, result
    machine.run("systemctl reset-failed forkechod")
    expect_time(result.slowest, 0, scaled(1))


@covers("F62")
@case("the master killed twenty times in a row: it comes back every time", 300)
def master_killed_often():
    for _ in range(20):
        kill_and_wait(wait_until("a master", machine.master))
        wait_until("served again", serves)
    assert machine.show("ActiveState") == "active"
    machine.run("systemctl reset-failed forkechod")


@covers("F61")
@case("a master that hangs is replaced by systemd's watchdog", 300)
def watchdog():
    with machine.drop_in("WatchdogSec=6s"):
        machine.run("systemctl restart forkechod")
        master = machine.master()
        time.sleep(8)
        assert machine.master() == master, "the watchdog is content with a daemon that works"
        begin = time.monotonic()
        os.kill(master, signal.SIGSTOP)
        wait_until("a new master", lambda: machine.master() not in (None, master) and serves())
        took = time.monotonic() - begin
        note(f"replaced after {took:.3f} s")
        assert any("watchdog" in m.lower() for m in machine.messages("_PID=1"))
    machine.run("systemctl restart forkechod")
    expect_time(took, 0, 6 + scaled(1.5))


@case("a stopped listener is replaced after ten seconds, and the watchdog does not mind", 300)
def listener_stopped():
    master = machine.master()
    listener = [p for p in machine.daemon() if p.title.startswith("forkechod: listener echo")][0]
    begin = time.monotonic()
    os.kill(listener.pid, signal.SIGSTOP)
    wait_until("a new client is served", serves)
    took = time.monotonic() - begin
    assert machine.master() == master
    assert any(m.startswith("listener stuck") for m in machine.messages())
    expect_time(took, 0, scaled(13))


@case("systemctl kill --kill-who=all -s HUP: no session is lost", 300)
def hup_to_all():
    with connect(ECHO) as client:
        asks(client, b"x")
        machine.run("systemctl kill --kill-who=all --signal=HUP forkechod")
        machine.run("pkill -HUP forkechod")
        time.sleep(0.3)
        assert asks(client, b"still served") == b"still served"
    assert exchange(ECHO, b"hello") == b"hello"


@covers("F60")
@case("with forkechod.socket: systemctl restart loses nobody either", 300)
def restart_with_socket():
    machine.run("systemctl stop forkechod; systemctl start forkechod.socket")
    assert exchange(ECHO, b"first") == b"first"
    expect_nothing_lost(ECHO)
    expect_nothing_lost("[::1]:7")


@case("with forkechod.socket: the master killed under load, and nobody is refused", 300)
def killed_with_socket():
    result = under_load(ECHO, lambda: kill_and_wait(machine.master()))
    assert result.refused == 0 and result.wrong == 0, result
    assert result.cut + result.reset <= WORKERS, result
    expect_time(result.slowest, 0, scaled(2))
    machine.run("systemctl stop forkechod.socket forkechod.service")


if __name__ == "__main__":
    run()
