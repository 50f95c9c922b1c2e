"""Networks that are cut while clients are connected: the peer vanishes, and nothing says so.

The whole test runs in a network namespace of its own, which any user may make where the kernel lets
him; nftables drops there what clients send.
"""

import contextlib
import shutil
import subprocess
import time

import namespaces
from clients import asks, connect, exchange, read_exactly
from harness import Daemon, free_port
from tap import Skip, case, covers, expect_time, note, run, scaled

TIMEOUT = 2  # seconds: tcp_user_timeout


def nft(rules):
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)


@contextlib.contextmanager
def filtered(port, clients, verdict, ours="dport", theirs="sport"):
    """What these clients send to the port meets this verdict; or what they get from there."""
    sources = ", ".join(str(client.getsockname()[1]) for client in clients)
    nft(f"""
        table inet cut {{
            chain arriving {{
                type filter hook input priority filter; policy accept;
                tcp {ours} {port} tcp {theirs} {{ {sources} }} {verdict}
            }}
        }}""")
    try:
        yield
    finally:
        nft("delete table inet cut")


@contextlib.contextmanager
def serving(**keys):
    """A daemon in the namespace, and the port of its echo."""
    namespaces.needed()
    if not shutil.which("nft"):
        raise Skip("nftables is not installed")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with Daemon() as daemon:
        # Were they counted, it would take them.
        daemon.announce("configuration warning: .*keepalive_probes: without effect")
        port = free_port()
        limits = {"write_timeout": "1s", "tcp_user_timeout": f"{TIMEOUT}s"}
        daemon.configure({"echo": dict(limits, listen=f"127.0.0.1:{port}", **keys)})
        daemon.start(wrapper=namespaces.powerless())
        yield daemon, port


def connected(crowd, port, count):
    clients = [crowd.enter_context(connect(port)) for _ in range(count)]
    for client in clients:
        client.sendall(b"hello")
    for client in clients:
        assert read_exactly(client, 5).lower() == b"hello"
    return clients


def expect_lost(daemon, count, begin, limit):
    """So many are given up, and not before the timeout is over since `begin`, when all of them were
    still to be heard. Returns what expect_time is to judge: by that limit in seconds from now on,
    and one more."""
    cut = time.monotonic()
    daemon.expect("session end: echo .*: peer vanished", count=count)
    now = time.monotonic()
    note(f"the last of {count} was given up after {now - cut:.2f} s")
    daemon.expect_no_zombie()
    daemon.check()
    assert now - begin > TIMEOUT - 0.1, now - begin
    return now - cut, 0, limit + scaled(1)


@covers("F33")
@case("twenty clients vanish with answers under way: gone after tcp_user_timeout; the others stay")
def with_bytes():
    # The answers leave when the network is cut already.
    with serving(handler="upper", delay="2s") as (daemon, port), contextlib.ExitStack() as crowd:
        stays, *vanish = connected(crowd, port, 21)
        begin = time.monotonic()
        for client in vanish:
            client.sendall(b"is there anybody?")
        with filtered(port, vanish, "drop"):
            took = expect_lost(daemon, len(vanish), begin, 2 + TIMEOUT)
            assert asks(stays, b"still here") == b"STILL HERE"
            assert exchange(port, b"new") == b"NEW"
    expect_time(*took)


@covers("F33")
@case("twenty silent clients vanish: found out by probes, gone after tcp_user_timeout")
def in_silence():
    with serving(keepalive_time="1s", keepalive_interval="1s", keepalive_probes=100) as (daemon, port):
        with contextlib.ExitStack() as crowd:
            begin = time.monotonic()
            stays, *vanish = connected(crowd, port, 21)
            with filtered(port, vanish, "drop"):
                # The probe that is not answered any more is sent within a second.
                took = expect_lost(daemon, len(vanish), begin, 1 + TIMEOUT)
                assert asks(stays, b"still here") == b"still here"
    expect_time(*took)


@covers("F33")
@case("a pool's processes whose clients vanish serve the next ones")
def in_a_pool():
    pool = {"process_model": "prefork", "start_servers": 3, "instances": 3, "max_spare": 3}
    with serving(keepalive_time="1s", keepalive_interval="1s", keepalive_probes=100, **pool) as (daemon, port):
        with contextlib.ExitStack() as crowd:
            daemon.announce("throttled begin: echo: instances")
            begin = time.monotonic()
            vanish = connected(crowd, port, 3)
            workers = {one.pid for one in daemon.processes("session")}
            with filtered(port, vanish, "drop"):
                waiting = crowd.enter_context(connect(port))
                waiting.sendall(b"hello")
                took = expect_lost(daemon, len(vanish), begin, 1 + TIMEOUT)
                assert waiting.recv(5) == b"hello"
                assert {one.pid for one in daemon.processes("session")} == workers
    expect_time(*took)


@covers("F33")
@case("a cut that is shorter than tcp_user_timeout costs nothing but time")
def short_cut():
    keys = {"handler": "upper", "delay": "1s", "tcp_user_timeout": "100s"}
    with serving(**keys) as (daemon, port), contextlib.ExitStack() as crowd:
        clients = connected(crowd, port, 5)
        for client in clients:
            client.sendall(b"are you there?")
        with filtered(port, clients, "drop"):
            time.sleep(2)
        for client in clients:
            assert read_exactly(client, 14) == b"ARE YOU THERE?"
        assert not daemon.said("session end"), daemon.log.lines


@covers("F32")
@case("a firewall that answers for the clients with resets: their sessions end at once, as reset")
def reset_on_the_way():
    with serving(handler="upper", delay="2s") as (daemon, port), contextlib.ExitStack() as crowd:
        stays, *hit = connected(crowd, port, 21)
        for client in hit:
            client.sendall(b"are you there?")
        with filtered(port, hit, "reject with tcp reset", ours="sport", theirs="dport"):
            begin = time.monotonic()
            daemon.expect("session end: echo .*: connection reset", count=len(hit))
            took = time.monotonic() - begin
            expect_time(took, 0, 2 + scaled(0.5))
            assert asks(stays, b"still here") == b"STILL HERE"
        daemon.wait_sessions(1)


if __name__ == "__main__":
    namespaces.enter("--net")
    run()
