"""What system calls plausibly fail with: by call, or by call and what an argument names.

By each call's own page of section 2, and signal(7); where a firewall, a security module or a container
may refuse a call, with EPERM as well. A call that is not here does not fail, or not as strace(1) lets
it: a close(2) that failed has closed, and brk(2) returns no errno.
"""

_ROOM = ["EMFILE", "ENFILE", "ENOMEM"]  # for a new descriptor
_DEVICE = ["EIO"]
_FULL = ["ENOSPC", "EIO"]

ERRNOS = {
    # files
    "openat": ["EMFILE", "ENFILE", "ENOMEM", "EACCES"],
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
    "unlink": ["EACCES", "EROFS"],
    "unlinkat": ["EACCES", "EROFS"],
    "rename": ["EACCES", "ENOSPC"],
    "mkdir": ["EACCES", "ENOSPC"],
    "chmod": ["EPERM", "EROFS"],
    "fchmod": ["EPERM", "EROFS"],
    "fchmodat": ["EPERM", "EROFS"],
    "chown": ["EPERM"],
    "fchown": ["EPERM"],
    "fchownat": ["EPERM"],
    "flock": ["ENOLCK", "EINTR"],
    "fcntl F_DUPFD": ["EMFILE"],
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
    "kill": ["EPERM", "ESRCH"],
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


# Of a peer that is gone: only sessions have one that can go while all else lives.
_PEER = {"EPIPE", "ECONNRESET", "ETIMEDOUT"}


def errnos_of(process, call, arguments):
    """The errnos for a process's call with these arguments, as strace writes them."""
    for key, errnos in ERRNOS.items():
        name, _, word = key.partition(" ")
        if name == call and word in arguments:
            lives = call in ("sendto", "recvfrom") and not process.startswith("session")
            return [errno for errno in errnos if not (lives and errno in _PEER)]
    return []
