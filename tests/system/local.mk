# System tests: the real programs, in a directory of their own, on free ports, as any user.
EXTRA_DIST += tests/system/tap.py

system_tests = tests/system/forkecho.py tests/system/forkechoctl.py
dist_check_SCRIPTS += $(system_tests)
TESTS += $(system_tests)
