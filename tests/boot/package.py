"""The packages: upgrade, removal, purge, and the test that Debian's own machinery runs."""

import os

from machine import Machine
from clients import Load, asks, connect, exchange, is_refused
from tap import case, note, run

SOURCE = os.environ["BOOT_SOURCE"]
REINSTALL = "dpkg --install --force-confdef /packages/forkechod_*.deb"
# What dpkg and systemd write down for themselves whatever package comes and goes.
BOOKKEEPING = (
    "/etc/group /etc/gshadow /etc/passwd /etc/shadow /etc/.pwd.lock /etc/ld.so.cache"
    " /var/lib/dpkg /var/log /var/cache /var/lib/systemd/catalog /tmp /packages /proc /sys /dev"
    " /run/agetty.reload /run/systemd /run/log /run/udev /run/lock /run/host /run/user /run/dbus"
    " /var/lib/systemd/deb-systemd-helper-enabled /var/lib/private /var/tmp"
    " /var/lib/systemd/deb-systemd-user-helper-enabled"
)


def files(machine):
    prune = " -o ".join(f"-path {path}" for path in BOOKKEEPING.split())
    return set(machine.out(f"find / \\( {prune} \\) -prune -o -print").splitlines())


machine = Machine()
before = files(machine)
machine.install()


@case("the installed files are where Debian wants them")
def places():
    for path in (
        "/usr/sbin/forkechod",
        "/usr/sbin/forkechoctl",
        "/usr/libexec/forkechod/listener",
        "/usr/bin/forkecho",
        "/etc/forkechod.conf",
        "/etc/forkechod.conf.d",
        "/etc/default/forkechod",
        "/etc/init.d/forkechod",
        "/lib/systemd/system/forkechod.service",
        "/lib/systemd/system/forkechod.socket",
        "/usr/lib/systemd/catalog/forkechod.catalog",
        "/usr/share/bash-completion/completions/forkechod",
    ):
        assert machine.exists(path), path


@case("nothing that is installed can be written by anybody but root")
def modes():
    listed = machine.out("dpkg --listfiles forkechod forkecho")
    names = " ".join(f"'{name}'" for name in listed.split("\n") if name and name != "/.")
    bad = machine.out(f"find {names} -maxdepth 0 ! -type l \\( ! -user root -o -perm /022 \\)")
    assert bad == "", bad


@case("the system user has no password, no shell and no home that it could write")
def user():
    name, _, uid, _, _, home, shell = machine.out("getent passwd forkechod").split(":")
    assert name == "forkechod" and 0 < int(uid) < 1000 and shell == "/usr/sbin/nologin"
    assert machine.out("getent shadow forkechod").split(":")[1].startswith(("!", "*"))


@case("the test of debian/tests passes", 300)
def autopkgtest():
    with open(os.path.join(SOURCE, "debian/tests/service"), encoding="utf-8") as script:
        result = machine.run("sh -s", text_in=script.read(), check=False, seconds=300)
    assert result.returncode == 0, result


@case("an upgrade keeps a changed configuration and the process, and serves its clients on", 300)
def upgrade():
    machine.run("echo '# mine' >> /etc/forkechod.conf; echo '# mine' >> /etc/default/forkechod")
    text = machine.read("/etc/forkechod.conf")
    master = machine.master()
    with Load("steady", "127.0.0.1:7", 4) as load:
        machine.run(REINSTALL, seconds=300)
        result = load.finish()
    note(result)
    assert result.lost == 0, result
    assert machine.read("/etc/forkechod.conf") == text
    assert "# mine" in machine.read("/etc/default/forkechod")
    assert machine.master() == master


@case("an upgrade leaves a service alone that the administrator has disabled", 300)
def upgrade_disabled():
    machine.run("systemctl disable --now forkechod")
    machine.run(REINSTALL, seconds=300)
    assert machine.out("systemctl is-enabled forkechod", check=False) == "disabled"
    assert machine.show("ActiveState") == "inactive"
    machine.run("systemctl enable --now forkechod")


@case("removal stops everything, the socket unit too, and keeps the configuration", 300)
def remove():
    machine.run("systemctl stop forkechod; systemctl enable --now forkechod.socket")
    assert exchange("127.0.0.1:7", b"hello") == b"hello"
    with connect("127.0.0.1:7") as client:
        asks(client, b"x")
        machine.run("dpkg --remove forkechod forkecho")
    machine.wait_gone()
    assert is_refused("127.0.0.1:7")
    assert machine.exists("/etc/forkechod.conf")
    assert machine.run("sh /etc/init.d/forkechod stop", check=False).returncode == 0


@case("purge leaves no file, unit or process; the system user stays", 300)
def purge():
    machine.run("dpkg --purge forkechod forkecho")
    machine.run("systemctl daemon-reload")
    assert machine.out("systemctl list-units --all --quiet 'forkechod*'") == ""
    assert machine.out("systemctl list-unit-files --quiet 'forkechod*'", check=False) == ""
    assert not machine.daemon()
    left = files(machine) - before
    assert not left, sorted(left)
    assert machine.out("getent passwd forkechod").startswith("forkechod:")
    traces = machine.out(
        "find /etc /var/lib/systemd /var/lib/dpkg/info /run/systemd -iname '*forkecho*'"
    )
    assert traces == "", traces
    assert machine.out("journalctl --list-catalog | grep -i forkechod", check=False) == ""


@case("after the purge it can be installed again, and runs", 300)
def install_again():
    machine.install()
    assert exchange("127.0.0.1:7", b"hello") == b"hello"


if __name__ == "__main__":
    run()
