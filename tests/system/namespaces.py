"""Runs a test in namespaces of its own, where it may do what elsewhere only root may.

    if __name__ == "__main__":
        namespaces.enter("--net")
        run()

and in a case namespaces.needed(), which skips it where they could not be made. Any user can make
them, unless the machine's administrator has forbidden it.
"""

import os
import subprocess
import sys

from harness import IS_ROOT
from tap import Skip

OUTCOME = "TEST_NAMESPACES"  # in the environment: "yes", or why not


def enter(*kinds):
    """Becomes this program again, in new namespaces of these kinds (options of unshare(1))."""
    if OUTCOME in os.environ:
        return
    own = ["unshare", *kinds, *([] if IS_ROOT else ["--map-current-user", "--keep-caps"])]
    trial = subprocess.run([*own, "true"], capture_output=True, text=True)
    os.environ[OUTCOME] = trial.stderr.strip() if trial.returncode else "yes"
    if trial.returncode == 0:
        os.execvp(own[0], [*own, sys.executable, *sys.argv])


def needed():
    """Skips the case where there are none."""
    if os.environ.get(OUTCOME) != "yes":
        raise Skip(f"no namespaces can be made here: {os.environ.get(OUTCOME)}")


def powerless():
    """What starts the daemon without the rights that a user has in his own namespaces."""
    return [] if IS_ROOT else ["setpriv", "--inh-caps=-all", "--ambient-caps=-all"]
