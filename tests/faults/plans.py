"""What is served, asked and answered in the lives of life.py."""

import re
import signal

GET = b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Plan:
    """What is served before and after the reload, what the clients send, and what they may get: by
    whether the new configuration is in force. `adds` is whether it only adds to the plans before it
    (sweep.py)."""

    def __init__(self, before, after, requests, answers, *, by_control=False, detached=False,
                 reload=signal.SIGHUP, adds=False):  # fmt: skip
        self.before, self.after = before, after
        self.requests, self.answers = requests, [re.compile(answer, re.S) for answer in answers]
        self.by_control, self.detached, self.reload = by_control, detached, reload
        self.adds = adds


POOL = {"process_model": "prefork", "start_servers": 1, "min_spare": 1, "max_spare": 1,
        "max_requests": 1}
ECHO = ([b"Hello\r\n"] * 2, [b"Hello\r\n", b"HELLO\r\n"])
BULK = 1 << 20  # enough for handler echo to take another way (echo.c)
PLANS = {
    "fork": Plan({"handler": "echo"}, {"handler": "upper"}, *ECHO),
    "prefork": Plan(dict(POOL, handler="echo"), dict(POOL, handler="upper"), *ECHO),
    "http": Plan({"handler": "http", "body": "old"}, {"handler": "http", "body": "new"},
                 [GET % b"/"] * 2, [b"HTTP/1.1 200 .*old", b"HTTP/1.1 200 .*new"], by_control=True),
    "status": Plan({"handler": "status"}, {"handler": "status", "nice": 1},
                   [GET % b"/", GET % b"/metrics"],
                   [b"HTTP/1.1 200 .*(</html>|# EOF)\n"] * 2),
    "bulk": Plan({"handler": "echo"}, {"handler": "upper"}, [b"x" * BULK] * 2,
                 [b"x{%d}$" % BULK, b"X{%d}$" % BULK], adds=True),
    "detached": Plan({"handler": "echo"}, {"handler": "upper"}, *ECHO, detached=True,
                     adds=True),
    "upgrade": Plan({"handler": "echo"}, {"handler": "upper"}, *ECHO, reload=signal.SIGUSR2,
                    adds=True),
}  # fmt: skip
