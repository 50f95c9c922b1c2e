"""The handler status: what it shows is what clients did, to the unit."""

import os
import re
import resource
import signal
import time

from clients import asks, connect, exchange
from harness import Daemon, forkechod, free_port
from manager import listening, passing
from processes import cpu_seconds, wait_until
from shown import OverUnix, Shown, sample
from tap import Skip, case, covers, expect_time, note, run, scaled

ALL_ENDS = ("closed complete quit idle lifetime stalled reset vanished stopped killed system crashed"
            " unknown stuck sandbox").split()
ALL_CAUSES = ("no_access per_source per_source_rate instances cps max_sessions descriptors processes"
              " network").split()
MANY = int(os.environ.get("TEST_SESSIONS", "1000"))


def expect_counts(service):
    """What holds of every service that is at rest."""
    assert service["accepted"] == service["live"] + sum(service["ended"].values()), service
    assert list(service["ended"]) == ALL_ENDS and list(service["refused"]) == ALL_CAUSES


@case("JSON and metrics have what clients did: how many, how much, and why they left")
def numbers():
    with Daemon() as daemon:
        shown = Shown(daemon, {"echo": {"listen": "127.0.0.1:0", "quit": "bye",
                                        "no_access": "127.0.0.9"}})
        where = daemon.addresses["echo"][0]
        for size in (1, 10, 100):
            assert exchange(where, b"x" * size) == b"x" * size
        exchange(where, b"bye")
        assert exchange(where, source="127.0.0.9") == b""
        with connect(where) as stays:
            assert asks(stays, b"12345") == b"12345"
            wait_until("four have ended", lambda: sum(shown.service()["ended"].values()) == 4)
            # A client may have its answer before that is counted.
            wait_until("the fifth waits", lambda: shown.sessions()[0]["state"] == "reading"
                       and shown.service()["live_bytes_out"] == 5)
            service = shown.service()
            expect_counts(service)
            assert service["listen"] == [where] and service["handler"] == "echo"
            assert (service["state"], service["process_model"]) == ("serving", "fork")
            assert (service["live"], service["instances"], service["generations"]) == (1, 256, 1)
            assert (service["accepted"], service["pool"]) == (5, None)
            assert (service["bytes_in"], service["bytes_out"]) == (114, 111)
            assert (service["live_bytes_in"], service["live_bytes_out"]) == (5, 5)
            assert service["ended"]["closed"] == 3 and service["ended"]["quit"] == 1
            assert service["refused"]["no_access"] == 1 and sum(service["refused"].values()) == 1
            (session,) = shown.sessions()
            assert session["client"] == "%s:%d" % stays.getsockname() and not session["torn"]
            assert (session["state"], session["bytes_in"], session["turns"]) == ("reading", 5, 1)
            assert re.fullmatch(r"\d+-\d+", session["id"]), session
            assert 0 <= session["idle_s"] <= session["age_s"] < scaled(60)
            compare_metrics(shown)
        daemon.expect(rf"session end: echo {session['client']} \[{session['pid']}\]")


def compare_metrics(shown):
    metrics, service = shown.metrics(), shown.service()
    for name, value in {
        "sessions_accepted_total": service["accepted"], "sessions_live": service["live"],
        "sessions_limit": service["instances"], "clients_waiting": service["waiting"],
        "workers": 0, "workers_idle": 0, "generations": service["generations"],
        "fork_failures_total": 0, "records_dropped_total": 0,
    }.items():
        assert metrics[sample(name)] == value, name
    for reason in ALL_ENDS:
        assert metrics[sample("sessions_ended_total", reason=reason)] == service["ended"][reason]
    for reason in ALL_CAUSES:
        assert metrics[sample("clients_refused_total", reason=reason)] == service["refused"][reason]
    for way in ("in", "out"):
        ended = metrics[sample("session_bytes_total", direction=way)]
        live = metrics[sample("session_live_bytes", direction=way)]
        assert (ended, live) == (service[f"bytes_{way}"], service[f"live_bytes_{way}"])
    buckets = [value for name, value in metrics.items()
               if name.startswith('forkechod_session_duration_seconds_bucket{service="echo"')]
    count = metrics[sample("session_duration_seconds_count")]
    assert len(buckets) == 10 and buckets == sorted(buckets), buckets
    assert buckets[-1] == count == sum(service["ended"].values())
    assert 0 < metrics[sample("session_duration_seconds_sum")] < scaled(60)
    assert metrics[sample("service_state", forkechod_service_state="serving")] == 1
    assert metrics['forkechod_life{forkechod_life="serving"}'] == 1


@case("the daemon's own line is there: version, process, uptime, life, log level, reloads")
def daemon_line():
    with Daemon() as daemon:
        shown = Shown(daemon, {"echo": {"listen": "127.0.0.1:0"}}, log_level="debug")
        wait_until("the level is shown", lambda: shown.json()["daemon"]["log_level"] == "debug")
        own = shown.json("?sessions=no")["daemon"]
        version = forkechod("--version").stdout.split()[1]
        assert (own["version"], own["pid"], own["life"]) == (version, daemon.pid, "serving"), own
        assert abs(own["started"] + own["uptime_s"] - time.time()) < 60, own
        assert own["max_sessions"] >= 4096 and own["reloads"] == 0, own
        assert (own["log_level_switched"], own["reload_rejected"]) == (False, False), own
        assert shown.metrics()[f'forkechod_build_info{{version="{version}"}}'] == 1


@case("no count goes back when a reload replaces a listener, or when one is killed")
def generations():
    with Daemon() as daemon:
        daemon.announce("listener died")
        shown = Shown(daemon, {"echo": {"listen": f"127.0.0.1:{free_port()}"}})
        where = daemon.addresses["echo"][0]
        with connect(where) as stays:
            assert asks(stays, b"a") == b"a"
            for _ in range(10):
                exchange(where, b"abc")
            daemon.configure(dict(shown.services, echo={"listen": where, "session_timeout": "1h"}),
                             daemon=shown.options)
            daemon.reload()
            exchange(where, b"abc")
            wait_until("eleven ended", lambda: sum(shown.service()["ended"].values()) == 11)
            assert shown.service()["generations"] == 2 and shown.service()["live"] == 1
            assert shown.sessions()[0]["client"] == "%s:%d" % stays.getsockname()
            assert shown.json()["daemon"]["reloads"] == 1
        wait_until("one generation", lambda: shown.service()["generations"] == 1)
        daemon.kill(daemon.listener("echo"), signal.SIGKILL)
        wait_until("it was replaced", lambda: exchange(where, b"xyz") == b"xyz")
        wait_until("all ended", lambda: sum(shown.service()["ended"].values()) == 13)
        service = shown.service()
        expect_counts(service)
        assert service["accepted"] == 13 and service["bytes_in"] == 11 * 3 + 1 + 3, service


@case("a service that a reload takes away is shown until its last client has gone")
def removed():
    with Daemon() as daemon:
        shown = Shown(daemon, {"echo": {"listen": "127.0.0.1:0"}})
        with connect(daemon.addresses["echo"][0]) as stays:
            assert asks(stays, b"a") == b"a"
            daemon.configure({"status": shown.services["status"]}, daemon=shown.options)
            daemon.reload()
            assert shown.service()["state"] == "gone" and len(shown.sessions()) == 1
        wait_until("it is gone", lambda: len(shown.json()["services"]) == 1)
        shown.get("/status.json?service=echo", 404)


@covers("F06")
@case("clients that wait in the kernel's queue are counted; of a Unix socket, whether there are any")
def waiting():
    with Daemon() as daemon:
        daemon.announce("throttled begin")
        path = daemon.path("socket")
        shown = Shown(daemon, {
            "echo": {"listen": "127.0.0.1:0", "instances": 1},
            "local": {"listen": f"unix:{path}", "instances": 1},
        })
        tcp = [connect(daemon.addresses["echo"][0]) for _ in range(4)]
        local = [connect(f"unix:{path}") for _ in range(4)]
        wait_until("three wait", lambda: shown.service()["waiting"] == 3)
        wait_until("some wait", lambda: shown.service("local")["waiting"] == 1)
        for client in tcp + local:
            client.close()
        wait_until("nobody waits", lambda: shown.service()["waiting"] == 0)


@case("addresses are shown as log_address says")
def addresses():
    for view, wanted in (("full", r"127\.0\.0\.1:\d+"), ("masked", r"127\.0\.0\.0"), ("none", "-")):
        with Daemon() as daemon:
            shown = Shown(daemon, {"echo": {"listen": "127.0.0.1:0"}}, log_address=view)
            with connect(daemon.addresses["echo"][0]) as client:
                assert asks(client, b"a") == b"a"
                (session,) = shown.sessions()
                assert re.fullmatch(wanted, session["client"]), (view, session)
                page = shown.get()
                assert ("127.0.0.1:%d<" % client.getsockname()[1] in page) == (view == "full")


@case("a query leaves out what is not wanted, and one that is none is refused")
def queries():
    with Daemon() as daemon:
        shown = Shown(daemon, {"echo": {"listen": "127.0.0.1:0"}})
        assert "sessions" not in shown.json("?sessions=no")
        only = shown.json("?service=status")
        assert [service["name"] for service in only["services"]] == ["status"]
        assert {session["service"] for session in only["sessions"]} == {"status"}
        for path in ("/status.json?sessions=maybe", "/status.json?x=y", "/?sessions", "/metrics?a=b",
                     "/status.json?service=", "/status.json?service=echo&service=echo"):
            shown.get(path, 400)
        shown.get("/status.json?service=nobody", 404)
        shown.get("/elsewhere", 404)
        assert shown.get("/livez") == shown.get("/readyz") == "200 OK\n"


@case("the page shows services and sessions, asks nobody else, and lets nothing else in")
def page():
    with Daemon() as daemon:
        shown = Shown(daemon, {"echo": {"listen": "127.0.0.1:0"}})
        clients = [connect(daemon.addresses["echo"][0]) for _ in range(3)]
        daemon.wait_sessions(3, "echo")
        text = shown.get()
        for client in clients:
            assert "%s:%d" % client.getsockname() in text
        assert re.search(r"<b>3</b> of 256", text)
        assert not re.search(r"(?:src|href|url)\W{0,3}(?:https?:)?//", text), "it is not self-contained"
        policy = shown.headers["Content-Security-Policy"]
        nonces = set(re.findall(r"nonce-(\w{32})", policy)) | set(re.findall(r'nonce="(\w*)"', text))
        assert "default-src 'none'" in policy and len(nonces) == 1, (policy, nonces)
        assert "frame-ancestors 'none'" in policy and "unsafe" not in policy, policy
        assert nonces != set(re.findall(r'nonce="(\w+)"', shown.get())), "the same word twice"


@case("the page has 200 sessions, the most recently active first, and all behind a link", limit=240)
def many_rows():
    with Daemon() as daemon:
        shown = Shown(daemon, {"echo": {"listen": "127.0.0.1:0"}})
        clients = [connect(daemon.addresses["echo"][0]) for _ in range(210)]
        daemon.wait_sessions(210, "echo")
        assert asks(clients[0], b"a") == b"a"
        first = shown.get("/?service=echo")
        assert first.count("<tr><th scope=\"row\">") == 200
        assert "%s:%d" % clients[0].getsockname() in first.split('<tr><th scope="row">')[1]
        assert 'href="/?sessions=all"' in first
        assert shown.get("/?sessions=all&service=echo").count("<tr><th scope=\"row\">") == 210
        for client in clients:
            client.close()
        daemon.wait_sessions(0, "echo")


@case("over TCP only this machine's own names are answered: no page from elsewhere can ask")
def foreign_host():
    with Daemon() as daemon:
        shown = Shown(daemon, {})
        where = [address for address in daemon.addresses["status"] if address[0] == "1"][0]
        port = where.rsplit(":", 1)[1]
        for host in ("localhost", f"LocalHost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}"):
            shown.get("/metrics", 200, where, {"Host": host})
        for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", "1.2.3.4.nip"):
            for path in ("/", "/status.json", "/metrics"):
                shown.get(path, 403, where, {"Host": host})
        shown.get("/metrics", 200, headers={"Host": "any.name"})  # the Unix socket
        services = dict(shown.services)
        services["status"] = dict(services["status"], remote_status="yes")
        daemon.configure(services)
        daemon.reload()
        where = [address for address in shown.service("status")["listen"] if address[0] == "1"][0]
        shown.get("/metrics", 200, where, {"Host": "monitor.example"})


@case("it listens where other machines can reach it only if the configuration says so")
def exposure():
    with Daemon() as daemon:
        for address in ("0.0.0.0:0", "[::]:0", "0", "127.0.0.1:0 192.0.2.1:7"):
            daemon.configure({"status": {"handler": "status", "listen": address}})
            done = forkechod("-t", "-c", daemon.file)
            assert done.returncode == 78 and "remote_status = yes" in done.stderr, done
        daemon.configure({"status": {"handler": "status", "listen": "0", "remote_status": "yes"}})
        assert forkechod("-t", "-c", daemon.file).returncode == 0
        daemon.configure({"status": {"handler": "status"}})
        with listening(("0.0.0.0", free_port())) as server:
            done = forkechod("-c", daemon.file, "-F", **passing({"status": [server]}))
            assert done.returncode == 78 and "remote_status = yes" in done.stderr, done
        with listening(free_port()) as server:
            daemon.start(**passing({"status": [server]}))


@case("forkechod -i has no daemon to show, and says so")
def one_client():
    done = forkechod("-i", "--handler", "status")
    assert done.returncode == 64 and "shows a running daemon" in done.stderr, done


@covers("F30")
@case("a reader that stops reading holds up nobody, and is given up after write_timeout")
def stalled_reader():
    with Daemon() as daemon:
        shown = Shown(daemon, {"echo": {"listen": "127.0.0.1:0"}})
        services = dict(shown.services)
        services["status"] = dict(services["status"], write_timeout="4s", tcp_user_timeout="0")
        daemon.configure(services)
        daemon.reload()
        with connect(f"unix:{shown.path}") as stalled:
            stalled.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
            for _ in range(10):
                shown.get("/metrics")
                assert exchange(daemon.addresses["echo"][0], b"a") == b"a"
            assert not daemon.said("write timeout"), daemon.said("write timeout")
            daemon.expect("session end: status .* write timeout")


@case("rates of the last minute follow what clients do", limit=240)
def rates():
    with Daemon() as daemon:
        shown = Shown(daemon, {"echo": {"listen": "127.0.0.1:0"}})
        wait_until("a first sample", lambda: shown.json()["daemon"]["uptime_s"] >= 1)
        for _ in range(100):
            exchange(daemon.addresses["echo"][0], b"x" * 1000)
        measured = {}

        def has_rates():
            measured.update(shown.service()["rates"])
            return measured["accepted_per_s"] > 1 and measured["bytes_per_s"] > 2000

        wait_until("a rate", has_rates)
        assert measured["accepted_per_s"] <= 20 and measured["refused_per_s"] == 0, measured
        assert measured["bytes_per_s"] <= 40000, measured


@case(f"with {MANY} sessions every page is right and fast, and /metrics costs little", limit=240)
def many_sessions():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < MANY + 100:
        raise Skip(f"only {hard} descriptors may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Daemon() as daemon:
        shown = Shown(daemon, {"echo": {"listen": "127.0.0.1:0", "instances": MANY + 10,
                                        "backlog": 4096}}, graceful_timeout="0")
        clients = [connect(daemon.addresses["echo"][0], seconds=60) for _ in range(MANY)]
        wait_until("all are there", lambda: shown.service()["live"] == MANY, seconds=120)
        names = {"%s:%d" % client.getsockname() for client in clients}
        assert {session["client"] for session in shown.sessions()} == names
        for path in ("/metrics", "/status.json", "/"):
            times = []

            def is_quick(path=path, times=times):
                begin = time.monotonic()
                shown.get(path)
                times.append(time.monotonic() - begin)
                return min(times) < scaled(0.1)

            wait_until(f"{path} took less than 100 ms once", is_quick)
            note(f"{path}: {1000 * min(times):.1f} ms")
        client = OverUnix(shown.path, timeout=scaled(60))
        client.request("GET", "/metrics")
        client.getresponse().read()
        (server,) = [pid for pid in daemon.sessions("status")]
        before = cpu_seconds(server)
        for _ in range(100):
            client.request("GET", "/metrics")
            client.getresponse().read()
        cost = (cpu_seconds(server) - before) / 100
        note(f"/metrics: {1000 * cost:.1f} ms of processor time")
        expect_time(cost, 0, scaled(0.01))
        client.close()
        for client in clients:
            client.close()
        wait_until("all have ended", lambda: shown.service()["ended"]["closed"] == MANY, seconds=60)
        expect_counts(shown.service())


if __name__ == "__main__":
    run()
