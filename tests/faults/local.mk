# `make faults`: what the daemon does when a system call or an allocation fails. It takes minutes, and
# strace, which has to be root's.
fault_programs = tests/faults/forkechod tests/faults/listener
EXTRA_PROGRAMS += $(fault_programs)
CLEANFILES += $(fault_programs)
fault_sources = tests/faults/faults.h tests/faults/gate.c tests/faults/shortage.c
tests_faults_forkechod_SOURCES = $(src_forkechod_SOURCES) $(fault_sources) tests/faults/master-malloc.c
tests_faults_forkechod_LDADD = $(src_forkechod_LDADD)
tests_faults_forkechod_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=fork,--wrap=_Fork,--wrap=syscall
tests_faults_listener_SOURCES = $(src_listener_listener_SOURCES) $(fault_sources) \
	tests/faults/listener-malloc.c
tests_faults_listener_LDADD = $(src_listener_listener_LDADD)
EXTRA_tests_faults_listener_DEPENDENCIES = src/listener/text.ld
tests_faults_listener_LDFLAGS = $(HARDEN_LDFLAGS) $(LISTENER_LDFLAGS) \
	-Wl,--wrap=fork,--wrap=_Fork,--wrap=syscall,--wrap=malloc,--wrap=calloc,--wrap=realloc
EXTRA_DIST += tests/faults/doors.py tests/faults/errnos.py tests/faults/gate.py tests/faults/life.py \
	tests/faults/lines.py tests/faults/plans.py tests/faults/shortages.py \
	tests/faults/sweep.py tests/faults/unfelt.py

.PHONY: faults
faults: all $(fault_programs)
	@$(AM_TESTS_ENVIRONMENT) status=0; \
	echo '==== tests/faults/sweep.py'; \
	/usr/bin/python3 $(srcdir)/tests/faults/sweep.py $(FAULTS) || status=1; \
	echo '==== tests/faults/shortages.py'; \
	/usr/bin/python3 $(srcdir)/tests/faults/shortages.py $(SHORTAGES) || status=1; \
	exit $$status
