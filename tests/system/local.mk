# System tests: the real programs, in a directory of their own, on free ports, as any user.
EXTRA_DIST += tests/system/tap.py tests/system/harness.py tests/system/programs.py tests/system/clients.py \
	tests/system/processes.py tests/system/manager.py tests/system/shown.py tests/system/sinks.py \
	tests/system/crowd.py tests/system/models.py tests/system/namespaces.py

system_tests = tests/system/forkecho.py tests/system/forkecho-bench.py tests/system/forkechoctl.py
system_tests += tests/system/classics.py
system_tests += tests/system/commandline.py
system_tests += tests/system/webserver.py tests/system/status.py tests/system/status-load.py
system_tests += tests/system/load.py
system_tests += tests/system/mistakes.py
system_tests += tests/system/privilege.py
system_tests += tests/system/quiet.py
system_tests += tests/system/services.py
system_tests += tests/system/start.py
system_tests += tests/system/titles.py
system_tests += tests/system/look.py
system_tests += tests/system/unix.py
system_tests += tests/system/reload.py
system_tests += tests/system/death.py tests/system/sessions.py tests/system/reuse.py
system_tests += tests/system/stop.py tests/system/moments.py
system_tests += tests/system/control.py tests/system/drain.py
system_tests += tests/system/limits.py
system_tests += tests/system/pool.py
system_tests += tests/system/inetd.py
system_tests += tests/system/loglines.py tests/system/logsinks.py
system_tests += tests/system/exhaustion.py tests/system/chaos.py
if WITH_SYSTEMD
system_tests += tests/system/activation.py tests/system/notify.py
endif
system_tests += tests/system/accepting.py tests/system/cut.py
# The listener in another time.
check_PROGRAMS += tests/system/clockwork tests/system/listener-dynamic
tests_system_clockwork_SOURCES = tests/system/clockwork.c
tests_system_listener_dynamic_SOURCES = $(src_listener_listener_SOURCES)
tests_system_listener_dynamic_LDADD = $(src_listener_listener_LDADD)
# The listener with a handler that has gone wrong.
check_PROGRAMS += tests/system/listener-scribbling
tests_system_listener_scribbling_SOURCES = $(src_listener_listener_SOURCES) tests/system/scribble.c
tests_system_listener_scribbling_LDADD = $(src_listener_listener_LDADD)
system_tests += tests/system/scribble.py
# Sanitizers have to be loaded first, and need memory of their own.
if !WITH_SANITIZERS
system_tests += tests/system/clock.py tests/system/memory.py
endif
# The listener with a handler that somebody has taken over; a kernel that lacks parts of the sandbox.
check_PROGRAMS += tests/system/listener-violating tests/system/lacking
tests_system_listener_violating_SOURCES = $(src_listener_listener_SOURCES) tests/system/violate.c
tests_system_listener_violating_LDADD = $(src_listener_listener_LDADD)
tests_system_lacking_SOURCES = tests/system/lacking.c
tests_system_lacking_CPPFLAGS = $(AM_CPPFLAGS) $(SECCOMP_CFLAGS)
tests_system_lacking_LDADD = $(SECCOMP_LIBS)
system_tests += tests/system/sandbox.py
# What stands in the program's place and is none.
check_PROGRAMS += tests/system/stranger
tests_system_stranger_SOURCES = tests/system/stranger.c
system_tests += tests/system/upgrade.py

dist_check_SCRIPTS += $(system_tests)
TESTS += $(system_tests)
