"""Cases that mean the same with a fork for each client and with processes forked ahead.

    @case_of_both("what a user sees")
    def the_answer_comes_back(): ...

runs twice; every service of its daemons has the process model of the run.
"""

import functools

from harness import Daemon
from tap import case

MODELS = {
    "fork": {},
    # Enough for every case's clients, so that none waits for the pool to grow.
    "prefork": {"process_model": "prefork", "start_servers": 30, "max_spare": 30},
}


def case_of_both(name, limit=120):
    """Declares a test case for each process model."""

    def declare(function):
        for model, keys in MODELS.items():

            @functools.wraps(function)
            def of_model(keys=keys):
                Daemon.defaults = keys
                try:
                    function()
                finally:
                    Daemon.defaults = {}

            case(f"{name} ({model})", limit)(of_model)
        return function

    return declare
