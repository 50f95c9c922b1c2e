noinst_LIBRARIES += src/log/liblog.a
src_log_liblog_a_SOURCES = \
	src/log/log.c \
	src/log/log.h \
	src/log/sinks.c \
	src/log/sinks.h \
	src/log/events.def
