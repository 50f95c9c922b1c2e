"""Clocks that jump by ten years: nothing that counts seconds may notice.

libfaketime stands between the daemon's processes and CLOCK_REALTIME; what it says is in a file that
the cases change while the daemon runs.
"""

import glob
import os
import re
import shutil
import struct
import time

from clients import asks, connect, exchange, read_to_end
from harness import Daemon, free_port
from processes import wait_until
from programs import BUILD, SANITIZED
from tap import AT_ONCE, Skip, case, covers, run

JUMPS = ("+10y", "-10y", "+0")
# Nothing can be put before the libraries of a program that has none.
LISTENER = os.path.join(BUILD, "tests/system/listener-dynamic")
CLOCKWORK = os.path.join(BUILD, "tests/system/clockwork")
YEAR = 365.25 * 86400


class Clock:
    """What a daemon's processes take for the time of day."""

    def __init__(self, daemon):
        libraries = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
        if not libraries:
            raise Skip("libfaketime is not installed (package faketime)")
        if SANITIZED:
            raise Skip("a build with sanitizers has its own idea of what is loaded first")
        self.file = daemon.path("clock")
        self.variables = {
            "LD_PRELOAD": libraries[0],
            "FAKETIME_TIMESTAMP_FILE": self.file,
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        self.jump("+0")
        listener = daemon.path("listener")
        shutil.copy(CLOCKWORK, listener)
        with open(listener + ".environment", "w", encoding="utf-8") as file:
            lines = [f"{name}={value}" for name, value in self.variables.items()]
            file.write("\n".join([LISTENER, *lines]) + "\n")
        self.environment = dict(os.environ, FORKECHOD_LISTENER=listener, **self.variables)

    def jump(self, offset):
        with open(self.file + ".new", "w", encoding="ascii") as file:
            file.write(offset + "\n")
        os.rename(self.file + ".new", self.file)


def start(daemon, services):
    """Starts services on ports of their own, and `clock`, which says what time it is."""
    clock = Clock(daemon)
    ports = {name: free_port() for name in (*services, "clock")}
    services = dict(services, clock={"handler": "time"})
    for name, keys in services.items():
        keys["listen"] = f"127.0.0.1:{ports[name]}"
        keys.update(daemon.sandbox(off=True))  # libfaketime opens its file again and again
    daemon.configure(services)
    daemon.start(env=clock.environment)
    return clock, ports


def seconds_told(ports):
    """RFC 868: since 1900, in 32 bits."""
    (told,) = struct.unpack(">I", exchange(ports["clock"]))
    return told


def expect_jump(ports, begin, jump):
    """Waits until the daemon's processes see it; libfaketime may miss a file for a moment."""
    years = int(re.sub("[^-0-9]", "", jump))
    expected = years * YEAR % 2**32
    wait_until(
        f"a jump by {years} years",
        lambda: abs((seconds_told(ports) - begin) % 2**32 - expected) < 3 * 86400,
    )


@covers("F66")
@case("ten years forth and back: timeouts and delays take as long as ever, and nobody is taken for dead",
      limit=240)
def timeouts():
    with Daemon() as daemon:
        services = {
            "idle": {"idle_timeout": "1s"},
            "session": {"session_timeout": "1s"},
            "delay": {"handler": "upper", "delay": "1s", "once": "yes"},
            "pool": {"process_model": "prefork", "start_servers": 2, "idle_timeout": "1s"},
        }
        clock, ports = start(daemon, services)
        began = seconds_told(ports)
        for jump in JUMPS:
            begin = time.monotonic()
            clients = {name: connect(ports[name]) for name in services}
            for name, client in clients.items():
                client.sendall(b"hello")
                assert name == "delay" or client.recv(5) == b"hello"
            clock.jump(jump)
            expect_jump(ports, began, jump)
            for name, client in clients.items():
                assert read_to_end(client) == (b"HELLO" if name == "delay" else b""), name
                took = time.monotonic() - begin
                assert 0.9 < took < 1 + AT_ONCE, (jump, name, took)
                client.close()
        assert not daemon.said("stuck|died|throttled"), daemon.log.lines


@covers("F66")
@case("a bucket of cps fills by seconds that pass, and a session keeps its clients over a jump", limit=240)
def rates_and_sessions():
    with Daemon() as daemon:
        daemon.announce("throttled begin: slow: cps")
        clock, ports = start(daemon, {"echo": {}, "slow": {"cps": "1/s 1"}})
        began = seconds_told(ports)
        with connect(ports["echo"]) as stays:
            for jump in JUMPS:
                assert asks(stays, b"before") == b"before"
                begin = time.monotonic()
                assert exchange(ports["slow"], b"first") == b"first"
                clock.jump(jump)
                expect_jump(ports, began, jump)
                assert exchange(ports["slow"], b"second") == b"second"
                took = time.monotonic() - begin
                assert 0.9 < took < 1 + AT_ONCE, (jump, took)
                assert asks(stays, b"after") == b"after"
                time.sleep(1)
        daemon.check()


@covers("F66")
@case("log, board, reload and restarts of listeners go on over a jump; ages are ages", limit=240)
def all_goes_on():
    with Daemon() as daemon:
        daemon.announce("listener died")
        status = daemon.path("status")
        clock, ports = start(daemon, {"echo": {}, "status": {"handler": "status"}})
        began = seconds_told(ports)
        with connect(ports["echo"]) as client:
            assert asks(client, b"hello") == b"hello"
            for jump in JUMPS:
                clock.jump(jump)
                expect_jump(ports, began, jump)
                daemon.mark()
                daemon.kill(daemon.listener("echo"))
                daemon.expect("listener restarted: service echo")
                daemon.hang_up()
                assert exchange(ports["echo"], b"hello") == b"hello"
                daemon.expect("session end: echo .* [0-9]{1,2}[.][0-9]+ s$")
                code, text = daemon.control("list", "-S", f"127.0.0.1:{ports['status']}")
                assert code == 0 and re.search(r"127\.0\.0\.1", text), text
                code, text = daemon.control("status", "-S", f"127.0.0.1:{ports['status']}")
                assert code == 0 and re.search(r" up [\d.]+s ", text), text
                daemon.check()
        daemon.wait_sessions(0)


if __name__ == "__main__":
    run()
