"""Clients: one at a time for what a case looks at, many at once as load.

As a program it is the load, in a process of its own so that it slows no test down:

    clients.py serial WHERE COUNT     so many connections, one after another
    clients.py crowd WHERE COUNT      so many at once: all connected before the first one leaves
    clients.py steady WHERE COUNT     COUNT at any time, until its standard input ends

WHERE is HOST:PORT, or unix: and a path. It prints how many were answered and what befell the rest.
"""

import errno
import json
import os
import resource
import selectors
import socket
import subprocess
import sys
import time

from tap import scaled

PATIENCE = 30  # seconds that a client of the load waits for its answer


def address_of(where):
    """A port of 127.0.0.1, HOST:PORT or unix:PATH → the socket's family and address."""
    if isinstance(where, int):
        return socket.AF_INET, ("127.0.0.1", where)
    if where.startswith("unix:"):
        return socket.AF_UNIX, where[5:].replace("@", "\0", 1) if where[5] == "@" else where[5:]
    host, port = where.rsplit(":", 1)
    if host.startswith("["):
        return socket.AF_INET6, (host[1:-1], int(port))
    return socket.AF_INET, (host, int(port))


def connect(where, source=None, seconds=30):
    """A connected socket, whose every step fails after so many seconds."""
    family, address = address_of(where)
    client = socket.socket(family, socket.SOCK_STREAM)
    client.settimeout(scaled(seconds))
    try:
        if source:
            client.bind((source, 0))
        client.connect(address)
    except OSError:
        client.close()
        raise
    return client


def read_exactly(client, size):
    """That many bytes, or fewer where the stream ends before."""
    data = b""
    while len(data) < size:
        part = client.recv(size - len(data))
        if not part:
            break
        data += part
    return data


def read_to_end(client):
    """Everything until the end of the stream."""
    parts = []
    while True:
        part = client.recv(65536)
        if not part:
            return b"".join(parts)
        parts.append(part)


def exchange(where, data=b"", source=None, seconds=30):
    """Connects, sends, half-closes, and returns all that comes back."""
    with connect(where, source, seconds) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        return read_to_end(client)


def asks(client, data):
    """Sends and returns as many bytes of answer."""
    client.sendall(data)
    return read_exactly(client, len(data))


def connected(crowd, where, count=1, source=None):
    """Clients that are being served, and stay until the crowd leaves."""
    clients = [crowd.enter_context(connect(where, source)) for _ in range(count)]
    for client in clients:
        assert asks(client, b"hello") == b"hello"
    return clients


def crowd_of(crowd, where, count):
    """The same, each with a text of his own."""
    clients = [crowd.enter_context(connect(where)) for _ in range(count)]
    expect_answers(clients)
    return clients


def expect_answers(clients):
    for number, client in enumerate(clients):
        text = b"client %d" % number
        assert asks(client, text) == text


def is_refused(where):
    """True when nothing listens there."""
    try:
        connect(where).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    except ConnectionResetError:  # closed while the client was let in: the next one is refused
        return False
    return False


FATES = ("answered", "refused", "reset", "cut", "wrong", "silent")


class Result:
    """What became of a load's clients, by the words of FATES; the slowest one in seconds."""

    def __init__(self, text):
        self.__dict__.update(json.loads(text))

    @property
    def lost(self):
        """Clients that did not get their answer and a clean end of the stream."""
        return sum(getattr(self, fate) for fate in FATES[1:])

    def __repr__(self):
        return ", ".join(f"{getattr(self, fate)} {fate}" for fate in FATES) + (
            f", slowest {self.slowest:.3f} s" + "".join(f"; {text}" for text in self.troubles)
        )


class Program:
    """A program of clients in a process of its own, which ends when nobody writes to it any more."""

    def __init__(self, *words):
        self.process = subprocess.Popen(
            [sys.executable, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def await_begin(self):
        assert self.process.stdout.readline() == b"begun\n"

    def end(self):
        """Returns what it has printed."""
        return self.process.communicate()[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Load(Program):
    """A load in a process of its own."""

    def __init__(self, mode, where, count):
        where = f"127.0.0.1:{where}" if isinstance(where, int) else where
        super().__init__(__file__, mode, where, str(count))
        if mode == "steady":
            self.await_begin()

    def finish(self):
        """Ends a steady load, waits for any other; returns its Result."""
        return Result(self.end())


class _Client:
    """One client of the load, driven by a selector: connect, send, half-close, read to the end."""

    def __init__(self, number, family, address):
        self.sent = b"client %d says hello\r\n" % number
        self.got = b""
        self.begin = time.monotonic()
        self.fate = None
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        # Without waiting, a Unix socket whose queue is full turns clients away.
        self.socket.settimeout(scaled(PATIENCE) if family == socket.AF_UNIX else 0)
        error = self.socket.connect_ex(address)
        self.socket.setblocking(False)
        if error not in (0, errno.EINPROGRESS):
            self.end(error)

    def end(self, error):
        if error == errno.ECONNREFUSED:
            self.fate = "refused"
        elif error:
            self.fate = "reset"
        elif self.got == self.sent:
            self.fate = "answered"
        else:
            self.fate = "cut" if self.sent.startswith(self.got) else "wrong"
        self.trouble = None if self.fate == "answered" else (
            f"{self.fate} after {time.monotonic() - self.begin:.3f} s"
            f" with {len(self.got)} of {len(self.sent)} bytes"
            + (f": {os.strerror(error)}" if error else "")
        )

    def may_write(self, leave):
        error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self.end(error)
            return
        try:
            self.socket.send(self.sent)
            if leave:
                self.socket.shutdown(socket.SHUT_WR)
        except OSError as why:
            self.end(why.errno)

    def may_read(self):
        try:
            part = self.socket.recv(4096)
        except OSError as why:
            self.end(why.errno)
            return
        self.got += part
        if not part:
            self.end(0)


class _Generator:
    def __init__(self, where):
        self.family, self.address = address_of(where)
        self.selector = selectors.DefaultSelector()
        self.counts = dict.fromkeys(FATES, 0)
        self.troubles, self.slowest, self.begun = [], 0.0, 0
        self.clients = set()
        self.ended = False

    def begin(self):
        client = _Client(self.begun, self.family, self.address)
        self.begun += 1
        if client.fate:
            self.judge(client)
            return
        self.clients.add(client)
        self.selector.register(client.socket, selectors.EVENT_WRITE, client)

    def judge(self, client):
        self.counts[client.fate] += 1
        self.slowest = max(self.slowest, time.monotonic() - client.begin)
        if client.trouble and len(self.troubles) < 10:
            self.troubles.append(client.trouble)
        client.socket.close()

    def turn(self, leave):
        for key, events in self.selector.select(0.1):
            client = key.data
            if client is None:
                self.ended = True
                self.selector.unregister(sys.stdin)
                continue
            if events & selectors.EVENT_WRITE:
                client.may_write(leave)
                self.selector.modify(client.socket, selectors.EVENT_READ, client)
            else:
                client.may_read()
            if client.fate:
                self.finish(client)
        late = time.monotonic() - scaled(PATIENCE)
        for client in [client for client in self.clients if client.begin < late]:
            client.fate, client.trouble = "silent", f"no answer within {PATIENCE} s"
            self.finish(client)

    def finish(self, client):
        self.selector.unregister(client.socket)
        self.clients.discard(client)
        self.judge(client)

    def serial(self, count):
        for _ in range(count):
            self.begin()
            while self.clients:
                self.turn(True)

    def crowd(self, count):
        """Nobody half-closes before everybody has been answered."""
        for _ in range(count):
            self.begin()
        while any(client.got != client.sent for client in self.clients):
            self.turn(False)
        for client in list(self.clients):
            client.socket.shutdown(socket.SHUT_WR)
        while self.clients:
            self.turn(True)

    def steady(self, count):
        print("begun", flush=True)
        self.selector.register(sys.stdin, selectors.EVENT_READ)
        while self.clients or not self.ended:
            while not self.ended and len(self.clients) < count:
                self.begin()
            self.turn(True)


def main(mode, where, count):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    generator = _Generator(where)
    getattr(generator, mode)(int(count))
    counts = dict(generator.counts, slowest=generator.slowest, troubles=generator.troubles)
    print(json.dumps(counts))


if __name__ == "__main__":
    main(*sys.argv[1:])
