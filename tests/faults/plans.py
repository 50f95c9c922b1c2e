"""What is served, asked and answered in the lives of life.py."""

import re
import signal

GET = b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Plan:
    """What is served before and after the reload, what the clients send, and what they may get: by
    whether the new configuration is in force. The words of a `listen` are addresses of a life (tcp-1,
    unix-1; systemd:web is passed). `adds` is whether it only adds to the plans before it (sweep.py); `only` names the processes
    that do in it what none does in another; `systemd` whether a service manager started the daemon."""

    def __init__(self, before, after, requests, answers, *, by_control=False, detached=False,
                 reload=signal.SIGHUP, adds=False, only=None, systemd=False):  # fmt: skip
        self.before, self.after = before, after
        self.requests, self.answers = requests, [re.compile(answer, re.S) for answer in answers]
        self.by_control, self.detached, self.reload = by_control, detached, reload
        self.adds, self.only, self.systemd = adds, only, systemd
        self.log = "syslog" if detached else "journal" if systemd else "stderr"

    @staticmethod
    def doors(services):
        """The addresses that these services listen on."""
        return [word for options in services.values() for word in options["listen"].split()]

    def configurations(self):
        """The old and the new one: name, services, and what they answer."""
        return zip(("old", "new"), (self.before, self.after), self.answers)


def echo(listen="tcp-1", **options):
    """One service alone."""
    return {"echo": dict(options, listen=listen)}


POOL = {"process_model": "prefork", "start_servers": 1, "min_spare": 1, "max_spare": 1,
        "max_requests": 1}
HELLO = ([b"Hello\r\n"] * 2, [b"Hello\r\n", b"HELLO\r\n"])
ECHO = (echo(handler="echo"), echo(handler="upper"), *HELLO)
BULK = 1 << 20  # enough for handler echo to take another way (echo.c)
LIMIT = b'HTTP/1.1 200 .*(</html>\n$|sessions_limit{service="echo"} %d\n)'
LOCAL = "tcp-1 unix-1"
PLANS = {
    # The reload changes both services, of which each loses or gets an address; the last child is the
    # second one's new listener.
    "move": Plan({"echo": {"handler": "echo", "listen": "tcp-1 unix-1"},
                  "other": {"handler": "echo", "listen": "tcp-2"}},
                 {"echo": {"handler": "upper", "listen": "tcp-1 tcp-3"},
                  "other": {"handler": "upper", "listen": "tcp-2 unix-2"}}, *HELLO,
                 only=["master", "child-6"]),
    "fork": Plan(*ECHO),
    "prefork": Plan(echo(handler="echo", **POOL), echo(handler="upper", **POOL), *HELLO),
    "http": Plan(echo(handler="http", body="old"), echo(handler="http", body="new"),
                 [GET % b"/"] * 2, [b"HTTP/1.1 200 .*old", b"HTTP/1.1 200 .*new"], by_control=True),
    "status": Plan(echo(handler="status", instances=7), echo(handler="status", instances=9),
                   [GET % b"/", GET % b"/metrics"], [LIMIT % 7, LIMIT % 9]),
    "bulk": Plan(echo(handler="echo"), echo(handler="upper"), [b"x" * BULK] * 2,
                 [b"x{%d}$" % BULK, b"X{%d}$" % BULK], adds=True),
    "detached": Plan(echo(LOCAL, handler="echo"), echo(LOCAL, handler="upper"), *HELLO, detached=True,
                     adds=True),
    "systemd": Plan(echo("systemd:web tcp-1", handler="echo"), echo("systemd:web tcp-2", handler="upper"),
                    *HELLO, adds=True, systemd=True),
    "upgrade": Plan(*ECHO, reload=signal.SIGUSR2, adds=True),
}  # fmt: skip
