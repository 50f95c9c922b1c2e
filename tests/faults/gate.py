"""The processes of a daemon at the gate that its programs have (gate.c), and strace attached there."""

import contextlib
import socket
import struct
import subprocess
import threading

from tap import scaled


class Gate:
    """Where the daemon's processes wait (gate.c): calls `arrived(name, pid)` for each, by names as
    "master", "child-1" (of the master; its first one reads the configuration) and "session-1" (of a
    listener; in a pool a worker). A master that detaches is a "command" first, which has a child
    "middle", which has the master."""

    NAMES = {b"m": "master", b"c": "child", b"s": "session"}

    def __init__(self, session, arrived, detached=False):
        self._counts, self._arrived, self._sockets = {}, arrived, []
        self._first = {"master": ["command"], "child": ["middle", "master"]} if detached else {}
        self._open(session)

    def _open(self, session):
        entrance = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        entrance.bind(f"\0forkechod-gate-{session}")
        entrance.listen(64)
        self._sockets.append(entrance)
        threading.Thread(target=self._serve, args=[entrance], daemon=True).start()

    def _name(self, kind):
        if self._first.get(kind):
            return self._first[kind].pop(0)
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return kind if kind == "master" else f"{kind}-{self._counts[kind]}"

    def _serve(self, entrance):
        while True:
            try:
                visitor, _ = entrance.accept()
            except OSError:
                return
            with visitor, contextlib.suppress(OSError):
                name = self._name(self.NAMES[visitor.recv(1)])
                pid = struct.unpack("iII", visitor.getsockopt(socket.SOL_SOCKET,
                                                              socket.SO_PEERCRED, 12))[0]
                if name == "middle":  # it is going to lead a session
                    self._open(pid)
                self._arrived(name, pid)
                visitor.send(b".")

    def close(self):
        for entrance in self._sockets:
            entrance.shutdown(socket.SHUT_RDWR)
            entrance.close()


class Tracer:
    """strace, attached at the gate to the process of that name; None: to each."""

    def __init__(self, target, *arguments):
        self.target, self.arguments = target, arguments
        self.commands, self.files = [], {}
        self._running = []

    def arrived(self, life, name, pid):
        if self.target not in (None, name) or name in self.files:
            return
        self.files[name] = life.path(f"strace-{name}")
        command = ["strace", "-p", str(pid), "-o", self.files[name], *self.arguments]
        self.commands.append(" ".join(command))
        tracer = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
        tracer.stderr.readline()  # "attached"
        self._running.append(tracer)

    def text(self, name):
        """What it wrote of that process, once all is over."""
        for tracer in self._running:
            try:
                tracer.wait(scaled(10))
            except subprocess.TimeoutExpired:
                tracer.kill()
                tracer.wait()
            tracer.stderr.close()
        self._running.clear()
        if name not in self.files:
            return ""
        with open(self.files[name], encoding="utf-8", errors="replace") as file:
            return file.read()

    def struck(self):
        """Whether the call that was to fail was made."""
        return any("(INJECTED)" in self.text(name) for name in self.files)
