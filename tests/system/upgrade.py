"""Another program in the daemon's place: same process, same sockets, and no client notices."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import harness
from clients import Load, asks, connect, exchange, is_refused
from harness import IS_ROOT, Daemon, free_port, said_otherwise
from models import case_of_both
from processes import daemon_processes, descendants, descriptors, mappings, wait_until
from programs import BUILD, FORKECHOD
from tap import case, covers, note, run, scaled

STRANGER = os.path.join(BUILD, "tests/system/stranger")
REJECTED = "upgrade rejected"


def on(*ports, **keys):
    """The keys of a service on these ports."""
    return dict({"listen": " ".join(f"127.0.0.1:{port}" for port in ports)}, **keys)


@contextlib.contextmanager
def installed():
    """A daemon whose program is a copy that the case may replace."""
    with Daemon() as daemon:
        daemon.program = daemon.path("forkechod")
        shutil.copy(FORKECHOD, daemon.program)
        harness.FORKECHOD = daemon.program
        try:
            yield daemon
        finally:
            harness.FORKECHOD = FORKECHOD


def install(daemon, program=FORKECHOD, act=None):
    """Puts a program in the place of the daemon's, as a package manager does."""
    if act:
        with open(daemon.program + ".act", "w", encoding="ascii") as file:
            file.write(f"{act}\n{FORKECHOD}\n")
    shutil.copy(program, daemon.program + ".new")
    os.rename(daemon.program + ".new", daemon.program)


def inode(path):
    return os.stat(path).st_ino


def runs(daemon):
    """Whether the daemon runs the program that is on disk, as far as one may look into it."""
    return not IS_ROOT or inode(f"/proc/{daemon.pid}/exe") == inode(daemon.program)


def upgrade(daemon):
    """Upgrades, and waits until the new program serves."""
    status, text = daemon.control("upgrade")
    assert (status, said_otherwise(text)) == (0, "upgraded\n"), (status, text)


def mapped(pid):
    return len(mappings(pid)) if IS_ROOT else 0


def what_it_holds(daemon):
    """Descriptors by what they are, with numbers of sockets and pipes left out."""
    if not IS_ROOT:
        return []
    kinds = [re.sub(r":\[\d+\]", "", text) for text in descriptors(daemon.pid).values()]
    return sorted(kind for kind in kinds if kind != "/dev/null")


class Talker(threading.Thread):
    """Sessions that were there before and keep talking. What goes wrong with them is in `lost`."""

    def __init__(self, port, count):
        super().__init__(daemon=True)
        self.clients = [connect(port) for _ in range(count)]
        self.lost, self.rounds, self.over = [], 0, False
        for client in self.clients:
            assert asks(client, b"hello") == b"hello"

    def run(self):
        while not self.over:
            for number, client in enumerate(self.clients):
                text = b"round %d of %d" % (self.rounds, number)
                try:
                    answer = asks(client, text)
                except OSError as why:
                    answer = why
                if answer != text:
                    self.lost.append((number, answer))
                    self.over = True
            self.rounds += 1
            time.sleep(0.02)

    def finish(self):
        """Ends them all; returns how many there were."""
        self.over = True
        self.join()
        for client in self.clients:
            client.close()
        return len(self.clients)


def state(daemon, service="echo"):
    """(live, accepted) as the daemon logs them."""
    daemon.mark()
    daemon.kill(daemon.pid, signal.SIGUSR1)
    found = daemon.expect(rf"state: {service}: (\d+)/\d+ sessions, (\d+) accepted")
    return int(found.group(1)), int(found.group(2))


# ---- under load ---------------------------------------------------------------------------------


@covers("F57")
@case("100 upgrades in a row under load, with 50 sessions that keep talking, lose no client", limit=240)
def hundred():
    with installed() as daemon:
        port = free_port()
        daemon.configure({"echo": on(port, instances=1000)})
        daemon.start()
        pid, begin = daemon.pid, time.monotonic()
        held, maps = what_it_holds(daemon), mapped(pid)
        talker = Talker(port, 50)
        talker.start()
        with Load("steady", port, 4) as load:
            for turn in range(1, 101):
                install(daemon)
                if turn % 2:
                    upgrade(daemon)
                else:
                    daemon.kill(pid, signal.SIGUSR2)
                wait_until(f"upgrade {turn}", lambda: len(daemon.said("upgraded: ")) == turn)
                assert runs(daemon) and daemon.pid == pid == daemon.written_pid()
            result = load.finish()
        note(f"{result}; {talker.rounds} rounds; {time.monotonic() - begin:.1f} s")
        assert not talker.lost and talker.rounds > 10, (talker.lost, talker.rounds)
        assert result.answered > 100 and not result.lost, result
        sessions = talker.finish() + result.answered
        daemon.expect("session end: echo .* client closed", count=sessions)
        wait_until("all is counted", lambda: state(daemon) == (0, sessions))
        wait_until("old listeners are gone", lambda: len(daemon.processes("listener")) == 1)
        assert len(descendants(pid)) == 1, descendants(pid)
        assert what_it_holds(daemon) == held, (what_it_holds(daemon), held)
        assert daemon.control("check")[0] == 0, daemon.control("check")
        # One that each upgrade left would be a hundred; sanitizers map some as they like.
        assert mapped(pid) < maps + 50, (mapped(pid), maps)


def send_storm(daemon, port, seconds, each_turn):
    """USR2 and HUP every 50 ms under load; returns the load's result."""
    with Load("steady", port, 4) as load:
        end = time.monotonic() + seconds
        while time.monotonic() < end or len(daemon.said("upgraded")) < 6:
            daemon.kill(daemon.pid, signal.SIGUSR2)
            daemon.kill(daemon.pid, signal.SIGHUP)
            each_turn()
            time.sleep(0.05)
        result = load.finish()
    upgrades = len(daemon.said("upgraded"))
    note(f"{result}; {upgrades} upgrades")
    assert upgrades > 5 and result.answered > 50
    return result


@case_of_both("USR2 and HUP, both at once and again and again, lose no client", limit=240)
def storm():
    with installed() as daemon:
        daemon.announce("records dropped")  # a pool's, whose keepers come and go
        port = free_port()
        daemon.configure({"echo": on(port)})
        daemon.start()
        result = send_storm(daemon, port, 5, lambda: None)
        assert not result.lost, result
        wait_until("one listener is left", lambda: len(daemon.processes("listener")) == 1)
        daemon.expect_no_zombie()


@case("listeners that are killed during upgrades are replaced, and nobody is refused", limit=240)
def killed_meanwhile():
    with installed() as daemon:
        daemon.announce("listener died", "reload rejected: .*killed by signal 9", "session error")
        daemon.announce("Unable to get registers")  # a leak check of a process that is killed
        port, turns = free_port(), []
        daemon.configure({"echo": on(port)})
        daemon.start()

        def kill_one():
            turns.append(1)
            for process in daemon.processes("listener")[:1] if len(turns) % 5 == 0 else ():
                with contextlib.suppress(ProcessLookupError):
                    daemon.kill(process.pid)

        result = send_storm(daemon, port, 5, kill_one)
        # Clients whose listener is killed between accept and fork are lost with it, and no others.
        assert not result.refused and result.lost <= 2 * len(daemon.said("killed by signal 9")), result
        assert exchange(port, b"hello") == b"hello"
        wait_until("one listener is left", lambda: len(daemon.processes("listener")) == 1)
        daemon.expect_no_zombie()


@case("TERM in the middle of an upgrade ends the daemon in order", limit=240)
def stop_meanwhile():
    for pause in (0, 0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.05, 0.1):
        with installed() as daemon:
            port = free_port()
            daemon.configure({"echo": on(port)})
            daemon.start()
            daemon.kill(daemon.pid, signal.SIGUSR2)
            time.sleep(pause)
            daemon.stop()
            assert is_refused(port)


# ---- what stays ---------------------------------------------------------------------------------


@case("clients who wait are served; the old listener finishes what it has; ps shows both")
def old_and_new():
    with installed() as daemon:
        port = free_port()
        daemon.configure({"echo": on(port)})
        daemon.start()
        old = daemon.listener()
        with connect(port) as client:
            assert asks(client, b"old") == b"old"
            install(daemon)
            upgrade(daemon)
            assert runs(daemon)
            daemon.expect("upgraded: from forkechod .* to forkechod ")
            assert exchange(port, b"new") == b"new"
            wait_until(
                "ps shows that the old one finishes",
                lambda: "forkechod: listener echo [1/256] finishing"
                in [process.title for process in daemon.processes("listener")],
                1,
            )
            assert daemon.processes("master")[0].pid == daemon.pid
            assert asks(client, b"as ever") == b"as ever"
        wait_until("the old listener has gone", lambda: len(daemon.processes("listener")) == 1)
        assert daemon.listener() != old
        daemon.expect("session end: echo .* client closed, 10 bytes in, 10 bytes out")


def workers(daemon):
    """The processes of a pool by number, and what their titles say: a client, or idle."""
    return {process.pid: process.title.split()[3] for process in daemon.processes("session", "echo")}


@case("a pool: busy workers finish their clients, idle ones give way, and the new pool is whole", limit=240)
def pools():
    with installed() as daemon:
        daemon.announce("session error: echo .*: died by a signal")
        port = free_port()
        daemon.configure({"echo": on(port, process_model="prefork", start_servers=6, min_spare=1,
                                     max_spare=6)})
        daemon.start()
        wait_until("the pool is there", lambda: list(workers(daemon).values()) == ["idle"] * 6)
        talker = Talker(port, 3)
        talker.start()
        with connect(port) as doomed, Load("steady", port, 2) as load:
            assert asks(doomed, b"hello") == b"hello"
            for turn in range(3):
                before = workers(daemon)
                install(daemon)
                upgrade(daemon)
                assert runs(daemon)
                kept = {"%s:%d" % client.getsockname() for client in [doomed, *talker.clients]}

                def has_changed(before=before, kept=kept):
                    now = workers(daemon)
                    return ({now.get(pid) for pid in before if pid in now} == kept
                            and len(now.keys() - before.keys()) == 6)

                wait_until("the pool is the new program's", has_changed)
                rounds = talker.rounds
                wait_until("the sessions go on", lambda: talker.rounds > rounds + 2 or talker.lost)
            result = load.finish()
            name = "%s:%d" % doomed.getsockname()
            (pid,) = [pid for pid, title in workers(daemon).items() if title == name]
            daemon.kill(pid)
            daemon.expect(rf"session error: echo {name} \[{pid}\]: died by a signal")
        assert not talker.lost and not result.lost, (talker.lost, result)
        sessions = talker.finish() + result.answered
        daemon.expect("session end: echo .* client closed", count=sessions)
        wait_until("all is counted", lambda: state(daemon) == (0, sessions + 1))
        wait_until("the old keepers are gone", lambda: len(daemon.processes("listener")) == 1)
        wait_until("the pool is whole", lambda: list(workers(daemon).values()) == ["idle"] * 6)
        daemon.check()


@case("sessions of a listener that died are waited for, across an upgrade")
def orphans():
    with installed() as daemon:
        daemon.announce("listener died")
        port = free_port()
        daemon.configure({"echo": on(port)})
        daemon.start()
        with connect(port) as client:
            assert asks(client, b"hello") == b"hello"
            daemon.kill(daemon.listener())
            daemon.expect("listener restarted")
            upgrade(daemon)
            assert asks(client, b"still here") == b"still here"
        daemon.expect("session end: echo .* client closed, 15 bytes in")
        wait_until("all is counted", lambda: state(daemon) == (0, 1))


@case("Unix sockets, ports that the kernel chose, and the configuration of a relative -c stay")
def sockets_stay():
    with installed() as daemon:
        path = daemon.path("socket")
        daemon.configure(
            {"unix": {"listen": f"unix:{path} unix:@{path}"}, "any": {"listen": "127.0.0.1:0"}}
        )
        if IS_ROOT:
            os.chmod(daemon.directory, 0o777)
        daemon.command = None
        done = subprocess.run(
            [daemon.program, "-c", "forkechod.conf", "-1", "-o", f"daemon.log_type=syslog"],
            cwd=daemon.directory, capture_output=True, text=True, timeout=scaled(60),
        )
        assert done.returncode == 0, done
        daemon.output, daemon.pid = done.stdout, daemon.written_pid()
        (any_port,) = daemon.addresses["any"]
        file = inode(path)
        with connect(f"unix:{path}") as client:
            assert asks(client, b"before") == b"before"
            for _ in range(3):
                install(daemon)
                upgrade(daemon)
                assert runs(daemon)
                assert asks(client, b"after") == b"after" and inode(path) == file
            for where in (f"unix:{path}", f"unix:@{path}", any_port):
                assert exchange(where, b"hello") == b"hello"
        daemon.configure({"any": {"listen": "127.0.0.1:0", "handler": "upper"}})
        status, text = daemon.control("reload")
        assert status == 0, text
        assert exchange(any_port, b"hello") == b"HELLO" and not os.path.exists(path)


@case("what the file says by then comes into force with the new program")
def new_configuration():
    with installed() as daemon:
        one, two = free_port(), free_port()
        daemon.configure({"echo": on(one), "goes": on(two)})
        daemon.start()
        daemon.configure({"echo": on(one, handler="upper")})
        upgrade(daemon)
        assert exchange(one, b"hello") == b"HELLO"
        wait_until("the other is closed", lambda: is_refused(two))


@case("many requests are answered, each by an upgrade that began after it", limit=240)
def many_requests():
    with installed() as daemon:
        port = free_port()
        daemon.configure({"echo": on(port)})
        daemon.start()
        asking = [
            subprocess.Popen(
                [harness.FORKECHOCTL, "-s", daemon.path("control"), word], stdout=subprocess.PIPE, text=True
            )
            for word in ("upgrade", "upgrade", "reload", "upgrade")
        ]
        said = [process.communicate(timeout=scaled(60))[0] for process in asking]
        assert said == ["upgraded\n", "upgraded\n", "reload accepted\n", "upgraded\n"], said


@case("what the operator has switched stays switched")
def switches_stay():
    with installed() as daemon:
        one, two = free_port(), free_port()
        daemon.configure({"paused": on(one), "drained": on(two)})
        daemon.start()
        for words in (("pause", "paused"), ("drain", "drained"), ("log", "debug")):
            assert daemon.control(*words)[0] == 0, words
        wait_until("it is drained", lambda: is_refused(two))
        for _ in range(2):
            install(daemon)
            upgrade(daemon)
        with connect(one) as client:
            client.sendall(b"hello")
            client.settimeout(0.3)
            with contextlib.suppress(TimeoutError):
                raise AssertionError(client.recv(5))
            assert is_refused(two)
            for name in ("paused", "drained"):
                status, text = daemon.control("resume", name)
                assert status == 0, text
            client.settimeout(scaled(30))
            assert client.recv(5) == b"hello" and exchange(two, b"hello") == b"hello"
        daemon.expect("session start: drained")  # told at debug alone


@case("started without a file, it is upgraded too")
def without_file():
    with installed() as daemon:
        port = free_port()
        options = ["-F", "-1", "--listen", f"127.0.0.1:{port}", "-o", "daemon.log_type=stderr"]
        options += ["-o", "daemon.user=nobody"] if IS_ROOT else []
        read_end, write_end = os.pipe()
        daemon.command = subprocess.Popen(
            [daemon.program, *options], stdout=subprocess.PIPE, stderr=write_end
        )
        os.close(write_end)
        daemon.pid, daemon.log = daemon.command.pid, harness.Log(read_end)
        daemon.expect("start: forkechod")
        install(daemon)
        daemon.kill(daemon.pid, signal.SIGUSR2)
        daemon.expect("upgraded")
        assert runs(daemon) and exchange(port, b"hello") == b"hello"


# ---- programs and files that will not do --------------------------------------------------------


def listeners(daemon):
    return sorted(process.pid for process in daemon.processes("listener"))


def is_rejected(daemon, client, reason, count=1):
    """The upgrade fails for this reason, by control socket and by signal, and nobody notices."""
    assert asks(client, b"before") == b"before"
    wait_until("old listeners are gone", lambda: len(listeners(daemon)) == count)
    before = listeners(daemon)
    daemon.mark()
    status, text = daemon.control("upgrade")
    assert status == 1 and re.search(reason, text) and REJECTED in text, (status, text)
    daemon.expect(f"{REJECTED}: .*{reason}.*; forkechod .* goes on")
    daemon.mark()
    daemon.kill(daemon.pid, signal.SIGUSR2)
    daemon.expect(f"{REJECTED}: .*{reason}")
    assert listeners(daemon) == before
    assert asks(client, b"as ever") == b"as ever"


def reject(acts, seconds=60):
    """Each act of the stranger with what is said of it."""
    with installed() as daemon:
        daemon.announce(REJECTED)
        port = free_port()
        daemon.configure({"echo": on(port)})
        daemon.start()
        held = what_it_holds(daemon)
        with connect(port) as client:
            for act, reason in acts.items():
                if act == "text":
                    install(daemon, __file__)
                elif act == "missing":
                    os.unlink(daemon.program)
                else:
                    install(daemon, STRANGER, act)
                is_rejected(daemon, client, reason)
                assert what_it_holds(daemon) == held, act
                assert len([p for p in descendants(daemon.pid) if p.ppid == daemon.pid]) == 1, act
            install(daemon)
            upgrade(daemon)
            assert runs(daemon) and asks(client, b"as ever") == b"as ever"


@covers("F57")
@case("a program that fails, is none, or is none of ours is not taken, and the old one says why")
def strangers():
    reject({
        "fails": r"stranger: no \\x1B\[31mlibrary",
        "mute": "exited with status 4",
        "crashes": "killed by signal 9",
        "babbles": "blah",
        "agrees": "does not know how to take over",
        "ancient": "another version",
        "text": "not a program",
        "missing": "No such file",
    })


@case("a program that hangs is ended after 10 seconds, while clients are served", limit=240)
def hanging():
    reject({"hangs": "did not end its check within 10 s"})


@case("a mistake in the configuration keeps the old program, and every position is told")
def bad_file():
    with installed() as daemon:
        daemon.announce(REJECTED)
        port = free_port()
        daemon.configure({"echo": on(port)})
        daemon.start()
        daemon.configure({"echo": on(port, backlog="lots", colour="blue")})
        with connect(port) as client:
            is_rejected(daemon, client, "forkechod.conf:.*backlog")
            status, text = daemon.control("upgrade")
            assert status == 1 and "backlog" in text and "colour" in text, text
            daemon.configure({"echo": on(port, handler="upper")})
            upgrade(daemon)
            assert asks(client, b"as ever") == b"as ever"
            assert exchange(port, b"hello") == b"HELLO"


@case("with clients in 64 generations there is no room for another program, until some leave", limit=600)
def no_room():
    with installed() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce(REJECTED)
        port = free_port()
        daemon.configure({"echo": on(port)})
        daemon.start()
        clients = []
        for turn in range(1, 65):
            clients.append(crowd.enter_context(connect(port)))
            assert asks(clients[-1], b"hello") == b"hello"
            if turn < 64:
                upgrade(daemon)
        is_rejected(daemon, clients[0], "service echo: 64 older generations still have clients", 64)
        clients[30].close()
        wait_until("a listener has gone", lambda: len(daemon.processes("listener")) == 63)
        upgrade(daemon)
        assert exchange(port, b"hello") == b"hello"
        for client in clients[31:] + clients[:30]:
            assert asks(client, b"as ever") == b"as ever"


@case("an address that cannot be bound: the new program serves with the old configuration")
def cannot_bind():
    with installed() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce("reload rejected", "listener died")
        port, free = free_port(), free_port()
        taken = crowd.enter_context(socket.create_server(("127.0.0.1", 0)))
        daemon.configure({"echo": on(port, handler="upper")})
        daemon.start()
        client = crowd.enter_context(connect(port))
        assert asks(client, b"old") == b"OLD"
        install(daemon)
        daemon.configure({"echo": on(port), "more": on(taken.getsockname()[1])})
        status, text = daemon.control("upgrade")
        assert status == 1 and "in use" in text, (status, text)
        assert runs(daemon) and asks(client, b"still") == b"STILL"
        assert exchange(port, b"new") == b"NEW"
        daemon.kill(daemon.listener())
        daemon.expect("listener restarted")
        assert exchange(port, b"replaced") == b"REPLACED"
        daemon.configure({"echo": on(port), "more": on(free)})
        daemon.hang_up()
        daemon.expect("upgraded")
        assert exchange(port, b"new") == b"new" and exchange(free, b"more") == b"more"
        assert asks(client, b"still") == b"STILL"


@covers("F57")
@case("a state that no forkechod left is refused")
def foreign_state():
    for value in ("77", "3"):
        done = subprocess.run(
            [FORKECHOD, "-F", "--listen", "127.0.0.1:0"],
            env=dict(os.environ, FORKECHOD_STATE=value),
            capture_output=True,
            text=True,
            timeout=scaled(60),
        )
        assert done.returncode == 64 and "FORKECHOD_STATE" in done.stderr, done
    assert not daemon_processes()


if __name__ == "__main__":
    run()
