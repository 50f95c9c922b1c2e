"""src/conf/options.def as a list, for the checks that hold documents against it."""

import os
import re
from collections import namedtuple

TOP = os.environ.get("top_srcdir") or os.path.join(os.path.dirname(__file__), "..", "..")

Option = namedtuple("Option", "theme scope type name low high preset words reload help")


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return file.read()


def _fields(text):
    """The arguments of an OPTION line; strings lose their quotes, DAEMON_USER is the shipped one."""
    found = re.findall(r'"((?:[^"\\]|\\.)*)"|([A-Za-z_0-9]+)', text)
    return [string.replace("\\\\", "\\") if not word else "forkechod" if word == "DAEMON_USER" else word
            for string, word in found]


def options():
    """Every option, in the order of the list."""
    theme = None
    found = []
    for line in read("src/conf/options.def").splitlines():
        match = re.fullmatch(r"(THEME|OPTION)\((.*)\)", line)
        if not match:
            continue
        fields = _fields(match.group(2))
        if match.group(1) == "THEME":
            theme, = fields
        else:
            found.append(Option(theme, *fields))
    return found


def duration(milliseconds):
    """As forkechod -T writes it."""
    value = int(milliseconds)
    for unit, factor in (("h", 3600000), ("min", 60000), ("s", 1000), ("ms", 1)):
        if value and value % factor == 0:
            return f"{value // factor}{unit}"
    return "0"


def size(count):
    value = int(count)
    for unit, factor in (("G", 2**30), ("M", 2**20), ("K", 2**10)):
        if value and value % factor == 0:
            return f"{value // factor}{unit}"
    return str(value)
