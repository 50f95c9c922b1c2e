"""forkechod -i: the one client of inetd, xinetd, and socket units with Accept=yes."""

import os
import socket
import subprocess

from clients import asks, connect, read_to_end
from harness import INETD, SANDBOX_OFF, free_port
from manager import listening, passing
from processes import status, wait_until
from tap import case, run, scaled


def one_client(client, *options, **popen):
    """forkechod -i with this socket as inetd and Accept=yes hand it over: as 0, 1 and 2."""
    with client:
        return subprocess.Popen(
            [*INETD, *options],
            stdin=client,
            stdout=client,
            stderr=subprocess.PIPE,
            text=True,
            **popen,
        )


def expect_end(process, status=0):
    """It ends with this status and has said nothing."""
    _, text = process.communicate(timeout=scaled(60))
    assert (process.returncode, text) == (status, ""), (process.returncode, text)


@case("-i serves the one client on descriptor 0 and ends with it")
def inetd():
    ours, theirs = socket.socketpair()
    with ours:
        process = one_client(theirs)
        for text in (b"hello", b"again"):
            assert asks(ours, text) == text
        ours.shutdown(socket.SHUT_WR)
        assert read_to_end(ours) == b""
        expect_end(process)


@case("-i serves a TCP connection, and ps shows whose")
def inetd_tcp():
    with listening(free_port()) as server, connect(server.getsockname()[1]) as ours:
        process = one_client(server.accept()[0])
        assert asks(ours, b"hello") == b"hello"
        title = "forkechod: session echo %s:%d" % ours.getsockname()

        def shown():
            with open(f"/proc/{process.pid}/cmdline", "rb") as file:
                return file.read().rstrip(b"\0").decode() == title

        wait_until(title, shown)
        assert status(process.pid)["Seccomp"] == ("0" if SANDBOX_OFF else "2")
        ours.shutdown(socket.SHUT_WR)
        assert read_to_end(ours) == b""
        expect_end(process)


@case("-i takes no notice of LISTEN_FDS, which Accept=yes sets as well")
def inetd_accept():
    ours, theirs = socket.socketpair()
    with ours:
        options = passing({"connection": [theirs]})
        command = [*options.pop("wrapper"), *INETD]
        with theirs:
            process = subprocess.Popen(
                command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, text=True, **options
            )
        assert asks(ours, b"hello") == b"hello"
        ours.shutdown(socket.SHUT_WR)
        expect_end(process)


@case("-i turns 2 MB around between a pipe and a pipe")
def inetd_pipes():
    data = os.urandom(2 << 20)
    done = subprocess.run(INETD, input=data, capture_output=True, timeout=scaled(60))
    assert (done.returncode, done.stderr) == (0, b""), done
    assert done.stdout == data


@case("-i ends by itself where the handler does")
def inetd_time():
    ours, theirs = socket.socketpair()
    with ours:
        process = one_client(theirs, "--handler", "time")
        assert len(read_to_end(ours)) == 4
    expect_end(process)


if __name__ == "__main__":
    run()
