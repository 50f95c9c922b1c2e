"""forkecho against small servers of this file's own, good ones and bad ones."""

import contextlib
import os
import pty
import re
import select
import signal
import socket
import subprocess
import tempfile
import threading
import time

from programs import FORKECHO, WRAPPER
from tap import Skip, case, expect_time, run, scaled

ENVIRONMENT = dict(os.environ, LC_ALL="C.UTF-8", TERM="xterm", HOME="/nonexistent")


# ---- servers: each is what happens to one connection ------------------------------------------


def chunks(client):
    while data := client.recv(65536):
        yield data


def echo(client):
    for data in chunks(client):
        client.sendall(data)


def upper(client):
    for data in chunks(client):
        client.sendall(data.upper())


def mute(client):
    for _ in chunks(client):
        pass


def closer(client):
    client.recv(65536)


def once(client):
    client.sendall(client.recv(65536))


def by_segments(client):
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for data in chunks(client):
        for byte in data:
            client.sendall(bytes([byte]))
            time.sleep(0.001)


def patiently(client):
    """Answers only when everything has come."""
    client.sendall(b"".join(chunks(client)))


def never_closing(client):
    client.sendall(client.recv(65536))
    time.sleep(60)


class Messages:
    """A server that treats the message of a given number, over all connections, in its own way."""

    def __init__(self, number, treat):
        self.number, self.treat, self.seen, self.connections = number, treat, 0, 0

    def __call__(self, client):
        self.connections += 1
        for data in chunks(client):
            self.seen += 1
            answer = self.treat(data) if self.seen == self.number else data
            if answer is None:
                return
            client.sendall(answer)


@contextlib.contextmanager
def listening(handler, address=("127.0.0.1", 0), family=socket.AF_INET):
    """A server in a thread; gives the arguments that lead forkecho to it."""

    def serve(client):
        with client, contextlib.suppress(OSError):
            handler(client)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                client, _ = server.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    server = socket.socket(family, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(address)
    server.listen(64)
    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    bound = server.getsockname()
    try:
        yield [bound[0], str(bound[1])] if isinstance(bound, tuple) else bound
    finally:
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


# ---- the client ---------------------------------------------------------------------------------


class Result:
    def __init__(self, done):
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr.decode()
        self.text = self.out.decode("utf-8", "backslashreplace")

    def __repr__(self):
        return f"status {self.status}\nout: {self.out[-2000:]!r}\nerr: {self.err[-2000:]!r}"


def forkecho(*arguments, input=b"", seconds=60):
    return Result(
        subprocess.run(
            [*WRAPPER, FORKECHO, *arguments],
            input=input,
            capture_output=True,
            timeout=scaled(seconds),
            env=ENVIRONMENT,
        )
    )


def ping(where, count, *options):
    return forkecho("-c", str(count), "-i", "20ms", *options, *where)


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return str(unused.getsockname()[1])


class Terminal:
    """A program on a terminal of its own; forkecho, unless another one is given."""

    def __init__(self, *arguments, program=(FORKECHO,)):
        words = [*program, *arguments]
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.execve(words[0], words, ENVIRONMENT)
            finally:
                os._exit(127)
        self.seen, self.position = "", 0

    def type(self, text):
        os.write(self.fd, text.encode())

    def read(self, seconds):
        """True when something came in that time, False at the end."""
        if not select.select([self.fd], [], [], seconds)[0]:
            raise TimeoutError(f"on the terminal: {self.seen!r}")
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # how Linux tells that the other side is closed
            return False
        self.seen += data.decode("utf-8", "backslashreplace")
        return bool(data)

    def expect(self, text, seconds=60):
        """Waits for a text behind the one that was expected last. Returns what came before it."""
        limit = time.monotonic() + scaled(seconds)
        while (found := self.seen.find(text, self.position)) < 0:
            if not self.read(max(0, limit - time.monotonic())):
                raise AssertionError(f"ended without {text!r}: {self.seen!r}")
        before = self.seen[self.position : found]
        self.position = found + len(text)
        return before

    def exit_status(self):
        while self.read(scaled(5)):
            pass
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        self.pid = 0
        return status

    def rest(self):
        while self.read(scaled(5)):
            pass
        return self.seen[self.position :]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self.fd)


def equal(left, right):
    assert left == right, f"{left!r} is not {right!r}"


def one_line(text):
    assert text.startswith("forkecho: ") and text.count("\n") == 1, text


# ---- one message --------------------------------------------------------------------------------


@case("-m sends the text as it is and prints the answer")
def message_answered():
    with listening(upper) as where:
        result = forkecho("-m", "hällo", *where)
    equal((result.status, result.out, result.err), (0, "hällo".encode().upper(), ""))


@case("-m tells the server that nothing more comes")
def message_half_closes():
    with listening(patiently) as where:
        result = forkecho("-m", "all of it", *where)
    equal((result.status, result.out), (0, b"all of it"))


@case("-m without an answer is status 1 and says so")
def message_unanswered():
    with listening(closer) as where:
        result = forkecho("-m", "hello", *where)
    equal((result.status, result.out), (1, b""))
    one_line(result.err)
    assert "closed the connection without an answer" in result.err, result


@case("--timeout ends the wait for an answer")
def message_times_out():
    start = time.monotonic()
    with listening(mute_open) as where:
        result = forkecho("-m", "hello", "--timeout", "300ms", *where)
    expect_time(time.monotonic() - start, 0.3, scaled(3))
    equal(result.status, 1)
    assert "no answer within 300ms" in result.err, result


def mute_open(client):
    mute(client)
    time.sleep(60)


@case("a server that answers and does not close is no failure of -m")
def message_open_end():
    with listening(never_closing) as where:
        result = forkecho("-m", "hello", "-W", "2s", *where)
    equal((result.status, result.out, result.err), (0, b"hello", ""))


@case("into a pipe, an answer's bytes go as they are")
def message_raw():
    odd = bytes(range(256))
    with listening(lambda client: (client.recv(10), client.sendall(odd))) as where:
        result = forkecho("-m", "x", *where)
    equal((result.status, result.out), (0, odd))


# ---- a pipe -------------------------------------------------------------------------------------


@case("lines from a pipe are sent and the answers printed, without a prompt")
def pipe_lines():
    with listening(upper) as where:
        result = forkecho(*where, input=b"one\ntwo\nquit\nthree")
    equal((result.status, result.out, result.err), (0, b"ONE\nTWO\nQUIT\nTHREE", ""))


@case("4 MB through a pipe come back equal, at once and after a half-close")
def pipe_bulk():
    data = os.urandom(1 << 22)
    for handler in echo, patiently:
        with listening(handler) as where:
            result = forkecho(*where, input=data)
        equal(result.status, 0)
        assert result.out == data, f"{handler.__name__}: {len(result.out)} bytes"


@case("an answer is printed while the pipe is still open, however long it rests")
def pipe_slow():
    with listening(upper) as where, subprocess.Popen(
        [FORKECHO, "-W", "1s", *where], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as client:
        for line in b"first\n", b"second\n":
            client.stdin.write(line)
            client.stdin.flush()
            equal(client.stdout.readline(), line.upper())
            time.sleep(1.2)
        client.stdin.close()
        equal(client.wait(scaled(60)), 0)


@case("a server that leaves before everything was sent is status 1")
def pipe_cut():
    with listening(closer) as where:
        result = forkecho(*where, input=bytes(1 << 22))
    equal(result.status, 1)
    one_line(result.err)


@case("a server that speaks and closes by itself is heard")
def pipe_daytime():
    with listening(lambda client: client.sendall(b"Friday\r\n")) as where:
        result = forkecho(*where)
    equal((result.status, result.out), (0, b"Friday\r\n"))


@case("no input and no answer is no failure")
def pipe_empty():
    with listening(echo) as where:
        result = forkecho(*where)
        equal((result.status, result.out, result.err), (0, b"", ""))
        with_none = subprocess.run(
            ["sh", "-c", 'exec "$@" <&-', "sh", FORKECHO, *where], timeout=scaled(60)
        )
    equal(with_none.returncode, 0)


@case("a server that keeps the connection open after the half-close is waited for no longer than -W")
def pipe_open_end():
    with listening(never_closing) as where:
        result = forkecho("-W", "2s", *where, input=b"line\n")
    equal((result.status, result.out), (1, b"line\n"))
    assert "no end of the answers within 2s" in result.err, result


@case("a full disk under standard output is told, with status 1")
def output_full():
    with listening(echo) as where:
        for arguments in ["-m", "text"], ["-c", "1"]:
            with open("/dev/full", "wb") as full:
                done = subprocess.run(
                    [FORKECHO, *arguments, *where],
                    stdout=full,
                    stderr=subprocess.PIPE,
                    timeout=scaled(60),
                )
            equal(done.returncode, 1)
            assert b"standard output: No space left" in done.stderr, done


# ---- as ping ------------------------------------------------------------------------------------


@case("--count and --interval report each answer and the statistics as ping does")
def ping_reports():
    start = time.monotonic()
    with listening(echo) as where:
        result = forkecho("--count", "4", "--interval", "0.1", *where)
    elapsed = time.monotonic() - start
    equal((result.status, result.err), (0, ""))
    expect_time(elapsed, 0.3, scaled(2))
    lines = result.text.splitlines()
    address = ":".join(where)
    equal(lines[0], f"FORKECHO {address}: 56 bytes of data")
    for number, line in enumerate(lines[1:5], 1):
        assert re.fullmatch(
            rf"56 bytes from {address}: seq={number} time=\d+\.\d\d\d ms", line
        ), line
    equal(lines[5:7], ["", f"--- {where[0]} forkecho statistics ---"])
    assert re.fullmatch(
        r"4 messages sent, 4 answered, 0 different, 0% loss, time \d+ms", lines[7]
    ), lines
    numbers = re.fullmatch(r"rtt min/avg/max/mdev = (\S+)/(\S+)/(\S+)/(\S+) ms", lines[8])
    least, mean, most, spread = map(float, numbers.groups())
    assert 0 < least <= mean <= most and spread <= most - least, lines[8]
    times = [float(line.split("time=")[1].split()[0]) for line in lines[1:5]]
    equal((least, most), (min(times), max(times)))
    assert abs(mean - sum(times) / 4) < 0.002, lines


@case("the round-trip time is that of the answer")
def ping_times():
    with listening(lambda client: [(time.sleep(0.05), client.sendall(d)) for d in chunks(client)]) as where:
        result = ping(where, 2)
    least = float(re.search(r"mdev = ([\d.]+)/", result.text)[1])
    assert result.status == 0, result
    expect_time(least / 1000, 0.05, scaled(0.5))


@case("-s sets the size of a message, and no message is like the last one")
def ping_sizes():
    for size, bytes_sent in ("1", 1), ("300", 300), ("64K", 65536), ("1M", 1 << 20):
        got = []
        with listening(lambda client: [(got.append(d), client.sendall(d)) for d in chunks(client)]) as where:
            result = ping(where, 3, "-s", size)
        equal(result.status, 0)
        stream = b"".join(got)
        equal(len(stream), 3 * bytes_sent)
        messages = [stream[i * bytes_sent : (i + 1) * bytes_sent] for i in range(3)]
        equal(len(set(messages)), 3)
        if bytes_sent >= 256:
            equal(set(messages[0]), set(range(256)))


@case("an answer in single bytes is one answer")
def ping_segments():
    with listening(by_segments) as where:
        result = ping(where, 2)
    equal(result.status, 0)
    assert "2 answered, 0 different" in result.text, result


@case("a changed byte is found and its place told, with status 1")
def ping_corrupted():
    def corrupt(data):
        return data[:17] + bytes([data[17] ^ 0x20]) + data[18:]

    with listening(Messages(2, corrupt)) as where:
        result = ping(where, 3)
    equal(result.status, 1)
    sent = (2 * 37 + 17) % 256
    assert (
        f"DIFFERENT at byte 17: sent 0x{sent:02x}, received 0x{sent ^ 0x20:02x}" in result.text
    ), result
    assert "3 messages sent, 3 answered, 1 different, 0% loss" in result.text, result


@case("a service that changes what it is sent never compares equal")
def ping_upper():
    with listening(upper) as where:
        result = ping(where, 2, "-s", "256")
    equal(result.status, 1)
    assert "2 answered, 2 different" in result.text, result


@case("more bytes than were sent are a difference, at once or later")
def ping_surplus():
    with listening(Messages(2, lambda data: data + b"!")) as where:
        result = ping(where, 3)
    equal(result.status, 1)
    assert "more than was sent" in result.text and "3 answered, 1 different" in result.text, result

    def later(client):
        for data in chunks(client):
            client.sendall(data)
            time.sleep(0.05)
            client.sendall(b"late")

    with listening(later) as where:
        result = forkecho("-c", "2", "-i", "1s", *where)
    equal(result.status, 1)
    first = float(re.search(r"seq=1 time=([\d.]+) ms", result.text).group(1))
    expect_time(first / 1000, 0, 0.5, "until the first answer was read")
    assert "4 bytes from" in result.text and "more than was sent, after seq=1" in result.text, result


@case("an unanswered message is loss, and the next one gets a connection of its own")
def ping_dropped():
    server = Messages(2, lambda data: b"")
    with listening(server) as where:
        result = ping(where, 3, "-W", "2s")
    equal((result.status, server.connections), (1, 2))
    assert "seq=2 no answer within 2s" in result.text, result
    assert "3 messages sent, 2 answered, 0 different, 33.3333% loss" in result.text, result


@case("a part of an answer is loss, and its length is told")
def ping_partial():
    with listening(Messages(1, lambda data: data[:10])) as where:
        result = ping(where, 2, "-W", "2s")
    equal(result.status, 1)
    assert "seq=1 no answer within 2s (10 of 56 bytes came)" in result.text, result


@case("an answer that comes late is not taken for the next one")
def ping_late():
    def late(client):
        data = client.recv(65536)
        client.recv(65536)  # the next message, or the end
        client.sendall(data)
        echo(client)

    with listening(late) as where:
        result = forkecho("-c", "2", "-i", "100ms", "-W", "200ms", *where)
    equal(result.status, 1)
    assert "2 messages sent, 0 answered, 0 different, 100% loss" in result.text, result
    assert "rtt" not in result.text, result


@case("a server that closes costs one message and no more")
def ping_closed():
    with listening(Messages(2, lambda data: None)) as where:
        result = ping(where, 3)
    equal(result.status, 1)
    assert "seq=2 the server closed the connection" in result.text, result
    assert "3 messages sent, 2 answered" in result.text, result


@case("a service that closes after each answer has nothing lost")
def ping_once():
    with listening(once) as where:
        result = ping(where, 4)
    equal(result.status, 0)
    assert "4 messages sent, 4 answered, 0 different, 0% loss" in result.text, result


@case("a server that goes away and comes back is seen to")
def ping_outage():
    with listening(once) as where:
        client = subprocess.Popen(
            [FORKECHO, "-c", "30", "-i", "100ms", *where],
            stdout=subprocess.PIPE,
            env=ENVIRONMENT,
        )
        client.stdout.readline()
        assert b"seq=1 time=" in client.stdout.readline()
    time.sleep(0.5)
    with listening(once, (where[0], int(where[1]))):
        out = client.communicate(timeout=scaled(60))[0].decode()
    equal(client.returncode, 1)
    assert "Connection refused" in out and "seq=30 time=" in out, out


def interrupted(*arguments):
    """Runs until three answers came, then Ctrl-C."""
    client = subprocess.Popen(
        [FORKECHO, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
    )
    for _ in range(4):
        line = client.stdout.readline()
    assert b"seq=3" in line, line
    client.send_signal(signal.SIGQUIT)
    progress = client.stderr.readline().decode()
    client.send_signal(signal.SIGINT)
    out = client.communicate(timeout=scaled(60))[0].decode()
    return client.returncode, out, progress


@case("Ctrl-C ends an endless series with its statistics; Ctrl-\\ shows them on the way")
def ping_interrupted():
    with listening(echo) as where:
        status, out, progress = interrupted("-i", "1s", *where)
    equal(status, 0)
    sent = int(re.search(r"(\d+) messages sent", out)[1])
    assert f"{sent} answered, 0 different, 0% loss" in out and "rtt min" in out, out
    assert re.fullmatch(r"\d+/\d+ messages, 0% loss, min/avg/max = \S+ ms\n", progress), progress


@case("Ctrl-C ends the wait for an answer at once")
def ping_interrupted_waiting():
    has_come = threading.Event()

    def mute_from_now(client):
        if client.recv(65536):
            has_come.set()
        mute(client)

    with listening(mute_from_now) as where:
        client = subprocess.Popen(
            [FORKECHO, "-c", "3", "-W", "100s", *where], stdout=subprocess.PIPE, env=ENVIRONMENT
        )
        client.stdout.readline()
        assert has_come.wait(scaled(30))
        time.sleep(0.2)
        start = time.monotonic()
        client.send_signal(signal.SIGINT)
        out = client.communicate(timeout=scaled(60))[0].decode()
    expect_time(time.monotonic() - start, 0, scaled(1))
    equal(client.returncode, 1)
    assert "1 messages sent, 0 answered, 0 different, 100% loss" in out, out


@case("-q leaves the statistics alone")
def ping_quiet():
    with listening(upper) as where:
        result = ping(where, 3, "--quiet", "-s", "256")
    equal(result.status, 1)
    equal(len(result.text.splitlines()), 5)


# ---- where to -----------------------------------------------------------------------------------


@case("IPv6 addresses are taken with and without brackets, and -4 and -6 choose the family")
def over_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        raise Skip("there is no IPv6 here") from None
    with listening(echo, ("::1", 0), socket.AF_INET6) as where:
        port = where[1]
        for host in "::1", "[::1]", "0:0::1":
            result = forkecho("-m", "six", host, port)
            equal((result.status, result.out), (0, b"six"))
        equal(forkecho("-6", "-m", "six", "::1", port).status, 0)
        equal(forkecho("-4", "-m", "six", "::1", port).status, 2)
        result = ping(["::1", port], 1)
        assert f"56 bytes from [::1]:{port}: seq=1" in result.text, result


@case("a name is looked up, and its address is told once")
def by_name():
    with listening(echo) as where:
        result = ping(["localhost", where[1]], 1)
        assert f"FORKECHO localhost (127.0.0.1:{where[1]}): " in result.text, result
        assert "--- localhost forkecho" in result.text, result
        equal(forkecho("-4", "-m", "four", "localhost", where[1]).out, b"four")


@case("Unix sockets, by path and abstract ones")
def over_unix():
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "with blank")
        with listening(echo, path, socket.AF_UNIX):
            equal(forkecho("-U", path, "-m", "unix").out, b"unix")
            equal(forkecho("--unix", path, "-c", "2", "-i", "0").status, 0)
    name = f"forkecho-test-{os.getpid()}"
    with listening(echo, "\0" + name, socket.AF_UNIX):
        result = forkecho("-U", "@" + name, "-m", "abstract")
        equal((result.status, result.out), (0, b"abstract"))


@case("no connection is status 2, with the address and the reason")
def no_connection():
    port = closed_port()
    for arguments, why in (
        (["127.0.0.1", port], f"127.0.0.1:{port}: Connection refused"),
        (["-c", "1", "127.0.0.1", port], "Connection refused"),
        (["no-such-host.invalid"], "no-such-host.invalid port 7: "),
        (["-U", "/nonexistent"], "unix:/nonexistent: No such file or directory"),
        (["-U", "/" + "x" * 200], "-U: the path has 201 bytes"),
        (["127.0.0.1", "no-such-service"], 'port "no-such-service": no such service'),
    ):
        result = forkecho(*arguments)
        equal((result.status, result.out), (2, b""))
        one_line(result.err)
        assert why in result.err, result


@case("--timeout ends a connection attempt that nobody answers")
def connect_timeout():
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "full")
        with socket.socket(socket.AF_UNIX) as server, contextlib.ExitStack() as crowd:
            server.bind(path)
            server.listen(0)
            with contextlib.suppress(BlockingIOError):
                while True:
                    client = crowd.enter_context(socket.socket(socket.AF_UNIX))
                    client.setblocking(False)
                    client.connect(path)
            start = time.monotonic()
            result = forkecho("-U", path, "-m", "x", "--timeout", "0.3")
            expect_time(time.monotonic() - start, 0.25, scaled(2))
            equal(result.status, 2)
            assert "timed out" in result.err, result


@case("a wrong command line is status 2 and says what is wrong")
def usage():
    for arguments, why in (
        ([], "no host given"),
        (["a", "7", "b"], "too many arguments"),
        (["-U", "/x", "host"], "too many arguments"),
        (["host", "0"], 'wrong port "0"'),
        (["host", "65536"], 'wrong port "65536"'),
        (["--frob", "host"], "--frob: no such option"),
        (["-x", "host"], "-x: no such option"),
        (["host", "-m"], "-m: its value is missing"),
        (["-m", "", "host"], "the message is empty"),
        (["--quiet=yes", "host"], "--quiet=yes: it takes no value"),
        (["-c", "0", "host"], '-c: wrong value "0"'),
        (["-c", "-1", "host"], '-c: wrong value "-1"'),
        (["-c", "3x", "host"], '-c: wrong value "3x"'),
        (["-i", "soon", "host"], '-i: wrong value "soon"'),
        (["-i", "0.", "host"], '-i: wrong value "0."'),
        (["-W", "\x1b[31m", "host"], '-W: wrong value "\\x1B[31m"'),
        (["-s", "0", "host"], '-s: wrong value "0"'),
        (["-s", "1G", "host"], '-s: wrong value "1G"'),
        (["-m", "x", "-c", "1", "host"], "-m cannot be together with -c"),
        (["-4", "-6", "host"], "only one of -4, -6 and -U"),
        (["-4", "-U", "/x"], "only one of -4, -6 and -U"),
    ):
        result = forkecho(*arguments)
        equal((result.status, result.out), (2, b""))
        assert why in result.err and "forkecho --help" in result.err, (arguments, result)


@case("--help names every option, --version the version")
def help_and_version():
    result = forkecho("--help")
    equal((result.status, result.err), (0, ""))
    for option in "-4 -6 -U -m -c -i -s -q -W --message --count --interval --timeout".split():
        assert option in result.text, option
    assert max(map(len, result.text.splitlines())) <= 80 + 8, result.text
    assert re.fullmatch(r"forkecho \d+\.\d+\.\d+\n", forkecho("--version").text)


# ---- a terminal ---------------------------------------------------------------------------------

PROMPT = "forkecho> "
UP = "\x1b[A"


@case("on a terminal: a prompt, the answer, the prompt again; quit ends")
def talk():
    with listening(upper) as where, Terminal(*where) as terminal:
        terminal.expect(f"Connected to {':'.join(where)}")
        terminal.expect(PROMPT)
        terminal.type("grüße\r")
        terminal.expect("GRüßE\r\n")
        equal(terminal.expect(PROMPT), "")
        terminal.type("quit\r")
        equal(terminal.exit_status(), 0)


@case("lines can be edited, and arrow up brings the last one back")
def talk_edits():
    with listening(upper) as where, Terminal(*where) as terminal:
        terminal.expect(PROMPT)
        terminal.type("helo\x02l\r")  # Ctrl-B moves left
        terminal.expect("HELLO\r\n")
        terminal.expect(PROMPT)
        terminal.type("second\r")
        terminal.expect("SECOND\r\n")
        terminal.expect(PROMPT)
        terminal.type(UP + UP + "!\r")
        terminal.expect("HELLO!\r\n")
        terminal.expect(PROMPT)
        terminal.type("\x04")  # Ctrl-D
        equal(terminal.exit_status(), 0)


@case("Ctrl-C ends the conversation, also in the middle of a line")
def talk_interrupted():
    with listening(echo) as where, Terminal(*where) as terminal:
        terminal.expect(PROMPT)
        terminal.type("half a line")
        terminal.expect("half a line")
        terminal.type("\x03")
        equal(terminal.exit_status(), 0)


@case("a line without an answer is told, and makes status 1")
def talk_unanswered():
    with listening(mute) as where, Terminal("-W", "200ms", *where) as terminal:
        terminal.expect(PROMPT)
        terminal.type("hello\r")
        terminal.expect("no answer within 200ms\r\n")
        terminal.expect(PROMPT)
        terminal.type("quit\r")
        equal(terminal.exit_status(), 1)


@case("an answer in pieces, or without an end of line, is followed by the prompt on a new line")
def talk_pieces():
    def handler(client):
        client.recv(100)
        for piece in b"one ", b"two ", b"three\n":
            client.sendall(piece)
            time.sleep(0.05)
        client.recv(100)
        client.sendall(b"no end")
        client.recv(100)

    with listening(handler) as where, Terminal(*where) as terminal:
        terminal.expect(PROMPT)
        terminal.type("a line that is longer\r")
        terminal.expect("one two three\r\n")
        equal(terminal.expect(PROMPT), "")
        terminal.type("x\r")
        terminal.expect("no end\r\n")
        equal(terminal.expect(PROMPT), "")
        terminal.type("quit\r")
        equal(terminal.exit_status(), 0)


@case("control bytes of an answer do not reach the terminal")
def talk_escapes():
    odd = b"\x1b[2J\x07\x00\x9b\xff\xc2\x9b tab\there \xc3\xbc\r\nnext\rline\n"
    with listening(lambda client: (client.recv(10), client.sendall(odd), client.recv(9))) as where:
        with Terminal(*where) as terminal:
            terminal.expect(PROMPT)
            terminal.type("x\r")
            terminal.expect("\\x1B[2J\\x07\\x00\\x9B\\xFF\\xC2\\x9B tab")
            terminal.expect("here ü\r\nnext\\x0Dline\r\n")
            terminal.type("quit\r")
            equal(terminal.exit_status(), 0)


@case("what the server says while a line is typed leaves the line whole")
def talk_unasked():
    speak = threading.Event()

    def handler(client):
        speak.wait()
        client.sendall(b"by the way\n")
        upper(client)

    with listening(handler) as where, Terminal(*where) as terminal:
        terminal.expect(PROMPT)
        terminal.type("typ")
        terminal.expect("typ")
        speak.set()
        terminal.expect("by the way\r\n")
        terminal.expect(PROMPT)
        terminal.expect("typ")
        terminal.type("ed\r")
        terminal.expect("TYPED\r\n")
        terminal.type("quit\r")
        equal(terminal.exit_status(), 0)


@case("a server that closes ends the conversation, also in the middle of a line")
def talk_closed():
    with listening(once) as where, Terminal(*where) as terminal:
        terminal.expect(PROMPT)
        terminal.type("only\r")
        terminal.expect("only\r\n")  # as typed
        terminal.expect("only\r\n")  # as answered
        terminal.expect("closed the connection\r\n")
        equal(terminal.exit_status(), 0)
    leave = threading.Event()
    with listening(lambda client: leave.wait()) as where, Terminal(*where) as terminal:
        terminal.expect(PROMPT)
        terminal.type("half")
        terminal.expect("half")
        leave.set()
        terminal.expect("closed the connection\r\n")
        equal(terminal.exit_status(), 0)


@case("the terminal is given back as it was")
def talk_restores():
    script = 'trap "" INT; "$@"; stty -a | grep -o -w -e "-\\?icanon" -e "-\\?echo"'
    program = "/bin/sh", "-c", script, "sh", FORKECHO
    with listening(echo) as where:
        for end in "quit\r", "\x03":
            with Terminal(*where, program=program) as terminal:
                terminal.expect(PROMPT)
                terminal.type(end)
                settings = terminal.rest().split()
            assert "icanon" in settings and "echo" in settings, settings
            assert "-icanon" not in settings and "-echo" not in settings, settings


if __name__ == "__main__":
    run()
