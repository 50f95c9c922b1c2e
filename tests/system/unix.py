"""Unix stream sockets: what is made of the path, and what is left alone."""

import grp
import os
import pwd
import signal
import socket
import stat

from clients import Load, asks, connect, exchange, is_refused
from harness import IS_ROOT, SERVING_USER, Daemon, forkechod, free_port
from processes import daemon_processes, reap_orphans, wait_until
from tap import Skip, case, covers, run


def serve(daemon, **keys):
    """Starts echo on a socket in the daemon's directory; returns its path."""
    path = daemon.path("echo")
    daemon.configure({"echo": dict({"listen": f"unix:{path}"}, **keys)})
    daemon.start()
    return path


def mode_of(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def state_of(path):
    """What changes when somebody touches it; a client that connects changes st_atime alone."""
    file = os.lstat(path)
    return file.st_ino, file.st_mode, file.st_uid, file.st_gid, file.st_mtime_ns, file.st_ctime_ns


def expect_refused_start(daemon, status, *words):
    """The start fails with this status, the first line has these words, and nothing is left."""
    done = forkechod("-F", "-c", daemon.file)
    assert done.returncode == status, done
    for word in words:
        assert word in done.stderr.splitlines()[0], (word, done.stderr)
    daemon.expect_nothing_left()
    left = set(os.listdir(daemon.directory)) - {"forkechod.conf", "echo"}
    assert not left, left


@case("a client of a Unix socket gets its bytes back, all and in order")
def echo():
    data = os.urandom(1 << 20)
    with Daemon() as daemon:
        path = serve(daemon)
        assert daemon.addresses == {"echo": [f"unix:{path}"]}, daemon.output
        with connect(f"unix:{path}") as client:
            for _ in range(64):
                assert asks(client, data[:16384]) == data[:16384]
        assert exchange(f"unix:{path}") == b""
        daemon.expect("session end: echo unix .* client closed, 1048576 bytes in, 1048576 bytes")


@case("200 clients at once on a Unix socket are all answered")
def crowd():
    with Daemon() as daemon:
        path = serve(daemon)
        with Load("crowd", f"unix:{path}", 200) as load:
            result = load.finish()
        assert result.answered == 200 and not result.lost, result


@case("socket_mode is the file's mode, whatever the umask")
def mode():
    for mask in (0, 0o022, 0o077, 0o777):
        for keys, wanted in (({}, 0o666), ({"socket_mode": "0600"}, 0o600)):
            with Daemon() as daemon:
                daemon.configure({"echo": dict({"listen": f"unix:{daemon.path('echo')}"}, **keys)})
                daemon.start(umask=mask)
                found = mode_of(daemon.path("echo"))
                assert found == wanted, (oct(mask), keys, oct(found))


@case("socket_mode decides who may connect")
def mode_counts():
    if not IS_ROOT:
        raise Skip("only root can be two users")
    nobody = pwd.getpwnam(SERVING_USER)
    with Daemon() as daemon:
        path = serve(daemon, socket_mode="0600", socket_user="daemon")
        assert exchange(f"unix:{path}", b"root may") == b"root may"

        def try_as(name):
            child = os.fork()
            if child == 0:
                try:
                    os.setuid(pwd.getpwnam(name).pw_uid)
                    os._exit(exchange(f"unix:{path}", b"x") != b"x")
                except PermissionError:
                    os._exit(77)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        assert try_as("daemon") == 0
        assert try_as(nobody.pw_name) == 77


@case("socket_user and socket_group own the file")
def owner():
    if not IS_ROOT:
        raise Skip("only root can give a file away")
    user = next(user for user in pwd.getpwall() if user.pw_uid)
    group = next(group for group in grp.getgrall() if group.gr_gid not in (0, user.pw_gid))
    for keys, wanted in (
        ({}, (0, 0)),
        ({"socket_user": user.pw_name}, (user.pw_uid, 0)),
        ({"socket_group": group.gr_name}, (0, group.gr_gid)),
        (dict(socket_user=user.pw_name, socket_group=group.gr_name), (user.pw_uid, group.gr_gid)),
    ):
        with Daemon() as daemon:
            file = os.lstat(serve(daemon, **keys))
            assert (file.st_uid, file.st_gid) == wanted, (keys, file)


@case("without the right to give the file away, the start fails and leaves none")
def owner_is_denied():
    with Daemon() as daemon:
        other = next(user.pw_name for user in pwd.getpwall() if user.pw_uid not in (0, os.getuid()))
        keys = {"listen": f"unix:{daemon.path('echo')}", "socket_user": "no-such-user"}
        daemon.configure({"echo": keys})
        expect_refused_start(daemon, 78, "socket_user no-such-user: there is no such user")
        if not IS_ROOT:
            daemon.configure({"echo": dict(keys, socket_user=other)})
            expect_refused_start(daemon, 77, daemon.path("echo"), "only root may give it")
        assert not os.path.exists(daemon.path("echo"))


@covers("F45")
@case("a stale socket is replaced")
def stale():
    with Daemon() as daemon:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(daemon.path("echo"))
            dead.listen()
        path = serve(daemon)
        assert exchange(f"unix:{path}", b"hello") == b"hello"


@case("after a daemon that was killed, the next one serves on the same path")
def after_a_kill():
    with Daemon() as daemon:
        path = serve(daemon)
        daemon.kill(daemon.pid, signal.SIGKILL)
        assert daemon.wait_end() == -signal.SIGKILL

        def is_alone():
            reap_orphans()
            return not daemon_processes()

        wait_until("its listener follows", is_alone)
        assert os.path.exists(path)
        daemon.start()
        assert exchange(f"unix:{path}", b"hello") == b"hello"


@covers("F45")
@case("a socket on which somebody listens is refused and left alone: status 71")
def live():
    with Daemon() as daemon, socket.socket(socket.AF_UNIX) as other:
        path = daemon.path("echo")
        other.bind(path)
        before = state_of(path)
        for queue in (8, 0):  # the second one is full at the second attempt, and lives all the same
            other.listen(queue)
            for _ in range(3):
                daemon.configure({"echo": {"listen": f"unix:{path}"}})
                expect_refused_start(daemon, 71, f"unix:{path}", "another program has it")
        assert state_of(path) == before


@covers("F45")
@case("what is no socket is refused and left alone, whatever it is")
def other_files():
    for make in (
        lambda path: open(path, "w", encoding="ascii").close(),
        lambda path: os.symlink("/etc/hostname", path),
        lambda path: os.symlink("nowhere", path),
        os.mkdir,
        os.mkfifo,
    ):
        with Daemon() as daemon:
            path = daemon.path("echo")
            make(path)
            before = state_of(path)
            daemon.configure({"echo": {"listen": f"unix:{path}"}})
            expect_refused_start(daemon, 71, f"unix:{path}", "not a socket, and is left alone")
            assert state_of(path) == before


@covers("F45")
@case("a symbolic link to a stale socket is left alone too")
def link_to_socket():
    with Daemon() as daemon:
        path = daemon.path("echo")
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(daemon.path("control"))
        os.symlink("control", path)
        daemon.configure({"echo": {"listen": f"unix:{path}"}}, {"control_socket": ""})
        done = forkechod("-F", "-c", daemon.file)
        assert done.returncode == 71 and "not a socket, and is left alone" in done.stderr, done
        assert os.readlink(path) == "control" and stat.S_ISSOCK(os.stat(path).st_mode)


@case("a directory that does not exist is told, with the path: status 71")
def no_directory():
    with Daemon() as daemon:
        path = daemon.path("missing/echo")
        daemon.configure({"echo": {"listen": f"unix:{path}"}})
        expect_refused_start(daemon, 71, f"unix:{path}", "its directory has to exist")


@case("the file is removed when the daemon stops")
def removed_on_stop():
    with Daemon() as daemon:
        path = serve(daemon)
        daemon.stop()
        assert os.listdir(daemon.directory) == ["forkechod.conf"], os.listdir(daemon.directory)


@case("a file that somebody else put in its place stays when the daemon stops")
def replaced_file_stays():
    with Daemon() as daemon:
        path = serve(daemon)
        os.unlink(path)
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(path)
            before = state_of(path)
            daemon.stop()
            assert state_of(path) == before


@case("a reload that drops the address removes the file, and clients keep their sessions")
def removed_at_reload():
    with Daemon() as daemon:
        path, other = serve(daemon), daemon.path("other")
        with connect(f"unix:{path}") as client:
            assert asks(client, b"before") == b"before"
            daemon.configure({"echo": {"listen": f"unix:{other}"}})
            daemon.reload()
            wait_until("the file goes", lambda: not os.path.lexists(path))
            assert exchange(f"unix:{other}", b"hello") == b"hello"
            assert asks(client, b"after") == b"after"


@case("a reload keeps the socket that stays, with those who wait in it")
def kept_at_reload():
    with Daemon() as daemon:
        daemon.announce("throttled begin: echo: instances")
        path = serve(daemon, instances=1)
        before = state_of(path)
        with connect(f"unix:{path}") as client, connect(f"unix:{path}") as waiting:
            assert asks(client, b"first") == b"first"
            waiting.sendall(b"second")
            daemon.configure({"echo": {"listen": f"unix:{path}", "instances": 2}})
            daemon.reload()
            assert waiting.recv(6) == b"second"
            assert asks(client, b"still") == b"still"
        assert state_of(path) == before


@case("a file that somebody deletes is made again by a reload; who is connected or waits is served")
def deleted():
    with Daemon() as daemon:
        path = serve(daemon)
        with connect(f"unix:{path}") as client:
            assert asks(client, b"before") == b"before"
            daemon.kill(daemon.listener(), signal.SIGSTOP)
            with connect(f"unix:{path}") as waiting:
                old = daemon.listener()
                os.unlink(path)
                daemon.mark()
                daemon.reload()
                daemon.expect(f"socket opened: echo unix:{path}")
                assert exchange(f"unix:{path}", b"after") == b"after"
                daemon.kill(old, signal.SIGCONT)
                assert asks(waiting, b"in between") == b"in between"
                assert asks(client, b"still here") == b"still here"
        daemon.expect(f"socket closed: echo unix:{path}")
        daemon.reload()
        assert len(daemon.said("socket opened")) == 1, daemon.said("socket")
        daemon.check()
    assert not os.path.exists(path)


@case("a reload gives the socket that stays its new mode and owner")
def changed_at_reload():
    with Daemon() as daemon:
        path = serve(daemon)
        before = os.lstat(path).st_ino
        daemon.configure({"echo": {"listen": f"unix:{path}", "socket_mode": "0640"}})
        daemon.reload()
        assert mode_of(path) == 0o640 and os.lstat(path).st_ino == before
        if IS_ROOT:
            user = pwd.getpwnam(SERVING_USER)
            keys = {"listen": f"unix:{path}", "socket_mode": "0640", "socket_user": user.pw_name}
            daemon.configure({"echo": keys})
            daemon.reload()
            assert os.lstat(path).st_uid == user.pw_uid
        assert exchange(f"unix:{path}", b"hello") == b"hello"


@case("an abstract name leaves no file, and is free again after the stop")
def abstract():
    where = f"unix:@forkechod-test-{os.getpid()}"
    for _ in range(2):
        with Daemon() as daemon:
            daemon.configure({"echo": {"listen": where}})
            daemon.start()
            assert daemon.addresses == {"echo": [where]}, daemon.output
            assert exchange(where, b"hello") == b"hello"
            assert not [name for name in os.listdir(daemon.directory) if "test" in name]
    assert is_refused(where)


@case("an abstract name that is taken is told by its name: status 71")
def abstract_is_taken():
    name = f"forkechod-test-{os.getpid()}"
    with Daemon() as daemon, socket.socket(socket.AF_UNIX) as other:
        other.bind("\0" + name)
        daemon.configure({"echo": {"listen": f"unix:@{name}"}})
        expect_refused_start(daemon, 71, f"unix:@{name}", "another program has it")


@case("a service may listen at several places, of every kind")
def several():
    with Daemon() as daemon:
        port, name = free_port(), f"@forkechod-test-{os.getpid()}"
        places = [f"unix:{daemon.path('echo')}", f"unix:{daemon.path('echo-2')}", f"unix:{name}"]
        places += [f"127.0.0.1:{port}", f"[::1]:{port}"]
        daemon.configure({"echo": {"listen": ", ".join(places)}})
        daemon.start()
        assert daemon.addresses == {"echo": places}, daemon.output
        for place in places:
            assert exchange(place, place.encode()) == place.encode()


@case("a path may be as long as the kernel allows, and no longer")
def long_path():
    with Daemon() as daemon:
        for length, status in ((107, 0), (108, 78)):
            path = daemon.path("e" * (length - len(daemon.path(""))))
            assert len(path) == length
            daemon.configure({"echo": {"listen": f"unix:{path}"}})
            if status == 0:
                daemon.start()
                assert exchange(f"unix:{path}", b"hello") == b"hello"
                daemon.stop()
            else:
                expect_refused_start(daemon, status, "107")


if __name__ == "__main__":
    run()
