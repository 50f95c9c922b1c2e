"""Every handler over the network, and what a client may do to them."""

import re
import socket
import struct
import threading
import os
import time

from clients import asks, connect, exchange, read_exactly, read_to_end
from harness import Daemon
from tap import case, covers, expect_time, run, scaled


def serve(daemon, handler, **keys):
    """One service of that handler on a port of the kernel's choice; returns the port."""
    daemon.configure({handler: dict({"handler": handler, "listen": "127.0.0.1:0"}, **keys)})
    daemon.start()
    return int(daemon.addresses[handler][0].rsplit(":", 1)[1])


@case("echo sends every byte back, and ends when the client has")
def echo():
    with Daemon() as daemon:
        port = serve(daemon, "echo")
        data = bytes(range(256)) * 40
        assert exchange(port, data) == data
        assert exchange(port) == b""


@case("discard takes a megabyte and answers nothing")
def discard():
    with Daemon() as daemon:
        port = serve(daemon, "discard")
        assert exchange(port, b"x" * 1000000) == b""
        daemon.expect("session end: discard .* 1000000 bytes in, 0 bytes out")


@case("chargen sends the rotating lines of RFC 864 for as long as the client reads")
def chargen():
    with Daemon() as daemon:
        port = serve(daemon, "chargen")
        with connect(port) as client:
            client.sendall(b"this is thrown away\r\n")
            lines = read_exactly(client, 74 * 200).split(b"\r\n")
        assert len(lines) == 201 and all(len(line) == 72 for line in lines[:-1])
        printable = bytes(range(32, 127))
        for number, line in enumerate(lines[:-1]):
            turned = (printable * 3)[number % 95 :]
            assert line == turned[:72], (number, line)
        daemon.expect("session end: chargen .* client closed")


@case("daytime says the date and time in UTC as one line, and closes")
def daytime():
    with Daemon() as daemon:
        port = serve(daemon, "daytime")
        before = int(time.time())
        with connect(port) as client:
            line = read_to_end(client).decode()
        after = int(time.time())
        assert line.endswith("\r\n") and line.count("\n") == 1, line
        digits = re.search(r"\d\d:\d\d:\d\d", line).group()
        day = [time.strftime("%H:%M:%S", time.gmtime(now)) for now in range(before, after + 1)]
        assert digits in day, (line, day)
        assert time.strftime("%Y", time.gmtime(before)) in line, line


@case("time sends the seconds since 1900 as four bytes, and closes")
def rfc868():
    with Daemon() as daemon:
        port = serve(daemon, "time")
        with connect(port) as client:
            (seconds,) = struct.unpack("!I", read_to_end(client))
        now = int(time.time()) + 2208988800
        assert abs(now - seconds) < 60, (now, seconds)


@case("upper turns ASCII letters into capitals and leaves every other byte")
def upper():
    with Daemon() as daemon:
        port = serve(daemon, "upper")
        text = "straße, naïve, abc XYZ 123\r\n".encode()
        want = bytes(b - 32 if 97 <= b <= 122 else b for b in text)
        assert exchange(port, text) == want


@case("next sends every byte plus one, and 255 becomes 0")
def next_byte():
    with Daemon() as daemon:
        port = serve(daemon, "next")
        assert exchange(port, bytes(range(256))) == bytes(range(1, 256)) + b"\0"


@covers("F28")
@case("2 MB that are sent and half-closed come back whole to a slow reader")
def slow_reader():
    with Daemon() as daemon:
        port = serve(daemon, "echo")
        data = bytes(range(251)) * 8400
        with connect(port) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            sender = threading.Thread(
                target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR))
            )
            sender.start()
            got = b""
            for _ in range(20):  # reads a little at a time, with rests, then the rest
                got += client.recv(1000)
                time.sleep(0.02)
            got += read_to_end(client)
            sender.join()
        assert got == data, (len(got), len(data))


@covers("F34")
@case("a thousand clients that send junk to daytime get their line and a clean end, no reset", 90)
def junk_to_daytime():
    with Daemon() as daemon:
        port = serve(daemon, "daytime", instances=100)
        for number in range(1000):
            with connect(port) as client:
                client.sendall(b"junk %d\r\n" % number * 50)
                line = read_to_end(client)  # raises on a reset
            assert line.endswith(b"\r\n") and line.count(b"\n") == 1, line


@covers("F32")
@case("a client that resets its connection harms nobody and is told as such")
def reset():
    with Daemon() as daemon:
        port = serve(daemon, "echo")
        with connect(port) as other:
            client = connect(port)
            assert asks(client, b"hello") == b"hello"
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            daemon.expect("session end: echo .* connection reset")
            assert asks(other, b"still here") == b"still here"


@covers("F12")
@case("IPv4, IPv6 and several addresses are one service")
def families():
    if not socket.has_dualstack_ipv6():
        raise AssertionError("this machine has no IPv6; the tests want it")
    with Daemon() as daemon:
        daemon.configure({"echo": {"listen": "127.0.0.1:0, 127.0.0.2:0 [::1]:0"}})
        daemon.start()
        addresses = daemon.addresses["echo"]
        assert len(addresses) == 3, addresses
        for address in addresses:
            assert exchange(address, b"hello") == b"hello"
        daemon.expect(r"session end: echo \[::1\]:\d+ ")


@covers("F12")
@case("a port alone is both families, on two sockets")
def port_alone():
    with Daemon() as daemon:
        daemon.configure({"echo": {"listen": "0"}})
        daemon.start()
        addresses = daemon.addresses["echo"]
        assert [a.rsplit(":", 1)[0] for a in addresses] == ["0.0.0.0", "[::]"], addresses
        for address in addresses:
            port = address.rsplit(":", 1)[1]
            host = "[::1]" if address.startswith("[") else "127.0.0.1"
            assert exchange(f"{host}:{port}", b"hello") == b"hello"


@case("delay, quit and once work with every handler that answers messages")
def manners():
    with Daemon() as daemon:
        daemon.configure(
            {
                name: dict({"handler": name, "listen": "127.0.0.1:0"}, quit='"bye"', delay="200ms")
                for name in ("echo", "upper", "next")
            }
        )
        daemon.start()
        answers = {"echo": b"abc", "upper": b"ABC", "next": b"bcd"}
        for name, answer in answers.items():
            with connect(daemon.addresses[name][0]) as client:
                begin = time.monotonic()
                assert asks(client, b"abc") == answer
                expect_time(time.monotonic() - begin, 0.19, scaled(1))
                client.sendall(b"bye\r\n")
                assert read_to_end(client) == b""
            daemon.expect(f"session end: {name} .* client said quit")


@case("nice is added to the daemon's own")
def niceness():
    with Daemon() as daemon:
        daemon.configure({"echo": {"listen": "127.0.0.1:0", "nice": 2}})
        daemon.start(wrapper=["nice", "-n", "3"])
        own = os.getpriority(os.PRIO_PROCESS, daemon.pid)
        assert os.getpriority(os.PRIO_PROCESS, daemon.listener()) == own + 2 > 4


if __name__ == "__main__":
    run()
