# System tests: the real daemon, in a directory of its own, on free ports, as any user.
