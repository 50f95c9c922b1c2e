"""Machines: Debian trees run by systemd-nspawn, each with a network and processes of its own.

    machine = Machine()               systemd boots in it; Machine("sysvinit"): the other init
    machine.install()                 the packages under test
    machine.run("systemctl restart forkechod")

Trees stay as they are: all that a machine writes is in memory and gone with it. BOOT_TREES names the
folder of trees (tests/boot/make-trees makes them), BOOT_PACKAGES that of .deb files. Needs root.

This process moves into the machine's network, so that a test connects to 127.0.0.1 as a client on
the machine would.
"""

import atexit
import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))

from processes import daemon_processes, descendants, wait_exit, wait_until  # noqa: E402
from tap import note, scaled  # noqa: E402

TREES = os.environ.get("BOOT_TREES", "")
PACKAGES = os.environ.get("BOOT_PACKAGES", "")
UNIT = "forkechod.service"

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
# What nspawn has to start in a tree, the short name of its first process, and what it says once it
# has booted.
_INITS = {
    "systemd": ("--boot", "systemd", "systemctl is-system-running", ("running", "degraded")),
    "sysvinit": ("/sbin/init", "init", "runlevel", ("N 2",)),
}
_LANDLOCK = ("create_ruleset", "add_rule", "restrict_self")
# The machine's own, not those of whoever runs the tests.
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "TERM": "dumb"}


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Machine:
    """A running machine. Ends with stop(), and at the latest with the test program."""

    def __init__(self, init="systemd", tree=None, binds=(), network=False):
        start, self._first, self._ask, self._booted = _INITS[init]
        command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--volatile=overlay"]
        # The sandbox's, which nspawn of systemd 252 does not know.
        command += [f"--system-call-filter=landlock_{verb}" for verb in _LANDLOCK]
        command += ["--directory", os.path.join(TREES, tree or init)]
        command += [f"--bind-ro={os.path.abspath(PACKAGES)}:/packages"]
        command += [f"--bind-ro={bind}" for bind in binds]
        command += [] if network else ["--private-network"]
        self.leader = None
        self._newer = 0
        self._console = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            command + [start],
            stdin=subprocess.DEVNULL,
            stdout=self._console,
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with_parent,
        )
        atexit.register(self.stop)
        self.leader = wait_until("the machine's first process", self._find_leader, 60)
        wait_until("the machine has booted", self._has_booted, 180)
        if not network:
            self._enter_network()

    def _find_leader(self):
        if self._process.poll() is not None:
            self._console.seek(0)
            raise AssertionError(f"systemd-nspawn ended: {self._console.read().decode()}")
        found = [p.pid for p in descendants(self._process.pid) if p.comm == self._first]
        return found[0] if found else None

    def _has_booted(self):
        return self.out(self._ask, check=False) in self._booted

    def _enter_network(self):
        descriptor = os.open(f"/proc/{self.leader}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(descriptor)

    def stop(self):
        """Pulls the plug. Nothing of the machine is left."""
        atexit.unregister(self.stop)
        if self._process.poll() is None and self.leader:
            os.kill(self.leader, signal.SIGKILL)
        self._process.wait(60)
        self._console.close()

    # ---- commands ----

    def run(self, command, check=True, seconds=180, text_in=None):
        """Runs a shell command in the machine; its stdout and stderr are kept apart."""
        result = subprocess.run(
            ["nsenter", "--target", str(self.leader), "--all", "--", "/bin/sh", "-c", command],
            env=_ENVIRONMENT,
            input=text_in,
            stdin=subprocess.DEVNULL if text_in is None else None,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=scaled(seconds),
            check=False,
        )
        if check and result.returncode != 0:
            raise AssertionError(
                f"{command}: exit status {result.returncode}\n{result.stdout}{result.stderr}"
            )
        return result

    def out(self, command, **how):
        """What a command prints, without the last newline."""
        return self.run(command, **how).stdout.rstrip("\n")

    def path(self, path):
        """A path of the machine as seen from here (at most 108 bytes for Unix sockets)."""
        return f"/proc/{self.leader}/root{path}"

    def write(self, path, text):
        with open(self.path(path), "w", encoding="utf-8") as file:
            file.write(text)

    def read(self, path):
        with open(self.path(path), encoding="utf-8") as file:
            return file.read()

    def exists(self, path):
        return os.path.lexists(self.path(path))

    # ---- the daemon ----

    def install(self):
        """Installs the packages as dpkg does; the service is then running, where systemd is."""
        self.run("dpkg --install /packages/forkechod_*.deb /packages/forkecho_*.deb", seconds=300)

    def newer_package(self):
        """The path of the daemon's package as a newer version, which differs in that alone."""
        self._newer += 1
        path = f"/tmp/newer-{self._newer}"
        self.run(
            f"dpkg-deb --raw-extract /packages/forkechod_*.deb {path}"
            f" && sed -i 's/^Version: .*/&+newer{self._newer}/' {path}/DEBIAN/control"
            f" && dpkg-deb -Znone --build {path} {path}.deb && rm -r {path}"
        )
        return f"{path}.deb"

    def configure(self, text, name="test"):
        """Writes a file of /etc/forkechod.conf.d."""
        self.write(f"/etc/forkechod.conf.d/{name}.conf", text)

    @contextlib.contextmanager
    def drop_in(self, text, unit=UNIT):
        """For a while, a unit has these settings too, [Service] ones."""
        folder = f"/run/systemd/system/{unit}.d"
        name = f"{folder}/{abs(hash(text))}.conf"
        self.run(f"mkdir -p {folder}")
        self.write(name, f"[Service]\n{text}\n")
        self.run("systemctl daemon-reload")
        try:
            yield
        finally:
            self.run(f"rm {name}; systemctl daemon-reload; systemctl reset-failed {unit}")

    def show(self, what, unit=UNIT):
        """A property of a unit."""
        return self.out(f"systemctl show --property={what} --value {unit}")

    def master(self):
        """The master's process number as seen from here, or None."""
        daemon = self.daemon()
        pids = {process.pid for process in daemon}
        others = ("forkechod: listener", "forkechod: session")
        # A child of it that has not executed yet has its title still.
        masters = [p.pid for p in daemon if p.ppid not in pids and not p.title.startswith(others)]
        assert len(masters) <= 1, daemon
        return masters[0] if masters else None

    def daemon(self):
        """The daemon's processes, without zombies."""
        return [process for process in daemon_processes(self.leader) if process.state != "Z"]

    def titles(self):
        return [process.title for process in self.daemon()]

    def wait_gone(self):
        """Waits until not one process of the daemon is left."""
        wait_until("no process of the daemon is left", lambda: not self.daemon())

    def journal(self, match="", unit=UNIT):
        """Journal entries of the unit, oldest first, each a dictionary of its fields."""
        text = self.out(f"journalctl --output=json --unit={unit} {match} --no-pager")
        return [json.loads(line) for line in text.splitlines()]

    def messages(self, match=""):
        """The texts of the same."""
        return [str(entry["MESSAGE"]) for entry in self.journal(match)]

    def explain(self):
        """Puts the end of the journal into the report."""
        note(self.out("journalctl --no-pager --lines=40", check=False))


@contextlib.contextmanager
def taken(port):
    """For a while, this test holds the port, which is one of the machine's network."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", port))
        holder.listen()
        yield


def kill_and_wait(pid):
    """Ends a process the hard way."""
    os.kill(pid, signal.SIGKILL)
    assert wait_exit(pid, 30)
