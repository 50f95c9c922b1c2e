"""process_model = prefork: processes forked ahead, and what happens to them."""

import contextlib
import errno
import os
import random
import re
import signal
import socket
import subprocess
import time

from clients import (
    Load,
    asks,
    connect,
    connected,
    crowd_of,
    exchange,
    expect_answers,
    is_refused,
    read_to_end,
)
from harness import Daemon, free_port, section
from processes import descriptors, status, wait_exit, wait_until
from programs import FORKECHO, SOURCE
from shown import Shown
from tap import case, covers, note, run, scaled

KILLED = "session error: echo .*: died by a signal"
DIED = "worker died: service echo"


def keys_of(port, **keys):
    """A service whose pool does not shrink unless the case says so, whatever the machine has."""
    fixed = {"listen": f"127.0.0.1:{port}", "process_model": "prefork", "max_spare": 20}
    return {"echo": dict(fixed, **keys)}


def serve(daemon, options=None, **keys):
    """Starts a pool that serves echo on a port of its own; returns the port."""
    port = free_port()
    daemon.configure(keys_of(port, **keys), daemon=options)
    daemon.start()
    return port


def pool(daemon):
    """The workers of echo by process number: None while they wait, else their client."""
    found = {}
    for process in daemon.processes("session", "echo"):
        word = process.title.split()[3]
        found[process.pid] = None if word == "idle" else word
    return found


def idle(daemon):
    return [pid for pid, client in pool(daemon).items() if client is None]


def whole(daemon, count, seconds=5):
    """Waits until so many workers are there, and all wait; returns their process numbers."""
    what = f"{count} idle workers"
    wait_until(what, lambda: len(pool(daemon)) == len(idle(daemon)) == count, seconds)
    return set(pool(daemon))


def shown_whole(shown, count):
    """The same as the status service tells it."""
    wanted = {"workers": count, "idle": count, "scale": 0}
    wait_until(f"{count} idle workers are shown", lambda: shown.service()["pool"] == wanted)


def name_of(client):
    return "%s:%d" % client.getsockname()


def worker_of(daemon, client):
    """Who serves a client."""
    (pid,) = [pid for pid, name in pool(daemon).items() if name == name_of(client)]
    return pid


def is_cut(client):
    """Whether a client's stream ends, in whatever way."""
    try:
        return read_to_end(client) == b""
    except OSError as why:
        return why.errno in (errno.ECONNRESET, errno.EPIPE)


def expect_exact(daemon, shown):
    """Once all is quiet, who was accepted has ended, and has a line unless that was counted as
    dropped. Returns what the status service says."""
    wait_until("all is quiet", lambda: shown.service()["live"] == 0)
    told = shown.service()
    assert told["accepted"] == sum(told["ended"].values()), told
    lines = told["accepted"] - told["records_dropped"]
    daemon.expect("session (end|error): echo", lines, seconds=10)
    time.sleep(0.3)
    assert len(daemon.said("session (end|error): echo")) == lines, (lines, told)
    return told


# ---- how many -----------------------------------------------------------------------------------


@case("start_servers processes wait, named idle; clients are served by them, and by no new ones")
def forked_ahead():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, start_servers=6, min_spare=1, max_spare=10)
        workers = whole(daemon, 6)
        clients = crowd_of(crowd, port, 4)
        assert {worker_of(daemon, client) for client in clients} < workers
        wait_until("the keeper's title", lambda: daemon.processes("listener", "echo")[0].title
                   == "forkechod: listener echo [4/256] 6 workers")
        crowd.close()
        assert whole(daemon, 6) == workers
        for _ in range(50):
            exchange(port, b"hello")
        assert whole(daemon, 6) == workers
        daemon.check()


@case("auto is twice the processors and one")
def automatic():
    with Daemon() as daemon:
        serve(daemon, max_spare="auto")
        whole(daemon, 2 * os.cpu_count() + 1)


@case("a pool that is short grows by 1, 2, 4 a second, and shrinks by one a second")
def grows_and_shrinks():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, start_servers=1, min_spare=1, max_spare=4)
        whole(daemon, 1)
        waiting = [crowd.enter_context(connect(port)) for _ in range(14)]
        sizes, deadline = [], time.monotonic() + scaled(10)
        while len(pool(daemon)) < 15 and time.monotonic() < deadline:
            sizes.append(len(pool(daemon)))
            time.sleep(0.02)
        assert {1, 2, 4, 8} <= set(sizes), sorted(set(sizes))
        expect_answers(waiting)
        full = len(pool(daemon))
        crowd.close()
        begin = time.monotonic()
        whole(daemon, 4, seconds=2 * full)
        took = time.monotonic() - begin
        assert took > 0.8 * (full - 5), (took, full)
        time.sleep(1.5)
        assert len(pool(daemon)) == 4, pool(daemon)
        daemon.check()


@case("max_requests = 1 is one process a client, forked ahead; 5 is five")
def max_requests():
    for limit in (1, 5):
        with Daemon() as daemon:
            port = free_port()
            shown = Shown(daemon, keys_of(port, start_servers=3, max_spare=3, max_requests=limit))
            shown_whole(shown, 3)
            daemon.mark()
            for _ in range(60):
                assert exchange(port, b"hello") == b"hello"
            daemon.expect("session end: echo", 60)
            served = {}
            for line in daemon.said("session end: echo"):
                pid = re.search(r"\[(\d+)\]", line).group(1)
                served[pid] = served.get(pid, 0) + 1
            assert max(served.values()) == limit, served
            assert sorted(served.values())[-10:] == [limit] * 10, served
            shown_whole(shown, 3)
            daemon.check()


def asleep(daemon, count):
    """Waits for an idle pool, all of which the kernel would wake; returns its process numbers."""
    wait_until("all wait", lambda: all(status(pid)["State"][0] == "S" for pid in whole(daemon, count)))
    return set(pool(daemon))


@case("of processes that are used once, the one forked last, whose memory is still warm, serves next")
def forked_last():
    with Daemon() as daemon:
        daemon.announce(DIED)
        port = serve(daemon, start_servers=4, min_spare=1, max_spare=4, max_requests=1)
        there, newest = asleep(daemon, 4), None
        for turn in range(6):
            if turn == 3:
                daemon.kill(newest)
            else:
                assert exchange(port, b"hello") == b"hello"
            wait_until("one has gone", lambda: not there <= set(pool(daemon)))
            before, there = there, asleep(daemon, 4)
            assert newest is None or before - there == {newest}, (before, there, newest)
            (newest,) = there - before
        daemon.check()


def seats(pid):
    """How many of what workers wait at a process has open."""
    return list(descriptors(pid).values()).count("anon_inode:[eventpoll]")


@case("a process that is used once has closed where others will wait, when its client can speak")
def closed_seat():
    with Daemon() as daemon:
        port = serve(daemon, start_servers=3, max_requests=1, **daemon.visible())
        waiting = asleep(daemon, 3)
        assert [seats(pid) for pid in waiting] == [1, 1, 1]
        with connect(port) as client:
            expect_answers([client])
            pid = worker_of(daemon, client)
            assert pid in waiting and seats(pid) == 0
        daemon.check()


@case("a pool's keeper has as much open as the pool needs, when that has shrunk, paused and gone on")
def kept_seats():
    with Daemon() as daemon:
        serve(daemon, start_servers=3, max_requests=1, **daemon.visible())
        asleep(daemon, 3)
        for words, left in ((["scale", "echo", "5"], 5), (["scale", "echo", "2"], 2),
                            (["pause", "echo"], 0), (["resume", "echo"], 2)):
            daemon.control(*words)
            whole(daemon, left)
            wait_until(f"{left} seats", lambda left=left: seats(daemon.listener()) == left)
        daemon.check()


@case("eighty clients at once have a process each")
def many():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, start_servers=80, max_spare=80, max_requests=1, per_source=0)
        whole(daemon, 80)
        expect_answers(crowd_of(crowd, port, 80))
        assert len([client for client in pool(daemon).values() if client]) == 80, pool(daemon)
        crowd.close()
        whole(daemon, 80, seconds=30)
        daemon.check()


@case("max_requests_jitter lets them serve up to so many more")
def jitter():
    with Daemon() as daemon:
        port = serve(daemon, start_servers=2, min_spare=1, max_spare=2, max_requests=3,
                     max_requests_jitter=20)
        whole(daemon, 2)
        for _ in range(300):
            assert exchange(port, b"hello") == b"hello"
        daemon.expect("session end: echo", 300)
        served = {}
        for line in daemon.said("session end: echo"):
            pid = re.search(r"\[(\d+)\]", line).group(1)
            served[pid] = served.get(pid, 0) + 1
        finished = [count for pid, count in served.items() if int(pid) not in pool(daemon)]
        assert min(finished) >= 3 and max(finished) <= 23, finished
        assert len(set(finished)) > 2, finished


@case("TTIN and TTOU to the keeper pin one more and one less; scale pins a number, and lets go")
def pinned():
    with Daemon() as daemon:
        serve(daemon, start_servers=3, min_spare=1, max_spare=3)
        whole(daemon, 3)
        for number, count in ((signal.SIGTTIN, 4), (signal.SIGTTIN, 5), (signal.SIGTTOU, 4)):
            daemon.kill(daemon.listener(), number)
            whole(daemon, count, seconds=1)
        time.sleep(2.2)
        assert len(pool(daemon)) == 4, pool(daemon)
        assert daemon.control("scale", "echo", "9")[0] == 0
        whole(daemon, 9, seconds=1)
        assert daemon.control("scale", "echo", "auto")[0] == 0
        whole(daemon, 3, seconds=12)


# ---- who may come in ----------------------------------------------------------------------------


@case("a worker's death gives back what its client took of per_source")
def per_source_after_death():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce(KILLED)
        port = serve(daemon, start_servers=6, per_source=2, busy_message=r"busy\r\n")
        whole(daemon, 6)
        for _ in range(5):
            first, second = crowd_of(crowd, port, 2)
            daemon.kill(worker_of(daemon, first))
            assert is_cut(first)
            wait_until("there is a place again", lambda: exchange(port, b"hello") == b"hello")
            wait_until("only one is served", lambda: len(idle(daemon)) == len(pool(daemon)) - 1)
            with connect(port) as third:
                assert asks(third, b"hello") == b"hello"
                with connect(port) as fourth:
                    assert read_to_end(fourth) == b"busy\r\n"
            second.close()
            wait_until("everybody has gone", lambda: len(idle(daemon)) == len(pool(daemon)))


@case("the deaths of workers leave the count of sources right while others come and go")
def per_source_beside_deaths():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce(KILLED)
        port = serve(daemon, {"log_level": "notice"}, start_servers=24, per_source=12,
                     busy_message=r"busy\r\n")
        whole(daemon, 24)
        connected(crowd, port, source="127.0.0.5")  # so that somebody is served all the time
        words = ["-c", "8", "-d", "2s", "127.0.0.1", str(port)]
        load = subprocess.Popen([FORKECHO, "bench", "crr", *words], stdout=subprocess.DEVNULL)
        while load.poll() is None:
            with connect(port, "127.0.0.9") as client:
                assert asks(client, b"hello") == b"hello"
                daemon.kill(worker_of(daemon, client))
                assert is_cut(client)
        wait_until("the load has gone", lambda: len(pool(daemon)) - len(idle(daemon)) == 1)
        for source in ("127.0.0.1", "127.0.0.9"):
            with contextlib.ExitStack() as guests:
                connected(guests, port, 12, source)
                with connect(port, source) as another:
                    assert read_to_end(another) == b"busy\r\n"
            wait_until("they have gone", lambda: len(pool(daemon)) - len(idle(daemon)) == 1)


@case("no_access holds; a refused client that stays does not hold up the worker")
def lists():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, start_servers=1, instances=1, no_access="127.0.0.2", per_source=1,
                     busy_message=r"busy\r\n")
        whole(daemon, 1)
        with connect(port, "127.0.0.2") as client:
            assert is_cut(client)
        daemon.expect(r"refused: echo 127.0.0.2:\d+: no_access")
        for _ in range(5):
            assert exchange(port, b"hello") == b"hello"


@case("idle_timeout leaves the worker, session_timeout replaces it")
def timeouts():
    with Daemon() as daemon:
        port = serve(daemon, start_servers=2, min_spare=1, max_spare=2, idle_timeout="1s",
                     session_timeout="3s")
        workers = whole(daemon, 2)
        with connect(port) as client:
            begin = time.monotonic()
            assert read_to_end(client) == b""
            assert 0.9 < time.monotonic() - begin < 1 + scaled(0.5)
        daemon.expect("session end: echo .*: idle timeout")
        assert whole(daemon, 2) == workers
        with connect(port) as client:
            begin = time.monotonic()
            with contextlib.suppress(OSError):
                while asks(client, b"x") == b"x":
                    time.sleep(0.2)
            assert 2.9 < time.monotonic() - begin < 3 + scaled(0.7)
        daemon.expect("session end: echo .*: session timeout")
        assert len(whole(daemon, 2) & workers) == 1


# ---- deaths -------------------------------------------------------------------------------------


@case("kill -9 of random workers under load: nobody else notices, and the pool is whole a second after")
def killed_at_random():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce(KILLED, DIED, "records dropped")
        port = free_port()
        shown = Shown(daemon, keys_of(port, start_servers=10, min_spare=2))
        whole(daemon, 10)
        witnesses = crowd_of(crowd, port, 3)
        spared = {worker_of(daemon, client) for client in witnesses}
        killed, end = 0, time.monotonic() + float(os.environ.get("TEST_KILL_SECONDS", "5"))
        with Load("steady", port, 3) as load:
            while time.monotonic() < end:
                victims = [pid for pid in pool(daemon) if pid not in spared]
                if victims:
                    with contextlib.suppress(ProcessLookupError):
                        daemon.kill(random.choice(victims))
                        killed += 1
                time.sleep(0.05)
            time.sleep(1)
            size = len(pool(daemon))
            result = load.finish()
        expect_answers(witnesses)
        note(f"{killed} killed, {size} workers a second after: {result}")
        assert size >= 10, size
        assert result.answered > 100 and not result.refused + result.wrong + result.silent, result
        assert result.reset + result.cut <= killed, (result, killed)
        crowd.close()
        told = expect_exact(daemon, shown)
        assert result.answered + 3 <= told["accepted"] <= result.answered + killed + 3, told
        daemon.expect_no_zombie()
        daemon.check()


@covers("F16")
@case("a worker killed with its client is logged with it, and replaced at once; an idle one too")
def killed():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce(KILLED, DIED)
        port = serve(daemon, start_servers=4)
        whole(daemon, 4)
        first, second = crowd_of(crowd, port, 2)
        pid = worker_of(daemon, first)
        daemon.kill(pid)
        assert is_cut(first)
        daemon.expect(rf"session error: echo {name_of(first)} \[{pid}\]: died by a signal .*8 bytes in")
        wait_until("another one", lambda: len(pool(daemon)) >= 4, seconds=1)
        pid = idle(daemon)[0]
        daemon.kill(pid)
        daemon.expect(rf"worker died: service echo \[{pid}\]: killed by signal 9")
        wait_until("another one", lambda: len(pool(daemon)) >= 4, seconds=1)
        expect_answers([second])
        assert not daemon.said(f"session error: echo {name_of(second)}")
        daemon.check()


@covers("F17")
@case("a stopped worker is no idle one from that moment, and is ended after worker_timeout")
def stopped():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce("worker stuck: service echo", DIED)
        port = serve(daemon, start_servers=2, min_spare=2, max_spare=3, worker_timeout="2s")
        whole(daemon, 2)
        victim = idle(daemon)[0]
        daemon.kill(victim, signal.SIGSTOP)
        wait_until("another is started", lambda: len(pool(daemon)) == 3, seconds=0.5)
        for _ in range(30):
            assert exchange(port, b"hello", seconds=1) == b"hello"
        assert status(victim)["State"].startswith("T")
        daemon.expect(rf"worker stuck: service echo \[{victim}\]: it has no client", seconds=3)
        assert wait_exit(victim, 2)
        wait_until("the pool is whole", lambda: len(idle(daemon)) >= 2)
        daemon.check()


@covers("F17")
@case("a worker that is stopped with its client is ended too, and named with it; one that goes on is not")
def stopped_with_client():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce("worker stuck: service echo", "session error: echo .*: worker timeout")
        port = serve(daemon, start_servers=4, worker_timeout="1s")
        whole(daemon, 4)
        first, second = crowd_of(crowd, port, 2)
        pid, spared = worker_of(daemon, first), worker_of(daemon, second)
        daemon.kill(spared, signal.SIGSTOP)
        time.sleep(0.3)
        daemon.kill(spared, signal.SIGCONT)
        daemon.kill(pid, signal.SIGSTOP)
        daemon.expect(rf"worker stuck: service echo \[{pid}\]: its client is {name_of(first)}", seconds=3)
        assert is_cut(first)
        daemon.expect(rf"session error: echo {name_of(first)} \[{pid}\]: worker timeout")
        time.sleep(1.5)
        expect_answers([second])


@case("who waits for its client is not stuck, however long that takes")
def not_stuck():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, start_servers=3, worker_timeout="1s", delay="1500ms")
        whole(daemon, 3)
        silent, reader = crowd.enter_context(connect(port)), crowd.enter_context(connect(port))
        reader.sendall(b"hello")
        time.sleep(2.5)
        assert reader.recv(5) == b"hello"
        silent.sendall(b"hello")
        assert silent.recv(5) == b"hello"


@case("forkechoctl kill ends the session that is named, not the next one of the same worker")
def kill_by_name():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = free_port()
        shown = Shown(daemon, keys_of(port, start_servers=3, min_spare=1, max_spare=3))
        whole(daemon, 3)
        first, second = crowd_of(crowd, port, 2)
        ids = {row["client"]: row["id"] for row in shown.sessions()}
        assert set(ids) == {name_of(first), name_of(second)}, ids
        assert daemon.control("kill", ids[name_of(first)])[0] == 0
        assert is_cut(first)
        daemon.expect(f"session end: echo {name_of(first)} .*: ended by the operator")
        expect_answers([second])
        old = ids[name_of(second)]
        slot, turn = map(int, old.split("-"))
        for wrong in (f"{slot}-{turn + 1}", f"{slot}-{turn - 1}"):
            daemon.control("kill", wrong)
        expect_answers([second])
        wait_until("its worker is replaced", lambda: shown.service()["pool"]["workers"] == 3)
        daemon.check()


@case("the keeper killed: its busy workers finish, its idle ones end, and the next pool serves")
def keeper_killed():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        daemon.announce("listener died: service echo: killed by signal 9")
        port = serve(daemon, start_servers=5)
        workers = whole(daemon, 5)
        clients = crowd_of(crowd, port, 3)
        busy = {worker_of(daemon, client) for client in clients}
        daemon.kill(daemon.listener())
        daemon.expect("listener restarted: service echo")
        wait_until("the idle ones have gone", lambda: not (workers - busy) & set(pool(daemon)))
        expect_answers(clients)
        for client in clients:
            peer = name_of(client)
            client.close()
            daemon.expect(f"session end: echo {peer} .*: client closed, 16 bytes in, 16 ")
        wait_until("they have gone too", lambda: not busy & set(pool(daemon)))
        assert exchange(port, b"hello") == b"hello"
        assert len(daemon.log.wait("session end: echo", 5, 0, 1)) == 4
        daemon.expect_no_zombie()
        daemon.check()


@covers("F20")
@case("the master killed: nobody is accepted any more, and busy workers have graceful_timeout")
def master_killed():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, options={"graceful_timeout": "2s"}, start_servers=5)
        whole(daemon, 5)
        clients = crowd_of(crowd, port, 3)
        busy = {worker_of(daemon, client) for client in clients}
        daemon.kill(daemon.pid)
        wait_until("idle ones have gone", lambda: set(pool(daemon)) == busy, seconds=1)
        assert is_refused(port)
        expect_answers(clients)
        clients[0].close()
        wait_until("one has finished", lambda: len(pool(daemon)) == 2, seconds=1)
        wait_until("all have gone", lambda: not daemon.processes(), seconds=4)
        daemon.pid = None


# ---- reload, pause and stop ---------------------------------------------------------------------


@case("a reload replaces idle workers and lets busy ones finish")
def reload():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, start_servers=5)
        workers = whole(daemon, 5)
        clients = crowd_of(crowd, port, 2)
        busy = {worker_of(daemon, client) for client in clients}
        daemon.configure(keys_of(port, start_servers=5, handler="upper"))
        daemon.reload()
        wait_until("idle ones are replaced",
                   lambda: workers & set(pool(daemon)) == busy and len(idle(daemon)) == 5)
        expect_answers(clients)
        assert exchange(port, b"hello") == b"HELLO"
        crowd.close()
        wait_until("busy ones end after their client", lambda: not busy & set(pool(daemon)))
        daemon.expect("session end: echo", 3)
        wait_until("one generation", lambda: len(daemon.processes("listener", "echo")) == 1)
        daemon.check()


@case("workers whose queue is never empty take nobody more either, when a pause or a reload says so")
def long_queue():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        keys = {"instances": 2, "start_servers": 2, "min_spare": 1, "delay": "100ms"}
        daemon.announce("throttled begin: echo: instances")
        port = serve(daemon, **keys)
        workers = whole(daemon, 2)
        for _ in range(100):
            client = crowd.enter_context(connect(port))
            client.sendall(b"hello")
            client.shutdown(socket.SHUT_WR)
        daemon.expect("session end", 4)
        assert daemon.control("pause", "echo")[0] == 0
        wait_until("they are gone", lambda: not workers & set(pool(daemon)), seconds=1)
        daemon.mark()
        assert daemon.control("resume", "echo")[0] == 0
        daemon.expect("session end", 4)
        workers = set(pool(daemon))
        daemon.configure(keys_of(port, idle_timeout="1h", **keys))
        daemon.reload()
        wait_until("they are gone", lambda: not workers & set(pool(daemon)), seconds=1)
        daemon.mark()
        daemon.expect("session end", 4)


@covers("F52")
@case("reloads under load lose nobody")
def reloads_under_load():
    with Daemon() as daemon:
        port = serve(daemon, start_servers=5, max_requests=20)
        with Load("steady", port, 6) as load:
            for number in range(10):
                daemon.configure(keys_of(port, start_servers=5, max_requests=20 + number % 2 * 10))
                daemon.reload()
            result = load.finish()
        note(result)
        assert result.answered > 100 and not result.lost, result
        wait_until("one generation", lambda: len(daemon.processes("listener", "echo")) == 1)
        daemon.check()


@case("a removed address refuses new clients at once, though workers are busy with its old ones")
def removed_address():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port, other = free_port(), free_port()
        both = keys_of(port, start_servers=4)
        both["echo"]["listen"] += f" 127.0.0.1:{other}"
        shown = Shown(daemon, both)
        shown_whole(shown, 4)
        clients = crowd_of(crowd, port, 2) + crowd_of(crowd, other, 1)
        daemon.configure(dict(shown.services, **keys_of(port, start_servers=4)))
        daemon.reload()
        wait_until("nobody is taken there", lambda: is_refused(other), seconds=1)
        assert exchange(port, b"hello") == b"hello"
        expect_answers(clients)


@case("pause lets clients wait, though workers were forked ahead; resume serves them")
def pause():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = free_port()
        shown = Shown(daemon, keys_of(port, start_servers=3))
        shown_whole(shown, 3)
        clients = crowd_of(crowd, port, 1)
        assert daemon.control("pause", "echo")[0] == 0
        wait_until("idle ones have gone", lambda: shown.service()["pool"]["idle"] == 0)
        waiting = crowd.enter_context(connect(port))
        waiting.sendall(b"my turn")
        waiting.settimeout(0.5)
        try:
            raise AssertionError(f"it was served: {waiting.recv(7)}")
        except TimeoutError:
            pass
        expect_answers(clients)
        assert daemon.control("resume", "echo")[0] == 0
        waiting.settimeout(scaled(5))
        assert waiting.recv(7) == b"my turn"


@case("a stop ends idle workers at once, waits for busy ones, and ends them after the grace")
def stop():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = serve(daemon, options={"graceful_timeout": "2s"}, start_servers=5)
        whole(daemon, 5)
        first, second = crowd_of(crowd, port, 2)
        daemon.kill(daemon.pid, signal.SIGTERM)
        wait_until("idle ones have gone", lambda: len(pool(daemon)) == 2, seconds=1)
        wait_until("nobody is taken any more", lambda: is_refused(port), seconds=1.5)
        expect_answers([first, second])
        first.close()
        daemon.expect(f"session end: echo {name_of(second)} .*: daemon stopped, 16 bytes in", seconds=4)
        assert daemon.wait_end(3) == 0
        daemon.expect_nothing_left()
        assert len(daemon.said("session end: echo")) == 2


# ---- what is told -------------------------------------------------------------------------------


@covers("F24")
@case("accepted = ended = lines under load, to the unit, over workers that come and go")
def lines_are_exact():
    with Daemon() as daemon:
        daemon.announce("records dropped")
        port = free_port()
        shown = Shown(daemon, keys_of(port, start_servers=4, max_requests=7, max_requests_jitter=5))
        whole(daemon, 4)
        with Load("steady", port, 8) as load:
            time.sleep(3)
            result = load.finish()
        note(result)
        assert result.answered > 300 and not result.lost, result
        told = expect_exact(daemon, shown)
        assert told["accepted"] == result.answered, told
        assert told["bytes_in"] == told["bytes_out"] > 0
        daemon.check()


@case("with log_level = notice no line is written, and the counts are as exact")
def counts_without_lines():
    with Daemon() as daemon:
        port = free_port()
        shown = Shown(daemon, keys_of(port, start_servers=4, max_requests=10), log_level="notice")
        with Load("steady", port, 6) as load:
            time.sleep(2)
            result = load.finish()
        assert result.answered > 200 and not result.lost, result
        wait_until("all is quiet", lambda: shown.service()["live"] == 0)
        told = shown.service()
        assert told["accepted"] == sum(told["ended"].values()) == result.answered, told
        assert told["records_dropped"] == 0 and not daemon.said("session end: echo")
        daemon.check()


@case("the status page's figures tell workers, idle ones and clients")
def figures():
    with Daemon() as daemon, contextlib.ExitStack() as crowd:
        port = free_port()
        shown = Shown(daemon, keys_of(port, start_servers=5))
        shown_whole(shown, 5)
        clients = crowd_of(crowd, port, 2)
        wait_until("it is seen", lambda: shown.service()["live"] == 2)
        told = shown.service()
        assert told["process_model"] == "prefork", told
        assert told["pool"] == {"workers": 5, "idle": 3, "scale": 0}, told["pool"]
        assert sorted(row["client"] for row in shown.sessions()) == sorted(map(name_of, clients))
        crowd.close()
        shown_whole(shown, 5)
        assert shown.service()["live"] == 0 and not shown.sessions()


@case("a pool on a Unix socket, with several clients for each worker")
def unix_socket():
    with Daemon() as daemon:
        path = daemon.path("socket")
        keys = {"listen": f"unix:{path}", "process_model": "prefork", "start_servers": 3}
        daemon.configure({"echo": keys})
        daemon.start()
        workers = whole(daemon, 3)
        with Load("serial", f"unix:{path}", 50) as load:
            result = load.finish()
        assert result.answered == 50, result
        assert whole(daemon, 3) == workers
        daemon.expect("session end: echo", 50)


@case("doc/examples/pool.conf: JSON comes back from a pool's process, and a page from another's")
def example():
    with Daemon() as daemon:
        with open(os.path.join(SOURCE, "doc/examples/pool.conf"), encoding="utf-8") as file:
            text = file.read().replace("/run/forkechod", daemon.directory)
        daemon.write(section("daemon", daemon.own_options()) + text)
        daemon.start()
        echo, web = daemon.path("pool-echo"), daemon.path("pool-web")
        auto = 2 * os.sysconf("SC_NPROCESSORS_ONLN") + 1
        wait_until("both pools wait", lambda: len(daemon.processes("session")) == 2 * auto)
        workers = {process.pid for process in daemon.processes("session", "pool-echo")}
        done = subprocess.run(
            [FORKECHO, "-U", echo, "-m", '{"param1":"value1"}'], capture_output=True, timeout=scaled(10)
        )
        assert (done.returncode, done.stdout) == (0, b'{"param1":"value1"}'), done
        request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert exchange(f"unix:{web}", request).endswith(b"\r\n\r\nHello, world!\n")
        daemon.expect("session end: pool-echo unix .*: client closed, 19 bytes in, 19 ")
        assert workers == {process.pid for process in daemon.processes("session", "pool-echo")}


@case("a client that comes while a reload ends the old processes is answered at once", limit=60)
def no_client_is_forgotten():
    alone = {"process_model": "prefork", "start_servers": 1, "min_spare": 1, "max_spare": 1}
    with Daemon() as daemon:
        port = free_port()
        for turn in range(100):
            services = {"echo": dict(alone, listen=f"127.0.0.1:{port}", nice=turn % 2)}
            daemon.configure(services)
            if turn == 0:
                daemon.start()
            else:
                daemon.reload()
            assert exchange(port, b"hello", seconds=3) == b"hello"


if __name__ == "__main__":
    run()
