"""The command line of forkechod(8), as it is typed."""

import os
import re
import signal
import subprocess

from clients import asks, connect, exchange, is_refused
from harness import IS_ROOT, SERVING_USER, Daemon, forkechod, free_port
from processes import daemon_processes, wait_until
from programs import FORKECHOD, SOURCE
from tap import case, run, scaled

USER = ["-o", f"daemon.user={SERVING_USER}"] if IS_ROOT else []


def end_all():
    """Stops a daemon that has detached and has no pid file."""
    (master,) = [p for p in daemon_processes() if p.title.startswith("forkechod: master")]
    os.kill(master.pid, signal.SIGTERM)
    os.waitpid(master.pid, 0)
    wait_until("every process has ended", lambda: not daemon_processes())


@case("--help names every way to call it, every option and every handler; status 0")
def shows_help():
    done = forkechod("--help")
    assert done.returncode == 0 and not done.stderr, done
    assert done.stdout.startswith("usage: forkechod"), done.stdout
    for word in ("--listen", "--handler", "-1,", "-T,", "echo", "chargen", "forkechod.conf(5)"):
        assert word in done.stdout, word


@case("--version tells name and version")
def shows_version():
    done = forkechod("--version")
    assert done.returncode == 0 and re.fullmatch(r"forkechod \d+\.\d+\.\d+\n", done.stdout), done


@case("a wrong command line is status 64 and says what is wrong with it")
def wrong_usage():
    for words, text in (
        (["--nonsense"], "--nonsense"),
        (["-c"], "'c'"),
        (["extra"], "extra"),
        (["--handler", "echo"], "--listen or -i"),
        (["-i", "--listen", "127.0.0.1:0"], "-i"),
        (["--listen", "127.0.0.1:0", "-c", "/x"], "-c"),
    ):
        done = forkechod(*words)
        assert done.returncode == 64 and text in done.stderr and not done.stdout, (words, done)
        assert all(re.match(r"(\S*/)?forkechod: ", line) for line in done.stderr.splitlines()), done


@case("--listen ADDRESS without a file detaches and serves echo, and leaves no file")
def listen_alone():
    port = free_port()
    done = forkechod("--listen", f"127.0.0.1:{port}", *USER)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done
    assert exchange(port, b"hello") == b"hello"
    end_all()
    assert is_refused(port)


@case("--listen with --handler and -1 serves that handler and prints where")
def listen_handler():
    done = forkechod("-1", "--listen", "127.0.0.1:0", "--handler", "upper", *USER)
    assert done.returncode == 0, done
    name, address = done.stdout.split()
    assert name == "upper", done.stdout
    assert exchange(address, b"hello") == b"HELLO"
    end_all()


@case("a daemon that has detached is nobody's: no terminal, / as directory, /dev/null as 0, 1 and 2")
def detached():
    with Daemon() as daemon:
        daemon.configure({"echo": {"listen": "127.0.0.1:0"}}, daemon={"log_type": "syslog"})
        daemon.detach()
        if IS_ROOT:  # nobody else may look there
            assert os.readlink(f"/proc/{daemon.pid}/cwd") == "/"
            for number in range(3):
                assert os.readlink(f"/proc/{daemon.pid}/fd/{number}") == "/dev/null"
        with open(f"/proc/{daemon.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        session, terminal = int(fields[3]), int(fields[4])
        assert session not in (os.getsid(0), daemon.pid), "it could get a terminal"
        assert terminal == 0
        with open(f"/proc/{daemon.pid}/status", encoding="ascii") as file:
            assert re.search(r"^Umask:\t0000$", file.read(), re.M)


@case("-F stays in the foreground and logs to standard error")
def foreground():
    with Daemon() as daemon:
        daemon.configure({"echo": {"listen": "127.0.0.1:0"}}, daemon={"log_type": "auto"})
        daemon.start()
        daemon.expect("forkechod: notice: start: ")
        assert daemon.command.poll() is None


@case("-1 prints a line for each address, with the port that the kernel chose")
def prints_addresses():
    with Daemon() as daemon:
        daemon.configure({"a": {"listen": "127.0.0.1:0 127.0.0.2:0"}, "b": {"listen": "[::1]:0"}})
        daemon.start()
        assert [line.split()[0] for line in daemon.output.splitlines()] == ["a", "a", "b"]
        assert not re.search(r":0$", daemon.output, re.M), daemon.output


@case("a file that is named from the working directory is found again at a reload")
def relative_file():
    with Daemon() as daemon:
        daemon.configure({"echo": {"listen": "127.0.0.1:0"}})
        daemon.command = subprocess.Popen(
            [FORKECHOD, "-c", "forkechod.conf", "-F", "-1"],
            cwd=daemon.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        daemon.pid = daemon.command.pid
        assert daemon.command.stdout.readline().startswith(b"echo ")
        status, text = daemon.control("reload")
        assert status == 0, text
        os.kill(daemon.pid, signal.SIGTERM)
        assert daemon.command.wait(scaled(60)) == 0
        daemon.command.stdout.close()
        daemon.command = daemon.pid = None


@case("-o sets single keys over the file, and the last one wins")
def overrides():
    with Daemon() as daemon:
        daemon.configure({"echo": {"listen": "127.0.0.1:0", "handler": "echo"}})
        daemon.start("-o", "echo.handler=next", "-o", "echo.handler=upper")
        assert exchange(daemon.addresses["echo"][0], b"abc") == b"ABC"
        daemon.reload()
        assert exchange(daemon.addresses["echo"][0], b"abc") == b"ABC"


@case("-t says nothing about a good file, and everything about a bad one")
def checks():
    with Daemon() as daemon:
        daemon.configure({"echo": {"listen": "127.0.0.1:0"}})
        done = forkechod("-t", "-c", daemon.file)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done
        daemon.configure({"echo": {"listen": "nowhere", "instances": "many"}})
        done = forkechod("-t", "-c", daemon.file)
        assert done.returncode == 78 and len(done.stderr.splitlines()) == 2, done
        assert not os.path.exists(daemon.path("pid"))


@case("the dump of -T, read again, dumps the same, for every example there is")
def dumps():
    def dump(path):
        done = forkechod("-T", "-c", path)
        assert done.returncode == 0, done
        return "".join(l for l in done.stdout.splitlines(True) if not l.startswith("#"))

    with Daemon() as daemon:
        examples = os.path.join(SOURCE, "doc/examples")
        files = [os.path.join(examples, f) for f in os.listdir(examples) if f.endswith(".conf")]
        assert files
        for path in files:
            first = dump(path)
            daemon.write(first)
            assert dump(daemon.file) == first, path


@case("-i serves the one client on descriptor 0, as inetd hands it over, and exits")
def one_client():
    with Daemon() as daemon:
        daemon.configure({"echo": {"listen": "127.0.0.1:0"}})
        done = subprocess.run([FORKECHOD, "-i", "--handler", "upper"], input=b"hello", capture_output=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"HELLO", b""), done


@case("SIGUSR1 logs the state of every service")
def logs_state():
    with Daemon() as daemon:
        daemon.configure({"a": {"listen": "127.0.0.1:0"}, "b": {"listen": "127.0.0.1:0"}})
        daemon.start()
        with connect(daemon.addresses["a"][0]) as client:
            asks(client, b"hello")
            daemon.kill(daemon.pid, signal.SIGUSR1)
            daemon.expect("state: a: 1/256 sessions, 1 accepted, 0 refused")
            daemon.expect("state: b: 0/256 sessions, 0 accepted")


@case("log_level changes at a reload, and debug tells the start of sessions")
def log_level():
    with Daemon() as daemon:
        services = {"echo": {"listen": f"127.0.0.1:{free_port()}"}}
        daemon.configure(services)
        daemon.start()
        address = daemon.addresses["echo"][0]
        exchange(address, b"hello")
        daemon.expect("session end: echo")
        assert not daemon.said("session start")
        daemon.configure(services, daemon={"log_level": "debug"})
        daemon.reload()
        exchange(address, b"hello")
        daemon.expect("session start: echo")
        daemon.configure(services, daemon={"log_level": "warning"})
        daemon.reload()
        daemon.mark()
        exchange(address, b"hello")
        daemon.wait_sessions(0)
        assert not daemon.said("session")


if __name__ == "__main__":
    run()
