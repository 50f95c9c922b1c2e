"""The journal and syslog in a private place: what the daemon writes to them, and what it is to get by on.

The daemon sees a /run/systemd/journal and a /dev/log of the test's own, in a private mount
namespace; only root can make one.
"""

import os
import re
import socket
import struct
import subprocess
import threading
import time

from harness import IS_ROOT, Log
from tap import Skip

LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
# $0 is the directory.
SCRIPTS = {
    "journal": """
        mount -t tmpfs none /run
        mkdir /run/systemd
        ln -s "$0" /run/systemd/journal
        exec "$@"
    """,
    "syslog": """
        mount -t tmpfs none /run
        mount -t tmpfs none /dev
        mknod -m 666 /dev/null c 1 3
        ln -s "$0/socket" /dev/log
        exec "$@"
    """,
}


def wrapper(kind, directory):
    """What puts the daemon where this directory's `socket` is the journal's, or /dev/log."""
    private = ["unshare", "--mount", "--propagation=private"]
    if not IS_ROOT:
        raise Skip("only root can put a log of its own in place")
    if subprocess.run([*private, "true"], capture_output=True).returncode:
        raise Skip("no mount namespace can be made here")
    return [*private, "sh", "-ec", SCRIPTS[kind], directory]


def parse_journal(data):
    """A record of the journal's native protocol: its fields."""
    fields = {}
    while data:
        line, data = data.split(b"\n", 1)
        if b"=" in line:
            name, value = line.split(b"=", 1)
        else:
            name, (size,) = line, struct.unpack("<Q", data[:8])
            value, data = data[8 : 8 + size], data[8 + size + 1 :]
        assert name.decode() not in fields, name
        fields[name.decode()] = value.decode()
    return fields


def parse_syslog(data):
    """A line of syslog: the same fields, as far as it has them."""
    match = re.fullmatch(
        r"<(\d+)>((?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d\d:\d\d:\d\d) "
        r"(\w+)\[(\d+)\]: ([^\n]*)",
        data.decode(),
    )
    assert match, data
    priority, when, identifier, pid, text = match.groups()
    return {
        "PRIORITY": str(int(priority) % 8),
        "SYSLOG_FACILITY": str(int(priority) // 8),
        "SYSLOG_IDENTIFIER": identifier,
        "SYSLOG_PID": pid,
        "SYSLOG_TIMESTAMP": when,
        "MESSAGE": text,
    }


class Sink(Log):
    """The log daemon. It shows each record as a line of stderr, so that a case reads one like the
    other; `records` has what came. It ends with the daemon."""

    parsers = {"journal": parse_journal, "syslog": parse_syslog}

    def __init__(self, daemon, kind):  # pylint: disable=super-init-not-called
        self.kind, self.daemon = kind, daemon
        self.lines, self.records = [], []
        self._news, self._reading = threading.Condition(), threading.RLock()
        self._ended = False
        self.directory = daemon.path(kind)
        os.mkdir(self.directory)
        self.path = os.path.join(self.directory, "socket")
        self._socket = None
        self.appear()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def appear(self):
        """Binds the socket, a new one; what waits in the old one is lost."""
        with self._reading:
            self.vanish()
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
            self._socket.bind(self.path)
            os.chmod(self.path, 0o666)

    def vanish(self):
        """Removes the socket."""
        with self._reading:
            if self._socket:
                self._socket.close()
                os.unlink(self.path)
            self._socket = None

    def stall(self):
        """Reads no more, until resume."""
        self._reading.acquire()

    def resume(self):
        self._reading.release()

    def _read_all(self):
        while True:
            try:
                data = self._socket.recv(65536)
            except BlockingIOError:
                return
            fields = self.parsers[self.kind](data)
            with self._news:
                self.records.append(fields)
                level = LEVELS[int(fields["PRIORITY"])]
                self.lines.append(f"forkechod: {level}: {fields['MESSAGE']}")
                self._news.notify_all()

    def _read(self):
        while not self._ended:
            with self._reading:
                if self._socket:
                    self._read_all()
            time.sleep(0.002)

    def catch_up(self):
        """Whoever stalls it wants it to be behind."""

    def finish(self):
        """What is left; the daemon has ended."""
        if self._ended:
            return
        self._ended = True
        self._thread.join()
        if self._socket:
            self._read_all()
        self.vanish()
        os.rmdir(self.directory)

    def record(self, pattern):
        """The last record whose message has the pattern."""
        return [fields for fields in self.records if re.search(pattern, fields["MESSAGE"])][-1]
