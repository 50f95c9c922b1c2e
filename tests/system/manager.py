"""What a service manager does for the daemon: it passes sockets, and listens to notifications.

    daemon.start(**passing({"echo": [listening(port)]}))

    with Notifications(daemon) as told:
        daemon.start(**passing(told=told))
        told.wait("READY")
"""

import os
import socket
import sys
import threading
import time

from tap import scaled

# Puts the descriptors where sd_listen_fds(3) has them, and becomes the daemon, whose process number
# the variables have to name.
LAUNCHER = """
import fcntl, os, sys
given = [int(number) for number in sys.argv[1].split(",") if number]
moved = [fcntl.fcntl(number, fcntl.F_DUPFD, 200) for number in given]
for number in given:
    os.close(number)
for place, number in enumerate(moved, 3):
    os.dup2(number, place)
    os.close(number)
for name in "LISTEN_PID", "WATCHDOG_PID":
    if os.environ.get(name) == "own":
        os.environ[name] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


def listening(where, backlog=64):
    """A blocking socket that listens on a port of 127.0.0.1, or on an address as a tuple."""
    address = ("127.0.0.1", where) if isinstance(where, int) else where
    family = socket.AF_UNIX
    if not isinstance(address, str):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM)
    if family != socket.AF_UNIX:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(address)
    server.listen(backlog)
    return server


def passing(sockets=None, told=None, **environment):
    """The arguments that make start, detach and forkechod pass these sockets, by name, and have the
    notifications go to `told`. Variables with the value `own` name the daemon's process."""
    pairs = [(name, one) for name, several in (sockets or {}).items() for one in several]
    variables = dict(os.environ)
    if pairs:
        variables["LISTEN_PID"] = "own"
        variables["LISTEN_FDS"] = str(len(pairs))
        variables["LISTEN_FDNAMES"] = ":".join(name for name, _ in pairs)
    if told:
        variables["NOTIFY_SOCKET"] = told.address
    variables.update(environment)
    numbers = [one.fileno() for _, one in pairs]
    launcher = [sys.executable, "-I", "-S", "-c", LAUNCHER, ",".join(map(str, numbers))]
    return {"wrapper": launcher, "pass_fds": numbers, "env": variables}


class Message:
    """One notification: its fields, the sockets that came with it, and when."""

    def __init__(self, text, numbers):
        self.fields = dict(line.split("=", 1) for line in text.decode().split("\n"))
        self.sockets = [socket.socket(fileno=number) for number in numbers]
        self.time = time.monotonic()

    def __repr__(self):
        return repr(self.fields)


class Notifications:
    """The manager's end of NOTIFY_SOCKET, with all that was received. A thread reads it."""

    def __init__(self, daemon, address=None):
        self.address = address or daemon.path("notify")
        self.messages = []
        self._news = threading.Condition()
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._server.bind(self.address.replace("@", "\0", 1))
        self._thread = threading.Thread(target=self._read)
        self._ended = False

    def _read(self):
        while not self._ended:
            text, numbers, _flags, _from = socket.recv_fds(self._server, 65536, 8)
            with self._news:
                if text:
                    self.messages.append(Message(text, numbers))
                self._news.notify_all()

    def find(self, field, value=None, begin=0):
        """The messages from number `begin` on that have the field, with this value if one is
        given."""
        return [
            message
            for message in self.messages[begin:]
            if field in message.fields and value in (None, message.fields[field])
        ]

    def wait(self, field, value=None, begin=0, seconds=60):
        """The first of them, as soon as there is one."""
        with self._news:
            assert self._news.wait_for(lambda: self.find(field, value, begin), scaled(seconds)), (
                f"no {field}={value or ''} within {seconds} s: {self.messages[begin:]}"
            )
            return self.find(field, value, begin)[0]

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended = True
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self._server.getsockname())
        self._thread.join()
        self._server.close()
        self.forget_all_but()

    def forget_all_but(self, *spare):
        """Closes the sockets that came, as a manager does with what is taken out of its store."""
        for message in self.messages:
            for one in message.sockets:
                if one not in spare:
                    one.close()
