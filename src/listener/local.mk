# The listener program: libc alone.
pkglibexec_PROGRAMS += src/listener/listener
src_listener_listener_SOURCES = \
	src/listener/main.c
src_listener_listener_LDADD = \
	src/session/libsession.a \
	src/service/libservice.a \
	src/access/libaccess.a \
	src/channel/libchannel.a \
	src/board/libboard.a \
	src/conf/libconf.a \
	src/base/libbase.a
