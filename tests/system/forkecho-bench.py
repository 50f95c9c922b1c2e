"""forkecho bench: each mode against the daemon, and against servers that lie."""

import contextlib
import json
import pty
import re
import resource
import signal
import socket
import subprocess
import threading
import time

from harness import Daemon, free_port, ordinary
from programs import FORKECHO, WRAPPER
from tap import case, run, scaled



# ---- servers that lie: each is what happens to one connection ----------------------------------


def wrong_byte(client):
    data = bytearray(client.recv(65536))
    if not data:
        return  # who only looks which address answers
    data[17] ^= 1
    client.sendall(data)
    mute(client)


def short(client):
    client.sendall(client.recv(65536)[:10])


def more(client):
    client.sendall(client.recv(65536) + b"!")
    client.recv(1)


def mute(client):
    while client.recv(65536):
        pass


def reset(client):
    client.recv(1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def another_connection(client):
    """Answers the first connection's bytes to everybody."""
    if data := client.recv(65536):
        _first.append(data)
        client.sendall(_first[0])
        mute(client)


_first = []


class Hesitant:
    """Answers, but stands still once, for some time."""

    def __init__(self, seconds):
        self.seconds, self.begin = seconds, None

    def __call__(self, client):
        while data := client.recv(65536):
            if self.begin is None:
                self.begin = time.monotonic()
            elif self.seconds and time.monotonic() - self.begin > 0.3:
                time.sleep(self.seconds)
                self.seconds = 0
            client.sendall(data)


@contextlib.contextmanager
def listening(handler):
    """A server in threads; gives the arguments that lead forkecho to it."""

    def serve(client):
        with client, contextlib.suppress(OSError):
            handler(client)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                client, _ = server.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    server = socket.create_server(("127.0.0.1", 0), backlog=128)
    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield ["127.0.0.1", str(server.getsockname()[1])]
    finally:
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


# ---- the client ---------------------------------------------------------------------------------


def bench(*arguments, seconds=60, **popen):
    return subprocess.run(
        [*WRAPPER, FORKECHO, "bench", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=scaled(seconds),
        **popen,
    )


def measure(*arguments, status=0):
    """The JSON of a run that ends with this status."""
    done = bench("--json", *arguments)
    assert done.returncode == status, (done.returncode, done.stderr, done.stdout[-500:])
    result = json.loads(done.stdout)
    in_histogram = sum(count for _, _, count in result["histogram"])
    assert in_histogram == (0 if result["mode"] == "stream" else result["requests"]), result
    return result


def failures(result):
    return {key: count for key, count in result["failed"].items() if count}


@contextlib.contextmanager
def echo(**keys):
    with Daemon() as daemon:
        port = free_port()
        listen = f"127.0.0.1:{port} [::1]:{port} unix:{daemon.path('sock')}"
        daemon.configure({"echo": dict({"listen": listen, "instances": 500}, **keys)})
        daemon.start()
        yield daemon, ["127.0.0.1", str(port)]


# ---- each mode against the daemon --------------------------------------------------------------


@case("crr: every request has a connection of its own, and all come back")
def requests_on_new_connections():
    with echo() as (daemon, where):
        result = measure("crr", "-c", 4, "-n", 300, "-s", 100, *where)
        assert result["requests"] == 300 and result["connections"] == 300, result
        assert result["bytes"] == 30000 and not failures(result), result
        latency = [result["latency_us"][key] for key in ("min", "p50", "p90", "p99", "p99_9", "max")]
        assert 0 < latency[0] and latency == sorted(latency), latency
        # One more only looked which address answers.
        daemon.expect("session end: echo", 301)


@case("crr over IPv6, a Unix socket, and in the words for people")
def other_families():
    with echo() as (daemon, where):
        result = measure("crr", "-n", 20, "::1", where[1])
        assert result["requests"] == 20 and result["server"] == f"[::1]:{where[1]}", result
        result = measure("crr", "-n", 20, "-U", daemon.path("sock"))
        assert result["requests"] == 20 and result["server"].startswith("unix:/"), result
        done = bench("crr", "-n", 50, *where)
        assert done.returncode == 0 and not done.stderr, done
        for word in ("FORKECHO BENCH crr", "requests    50 in", "p50 ", "p99.9 ", "max ", "#"):
            assert word in done.stdout, done.stdout
        assert "FAILED" not in done.stdout, done.stdout


@case("rr: connections stay open, with messages larger than all buffers too")
def requests_on_kept_connections():
    with echo() as (_, where):
        result = measure("rr", "-c", 3, "-d", "500ms", "-w", "100ms", *where)
        assert result["connections"] == 3 and result["requests"] > 10 and not failures(result), result
        assert abs(result["seconds"] - 0.5) < 0.001, result
        result = measure("rr", "-n", 3, "-s", "8M", *where)
        assert result["requests"] == 3 and result["bytes"] == 3 * (8 << 20), result


@case("stream: what was sent has come back when it ends, after a time and after a count")
def streams():
    with echo() as (_, where):
        result = measure("stream", "-c", 2, "-d", "300ms", *where)
        assert result["connections"] == 2 and result["bytes_per_s"] > 0 and not failures(result), result
        result = measure("stream", "-n", 50, *where)
        assert result["requests"] >= 50 and result["bytes"] >= 50 * 65536, result


@case("connect: only connects")
def connects():
    with echo() as (_, where):
        result = measure("connect", "-n", 50, *where)
        assert result["requests"] == 50 and result["bytes"] == 0 and not failures(result), result


@case("hold: all are open at once, each is used, and Ctrl-C ends with the report")
def holds():
    with echo() as (daemon, where):
        client = subprocess.Popen(
            [FORKECHO, "bench", "hold", "-j", "-c", "120", "-i", "200ms", *where],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        line = client.stderr.readline()
        assert line == "120 connections are held\n", line
        daemon.wait_sessions(120)
        time.sleep(2)
        client.send_signal(signal.SIGINT)
        out, err = client.communicate(timeout=scaled(60))
        result = json.loads(out)
        assert client.returncode == 0 and not err, (client.returncode, err)
        assert result["held"] == 120 and result["connections"] == 120, result
        assert result["requests"] >= 120 and not failures(result), result


@case("connections come from as many addresses as was said, in turn")
def sources():
    with echo() as (daemon, where):
        measure("crr", "-n", 6, "-S", 3, *where)
        for last in 1, 2, 3:
            # One more only looked which address answers.
            daemon.expect(rf"session end: echo 127\.0\.0\.{last}:", 3 if last == 1 else 2)
        done = bench("crr", "-n", 6, "-S", 3, "::1", where[1])
        assert done.returncode == 2 and "loopback address of IPv4" in done.stderr, done


@case("hold: a number that the server does not take is not waited for")
def holds_too_many():
    with echo(instances=5, over_limit="refuse") as (daemon, where):
        daemon.announce("throttled")
        result = measure("hold", "-c", 20, "-d", 5, *where, status=1)
        assert result["held"] < 20 and failures(result), result


@case("a rate is kept")
def rate():
    with echo() as (_, where):
        result = measure("rr", "-c", 8, "-r", 50, "-d", 2, *where)
        assert 95 <= result["requests"] <= 101 and not failures(result), result


@case("with a rate, one pause of the server is in the latency of all that had to wait")
def no_coordinated_omission():
    with listening(Hesitant(0.5)) as where:
        closed = measure("rr", "-d", 1, *where)
    with listening(Hesitant(0.5)) as where:
        rated = measure("rr", "-d", 1, "-r", 200, *where)
    assert closed["latency_us"]["max"] > 450000 and rated["latency_us"]["max"] > 450000
    # About a hundred requests were due while it stood still, a quarter of them in its first half.
    assert closed["latency_us"]["p90"] < 100000, closed["latency_us"]
    assert rated["latency_us"]["p90"] > 200000, rated["latency_us"]


@case("with a rate, what could never be begun has failed")
def unstarted():
    with listening(mute) as where:
        result = measure("rr", "-d", "500ms", "-r", 100, "-W", "300ms", *where, status=1)
        assert set(failures(result)) == {"late", "unstarted"}, result
        assert sum(result["failed"].values()) == 50, result


# ---- against servers that lie ------------------------------------------------------------------


def lied_to(handler, kind, words, *options):
    with listening(handler) as where:
        result = measure("crr", "-n", 3, "-s", 64, *options, *where, status=1)
        assert failures(result) == {kind: 3} and result["requests"] == 0, result
        assert words in result["first_failure"], result


@case("a wrong byte is found, with its place and both values")
def finds_a_wrong_byte():
    lied_to(wrong_byte, "wrong_byte", "connection 0: byte 17 was sent as 0x")


@case("a short answer, one byte too many, a reset")
def finds_other_lies():
    lied_to(short, "closed", "10 came")
    lied_to(more, "surplus", "more than was sent")
    lied_to(reset, "reset", "reset")


@case("no answer at all")
def finds_silence():
    lied_to(mute, "late", "64 bytes sent, 0 came", "-W", "200ms")


@case("an answer that belongs to another connection")
def finds_a_swap():
    _first.clear()
    with listening(another_connection) as where:
        result = measure("crr", "-n", 5, *where, status=1)
        assert failures(result) == {"wrong_byte": 4}, result


@case("a stream that is changed or cut is found")
def finds_a_bad_stream():
    def cut(client):
        for _ in range(3):
            client.sendall(client.recv(65536))

    for handler, kinds in ((wrong_byte, {"wrong_byte"}), (cut, {"closed", "reset"})):
        with listening(handler) as where:
            result = measure("stream", "-d", "1s", *where, status=1)
            assert set(failures(result)) <= kinds and failures(result), result


# ---- a terminal ---------------------------------------------------------------------------------


def on_terminal(*arguments, seconds=60):
    """Standard error is a terminal. Gives status, what came on it, and standard output."""
    ours, theirs = pty.openpty()
    with open(theirs, "wb") as terminal:
        client = subprocess.Popen(
            [FORKECHO, "bench", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=terminal,
            text=True,
        )
    shown = b""
    with open(ours, "rb", buffering=0) as terminal, client:
        guard = threading.Timer(scaled(seconds), client.kill)
        guard.start()
        with contextlib.suppress(OSError):  # how Linux tells that the other side is closed
            while data := terminal.read(65536):
                shown += data
        out = client.stdout.read()
        guard.cancel()
    return client.returncode, shown.decode(), out


LINE = r"\r\x1b\[K(\d+) done, (\d+) open, (\d+) failed"


@case("on a terminal a line shows how far it is, is written over itself, and is gone at the end")
def progress():
    with echo() as (_, where):
        # A line comes each half second.
        status, shown, out = on_terminal("rr", "-c", 3, "-d", 2, *where)
    assert status == 0 and "FORKECHO BENCH rr" in out and "\x1b" not in out, (status, out)
    assert re.fullmatch(f"({LINE})+\r\x1b\\[K", shown), shown
    lines = [tuple(map(int, line)) for line in re.findall(LINE, shown)]
    done = [line[0] for line in lines]
    assert len(lines) >= 2 and done == sorted(done) and done[-1] > done[0], lines
    assert max(line[1] for line in lines) == 3 and not any(line[2] for line in lines), lines
    total = int(re.search(r"requests +(\d+) in", out)[1])
    assert 0 < done[-1] <= total, (done, total)


@case("on a terminal the line counts what failed; that all are held takes its place")
def progress_of_others():
    with listening(mute) as where:
        status, shown, _ = on_terminal("crr", "-c", 2, "-d", "1500ms", "-W", "200ms", *where)
    failed = [int(line[2]) for line in re.findall(LINE, shown)]
    assert status == 1 and failed and failed[-1] > 0, (status, shown)
    with echo() as (_, where):
        status, shown, _ = on_terminal("hold", "-c", 70, "-d", "1500ms", *where)
    assert status == 0, (status, shown)
    assert re.search(r"(^|\r\x1b\[K)70 connections are held\r\n", shown), shown
    assert re.search(f"held\r\n({LINE})+\r\x1b\\[K$", shown), shown


# ---- the command line ----------------------------------------------------------------------------


@case("nobody there, a wrong word: status 2 and one line")
def no_service():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    done = bench("crr", "127.0.0.1", port)
    assert done.returncode == 2 and "Connection refused" in done.stderr, done
    assert not done.stdout, done
    for words in (("crr",), ("run", "h"), ("crr", "-c", "x", "h"), ("stream", "-r", "5", "h")):
        done = bench(*words)
        assert done.returncode == 2 and "forkecho bench --help" in done.stderr, done
    done = bench("--help")
    assert done.returncode == 0 and done.stdout.startswith("Usage: forkecho bench"), done


@case("too few open files: the limit is raised, or named")
def open_files():
    def lower(soft, hard):
        return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    with echo() as (_, where):
        done = bench("rr", "-c", 100, "-n", 100, *where, preexec_fn=lower(30, 200))
        assert done.returncode == 0, done
        # Root may raise the hard limit too.
        limits = dict(ordinary(), preexec_fn=lower(30, 200))
        done = bench("rr", "-c", 300, "-n", 100, *where, **limits)
        assert done.returncode == 2 and "the limit is 200" in done.stderr, done


if __name__ == "__main__":
    run()
