"""What a daemon takes of the machine, again and again, and whether that stays as it is."""

import re
import statistics

from harness import IS_ROOT
from processes import descriptors, mappings, status

# Measure → what it may have grown by at the end: KiB and numbers. Memory is that of the process
# alone; pages of files and of the board come and go with the machine's. In a short bath the first
# upgrade, the first stall of the journal and the like come late.
ALLOWED = {"memory": 64, "mappings": 0, "descriptors": 1, "processes": 3}
ALLOWED_SHORT = {"memory": 2048, "mappings": 5, "descriptors": 5, "processes": 10}
LONG = 600  # seconds
ROWS = 4  # mappings of the board's rows: up to three, and one for reading where they are shown
KEPT = ("echo", "once", "http", "status", "unix")  # services whose listeners are never killed
TITLE = re.compile(r"forkechod: listener (\S+) ")


def measure(pid):
    """Of one process. What only root can see of it is left out for others."""
    facts = status(pid)
    found = {"memory": int(facts["RssAnon"].split()[0]), "resident": int(facts["VmRSS"].split()[0])}
    if IS_ROOT:
        found["descriptors"] = len(descriptors(pid))
        # Sessions' rows are parted, where children get a piece, and count as the most they may be.
        lines = mappings(pid)
        rows = sum("forkechod-sessions" in line for line in lines)
        found["mappings"] = len(lines) - rows + max(ROWS, rows)
    return found


def sample(daemon):
    """Of the master, of the listeners that stay, and of all processes together."""
    found = {"master": measure(daemon.pid)}
    # A session that was just forked still has its listener's title, and a later number.
    listeners = {}
    for process in sorted(daemon.processes("listener"), key=lambda one: one.pid, reverse=True):
        service = TITLE.match(process.title)
        if service and process.ppid == daemon.pid and "finishing" not in process.title:
            listeners[service.group(1)] = process.pid
    for service in KEPT:
        found[f"listener {service}"] = measure(listeners[service])
    found["all"] = {
        "processes": len(daemon.processes()) - len(daemon.sessions()),
        "sessions": len(daemon.sessions()),
    }
    return found


class Course:
    """Samples over time, and their floor: the least in each tenth of the time. What leaks lifts it;
    what is in use for a moment does not."""

    WINDOWS = 10
    SETTLED = 2  # windows after which the first floor is taken

    def __init__(self, samples):
        self.series = {}  # (what, measure) → values in order of time
        for _, parts in samples:
            for what, measures in parts.items():
                for name, value in measures.items():
                    self.series.setdefault((what, name), []).append(value)
        self.floors = {key: self._floors(values) for key, values in self.series.items()}

    def _floors(self, values):
        edges = [len(values) * part // self.WINDOWS for part in range(self.WINDOWS + 1)]
        return [min(values[begin:end]) for begin, end in zip(edges, edges[1:])]

    def growth(self, key):
        """By how much the last floor is above the settled one."""
        return self.floors[key][-1] - self.floors[key][self.SETTLED]

    def grown(self, seconds):
        """What has grown by more than it may have in so many seconds."""
        allowed = ALLOWED if seconds >= LONG else ALLOWED_SHORT
        growth = {key: self.growth(key) for key in self.series}
        return {key: grown for key, grown in growth.items()
                if grown > allowed.get(key[1], float("inf"))}

    def rows(self):
        """A table in Markdown: the floors, and what becomes of them."""
        shares = [f"{(part + 1) * 100 // self.WINDOWS} %" for part in range(self.WINDOWS)]
        yield from _row("least until", *shares, "median", "grown")
        yield from _row("---", *["---:"] * (self.WINDOWS + 2))
        for key in sorted(self.series):
            what, name = key
            unit = ", KiB" if name in ("memory", "resident") else ""
            median = f"{statistics.median(self.series[key]):g}"
            yield from _row(f"{what}: {name}{unit}", *self.floors[key], median, f"{self.growth(key):+d}")


def _row(*cells):
    yield "| " + " | ".join(map(str, cells)) + " |"


def report(seconds, results):
    """All that was seen, in Markdown."""
    lines = []
    for result in results:
        clients = ", ".join(f"{number} {kind}" for kind, number in sorted(result["clients"].items()))
        acts = ", ".join(f"{number} {name}" for name, number in sorted(result["acts"].items()))
        slowest = ", ".join(f"{name} {took:.2f} s" for name, took in sorted(result["slowest"].items()))
        lines += [
            f"## {result['name']}: {seconds / 60:g} minutes, {len(result['samples'])} samples",
            "",
            f"- clients: {sum(result['clients'].values())} ({clients})",
            f"- failed: {result['failed']}, of which {len(result['unexplained'])} without a kill to"
            f" explain it; processes killed: {result['kills']}",
            f"- the slowest answer to a short client: {slowest}; the test itself was once held up for"
            f" {result['delay']:.1f} s",
            f"- what befell it: {acts}",
            "",
            *Course(result["samples"]).rows(),
            "",
        ]
    return "\n".join(lines)
