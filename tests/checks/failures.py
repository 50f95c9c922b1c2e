#!/usr/bin/python3
"""tests/FAILURES.md against the cases that say which of its rows they show."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))

from options import TOP, read
from tap import case, run

ROWS = [f"F{number:02}" for number in range(1, 67)]


def documented():
    """Row → where it is shown, or None where it does not apply."""
    rows = re.findall(r"^\| (F\d\d) \|(.*)\|$", read("tests/FAILURES.md"), re.MULTILINE)
    assert [row for row, _ in rows] == ROWS, [row for row, _ in rows]
    return {row: shown_in(row, cells.split(" | ")) for row, cells in rows}


def shown_in(row, cells):
    if len(cells) == 2 and re.match("— .{5,}", cells[1].strip()):
        return None
    assert len(cells) == 3 and all(cell.strip() for cell in cells), (row, cells)
    return set(cells[2].strip().split(", "))


def marked():
    """Row → files with a case that covers it, as the document names them."""
    found = {}
    for folder, prefix in (("system", ""), ("boot", "boot/")):
        for name in sorted(os.listdir(os.path.join(TOP, "tests", folder))):
            if not name.endswith(".py") or name == "tap.py":
                continue
            text = read(f"tests/{folder}/{name}")
            for rows in re.findall(r"^ *@covers\((.*)\)$", text, re.MULTILINE):
                for row in re.findall(r'"([^"]*)"', rows):
                    found.setdefault(row, set()).add(prefix + name.removesuffix(".py"))
    return found


@case("the list of failures is whole, and each of them has a case that shows it, or a reason")
def whole():
    wanted = {row: files for row, files in documented().items() if files is not None}
    found = marked()
    for row in sorted(set(wanted) | set(found)):
        assert wanted.get(row) == found.get(row), (row, wanted.get(row), found.get(row))


if __name__ == "__main__":
    run()
