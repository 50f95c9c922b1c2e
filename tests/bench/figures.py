"""Measuring: loads on servers, in turns, and what their figures say of each other."""

import contextlib
import json
import signal
import statistics
import subprocess
import threading
import time

import processes
from programs import FORKECHO

KTHREADD = 2
SOURCES = 250  # addresses that clients come from
MONITOR = "kdamond"  # the kernel's thread that monitors memory (DAMON), where that is set up
SLICE = 0.02  # s
STOLEN = 0.02  # of the processors: what a virtual machine's host may take during a turn


def processor_times():
    """In ticks: the processors' time, and what of it the host of a virtual machine has taken for
    others (proc(5): steal)."""
    with open("/proc/stat", encoding="ascii") as file:
        times = [int(word) for word in file.readline().split()[1:9]]
    return sum(times), times[7]


class Slices(threading.Thread):
    """Beside a load, looks every SLICE seconds at how many clients have come, and at how long the
    kernel's MONITOR has run or wanted to: it goes through the mappings of each page in all
    processes, and whoever forks or ends waits for it meanwhile."""

    def __enter__(self):
        self.monitors = [thread.pid for thread in processes.descendants(KTHREADD)
                         if thread.comm.startswith(MONITOR)]
        self.looks, self.over = [], threading.Event()
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()

    def run(self):
        while not self.over.wait(SLICE):
            self.looks.append((time.monotonic(), self.clients(), self.monitored()))

    @staticmethod
    def clients():
        with open("/proc/net/snmp", encoding="ascii") as file:
            names, values = [line.split() for line in file if line.startswith("Tcp:")]
        return int(values[names.index("PassiveOpens")])

    def monitored(self):
        total = 0
        for thread in self.monitors:
            with open(f"/proc/{thread}/schedstat", encoding="ascii") as file:
                total += sum(map(int, file.read().split()[:2]))
        return total / 1e9

    def monitor_share(self):
        """Of a processor."""
        first, last = self.looks[0], self.looks[-1]
        return (last[2] - first[2]) / (last[0] - first[0])

    def quiet_rate(self):
        """Clients a second in the slices in which, and beside which, the monitor slept; None if they
        are too few. Those before the first client, and after the last, are of no load."""
        steps = [tuple(b - a for a, b in zip(*pair)) for pair in zip(self.looks, self.looks[1:])]
        busy = [at for at, (_, clients, _) in enumerate(steps) if clients > 0]
        steps = steps[busy[0] + 1:busy[-1]] if busy else []
        still = [monitored < 0.01 * SLICE for _, _, monitored in steps]
        quiet = [steps[at] for at in range(1, len(steps) - 1) if all(still[at - 1:at + 2])]
        if len(quiet) < 5:
            return None
        seconds, clients, _ = map(sum, zip(*quiet))
        return clients / seconds


def load(server, mode, *options, may_fail=False):
    """One run of `forkecho bench`: its JSON, and the server's processor time beside it."""
    before = server.cpu_seconds()
    done = subprocess.run(
        [FORKECHO, "bench", mode, "--json", "-S", str(SOURCES), *map(str, options), *server.where],
        capture_output=True,
        text=True,
    )
    if done.returncode not in ((0, 1) if may_fail else (0,)):
        raise RuntimeError(f"{server.name}, {mode}: {done.stderr}{done.stdout[-1500:]}")
    result = json.loads(done.stdout)
    result["cpu_s"] = server.cpu_seconds() - before
    return result


def rate(result):
    return result["requests_per_s"]


def p50(result):
    return result["latency_us"]["p50"]


def cpu_a_request(result):
    """Of crr, where each has a connection; those of the warm-up are in both figures."""
    return result["cpu_s"] / result["connections"]


def cpu_a_gigabyte(result):
    return result["cpu_s"] / result["bytes"] * 1e9


def refused_rate(result):
    """Clients a second that the server turned away; those of a warm-up would be among them."""
    return sum(result["failed"].values()) / result["seconds"]


@contextlib.contextmanager
def holding(server, count):
    """So many connections to the server are open and idle, each after one message. In the end its
    processes are as many as before."""
    if count == 0:
        yield
        return
    before = len(server.pids())
    client = subprocess.Popen(
        [FORKECHO, "bench", "hold", "--json", "-S", str(SOURCES), "-c", str(count), "-i", "1h",
         "-W", "60s", *server.where],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = client.stderr.readline()
    try:
        if "are held" not in line:
            raise RuntimeError(f"{server.name} does not hold {count}: {line}{client.communicate()}")
        yield
    finally:
        client.send_signal(signal.SIGINT)
        client.communicate()
        deadline = time.monotonic() + 60
        while len(server.pids()) > before and time.monotonic() < deadline:
            time.sleep(0.1)


def memory_a_session(server, count):
    before = server.memory()
    with holding(server, count):
        return (server.memory() - before) / count


class Comparison:
    """Figures of several subjects, taken in turns, so that what changes on the machine meanwhile
    changes them all. `repeated` turns are not among them, because the host took the processors."""

    def __init__(self, names):
        self.values = {name: [] for name in names}
        self.repeated = 0

    def part(self, index):
        """Of figures that are tuples, one each; turns that lack it are left out."""
        part = Comparison(self.values)
        for turn in zip(*self.values.values()):
            values = [figures[index] for figures in turn]
            if None not in values:
                for name, value in zip(self.values, values):
                    part.values[name].append(value)
        return part

    def median(self, name):
        return statistics.median(self.values[name])

    def ratio(self, name, other):
        """The ratio of the medians."""
        return self.median(name) / self.median(other)

    def spread(self, name, other):
        """The lowest and the highest ratio of two figures of one turn."""
        ratios = [a / b for a, b in zip(self.values[name], self.values[other])]
        return min(ratios), max(ratios)


def in_turns(rounds, subjects):
    """`subjects`: name → a function that measures once. A B A B …; returns a Comparison. A turn that
    the host disturbed is repeated, as long as those are not more than the others."""
    comparison = Comparison(subjects)
    done = 0
    while done < rounds:
        before = processor_times()
        turn = {name: measure() for name, measure in subjects.items()}
        passed, stolen = (now - then for now, then in zip(processor_times(), before))
        if stolen > STOLEN * passed and comparison.repeated < rounds:
            comparison.repeated += 1
            continue
        for name, value in turn.items():
            comparison.values[name].append(value)
        done += 1
    return comparison
