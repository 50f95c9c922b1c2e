# What people do not run each time, and ./runtests does: HACKING.md says what for.
EXTRA_DIST += doc/coverage.md .clang-tidy tests/analysis/analyse.sh tests/analysis/cppcheck-suppressions \
	tests/analysis/coverage.h tests/analysis/coverage.sh tests/analysis/memcheck.py \
	tests/analysis/valgrind-suppressions

ANALYSERS = gcc_analyzer clang_tidy cpp_check
analyse: $(BUILT_SOURCES)
	CC='$(CC)' $(srcdir)/tests/analysis/analyse.sh $(srcdir) $(ANALYSERS) -- \
		-std=gnu17 $(DEFS) -I. -include config.h -I$(srcdir)/src -Isrc \
		-DSYSCONFDIR='"$(sysconfdir)"' -DLIBEXECDIR='"$(pkglibexecdir)"' $(SYSTEMD_CFLAGS) \
		$(CAPNG_CFLAGS) $(EDIT_CFLAGS) $(NCURSES_CFLAGS) $(SECCOMP_CFLAGS)

# After ./configure --enable-coverage. The files in which it is counted are there first, since the
# daemon's user writes them too. The tests only count here: without the sandbox and with processes that
# take their time to end, some of them see what they should not.
coverage:
	$(MAKE) $(AM_MAKEFLAGS) check TESTS=
	find src -name '*.gcno' | sed 's/gcno$$/gcda/' | while read -r file; do \
		: >"$$file" && chmod a+rw "$$file" || exit; \
	done
	TEST_SANDBOX=off $(MAKE) $(AM_MAKEFLAGS) check >coverage.log 2>&1 || :
	find src -name '*.gcda' -empty -exec rm {} +
	$(srcdir)/tests/analysis/coverage.sh $(srcdir)

# After ./configure --disable-static-listener: valgrind takes the place of a libc that is shared.
memcheck:
	$(MAKE) $(AM_MAKEFLAGS) check TESTS=
	top_srcdir='$(abs_top_srcdir)' top_builddir='$(abs_top_builddir)' \
		/usr/bin/python3 $(srcdir)/tests/analysis/memcheck.py $(system_tests) $(unit_tests)
.PHONY: analyse coverage memcheck
