"""Calls that may fail without a line that tells of it, where all clients are served as if they had not.

By call and the function that it comes from, each with why nobody has to know. What is in no row, and
was not felt, fails the sweep. EINTR is in none: such a call is made again.
"""

# Calls ("*": any), functions one of which is near, why.
_ROWS = [
    ("*", "_start find_countdown _dl_non_dynamic_init __libc_early_init",
     "before main: the loader, the C library, and what these tests add"),
    ("mmap mremap", "read_open heritage_read succession_leave", "the allocator has another way"),
    ("openat read newfstatat lseek", "privilege_find", "the user database: there are defaults"),
    ("openat read newfstatat lseek", "line_syslog", "without a time zone it is UTC"),
    ("openat read newfstatat capget prctl", "privilege_limit_master privilege_drop",
     "libcap-ng asks in another way; what came of it is verified (privilege.c)"),
    ("setuid", "privilege_drop", "it has to fail: this verifies it"),
    ("newfstatat", "print_lines run conf_ini_confirm", "stdio wants to know how large a buffer is best"),
    ("openat read newfstatat clone memfd_create fcntl lseek write pidfd_open poll", "master_arrive",
     "after an upgrade: where the old configuration cannot be read again, the new one is read"),
    ("pidfd_open poll", "conf_ini_confirm", "the end of a process is waited for in another way"),
    ("read", "conf_ini_confirm", "what was read up to there is compared, and was all"),
    ("write", "print_mistakes", "remarks of a program that is only tried"),
    ("prctl", "title_init", "what ps(1) shows"),
    ("setsid prctl", "daemonize", "what has just been forked can; a mere preference"),
    ("openat read pwrite64", "change", "oom_score_adj is a wish"),
    ("dup2", "main", "a number that was to be kept for the client: what takes it, a session replaces"),
    ("openat read", "pool_open __get_nprocs", "without a count of processors there is one"),
    ("setsockopt getsockopt", "sockets_prepare_streams channel_pair control_dispatch",
     "an option that is a wish"),
    ("getsockopt", "sockets_waiting", "a figure that is only shown"),
    ("accept4", "accept_port worker_main control_dispatch", "the next accept4 has the client"),
    ("recvfrom sendto", "control_dispatch control_say", "whoever asked is told by forkechoctl(8)"),
    ("recvfrom", "channel_receive", "the next look at the channel has it"),
    ("poll ppoll", "master_run loop_run sockets_waiting command_wait", "the next turn asks again"),
    ("sendto", "channel_send", "the channel sends it a moment later"),
    ("sendto", "stream_write", "it waits for room"),
    ("sendto", "worker_tell_end", "the end of the process tells the same"),
    ("poll writev", "write_stderr", "the line waits for the next one (queue.c)"),
    ("sendto", "sink_write", "the line waits for the next one (queue.c)"),
    ("socket connect", "log_open_at", "the log daemon is tried again, and the lines wait"),
    ("socket connect sendmsg", "notify_send",
     "status and watchdog come again; of what the manager has to get, life.py judges itself"),
    ("setpgid", "generation_start preflight_start", "parent and child both do it"),
    ("kill", "watch_reap preflight_end generation_tell generation_stopping confine_kill",
     "the process has ended"),
    ("shutdown", "confine_shut linger", "the client has gone"),
    ("recvfrom splice", "stream_read linger", "the line of the session's end says how it ended"),
    ("pipe2", "stream_use_pipe", "echo copies what it cannot splice"),
    ("close_range", "io_close_all_but session_main", "each descriptor is closed by itself"),
    ("openat fcntl fchmod write linkat", "lockfile_create",
     "where a file cannot be made whole first, it is made by its name"),
    ("newfstatat unlink", "lockfile_open lockfile_close", "an empty lock file is taken over some day"),
    ("newfstatat", "sockets_is_lost socketfile_adjust socketfile_remember",
     "a socket's file that cannot be looked at is left as it is"),
    ("openat newfstatat getdents64", "audit_remember", "an audit then has less to compare with"),
    ("readlink", "upgrade_init", "an upgrade is refused then, and its line says why"),
    ("epoll_create1 epoll_ctl", "seats_take seats_give", "a worker that finds no seat brings its own (seats.c)"),
    ("getrandom", "status_add_page", "a page without a nonce is one without style and script"),
]  # fmt: skip
_NEAR = 6


def excuse(call, errno, callers):
    """Why that may be unfelt; None where it may not. `callers`: functions, the innermost first."""
    near = [name for name in callers if name != "_start"][:_NEAR] or callers
    if errno == "EINTR":
        return "it is made again"
    for calls, functions, why in _ROWS:
        if calls == "*" or call in calls.split():
            if set(functions.split()) & set(near):
                return why
    return None
