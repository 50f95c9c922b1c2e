"""A daemon with a status service, and what that shows.

    shown = Shown(daemon, {"echo": {"listen": "127.0.0.1:0"}})
    assert shown.service()["live"] == 0
    assert shown.metrics()[sample("sessions_live")] == 0
"""

import http.client
import json
import re

from clients import connect
from tap import note, scaled


class OverUnix(http.client.HTTPConnection):
    """A connection of HTTP over a Unix socket."""

    def __init__(self, path, **words):
        super().__init__("localhost", **words)
        self.path = path

    def connect(self):
        self.sock = connect(f"unix:{self.path}")


class Shown:
    """A daemon with services and a status service on a Unix socket, and what that shows."""

    def __init__(self, daemon, services, **daemon_options):
        self.daemon = daemon
        self.path = daemon.path("status")
        status = {"handler": "status", "listen": f"unix:{self.path} 127.0.0.1:0"}
        self.services = dict(services, status=status)
        self.options = daemon_options
        daemon.configure(self.services, daemon=daemon_options)
        daemon.start()

    def get(self, path="/", status=200, where=None, headers=None):
        """The body of an answer."""
        if where:
            client = http.client.HTTPConnection(where, timeout=scaled(60))
        else:
            client = OverUnix(self.path, timeout=scaled(60))
        client.request("GET", path, headers=headers or {})
        answer = client.getresponse()
        body = answer.read().decode()
        client.close()
        assert answer.status == status, (path, answer.status, body[:200])
        self.headers = answer.headers
        return body

    def json(self, query=""):
        return json.loads(self.get("/status.json" + query))

    def service(self, name="echo"):
        (found,) = self.json(f"?service={name}")["services"]
        return found

    def sessions(self, name="echo"):
        return self.json(f"?service={name}")["sessions"]

    def metrics(self):
        """{'name{labels}': value}; everything that any program may rely on is checked."""
        text = self.get("/metrics")
        assert self.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        return check_openmetrics(text)


def check_openmetrics(text):
    assert text.endswith("\n# EOF\n") and text.count("# EOF") == 1
    values, families, family = {}, {}, None
    for line in text.splitlines()[:-1]:
        if match := re.fullmatch(r"# TYPE (\w+) (\w+)", line):
            family = match.group(1)
            assert family not in families, f"{family} comes twice"
            families[family] = match.group(2)
        elif line.startswith("# "):
            assert re.fullmatch(rf"# (HELP|UNIT) {family} .+", line), line
            assert not line.startswith("# UNIT") or family.endswith("_" + line.split()[-1]), line
        else:
            match = re.fullmatch(r'(\w+)(\{(?:\w+="[^"\\\n]*",?)+\})? ([0-9.]+)', line)
            assert match, line
            name, labels, value = match.groups()
            suffixes = {"counter": "_total", "info": "_info", "histogram": "_(bucket|count|sum)"}
            assert re.fullmatch(family + suffixes.get(families[family], ""), name), line
            assert name + (labels or "") not in values, f"{line} comes twice"
            values[name + (labels or "")] = float(value)
    try:
        from prometheus_client.openmetrics import parser
    except ImportError:
        note("prometheus_client is not installed: only this test's own rules were applied")
    else:
        assert len(list(parser.text_string_to_metric_families(text))) == len(families)
    return values


def sample(name, service="echo", **labels):
    labels = "".join(f',{key}="{value}"' for key, value in labels.items())
    return f'forkechod_{name}{{service="{service}"{labels}}}'
