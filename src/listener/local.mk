# The listener program: libc alone. Nothing that the master links comes in here.
pkglibexec_PROGRAMS += src/listener/listener
src_listener_listener_SOURCES = \
	src/listener/accept.c \
	src/listener/children.c \
	src/listener/episode.c \
	src/listener/listener.h \
	src/listener/loop.c \
	src/listener/main.c \
	src/listener/orphan.c \
	src/listener/pool.c \
	src/listener/pool.h \
	src/listener/pool_news.c \
	src/listener/pool_rule.c \
	src/listener/pool_rule.h \
	src/listener/refuse.c \
	src/listener/seats.c \
	src/listener/slots.c \
	src/listener/worker.c \
	src/listener/worker.h \
	src/listener/worker_news.c
EXTRA_DIST += src/listener/text.ld
EXTRA_src_listener_listener_DEPENDENCIES = src/listener/text.ld
src_listener_listener_LDFLAGS = $(HARDEN_LDFLAGS) $(LISTENER_LDFLAGS)
src_listener_listener_LDADD = \
	src/session/libsession.a \
	src/status/libstatus.a \
	src/service/libservice.a \
	src/access/libaccess.a \
	src/channel/libchannel.a \
	src/board/libboard.a \
	src/sys/libsys.a \
	src/conf/libconf.a \
	src/base/libbase.a
