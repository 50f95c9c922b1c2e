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


def pages():
    folder = os.path.join(TOP, "man")
    found = sorted(os.path.join(folder, name) for name in os.listdir(folder)
                   if re.search(r"\.[1-8]$", name))
    assert len(found) >= 2, found
    return found


def mandoc(*arguments):
    """What it says of all pages."""
    if not shutil.which("mandoc"):
        raise Skip("mandoc is not installed")
    return subprocess.run(["mandoc", *arguments, *pages()], text=True, encoding="utf-8",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


@case("each literal in a manual has a line of its own: two on one would be quoted one in the other")
def literals():
    for page in pages():
        with open(page, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                several = line.startswith(".") and len(re.findall(r"\bQl\b", line)) > 1
                assert not several, f"{os.path.basename(page)}:{number}: {line}"


@case("mandoc finds nothing to warn of in any manual")
def lint():
    result = mandoc("-Tlint", "-W", "warning")
    assert result.returncode == 0, result.stdout


@case("no manual shows quotes within quotes of the same kind")
def quotes():
    text = re.sub(".\b", "", mandoc("-Tutf8").stdout)  # bold and underlined are typed twice
    assert "‘" in text and "’’" not in text, re.findall(".*’’.*", text)


if __name__ == "__main__":
    run()
