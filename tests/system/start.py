"""Starting detached, as an init script does it: it serves when the command returns, or it says why
not and leaves nothing; wherever and however it is called."""

import contextlib
import itertools
import os
import re
import select
import signal
import socket
import stat
import subprocess
import time

from clients import asks, connect, exchange, is_refused
from harness import IS_ROOT, Daemon, forkechod, free_port, ordinary
from processes import (
    NAME,
    daemon_processes,
    descendants,
    reap_orphans,
    status,
    wait_exit,
    wait_until,
)
from programs import FORKECHOD
from tap import Skip, case, covers, expect_time, run, scaled

EX_OSERR, EX_NOPERM, EX_CONFIG = 71, 77, 78
LOCALHOST = {"echo": {"listen": "127.0.0.1:0"}}


def state(daemon):
    """All living processes below this one, and all files of the directory."""
    pids = sorted(process.pid for process in descendants() if process.state != "Z")
    tree = os.walk(daemon.directory)
    files = [os.path.join(top, name) for top, _, names in tree for name in names]
    return pids, sorted(files)


def expect_unchanged(daemon, before):
    def is_unchanged():
        unchanged = state(daemon) == before
        reap_orphans(spare=[daemon.pid])
        return unchanged

    wait_until(f"all is as it was: {before}", is_unchanged)


def wait_processes(daemon, count):
    """Waits until no more of its processes are left than so many, and collects those that ended."""

    def are_left():
        reap_orphans(spare=[daemon.pid])
        return len(daemon_processes()) == count

    wait_until(f"{count} processes", are_left)


def refused(daemon, code, *texts, file=None, options=(), wrapper=(), seconds=1, **popen):
    """The start fails with this status and these texts within a second, and leaves nothing."""
    before, begin = state(daemon), time.monotonic()
    popen.setdefault("seconds", seconds + 30)
    done = forkechod("-c", file or daemon.file, "-1", *options, wrapper=wrapper, **popen)
    took = time.monotonic() - begin
    assert (done.returncode, done.stdout) == (code, ""), done
    lines = done.stderr.splitlines()
    assert lines and all(line.startswith("forkechod: ") for line in lines), done
    assert all(text in done.stderr for text in texts), (texts, done)
    expect_time(took, 0, scaled(seconds))
    expect_unchanged(daemon, before)


def listener_is(path):
    """The environment in which the daemon takes that for its listener program."""
    return {"env": dict(os.environ, FORKECHOD_LISTENER=path)}


def shell(script, *arguments):
    """A wrapper: the script, and then the daemon in its place."""
    return ["sh", "-c", f'{script}; exec "$@"', *(arguments or ["sh"])]


def points_to(daemon, name, target):
    """Whether this link of /proc/PID is the target; who is not root may not look, and believes."""
    try:
        return os.readlink(f"/proc/{daemon.pid}/{name}") == target
    except PermissionError:
        return not IS_ROOT


def expect_serving(daemon):
    for addresses in daemon.addresses.values():
        for address in addresses:
            assert exchange(address, b"hello") == b"hello", address


# ---- starts that fail ----------------------------------------------------------------------------


@covers("F38", "F41")
@case("a port that is taken: the start says which, and takes back what it had already")
def port_taken():
    with Daemon() as daemon, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        where = "%s:%d" % other.getsockname()
        first = {"listen": f"unix:{daemon.path('first')} 127.0.0.1:0"}
        daemon.configure({"first": first, "second": {"listen": where}})
        refused(daemon, EX_OSERR, f"cannot listen on {where}: Address already in use")


@case("a Unix socket that somebody serves is left to him, and so is a file that is none")
def unix_taken():
    with Daemon() as daemon, socket.socket(socket.AF_UNIX) as other:
        path = daemon.path("socket")
        other.bind(path)
        other.listen()
        daemon.configure({"echo": {"listen": f"unix:{path}"}})
        refused(daemon, EX_OSERR, f"cannot listen on unix:{path}: Address already in use")
        os.unlink(path)
        with open(path, "w", encoding="ascii") as file:
            file.write("precious")
        refused(daemon, EX_OSERR, f"cannot listen on unix:{path}: ", "it is not a socket")
        with open(path, encoding="ascii") as file:
            assert file.read() == "precious"


@case("an address that the machine does not have")
def foreign_address():
    with Daemon() as daemon:
        daemon.configure({"echo": {"listen": "192.0.2.1:7777"}})
        refused(daemon, EX_OSERR, "cannot listen on 192.0.2.1:7777: ", "freebind")


@case("a privileged port that one may not have is status 77")
def privileged_port():
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
        if int(file.read()) <= 7:
            raise Skip("every user may have every port here")
    with Daemon() as daemon:
        daemon.configure({"echo": {"listen": "127.0.0.1:7"}})
        texts = "cannot listen on 127.0.0.1:7: Permission denied", "CAP_NET_BIND_SERVICE"
        refused(daemon, EX_NOPERM, *texts, **ordinary(daemon))


@covers("F38")
@case("a bad file: all that is wrong with it is on the terminal, and not a word less")
def bad_file():
    with Daemon() as daemon:
        daemon.configure({"echo": {"listen": "nowhere", "once": "maybe"}})
        refused(daemon, EX_CONFIG, 'echo] listen: not an address "nowhere"', "echo] once: neither")
        refused(daemon, EX_CONFIG, "cannot be opened: No such file", file=daemon.path("missing"))


@case("a directory for the pid file that is missing, or no directory")
def pid_directory_missing():
    with Daemon() as daemon:
        for parent, text in (("none", "its directory has to exist"), ("forkechod.conf", "set pid")):
            path = daemon.path(f"{parent}/pid")
            daemon.configure(LOCALHOST, daemon={"pid_file": path})
            refused(daemon, EX_OSERR, f"cannot take the pid file {path}: ", text)


@case("a directory for the pid file in which one may not write is status 77")
def pid_directory_closed():
    with Daemon() as daemon:
        daemon.configure(LOCALHOST)
        path = daemon.path("pid")
        text = f"cannot take the pid file {path}: Permission denied (its directory has to be writ"
        os.chmod(daemon.directory, 0o555)
        refused(daemon, EX_NOPERM, text, **ordinary())
        os.chmod(daemon.directory, 0o755)


@case("a directory for the pid file on a read-only file system")
def pid_directory_read_only():
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0:
        raise Skip("mounting takes root")
    with Daemon() as daemon:
        os.mkdir(daemon.path("run"))
        daemon.configure(LOCALHOST, daemon={"pid_file": daemon.path("run/pid")})
        mount = shell('mount -t tmpfs -o ro none "$0"', daemon.path("run"))
        text = "cannot take the pid file {}: Read-only file system".format(daemon.path("run/pid"))
        refused(daemon, EX_OSERR, text, wrapper=["unshare", "--mount", *mount])


@case("a user whom nobody knows, or who is not the one who starts it, is status 78")
def unknown_user():
    with Daemon() as daemon:
        daemon.configure(LOCALHOST, daemon={"user": "nosuchuser"})
        reason = "there is no such user" if IS_ROOT else "only root can serve as another user"
        refused(daemon, EX_CONFIG, f"user nosuchuser: {reason}")
        refused(daemon, EX_CONFIG, "only root can serve as", **ordinary(daemon))
        if IS_ROOT:
            daemon.configure(LOCALHOST, daemon={"user": "root"})
            refused(daemon, EX_CONFIG, "user root: clients are not served as root")


@case("a board that there is no memory for is told with the key that makes it smaller")
def board_too_large():
    with Daemon() as daemon:
        # As much as a small one takes, and some more: sanitizers reserve terabytes.
        daemon.configure(LOCALHOST, daemon={"max_sessions": 1})
        daemon.detach()
        enough = int(status(daemon.pid)["VmPeak"].split()[0]) * 1024 + (32 << 20)
        daemon.stop()
        wrapper = ["prlimit", f"--as={enough}"]
        daemon.detach(wrapper=wrapper)
        daemon.stop()
        daemon.configure(LOCALHOST, daemon={"max_sessions": 1000000})
        text = "cannot map the board for 1000000 sessions (lower max_sessions): Cannot allocate mem"
        refused(daemon, EX_OSERR, text, wrapper=wrapper)


@case("a listener program that is not there, cannot be executed, or is none")
def listener_missing():
    with Daemon() as daemon:
        daemon.configure(LOCALHOST)
        missing = daemon.path("none/listener")
        text = f"cannot open the listener program {missing}: No such file or directory"
        refused(daemon, EX_OSERR, text, **listener_is(missing))
        for mode, text in ((0o644, "Permission denied"), (0o755, "Exec format error")):
            with open(daemon.path("listener"), "w", encoding="ascii") as file:
                file.write("none")
            os.chmod(file.name, mode)
            texts = "service echo", f"cannot execute the listener: {text}"
            refused(daemon, EX_OSERR, *texts, **listener_is(file.name))


@case("a listener that dies at once ends the start, and how it died is told")
def listener_dies():
    with Daemon() as daemon:
        daemon.configure(LOCALHOST)
        for program in ("/bin/true", "/bin/false"):
            refused(daemon, EX_OSERR, "service echo: ", "listener", **listener_is(program))


@case("a control socket that cannot be made undoes the pid file that was there already")
def control_socket_fails():
    with Daemon() as daemon:
        for path in (daemon.path("none/control"), daemon.file):
            daemon.configure(LOCALHOST, daemon={"control_socket": path})
            refused(daemon, EX_OSERR, f"cannot listen on unix:{path}: ")


# ---- more than one -------------------------------------------------------------------------------


@case("a second start with the same pid file names the process that runs, and does it no harm")
def second_start():
    with Daemon() as daemon:
        daemon.configure(LOCALHOST)
        daemon.detach()
        text = f"another forkechod runs: process {daemon.pid} holds {daemon.path('pid')}"
        for options in ((), ("-F",)):
            refused(daemon, EX_OSERR, text, options=options)
        assert daemon.written_pid() == daemon.pid
        expect_serving(daemon)


@covers("F40")
@case("of twenty starts at the same moment exactly one wins, and the others say so")
def twenty_starts():
    with Daemon() as daemon:
        daemon.configure(LOCALHOST)
        command = [FORKECHOD, "-c", daemon.file, "-1"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started = [subprocess.Popen(command, **pipes) for _ in range(20)]
        ended = [(one.communicate(timeout=scaled(60)), one.returncode) for one in started]
        winners = [output for (output, _), code in ended if code == 0]
        assert len(winners) == 1, ended
        daemon.output, daemon.pid = winners[0], daemon.written_pid()
        text = rf"another forkechod runs: process ({daemon.pid}|unknown) holds "
        for (_, errors), code in ended:
            assert code == 0 or (code == EX_OSERR and re.search(text, errors)), (code, errors)
        wait_processes(daemon, 2)
        expect_serving(daemon)


@covers("F40")
@case("a pid file that somebody left does not matter, whatever is in it and whoever has the number")
def stale_pid_file():
    with Daemon() as daemon, contextlib.ExitStack() as at_the_end:
        stranger = at_the_end.enter_context(subprocess.Popen(["sleep", "60"]))
        at_the_end.callback(stranger.kill)
        daemon.configure(LOCALHOST)
        for text in ("999999999\n", f"{stranger.pid}\n", "", "garbage\n", "1\n" * 5000):
            with open(daemon.path("pid"), "w", encoding="ascii") as file:
                file.write(text)
            os.chmod(file.name, 0o600)
            daemon.detach()
            assert daemon.pid in [process.pid for process in daemon.processes()]
            with open(file.name, encoding="ascii") as file:
                assert file.read() == f"{daemon.pid}\n"
                assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == 0o644
            expect_serving(daemon)
            daemon.stop()
        assert stranger.poll() is None, "the stranger was hurt"


@covers("F40")
@case("a pid file that is a link, a directory or a FIFO is refused, and its target untouched")
def odd_pid_file():
    with Daemon() as daemon:
        daemon.configure(LOCALHOST)
        path, victim = daemon.path("pid"), daemon.path("victim")
        with open(victim, "w", encoding="ascii") as file:
            file.write("precious")
        for make, text in (
            (lambda: os.symlink(victim, path), "it is a symbolic link, which is not followed"),
            (lambda: os.symlink(daemon.path("none"), path), "it is a symbolic link"),
            (lambda: os.link(victim, path), "it is not a regular file with one name"),
            (lambda: os.mkfifo(path), "it is not a regular file with one name"),
        ):
            make()
            refused(daemon, EX_OSERR, f"cannot take the pid file {path}: ", text)
            os.unlink(path)
        os.mkdir(path)
        refused(daemon, EX_OSERR, f"cannot take the pid file {path}: ", "it is not a regular file")
        os.rmdir(path)
        with open(victim, encoding="ascii") as file:
            assert file.read() == "precious"


def is_free(port):
    try:
        return is_refused(port)
    except ConnectionResetError:  # we were in its queue when it was closed
        return False


@covers("F40")
@case("after the master was killed a new one starts at once, while an old session goes on")
def after_a_kill():
    with Daemon() as daemon:
        port = free_port()
        listen = f"127.0.0.1:{port} unix:{daemon.path('socket')}"
        daemon.configure({"echo": {"listen": listen}}, daemon={"graceful_timeout": "100s"})
        daemon.detach()
        with connect(port) as client:
            assert asks(client, b"before") == b"before"
            daemon.kill(daemon.pid)
            os.waitpid(daemon.pid, 0)
            wait_until("the port is free", lambda: is_free(port))
            daemon.detach()
            expect_serving(daemon)
            assert asks(client, b"after") == b"after"
        wait_processes(daemon, 2)


# ---- odd places to start from --------------------------------------------------------------------


@covers("F44")
@case("any of the descriptors 0 to 2 may be closed")
def closed_descriptors():
    with Daemon() as daemon:
        for closed in itertools.product((False, True), repeat=3):
            redirect = " ".join(f"{n}>&-" for n, is_closed in enumerate(closed) if is_closed)
            wrapper = shell(f"exec {redirect}")
            daemon.configure(LOCALHOST)
            daemon.detach(wrapper=wrapper)
            assert bool(daemon.output) != closed[1], closed
            assert all(points_to(daemon, f"fd/{n}", "/dev/null") for n in range(3)), closed
            daemon.stop()
            daemon.configure({"echo": {"listen": "nowhere"}})
            done = forkechod("-c", daemon.file, wrapper=wrapper)
            assert (done.returncode, done.stdout) == (EX_CONFIG, ""), (closed, done)
            assert ("nowhere" in done.stderr) != closed[2], (closed, done)
            wait_processes(daemon, 0)


@covers("F44")
@case("whatever else the caller has open is not kept open by the daemon")
def inherited_descriptors():
    with Daemon() as daemon:
        daemon.configure(LOCALHOST)
        read_end, write_end = os.pipe()
        daemon.detach(pass_fds=[write_end])
        os.close(write_end)
        assert select.select([read_end], [], [], scaled(10))[0], "it holds a caller's pipe"
        assert os.read(read_end, 1) == b""
        os.close(read_end)


def expect_signals_work(daemon, preexec):
    """Children are reaped, HUP reloads, TERM ends it (the last two at the end of the block too)."""
    port = free_port()
    where = {"listen": f"127.0.0.1:{port}"}
    daemon.configure({"echo": where})
    daemon.detach(preexec_fn=preexec)
    expect_serving(daemon)
    daemon.expect_no_zombie()
    daemon.configure({"echo": dict(where, handler="upper")})
    daemon.kill(daemon.pid, signal.SIGHUP)
    wait_until("it has reloaded", lambda: exchange(port, b"hello") == b"HELLO")
    wait_processes(daemon, 2)  # the old listener has gone
    daemon.kill(daemon.listener(), signal.SIGKILL)
    wait_until("the listener was replaced", lambda: exchange(port, b"hello") == b"HELLO")


@covers("F15", "F44")
@case("SIGCHLD, SIGHUP and SIGTERM may be ignored by the caller")
def ignored_signals():
    def ignore():
        for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)

    with Daemon() as daemon:
        expect_signals_work(daemon, ignore)


@covers("F19", "F44")
@case("all signals may be blocked by the caller")
def blocked_signals():
    def block():
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

    with Daemon() as daemon:
        expect_signals_work(daemon, block)


@covers("F43")
@case("the caller's umask changes no mode of a file")
def umasks():
    with Daemon() as daemon:
        listen = f"unix:{daemon.path('private')}", f"unix:{daemon.path('public')}"
        services = {
            "private": {"listen": listen[0], "socket_mode": "0640"},
            "public": {"listen": listen[1]},
        }
        wanted = {"pid": 0o644, "control": 0o600, "private": 0o640, "public": 0o666}
        daemon.configure(services)
        for umask in ("0777", "0077", "000"):
            daemon.detach(wrapper=shell(f"umask {umask}"))
            found = {n: stat.S_IMODE(os.lstat(daemon.path(n)).st_mode) for n in wanted}
            assert found == wanted, (umask, found)
            assert status(daemon.pid)["Umask"] == "0000"
            expect_serving(daemon)
            daemon.stop()


@covers("F44")
@case("the working directory may have been removed; only a file named from there cannot be found")
def removed_directory():
    with Daemon() as daemon:
        daemon.configure(LOCALHOST)
        wrapper = shell('mkdir "$0" && cd "$0" && rmdir "$0"', daemon.path("gone"))
        refused(daemon, EX_OSERR, "the working directory: No such", file="x.conf", wrapper=wrapper)
        daemon.detach(wrapper=wrapper)
        assert points_to(daemon, "cwd", "/")
        expect_serving(daemon)


@covers("F22", "F44")
@case("too few descriptors are told, whichever is the one that is missing")
def too_few_descriptors():
    with Daemon() as daemon:
        daemon.configure(LOCALHOST)
        for count in itertools.count(4):
            before = state(daemon)
            done = forkechod("-c", daemon.file, "-1", wrapper=["prlimit", f"--nofile={count}"])
            if done.returncode == 0:
                daemon.pid, daemon.output = daemon.written_pid(), done.stdout
                break
            if "error while loading shared libraries" in done.stderr:
                continue
            assert done.returncode in (EX_OSERR, EX_CONFIG) and not done.stdout, (count, done)
            assert re.match("forkechod: .*(open files|descriptors)", done.stderr), (count, done)
            expect_unchanged(daemon, before)
        assert 16 <= count <= 24, count
        expect_serving(daemon)


@covers("F11")
@case("24 descriptors are enough to serve one service, and to reload it")
def few_descriptors():
    with Daemon() as daemon:
        port = free_port()
        daemon.configure({"echo": {"listen": f"127.0.0.1:{port}"}})
        daemon.detach(wrapper=["prlimit", "--nofile=24"])
        expect_serving(daemon)
        daemon.configure({"echo": {"listen": f"127.0.0.1:{port}", "handler": "upper"}})
        daemon.reload()
        assert exchange(port, b"hello") == b"HELLO"


@covers("F44")
@case("an empty environment is enough")
def empty_environment():
    with Daemon() as daemon:
        daemon.configure(LOCALHOST)
        listener = os.environ["FORKECHOD_LISTENER"]
        daemon.detach(env={"FORKECHOD_LISTENER": listener})
        expect_serving(daemon)


# ---- when the command returns --------------------------------------------------------------------


@covers("F38")
@case("the command returns 0 only when every port answers, and -1 says where")
def returns_when_it_serves():
    with Daemon() as daemon:
        path = daemon.path("socket")
        listen = {"a": "127.0.0.1:0 [::1]:0", "b": f"unix:{path}", "c": "127.0.0.2:0"}
        daemon.configure({name: {"listen": where} for name, where in listen.items()})
        for _ in range(5):
            daemon.detach()
            expect_serving(daemon)
            assert [len(daemon.addresses[name]) for name in "abc"] == [2, 1, 1], daemon.output
            assert daemon.addresses["b"] == [f"unix:{path}"]
            assert len(daemon.output.splitlines()) == 4, daemon.output
            daemon.stop()


def begin(daemon, **popen):
    """The command as it is typed: Ctrl-C goes to all of its process group."""
    return subprocess.Popen(
        [FORKECHOD, "-c", daemon.file],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **popen,
    )


def begin_endless(daemon):
    """A start whose listener never gets ready: sleep(1) takes its arguments for seconds. Returns
    the command and that listener."""
    command = begin(daemon, **listener_is("/bin/sleep"))
    (listener,) = wait_until(
        "the listener is there",
        lambda: [process for process in descendants(command.pid) if process.comm != NAME],
    )
    return command, listener


@case("Ctrl-C, or a closed terminal, during the start ends it and leaves nothing")
def interrupted():
    with Daemon() as daemon:
        daemon.configure(LOCALHOST)
        before = state(daemon)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            command, _ = begin_endless(daemon)
            with command:
                os.killpg(command.pid, number)
                assert wait_exit(command.pid, 30), "it waits on"
                _, errors = command.communicate()
            assert command.returncode == 128 + number, command.returncode
            assert f"stopped by signal {number:d} (" in errors, errors
            expect_unchanged(daemon, before)


@case("Ctrl-C at any moment of a start: either it serves and the status is 0, or nothing is left")
def interrupted_anywhere():
    with Daemon() as daemon:
        daemon.configure(LOCALHOST)
        before = state(daemon)
        for turn in range(25):
            with begin(daemon) as command:
                time.sleep(turn * scaled(0.0015))
                os.killpg(command.pid, signal.SIGINT)
                assert wait_exit(command.pid, 30), "it waits on"
                command.communicate()
            if command.returncode == 0:
                os.kill(daemon.written_pid(), signal.SIGTERM)
            else:
                assert command.returncode in (128 + signal.SIGINT, -signal.SIGINT), command
            expect_unchanged(daemon, before)


@covers("F38")
@case("a daemon that dies during its start is told, with the signal")
def dies_during_the_start():
    with Daemon() as daemon:
        daemon.configure(LOCALHOST)
        command, listener = begin_endless(daemon)
        with command:
            os.kill(listener.ppid, signal.SIGKILL)
            os.kill(listener.pid, signal.SIGKILL)  # a real one sees it, and ends by itself
            _, errors = command.communicate(timeout=scaled(60))
        assert command.returncode == EX_OSERR, command.returncode
        assert errors == "forkechod: the daemon died of signal 9 (Killed) before it was ready\n"


@covers("F38")
@case("a listener that does not get ready is given up after ten seconds")
def never_ready():
    with Daemon() as daemon:
        daemon.configure(LOCALHOST)
        text = "service echo: its listener is not ready after 10 s"
        refused(daemon, EX_OSERR, text, seconds=12, **listener_is("/bin/sleep"))


if __name__ == "__main__":
    run()
