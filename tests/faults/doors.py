"""The addresses of a life (life.py), and a client's course at one of them."""

import contextlib
import os
import socket
import threading

from clients import read_to_end
from tap import scaled


def exchange(place, request, seconds):
    """Connects to a port of 127.0.0.1, or to a path, sends all, and reads all. Returns the client's
    port as the log has it (None without a connection), the answer, and what befell the client."""
    port, answer = None, b""
    try:
        with _connect(place, seconds) as client:
            port = "unix" if isinstance(place, str) else client.getsockname()[1]
            sender = threading.Thread(target=_send, args=[client, request])
            sender.start()
            try:
                answer = read_to_end(client)
            finally:
                sender.join()
    except TimeoutError:
        return port, answer, "silent"
    except OSError as why:
        return port, answer, os.strerror(why.errno)
    return port, answer, None


def _connect(place, seconds):
    client = socket.socket(socket.AF_UNIX if isinstance(place, str) else socket.AF_INET)
    client.settimeout(scaled(seconds))
    try:
        client.connect(place if isinstance(place, str) else ("127.0.0.1", place))
    except OSError:
        client.close()
        raise
    return client


def _send(client, request):
    with contextlib.suppress(OSError):  # which whoever reads gets to know
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
