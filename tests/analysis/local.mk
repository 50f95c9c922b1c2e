# What people do not run each time, and ./runtests does: HACKING.md says what for.
EXTRA_DIST += .clang-tidy tests/analysis/analyse.sh tests/analysis/cppcheck-suppressions

ANALYSERS = gcc_analyzer clang_tidy cpp_check
analyse: $(BUILT_SOURCES)
	CC='$(CC)' $(srcdir)/tests/analysis/analyse.sh $(srcdir) $(ANALYSERS) -- \
		-std=gnu17 $(DEFS) -I. -include config.h -I$(srcdir)/src -Isrc \
		-DSYSCONFDIR='"$(sysconfdir)"' -DLIBEXECDIR='"$(pkglibexecdir)"' $(SYSTEMD_CFLAGS) \
		$(CAPNG_CFLAGS) $(EDIT_CFLAGS) $(JANSSON_CFLAGS) $(NCURSES_CFLAGS)
.PHONY: analyse
