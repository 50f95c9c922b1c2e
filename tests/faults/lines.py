"""What the daemon says in a life (life.py): its log, line by line, and what it tells the manager."""

import re
import socket
import threading
import time

from sinks import LEVELS, Sink
from tap import scaled


class Lines:
    """What the daemon prints, as it comes, and what it sends to a log daemon's socket of ours, as if it
    were printed. One that `stays` prints to its end."""

    def __init__(self, descriptor, stays=True, kind=None, server=None):
        self.lines, self.ended = [], False
        self._news, self._stays = threading.Condition(), stays
        self._server, self._parse = server, Sink.parsers.get(kind)
        self._reader = threading.Thread(target=self._read, args=[descriptor], daemon=True)
        self._taker = threading.Thread(target=self._take, daemon=True)
        self._reader.start()
        if server:
            self._taker.start()

    def _add(self, line):
        with self._news:
            self.lines.append(line)
            self._news.notify_all()

    def _read(self, descriptor):
        with open(descriptor, encoding="utf-8", errors="backslashreplace") as stream:
            for line in stream:
                self._add(line.rstrip("\n"))
        if self._stays:
            self._drain()
            with self._news:
                self.ended = True
                self._news.notify_all()

    def _take(self):
        while data := self._server.recv(65536):
            fields = self._parse(data)
            self._add(f"forkechod: {LEVELS[int(fields['PRIORITY'])]}: {fields['MESSAGE']}")
        self._server.close()

    def find(self, pattern):
        """The first match, or None."""
        return next(filter(None, (re.search(pattern, line) for line in self.lines)), None)

    def wait(self, pattern, seconds):
        """The first match once it is there; None after so many seconds, or when all is over."""
        deadline = time.monotonic() + scaled(seconds)
        with self._news:
            while not (found := self.find(pattern)):
                left = deadline - time.monotonic()
                if self.ended or left <= 0:
                    break
                self._news.wait(left)
        return found

    def _drain(self):
        """What it sent; the daemon has ended."""
        if self._server:
            self._server.sendto(b"", self._server.getsockname())
            self._taker.join(scaled(2))

    def finish(self):
        """The daemon has ended."""
        self._reader.join(scaled(2))
        if not self._stays:
            self._drain()


class Told:
    """The service manager's end of NOTIFY_SOCKET. It takes no socket for its store: what the daemon
    closes is closed."""

    def __init__(self, address):
        self.address, self._messages = address, []
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._server.bind(address)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        while message := self._server.recv(65536):
            self._messages.append(message)

    def count(self, field):
        return sum(message.startswith(field + b"=") for message in self._messages)

    def close(self):
        self._server.sendto(b"", self.address)
        self._thread.join(scaled(2))
        self._server.close()
