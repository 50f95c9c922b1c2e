#!/usr/bin/python3
"""man/forkechod.conf.5 against options.def and the table of handlers, and its own markup."""

import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))

from options import TOP, duration, options, read, size
from tap import Skip, case, run

PAGE = "man/forkechod.conf.5"
BOUNDS = {"COUNT": str, "DURATION": duration, "SIZE": size}


def items():
    """(heading, name, last line) of each key in the page, in its order."""
    heading = name = last = None
    depth = 0  # of lists: a key's own text may hold one
    for line in read(PAGE).splitlines():
        if match := re.match(r"\.(Sh|Ss) (.*)", line):
            heading = match.group(2).lower()
        depth += line.startswith(".Bl ") - line.startswith(".El")
        match = depth == 1 and re.match(r"\.It Ic (\S+)", line)
        if name and (match or depth == 0):
            yield heading, name, last
            name = None
        if match:
            name = match.group(1)
        last = line


def summary(option):
    """What the page has to say of default and range."""
    parts = [option.preset.replace("\\", "\\e") or "empty"]
    if option.type in BOUNDS:
        low, high = (BOUNDS[option.type](bound) for bound in (option.low, option.high))
        parts.append(f"{low} to {high}")
    elif option.type == "CHOICE":
        parts.append("one of " + ", ".join(option.words.split("|")))
    if option.reload == "RESTART":
        parts.append("fixed at start")
    return "Default: " + "; ".join(parts) + "."


@case("the manual has every key, by theme, with its default, its range and when it changes")
def keys():
    found = list(items())
    wanted = [(option.theme.lower(), option.name, summary(option)) for option in options()]
    for have, want in zip(found, wanted):
        assert have == want, f"{have} where {want} should stand"
    assert len(found) == len(wanted), (len(found), len(wanted))


@case("the manual has every handler, as its own summary puts it")
def handlers():
    wanted = re.findall(r'HANDLER\((\w+), \w+, "(.*)"\)', read("src/service/handlers.c"))
    lines = read(PAGE).splitlines()
    found = [(line.removeprefix(".It Cm "), lines[number + 1]) for number, line in enumerate(lines)
             if line.startswith(".It Cm ")]
    assert wanted and found == wanted, (found, wanted)


@case("mandoc finds nothing to warn of in any manual")
def lint():
    if not shutil.which("mandoc"):
        raise Skip("mandoc is not installed")
    folder = os.path.join(TOP, "man")
    pages = sorted(os.path.join(folder, name) for name in os.listdir(folder)
                   if re.search(r"\.[1-8]$", name))
    result = subprocess.run(["mandoc", "-Tlint", "-W", "warning", *pages], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert len(pages) >= 2 and result.returncode == 0, result.stdout


if __name__ == "__main__":
    run()
