noinst_LIBRARIES += src/log/liblog.a
src_log_liblog_a_SOURCES = \
	src/log/line.c \
	src/log/line.h \
	src/log/log.c \
	src/log/log.h \
	src/log/queue.c src/log/queue.h \
	src/log/sinks.c \
	src/log/sinks.h \
	src/log/events.def

# The journal's catalog comes from the same list as the code.
EXTRA_DIST += src/log/catalog.awk
CLEANFILES += src/log/forkechod.catalog
if WITH_SYSTEMD
catalogdir = $(prefix)/lib/systemd/catalog
nodist_catalog_DATA = src/log/forkechod.catalog
endif

src/log/forkechod.catalog: src/log/events.def src/log/catalog.awk
	$(AM_V_at)$(MKDIR_P) $(@D)
	$(AM_V_GEN)$(AWK) -f $(srcdir)/src/log/catalog.awk $(srcdir)/src/log/events.def >$@.new && \
	mv $@.new $@
