"""What is shown of many sessions, and of many that come and go, is what there is."""

import contextlib
import json
import os
import re
import resource
import signal
import statistics
import subprocess
import threading
import time

from clients import Load, asks, connect
from harness import Daemon, free_port
from processes import wait_until
from programs import FORKECHOCTL
from shown import OverUnix, Shown, sample
from tap import Skip, case, note, run, scaled

MANY = int(os.environ.get("TEST_SESSIONS", "1000"))
WINDOW = 1.0  # seconds for which a rate is counted
ID = re.compile(r"\d+-\d+")
CLIENT = re.compile(r"127\.0\.0\.1:\d+")


def listed(shown, *words):
    """What forkechoctl list prints."""
    done = subprocess.run(
        [FORKECHOCTL, "list", "-S", f"unix:{shown.path}", "--service", "echo", *words],
        capture_output=True,
        text=True,
        timeout=scaled(60),
        check=True,
    )
    return done.stdout


def seconds_of(look):
    begin = time.monotonic()
    look()
    return time.monotonic() - begin


def crowd(where):
    """So many connected clients that say nothing."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < MANY + 100:
        raise Skip(f"only {hard} descriptors may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return [connect(where, seconds=60) for _ in range(MANY)]


@case(f"of {MANY} sessions list, JSON and metrics show those that ss and ps know, at once", limit=240)
def many():
    with Daemon() as daemon:
        port = free_port()
        shown = Shown(daemon, {"echo": {"listen": f"127.0.0.1:{port}", "instances": MANY + 10,
                                        "backlog": 4096}}, graceful_timeout="0")
        clients = crowd(port)
        wait_until("all are there", lambda: shown.service()["live"] == MANY, seconds=120)
        sockets = subprocess.run(
            ["ss", "-Htn", "state", "established", "sport", "=", f":{port}"],
            capture_output=True, text=True, check=True).stdout.split("\n")[:-1]
        peers = {line.split()[3] for line in sockets}
        pids = set(daemon.sessions("echo"))
        assert len(peers) == len(pids) == MANY, (len(peers), len(pids))
        rows = json.loads(listed(shown, "--json"))
        for found in (rows, shown.sessions()):
            assert {row["client"] for row in found} == peers
            assert {row["pid"] for row in found} == pids
            assert len({row["id"] for row in found}) == MANY and not any(r["torn"] for r in found)
        lines = listed(shown).splitlines()[1:]
        assert {line.split()[2] for line in lines} == peers and len(lines) == MANY
        assert shown.metrics()[sample("sessions_live")] == MANY
        for name, look in {
            "list": lambda: listed(shown),
            "page": lambda: shown.get("/"),
            "page of all": lambda: shown.get("/?sessions=all"),
            "metrics": lambda: shown.get("/metrics"),
        }.items():
            times = []

            def is_quick(look=look, times=times):
                times.append(seconds_of(look))
                return min(times) < scaled(0.1)

            wait_until(f"{name} took less than 100 ms once", is_quick)
            note(f"{name}: {1000 * min(times):.0f} ms")
        for client in clients:
            client.close()
        wait_until("all have ended", lambda: shown.service()["ended"]["closed"] == MANY, seconds=60)
        daemon.check()


@contextlib.contextmanager
def asked_often(shown, times_a_second):
    """Somebody asks for the metrics so often. Yields how often that was."""
    stop, asked = threading.Event(), []

    def work():
        client = OverUnix(shown.path, timeout=scaled(60))
        while not stop.wait(1 / times_a_second):
            client.request("GET", "/metrics")
            asked.append(len(client.getresponse().read()))
        client.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield asked
    finally:
        stop.set()
        thread.join()


def rate(shown):
    """Clients accepted a second."""
    before, begin = shown.service()["accepted"], time.monotonic()
    time.sleep(WINDOW)
    return (shown.service()["accepted"] - before) / (time.monotonic() - begin)


@case(f"/metrics 20 times a second, with {MANY} sessions, leaves accepting 0.8 of its rate", limit=240)
def while_accepting():
    with Daemon() as daemon:
        port = free_port()
        shown = Shown(daemon, {"echo": {"listen": f"127.0.0.1:{port}", "instances": MANY + 100,
                                        "backlog": 4096}}, graceful_timeout="0", log_level="notice")
        clients = crowd(port)
        wait_until("all are there", lambda: shown.service()["live"] == MANY, seconds=120)
        alone, beside, shares = [], [], []
        with Load("steady", port, 8) as load:
            # In turn, so that whatever else the machine does befalls both.
            # On one that is busy, five times do not say much.
            while len(shares) < 5 or len(shares) < 25 and statistics.median(shares) < 0.8:
                alone.append(rate(shown))
                with asked_often(shown, 20) as asked:
                    beside.append(rate(shown))
                if len(asked) >= 10 * WINDOW:
                    shares.append(beside[-1] / alone[-1])
            result = load.finish()
        note(f"{statistics.median(alone):.0f} a second alone, {statistics.median(beside):.0f} beside")
        assert statistics.median(shares) >= 0.8, (alone, beside)
        assert result.answered and not result.lost, result
        for client in clients:
            client.close()


class Looker:
    """Looks at the sessions as fast as it can, and judges each look."""

    def __init__(self, shown):
        self.shown, self.looks, self.rows, self.wrong = shown, 0, 0, []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.work)
        self.accepted = self.ended = 0

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def work(self):
        try:
            while not self.stop.is_set():
                self.judge(self.shown.json("?service=echo"))
        except Exception as why:  # told by the case
            self.wrong.append(repr(why))

    def judge(self, document):
        (service,), rows = document["services"], document["sessions"]
        self.looks += 1
        self.rows += len(rows)
        ended = sum(service["ended"].values())
        self.expect(service["accepted"] >= self.accepted and ended >= self.ended, service)
        self.accepted, self.ended = service["accepted"], ended
        self.expect(len({row["id"] for row in rows}) == len(rows), rows)
        for row in rows:
            # A client of the load says once "client N says hello" and is answered.
            self.expect(not row["torn"] and ID.fullmatch(row["id"])
                        and CLIENT.fullmatch(row["client"])
                        # Between the fork and the moment in which it is written down.
                        and (row["pid"] > 1 or row["pid"] == 0 and row["age_s"] < scaled(10))
                        and row["bytes_out"] <= row["bytes_in"] < 40 and row["turns"] <= 1
                        and 0 <= row["idle_s"] <= row["age_s"] + 0.01 < scaled(60), row)

    def expect(self, good, what):
        if not good and len(self.wrong) < 5:
            self.wrong.append(what)


# Of the session that a listener had just waited for when it was killed, nobody can tell how it ended.
UNTOLD = "session error: echo .*: unknown exit status"


def come_and_go(**keys):
    with Daemon() as daemon:
        daemon.announce("listener died")
        if "process_model" not in keys:
            daemon.announce(UNTOLD)
        port = free_port()
        shown = Shown(daemon, {"echo": dict({"listen": f"127.0.0.1:{port}", "backlog": 4096}, **keys)},
                      log_level="notice")
        begin = time.monotonic()
        with Load("steady", port, 16) as load:
            with Looker(shown) as looker:
                for turn in range(6):
                    time.sleep(1)
                    if turn in (1, 4):
                        services = dict(shown.services)
                        services["echo"] = dict(services["echo"], session_timeout=f"{turn}h")
                        daemon.configure(services, daemon=shown.options)
                        daemon.reload()
                    elif turn == 2:
                        killed = daemon.listener("echo")
                        daemon.kill(killed, signal.SIGKILL)
                        daemon.expect(r"listener died")
            result = load.finish()
        daemon.log.catch_up()
        untold = [line for line in daemon.log.lines if re.search(UNTOLD, line)]
        assert len(untold) <= 1, untold
        seconds = time.monotonic() - begin
        note(f"{result}; {result.answered / seconds:.0f} sessions a second;"
             f" {looker.looks} looks, {looker.rows} rows")
        assert not looker.wrong, looker.wrong
        assert looker.looks >= 10 and looker.rows > 0 and result.answered >= 100, result
        wait_until("all is quiet", lambda: shown.service()["live"] == 0)
        wait_until("one generation is left", lambda: shown.service()["generations"] == 1)
        service = shown.service()
        assert service["accepted"] == sum(service["ended"].values()), service
        assert service["accepted"] >= result.answered, (service, result)
        # With the listener go those whom it had accepted and not yet handed to a process.
        assert result.lost <= 16, result
        with connect(port) as client:
            assert asks(client, b"still") == b"still"
            service = shown.service()
            assert service["accepted"] == 1 + sum(service["ended"].values()), service
        wait_until("all is quiet", lambda: shown.service()["live"] == 0)
        daemon.check()


@case("sessions come and go by the thousand: no torn row, no count goes back, and in the end"
      " accepted = ended, over reloads and a listener's death", limit=240)
def forked():
    come_and_go()


@case("the same with a pool whose workers serve many clients each", limit=240)
def pooled():
    come_and_go(process_model="prefork", max_requests=50)


if __name__ == "__main__":
    run()
