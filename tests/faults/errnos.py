"""What system calls plausibly fail with: by call, or by call and what an argument names.

By each call's own page of section 2, and signal(7); where a firewall, a security module or a container
may refuse a call, with EPERM as well. Each call that the daemon makes is in one of two lists: it fails
so (ERRNOS), or it does not fail (SAFE).
"""

_ROOM = ["EMFILE", "ENFILE", "ENOMEM"]  # for a new descriptor
_DEVICE = ["EIO"]
_FULL = ["ENOSPC", "EIO"]

ERRNOS = {
    # files
    "openat O_TMPFILE": ["EMFILE", "EACCES", "ENOSPC", "EOPNOTSUPP"],
    "openat": ["EMFILE", "ENFILE", "ENOMEM", "EACCES"],
    "read <pipe:": ["EINTR"],
    "read": ["EIO", "EINTR"],
    "pread64": _DEVICE,
    "write": [*_FULL, "EINTR", "EAGAIN"],
    "writev": [*_FULL, "EINTR", "EAGAIN", "EPIPE"],
    "pwrite64": _FULL,
    "lseek": ["EINVAL"],
    "newfstatat": ["ENOMEM", "EACCES"],
    "fstat": ["ENOMEM", "EIO"],
    "fstatfs": _DEVICE,
    "statx": ["ENOMEM", "EACCES"],
    "access": ["EACCES"],
    "faccessat2": ["EACCES"],
    "readlink": ["EACCES", "ENOENT"],
    "getdents64": _DEVICE,
    "getcwd": ["ENOENT"],
    "ftruncate": [*_FULL, "EINTR"],
    "linkat": ["EEXIST", "EACCES", "EXDEV", "ENOSPC"],
    "unlink": ["EACCES", "EROFS"],
    "unlinkat": ["EACCES", "EROFS"],
    "rename": ["EACCES", "ENOSPC"],
    "chdir": ["EACCES"],
    "mkdir": ["EACCES", "ENOSPC"],
    "chmod": ["EPERM", "EROFS"],
    "fchmod": ["EPERM", "EROFS"],
    "fchmodat": ["EPERM", "EROFS"],
    "chown": ["EPERM"],
    "fchown": ["EPERM"],
    "fchownat": ["EPERM"],
    "flock": ["ENOLCK", "EINTR"],
    "fcntl F_DUPFD": ["EMFILE"],
    "fcntl F_GET_SEALS": ["EINVAL"],
    "fcntl F_ADD_SEALS": ["EPERM", "EBUSY"],
    "fcntl LK": ["ENOLCK", "EAGAIN"],
    "dup2": ["EBUSY", "EINTR"],
    "dup3": ["EBUSY", "EINTR"],
    "close_range": ["ENOSYS", "ENOMEM"],
    "pipe2": _ROOM,
    "memfd_create": _ROOM,
    "eventfd2": _ROOM,
    "signalfd4": _ROOM,
    "epoll_create1": _ROOM,
    "timerfd_create": _ROOM,
    "poll": ["EINTR", "ENOMEM"],
    "ppoll": ["EINTR", "ENOMEM"],
    "epoll_wait": ["EINTR"],
    "epoll_pwait": ["EINTR"],
    "epoll_ctl": ["ENOMEM", "ENOSPC"],
    "ioctl SIOC": ["EINVAL"],
    "splice": ["ENOMEM", "EINVAL", "ECONNRESET"],
    "sendfile": ["ENOMEM", "EINVAL", "ECONNRESET"],
    # memory
    "mmap": ["ENOMEM"],
    "mremap": ["ENOMEM"],
    "mprotect": ["ENOMEM"],
    "madvise": ["EINVAL", "ENOMEM", "EAGAIN"],
    # sockets
    "socket": [*_ROOM, "ENOBUFS", "EAFNOSUPPORT", "EPERM"],
    "socketpair": [*_ROOM, "ENOBUFS"],
    "bind": ["EADDRINUSE", "EACCES", "EADDRNOTAVAIL", "ENOMEM"],
    "listen": ["EADDRINUSE", "ENOBUFS"],
    "connect": ["ECONNREFUSED", "EAGAIN", "ENOENT", "EACCES", "EINTR"],
    "accept4": ["EINTR", "ECONNABORTED", "EPERM", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EPROTO",
                "ENETDOWN", "EINVAL", "EBADF"],
    "recvfrom": ["EINTR", "ENOMEM", "ECONNRESET", "ETIMEDOUT"],
    "recvmsg": ["EINTR"],
    "sendto": ["EINTR", "EAGAIN", "ENOBUFS", "ENOMEM", "EPIPE", "ECONNRESET", "EPERM"],
    "sendmsg": ["EINTR", "EAGAIN", "ENOBUFS", "ENOMEM", "EPIPE", "EPERM"],
    "setsockopt": ["ENOPROTOOPT", "ENOMEM", "EPERM"],
    "getsockopt": ["ENOPROTOOPT", "ENOBUFS"],
    "getsockname": ["ENOBUFS"],
    "getpeername": ["ENOBUFS", "ENOTCONN"],
    "shutdown": ["ENOTCONN"],
    # processes
    "clone": ["EAGAIN", "ENOMEM"],
    "clone3": ["EAGAIN", "ENOMEM"],
    "fork": ["EAGAIN", "ENOMEM"],
    "vfork": ["EAGAIN", "ENOMEM"],
    "execve": ["ENOMEM", "EACCES", "ETXTBSY"],
    "execveat": ["ENOMEM", "EACCES", "ETXTBSY"],
    "wait4 WNOHANG": [],
    "wait4": ["EINTR"],
    "waitid WNOHANG": [],
    "waitid": ["EINTR"],
    "rt_sigtimedwait": ["EINTR"],
    "kill": ["EPERM", "ESRCH"],
    "rt_sigqueueinfo": ["EAGAIN", "EPERM"],
    "pidfd_open": [*_ROOM, "ENOSYS"],
    "pidfd_send_signal": ["EPERM", "ESRCH"],
    "setpgid": ["EACCES", "EPERM"],
    "setsid": ["EPERM"],
    "prctl": ["EINVAL", "EPERM"],
    "seccomp": ["EINVAL", "ENOMEM", "EACCES"],
    "capset": ["EPERM"],
    "capget": ["EPERM"],
    "setuid": ["EPERM", "EAGAIN"],
    "setgid": ["EPERM"],
    "setresuid": ["EPERM", "EAGAIN"],
    "setresgid": ["EPERM"],
    "setgroups": ["EPERM", "ENOMEM"],
    "getgroups": ["EINVAL"],
    "setpriority": ["EACCES"],
    "setrlimit": ["EPERM", "EINVAL"],
    "prlimit64": ["EPERM", "EINVAL"],
    "setitimer": ["EINVAL"],
    "getrandom": ["ENOSYS", "EAGAIN"],
}  # fmt: skip


# These do not fail, or not as strace(1) lets them: a close(2) that failed has closed, brk(2) returns no
# errno, and what looks at or sets a thing of the process itself fails on a wrong argument alone.
SAFE = [
    "close", "munmap", "brk", "exit_group", "rt_sigreturn", "umask",
    "fcntl F_GETFD", "fcntl F_SETFD", "fcntl F_GETFL", "fcntl F_SETFL", "ioctl TCGETS",
    "rt_sigaction", "rt_sigprocmask", "arch_prctl", "rseq", "set_robust_list", "set_tid_address",
    "getpid", "getppid", "gettid", "getsid", "getpriority",
    "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid",
]  # fmt: skip

# Of a peer that is gone: only sessions have one that can go while all else lives.
_PEER = {"EPIPE", "ECONNRESET", "ETIMEDOUT"}


def _means(key, call, arguments):
    name, _, word = key.partition(" ")
    return name == call and word in arguments


def errnos_of(process, call, arguments):
    """The errnos for a process's call with these arguments, as strace writes them; None when the call
    is in no list."""
    for key, errnos in ERRNOS.items():
        if _means(key, call, arguments):
            lives = call in ("sendto", "recvfrom") and not process.startswith("session")
            return [errno for errno in errnos if not (lives and errno in _PEER)]
    return [] if any(_means(key, call, arguments) for key in SAFE) else None
