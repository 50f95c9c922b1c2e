"""Bad configurations: all that is wrong is said in one run, with its place, and nothing changes."""

import os
import re
import socket
import time

from clients import exchange
from harness import Daemon, forkechod, free_port, ordinary, said_otherwise
from processes import reap_orphans, wait_until
from programs import SOURCE
from tap import case, covers, expect_time, run, scaled

EX_OSERR, EX_CONFIG = 71, 78


def overrides(options):
    return [f"-odaemon.{key}={value}" for key, value in options.items()]


class Trial(Daemon):
    """A daemon that serves a good file, and in the same place a file that is tried: by -t, by a
    start beside it, and by a reload of it."""

    def __init__(self):
        super().__init__()
        self.port = free_port()
        self.good = f"[service echo]\nlisten = 127.0.0.1:{self.port}\n"
        self.options = self.own_options()
        # Where a start beside it would leave its traces.
        self.beside = dict(self.options, pid_file=self.path("pid2"), control_socket=self.path("c2"))

    def serve(self):
        self.write(self.good)
        self.announce("reload mistake: ", "reload rejected: ")
        self.start(*overrides(self.options))
        self.first = self.state()

    def state(self):
        """All that a refused configuration must leave as it is."""
        pids = sorted(process.pid for process in self.processes())
        return pids, sorted(os.listdir(self.directory))

    def expect_unchanged(self, what, before):
        def is_unchanged():
            unchanged = self.state() == before
            reap_orphans(spare=[self.pid])
            return unchanged

        wait_until(f"{what} leaves all as it was: {before}", is_unchanged)

    def expect_serving(self):
        """Clients are served, and their sessions end."""
        assert exchange(self.port, b"still here") == b"still here"
        wait_until("the session is gone", lambda: len(self.processes()) == len(self.first[0]))

    def told(self, lines, prefix=""):
        """Messages with files named from the test's directory, and of FILE:LINE only the line."""
        found = []
        for line in said_otherwise("\n".join(lines)).splitlines():
            assert line.startswith(prefix), line
            line = line[len(prefix) :].replace(self.directory + "/", "")
            found.append(re.sub(r"^forkechod\.conf:(?=\d)", "", line))
        return found

    def expect_told(self, what, lines, expected):
        """As many messages as expected, in this order, each one beginning so."""
        begins = [line.startswith(begin) for line, begin in zip(lines, expected)]
        assert len(lines) == len(expected) and all(begins), "\n".join(
            [f"{what} says:", *lines, "instead of:", *expected]
        )

    def command_refuses(self, expected, *options, **popen):
        """-t and a real start say just this, with status 78, and leave nothing behind."""
        before = self.state()
        for what, more in (("-t", ["-t"]), ("a start", overrides(self.beside))):
            begin = time.monotonic()
            done = forkechod("-c", self.file, *more, *options, **popen)
            late = time.monotonic() - begin
            assert (done.returncode, done.stdout) == (EX_CONFIG, ""), (what, done)
            expect_time(late, 0, scaled(1), what)
            self.expect_told(what, self.told(done.stderr.splitlines(), "forkechod: "), expected)
            self.expect_unchanged(what, before)

    def reload_refuses(self, expected):
        """A reload says the same, and the daemon goes on with what it has."""
        before = self.state()
        status, text = self.control("reload")
        head, *lines = text.splitlines()
        assert status == 1 and "reload rejected" in head, text
        self.expect_told("a reload", self.told(lines), expected)
        self.expect_unchanged("a reload", before)
        self.expect_serving()

    def refuses(self, text, *expected):
        """The text as the file, tried in all ways."""
        self.write(text)
        self.command_refuses(expected)
        self.reload_refuses(expected)

    def accepts(self, text, *remarks):
        self.write(text)
        done = forkechod("-t", "-c", self.file, *overrides(self.beside))
        assert (done.returncode, done.stdout) == (0, ""), done
        self.expect_told("-t", self.told(done.stderr.splitlines(), "forkechod: "), remarks)


def refuses_all(*rows):
    """A case's body: each row is a text and what is said of it."""
    with Trial() as trial:
        trial.serve()
        for text, *expected in rows:
            trial.refuses(text, *expected)
        trial.write(trial.good)
        trial.reload()
        assert trial.state() == trial.first, "the good file again changes nothing"


# A service that is right, in front of or behind what is wrong.
ECHO = "[service echo]\nlisten = 127.0.0.1:0\n"
# What is said, last of all, of a file that has none.
NOTHING = "forkechod.conf: no service is enabled"


# ---- the file as text: what the INI library would read, and not say ------------------------------


@case("a key that is named like a section is told, not a crash")
def named_like_a_section():
    refuses_all(
        ("[service]\necho = 1\n" + ECHO, '1: [service]: not a service\'s name: ""'),
        ("[daemon]\ndaemon = 1\n" + ECHO, "2: [daemon] daemon: no such key"),
        ("[service:echo]\nlisten = 0\n" + ECHO, '1: not a section\'s name: "service:echo"'),
    )


@case("a backslash at the end of a line does not swallow the next one")
def trailing_backslash():
    wrong = "a backslash at the end of a line"
    refuses_all(
        (ECHO + "# C:\\\nonce = yes\n", f"3: {wrong}"),
        (ECHO + "busy_message = C:\\\nonce = yes\n", f"3: {wrong}"),
        (ECHO + "once = yes \\", f"3: {wrong}"),
    )


@case("a section's header that is not one is told, and not taken for another section")
def broken_headers():
    refuses_all(
        (ECHO + "[]\n", '3: not a section\'s name: ""'),
        (ECHO + "[ ]\n", '3: not a section\'s name: ""'),
        ("[service echo] ; comment\nlisten = 0\n", "1: text behind ] in", NOTHING),
        ("[service echo\nlisten = 0\n", "1: no ] in", NOTHING),
        (ECHO + "[a=b\n", "3: no ] in"),
        (ECHO + "[" + "a" * 65 + "]\n", "3: not a section's name"),
    )


@case("a setting in front of every section is told, and so is a line that is none at all")
def no_setting():
    refuses_all(
        ("port = 7\n" + ECHO, '1: in front of any section: "port = 7"'),
        ("port\n" + ECHO, "1: neither a section nor a setting"),
        (ECHO + "once\n", '3: neither a section nor a setting: "once"'),
        (ECHO + "= yes\n", "3: neither a section nor a setting"),
        (ECHO + "on ce = yes\n", "3: neither a section nor a setting"),
        (ECHO + "größe = 1\n", "3: neither a section nor a setting"),
        (ECHO + "x", '3: neither a section nor a setting: "x"'),
    )


@case("a line that is too long is told with its number, a comment as well")
def long_lines():
    wrong = "a line of more than 1000 bytes"
    refuses_all(
        (ECHO + "# " + "x" * 1000 + "\nonce = maybe\n", f"3: {wrong}", "4: [service echo] once: "),
        (ECHO + "only_from = " + "10.0.0.0/8 " * 100 + "\n", f"3: {wrong}"),
    )


@case("a NUL byte is told wherever it stands, and nothing behind it is believed")
def nul_bytes():
    refuses_all(
        (ECHO.encode() + b"\0[service x]\n", "3: a NUL byte"),
        (ECHO.encode() + b"once = yes\nquit = a\0b\nonce = no\n", "4: a NUL byte"),
        (ECHO.encode() + b"quit = \0", "3: a NUL byte"),
    )


@case("line ends of Windows and a byte order mark are read, those of old Macs are not")
def foreign_line_ends():
    with Trial() as trial:
        trial.accepts(ECHO.replace("\n", "\r\n"))
        trial.accepts("\ufeff" + ECHO)
        trial.accepts("\ufeff# a comment = 1\n" + ECHO)
    refuses_all(
        (ECHO.replace("\n", "\r"), "1: a carriage return", NOTHING),
        (ECHO + "\ufeffonce = yes\n", "3: neither a section nor a setting"),
    )


@case("a # or ; inside a value is told, where it would have cut the value")
def comments_in_values():
    refuses_all(
        (ECHO + "quit = a;b\n", "3: [service echo] quit: ; begins a comment in"),
        (ECHO + "only_from = /srv/#1\n", "3: [service echo] only_from: # begins a comment in"),
    )
    with Trial() as trial:
        trial.accepts(ECHO + "quit = bye ; this is a comment\nbusy_message = \"#1; try again\"\n")


@case("quotes that do not enclose the whole value are told")
def broken_quotes():
    quit_is = "3: [service echo] quit: "
    refuses_all(
        (ECHO + 'quit = "unterminated ; x\n', quit_is + "no closing quote"),
        (ECHO + 'quit = "say \\"hi\\""\n', quit_is + "text behind the closing quote"),
        (ECHO + 'quit = "bye" bye\n', quit_is + "text behind the closing quote"),
        (ECHO + 'quit = say "bye"\n', quit_is + "a stray quote"),
        (ECHO + "quit = 'bye'\n", quit_is + "a stray quote"),
    )


@case("what is not UTF-8, and control characters, are told and never printed raw")
def raw_bytes():
    with Trial() as trial:
        trial.serve()
        for text, wrong in (
            (b"quit = \x1b[2J\n", "a control character"),
            (b"quit = \xc2\x9b2J\n", "a control character"),
            (b"# caf\xe9\n", "not UTF-8"),
            (b"\x7f = 1\n", "a control character"),
        ):
            trial.refuses(ECHO.encode() + text, f"3: {wrong}")
        trial.write(ECHO + "\\x1b = 1\nonce = ü\n[service \x1b]\n")
        done = forkechod("-t", "-c", trial.file)
        assert "\x1b" not in done.stderr and "\\x1B" in done.stderr.replace("\\x1b", "\\x1B"), done


@case("five thousand settings are refused within a second, not read for minutes")
def too_many_settings():
    with Trial() as trial:
        trial.write(ECHO + "".join(f"key{number} = 1\n" for number in range(5000)))
        done = forkechod("-t", "-c", trial.file)
        assert done.returncode == EX_CONFIG, done
        lines = trial.told(done.stderr.splitlines(), "forkechod: ")
        assert len(lines) == 501 and re.fullmatch(r"and \d+ more mistakes", lines[-1]), lines[-1]


# ---- values --------------------------------------------------------------------------------------


# Key, value, and what is said of it in front of the value.
WRONG_VALUES = (
    ("instances", "12abc", "not a number"),
    ("instances", "abc", "not a number"),
    ("instances", "", "not a number"),
    ("instances", "010", "not a number"),
    ("instances", "0x10", "not a number"),
    ("instances", "-1", "not a number"),
    ("instances", "+1", "not a number"),
    ("instances", "1 000", "not a number"),
    ("instances", "1.5", "not a number"),
    ("instances", "0", "out of range"),
    ("instances", "100001", "out of range"),
    ("instances", "99999999999", "out of range"),
    ("instances", "4294967297", "out of range"),
    ("instances", "18446744073709551617", "out of range"),
    ("nice", "20", "out of range"),
    ("source_prefix_v4", "33", "out of range"),
    ("source_prefix_v6", "129", "out of range"),
    ("backlog", "65536", "out of range"),
    ("once", "yikes", "neither yes nor no"),
    ("once", "tru", "neither yes nor no"),
    ("once", "100", "neither yes nor no"),
    ("once", "enabled", "neither yes nor no"),
    ("once", "", "neither yes nor no"),
    ("idle_timeout", "5m", "not a time"),
    ("idle_timeout", "5 s", "not a time"),
    ("idle_timeout", "soon", "not a time"),
    ("idle_timeout", "1.5s", "not a time"),
    ("idle_timeout", "-1s", "not a time"),
    ("idle_timeout", "721h", "out of range"),
    ("keepalive_time", "999ms", "out of range"),
    ("keepalive_time", "1500ms", "not whole seconds"),
    ("rlimit_as", "64Q", "not a size"),
    ("rlimit_as", "64KB", "not a size"),
    ("rlimit_as", "1025G", "out of range"),
    ("cps", "fast", "not a rate"),
    ("cps", "10/day", "not a rate"),
    ("cps", "10 20 30", "not a rate"),
    ("cps", "10 0", "not a rate"),
    ("cps", "1000001", "out of range"),
    ("socket_mode", "rw", "not a file mode"),
    ("socket_mode", "0888", "not a file mode"),
    ("socket_mode", "1777", "out of range"),
    ("over_limit", "drop", "none of the words"),
    ("over_limit", "Defer", "none of the words"),
    ("process_model", "threads", "none of the words"),
    ("quit", "a\\q", "not a text"),
    ("quit", "a\\x00", "not a text"),
    ("quit", "x" * 256, "out of range"),
    ("user", "two words", "not a name"),
    ("user", "-x", "not a name"),
    ("group", "x" * 64, "out of range"),
    ("bind_to_device", "x" * 16, "not an interface"),
    ("handler", "ehco", "not a handler"),
    ("handler", "", "not a handler"),
    ("disable", "perhaps", "neither yes nor no"),
    ("listen", "nowhere", "not an address"),
    ("listen", "70000", "not an address"),
    ("listen", "007", "not an address"),
    ("listen", "127.0.0.1", "not an address"),
    ("listen", "127.0.0.1:", "not an address"),
    ("listen", "127.0.0.1:echo", "not an address"),
    ("listen", "127.0.0.256:7", "not an address"),
    ("listen", "127.1:7", "not an address"),
    ("listen", "localhost:7", "not an address"),
    ("listen", ":7", "not an address"),
    ("listen", "*:7", "not an address"),
    ("listen", "::1:7", "not an address"),
    ("listen", "[::1]", "not an address"),
    ("listen", "[::1]7", "not an address"),
    ("listen", "[::ffff:127.0.0.1]:7", "not an address"),
    ("listen", "[fe80::1]:7", "not an address"),
    ("listen", "[fe80::1%nosuch0]:7", "not an address"),
    ("listen", "unix:relative", "not an address"),
    ("listen", "unix:/" + "x" * 107, "not an address"),
    ("listen", "systemd:", "not an address"),
    ("listen", "127.0.0.1:0 oops 127.0.0.1:0", "not an address"),
    ("only_from", "10.0.0.0/33", "not an address or a network"),
    ("only_from", "10.0.0.1/8", "not an address or a network"),
    ("only_from", "localhost", "not an address or a network"),
    ("only_from", "2001:db8::/129", "not an address or a network"),
    ("no_access", "10.0.0.0-10.0.0.9", "not an address or a network"),
    ("no_access", "10.0.0.0/", "not an address or a network"),
)

WRONG_DAEMON_VALUES = (
    ("max_sessions", "1000001", "out of range"),
    ("log_level", "verbose", "none of the words"),
    ("syslog_facility", "local8", "none of the words"),
    ("log_address", "some", "none of the words"),
    ("log_probes", "2", "neither yes nor no"),
    ("group", "two words", "not a name"),
)


def add_wrong(lines, expected, section, key, value, complaint):
    shown = "oops" if " oops " in value else value.replace("\\", "\\x5c")
    lines.append(f"{key} = {value}")
    expected.append((f"{len(lines)}: [{section}] {key}: {complaint} ", shown))


@case("every wrong value of every kind is told in one run, with its place and what would be right")
def wrong_values():
    lines, expected = ["[daemon]"], []
    for row in WRONG_DAEMON_VALUES:
        add_wrong(lines, expected, "daemon", *row)
    lines += ["[defaults]"]
    add_wrong(lines, expected, "defaults", "backlog", "lots", "not a number")
    for number, row in enumerate(WRONG_VALUES):
        lines.append(f"[service s{number}]")
        add_wrong(lines, expected, f"service s{number}", *row)
    text = "\n".join(lines) + "\n"
    with Trial() as trial:
        trial.serve()
        trial.refuses(text, *(begin for begin, _ in expected))
        done = forkechod("-t", "-c", trial.file)
        for line, (_, value) in zip(done.stderr.splitlines(), expected):
            quoted = re.search(r'"(.*)" \((.+)\)$', line)
            assert quoted, f"it does not say what would be right: {line}"
            assert quoted.group(1).lower() == value[:150].lower() or len(value) > 100, (line, value)


@case("times that contradict each other are told at the one that was written last")
def contradictions():
    refuses_all(
        (ECHO + "write_timeout = 2min\n", "3: [service echo] write_timeout: a tcp_user_timeout of"),
        (
            "[defaults]\ntcp_user_timeout = 60s\n" + ECHO,
            "2: [defaults] tcp_user_timeout: a tcp_user_timeout of 1min is not above",
        ),
    )


@case("an unknown key is told with the nearest name, and one in a wrong section with its home")
def unknown_keys():
    no_key, elsewhere = "no such key (", "not in this section (it belongs in "
    refuses_all(
        (ECHO + "instnaces = 3\n", f"3: [service echo] instnaces: {no_key}did you mean instances?)"),
        (ECHO + "Once = yes\n", f"3: [service echo] Once: {no_key}did you mean once?)"),
        (ECHO + "colour = red\n", f"3: [service echo] colour: {no_key}forkechod.conf(5) has them"),
        (ECHO + "pid_file = /x\n", f"3: [service echo] pid_file: {elsewhere}[daemon])"),
        ("[daemon]\nonce = 1\n" + ECHO, f"2: [daemon] once: {elsewhere}[defaults] or [service NAME])"),
        ("[defaults]\nlisten = 7\n" + ECHO, f"2: [defaults] listen: {elsewhere}[service NAME])"),
    )


@case("an unknown section is told with the nearest name, and a service's name has to be one")
def unknown_sections():
    none, no_name = "no such section (", "not a service's name: "
    refuses_all(
        (ECHO + "[deamon]\n", f"3: [deamon]: {none}did you mean [daemon]?)"),
        (ECHO + "[Daemon]\n", f"3: [Daemon]: {none}did you mean [daemon]?)"),
        (ECHO + "[servcie two]\n", f"3: [servcie two]: {none}did you mean [service two]?)"),
        (ECHO + "[wonderland]\nx = 1\n", f"3: [wonderland]: {none}[daemon], [defaults] or [service"),
        (ECHO + "[service Two]\n", f'3: [service Two]: {no_name}"Two"'),
        (ECHO + "[service a b]\n", f'3: [service a b]: {no_name}"a b"'),
        (ECHO + f"[service {'x' * 33}]\n", f"3: [service {'x' * 33}]: {no_name}"),
    )


# ---- twice ---------------------------------------------------------------------------------------


@case("what is written twice is told at the second place, and names the first")
def written_twice():
    key = "4: [service echo] once: the key is there already (line 3)"
    refuses_all(
        (ECHO + "once = yes\nonce = no\n", key),
        (ECHO + "once = yes\nonce = yes\n", key),
        (ECHO + ECHO, "3: [service echo]: the section is there already (line 1)",
         "4: [service echo] listen: the key is there already (line 2)"),
        ("[daemon]\n" + ECHO + "[daemon]\n", "4: [daemon]: the section is there already (line 1)"),
    )


@case("an address that is taken within the file is told, and names its first holder")
def address_twice():
    two = "[service two]\nlisten = "
    taken = "4: [service two] listen: "
    refuses_all(
        (ECHO.replace(":0", ":7777 127.0.0.1:7777"),
         '2: [service echo] listen: listed twice: "127.0.0.1:7777"'),
        (ECHO.replace(":0", ":7777") + two + "127.0.0.1:7777\n",
         taken + '"127.0.0.1:7777" is taken by 127.0.0.1:7777 of [service echo]'),
        (ECHO.replace(":0", ":7777") + two + "7777\n",
         taken + '"0.0.0.0:7777" is taken by 127.0.0.1:7777 of [service echo]'),
        (ECHO.replace("127.0.0.1:0", "7777") + two + "[::1]:7777\n",
         taken + '"[::1]:7777" is taken by [::]:7777 of [service echo]'),
        (ECHO.replace("127.0.0.1:0", "unix:/run/x") + two + "unix:/run/x\n",
         taken + '"unix:/run/x" is taken by unix:/run/x of [service echo]'),
    )


@case("a file without any service is told, one whose services are all disabled as well")
def no_service():
    refuses_all(
        ("", NOTHING),
        ("# nothing\n", NOTHING),
        (ECHO + "disable = yes\n", NOTHING),
    )


# ---- what is no file -----------------------------------------------------------------------------


def replace(path, make):
    """Puts something else in the place of the file."""
    if os.path.lexists(path):
        os.unlink(path)
    make(path)


@covers("F51")
@case("a FIFO, a directory, a device, a file that cannot be read: refused at once")
def no_file():
    with Trial() as trial:
        trial.serve()
        for make, wrong in (
            (os.mkfifo, "not a regular file"),
            (lambda path: os.symlink("/dev/zero", path), "not a regular file"),
            (lambda path: os.symlink("/nonexistent", path), "cannot be opened: No such file"),
            (lambda path: None, "cannot be opened: No such file or directory"),
            (os.mkdir, "not a regular file"),
        ):
            replace(trial.file, make)
            trial.command_refuses([f"forkechod.conf: {wrong}"])
            trial.reload_refuses([f"forkechod.conf: {wrong}"])
        os.rmdir(trial.file)
        os.symlink("/proc/self/mem", trial.file)
        trial.command_refuses(["forkechod.conf: cannot be read: Input/output error"])


@case("a file that one may not read is told as such, and so is one in a closed directory")
def unreadable():
    with Trial() as trial:
        os.chmod(trial.directory, 0o777)
        trial.write(trial.good)
        os.chmod(trial.file, 0)
        trial.command_refuses(["forkechod.conf: cannot be opened: Permission denied"], **ordinary())
        os.chmod(trial.file, 0o644)
        os.mkdir(trial.file + ".d", 0)
        os.chmod(trial.file + ".d", 0)
        trial.command_refuses(["forkechod.conf.d: cannot be read: Permission denied"], **ordinary())
        os.rmdir(trial.file + ".d")


@case("a binary file gives one message, not a screenful")
def binary():
    with open("/proc/self/exe", "rb") as file:
        refuses_all((file.read(100000), "1: a NUL byte (this is no text file)"))


@case("a file of 10 MB is refused within a second")
def huge():
    refuses_all((b"# comment\n" * (1 << 20), "forkechod.conf: larger than 256 KiB"))


@case("a remark about a file that everybody may write to refuses nothing")
def writable_by_all():
    with Trial() as trial:
        trial.write(trial.good)
        os.chmod(trial.file, 0o666)
        done = forkechod("-t", "-c", trial.file)
        assert done.returncode == 0 and "everybody may write to it" in done.stderr, done


# ---- files beside it -----------------------------------------------------------------------------


@case("a mistake in FILE.d is told with its own file and line, after those of FILE")
def parts():
    with Trial() as trial:
        trial.serve()
        part = trial.file + ".d"
        os.mkdir(part)
        for name, text in (
            ("10-a.conf", "# first\n[service echo]\ninstances = many\n"),
            ("20-b.conf", "[service echo]\nonce = yes\n\nonce = yes\n"),
            ("ignored.txt", "nonsense"),
            (".hidden.conf", "nonsense"),
        ):
            with open(os.path.join(part, name), "w", encoding="ascii") as file:
                file.write(text)
        trial.first = trial.state()
        trial.refuses(
            trial.good + "delay = long\n",
            "3: [service echo] delay: not a time",
            "forkechod.conf.d/10-a.conf:3: [service echo] instances: not a number",
            "forkechod.conf.d/20-b.conf:4: [service echo] once: the key is there already (line 2)",
        )
        os.mkfifo(os.path.join(part, "30-c.conf"))
        trial.refuses(
            trial.good,
            "forkechod.conf.d/10-a.conf:3: [service echo] instances: not a number",
            "forkechod.conf.d/20-b.conf:4: [service echo] once: the key is there already (line 2)",
            "forkechod.conf.d/30-c.conf: not a regular file",
        )


@case("a file in the place of the directory FILE.d is told")
def part_is_no_directory():
    with Trial() as trial:
        trial.serve()
        with open(trial.file + ".d", "w", encoding="ascii"):
            pass
        trial.refuses(trial.good, "forkechod.conf.d: cannot be read: Not a directory")


@case("a mistake in a list's own file is told with that file and line")
def list_file():
    with Trial() as trial:
        trial.serve()
        path = trial.path("friends")
        with open(path, "w", encoding="ascii") as file:
            file.write("# ours\n10.0.0.0/8\n192.168.0.0/16 # home\n\n10.0.0.300\n10.0.0.1 a.b.c\n")
        trial.refuses(
            trial.good + f"only_from = 127.0.0.1 {path}\nno_access = {trial.path('nobody')}\n",
            "friends:5: [service echo] only_from: not an address or a network",
            "friends:6: [service echo] only_from: more than one word",
            "nobody: [service echo] no_access: cannot be opened: No such file",
        )


# ---- -o ------------------------------------------------------------------------------------------


@case("a wrong -o is told as the command line's, each of them")
def wrong_overrides():
    rows = (
        ("nonsense", '-o: not a setting: "nonsense"'),
        ("echo.once", "-o: not a setting"),
        ("once=yes", "-o: not a setting"),
        (".once=yes", "-o: not a setting"),
        ("echo.=yes", "-o: not a setting"),
        ("=", "-o: not a setting"),
        ("", "-o: not a setting"),
        ('echo.quit="x"', "-o: not a setting"),
        ("ehco.once=yes", "[service ehco]: no such service (did you mean echo?)"),
        ("wonderland.once=yes", '[service wonderland]: no such service (write "service'),
        ("echo.onec=yes", "[service echo] onec: no such key (did you mean once?)"),
        ("defaults.listen=7", "[defaults] listen: not in this section"),
        ("echo.once=maybe", '[service echo] once: neither yes nor no "maybe"'),
        ("daemon.graceful_timeout=long", '[daemon] graceful_timeout: not a time "long"'),
        ("daemon.pid_file=relative", "[daemon] pid_file: not a path"),
        ("daemon.control_socket=relative", "[daemon] control_socket: not a path"),
        ("daemon.log_type=paper", '[daemon] log_type: none of the words "paper"'),
        ("daemon.user=-x", '[daemon] user: not a name "-x"'),
        ("echo.quit=\x1b[2J", "a control character"),
    )
    with Trial() as trial:
        trial.write(trial.good)
        for override, wrong in rows:
            trial.command_refuses([f"command line: {wrong}"], "-o", override)
        options = [word for override, _ in rows[-7:] for word in ("-o", override)]
        trial.write(trial.good + "delay = long\n")
        trial.command_refuses(
            ["3: [service echo] delay: "] + [f"command line: {wrong}" for _, wrong in rows[-7:]],
            *options,
        )


# ---- what only the machine can tell --------------------------------------------------------------


@covers("F41")
@case("a port that is taken is told with its address, at a start and at a reload")
def taken_port():
    with Trial() as trial, socket.socket() as other:
        trial.serve()
        other.bind(("127.0.0.1", 0))
        other.listen()
        where = "%s:%d" % other.getsockname()
        wrong = f"cannot listen on {where}: Address already in use"
        before = trial.state()
        two = f"[service two]\nlisten = {where}\n"
        trial.write(trial.good + "handler = upper\n" + two)
        assert forkechod("-t", "-c", trial.file).returncode == 0, "the file is right"
        status, text = trial.control("reload")
        assert status == 1 and wrong in text, text
        trial.expect_unchanged("the reload", before)
        trial.expect_serving()
        trial.write(two)
        done = forkechod("-c", trial.file, *overrides(trial.beside))
        assert done.returncode == EX_OSERR and wrong in done.stderr, done
        trial.expect_unchanged("the start", before)


@covers("F51")
@case("SIGHUP with a bad file logs every mistake with its place, and the daemon goes on")
def hang_up():
    with Trial() as trial:
        trial.serve()
        trial.write("[daemon]\nonce = 1\n[service echo]\nlisten = here\ninstances = many\n")
        trial.hang_up()
        trial.expect(r"forkechod.conf:2: \[daemon\] once: not in this section")
        trial.expect(r"forkechod.conf:4: \[service echo\] listen: not an address")
        trial.expect(r"forkechod.conf:5: \[service echo\] instances: not a number")
        trial.expect("reload rejected: 3 mistakes; the old configuration is in force")
        trial.expect_unchanged("the reload", trial.first)
        trial.expect_serving()


@case("in the foreground the same mistakes come with the same status")
def foreground():
    with Trial() as trial:
        trial.write(ECHO + "once = maybe\ndelay = long\n")
        before = trial.state()
        done = forkechod("-F", "-c", trial.file, *overrides(trial.beside))
        assert done.returncode == EX_CONFIG and not done.stdout, done
        trial.expect_told(
            "-F",
            trial.told(done.stderr.splitlines(), "forkechod: "),
            ["3: [service echo] once: ", "4: [service echo] delay: "],
        )
        trial.expect_unchanged("-F", before)


# ---- what is right -------------------------------------------------------------------------------


def dump(path, *options):
    """What -T prints, without its comments."""
    done = forkechod("-T", "-c", path, *options)
    assert done.returncode == 0 and not done.stderr, done
    return [line for line in done.stdout.splitlines() if not line.startswith("#")]


@case("the dump of -T, read again, is the same but for its comments")
def dump_again():
    with Trial() as trial:
        with open(trial.path("friends"), "w", encoding="ascii") as file:
            file.write("192.0.2.0/24\n2001:db8::/32\n")
        trial.write(
            "[daemon]\nlog_level = debug\ngraceful_timeout = 1500ms\n"
            "[defaults]\nidle_timeout = 0\ncps = 50/min 7\nper_source_rate = 3/h\n"
            f"only_from = 127.0.0.0/8 ::1 {trial.path('friends')}\nno_access = 127.0.0.9\n"
            "[service echo]\nlisten = 7 unix:/run/x,unix:@name systemd:echo 127.0.0.1:0 [::1]:0\n"
            'quit = "  bye; # \\x22\\r\\n\\x01 ü  "\nrlimit_as = 3M\nsocket_mode = 0640\n'
            "busy_message = C:\\\\dos\\tx\n"
            "[service two]\nhandler = upper\nonce = ON\nlisten = 127.0.0.1:1\n"
            "[service off]\nlisten = 127.0.0.1:2\ndisable = 1\n"
        )
        os.mkdir(trial.file + ".d")
        with open(trial.file + ".d/x.conf", "w", encoding="ascii") as file:
            file.write("[service two]\nonce = off\ninstances = 1\n")
        first = dump(trial.file, "-o", "two.delay=1min")
        assert {"once = no", "instances = 1", "delay = 1min", "cps = 50/min 7"} <= set(first), first
        os.unlink(trial.file + ".d/x.conf")
        os.rmdir(trial.file + ".d")
        trial.write("\n".join(first) + "\n")
        again = dump(trial.file)
        assert again == first, [pair for pair in zip(first, again) if pair[0] != pair[1]]


@case("-T of a bad file prints no half of a configuration, only what is wrong")
def dump_of_a_bad_file():
    with Trial() as trial:
        trial.write(ECHO + "once = maybe\n")
        done = forkechod("-T", "-c", trial.file)
        assert (done.returncode, done.stdout) == (EX_CONFIG, ""), done
        assert "forkechod.conf:3: [service echo] once: " in done.stderr, done


@case("the shipped file and every example are right, without a remark")
def shipped_files():
    examples = os.path.join(SOURCE, "doc/examples")
    names = [name for name in os.listdir(examples) if name.endswith(".conf")]
    files = [os.path.join(examples, name) for name in names]
    assert files
    for path in [os.path.join(SOURCE, "etc/forkechod.conf"), *files]:
        done = forkechod("-t", "-c", path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), (path, done)


if __name__ == "__main__":
    run()
