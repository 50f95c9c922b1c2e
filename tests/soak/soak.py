"""Mixed load with reloads, upgrades, kills and a journal that stops, for as long as one likes.

SOAK_SECONDS is how long (1800), SOAK_REPORT a file for the figures in Markdown; TEST_SEED in the
environment repeats the order in which things befall the daemons.

Two daemons have the same lot, except that one of them is upgraded in place now and then and the
other keeps its process image to the end. They are sampled all the while (bath.py, faults.py,
figures.py); afterwards nothing may have grown, no client may have failed without a kill to explain
it, and no line of the log may be one that was not provoked.
"""

import json
import os
import subprocess
import sys
from collections import Counter

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))

from figures import Course, report
from tap import case, note, run

SECONDS = float(os.environ.get("SOAK_SECONDS", "1800"))
SEED = os.environ.get("TEST_SEED") or os.urandom(4).hex()
NAMES = ("upgraded", "kept")
results = []


@case("two daemons are soaked: every act has its outcome, and `check` is right", limit=SECONDS + 300)
def soak():
    note(f"TEST_SEED={SEED}")
    baths = [
        subprocess.Popen(
            [sys.executable, os.path.join(HERE, "bath.py"), name, str(SECONDS), SEED],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in NAMES
    ]
    try:
        for bath in baths:
            *lines, last = bath.communicate()[0].splitlines()
            note("\n".join(line.removeprefix("# ") for line in lines))
            if bath.returncode == 0:
                results.append(json.loads(last))
            else:
                note(last)
    finally:
        for bath in baths:
            bath.kill()
    outcomes()
    if "SOAK_REPORT" in os.environ:
        with open(os.environ["SOAK_REPORT"], "w", encoding="utf-8") as file:
            file.write(report(SECONDS, results))


def outcomes():
    """The results of the baths, all of them."""
    assert len(results) == len(NAMES), "a bath has failed"
    return results


@case("no client has failed but those whose process was killed")
def clients():
    for result in outcomes():
        assert sum(result["clients"].values()) > 20 * SECONDS, result["clients"]
        assert not result["unexplained"], result["unexplained"]


@case("the log has no line of warning or worse but those that were provoked")
def lines():
    for result in outcomes():
        assert not result["strange"], result["strange"]


@case("memory, mappings, descriptors and processes have not grown")
def flat():
    grown = {result["name"]: Course(result["samples"]).grown(SECONDS) for result in outcomes()}
    assert not any(grown.values()), grown


@case("when the clients have gone, the master has nothing open that it had not at first")
def descriptors():
    for result in outcomes():
        # The log's socket may be missing: it is connected again with the next line.
        more = Counter(result["after"]) - Counter(result["before"])
        assert not more, (result["name"], more)


if __name__ == "__main__":
    run()
