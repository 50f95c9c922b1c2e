"""Test cases that report in TAP (the Test Anything Protocol), one line a case.

    from tap import Skip, case, run

    @case("what a user sees")
    def the_answer_comes_back():
        assert answer == sent, answer

    if __name__ == "__main__":
        run()

A case passes when it returns, fails when it raises or takes longer than its limit, and is skipped
when it raises Skip with the reason. `@covers("F05", "F32")` above a case puts those rows of
tests/FAILURES.md behind its name. `python3 tests/system/FILE.py WORD…` runs the cases whose name
contains one of the words; `-WORD` leaves out those that contain it. The exit status is 1 when a case
failed, or a word is in no name. TEST_SLOWNESS in the environment multiplies every time limit, for
builds that run slower than people's (sanitizers, valgrind).

The machine may stand still for a second at any moment, because others use it or its host does. So
what is only waited for has a limit far away, and a time that is promised is judged by expect_time():
a case that found it too long is tried again, since a machine spoils one try and a mistake all.
"""

import inspect
import os
import signal
import sys
import traceback

_cases = []
_slowness = float(os.environ.get("TEST_SLOWNESS", "1"))


class Skip(Exception):
    """Raised by a case that cannot be judged here; its text says why."""


def case(name, limit=120):
    """Declares a test case; it fails after `limit` seconds."""

    def declare(function):
        _cases.append((name, limit, function))
        return function

    return declare


def covers(*rows):
    """Says which rows of tests/FAILURES.md a case shows; it stands above @case."""

    def mark(function):
        own = [number for number, one in enumerate(_cases) if inspect.unwrap(one[2]) is function]
        assert own, f"@covers stands above @case, which {function.__name__} does not have"
        for number in own:
            name, *rest = _cases[number]
            _cases[number] = (f"{name} [{' '.join(rows)}]", *rest)
        return function

    return mark


def scaled(seconds):
    """A time limit as this build deserves it."""
    return seconds * _slowness


AT_ONCE = scaled(10)  # seconds: for what is only to be told from never
TRIES = 3


class Late(AssertionError):
    """Raised by a case that was right but for the time that something took."""


def expect_time(took, least, most, what=""):
    """Judges seconds that were measured; `most` and more is for the case to be tried again."""
    assert took >= least, f"{took:.3f} s of {least:g} s at least {what}"
    if took >= most:
        raise Late(f"{took:.3f} s, and not less than {most:g} s {what}")


def note(text):
    """A comment in the report, one `#` line for each line of the text."""
    for line in str(text).splitlines():
        print("#", line.encode("ascii", "backslashreplace").decode(), flush=True)


def _too_late(_signal, _frame):
    raise TimeoutError("the case took longer than its limit")


def _try(limit, function):
    for left in reversed(range(TRIES)):
        signal.setitimer(signal.ITIMER_REAL, scaled(limit))
        try:
            return function()
        except Late as why:
            if left == 0:
                raise
            note(f"once more: {why}")


def _judge(number, name, limit, function):
    try:
        _try(limit, function)
    except Skip as why:
        print(f"ok {number} - {name} # SKIP {why}", flush=True)
        return True
    except Exception:
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(f"not ok {number} - {name}", flush=True)
        note(traceback.format_exc())
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    print(f"ok {number} - {name}", flush=True)
    return True


def run():
    """Runs the declared cases in order and exits."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    without = [word[1:] for word in sys.argv[1:] if word.startswith("-")]
    for word in words + without:
        if not any(word in one[0] for one in _cases):
            sys.exit(f"no case has {word!r} in its name")
    chosen = [
        one
        for one in _cases
        if any(word in one[0] for word in words or [""]) and not any(word in one[0] for word in without)
    ]
    signal.signal(signal.SIGALRM, _too_late)
    print(f"1..{len(chosen)}", flush=True)
    results = [_judge(number, *entry) for number, entry in enumerate(chosen, 1)]
    sys.exit(0 if all(results) else 1)
