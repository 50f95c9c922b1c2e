"""Who the processes are, and what they could do if a client took one over."""

import collections
import grp
import mmap
import os
import pwd
import re
import signal
import subprocess

from clients import asks, connect, exchange, is_refused
from harness import IS_ROOT, SERVING_USER, Daemon, descriptors_at_rest, forkechod, free_port, ordinary
from processes import daemon_processes, descriptors, mappings, reap_orphans, status, wait_until
from programs import SANITIZED
from tap import Skip, case, covers, run

# Of capabilities(7).
CHOWN, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE = 0, 5, 6, 7, 8, 10
SETS = ("CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd")
IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def need_root():
    if not IS_ROOT:
        raise Skip("only root can give privilege away")


def serve(daemon, services=None, **start):
    """Starts echo, or these services, each on a port of its own; returns the ports."""
    services = services or {"echo": {}}
    ports = [free_port() for _ in services]
    daemon.configure(
        {
            name: dict({"listen": f"127.0.0.1:{port}"}, **keys)
            for (name, keys), port in zip(services.items(), ports)
        }
    )
    daemon.start(**start)
    return ports


def somebody(*others):
    """A user who is neither root nor any of these."""
    for user in pwd.getpwall():
        if user.pw_uid not in (0, *others):
            return user
    raise Skip("this machine has no further user")


def identity(pid):
    """The process's four uids, four gids and its other groups."""
    facts = status(pid)
    return tuple([int(number) for number in facts[key].split()] for key in ("Uid", "Gid", "Groups"))


def capabilities(pid, *sets):
    facts = status(pid)
    return {name: int(facts[name], 16) for name in sets or SETS}


def expect_powerless(process, uid, gid, sets=SETS):
    """This uid, this gid, no capability in these sets, and none to be had."""
    assert identity(process.pid) == ([uid] * 4, [gid] * 4, []), (process, identity(process.pid))
    assert not any(capabilities(process.pid, *sets).values()), (process, capabilities(process.pid))
    assert status(process.pid)["NoNewPrivs"] == "1", process


def expect_nothing_left(daemon, port):
    def are_gone():
        reap_orphans()
        return not daemon_processes()

    wait_until("no process is left", are_gone)
    daemon.expect_nothing_left()
    assert is_refused(port)


def children(daemon):
    """The listeners and sessions."""
    return daemon.processes("listener") + daemon.processes("session")


@covers("F42")
@case("as root, the master keeps six capabilities, and cannot get any other back")
def master_is_limited():
    need_root()
    with Daemon() as daemon:
        serve(daemon)
        kept = sum(1 << bit for bit in (CHOWN, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE))
        assert identity(daemon.pid)[0] == [0] * 4
        found = capabilities(daemon.pid)
        assert found == dict(CapEff=kept, CapPrm=kept, CapBnd=kept, CapInh=0, CapAmb=0), found


@covers("F42")
@case("listeners and sessions are the configured user, without groups and capabilities")
def children_are_powerless():
    need_root()
    user = pwd.getpwnam(SERVING_USER)
    with Daemon() as daemon:
        (port,) = serve(daemon, extra_groups=[4, 6])
        with connect(port) as client:
            assert asks(client, b"hello") == b"hello"
            assert len(children(daemon)) == 2
            for process in children(daemon):
                expect_powerless(process, user.pw_uid, user.pw_gid)


@case("a service may have a user and a group of its own")
def own_user():
    need_root()
    nobody = pwd.getpwnam(SERVING_USER)
    other = somebody(nobody.pw_uid)
    group = next(group for group in grp.getgrall() if group.gr_gid not in (0, other.pw_gid))
    with Daemon() as daemon:
        services = {
            "one": {"user": other.pw_name},
            "two": {"user": other.pw_name, "group": group.gr_name},
            "three": {},
        }
        ports = serve(daemon, services)
        expected = [(other.pw_uid, other.pw_gid), (other.pw_uid, group.gr_gid)]
        expected.append((nobody.pw_uid, nobody.pw_gid))
        for name, port, (uid, gid) in zip(services, ports, expected):
            with connect(port) as client:
                assert asks(client, b"hello") == b"hello"
                for kind in ("listener", "session"):
                    (process,) = daemon.processes(kind, name)
                    expect_powerless(process, uid, gid)


@case("a service does not get root as its user: status 78, and nothing is started")
def root_is_refused():
    need_root()
    port = free_port()
    with Daemon() as daemon:
        for where in ("daemon.user=root", "echo.user=root"):
            daemon.configure({"echo": {"listen": f"127.0.0.1:{port}"}})
            done = forkechod("-c", daemon.file, "-o", where)
            assert done.returncode == 78, done
            assert "user root: clients are not served as root" in done.stderr, done
            expect_nothing_left(daemon, port)


@case("as an ordinary user nobody changes identity, and no process has a capability")
def ordinary_user():
    with Daemon() as daemon:
        (port,) = serve(daemon, **ordinary(daemon))
        user = pwd.getpwnam(SERVING_USER) if IS_ROOT else pwd.getpwuid(os.getuid())
        with connect(port) as client:
            assert asks(client, b"hello") == b"hello"
            for process in daemon.processes():
                assert identity(process.pid)[0] == [user.pw_uid] * 4, process
                found = capabilities(process.pid, "CapEff", "CapPrm", "CapAmb")
                assert not any(found.values()), (process, found)
            for process in children(daemon):
                assert status(process.pid)["NoNewPrivs"] == "1", process


@case("as an ordinary user, a `user` that names another is an error: status 78")
def ordinary_user_cannot_change():
    other = somebody(pwd.getpwnam(SERVING_USER).pw_uid if IS_ROOT else os.getuid())
    port = free_port()
    with Daemon() as daemon:
        as_user = ordinary(daemon)
        daemon.configure({"echo": {"listen": f"127.0.0.1:{port}"}})
        for where in ("daemon", "echo"):
            done = forkechod("-c", daemon.file, "-o", f"{where}.user={other.pw_name}", **as_user)
            assert done.returncode == 78, done
            assert f"user {other.pw_name}: only root can serve as another user" in done.stderr, done
            expect_nothing_left(daemon, port)


@covers("F42")
@case("a reload that wants a privilege which the daemon lacks is refused, and says which")
def reload_wants_more():
    other = somebody(pwd.getpwnam(SERVING_USER).pw_uid if IS_ROOT else os.getuid())
    with Daemon() as daemon:
        daemon.announce("reload rejected: service echo: user .*: only root can serve as another")
        (port,) = serve(daemon, **ordinary(daemon))
        keys = {"listen": f"127.0.0.1:{port}", "user": other.pw_name}
        daemon.configure({"echo": keys})
        answer, text = daemon.control("reload")
        assert answer == 1 and "only root can serve as another user" in text, (answer, text)
        assert exchange(port, b"still here") == b"still here"


@case("a capability for low ports, as the unit gives it, stays with the master")
def ambient_capability():
    need_root()
    user = pwd.getpwnam(SERVING_USER)
    port = next(port for port in range(1023, 512, -1) if is_refused(port))
    give = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    give += ["--inh-caps=-all,+net_bind_service", "--ambient-caps=-all,+net_bind_service"]
    with Daemon() as daemon:
        ordinary(daemon)
        daemon.configure({"echo": {"listen": f"127.0.0.1:{port}"}})
        daemon.start(wrapper=give)
        assert capabilities(daemon.pid)["CapEff"] == 1 << NET_BIND_SERVICE
        with connect(port) as client:
            assert asks(client, b"hello") == b"hello"
            for process in children(daemon):
                expect_powerless(process, user.pw_uid, user.pw_gid, SETS[:-1])


def expect_null(found):
    """Descriptors 0 to 2 lead nowhere; takes them out. Sanitizers report on them."""
    for number in range(3):
        where = found.pop(number)
        assert SANITIZED or where == "/dev/null", (number, where)


@covers("F18")
@case("a session has its connection open, and nothing else")
def session_descriptors():
    with Daemon() as daemon:
        (port, _) = serve(
            daemon, {"echo": daemon.visible(), "upper": dict(daemon.visible(), handler="upper")}
        )
        with connect(port) as first, connect(port) as second:
            assert asks(first, b"hello") == b"hello"
            assert asks(second, b"hello") == b"hello"
            for pid in daemon.sessions():
                found = descriptors(pid)
                expect_null(found)
                assert list(found) == [3] and found[3].startswith("socket:"), found


@covers("F18")
@case("a listener has its own sockets, its master and its signals open, and nothing else")
def listener_descriptors():
    ports = {"one": [free_port(), free_port()], "two": [free_port()]}
    with Daemon() as daemon:
        daemon.configure(
            {
                name: dict(daemon.visible(), listen=" ".join(f"127.0.0.1:{port}" for port in own))
                for name, own in ports.items()
            }
        )
        daemon.start()
        for name, own in ports.items():
            with connect(own[0]) as client:
                assert asks(client, b"hello") == b"hello"
                found = descriptors_at_rest(daemon.listener(name))
                expect_null(found)
                kinds = sorted(where.split(":")[0] for where in found.values())
                assert kinds == ["anon_inode"] + ["socket"] * (len(own) + 1), (name, found)
                assert "anon_inode:[signalfd]" in found.values(), (name, found)


@covers("F18")
@case("a session keeps no port open: without master and listener, clients are refused")
def no_port_is_kept():
    with Daemon() as daemon:
        (port,) = serve(daemon)
        with connect(port) as client:
            assert asks(client, b"hello") == b"hello"
            listener = daemon.listener()
            daemon.kill(daemon.pid)
            daemon.kill(listener)
            assert daemon.wait_end() == -signal.SIGKILL
            wait_until("the port is closed", lambda: is_refused(port))
            assert asks(client, b"still here") == b"still here"


def shared_memory(pid):
    """The memfds that it has mapped, and how many bytes of each."""
    found = collections.Counter()
    for begin, end, name in re.findall(r"(?m)^(\w+)-(\w+) .*/memfd:(\S+)", "".join(mappings(pid))):
        found[name] += int(end, 16) - int(begin, 16)
    return found


@case("a session cannot write what decides: it shares its half of the board alone, a pool's process its settings too")
def board_is_protected():
    with Daemon() as daemon:
        pool = {"process_model": "prefork", **daemon.visible()}
        ports = serve(daemon, {"echo": daemon.visible(), "pool": pool})
        for service, port, more in zip(("echo", "pool"), ports, (set(), {"forkechod-service"})):
            assert "forkechod-control" in shared_memory(daemon.listener(service))
            with connect(port) as client:
                assert asks(client, b"hello") == b"hello"
                (session,) = daemon.wait_sessions(1, service)
                found = shared_memory(session)
                assert set(found) == {"forkechod-sessions"} | more, found
                # Sixteen rows, its own among them; tens of thousands are on the board.
                assert found["forkechod-sessions"] == max(16 * 512, mmap.PAGESIZE), found


# In a build with sanitizers the leak check has to look into it.
if not SANITIZED:

    @case("a process of the daemon's own user cannot look into its master")
    def master_is_private():
        with Daemon() as daemon:
            as_user = ordinary(daemon)
            (port,) = serve(daemon, **as_user)
            assert exchange(port, b"hello") == b"hello"
            for name in ("maps", "environ", "mem"):
                look = ["head", "-c1", f"/proc/{daemon.pid}/{name}"]
                done = subprocess.run(look, capture_output=True, **as_user)
                assert done.returncode != 0 and b"denied" in done.stderr, done


@covers("F19")
@case("nothing of the environment in which the daemon was started reaches listener and session")
def environment_is_clean():
    with Daemon() as daemon:
        secret = dict(os.environ, FORKECHOD_TEST_SECRET="sesame", LISTEN_FDNAMES="sesame")
        (port,) = serve(daemon, {"echo": daemon.visible()}, env=secret)
        with connect(port) as client:
            assert asks(client, b"hello") == b"hello"
            for process in children(daemon):
                with open(f"/proc/{process.pid}/environ", "rb") as file:
                    assert b"sesame" not in file.read(), process
                with open(f"/proc/{process.pid}/cmdline", "rb") as file:
                    assert b"sesame" not in file.read(), process


@covers("F19")
@case("what people send to everything called forkechod ends no client")
def signals_are_ignored():
    with Daemon() as daemon:
        (port,) = serve(daemon)
        with connect(port) as client:
            assert asks(client, b"hello") == b"hello"
            before = children(daemon)
            wanted = sum(1 << (number - 1) for number in IGNORED)
            for process in before:
                ignored = int(status(process.pid)["SigIgn"], 16)
                assert ignored & wanted == wanted, (process, hex(ignored))
                for number in IGNORED:
                    daemon.kill(process.pid, number)
            assert asks(client, b"still here") == b"still here"
            assert [process.pid for process in children(daemon)] == [p.pid for p in before]
            assert exchange(port, b"another") == b"another"


if __name__ == "__main__":
    run()
