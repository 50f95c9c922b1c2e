"""make bench: forkechod beside plain loops and beside what Debian ships.

    bench.py [--quick] [--rounds N] [--seconds S] [--held N] [--output DIRECTORY] [CASE…]

Writes benchmarks.md and its plots into DIRECTORY (doc/ of the source), with --quick into
bench-quick/ of the build directory: that shows only that everything runs.
"""

import argparse
import collections
import contextlib
import datetime
import os
import platform
import sys

SOURCE = os.environ["top_srcdir"]
sys.path.insert(0, os.path.join(SOURCE, "tests/system"))

import plots
from figures import (
    MONITOR,
    SOURCES,
    STOLEN,
    Slices,
    cpu_a_gigabyte,
    cpu_a_request,
    holding,
    in_turns,
    load,
    memory_a_session,
    p50,
    rate,
    refused_rate,
)
from programs import BUILD
from servers import POOL, Forkechod, bare, bare_pool, peers

MANY = {"instances": 20000, "per_source": 1000}
PREFORK = {"process_model": "prefork", "start_servers": POOL, "min_spare": POOL, "max_spare": POOL}
CASES = []


def case(name, title, target):
    """Declares a case: what it compares, and what is to be reached, if anything."""

    def declare(function):
        CASES.append((name, title, target, function))
        return function

    return declare


class Run:
    """One call of this program: how long everything takes, and what came out."""

    def __init__(self, options):
        self.options, self.rows, self.plots, self.notes = options, [], {}, []
        self.turns = self.repeated = 0

    def load(self, server, mode, *words, warm=True, long=False, **kind):
        ms = self.options.seconds * (4000 if long else 1000)
        warmup = ["-w", f"{ms / 10:.0f}ms"] if warm else []
        return load(server, mode, "-d", f"{ms:.0f}ms", *warmup, *words, **kind)

    def few_rounds(self, part=5):
        """For what takes long to set up."""
        return max(1, self.options.rounds // part)

    def many_rounds(self):
        """For what has little room, or wavers: a wakeup takes 80 or 200 µs as the host has it."""
        return 3 * self.options.rounds

    def in_turns(self, rounds, subjects):
        comparison = in_turns(rounds, subjects)
        self.turns += rounds
        self.repeated += comparison.repeated
        return comparison

    def compare(self, servers, measure, rounds=None):
        """Starts the servers and measures them in turns."""
        with contextlib.ExitStack() as stack:
            running = [stack.enter_context(server) for server in servers]
            subjects = {server.name: (lambda server=server: measure(server)) for server in running}
            return self.in_turns(rounds or self.options.rounds, subjects)

    def conclude(self, comparison, unit, subject, other, title=None):
        """A row of the table: `main` puts the case's target before it, and its title for want of another."""
        low, high = comparison.spread(subject, other)
        self.rows.append(
            (title, other, unit, comparison.median(subject), comparison.median(other),
             comparison.ratio(subject, other), low, high)
        )


def bar_values(comparison):
    return {
        name: (comparison.median(name), min(values), max(values))
        for name, values in comparison.values.items()
    }


# ---- the cases ------------------------------------------------------------------------------------


def crr(run, count=8):
    return lambda server: rate(run.load(server, "crr", "-c", count))


@case("crr", "a connection a request, 8 at a time, session lines off", "≥ 1.00")
def crr_quiet(run):
    comparison = run.compare([Forkechod(), bare("fork")], crr(run))
    run.conclude(comparison, "requests/s", "forkechod", "bare fork")


@case("crr-lines", "the same with session lines on", "≥ 0.85")
def crr_lines(run):
    comparison = run.compare([Forkechod(lines=True), bare("fork")], crr(run))
    run.conclude(comparison, "requests/s", "forkechod", "bare fork")


@case("sandbox", "a connection a request with the sandbox, against the same without", "≥ 0.97")
def sandbox(run):
    comparison = run.compare([Forkechod(), Forkechod("sandbox off", sandbox="off")], crr(run))
    run.conclude(comparison, "requests/s", "forkechod", "sandbox off")


@case("crr-prefork", f"the same with {POOL} processes forked ahead that are used again", "≥ 0.90")
def crr_prefork(run):
    pool = Forkechod(max_requests=0, **PREFORK)
    comparison = run.compare([pool, bare_pool()], crr(run), run.many_rounds())
    run.conclude(comparison, "requests/s", "forkechod", "bare pool")


def used_once(run, rounds, *pace):
    pool = Forkechod(max_requests=1, **PREFORK)
    comparison = run.compare(
        [pool, bare("single")], lambda server: p50(run.load(server, "crr", "-c", 1, *pace)), rounds)
    run.conclude(comparison, "µs", "forkechod", "bare single")


@case("one", "a client now and then (300 a second), processes forked ahead and used once: median "
      "from when it was due to connect until the answer", "≤ 1.3")
def one_at_a_time(run):
    used_once(run, run.many_rounds(), "-r", "300")


@case("one-after-another", "the same with each client right behind the last: then there are more "
      "clients than forks to be had, and a fork is in every client's way", None)
def one_after_another(run):
    used_once(run, None)


@case("peers", "a connection a request, 8 at a time, against the best peer", "≥ 2.0")
def against_peers(run):
    def measure(server):
        result = run.load(server, "crr", "-c", 8, "-W", "1s", may_fail=server in others)
        lost[server.name] += sum(result["failed"].values())
        return rate(result)

    others, missing = peers()
    lost = collections.Counter()
    run.notes += missing
    if not others:
        return
    comparison = run.compare([Forkechod(), bare("fork"), *others], measure)
    run.notes += [f"{name} left {count} requests without an answer for a second" for name, count in lost.items() if count]
    run.plots["rate"] = plots.bars("Connections a second, 8 at a time", bar_values(comparison), "requests/s")
    best = max((server.name for server in others), key=comparison.median)
    run.conclude(comparison, "requests/s", "forkechod", best)


@case("rr", "requests of 64 bytes over 8 connections", "≥ 0.97")
def requests(run):
    def measure(server):
        result = run.load(server, "rr", "-c", 8)
        spectrum.setdefault(server.name, []).append(result["histogram"])
        return rate(result)

    spectrum = {}
    comparison = run.compare([Forkechod(), bare("fork")], measure, run.many_rounds())
    run.conclude(comparison, "requests/s", "forkechod", "bare fork")
    run.plots["latency"] = plots.lines(
        "Latency of requests over 8 connections",
        {name: distribution(histograms) for name, histograms in spectrum.items()},
        "µs", "% answered within", most=100)


def distribution(histograms):
    """The percentage that was answered within so many microseconds."""
    counts = {}
    for low, high, count in sum(histograms, []):
        counts[high] = counts.get(high, 0) + count
    total, sum_of, points = sum(counts.values()), 0, []
    for high in sorted(counts):
        sum_of += counts[high]
        points.append((high, 100 * sum_of / total))
    return points


@case("stream", "processor time of the server a gigabyte of echo", "≤ 0.65")
def stream(run):
    comparison = run.compare(
        [Forkechod(), bare("fork")],
        lambda server: cpu_a_gigabyte(run.load(server, "stream", "-c", 2, warm=False)))
    run.plots["cpu"] = plots.bars("Processor time of a gigabyte of echo", bar_values(comparison), "s")
    run.conclude(comparison, "s/GB", "forkechod", "bare fork")


@case("memory", "memory of an idle session", "≤ 1.1")
def memory(run):
    others, _ = peers()
    count = min(200, run.options.held)
    comparison = run.compare(
        [Forkechod(**MANY), bare("fork"), *others],
        lambda server: memory_a_session(server, count) / 1024,
        rounds=run.few_rounds())
    run.plots["memory"] = plots.bars("Memory of an idle session", bar_values(comparison), "KiB (PSS)")
    run.conclude(comparison, "KiB", "forkechod", "bare fork")


def rates_while_held(run, server, counts):
    """Figures by names such as "100 held": rate, rate while the kernel's monitor of memory slept,
    processor time of a request, and the monitor's share of a processor."""

    def at(count):
        def measure():
            with holding(server, count):
                with Slices() as slices:
                    # One that keeps all waiting may do so for seconds.
                    result = run.load(server, "crr", "-c", 8, long=True, may_fail=True)
            return rate(result), slices.quiet_rate(), cpu_a_request(result), slices.monitor_share()
        return measure

    with server:
        turns = run.in_turns(run.few_rounds(2), {f"{count} held": at(count) for count in counts})
    return map(turns.part, range(4))


MONITORED = ("{name}, the thread of a monitor of memory in this kernel (DAMON), took {many:.2f} of a processor "
             "while {count} connections were held ({few:.2f} with few). It goes through the mappings of each page in all "
             "processes, and holds the lock meanwhile without which none of them can fork or end")


@case("held", "a connection a request while many are held, against 100 held", "≥ 0.85")
def held(run):
    counts = [100]
    while counts[-1] * 10 <= run.options.held:
        counts.append(counts[-1] * 10)
    counts += [run.options.held] if counts[-1] < run.options.held else []
    few, many = f"{counts[0]} held", f"{counts[-1]} held"

    bare_whole, *_ = rates_while_held(run, bare("fork"), counts)
    whole, quiet, cpu, monitor = rates_while_held(run, Forkechod(**MANY), counts)
    run.conclude(whole, "requests/s", many, few)
    if monitor.median(many) > 0.01:
        if quiet.values[many]:
            run.conclude(quiet, "requests/s", many, few, "the same while the kernel's monitor of memory sleeps")
        run.notes.append(MONITORED.format(
            name=MONITOR, count=counts[-1], many=monitor.median(many), few=monitor.median(few)))
    run.notes.append(
        f"With {many}, a request costs forkechod {cpu.ratio(many, few):.2f} × the processor time that it costs "
        f"with {few}, and it answers {whole.median(many) / bare_whole.median(many):.1f} × the requests that the "
        "bare fork loop answers then")
    series = {"forkechod": whole, "bare fork": bare_whole}
    run.plots["held"] = plots.lines(
        "Connections a second while others are held",
        {name: [(count, figures.median(f"{count} held")) for count in counts] for name, figures in series.items()},
        "connections held", "requests/s")


def refusing(run, held=0, **keys):
    def measure(server):
        if server.name != "forkechod":
            return rate(run.load(server, "crr", "-c", 8, warm=False))
        with holding(server, held):
            return refused_rate(run.load(server, "crr", "-c", 8, warm=False, may_fail=True))

    comparison = run.compare([Forkechod(**keys), bare("single")], measure)
    run.conclude(comparison, "clients/s", "forkechod", "bare single")


@case("refused", "clients refused by no_access, against clients served by one process", "≥ 0.7")
def refused(run):
    refusing(run, no_access="127.0.0.0/8")


@case("refused-source", "the same refused by per_source, each address having its clients already", "≥ 0.7")
def refused_by_source(run):
    # Two, as who looks whether somebody answers is one of the first address's.
    refusing(run, held=2 * SOURCES, per_source=2, instances=3 * SOURCES)


# ---- the report ---------------------------------------------------------------------------------

HEAD = """# Benchmarks

Written by `make bench` on {date}: {cpus} processors, Linux {kernel}, {libc}; client and server on the same
machine, over the loopback, {rounds} rounds of {seconds} s in turns (A B A B …), three times as many for a
client now and then, for processes that are used again and for requests over 8 connections, a fifth of them
for memory, half of them, each four times as long, with held connections. Absolute figures are this machine's;
what counts are the ratios of the medians. Beside each stands the lowest and the highest ratio of a single
round. forkechod runs with its
sandbox, its board, process titles and the limits that it ships, but where connections are held `instances`
and `per_source` are raised; clients come from {sources} addresses in turn. The plain loops are in
`tests/bench/`; they and the daemon run from copies, as they would be installed. Every byte that came back was compared.

| case | against | wanted | ratio | lowest–highest | forkechod | the other | |
|---|---|---|---|---|---|---|---|
"""

def verdict(target, ratio):
    if target is None:
        return ""
    sign, wanted = target.split()
    return "yes" if (ratio >= float(wanted) if sign == "≥" else ratio <= float(wanted)) else "no"


PLOTS = {
    "rate": "Connections a second",
    "latency": "Latency of requests",
    "memory": "Memory of an idle session",
    "cpu": "Processor time of a gigabyte",
    "held": "Cost against the number of live sessions",
}


def write(run, directory):
    options = run.options
    text = HEAD.format(
        date=datetime.date.today(), cpus=os.cpu_count(), kernel=platform.release().split("-")[0],
        libc=" ".join(platform.libc_ver()), rounds=options.rounds, seconds=options.seconds,
        sources=SOURCES)
    for title, target, (other, unit, own, others, ratio, low, high) in run.rows:
        text += (
            f"| {title} | {other} | {target or '–'} | **{ratio:.2f}** | {low:.2f}–{high:.2f} | {plots.number(own)} {unit} "
            f"| {plots.number(others)} {unit} | {verdict(target, ratio)} |\n"
        )
    text += "".join(f"\n{note}.\n" for note in run.notes)
    os.makedirs(os.path.join(directory, "benchmarks"), exist_ok=True)
    for name, title in PLOTS.items():
        if name in run.plots:
            text += f"\n## {title}\n\n![{title}](benchmarks/{name}.svg)\n"
            with open(os.path.join(directory, f"benchmarks/{name}.svg"), "w", encoding="utf-8") as file:
                file.write(run.plots[name])
    with open(os.path.join(directory, "benchmarks.md"), "w", encoding="utf-8") as file:
        file.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--held", type=int)
    parser.add_argument("--output")
    parser.add_argument("cases", nargs="*", choices=[[], *(name for name, *_ in CASES)])
    options = parser.parse_args()
    quick = options.quick
    options.rounds = options.rounds or (1 if quick else 41)
    options.seconds = options.seconds or (0.2 if quick else 0.5)
    options.held = options.held or (200 if quick else 10000)
    directory = options.output or os.path.join(*((BUILD, "bench-quick") if quick else (SOURCE, "doc")))
    run = Run(options)
    for name, title, target, measure in CASES:
        if options.cases and name not in options.cases:
            continue
        print(f"==== {name}: {title}", flush=True)
        before = len(run.rows)
        measure(run)
        run.rows[before:] = [(special or title, target, row) for special, *row in run.rows[before:]]
        for _, _, (other, unit, own, others, ratio, low, high) in run.rows[before:]:
            print(f"{ratio:.2f} × {other} ({low:.2f}–{high:.2f}), wanted {target or 'nothing'}: "
                  f"{plots.number(own)} and {plots.number(others)} {unit}", flush=True)
    if run.repeated:
        run.notes.append(
            f"Besides these {run.turns} turns, {run.repeated} were measured and are not in the figures: "
            f"in them the host of this virtual machine took more than {STOLEN:.0%} of the processors for others")
    write(run, directory)
    print("\n".join([*run.notes, f"written: {directory}/benchmarks.md"]))


if __name__ == "__main__":
    main()
