"""Socket activation without a capability: forkechod.socket with the shipped drop-in."""

import re

from machine import Machine, wait_until
from handlers import ask, services
from clients import asks, connect, exchange, read_to_end
from processes import status
from tap import case, covers, run

DROP_IN = "/usr/share/doc/forkechod/examples/socket-only.conf"

machine = Machine()
machine.install()
SERVICES = services(machine, 4100)
(UPPER,) = [one for one in SERVICES if one.name == "upper-fork"]


def daemon_runs():
    return machine.show("ActiveState") == "active"


@case("the drop-in's own instructions set it up")
def instructions():
    lines = [line[4:] for line in machine.read(DROP_IN).splitlines() if line.startswith("#   ")]
    assert len(lines) == 4, lines
    for line in lines:
        machine.run(line.replace("THIS-FILE", DROP_IN))
    assert machine.out("systemctl is-active forkechod.socket") == "active"
    assert not daemon_runs()


@case("systemd listens on port 7 of both families, and the first client starts the daemon")
def first_client():
    assert not machine.daemon()
    assert exchange("127.0.0.1:7", b"hello") == b"hello"
    assert daemon_runs()
    assert exchange("[::1]:7", b"hello") == b"hello"


@case("ten times in a row the first client after a stop is answered", 300)
def first_client_again():
    for turn in range(10):
        machine.run("systemctl stop forkechod.service")
        assert not machine.daemon()
        where = ("127.0.0.1:7", "[::1]:7")[turn % 2]
        assert exchange(where, b"hello") == b"hello"


@case("no process of the daemon has any capability, or could get one")
def no_capability():
    with connect("127.0.0.1:7") as client:
        asks(client, b"x")
        processes = wait_until("a session", lambda: len(machine.daemon()) == 4 and machine.daemon())
        for process in processes:
            facts = status(process.pid)
            for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd"):
                assert int(facts[kind], 16) == 0, (process, kind, facts[kind])
            assert facts["NoNewPrivs"] == "1"


@case("every handler answers on a socket of its own, passed by name, in both process models", 300)
def every_handler():
    for one in SERVICES:
        machine.write(
            f"/etc/systemd/system/forkechod-{one.name}.socket",
            f"[Socket]\nListenStream=127.0.0.1:{one.port}\nFileDescriptorName={one.name}\n"
            "Service=forkechod.service\n",
        )
    machine.configure("".join(one.section for one in SERVICES))
    units = " ".join(f"forkechod-{one.name}.socket" for one in SERVICES)
    machine.run(f"systemctl daemon-reload; systemctl stop forkechod; systemctl start {units}")
    for one in SERVICES:
        ask(one.handler, f"127.0.0.1:{one.port}")
    told = machine.messages()
    assert not any("session error" in message for message in told), told
    assert exchange("127.0.0.1:7", b"hello") == b"hello"


@case("a reload works the same, and tells a bad file by its exit status", 300)
def reload_works():
    upper = f"127.0.0.1:{UPPER.port}"
    machine.write("/etc/forkechod.conf.d/test2.conf", f"[service {UPPER.name}]\nhandler = next\n")
    machine.run("systemctl reload forkechod")
    assert exchange(upper, b"HAL") == b"IBM"
    machine.write("/etc/forkechod.conf.d/test2.conf", f"[service {UPPER.name}]\nhandler = none\n")
    assert machine.run("systemctl reload forkechod", check=False).returncode == 1
    assert exchange(upper, b"HAL") == b"IBM"
    machine.run("rm /etc/forkechod.conf.d/test2.conf; systemctl reload forkechod")
    assert exchange(upper, b"hello") == b"HELLO"


@case("an address that nobody passes is a refused reload that names it")
def own_address():
    machine.write("/etc/forkechod.conf.d/other.conf", "[service own]\nlisten = 127.0.0.1:4200\n")
    assert machine.run("systemctl reload forkechod", check=False).returncode == 1
    told = machine.messages()[-10:]
    assert any("127.0.0.1:4200" in message for message in told), told
    machine.run("rm /etc/forkechod.conf.d/other.conf; systemctl reload forkechod")


@case("a passed socket without a service is an error that names it", 300)
def socket_without_service():
    unit = "/etc/systemd/system/forkechod-lost.socket"
    machine.write(
        unit,
        "[Socket]\nListenStream=127.0.0.1:4300\nFileDescriptorName=lost\n"
        "Service=forkechod.service\n",
    )
    machine.run("systemctl daemon-reload; systemctl stop forkechod")
    machine.run("systemctl start forkechod-lost.socket")
    try:
        result = machine.run("systemctl start forkechod", check=False)
        assert result.returncode != 0 and machine.show("ExecMainStatus") == "78", result
        assert any("lost" in message for message in machine.messages("_COMM=forkechod"))
    finally:
        machine.run(f"systemctl stop forkechod-lost.socket; rm {unit}; systemctl daemon-reload")
        machine.run("systemctl reset-failed")
    machine.run("systemctl start forkechod")


@case("listeners and sessions have their whole sandbox, which the log says", 300)
def sandbox():
    with connect("127.0.0.1:7") as client:
        asks(client, b"x")
        processes = [p for p in machine.daemon() if not p.title.startswith("forkechod: master")]
        assert len(processes) > len(SERVICES)
        for process in processes:
            # One filter is the unit's, one the daemon's own.
            assert int(status(process.pid)["Seccomp_filters"]) >= 2, process
    told = machine.messages()
    for name in ("echo", *(one.name for one in SERVICES)):
        assert any(f"service {name}" in m and "sandbox strict" in m for m in told), (name, told)
    assert not any("sandbox: strict, without" in message for message in told), told


@case("systemd-analyze security gives this service 0.4 or better")
def hardening():
    text = machine.out("systemd-analyze security --no-pager forkechod.service")
    assert float(re.search(r"exposure level for \S+: ([0-9.]+)", text)[1]) <= 0.4, text


@covers("F39")
@case("a Type=forking unit with a socket is served too, or says at once why not", 300)
def forking_with_socket():
    machine.run("systemctl stop forkechod.socket forkechod.service 'forkechod-*.socket'")
    machine.run("rm /etc/forkechod.conf.d/test.conf")
    machine.write(
        "/etc/systemd/system/forking.socket",
        "[Socket]\nListenStream=127.0.0.1:4400\nFileDescriptorName=echo\n",
    )
    machine.write(
        "/etc/systemd/system/forking.service",
        "[Service]\nType=forking\nRuntimeDirectory=forkechod\n"
        "PIDFile=/run/forkechod/forkechod.pid\nExecStart=/usr/sbin/forkechod\n",
    )
    machine.run("systemctl daemon-reload; systemctl start forking.socket")
    for _ in range(3):
        assert exchange("127.0.0.1:4400", b"hello") == b"hello"
        machine.run("systemctl stop forking.service")
        machine.wait_gone()
    machine.run("systemctl stop forking.socket forking.service")


@case("inetd's way: a unit with Accept=yes serves one client a process")
def accept_yes():
    machine.write("/etc/systemd/system/inetd.socket", "[Socket]\nListenStream=4500\nAccept=yes\n")
    machine.write(
        "/etc/systemd/system/inetd@.service",
        "[Service]\nExecStart=/usr/sbin/forkechod -i --handler upper\nStandardInput=socket\n",
    )
    machine.run("systemctl daemon-reload; systemctl start inetd.socket")
    with connect("127.0.0.1:4500") as one, connect("[::1]:4500") as two:
        assert asks(one, b"one") == b"ONE" and asks(two, b"two") == b"TWO"
        one.shutdown(1)
        assert read_to_end(one) == b""
    machine.run("systemctl stop inetd.socket")


if __name__ == "__main__":
    run()
