"""Every handler, found from the program's own list, in both process models: what a client is told.

    for service in services(machine, 4010): ...     name, handler, port, section
    ask(service.handler, f"127.0.0.1:{service.port}")
"""

import json
import re
import time
from collections import namedtuple

from clients import asks, connect, exchange, read_exactly

MODELS = {
    "fork": "",
    "prefork": "process_model = prefork\nstart_servers = 2\nmin_spare = 1\nmax_spare = 2\n",
}
FROM_1900_TO_1970 = 2208988800

Service = namedtuple("Service", "name handler port section")


def services(machine, first_port):
    """A service of each handler and model, on ports from the first on; `section` has no address."""
    listed = machine.out("forkechod --help | sed -n '/^Handlers:/,/^$/s/^  \\([a-z]*\\) .*/\\1/p'")
    pairs = [(handler, model) for handler in listed.split() for model in MODELS]
    assert len(pairs) > 2, listed
    return [
        Service(f"{handler}-{model}", handler, first_port + number,
                f"[service {handler}-{model}]\nhandler = {handler}\n{MODELS[model]}")
        for number, (handler, model) in enumerate(pairs)
    ]


def _http(where, path):
    """The body of an answer that has to be good."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    head, body = exchange(where, request.encode()).split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200 OK"), head
    return body


def _message(sent, wanted):
    def sends_back(where):
        with connect(where) as client:
            for _ in range(2):
                answer = asks(client, sent)
                assert answer == wanted, answer

    return sends_back


def _discard(where):
    answer = exchange(where, b"x" * 100000)
    assert answer == b"", answer


def _chargen(where):
    with connect(where) as client:
        lines = read_exactly(client, 2 * 74)
    printing = bytes(range(32, 127))
    assert lines == printing[:72] + b"\r\n" + printing[1:73] + b"\r\n", lines


def _daytime(where):
    line = exchange(where)
    assert re.fullmatch(rb"[A-Z][a-z]+, [A-Z][a-z]+ \d+, 20\d\d \d\d:\d\d:\d\d-UTC\r\n", line), line


def _time(where):
    answer = exchange(where)
    now = int.from_bytes(answer, "big") - FROM_1900_TO_1970
    assert len(answer) == 4 and abs(now - time.time()) < 5, answer


def _hello(where):
    body = _http(where, "/")
    assert body == b"Hello, world!\n", body
    assert _http(where, "/livez") == _http(where, "/readyz") == b"200 OK\n"


def _status(where):
    shown = json.loads(_http(where, "/status.json"))
    assert "echo" in [service["name"] for service in shown["services"]], shown
    assert _http(where, "/metrics").endswith(b"\n# EOF\n")
    assert b"<html" in _http(where, "/")


_ASK = {
    "echo": _message(b"hello", b"hello"),
    "upper": _message(b"hello", b"HELLO"),
    "next": _message(b"HAL", b"IBM"),
    "discard": _discard,
    "chargen": _chargen,
    "daytime": _daytime,
    "time": _time,
    "http": _hello,
    "status": _status,
}


def ask(handler, where):
    """Fails when the handler does not answer as it should; one that is not known here fails too."""
    assert handler in _ASK, f"there is no test of the handler {handler}"
    _ASK[handler](where)
