"""The log of a life (life.py), line by line."""

import re
import threading
import time

from sinks import LEVELS, Sink
from tap import scaled


class Lines:
    """What the daemon prints, as it comes, and what it sends to a log daemon of ours, as if it were
    printed."""

    def __init__(self, descriptor, kind=None, server=None):
        self.lines, self.ended = [], False
        self._news = threading.Condition()
        self._server, self._parse = server, Sink.parsers.get(kind)
        self._threads = [threading.Thread(target=self._read, args=[descriptor], daemon=True)]
        if server:
            self._threads.append(threading.Thread(target=self._take, daemon=True))
        for thread in self._threads:
            thread.start()

    def _add(self, line):
        with self._news:
            self.lines.append(line)
            self._news.notify_all()

    def _read(self, descriptor):
        with open(descriptor, encoding="utf-8", errors="backslashreplace") as stream:
            for line in stream:
                self._add(line.rstrip("\n"))
        with self._news:
            self.ended = not self._server
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

    def finish(self):
        """The daemon has ended."""
        if self._server:
            self._server.sendto(b"", self._server.getsockname())
        for thread in self._threads:
            thread.join(scaled(2))
