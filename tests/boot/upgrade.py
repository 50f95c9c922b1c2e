"""Another program in the daemon's place, on a machine that systemd has booted."""

import os
import time

from machine import Machine, wait_until
from clients import Load, asks, connect, exchange, is_refused
from processes import status
from tap import case, covers, note, run

ECHO = "127.0.0.1:7"
SOCKET_PATH = "/run/forkechod/echo"
FACTS = "Uid Gid Groups CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp SigBlk SigIgn".split()

UPGRADED = "d76b8789a74b48d9acf7937ac2c7ed74"  # of src/log/events.def

machine = Machine()
machine.install()
machine.configure(
    f"[defaults]\nper_source = 0\n[service unix]\nhandler = echo\nlisten = unix:{SOCKET_PATH}\n"
)
machine.run("systemctl reload forkechod")
UNIX = "unix:" + machine.path(SOCKET_PATH)


def manager():
    """What systemd knows of the daemon, and an upgrade must not change."""
    return [machine.show(what) for what in ("MainPID", "NRestarts", "NFileDescriptorStore")]


def facts():
    """What the kernel says of the master."""
    found = status(machine.master())
    return {name: found.get(name) for name in FACTS}


def upgrades():
    return len(machine.messages(f"MESSAGE_ID={UPGRADED}"))


def upgrade_by_signal():
    before = upgrades()
    machine.run("systemctl kill --signal=USR2 --kill-who=main forkechod")
    wait_until("it is upgraded", lambda: upgrades() > before)


@covers("F57")
@case("systemctl kill -s USR2 and forkechoctl upgrade, under load: nobody is lost", 300)
def under_load():
    before, of_kernel = manager(), facts()
    with connect(ECHO) as client, Load("steady", ECHO, 3) as tcp, Load("steady", UNIX, 3) as unix:
        assert asks(client, b"before") == b"before"
        for _ in range(3):
            upgrade_by_signal()
            machine.run("forkechoctl upgrade")
            assert machine.show("ActiveState") == "active"
            assert asks(client, b"after") == b"after"
        results = tcp.finish(), unix.finish()
    note(results)
    for result in results:
        assert result.answered > 50 and not result.lost, result
    assert manager() == before, (manager(), before)
    assert facts() == of_kernel, (facts(), of_kernel)


@case("it may still listen on a port below 1024 that it did not have")
def privileged_port():
    machine.configure("[service discard]\nhandler = discard\nlisten = 127.0.0.1:9\n", "port")
    machine.run("systemctl reload forkechod")
    assert exchange("127.0.0.1:9", b"hello") == b""


@case("systemctl restart afterwards refuses nobody: what was stored is stored still", 300)
def restart():
    with Load("steady", ECHO, 4) as load:
        machine.run("systemctl restart forkechod")
        result = load.finish()
    note(result)
    assert not result.lost, result


@case("the watchdog is fed by the new program as by the old", 300)
def watchdog():
    with machine.drop_in("WatchdogSec=6s"):
        machine.run("systemctl restart forkechod")
        upgrade_by_signal()
        before = manager()
        time.sleep(8)
        assert manager() == before and machine.show("ActiveState") == "active"
    machine.run("systemctl restart forkechod")


@case("a configuration with a mistake: the old program goes on, and the reason is told")
def mistake():
    before = machine.master()
    machine.configure("[service upper]\nhandler = uper\n", "wrong")
    result = machine.run("forkechoctl upgrade", check=False)
    assert result.returncode == 1 and "wrong.conf:2:" in result.stderr, result
    assert "upgrade rejected: " in machine.out("journalctl --lines=20 --unit=forkechod")
    assert machine.master() == before and exchange(ECHO, b"hello") == b"hello"
    machine.run("rm /etc/forkechod.conf.d/wrong.conf")


# ---- packages -----------------------------------------------------------------------------------


def install_newer():
    """A newer package; returns the output of dpkg."""
    result = machine.run(f"dpkg --install {machine.newer_package()} 2>&1", seconds=300)
    return result.stdout


def runs_installed():
    """Whether the program that runs is the one that is installed."""
    running = os.stat(f"/proc/{machine.master()}/exe")
    return running.st_ino == os.stat(machine.path("/usr/sbin/forkechod")).st_ino


@case("a newer package under load: no client is refused or cut, same process, new program", 300)
def package():
    before = manager()
    assert runs_installed()
    clients = [connect(ECHO) for _ in range(20)]
    with Load("steady", ECHO, 4) as load:
        for client in clients:
            assert asks(client, b"before") == b"before"
        said = install_newer()
        result = load.finish()
    note(result)
    for client in clients:
        assert asks(client, b"after") == b"after"
        client.close()
    assert result.answered > 50 and not result.lost, result
    assert "upgraded\n" in said, said
    assert manager() == before, (manager(), before)
    assert runs_installed()


@case("a newer package and a configuration with a mistake: the old program goes on", 300)
def package_and_mistake():
    before = machine.master()
    machine.configure("[service upper]\nhandler = uper\n", "wrong")
    said = install_newer()
    assert "wrong.conf:2:" in said and "forkechoctl upgrade" in said, said
    assert machine.master() == before and not runs_installed()
    assert exchange(ECHO, b"hello") == b"hello"
    machine.run("rm /etc/forkechod.conf.d/wrong.conf; forkechoctl upgrade")
    assert machine.master() == before and runs_installed()


@case("a newer package and nobody to ask: it is restarted, and says so; nobody is refused", 300)
def package_and_nobody():
    machine.configure("[daemon]\ncontrol_socket =\n", "silent")
    machine.run("systemctl restart forkechod")
    before = machine.master()
    with Load("steady", ECHO, 4) as load:
        said = install_newer()
        result = load.finish()
    note(result)
    assert "restarted instead" in said, said
    assert not result.lost, result
    assert machine.master() != before and runs_installed()
    machine.run("rm /etc/forkechod.conf.d/silent.conf; systemctl restart forkechod")


# ---- sockets that systemd passes ----------------------------------------------------------------


@case("a socket that a .socket unit passed stays, and so does its name", 300)
def activation():
    machine.run("systemctl stop forkechod; systemctl start forkechod.socket")
    with connect(ECHO) as client:
        assert asks(client, b"before") == b"before"
        for _ in range(3):
            upgrade_by_signal()
            assert asks(client, b"after") == b"after" and exchange(ECHO, b"hello") == b"hello"
    machine.run("systemctl reload forkechod")
    assert exchange("[::1]:7", b"hello") == b"hello"
    machine.run("systemctl stop forkechod.service")
    assert exchange(ECHO, b"again") == b"again"
    machine.run("systemctl stop forkechod.socket forkechod.service")
    wait_until("the port is closed", lambda: is_refused(ECHO))


if __name__ == "__main__":
    run()
