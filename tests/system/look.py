"""forkechoctl's reading commands against the real daemon, and against servers that are none."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

from clients import asks, connect, exchange
from harness import Daemon, free_port
from processes import wait_until
from programs import FORKECHOCTL, WRAPPER
from tap import case, expect_time, run, scaled


def serve(daemon, **services):
    """A daemon with echo on a free port and status on a Unix socket; returns echo's port."""
    port = free_port()
    daemon.status = "unix:" + daemon.path("status")
    daemon.configure(
        {
            "echo": dict({"listen": f"127.0.0.1:{port}"}, **services),
            "status": {"handler": "status", "listen": daemon.status},
        }
    )
    daemon.start()
    return port


def ctl(daemon, *words, env=None):
    """Runs a reading command."""
    address = daemon if isinstance(daemon, str) else daemon.status
    return subprocess.run(
        [*WRAPPER, FORKECHOCTL, words[0], "-S", address, *words[1:]],
        capture_output=True,
        text=True,
        timeout=scaled(60),
        env=env,
    )


def document(daemon):
    return json.loads(ctl(daemon, "status", "--json").stdout)


def sessions(daemon, *words):
    return json.loads(ctl(daemon, "list", "--json", *words).stdout)


def crowd_of(crowd, port, count, bytes_each=5):
    clients = [crowd.enter_context(connect(port)) for _ in range(count)]
    for client in clients:
        assert asks(client, b"x" * bytes_each) == b"x" * bytes_each
    return clients


@case("status: one screen with every service, its sessions and limits; status 0 when all is well")
def one_screen():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, instances=8)
        crowd_of(crowd, port, 3)
        done = ctl(daemon, "status")
        lines = done.stdout.splitlines()
        assert done.returncode == 0 and not done.stderr, done
        assert re.match(rf"forkechod \S+  serving  process {daemon.pid}  up ", lines[0]), lines
        assert any(re.match(r"echo +serving +\[###\.+\] +3/8 ", line) for line in lines), lines
        assert len(lines) <= 24 and max(map(len, lines)) <= 80, lines
        assert "\x1b" not in done.stdout, "no colours in a pipe"


@case("status SERVICE: everything about one, with the reasons for ends and refusals")
def one_service():
    with Daemon() as daemon:
        port = serve(daemon, per_source_rate="1/h 2", over_limit="refuse")
        for _ in range(2):
            assert exchange(port, b"hello") == b"hello"
        with contextlib.suppress(OSError):
            exchange(port, b"hello")
        wait_until(
            "both have ended", lambda: "ended: closed                2" in ctl(daemon, "status", "echo").stdout
        )
        text = ctl(daemon, "status", "echo").stdout
        assert re.search(r"accepted +2,", text) and f"127.0.0.1:{port}" in text, text
        assert re.search(r"refused: per_source_rate +1\n", text), text
        assert re.search(r"bytes +10B in, 10B out", text), text
        missing = ctl(daemon, "status", "nope")
        assert missing.returncode == 2 and '"nope"' in missing.stderr, missing


@case("status is 1 and says why, when a service is paused or the last reload was rejected")
def not_well():
    with Daemon() as daemon:
        serve(daemon)
        assert daemon.control("pause", "echo")[0] == 0
        done = ctl(daemon, "status")
        assert done.returncode == 1 and re.search(r"echo +paused", done.stdout), done
        assert daemon.control("resume", "echo")[0] == 0
        assert ctl(daemon, "status").returncode == 0
        daemon.announce("reload rejected", "configuration error", "mistake")
        with open(daemon.file, "a", encoding="ascii") as file:
            file.write("nonsense = 1\n")
        assert daemon.control("reload")[0] == 1
        wait_until("it is told", lambda: ctl(daemon, "status").returncode == 1)
        assert "The last reload was rejected" in ctl(daemon, "status").stdout


@case("list: a line a session, with the numbers that the client knows; ps agrees")
def listed():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon)
        clients = crowd_of(crowd, port, 5, 1000)

        def rows():
            return [s for s in sessions(daemon) if s["service"] == "echo"]

        # A client may have its answer before that is counted.
        wait_until("all is counted", lambda: all(s["pid"] and s["bytes_out"] == 1000
                                                 and s["state"] == "reading" for s in rows()))
        found = rows()
        assert sorted(s["client"] for s in found) == sorted(
            f"127.0.0.1:{c.getsockname()[1]}" for c in clients
        ), found
        assert sorted(s["pid"] for s in found) == sorted(daemon.sessions("echo")), found
        for session in found:
            assert (session["bytes_in"], session["bytes_out"], session["state"]) == (
                1000,
                1000,
                "reading",
            ), session
        text = ctl(daemon, "list").stdout.splitlines()
        assert text[0].split()[:4] == ["ID", "SERVICE", "CLIENT", "PID"], text[0]
        assert len([line for line in text if " echo " in line]) == 5, text
        assert len(ctl(daemon, "list", "--no-header").stdout.splitlines()) == len(text) - 1


@case("list filters by service and by client: an address, one with its port, a network")
def filtered():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon)
        crowd_of(crowd, port, 2)
        other = crowd.enter_context(connect(port, source="127.0.0.2"))
        assert asks(other, b"x") == b"x"
        where = f"127.0.0.2:{other.getsockname()[1]}"
        wanted = {
            ("--service", "echo"): 3,
            ("--service", "status"): 1,
            ("--client", "127.0.0.2"): 1,
            ("--client", where): 1,
            ("--client", "127.0.0.0/24"): 3,
            ("--client", "192.0.2.1"): 0,
            ("--client", "unix"): 1,
        }
        for words, count in wanted.items():
            # The session of the look before may still be there for a moment.
            wait_until(f"{words}: {count}", lambda w=words, c=count: len(sessions(daemon, *w)) == c)
        wrong = ctl(daemon, "list", "--client", "nobody")
        assert wrong.returncode == 2 and "nobody" in wrong.stderr, wrong
        wrong = ctl(daemon, "list", "--sort", "beauty")
        assert wrong.returncode == 2 and "age idle" in wrong.stderr, wrong


@case("list sorts: the largest number first, texts from A on")
def sorted_list():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon)
        for size in (10, 3000, 200):
            crowd_of(crowd, port, 1, size)
        by_bytes = [s["bytes_in"] for s in sessions(daemon, "--service", "echo", "--sort", "in")]
        assert by_bytes == [3000, 200, 10], by_bytes
        ages = [s["age_s"] for s in sessions(daemon, "--service", "echo", "--sort", "age")]
        assert ages == sorted(ages, reverse=True), ages


@case("what log_address hides, list does not show")
def masked():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = free_port()
        daemon.status = "unix:" + daemon.path("status")
        daemon.configure(
            {
                "echo": {"listen": f"127.0.0.1:{port}"},
                "status": {"handler": "status", "listen": daemon.status},
            },
            daemon={"log_address": "none"},
        )
        daemon.start()
        crowd_of(crowd, port, 1)
        assert {s["client"] for s in sessions(daemon)} == {"-"}, sessions(daemon)


@contextlib.contextmanager
def server(answer, holding=0):
    """Answers everybody on a Unix socket with these bytes."""
    name = f"@forkechod-test-{os.getpid()}-{time.monotonic_ns()}"
    ended = threading.Event()

    def work():
        with contextlib.suppress(OSError):
            while True:
                with listening.accept()[0] as client:
                    client.recv(4096)
                    client.sendall(answer)
                    ended.wait(holding)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("\0" + name[1:])
        listening.listen(8)
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield "unix:" + name
        finally:
            ended.set()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def page(body, status="200 OK", length=None):
    body = body.encode() if isinstance(body, str) else body
    length = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n".encode() + body


@case("what is no status, not whole, or not the daemon's, is status 2 and says so")
def no_status():
    wrong = {
        "not the answer of a status service": b"SSH-2.0-x\r\n",
        "404 Not Found": page("x", "404 Not Found"),
        "is not whole": page("{}", length=100),
        "no JSON": page("{"),
        "no daemon": page("{}"),
        "no right version": page('{"daemon":{"version":1}}'),
    }
    for message, answer in wrong.items():
        with server(answer) as address:
            done = ctl(address, "status")
            assert done.returncode == 2 and message in done.stderr, (message, done)
    done = ctl("unix:/nonexistent", "list")
    assert done.returncode == 2 and "does forkechod run" in done.stderr, done
    done = ctl("nonsense", "list")
    assert done.returncode == 2 and "not an address" in done.stderr, done


@case("a server that does not answer is waited for no longer than --timeout")
def silent_server():
    with server(b"", holding=30) as address:
        begin = time.monotonic()
        done = ctl(address, "status", "-W", "300ms")
        assert done.returncode == 2 and "no answer within 300ms" in done.stderr, done
        expect_time(time.monotonic() - begin, 0.3, scaled(3))


@case("control bytes of a server do not reach the terminal")
def hostile():
    with Daemon() as daemon:
        serve(daemon)
        text = ctl(daemon, "status", "--json").stdout
    wrong = {
        "no right name": text.replace('"name":"echo"', '"name":"e\\u001b[2Jcho"'),
        "no right state": text.replace('"state":"serving"', '"state":"ser\\u0007ving"'),
        "no right name of a member": text.replace('"no_access"', '"\\u009b2J"'),
        "no JSON": text.replace('"name":"echo"', '"name":e\x1b[2Jcho'),
    }
    for message, answer in wrong.items():
        with server(page(answer)) as address:
            for words in (("status",), ("status", "echo"), ("list",)):
                done = ctl(address, *words)
                assert done.returncode == 2 and message in done.stderr, (message, done)
                assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", done.stdout + done.stderr), done


# ---- top ----------------------------------------------------------------------------------------


class Terminal:
    """forkechoctl top on a terminal of 24 lines and 80 columns."""

    def __init__(self, daemon, *words):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="vt100", LC_ALL="C.UTF-8", LINES="", COLUMNS="")
            os.environ.pop("LINES")
            os.environ.pop("COLUMNS")
            time.sleep(0.1)
            os.execv(
                FORKECHOCTL,
                [FORKECHOCTL, "top", "-S", daemon.status, "-s", daemon.path("control"), *words],
            )
        self.resize(24, 80)
        self.text = ""

    def resize(self, lines, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self):
        while select.select([self.fd], [], [], 0)[0]:
            try:
                part = os.read(self.fd, 65536)
            except OSError:
                return
            if not part:
                return
            self.text += part.decode(errors="replace")

    def expect(self, pattern, seconds=60):
        """Waits until it was written since the last expectation."""

        def written():
            self.type("\f")  # all of it is written again
            time.sleep(0.02)
            self.read()
            return re.search(pattern, self.text, re.DOTALL)

        wait_until(f"{pattern!r} on the screen, which has {self.text[-600:]!r}", written, seconds)
        self.text = ""

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def wait(self):
        """Its exit status; what it still writes is read."""
        status = []

        def ended():
            self.read()
            pid, code = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                status.append(os.waitstatus_to_exitcode(code))
            return pid

        wait_until("it has ended", ended)
        os.close(self.fd)
        return status[0]


@case("top: shows the sessions live, sorts, filters, and q ends it")
def live():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon)
        (client,) = crowd_of(crowd, port, 1)
        top = Terminal(daemon, "-i", "200ms")
        top.expect(rf"127\.0\.0\.1:{client.getsockname()[1]}")
        (second,) = crowd_of(crowd, port, 1)
        top.expect(rf"{second.getsockname()[1]}")
        top.type("i")
        top.expect("by in")
        top.type("h")
        top.expect("reverse the order")
        top.type("x/unix\n")
        top.expect("filter unix")
        top.type("q")
        assert top.wait() == 0


@case("top: how many bytes go in and out a second, between two looks; it sorts by that")
def rates():
    blank = r"(?: |\x1b\[[\d;]*[A-Za-z])+"  # what is empty may be jumped over
    speed = r"[1-9][\d.]*[BKMG]"
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon)
        quiet, busy = crowd_of(crowd, port, 2)
        ended = threading.Event()

        def talk():
            while not ended.wait(0.005):
                assert asks(busy, b"x" * 1000) == b"x" * 1000

        talking = threading.Thread(target=talk)
        talking.start()
        try:
            top = Terminal(daemon, "-i", "200ms", "--sort", "in/s", "--service", "echo")
            row = rf"127\.0\.0\.1:{{}}{blank}\w+{blank}\S+{blank}\S+{blank}"
            top.expect(rf"IN/S{blank}OUT/S.*" + row.format(busy.getsockname()[1]) + speed + blank + speed
                       + ".*" + row.format(quiet.getsockname()[1]) + f"0{blank}0")
        finally:
            ended.set()
            talking.join()
        top.expect(row.format(busy.getsockname()[1]) + f"0{blank}0")
        top.type("O")
        top.expect("by out/s")
        top.type("h")
        top.expect("bytes out a second")
        top.type("qq")
        assert top.wait() == 0


@case("top: k ends the chosen session, once it was confirmed, and no other")
def kill_with_a_key():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon)
        first, second = crowd_of(crowd, port, 2)
        top = Terminal(daemon, "-i", "200ms", "--service", "echo", "--sort", "age")
        top.expect(rf"{second.getsockname()[1]}")
        daemon.mark()
        top.type("k")
        top.expect(rf"End session \S+ of 127\.0\.0\.1:{first.getsockname()[1]}\?")
        top.type("n")
        assert asks(first, b"still") == b"still"
        top.type("k")
        top.expect("End session")
        top.type("y")
        daemon.expect(rf"session end: echo 127\.0\.0\.1:{first.getsockname()[1]} .* ended by the operator")
        assert first.recv(10) == b"" and asks(second, b"still") == b"still"
        top.type("q")
        assert top.wait() == 0


@case("top: a daemon that is gone is told, and so is its return; a signal ends it in order")
def gone_and_back():
    with Daemon() as daemon:
        serve(daemon)
        top = Terminal(daemon, "-i", "200ms")
        top.expect("serving")
        daemon.stop()
        top.expect("No answer, trying again")
        daemon.start()
        top.expect("shown, by")
        top.resize(10, 60)
        os.kill(top.pid, signal.SIGWINCH)
        top.expect("ID +SERVICE")
        os.kill(top.pid, signal.SIGTERM)
        assert top.wait() == 128 + signal.SIGTERM


@case("top needs a terminal; --once prints a screen as text")
def once():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon)
        crowd_of(crowd, port, 1)
        done = ctl(daemon, "top")
        assert done.returncode == 2 and "--once" in done.stderr, done
        done = ctl(daemon, "top", "--once")
        assert done.returncode == 0 and " echo " in done.stdout, done


if __name__ == "__main__":
    run()
