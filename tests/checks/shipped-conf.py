#!/usr/bin/python3
"""etc/forkechod.conf against options.def: every key, its explanation and its default, and no other."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))

from options import options, read
from tap import case, run

SECTIONS = {"DAEMON": "daemon", "SERVICE": "defaults", "ONLY": "service echo"}
SERVED = {"handler": "echo", "listen": "127.0.0.1:7 [::1]:7"}
STATUS = {"handler": "status", "listen": "unix:/run/forkechod/status", "socket_mode": "0600",
          "instances": "16"}
BESIDE = {"listen": "7"}  # the second choice, as a comment


def parts():
    """(section, theme, key, value, commented out?, explanation) of each setting."""
    section = theme = None
    words = []
    for line in read("etc/forkechod.conf").splitlines():
        setting = re.fullmatch(r"(#?)([a-z_0-9]+) =(?: (.*))?", line)
        if match := re.fullmatch(r"\[(.*)\]", line):
            section, theme, words = match.group(1), None, []
        elif match := re.fullmatch(r"## (.*)", line):
            theme, words = match.group(1), []
        elif setting:
            yield (section, theme, setting.group(2), setting.group(3) or "",
                   setting.group(1) == "#", " ".join(words))
        elif match := re.fullmatch(r"# (.*)", line):
            words.append(match.group(1))
        elif line == "":
            words = []
        else:
            assert line == "#" and section is None, f"not understood: {line!r}"


def expected():
    for scope, section in SECTIONS.items():
        for option in options():
            if option.scope == scope:
                served = scope == "ONLY" and option.name in SERVED
                yield (section, option.theme, option.name,
                       SERVED[option.name] if served else option.preset, not served, option.help)


@case("the shipped file has every key of options.def, in its order, with its default and its help")
def complete():
    found = [part for part in parts()
             if part[3] != BESIDE.get(part[2]) and part[0] != "service status"]
    wanted = list(expected())
    for have, want in zip(found, wanted):
        assert have[:-1] == want[:-1], f"{have[:-1]} where {want[:-1]} should stand"
        assert have[-1].startswith(want[-1]), f"{want[2]}: {have[-1]!r} should be {want[-1]!r}"
    assert len(found) == len(wanted), (len(found), len(wanted))


@case("the line for all addresses stands beside the one for this machine")
def beside():
    found = [part[3:5] for part in parts() if part[2] == "listen" and part[0] == "service echo"]
    assert found == [("7", True), (SERVED["listen"], False)], found


@case("the status service is for root alone, and its keys have their own help")
def status_service():
    found = [part[2:] for part in parts() if part[0] == "service status"]
    helps = {option.name: option.help for option in options()}
    assert found == [(key, STATUS[key], False, helps[key]) for key in STATUS], found


if __name__ == "__main__":
    run()
