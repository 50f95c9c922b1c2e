"""The init script on a machine that sysvinit has booted: LSB's words and exit codes."""

import os
import re
import signal
import time

from machine import Machine, kill_and_wait, taken, wait_until
from clients import Load, asks, connect, exchange, is_refused
from processes import status
from tap import case, covers, expect_time, note, run, scaled

SCRIPT = "/etc/init.d/forkechod"
PID_FILE = "/run/forkechod/forkechod.pid"
ECHO = "127.0.0.1:7"

machine = Machine("sysvinit")
machine.install()


def lsb(action):
    """The script's exit code."""
    return machine.run(f"{SCRIPT} {action}", check=False).returncode


def nobody(action):
    return machine.run(f"setpriv --reuid=65534 --clear-groups {SCRIPT} {action}", check=False)


@case("installing the package has started the daemon")
def installed():
    assert not machine.exists("/run/systemd/system")
    assert lsb("status") == 0
    assert exchange(ECHO, b"hello") == b"hello" and exchange("[::1]:7", b"hello") == b"hello"
    links = machine.out("ls /etc/rc2.d /etc/rc6.d")
    assert re.search(r"S\d\dforkechod", links) and re.search(r"K\d\dforkechod", links), links


@case("the master keeps uid 0 with a cut bounding set; listener and session are forkechod's")
def privileges():
    kept = sum(1 << bit for bit in (0, 5, 6, 7, 8, 10))  # CHOWN KILL SETGID SETUID SETPCAP BIND
    user = machine.out("id --user forkechod")
    with connect(ECHO) as client:
        asks(client, b"x")
        wait_until("a session", lambda: len(machine.daemon()) == 4)
        for process in machine.daemon():
            facts = status(process.pid)
            if process.title.startswith("forkechod: master"):
                assert facts["Uid"].split() == ["0"] * 4
                assert int(facts["CapBnd"], 16) & ~kept == 0, facts["CapBnd"]
                assert int(facts["CapEff"], 16) & ~kept == 0, facts["CapEff"]
            else:
                assert facts["Uid"].split() == [user] * 4 and facts["Groups"] == "", facts
                assert all(int(facts[c], 16) == 0 for c in ("CapEff", "CapPrm", "CapInh", "CapAmb"))
                assert facts["NoNewPrivs"] == "1"


@covers("F65")
@case("start while it runs: 0, and the daemon is the same")
def start_running():
    before = machine.master()
    assert lsb("start") == 0 and machine.master() == before


@case("reload: 0 with a good file, 1 with a bad one, which changes nothing")
def reload_both():
    machine.configure("[service upper]\nhandler = upper\nlisten = 127.0.0.1:4001\n")
    assert lsb("reload") == 0
    assert exchange("127.0.0.1:4001", b"hello") == b"HELLO"
    machine.configure("[service upper]\nhandler = uper\n")
    result = machine.run(f"{SCRIPT} reload", check=False)
    assert result.returncode == 1, result
    assert "test.conf:2:" in result.stdout + result.stderr, result
    assert exchange("127.0.0.1:4001", b"hello") == b"HELLO"


@case("a reload can bind a port below 1024, because the master has kept that right")
def reload_privileged_port():
    machine.configure("[service discard]\nhandler = discard\nlisten = 127.0.0.1:9\n")
    assert lsb("force-reload") == 0
    assert exchange("127.0.0.1:9", b"hello") == b""


@case("restart with a bad file: 6, and the daemon that runs goes on")
def restart_bad():
    before = machine.master()
    machine.configure("[service upper]\nhandler = uper\n")
    assert lsb("restart") == 6
    assert machine.master() == before
    machine.configure("")
    assert lsb("reload") == 0


@case("restart: 0, and a new daemon serves")
def restart():
    before = machine.master()
    assert lsb("restart") == 0
    assert machine.master() not in (None, before)
    assert exchange(ECHO, b"hello") == b"hello"


@case("try-restart while it runs: 0, and a new daemon serves")
def try_restart_running():
    before = machine.master()
    assert lsb("try-restart") == 0
    assert machine.master() not in (None, before)


@case("upgrade: 0, in the same process, with the same rights and no more")
def upgrade():
    def facts():
        found = status(machine.master())
        return {name: found[name] for name in ("Uid", "Gid", "CapPrm", "CapEff", "CapBnd")}

    before, held = machine.master(), facts()
    with connect(ECHO) as client:
        assert asks(client, b"before") == b"before"
        for _ in range(2):
            assert lsb("upgrade") == 0
            assert asks(client, b"after") == b"after"
    assert machine.master() == before and facts() == held, (facts(), held)
    assert lsb("status") == 0
    machine.configure("[service discard]\nhandler = discard\nlisten = 127.0.0.1:9\n")
    assert lsb("reload") == 0
    assert exchange("127.0.0.1:9", b"hello") == b""
    machine.configure("")
    assert lsb("reload") == 0


@case("a newer package under load: no client is refused or cut, same process, new program", 300)
def package():
    before = machine.master()
    with connect(ECHO) as client, Load("steady", ECHO, 4) as load:
        assert asks(client, b"before") == b"before"
        machine.run(f"dpkg --install {machine.newer_package()}", seconds=300)
        result = load.finish()
        assert asks(client, b"after") == b"after"
    note(result)
    assert result.answered > 50 and not result.lost, result
    assert machine.master() == before
    running = os.stat(f"/proc/{before}/exe").st_ino
    assert running == os.stat(machine.path("/usr/sbin/forkechod")).st_ino


@covers("F65")
@case("stop: 0, nothing of the daemon is left, and the port is free")
def stop():
    assert lsb("stop") == 0
    assert not machine.daemon()
    assert not machine.exists(PID_FILE) and not machine.exists("/run/forkechod/control")
    assert is_refused(ECHO)


@covers("F65")
@case("stopped: status 3, stop 0, reload 7, try-restart 0 and nothing is started")
def when_stopped():
    assert lsb("status") == 3
    assert lsb("stop") == 0
    assert lsb("reload") == 7
    assert lsb("upgrade") == 7
    assert lsb("try-restart") == 0
    assert not machine.daemon()


@covers("F65")
@case("status of a daemon that died: 1; start and stop then work as ever")
def dead_with_pid_file():
    assert lsb("start") == 0
    old = machine.daemon()
    kill_and_wait(machine.master())
    assert lsb("status") == 1
    wait_until("its listeners end", lambda: not {p.pid for p in old} & {p.pid for p in machine.daemon()})
    assert lsb("start") == 0 and lsb("status") == 0
    assert exchange(ECHO, b"hello") == b"hello"
    kill_and_wait(machine.master())
    assert lsb("stop") == 0 and lsb("status") == 3


@case("a pid file with another program's number: not running, and that program is left alone")
def foreign_pid():
    machine.run(f"setsid sleep 100 >/dev/null 2>&1 & echo $! > {PID_FILE}")
    number = machine.read(PID_FILE).strip()
    assert lsb("status") == 1
    assert lsb("stop") == 0
    assert machine.run(f"kill -0 {number}", check=False).returncode == 0
    assert lsb("start") == 0 and lsb("status") == 0
    machine.run(f"kill {number}")


@case("what only root may do: 4; status answers everybody")
def not_root():
    for action in ("start", "stop", "restart", "reload"):
        assert nobody(action).returncode == 4, action
    assert nobody("status").returncode == 0


@case("an action that there is not: 2, with the ones that there are")
def usage():
    result = machine.run(f"{SCRIPT} nonsense", check=False)
    assert result.returncode == 2 and "Usage:" in result.stderr, result
    assert lsb("") == 2


@case("start with a bad file: 6, the reason on the terminal, and nothing runs")
def start_bad():
    assert lsb("stop") == 0
    machine.configure("[service upper]\nhandler = uper\n")
    result = machine.run(f"{SCRIPT} start", check=False)
    assert result.returncode == 6 and "test.conf:2:" in result.stderr, result
    machine.wait_gone()
    assert lsb("status") == 3
    machine.configure("")


@case("start with a taken port: 1, the address on the terminal, and nothing runs")
def start_taken():
    with taken(7):
        result = machine.run(f"{SCRIPT} start", check=False)
    assert result.returncode == 1 and "127.0.0.1:7" in result.stderr, result
    machine.wait_gone()
    assert lsb("start") == 0


@case("options of /etc/default/forkechod reach the daemon")
def defaults():
    machine.write("/etc/default/forkechod", 'FORKECHOD_OPTIONS="-o daemon.graceful_timeout=1s"\n')
    assert lsb("restart") == 0
    with connect(ECHO) as client:
        asks(client, b"x")
        begin = time.monotonic()
        assert lsb("stop") == 0
        took = time.monotonic() - begin
    machine.write("/etc/default/forkechod", "")
    assert lsb("start") == 0
    expect_time(took, 0.9, scaled(3))


@case("a master that does not stop is killed after FORKECHOD_STOP_TIMEOUT", 300)
def stop_stuck():
    machine.write("/etc/default/forkechod", "FORKECHOD_STOP_TIMEOUT=1\n")
    os.kill(machine.master(), signal.SIGSTOP)
    assert lsb("stop") == 0
    machine.wait_gone()
    machine.write("/etc/default/forkechod", "")
    assert lsb("start") == 0 and exchange(ECHO, b"hello") == b"hello"


@case("ignored signals, a deleted directory and few descriptors are no matter for a start", 300)
def odd_environment():
    assert lsb("stop") == 0
    machine.run(
        "mkdir /gone && cd /gone && rmdir /gone && trap '' HUP CHLD TERM PIPE && umask 777 && "
        f"ulimit -n 64 && {SCRIPT} start <&- >/dev/null 2>/dev/null"
    )
    assert exchange(ECHO, b"hello") == b"hello"
    assert machine.out(f"stat --format=%a {PID_FILE}") == "644"
    assert lsb("stop") == 0 and not machine.daemon() and lsb("start") == 0


@case("on a machine that systemd has booted the script asks systemctl", 300)
def redirected():
    other = Machine()
    other.install()
    assert lsb_on(other, "stop") == 0 and other.show("ActiveState") == "inactive"
    assert lsb_on(other, "status") == 3
    assert lsb_on(other, "start") == 0 and other.show("ActiveState") == "active"
    assert lsb_on(other, "status") == 0
    other.configure("[service nonsense]\nhandler = nonsense\n")
    assert lsb_on(other, "reload") == 1
    other.configure("")
    assert lsb_on(other, "reload") == 0 and lsb_on(other, "restart") == 0
    # By itself it still works there, for those who insist.
    assert lsb_on(other, "stop") == 0
    assert lsb_on(other, "start", "env SYSTEMCTL_SKIP_REDIRECT=1 _SYSTEMCTL_SKIP_REDIRECT=1") == 0
    assert other.show("ActiveState") == "inactive" and other.daemon()
    other.stop()


def lsb_on(other, action, prefix=""):
    return other.run(f"{prefix} {SCRIPT} {action}", check=False).returncode


if __name__ == "__main__":
    run()
