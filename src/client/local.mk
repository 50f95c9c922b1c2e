# All but the main program, so that the unit tests can link it.
noinst_LIBRARIES += src/client/libclient.a
src_client_libclient_a_SOURCES = \
	src/client/bench.c \
	src/client/bench.h \
	src/client/bench_options.c \
	src/client/bench_options.h \
	src/client/bench_report.c \
	src/client/bench_report.h \
	src/client/connect.c \
	src/client/connect.h \
	src/client/editor.c \
	src/client/editor.h \
	src/client/exchange.c \
	src/client/exchange.h \
	src/client/histogram.c \
	src/client/histogram.h \
	src/client/link.c \
	src/client/link.h \
	src/client/load.c \
	src/client/load.h \
	src/client/load_links.c \
	src/client/load_state.h \
	src/client/options.c \
	src/client/options.h \
	src/client/pattern.c \
	src/client/pattern.h \
	src/client/ping.c \
	src/client/ping.h \
	src/client/relay.c \
	src/client/relay.h \
	src/client/screen.c \
	src/client/screen.h \
	src/client/stats.c \
	src/client/stats.h \
	src/client/talk.c \
	src/client/talk.h \
	src/client/wait.c \
	src/client/wait.h
src_client_libclient_a_CPPFLAGS = $(AM_CPPFLAGS) $(EDIT_CFLAGS)

bin_PROGRAMS += src/client/forkecho
src_client_forkecho_SOURCES = src/client/main.c
src_client_forkecho_LDADD = src/client/libclient.a src/base/libbase.a $(EDIT_LIBS)
