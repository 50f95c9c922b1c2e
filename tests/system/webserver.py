"""The handler http as programs that speak HTTP see it, and programs that do not."""

import http.client
import re
import signal
import socket
import subprocess
import time

from clients import connect, read_to_end
from harness import INETD, Daemon
from tap import case, covers, expect_time, run, scaled

HELLO = b"Hello, world!\n"


def serve(daemon, **keys):
    """One service http; returns its address."""
    daemon.configure(
        {"http": dict({"handler": "http", "listen": "127.0.0.1:0"}, **keys)},
        daemon={"graceful_timeout": "100s"},
    )
    daemon.start()
    return daemon.addresses["http"][0]


class Answer:
    """One answer, read from a connection that may go on."""

    def __init__(self, client, head_only=False):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = client.recv(1)
            assert byte, f"the connection ended within {head!r}"
            head += byte
        self.head = head.decode("ascii")
        lines = self.head.split("\r\n")
        match = re.fullmatch(r"HTTP/1\.1 (\d{3}) [A-Z][A-Za-z -]+", lines[0])
        assert match, lines[0]
        self.status = int(match.group(1))
        self.fields = dict(line.lower().split(": ", 1) for line in lines[1:-2])
        self.body = b""
        length = 0 if head_only else int(self.fields["content-length"])
        while len(self.body) < length:
            part = client.recv(length - len(self.body))
            assert part, "the connection ended within a body"
            self.body += part


def ask(where, request):
    """The answer to a request alone on its connection, which has to end behind it."""
    with connect(where) as client:
        client.sendall(request)
        answer = Answer(client)
        assert client.recv(1) == b"", "something follows the answer"
    assert answer.fields["connection"] == "close", answer.head
    return answer


def get(path, *fields, method="GET", version="1.1"):
    lines = [f"{method} {path} HTTP/{version}", "Host: localhost", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def one(path, *fields, **words):
    return get(path, "Connection: close", *fields, **words)


@case("a GET of / is answered with the text of `body`, its type, its length and the date")
def hello():
    with Daemon() as daemon:
        answer = ask(serve(daemon), one("/"))
        assert (answer.status, answer.body) == (200, HELLO), answer.head
        assert answer.fields["content-type"] == "text/plain; charset=utf-8"
        assert answer.fields["cache-control"] == "no-store"
        assert answer.fields["x-content-type-options"] == "nosniff"
        date = re.search(r"^Date: (.*)\r$", answer.head, re.M).group(1)
        then = time.mktime(time.strptime(date, "%a, %d %b %Y %H:%M:%S GMT")) - time.timezone
        assert abs(then - time.time()) < 60, date


@case("`body` may be any text, and empty")
def own_body():
    for text, wanted in (('"<b>\\xe2\\x82\\xac</b>; # \\t"', "<b>€</b>; # \t".encode()), ('""', b"")):
        with Daemon() as daemon:
            answer = ask(serve(daemon, body=text), one("/"))
            assert (answer.status, answer.body) == (200, wanted), (answer.head, answer.body)


@case("Python's own client and curl's options are served over TCP and a Unix socket")
def other_clients():
    with Daemon() as daemon:
        path = daemon.path("socket")
        where = serve(daemon, listen=f"127.0.0.1:0 unix:{path}")
        client = http.client.HTTPConnection(where, timeout=scaled(60))
        for _ in range(3):
            client.request("GET", "/", headers={"Accept-Encoding": "gzip", "User-Agent": "x"})
            response = client.getresponse()
            assert (response.status, response.read()) == (200, HELLO)
        client.request("POST", "/", body=b"a" * 5000)
        assert client.getresponse().status == 405
        client.close()
        assert ask(f"unix:{path}", one("/")).body == HELLO


@case("HEAD has the header of GET and nothing behind it")
def head():
    with Daemon() as daemon:
        with connect(serve(daemon)) as client:
            client.sendall(get("/", method="HEAD") + one("/"))
            first, second = Answer(client, head_only=True), Answer(client)
            assert first.fields["content-length"] == second.fields["content-length"] == "14"
            assert first.body == b"" and second.body == HELLO


@case("paths that are none get 404, methods that are not served 405 with those that are")
def unknown():
    with Daemon() as daemon:
        where = serve(daemon)
        for path in ("/x", "/livez/", "/%2Flivez", "/../livez", "/" + "long" * 100):
            assert ask(where, one(path)).status == 404, path
        for path in ("/livez", "/readyz", "/%6civez", "/livez?a=b", "http://other/livez"):
            assert ask(where, one(path)).status == 200, path
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"):
            answer = ask(where, one("/", method=method))
            assert answer.status == 405 and answer.fields["allow"] == "get, head", answer.head


@case("what is not HTTP gets 400 at once and the connection ends, without a reset")
def not_http():
    with Daemon() as daemon:
        where = serve(daemon)
        for noise in (b"hello\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET /\r\n", b"\0", b"\r\n\r\n",
                      b"SSH-2.0-OpenSSH_9.2p1\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 60000):
            begin = time.monotonic()
            assert ask(where, noise).status == 400, noise[:20]
            expect_time(time.monotonic() - begin, 0, scaled(1), noise[:20])
        with connect(where) as client:  # a request that was cut off
            client.sendall(b"GET / HT")
            client.shutdown(socket.SHUT_WR)
            assert Answer(client).status == 400
        assert ask(where, b"GET / HTTP/2.0\r\n").status == 505
        assert ask(where, get("/", "Transfer-Encoding: chunked")).status == 501
        both = get("/", "Transfer-Encoding: chunked", "Content-Length: 3")
        assert ask(where, both).status == 400


@case("a header may have 8 KiB, and one byte more is 431; a target of that length 414")
def large_header():
    with Daemon() as daemon:
        where = serve(daemon)
        room = 8192 - len(one("/", "X-Long: "))
        assert ask(where, one("/", "X-Long: " + "x" * room)).status == 200
        assert ask(where, one("/", "X-Long: " + "x" * (room + 1))).status == 431
        assert ask(where, b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n").status == 414


@case("connections are kept as the version and the client want it")
def persistence():
    with Daemon() as daemon:
        where = serve(daemon)
        with connect(where) as client:
            for _ in range(3):
                client.sendall(get("/"))
                answer = Answer(client)
                assert answer.body == HELLO and "connection" not in answer.fields
            client.sendall(get("/", "Connection: keep-alive", version="1.0"))
            assert Answer(client).fields["connection"] == "keep-alive"
            client.sendall(get("/", version="1.0"))
            assert Answer(client).fields["connection"] == "close"
            assert client.recv(1) == b""
        daemon.expect("session end: http .* served .*5 turns|session end: http .* served")


@case("a hundred requests that were sent together are answered in order")
def pipelining():
    with Daemon() as daemon:
        with connect(serve(daemon)) as client:
            paths = ["/", "/livez", "/nothing"] * 33
            client.sendall(b"".join(get(path) for path in paths) + one("/"))
            statuses = [Answer(client).status for _ in paths]
            assert statuses == [200, 200, 404] * 33, statuses
            assert Answer(client).body == HELLO and client.recv(1) == b""


@covers("F29")
@case("requests cut at every place are answered as if they were whole")
def pieces():
    request = get("/", "Content-Length: 4", method="GET") + b"body"
    with Daemon() as daemon:
        with connect(serve(daemon)) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for cut in range(1, len(request)):
                client.sendall(request[:cut])
                time.sleep(0.001)
                client.sendall(request[cut:])
                assert Answer(client).body == HELLO, cut


@case("bodies up to 64 KiB are thrown away, larger ones refused; 100-continue is heard")
def bodies():
    with Daemon() as daemon:
        where = serve(daemon)
        with connect(where) as client:
            for size in (1, 8192, 65536):
                client.sendall(get("/", f"Content-Length: {size}") + b"x" * size)
                assert Answer(client).status == 200, size
            client.sendall(get("/", "Content-Length: 5", "Expect: 100-continue", method="PUT"))
            assert read_exactly_text(client, 25) == "HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(b"12345" + one("/"))
            assert [Answer(client).status, Answer(client).status] == [405, 200]
        assert ask(where, get("/", "Content-Length: 65537")).status == 413
        assert ask(where, get("/", "Expect: a-miracle")).status == 417


def read_exactly_text(client, size):
    text = b""
    while len(text) < size:
        part = client.recv(size - len(text))
        assert part, text
        text += part
    return text.decode()


@covers("F31")
@case("a request has ten seconds in all, however it comes, and others do not wait for it")
def slow_requests():
    with Daemon() as daemon:
        where = serve(daemon)
        begin = time.monotonic()
        with connect(where) as silent, connect(where) as drops:
            silent.sendall(b"GET / HTTP/1.1\r\nHost: x")
            drops.sendall(b"GET / HTTP/1.1\r\n")
            drops.settimeout(0.25)
            got = b""
            while not got and time.monotonic() - begin < scaled(30):
                drops.sendall(b"X")
                assert ask(where, one("/")).body == HELLO
                try:
                    got = drops.recv(100)
                except TimeoutError:
                    pass
            passed = time.monotonic() - begin
            assert got.startswith(b"HTTP/1.1 408 "), got
            expect_time(passed, 9, scaled(12))
            assert Answer(silent).status == 408 and silent.recv(1) == b""
        daemon.expect("session end: http .* idle timeout", count=2)


@case("between two requests idle_timeout ends the connection without a word; once ends it at once")
def idle_and_once():
    with Daemon() as daemon:
        with connect(serve(daemon, idle_timeout="2s")) as client:
            client.sendall(get("/"))
            assert Answer(client).body == HELLO
            assert read_to_end(client) == b""
        daemon.expect("session end: http .* idle timeout")
    with Daemon() as daemon:
        where = serve(daemon, once="yes")
        assert ask(where, get("/") + get("/")).body == HELLO


@case("/readyz is 503 as soon as the daemon stops, on a connection that is still there")
def readiness():
    with Daemon() as daemon:
        with connect(serve(daemon)) as client:
            client.sendall(get("/readyz"))
            assert Answer(client).status == 200
            daemon.kill(daemon.pid, signal.SIGTERM)
            daemon.expect("stop")
            deadline = time.monotonic() + scaled(10)
            status = 200
            while status == 200 and time.monotonic() < deadline:
                client.sendall(get("/readyz"))
                status = Answer(client).status
            assert status == 503
            client.sendall(one("/livez"))
            assert Answer(client).status == 200
        daemon.wait_end()
        daemon.expect_nothing_left()


@case("forkechod -i --handler http answers whoever inetd gives it")
def inetd():
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = subprocess.Popen([*INETD, "--handler", "http"], stdin=theirs,
                                       stdout=theirs)
        ours.settimeout(scaled(30))
        ours.sendall(get("/") + one("/readyz"))
        assert Answer(ours).body == HELLO and Answer(ours).status == 200
        assert process.wait(scaled(60)) == 0


if __name__ == "__main__":
    run()
