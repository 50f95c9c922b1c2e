# System tests: the real programs, in a directory of their own, on free ports, as any user.
EXTRA_DIST += tests/system/tap.py
