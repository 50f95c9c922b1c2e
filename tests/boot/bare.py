"""The README's commands on a bare Debian: nothing is there but the base system and systemd.

The machine shares this one's network, because apt wants its mirror; so port 7 has to be free here.
"""

import os
import re

from machine import Machine
from clients import exchange
from tap import case, run

machine = Machine(tree="bare", binds=[f"{os.environ['BOOT_SOURCE']}:/source"], network=True)
machine.run("cp --recursive /source /root/forkechod")


def shell(command, seconds, user=None):
    words = f"cd /root/forkechod && {command}"
    if user:
        words = f"setpriv --reuid={user} --regid={user} --clear-groups sh -c '{words}'"
    return machine.run(words, seconds=seconds, check=False)


def shows_daemon(result):
    """The conversation and the picture of the process tree."""
    text = result.stdout + result.stderr
    assert result.returncode == 0, text
    assert re.search(r"^Hello, forkechod$", text, re.MULTILINE), text
    for kind in (r"master \[", r"listener echo \[1/", r"session echo 127\.0\.0\.1:"):
        assert re.search(rf"forkechod: {kind}", text), text
    return text


@case("quickstart without root and without what the build needs says what to install", 300)
def needs_named():
    machine.run("useradd --create-home person && cp -r /source /home/person/forkechod")
    machine.run("chown -R person: /home/person/forkechod")
    result = machine.run("su person -c 'cd ~/forkechod && ./quickstart'", check=False)
    assert result.returncode == 1, result
    assert "sudo apt-get" in result.stderr and "build-dep" in result.stderr, result


@case("quickstart as root installs, starts, talks, and shows the processes", 1800)
def quickstart():
    shows_daemon(shell("./quickstart", 1700))
    assert machine.show("ActiveState") == "active"
    assert exchange("127.0.0.1:7", b"hello") == b"hello"


@case("quickstart again upgrades in place, and keeps a changed configuration", 1800)
def quickstart_again():
    machine.run("echo '# mine' >> /etc/forkechod.conf")
    before = machine.show("MainPID")
    shows_daemon(shell("./quickstart", 1700))
    assert machine.show("MainPID") == before, "the new program took the old one's place"
    assert '"upgrades":1' in machine.out("forkechoctl status --json")
    assert machine.read("/etc/forkechod.conf").endswith("# mine\n")


@case("quickstart without root then builds, and serves in the foreground until it is stopped", 1800)
def quickstart_foreground():
    machine.run(
        "su person -c 'cd ~/forkechod && exec ./quickstart' >/tmp/log 2>&1 & "
        "for i in $(seq 15000); do grep -q 'until Ctrl-C' /tmp/log && break; sleep 0.1; done; sleep 1",
        seconds=1700,
    )
    try:
        assert exchange("127.0.0.1:7777", b"hello") == b"hello", machine.read("/tmp/log")
    finally:
        machine.run("pkill --uid person -INT forkechod; sleep 0.5", check=False)
    assert machine.out("pgrep --uid person forkechod", check=False) == ""


@case("purge takes it away again", 300)
def purge():
    machine.run("apt-get purge --yes forkechod forkecho")
    assert not machine.daemon() and not machine.exists("/etc/forkechod.conf")


@case("runtests as an ordinary user runs its tests, and counts them in the last line", 3600)
def runtests():
    result = machine.run("su person -c 'cd ~/forkechod && ./runtests'", seconds=3500, check=False)
    last = result.stdout.rstrip().splitlines()[-1]
    assert re.fullmatch(r"\d+ passed, 0 failed, \d+ skipped", last), result.stdout


if __name__ == "__main__":
    run()
