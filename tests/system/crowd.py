"""Clients of every kind, at a modest rate, for as long as one likes; in a process of its own.

    with Crowd({"echo": port, "pool": other}) as crowd:
        …
        talk = crowd.finish()
    assert not talk.unexplained(kills)

Each client is judged: its bytes come back, all and in order, and its stream ends in order. Services
named http and status get requests. `kill` is how processes are to be killed under a crowd.
"""

import collections
import contextlib
import json
import random
import signal
import socket
import struct
import sys
import threading
import time

from clients import Program, asks, connect, exchange, read_exactly
from processes import has_client, wait_exit, wait_stopped
from tap import scaled

PATIENCE = 60  # seconds that a client waits for any one step
BULK = 512 * 1024
BLAME = 5  # seconds within which a client has noticed what was done to its process


def short(where, _crowd):
    text = b"%d says hello\r\n" % random.getrandbits(64)
    return exchange(where, text, seconds=PATIENCE) == text


def bulk(where, _crowd):
    part = random.randbytes(16384)
    with connect(where, seconds=PATIENCE) as client:
        return all(asks(client, part) == part for _ in range(BULK // len(part)))


def held(where, crowd):
    """Says something once a second."""
    end, turn = time.monotonic() + random.uniform(0.2, 1) * crowd.hold, 0
    with connect(where, seconds=PATIENCE) as client:
        while True:
            turn += 1
            text = b"turn %d" % turn
            if asks(client, text) != text:
                return False
            if time.monotonic() > end or crowd.ended.wait(1):
                return True


def gets(client):
    """One request; whether its answer is whole."""
    wanted = b"HTTP/1.1 200 OK\r\n"
    client.sendall(b"GET / HTTP/1.1\r\nHost: crowd\r\n\r\n")
    if read_exactly(client, len(wanted)) != wanted:
        return False
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        part = client.recv(1)
        if not part:
            return False
        head += part
    (size,) = [line.split(b":")[1] for line in head.split(b"\r\n")
               if line.lower().startswith(b"content-length:")]
    return len(read_exactly(client, int(size))) == int(size)


def request(where, _crowd):
    """Five requests on one connection."""
    with connect(where, seconds=PATIENCE) as client:
        return all(gets(client) for _ in range(5))


def page(where, crowd):
    """Looks again after a second, and again."""
    with connect(where, seconds=PATIENCE) as client:
        for _ in range(3):
            if not gets(client):
                return False
            crowd.ended.wait(1)
    return True


def silent(where, _crowd):
    connect(where, seconds=PATIENCE).close()
    return True


def rude(where, _crowd):
    """Resets the connection while its bytes come back, at whatever moment that is."""
    with connect(where, seconds=PATIENCE) as client:
        with contextlib.suppress(OSError):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(b"x" * random.choice((1, 1000, 100000)))
    return True


# What befalls a service: who comes, how many of them at a time, the pause after each in seconds.
VISITORS = ((short, 3, 0.2), (held, 4, 0.1), (bulk, 1, 2), (silent, 1, 1), (rude, 1, 1))
BROWSERS = {"http": ((request, 1, 0.5),), "status": ((request, 1, 0.5), (page, 2, 0.5))}


class _Crowd:
    """The program's own half: a thread for each visitor."""

    def __init__(self, places, hold):
        self.hold = hold
        self.ended, self.lock = threading.Event(), threading.Lock()
        self.counts, self.failures, self.slowest = {}, [], {}
        self.threads = [
            threading.Thread(target=self.visit, args=(kind, name, where, pause))
            for name, where in places.items()
            for kind, number, pause in BROWSERS.get(name, VISITORS)
            for _ in range(number)
        ]

    def visit(self, kind, name, where, pause):
        while not self.ended.wait(random.uniform(0.5, 1.5) * pause):
            begin, trouble = time.monotonic(), None
            try:
                if not kind(where, self):
                    trouble = "cut or wrong"
            except OSError as why:
                trouble = str(why)
            self.judge(kind.__name__, name, begin, trouble)

    def judge(self, kind, name, begin, trouble):
        now = time.monotonic()
        with self.lock:
            self.counts[kind] = self.counts.get(kind, 0) + 1
            if kind == "short":
                self.slowest[name] = max(self.slowest.get(name, 0), now - begin)
            if trouble:
                what = {"kind": kind, "service": name, "begin": begin, "end": now, "what": trouble}
                self.failures.append(what)

    def run(self):
        for thread in self.threads:
            thread.start()
        print("begun", flush=True)
        sys.stdin.read()
        self.ended.set()
        for thread in self.threads:
            thread.join()
        print(json.dumps(
            {"counts": self.counts, "failures": self.failures, "slowest": self.slowest}
        ))


class Loss(collections.namedtuple("Loss", "service begin end")):
    """A process of the service was lost with its client; it lived at `begin`, and was gone at `end`.
    Without a service: all processes were."""

    def explains(self, failure):
        return (
            self.service in (None, failure["service"])
            and failure["begin"] <= self.end
            and self.begin <= failure["end"] <= self.end + scaled(BLAME)
        )


def kill(daemon, pid, service):
    """SIGKILL. Returns what was lost: nothing with a process that had no client in hand, which is
    looked at while it stands still."""
    begin = time.monotonic()
    try:
        daemon.kill(pid, signal.SIGSTOP)
        busy = wait_stopped(pid) and has_client(pid)
        daemon.kill(pid)
    except ProcessLookupError:
        return []
    assert wait_exit(pid, 30), f"{pid} lives on after SIGKILL"
    return [Loss(service, begin, time.monotonic())] if busy else []


class Talk:
    """What became of a crowd: how many of each kind came, who failed, the slowest `short` one."""

    def __init__(self, text):
        self.__dict__.update(json.loads(text))

    @property
    def clients(self):
        return sum(self.counts.values())

    def unexplained(self, losses):
        """The failures that no loss explains: each explains one client that had come before the
        process was gone; that of all processes, every such client."""
        losses, left = sorted(losses, key=lambda one: one.end), []
        for failure in sorted(self.failures, key=lambda one: one["end"]):
            loss = next((one for one in losses if one.explains(failure)), None)
            if loss is None:
                left.append(failure)
            elif loss.service:
                losses.remove(loss)
        return left

    def __repr__(self):
        slowest = max(self.slowest.values(), default=0)
        kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(self.counts.items()))
        return f"{kinds}; {len(self.failures)} failed; slowest of the short ones {slowest:.2f} s"


class Crowd(Program):
    """A crowd in a process of its own: `places` are services by name, with where they listen; who
    talks once a second stays for `hold` seconds at most."""

    def __init__(self, places, hold=40):
        super().__init__(__file__, json.dumps(places), str(hold))
        self.await_begin()

    def finish(self):
        """Nobody new comes, and everybody leaves."""
        return Talk(self.end())


if __name__ == "__main__":
    _Crowd(json.loads(sys.argv[1]), float(sys.argv[2])).run()
