"""The programs that were built and are tested, and what they were built with."""

import os
import shlex
import sys

SOURCE = os.environ.get("top_srcdir") or os.path.dirname(os.path.dirname(sys.path[0]))
BUILD = os.environ.get("top_builddir") or os.getcwd()
FORKECHOD = os.path.join(BUILD, "src/forkechod")
FORKECHOCTL = os.path.join(BUILD, "src/ctl/forkechoctl")
FORKECHO = os.path.join(BUILD, "src/client/forkecho")
# For example: TEST_WRAPPER="valgrind --trace-children=yes --quiet"
WRAPPER = shlex.split(os.environ.get("TEST_WRAPPER", ""))

with open(os.path.join(BUILD, "config.h"), encoding="utf-8") as file:
    _config = file.read()
SANITIZED = "#define WITH_SANITIZERS" in _config
WITH_SYSTEMD = "#define HAVE_SYSTEMD" in _config
