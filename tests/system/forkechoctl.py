"""forkechoctl against a control socket of this file's own."""

import contextlib
import json
import os
import re
import socket
import subprocess
import tempfile
import threading
import time

from programs import FORKECHOCTL, WRAPPER
from tap import case, expect_time, run, scaled


@contextlib.contextmanager
def daemon(*answer, before_reading=False, resting=0, holding=0):
    """Answers one client with these pieces and closes. Gives the socket's path and, in a list, what
    the client sent."""
    heard = []

    def serve():
        with contextlib.suppress(OSError), server.accept()[0] as client:
            if not before_reading:
                heard.append(client.recv(4096))
            for piece in answer:
                client.sendall(piece)
                time.sleep(resting)
            ended.wait(holding)

    ended = threading.Event()
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as server:
        path = os.path.join(directory, "control")
        server.bind(path)
        server.listen(8)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield path, heard
        finally:
            ended.set()
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            thread.join()


def forkechoctl(*arguments, **more):
    return subprocess.run(
        [*WRAPPER, FORKECHOCTL, *arguments], capture_output=True, text=True, timeout=scaled(60), **more
    )


def expect(result, status, out="", err=""):
    assert (result.returncode, result.stdout, result.stderr) == (status, out, err), result


@case("an accepted reload is status 0")
def accepted():
    with daemon(b"ok\n") as (path, heard):
        expect(forkechoctl("-s", path, "reload"), 0, "reload accepted\n")
    assert heard == [b"reload\n"], heard


@case("warnings of an accepted reload are shown")
def accepted_with_warnings():
    with daemon(b"ok\n/etc/f.conf:3: first\n", b"/etc/f.conf:9: second\n") as (path, _):
        result = forkechoctl("--socket", path, "reload")
    expect(result, 0, "reload accepted\n", "/etc/f.conf:3: first\n/etc/f.conf:9: second\n")


REJECTED = "forkechoctl: reload rejected, the old configuration stays in force\n"


@case("a rejected reload is status 1, with every mistake and its position")
def rejected():
    mistakes = [f'/etc/f.conf:{n}: [echo] backlog: "{n}x"\n' for n in range(1, 500)]
    with daemon(b"rejected\n", "".join(mistakes).encode()) as (path, _):
        result = forkechoctl("-s", path, "reload")
    expect(result, 1, "", REJECTED + "".join(mistakes))


@case("an answer in single bytes, and a last line without an end, are whole")
def in_pieces():
    answer = "rejected\nf:1: größer"
    with daemon(*(bytes([b]) for b in answer.encode()), resting=0.001) as (path, _):
        result = forkechoctl("-s", path, "reload", env=dict(os.environ, LC_ALL="C.UTF-8"))
    expect(result, 1, "", REJECTED + "f:1: größer\n")


@case("control bytes of an answer do not reach the terminal, and a long line is cut")
def hostile():
    with daemon(b"ok\n\x1b[2J\r\x7f\n" + b"x" * 100000 + b"\nlast\n") as (path, _):
        result = forkechoctl("-s", path, "reload")
    lines = result.stderr.splitlines()
    assert result.returncode == 0 and len(lines) == 3, result
    assert (lines[0], lines[1].strip("x"), lines[2]) == ("?[2J??", "", "last"), lines
    assert 1000 < len(lines[1]) < 5000, len(lines[1])


@case("what the daemon will not even look at is status 1, with its reason")
def refused():
    with daemon(b"error: the daemon is stopping\n") as (path, _):
        expect(forkechoctl("-s", path, "reload"), 1, "", "forkechoctl: the daemon is stopping\n")


@case("a daemon that turns the client away without listening is understood")
def turned_away():
    for _ in range(20):
        with daemon(b"error: only root may ask\n", before_reading=True) as (path, _):
            expect(forkechoctl("-s", path, "reload"), 1, "", "forkechoctl: only root may ask\n")


@case("a reload may take its time, but no longer than --timeout")
def slow():
    with daemon(b"o", b"k\n", resting=0.3) as (path, _):
        expect(forkechoctl("-s", path, "reload"), 0, "reload accepted\n")
    for answer in b"", b"rejec":
        with daemon(answer, holding=30) as (path, _):
            start = time.monotonic()
            result = forkechoctl("-s", path, "-W", "300ms", "reload")
            expect_time(time.monotonic() - start, 0.3, scaled(2))
        expect(result, 2, "", f"forkechoctl: {path}: no answer within 300ms\n")


@case("without a whole answer nothing is claimed: status 2")
def no_answer():
    with daemon() as (path, _):
        expect(
            forkechoctl("-s", path, "reload"),
            2,
            "",
            f"forkechoctl: {path}: closed without an answer\n",
        )
    with daemon(b"220 mail ready\n") as (path, _):
        result = forkechoctl("-s", path, "reload")
    expect(result, 2, "", 'forkechoctl: not the answer of a forkechod: "220 mail ready"\n')


@case("without a daemon: status 2, and the question whether it runs")
def no_daemon():
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "control")
        for why in "No such file or directory", "Connection refused":
            expect(
                forkechoctl("-s", path, "reload"),
                2,
                "",
                f"forkechoctl: {path}: {why} (is forkechod running?)\n",
            )
            with socket.socket(socket.AF_UNIX) as left_behind:
                if not os.path.exists(path):
                    left_behind.bind(path)
    result = forkechoctl("-s", "/" + "x" * 200, "reload")
    assert result.returncode == 2 and "the path has 201 bytes" in result.stderr, result


@case("a daemon whose queue is full is waited for no longer than --timeout")
def queue_full():
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as crowd:
        path = os.path.join(directory, "control")
        server = crowd.enter_context(socket.socket(socket.AF_UNIX))
        server.bind(path)
        server.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                client = crowd.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(path)
        result = forkechoctl("-s", path, "-W", "200ms", "reload")
    assert result.returncode == 2 and "timed out" in result.stderr, result


@case("an acting command sends its words, and what the daemon says is its output")
def acting():
    for words, request in (
        (["pause", "echo"], b"pause echo\n"),
        (["drain"], b"drain\n"),
        (["drain", "echo"], b"drain echo\n"),
        (["scale", "echo", "auto"], b"scale echo auto\n"),
        (["kill", "1-2", "3-4"], b"kill 1-2 3-4\n"),
        (["kill", "--client", "::1"], b"kill-client ::1\n"),
        (["--client=::1", "kill"], b"kill-client ::1\n"),
        (["log", "debug"], b"log debug\n"),
        (["check"], b"check\n"),
    ):
        with daemon(b"ok\nit is done\n") as (path, heard):
            expect(forkechoctl(*words, "-s", path), 0, "it is done\n")
        assert heard == [request], heard


@case("what was not done wholly is status 1, line by line on standard error")
def not_wholly():
    with daemon(b"rejected\n1-2: gone\n") as (path, _):
        expect(
            forkechoctl("-s", path, "kill", "1-2"),
            1,
            "",
            "forkechoctl: not every session could be ended\n1-2: gone\n",
        )
    with daemon(b"error: no such service\n") as (path, _):
        expect(forkechoctl("-s", path, "pause", "x"), 1, "", "forkechoctl: no such service\n")


@case("--json prints one object, whatever comes of it")
def as_json():
    for answer, status, wanted in (
        (b"ok\n", 0, {"ok": True, "lines": []}),
        (b'ok\na "b" \\c\nd\n', 0, {"ok": True, "lines": ['a "b" \\c', "d"]}),
        (b"rejected\nf:1: x\n", 1, {"ok": False, "lines": ["f:1: x"]}),
        (b"error: why\n", 1, {"ok": False, "error": "why", "lines": []}),
        (b"", 2, {"ok": False, "lines": []}),
    ):
        with daemon(answer) as (path, _):
            result = forkechoctl("-j", "-s", path, "reload")
        said = json.loads(result.stdout)
        assert result.returncode == status and not result.stderr, result
        assert wanted.items() <= said.items(), said
        assert said["ok"] or said["error"], said


@case("a request that would not fit into a line is not sent in part")
def too_long():
    result = forkechoctl("kill", *(["4000000000-4000000000"] * 200))
    assert result.returncode == 2 and "longer than" in result.stderr, result


@case("a wrong command line is status 2 and says what is wrong")
def usage():
    for arguments, why in (
        ([], "no command given"),
        (["relaod"], 'no such command: "relaod" (did you mean "reload"?)'),
        (["\x1b[2J"], 'no such command: "\\x1B[2J"'),
        (["reload", "echo"], 'one argument too many: "echo"'),
        (["pause"], 'an argument is missing behind "pause" (SERVICE)'),
        (["kill"], "kill whom?"),
        (["kill", "1-2", "--client", "::1"], "cannot be together"),
        (["reload", "--client", "::1"], "reload takes no --client"),
        (["-x", "reload"], 'no such option: "-x"'),
        (["-xV"], 'no such option: "-x"'),
        (["--frob"], 'no such option: "--frob"'),
        (["-s"], 'a value is missing behind "-s"'),
        (["-W", "soon", "reload"], 'wrong time "soon" ('),
    ):
        result = forkechoctl(*arguments)
        assert (result.returncode, result.stdout) == (2, ""), (arguments, result)
        assert why in result.stderr and "forkechoctl --help" in result.stderr, (arguments, result)


@case("--help names the commands, --version the version")
def help_and_version():
    result = forkechoctl("--help")
    assert result.returncode == 0 and "  reload " in result.stdout, result
    assert "/forkechod/control" in result.stdout, result
    assert re.fullmatch(r"forkechoctl \d+\.\d+\.\d+\n", forkechoctl("-V").stdout)


@case("a result that cannot be written is told")
def output_full():
    with daemon(b"ok\n") as (path, _), open("/dev/full", "wb") as full:
        done = subprocess.run(
            [FORKECHOCTL, "-s", path, "reload"],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=scaled(60),
        )
    assert done.returncode == 1 and b"standard output: No space left" in done.stderr, done


if __name__ == "__main__":
    run()
