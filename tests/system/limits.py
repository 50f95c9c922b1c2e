"""Who may come in, how many, how fast, and how long they may stay."""

import contextlib
import ctypes
import errno
import os
import random
import signal
import socket
import struct
import time

from clients import asks, connect, connected, exchange, read_to_end
from harness import Daemon, free_port
from manager import listening, passing
from models import case_of_both
from processes import wait_until
from programs import WITH_SYSTEMD
from tap import Skip, case, covers, expect_time, run, scaled

BUSY = b"busy, come back later\r\n"


def serve(daemon, where="127.0.0.1", options=None, **keys):
    """Starts echo on a port of its own; returns the port."""
    port = free_port()
    configure(daemon, port, where, options, **keys)
    daemon.start()
    return port


def configure(daemon, port, where="127.0.0.1", options=None, **keys):
    if "instances" in keys:
        keys["start_servers"] = keys["instances"]
    daemon.configure({"echo": dict({"listen": f"{where}:{port}"}, **keys)}, daemon=options)


def answer(where, source=None, data=b"hello"):
    """What a client gets before the end of the stream; None after a reset."""
    try:
        return exchange(where, data, source)
    except OSError as why:
        if why.errno not in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN):
            raise
        return None


def is_served(where, source=None):
    return answer(where, source) == b"hello"


def told(where, source=None):
    """What a client gets that says nothing."""
    with connect(where, source) as client:
        return read_to_end(client)


def duration_of(action):
    begin = time.monotonic()
    action()
    return time.monotonic() - begin


def cut_off(client):
    """From now on all that arrives for the client is thrown away unseen, as behind a cut cable."""
    so_attach_filter, bpf_ret = 26, 0x06
    code = ctypes.create_string_buffer(struct.pack("HBBI", bpf_ret, 0, 0, 0))
    program = struct.pack("HP", 1, ctypes.addressof(code))
    try:
        client.setsockopt(socket.SOL_SOCKET, so_attach_filter, program)
    except PermissionError as why:
        raise Skip("this machine lets only root filter what a socket gets") from why


# ---- who may come in ----------------------------------------------------------------------------


@case_of_both("the longest prefix decides who may connect, and nobody who is not listed may")
def lists():
    with Daemon() as daemon:
        port = serve(
            daemon,
            only_from="127.0.0.0/24, 127.1.2.0/24 127.9.9.9",
            no_access="127.0.0.2 127.0.0.128/25 127.1.0.0/16",
        )
        wanted = {
            "127.0.0.1": True,
            "127.0.0.2": False,
            "127.0.0.200": False,
            "127.1.2.3": True,
            "127.1.3.3": False,
            "127.9.9.9": True,
            "127.9.9.8": False,
        }
        assert {source: is_served(port, source) for source in wanted} == wanted
        daemon.expect(r"refused: echo 127.0.0.2:\d+: no_access")


@case_of_both("no_access alone lets everybody else in")
def denied_alone():
    with Daemon() as daemon:
        port = serve(daemon, no_access="127.0.0.8/29")
        for source, wanted in (("127.0.0.7", True), ("127.0.0.8", False), ("127.0.0.15", False)):
            assert is_served(port, source) == wanted, source


@case_of_both("a network that stands in both lists is refused, and the configuration is remarked on")
def both_lists():
    with Daemon() as daemon:
        daemon.announce("configuration warning: .*no_access: 127.0.0.2.* stands in only_from too")
        port = serve(daemon, only_from="127.0.0.0/8 127.0.0.2", no_access="127.0.0.2")
        assert is_served(port, "127.0.0.1") and not is_served(port, "127.0.0.2")
        daemon.expect("configuration warning: ")


@case_of_both("a list can be a file with a network a line, which a reload reads again")
def list_in_a_file():
    with Daemon() as daemon:
        path = daemon.path("networks")

        def put(text):
            with open(path, "w", encoding="ascii") as file:
                file.write(text)

        put("# our own\n127.0.0.1\n\n127.7.0.0/16   # and theirs\n")
        port = serve(daemon, only_from=path)
        for source, wanted in (("127.0.0.1", True), ("127.7.1.2", True), ("127.0.0.2", False)):
            assert is_served(port, source) == wanted, source
        put("127.0.0.2\n")
        daemon.reload()
        wait_until(
            "the new list is in force",
            lambda: is_served(port, "127.0.0.2") and not is_served(port, "127.0.0.1"),
        )


@covers("F12")
@case_of_both("on a socket for both families, lists and limits know an IPv4 client as one of IPv4")
def mapped():
    if not WITH_SYSTEMD:
        raise Skip("only a socket unit makes a socket for both families")
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = free_port()
        server = crowd.enter_context(listening(("::", port)))
        daemon.configure({"echo": {"only_from": "127.0.0.0/8 ::1", "no_access": "127.0.0.2"}})
        daemon.start(**passing({"echo": [server]}))
        assert is_served(port, "127.0.0.1") and not is_served(port, "127.0.0.2")
        assert is_served(f"[::1]:{port}")
        daemon.expect(r"refused: echo 127.0.0.2:\d+: no_access")
        daemon.expect(r"session end: echo 127.0.0.1:\d+ ")


@case_of_both("clients of a Unix socket have no address: no list and no per_source is meant for them")
def unix_is_exempt():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        daemon.configure(
            {
                "echo": {
                    "listen": f"unix:{daemon.path('socket')}",
                    "only_from": "192.0.2.1",
                    "per_source": 1,
                    "per_source_rate": "1/h",
                }
            }
        )
        daemon.start()
        connected(crowd, f"unix:{daemon.path('socket')}", 5)


# ---- how many -----------------------------------------------------------------------------------


@covers("F09")
@case_of_both("over `instances` a client waits in the queue, the port stays open, and his turn comes")
def instances_defer():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce("throttled begin: echo: instances, clients wait")
        port = serve(daemon, instances=2)
        first = connected(crowd, port, 2)
        waiting = [crowd.enter_context(connect(port)) for _ in range(20)]
        for client in waiting:
            client.sendall(b"my turn")
        daemon.expect("throttled begin: echo: instances")
        assert len(daemon.sessions()) == 2
        for leaving, client in zip(first + waiting, waiting):
            leaving.close()
            assert client.recv(7) == b"my turn"
            assert len(daemon.processes("session")) <= 2
        assert int(daemon.expect(r"throttled end: echo: instances, (\d+) times? in").group(1)) >= 1
        # Seldom more than once: between one who leaves and the next there may be a free place.
        assert len(daemon.said("throttled begin")) < 10, daemon.said("throttled")


@covers("F09")
@case_of_both("with over_limit = refuse he is told busy_message and the end, whatever he had sent")
def instances_refuse():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        keys = {"over_limit": "refuse", "busy_message": r"busy, come back later\r\n"}
        port = serve(daemon, instances=2, **keys)
        connected(crowd, port, 2)
        for number in range(50):
            with connect(port) as client:
                client.sendall(bytes(1 + 100 * number))
                assert read_to_end(client) == BUSY
        assert len(daemon.sessions()) == 2
        together = [crowd.enter_context(connect(port)) for _ in range(50)]
        for client in together:
            client.sendall(bytes(3000))
        for client in together:
            assert read_to_end(client) == BUSY
        daemon.expect("refused: echo .*: instances")
        assert len(daemon.said("refused")) == 1, daemon.said("refused")
        configure(daemon, port, instances=3, **keys)
        daemon.reload()
        assert is_served(port)
        crowd.close()
        daemon.expect(r"refused end: echo: instances, 100 clients in \d+\.\d s")


@case_of_both("without busy_message a refused client sees the end of the stream at once")
def refuse_in_silence():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, instances=1, over_limit="refuse")
        connected(crowd, port)
        assert told(port) == b""
        daemon.expect(r"refused: echo 127.0.0.1:\d+: instances")


@covers("F10")
@case_of_both("per_source is refused at once, tells why, and holds up nobody else")
def per_source():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, per_source=2, busy_message=r"busy, come back later\r\n")
        first, _ = connected(crowd, port, 2, "127.0.0.1")
        with connect(port, "127.0.0.1") as client:
            client.sendall(b"let me in")
            assert read_to_end(client) == BUSY
        connected(crowd, port, 2, "127.0.0.2")
        assert told(port, "127.0.0.2") == BUSY
        first.close()
        daemon.wait_sessions(3)
        wait_until("there is a place again", lambda: is_served(port, "127.0.0.1"))
        daemon.expect(r"refused: echo 127.0.0.1:\d+: per_source")


@covers("F10")
@case_of_both("source_prefix_v4 makes one source of a network")
def source_prefix():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, per_source=2, source_prefix_v4=24)
        connected(crowd, port, 1, "127.0.0.1")
        connected(crowd, port, 1, "127.0.0.200")
        assert told(port, "127.0.0.3") == b""
        connected(crowd, port, 2, "127.0.1.1")
        assert told(port, "127.0.1.2") == b""


@covers("F10")
@case_of_both("per_source counts clients of IPv6 as well")
def per_source_v6():
    if not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"):
        raise Skip("this machine has no IPv6")
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, "[::1]", per_source=2)
        connected(crowd, f"[::1]:{port}", 2)
        assert told(f"[::1]:{port}") == b""
        daemon.expect(r"refused: echo \[::1\]:\d+: per_source")


@case_of_both("max_sessions holds for all services together")
def max_sessions():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce("throttled begin: (one|two): max_sessions")
        one, two = free_port(), free_port()
        daemon.configure(
            {"one": {"listen": f"127.0.0.1:{one}"}, "two": {"listen": f"127.0.0.1:{two}"}},
            daemon={"max_sessions": 5},
        )
        daemon.start()
        first = connected(crowd, one, 3)
        connected(crowd, two, 2)
        # Processes that were forked ahead and have no place any more end when that is noticed.
        wait_until("nobody else is there", lambda: len(daemon.processes("session")) == 5)
        waiting = [crowd.enter_context(connect(port)) for port in (one, two)]
        for client in waiting:
            client.sendall(b"my turn")
        daemon.expect("throttled begin: one: max_sessions")
        daemon.expect("throttled begin: two: max_sessions")
        assert len(daemon.sessions()) == 5
        first[0].close()
        first[1].close()
        for client in waiting:
            assert client.recv(7) == b"my turn"
        assert len(daemon.wait_sessions(5)) == 5


@covers("F06")
@case("backlog is how many may wait in the kernel")
def backlog():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, backlog=4)
        exchange(port, b"warm")
        listener = daemon.listener()
        daemon.kill(listener, signal.SIGSTOP)
        for _ in range(5):  # the kernel takes one more
            crowd.enter_context(connect(port))
        try:
            connect(port, seconds=0.3).close()
            raise AssertionError("a further one was taken")
        except TimeoutError:
            pass
        finally:
            daemon.kill(listener, signal.SIGCONT)


# ---- how fast -----------------------------------------------------------------------------------


@case_of_both("cps lets a burst in at once, and the rest at its rate; nobody is refused")
def cps_defer():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce("throttled begin: echo: cps")
        port = serve(daemon, cps="10 5")
        begin = time.monotonic()
        clients = [crowd.enter_context(connect(port)) for _ in range(25)]
        for client in clients:
            assert asks(client, b"hello") == b"hello"
        took = time.monotonic() - begin
        expect_time(took, 1.9, 2 + scaled(0.9))  # 20 of them at 10 a second
    with Daemon() as daemon:
        daemon.announce("throttled begin: echo: cps")
        port = serve(daemon, cps="6/min 5")
        # At this rate the last one would wait for 40 s.
        took = duration_of(lambda: [is_served(port) for _ in range(5)])
        expect_time(took, 0, scaled(1))


@case_of_both("at ten times the rate of cps the port stays open, and those over it are told")
def cps_refuse():
    with Daemon() as daemon:
        port = serve(
            daemon, cps="2 5", over_limit="refuse", busy_message=r"busy, come back later\r\n"
        )
        count = {b"hello": 0, BUSY: 0}
        begin = time.monotonic()
        for number in range(200):
            count[answer(port)] += 1
            time.sleep(max(0, begin + number / 200 - time.monotonic()))
        fair = 5 + 2 * (time.monotonic() - begin)
        assert fair - 5 <= count[b"hello"] <= fair + 1, (count, fair)
        assert count[BUSY] > 100, count
        daemon.expect("refused: echo .*: cps")
        assert len(daemon.said("refused: echo .*: cps")) == 1, daemon.said("refused")


@covers("F10")
@case_of_both("per_source_rate refuses who comes too often, and nobody else")
def per_source_rate():
    with Daemon() as daemon:
        port = serve(daemon, per_source_rate="15/min 3", busy_message=r"busy, come back later\r\n")
        begin = time.monotonic()
        assert [answer(port, "127.0.0.1") for _ in range(6)] == [b"hello"] * 3 + [BUSY] * 3
        assert [answer(port, "127.0.0.2") for _ in range(4)] == [b"hello"] * 3 + [BUSY]
        refused = 4
        while answer(port, "127.0.0.1") == BUSY:
            refused += 1
            time.sleep(0.2)
        took = time.monotonic() - begin
        expect_time(took, 3.9, 4 + scaled(1))
        daemon.expect(r"refused: echo 127.0.0.1:\d+: per_source_rate")
        configure(daemon, port)
        daemon.reload()
        daemon.expect(f"refused end: echo: per_source_rate, {refused} clients")


# ---- how long -----------------------------------------------------------------------------------


@covers("F31")
@case_of_both("a client that says nothing for idle_timeout is let go, and one that speaks is not")
def idle_timeout():
    with Daemon() as daemon:
        port = serve(daemon, idle_timeout="2s")
        took = duration_of(lambda: told(port))
        expect_time(took, 1.9, 2 + scaled(0.9))
        daemon.expect("session end: echo .*: idle timeout, 0 bytes in")
        with connect(port) as client:
            for _ in range(5):
                time.sleep(0.5)
                begin = time.monotonic()
                assert asks(client, b"x") == b"x"
            assert read_to_end(client) == b""
        took = time.monotonic() - begin
        expect_time(took, 1.9, 2 + scaled(0.9))
        daemon.expect("session end: echo .*: idle timeout, 5 bytes in")


@case("who waited in the queue when a new configuration came has its time limits, not the old ones")
def early_clients():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon)
        exchange(port, b"warm")
        daemon.kill(daemon.listener(), signal.SIGSTOP)
        old, waiting = daemon.listener(), [crowd.enter_context(connect(port)) for _ in range(20)]
        configure(daemon, port, idle_timeout="1s")
        before = time.monotonic()
        daemon.reload()
        begin = time.monotonic()
        for client in waiting:
            assert read_to_end(client) == b""
        end = time.monotonic()
        assert end - before > 0.9, end - before
        expect_time(end - begin, 0, 1 + scaled(0.9))
        daemon.kill(old, signal.SIGCONT)
        took = duration_of(lambda: told(port))
        expect_time(took, 0.9, 1 + scaled(0.9))


@case_of_both("who connected to a passed socket before the daemon started has its time limits too")
def earliest_client():
    if not WITH_SYSTEMD:
        raise Skip("built without socket activation")
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = free_port()
        server = crowd.enter_context(listening(port))
        client = crowd.enter_context(connect(port))
        daemon.configure({"echo": {"idle_timeout": "1s"}})
        before = time.monotonic()
        daemon.start(**passing({"echo": [server]}))
        begin = time.monotonic()
        assert read_to_end(client) == b""
        end = time.monotonic()
        assert end - before > 0.9, end - before
        expect_time(end - begin, 0, 1 + scaled(0.9))


@case_of_both("bytes to the client keep it from being idle as well as bytes from it")
def not_idle_when_reading():
    with Daemon() as daemon:
        port = serve(daemon, handler="chargen", idle_timeout="2s")
        with connect(port) as client:
            end = time.monotonic() + 4
            while time.monotonic() < end:
                assert client.recv(65536)
                time.sleep(0.01)
        daemon.expect("session end: echo .*: (client closed|connection reset), 0 bytes in")


@covers("F31")
@case_of_both("session_timeout ends also a session that is busy")
def session_timeout():
    with Daemon() as daemon:
        port = serve(daemon, session_timeout="1s")
        begin = time.monotonic()
        with contextlib.suppress(ConnectionError), connect(port) as client:
            while asks(client, b"x"):
                time.sleep(0.01)
        expect_time(time.monotonic() - begin, 0.9, 1 + scaled(0.9))
        daemon.expect("session end: echo .*: session timeout, ")


@covers("F30")
@case_of_both("a client that never reads its answers is given up after write_timeout")
def write_timeout():
    with Daemon() as daemon:
        port = serve(daemon, write_timeout="1s", handler="chargen")
        begin = time.monotonic()
        with connect(port):
            daemon.expect("session end: echo .*: write timeout, 0 bytes in")
            took = time.monotonic() - begin
            expect_time(took, 0.9, 1 + scaled(0.9))


@covers("F33")
@case_of_both("a client whose network is cut while it reads is given up after write_timeout too")
def cut_while_reading():
    with Daemon() as daemon:
        port = serve(daemon, write_timeout="1s", handler="chargen")
        begin = time.monotonic()
        with connect(port) as client:
            assert client.recv(1)
            cut_off(client)
            daemon.expect("session end: echo .*: write timeout, 0 bytes in")
            took = time.monotonic() - begin
            expect_time(took, 0.9, 1 + scaled(0.9))


@covers("F30")
@case_of_both("a client that takes its answers slowly is not given up")
def slow_reader():
    data = random.randbytes(300000)
    with Daemon() as daemon:
        port = serve(daemon, write_timeout="2s")
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with client:
            client.settimeout(scaled(30))
            client.connect(("127.0.0.1", port))
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            got = b""
            while part := client.recv(5000):
                got += part
                time.sleep(0.04)
        assert got == data, len(got)
        daemon.expect("session end: echo .*: client closed, 300000 bytes in, 300000 bytes out")


@covers("F33")
@case_of_both("a client whose network is cut while its answer is under way is given up")
def cut_with_bytes():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, write_timeout="1s", tcp_user_timeout="2s")
        (client,) = connected(crowd, port)
        cut_off(client)
        begin = time.monotonic()
        client.sendall(b"is there anybody?")
        daemon.expect("session end: echo .*: peer vanished, 22 bytes in")
        took = time.monotonic() - begin
        expect_time(took, 1.8, 2 + scaled(1))


@covers("F33")
@case_of_both("a silent client whose network is cut is found out by keep-alive probes")
def cut_in_silence():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce("configuration warning: .*keepalive_probes: without effect")
        port = serve(
            daemon,
            keepalive_time="1s",
            keepalive_interval="1s",
            keepalive_probes=100,  # were they counted, it would take them
            write_timeout="1s",
            tcp_user_timeout="2s",
        )
        silent, (present,) = connected(crowd, port)[0], connected(crowd, port)
        cut_off(silent)
        begin = time.monotonic()
        daemon.expect("session end: echo .*: peer vanished, 5 bytes in")
        took = time.monotonic() - begin
        assert asks(present, b"still here") == b"still here"
        # The probe that is not answered any more is sent within a second.
        expect_time(took, 0, 1 + 2 + scaled(1))


@case_of_both("without keepalive and timeouts a silent client stays")
def no_keepalive():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(
            daemon,
            keepalive="no",
            keepalive_time="1s",
            keepalive_interval="1s",
            write_timeout="1s",
            tcp_user_timeout="2s",
            idle_timeout="0",
        )
        (client,) = connected(crowd, port)
        cut_off(client)
        time.sleep(4)
        assert len(daemon.sessions()) == 1


@case_of_both("after its last answer a session waits linger_timeout for the client's end, and no longer")
def linger_timeout():
    with Daemon() as daemon:
        port = serve(daemon, handler="upper", once="yes", linger_timeout="1s")
        begin = time.monotonic()
        with connect(port) as client:
            client.sendall(b"hello")
            assert read_to_end(client) == b"HELLO"
            daemon.wait_sessions(0)
            took = time.monotonic() - begin
            expect_time(took, 0.9, 1 + scaled(0.9))
        configure(daemon, port, handler="upper", once="yes", linger_timeout="1min")
        daemon.reload()
        with connect(port) as client:
            client.sendall(b"hello")
            assert read_to_end(client) == b"HELLO"
        daemon.wait_sessions(0, seconds=15)


@covers("F34")
@case_of_both("what a client still sends while its session closes does not cost it the last answer")
def linger_drains():
    with Daemon() as daemon:
        port = serve(daemon, handler="upper", once="yes")
        for _ in range(100):
            with connect(port) as client:
                client.sendall(b"hello")
                client.sendall(b"and more" * 1000)
                assert read_to_end(client).startswith(b"HELLO")


if __name__ == "__main__":
    run()
