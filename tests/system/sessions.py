"""What befalls the processes of sessions, many at a time."""

import contextlib
import os
import random
import signal
import socket
import struct
import threading
import time

from clients import asks, connect, connected, exchange, is_refused, read_exactly
from harness import Daemon, free_port
from processes import daemon_processes, wait_until
from tap import case, covers, run

MODELS = ({}, {"process_model": "prefork", "start_servers": 2})


def serve(daemon, **keys):
    port = free_port()
    daemon.configure({"echo": dict({"listen": f"127.0.0.1:{port}"}, **keys)})
    daemon.start()
    return port


@covers("F14", "F24")
@case("300 sessions that end while their listener is stopped are all waited for, each with one line")
def ends_at_once():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, instances=300)
        clients = connected(crowd, port, 300)
        (listener,) = [one.pid for one in daemon.processes("listener")]
        daemon.kill(listener, signal.SIGSTOP)
        names = {"%s:%d" % client.getsockname() for client in clients}
        crowd.close()

        def ended():
            return sum(one.state == "Z" for one in daemon_processes(listener))

        wait_until("all have ended", lambda: ended() == 300)
        daemon.kill(listener, signal.SIGCONT)
        daemon.expect("session end: echo", count=300)
        daemon.expect_no_zombie()
        told = [line.split()[5] for line in daemon.said("session end: echo")]
        assert len(told) == 300 and set(told) == names, len(told)
        daemon.check()


@covers("F26")
@case("system calls that are interrupted a thousand times cost no byte of 10 MiB, in either model")
def interrupted():
    data = random.randbytes(10 << 20)
    for keys in MODELS:
        with Daemon() as daemon:
            port = serve(daemon, **keys)
            with connect(port) as client:
                assert asks(client, b"hello") == b"hello"
                (pid,) = daemon.sessions()
                got, sender = [], threading.Thread(target=client.sendall, args=(data,))
                reader = threading.Thread(target=lambda: got.append(read_exactly(client, len(data))))
                sender.start()
                rounds = 0
                for _ in range(1000):
                    os.kill(pid, signal.SIGSTOP)
                    os.kill(pid, signal.SIGCONT)
                    rounds += 1
                    if rounds == 10:  # until then everything waits
                        reader.start()
                    time.sleep(0.0002)
                sender.join()
                reader.join()
                assert got == [data]


@covers("F27")
@case("clients that leave with a megabyte on its way to them kill no session by SIGPIPE")
def broken_pipe():
    for keys in (*MODELS, {"handler": "chargen"}):
        with Daemon() as daemon:
            port = serve(daemon, **keys)
            for number in range(20):
                with connect(port) as client:
                    client.settimeout(0.05)
                    with contextlib.suppress(TimeoutError):
                        client.sendall(bytes(1 << 20))
                    if number % 2:
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            daemon.expect("session end: echo .*: (connection reset|client closed|write timeout)", 20)
            assert not daemon.said("session error"), daemon.said("session error")


@covers("F50")
@case("two thousand refused clients are two lines of the log, and the second has their number")
def storm_of_refused():
    with Daemon() as daemon:
        port = serve(daemon, no_access="127.0.0.1")
        for _ in range(2000):
            with contextlib.suppress(OSError):
                exchange(port, b"")
        assert not is_refused(port)
        daemon.stop()
        assert len(daemon.said("refused")) == 2, daemon.said("refused")
        daemon.expect("refused end: echo: no_access, 2001 clients")


if __name__ == "__main__":
    run()
