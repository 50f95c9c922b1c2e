"""The daemon as systemd runs it: what an administrator types, and what he sees."""

import json
import re
import time

from machine import Machine, taken, wait_until
from handlers import ask, services
from clients import asks, connect, exchange, is_refused
from processes import status
from tap import case, covers, expect_time, run, scaled

CAP_NET_BIND_SERVICE, CAP_SYS_RESOURCE = 1 << 10, 1 << 24

machine = Machine()
machine.install()


def hand_in(text, name="test"):
    """Writes a file of configuration and reloads."""
    machine.configure(text, name)
    return machine.run("systemctl reload forkechod", check=False)


@case("once it is installed the daemon runs, is enabled, and both families get their bytes back")
def installed():
    assert machine.out("systemctl is-active forkechod") == "active"
    assert machine.out("systemctl is-enabled forkechod") == "enabled"
    assert machine.out("systemctl is-enabled forkechod.socket", check=False) == "disabled"
    for where in ("127.0.0.1:7", "[::1]:7"):
        assert exchange(where, b"hello") == b"hello"
    assert machine.out("systemctl --failed --quiet") == ""


@case("systemctl status says what is served")
def status_line():
    text = wait_until("STATUS", lambda: machine.show("StatusText"))
    assert re.search(r"\b2 services\b", text), text
    assert text in machine.out("systemctl status forkechod")


@case("ps shows master, listener and session, each below the other, with service and client")
def process_tree():
    with connect("127.0.0.1:7") as client:
        asks(client, b"x")
        port = client.getsockname()[1]
        counted = "forkechod: master [2 services, 1 session]"
        wait_until("the client is counted", lambda: counted in machine.titles())
        counted_below = "forkechod: listener echo [1/256]"
        wait_until("and by its listener", lambda: counted_below in machine.titles())
        lines = machine.out("ps -e --forest -o user:12,args | grep '[f]orkechod: '").splitlines()
        users, shapes = zip(*(re.match(r"(\S+)( .*)", line).groups() for line in lines))
        assert set(users) == {"forkechod"}, lines
        assert shapes[0].endswith(counted), lines
        assert re.search(r"\\_ forkechod: listener echo \[1/256\]", shapes[1]), lines
        assert re.search(rf"\\_ forkechod: session echo 127\.0\.0\.1:{port}", shapes[2]), lines
        assert re.search(r"\\_ forkechod: listener status \[0/16\]", shapes[3]), lines
        depths = [line.index("forkechod:") for line in shapes]
        assert depths[:3] == sorted(set(depths)) and depths[3] == depths[1], lines
        assert len(machine.out("pgrep forkechod").split()) == 4


@case("root can read the status service, and nobody else")
def status_service():
    answer = exchange(f"unix:/proc/{machine.leader}/root/run/forkechod/status",
                      b"GET /status.json HTTP/1.0\r\n\r\n")
    head, body = answer.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200 OK"), head
    services = json.loads(body)["services"]
    assert [service["name"] for service in services] == ["echo", "status"], services
    assert services[0]["listen"] == ["127.0.0.1:7", "[::1]:7"], services[0]
    assert machine.out("stat --format=%a,%U /run/forkechod/status") == "600,forkechod"


@covers("F42")
@case("the master has the one capability that it needs; listener and session have none")
def capabilities():
    with connect("127.0.0.1:7") as client:
        asks(client, b"x")
        processes = wait_until("a session", lambda: len(machine.daemon()) == 4 and machine.daemon())
        for process in processes:
            facts = status(process.pid)
            may = CAP_NET_BIND_SERVICE if process.title.startswith("forkechod: master") else 0
            # The inheritable set counts for nothing where no_new_privs is set.
            for kind in ("CapEff", "CapPrm", "CapAmb"):
                assert int(facts[kind], 16) & ~may == 0, (process, kind, facts[kind])
            assert facts["NoNewPrivs"] == "1" and "0" not in facts["Uid"].split(), facts


@case("the journal has a session's end with its fields, and the catalog explains it")
def journal_fields():
    with connect("127.0.0.1:7") as client:
        port = client.getsockname()[1]
        asks(client, b"twelve bytes")
    where = f"FORKECHOD_CLIENT=127.0.0.1:{port}"
    entry = wait_until("the entry", lambda: machine.journal(where))[-1]
    assert entry["MESSAGE"].startswith("session end"), entry
    assert entry["FORKECHOD_SERVICE"] == "echo" and entry["PRIORITY"] == "6", entry
    assert entry["FORKECHOD_BYTES_IN"] == entry["FORKECHOD_BYTES_OUT"] == "12", entry
    assert entry["SYSLOG_IDENTIFIER"] == "forkechod", entry
    assert re.fullmatch("[0-9a-f]{32}", entry["MESSAGE_ID"]), entry
    explained = machine.out(f"journalctl --no-pager --catalog {where}")
    assert "Subject: A session ended" in explained, explained
    assert f"Client 127.0.0.1:{port} of service echo" in explained, explained


@case("every event of the catalog can be looked up")
def catalog():
    listed = machine.out("journalctl --list-catalog | grep -c -i forkechod")
    assert int(listed) >= 10, listed


@case("systemctl reload takes a new service, and does not touch the others", 300)
def reload_good():
    with connect("127.0.0.1:7") as client:
        asks(client, b"before")
        before = {p.pid for p in machine.daemon()}
        result = hand_in("[service upper]\nhandler = upper\nlisten = 127.0.0.1:4001\n")
        assert result.returncode == 0, result
        assert machine.show("SubState") == "running"
        assert exchange("127.0.0.1:4001", b"hello") == b"HELLO"
        assert asks(client, b"after") == b"after"
        assert before <= {p.pid for p in machine.daemon()}
        assert re.search(r"\b3 services\b", machine.show("StatusText"))


@case("a reload with mistakes fails, names each of them, and changes nothing", 300)
def reload_bad():
    pid = machine.show("MainPID")
    result = hand_in("[service upper]\nhandler = uper\nlisten = 127.0.0.1:4001\ninstances = lots\n")
    assert result.returncode == 1, result
    assert machine.show("ActiveState") == "active" and machine.show("SubState") == "running"
    assert machine.show("MainPID") == pid
    for line in (2, 4):
        told = [m for m in machine.messages() if f"/etc/forkechod.conf.d/test.conf:{line}: " in m]
        assert told, machine.messages()[-10:]
    assert any(m.startswith("reload rejected") for m in machine.messages())
    # The unit still tells of it when the reload is over.
    text = machine.show("StatusText")
    assert "reload" in text, text
    assert exchange("127.0.0.1:4001", b"hello") == b"HELLO"
    direct = machine.run("forkechoctl reload", check=False)
    assert direct.returncode == 1 and "test.conf:2:" in direct.stderr + direct.stdout, direct
    assert hand_in("").returncode == 0
    assert is_refused("127.0.0.1:4001")
    assert "reload" not in machine.show("StatusText")


@covers("F56")
@case("twenty reloads, good and bad in turn, each come back with the right status", 300)
def reload_statuses():
    for turn in range(20):
        good = turn % 2 == 0
        result = hand_in("" if good else "[service nonsense]\nhandler = nonsense\n")
        assert (result.returncode == 0) == good, (turn, result)
        assert machine.show("SubState") == "running"
    assert hand_in("").returncode == 0


@case("what the unit forbids is a refused reload that says why; the drop-ins it names allow it", 300)
def reload_forbidden():
    upper = "[service upper]\nhandler = upper\n"
    nice = f"{upper}listen = 127.0.0.1:4001\nnice = 5\n"
    group = f"{upper}listen = unix:/run/forkechod/upper\nsocket_group = adm\n"
    for text, why in ((nice, "nice 5"), (group, "socket_group of"), (f"{nice}user = root\n", "user root")):
        result = hand_in(text)
        assert result.returncode == 1, (text, result)
        assert any(why in m for m in machine.messages("_COMM=forkechod")[-6:]), why
        assert exchange("127.0.0.1:7", b"still here") == b"still here"
    assert hand_in("").returncode == 0
    with machine.drop_in(
        "SystemCallFilter=setpriority\nSystemCallFilter=@chown\nSupplementaryGroups=adm"
    ):
        machine.run("systemctl restart forkechod")
        result = hand_in(nice)
        assert result.returncode == 0, (result, machine.messages("_COMM=forkechod")[-6:])
        titles = machine.out("ps -e -o ni,args").splitlines()
        assert any(re.match(r" *5 forkechod: listener upper", line) for line in titles), titles
        assert hand_in(group).returncode == 0
        assert machine.out("stat --format=%G /run/forkechod/upper") == "adm"
        assert hand_in("").returncode == 0
    machine.run("systemctl restart forkechod")


@case("systemctl stop is done within half a second, and leaves nothing")
def stop_idle():
    begin = time.monotonic()
    machine.run("systemctl stop forkechod")
    took = time.monotonic() - begin
    assert not machine.daemon()
    assert machine.show("Result") == "success"
    assert not machine.exists("/run/forkechod")
    assert is_refused("127.0.0.1:7")
    machine.run("systemctl start forkechod")
    expect_time(took, 0, scaled(1))  # with systemctl's own


@covers("F58")
@case("a stop lets a session finish, and ends it after graceful_timeout", 300)
def stop_draining():
    assert hand_in("[daemon]\ngraceful_timeout = 3s\n").returncode == 0
    with connect("127.0.0.1:7") as client:
        asks(client, b"x")
        begin = time.monotonic()
        machine.run("systemctl stop forkechod --no-block")
        time.sleep(1)
        assert machine.show("ActiveState") == "deactivating"
        assert asks(client, b"still served") == b"still served"
        assert client.recv(1) == b""
    machine.run("systemctl stop forkechod")
    took = time.monotonic() - begin
    assert machine.show("Result") == "success"
    machine.wait_gone()
    assert is_refused("127.0.0.1:7")
    machine.run("rm /etc/forkechod.conf.d/test.conf; systemctl start forkechod")
    expect_time(took, 2.5, 3 + scaled(1.5))


@covers("F59")
@case("a long drain outlives TimeoutStopSec, because the daemon asks for the time", 300)
def stop_extended():
    assert hand_in("[daemon]\ngraceful_timeout = 6s\n").returncode == 0
    with machine.drop_in("TimeoutStopSec=2s"), connect("127.0.0.1:7") as client:
        asks(client, b"x")
        machine.run("systemctl stop forkechod --no-block")
        time.sleep(4)
        assert asks(client, b"still served") == b"still served"
        client.close()
        machine.run("systemctl stop forkechod")
        assert machine.show("Result") == "success"
    machine.run("rm /etc/forkechod.conf.d/test.conf; systemctl start forkechod")


@covers("F62")
@case("a bad file fails the start with its mistakes, and systemd does not try again")
def start_bad():
    machine.run("systemctl stop forkechod")
    machine.configure("[service echo]\nlisten = everywhere\n")
    result = machine.run("systemctl start forkechod", check=False)
    assert result.returncode != 0
    assert machine.show("ExecMainStatus") == "78"
    assert machine.show("NRestarts") == "0" and machine.show("ActiveState") == "failed"
    assert any("test.conf:2:" in message for message in machine.messages())
    assert not machine.daemon()
    machine.run("rm /etc/forkechod.conf.d/test.conf; systemctl start forkechod")


@case("a taken port fails the start, and its address is in the log")
def start_taken():
    machine.run("systemctl stop forkechod")
    with machine.drop_in("Restart=no"), taken(7):
        assert machine.run("systemctl start forkechod", check=False).returncode != 0
        assert any("127.0.0.1:7: Address already in use" in m for m in machine.messages())
    machine.run("systemctl start forkechod")
    assert exchange("127.0.0.1:7", b"hello") == b"hello"


@case("options of /etc/default/forkechod reach the daemon")
def defaults():
    machine.write(
        "/etc/default/forkechod", 'FORKECHOD_OPTIONS="-o daemon.graceful_timeout=1s"\n'
    )
    machine.run("systemctl restart forkechod")
    with connect("127.0.0.1:7") as client:
        asks(client, b"x")
        begin = time.monotonic()
        machine.run("systemctl restart forkechod")
        took = time.monotonic() - begin
    machine.write("/etc/default/forkechod", 'FORKECHOD_OPTIONS=""\n')
    machine.run("systemctl restart forkechod")
    expect_time(took, 0.9, scaled(3))


@case("ten restarts leave no complaint of systemd in the journal", 300)
def no_complaints():
    since = time.time()
    for _ in range(10):
        machine.run("systemctl restart forkechod")
    text = machine.out(
        f"journalctl --no-pager --output=cat -u forkechod -p warning --since=@{since} _PID=1"
    )
    assert text == "", text


def exposure(unit):
    text = machine.out(f"systemd-analyze security --no-pager {unit}")
    return float(re.search(r"exposure level for \S+: ([0-9.]+)", text)[1])


@case("listeners and sessions have their whole sandbox, and go before their master without memory")
def sandbox():
    with connect("127.0.0.1:7") as client:
        asks(client, b"x")
        filters, scores = {}, {}
        for process in wait_until("a session", lambda: len(machine.daemon()) == 4 and machine.daemon()):
            kind = process.title.split()[1]
            filters.setdefault(kind, set()).add(int(status(process.pid)["Seccomp_filters"]))
            with open(f"/proc/{process.pid}/oom_score_adj", encoding="ascii") as file:
                scores.setdefault(kind, set()).add(int(file.read()))
        (of_master,) = filters.pop("master")
        assert filters == {"listener": {of_master + 1}, "session": {of_master + 1}}, filters
        may_lower = int(status(machine.leader)["CapEff"], 16) & CAP_SYS_RESOURCE
        protected = -500 if may_lower else 0
        assert scores == {"master": {protected}, "listener": {300}, "session": {300}}, scores
    told = machine.messages()
    assert any("service echo" in message and "sandbox strict" in message for message in told), told
    assert not any("sandbox: strict, without" in message for message in told), told


@case("every handler answers in the unit's sandbox and its own, in both process models", 300)
def every_handler():
    all_of_them = services(machine, 4010)
    text = (f"{one.section}listen = 127.0.0.1:{one.port}\n" for one in all_of_them)
    result = hand_in("".join(text))
    assert result.returncode == 0, (result, machine.messages()[-10:])
    for one in all_of_them:
        ask(one.handler, f"127.0.0.1:{one.port}")
    told = machine.messages()
    for one in all_of_them:
        assert any(f"service {one.name}" in m and "sandbox strict" in m for m in told), (one, told)
        assert one.name.endswith("-fork") or f"forkechod: session {one.name} idle" in machine.titles()
    assert not any("session error" in message for message in told), told
    assert not any("sandbox: strict, without" in message for message in told), told
    assert hand_in("").returncode == 0


@case("systemd-analyze security gives the service 1.4 or better")
def hardening():
    assert exposure("forkechod.service") <= 1.4


@case("systemd-analyze verify has nothing to say about the units")
def units_verified():
    # The manual is not installed in so small a tree; that alone may be missed.
    result = machine.run(
        "systemd-analyze verify --man=no forkechod.service forkechod.socket", check=False
    )
    assert result.returncode == 0 and result.stderr == "", result


if __name__ == "__main__":
    run()
