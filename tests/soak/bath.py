"""One daemon being soaked, in a process of its own: bath.py upgraded|kept SECONDS SEED

Prints notes for the report while it goes on, and its result as the last line, in JSON.
"""

import json
import os
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))

import harness
from crowd import Crowd
from faults import PROVOKED, Patient
from figures import LONG, Course, sample
from harness import IS_ROOT, Daemon
from processes import descriptors
from programs import FORKECHOD
from sinks import Sink, wrapper
from tap import Skip, note


def start(daemon, upgrades, seed):
    """Starts it with a journal of its own, where that can be had."""
    daemon.program = daemon.path("forkechod")
    shutil.copy(FORKECHOD, daemon.program)
    harness.FORKECHOD = daemon.program
    daemon.announce(*PROVOKED)
    journal, place = None, ()
    try:
        place = wrapper("journal", daemon.path("journal"))
        journal = Sink(daemon, "journal")
    except Skip as why:
        note(f"{why}: the log goes to stderr, and does not stop")
    patient = Patient(daemon, journal, upgrades, seed)
    patient.configure()
    daemon.start(wrapper=place)
    daemon.log = journal or daemon.log
    return patient


def holdings(daemon):
    """What the master has open when nobody is there, by kind."""
    daemon.wait_sessions(0)
    daemon.check()
    looks = [None, open_kinds(daemon)]
    while looks[0] != looks[1]:  # who has just asked is still there for a moment
        time.sleep(0.2)
        looks = [looks[1], open_kinds(daemon)]
    return looks[1]


def open_kinds(daemon):
    return sorted(kind.split(":")[0] for kind in descriptors(daemon.pid).values()) if IS_ROOT else []


def soak(patient, seconds):
    """Everything befalls it for so long, and until every tenth has its sample; returns them."""
    pace, interval = (1, 10) if seconds >= LONG else (0.2, seconds / 60)
    samples, begin = [], time.monotonic()
    while (now := time.monotonic()) < begin + seconds or len(samples) < Course.WINDOWS:
        if now >= begin + len(samples) * interval:
            patient.daemon.check()
            samples.append((now - begin, sample(patient.daemon)))
        patient.befall()
        wake = max(time.monotonic(), now + pace)
        time.sleep(max(0, wake - time.monotonic()))
        patient.note_delay(time.monotonic() - wake)
    return samples


def strange_lines(daemon):
    """What the log should not have said. It is told with the result, which has more to say."""
    try:
        daemon.judge_log()
    except AssertionError as why:
        daemon.announce("")
        return str(why)
    return None


def main(name, seconds, seed):
    with Daemon() as daemon:
        patient = start(daemon, name == "upgraded", seed + name)
        before = holdings(daemon)
        with Crowd(patient.places, min(40, seconds / 20)) as crowd:
            samples = soak(patient, seconds)
            talk = crowd.finish()
        after = holdings(daemon)
        daemon.stop()
        strange = strange_lines(daemon)
        note(f"{name}: {talk}; {patient.killed} killed; {len(daemon.log.lines)} lines in the log")
    return {
        "name": name,
        "samples": samples,
        "before": before,
        "after": after,
        "clients": talk.counts,
        "failed": len(talk.failures),
        "lines": len(daemon.log.lines),
        "strange": strange,
        "unexplained": talk.unexplained(patient.losses),
        "slowest": talk.slowest,
        "kills": patient.killed,
        "acts": patient.done,
        "delay": patient.longest,
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], float(sys.argv[2]), sys.argv[3])))
