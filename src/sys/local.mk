noinst_LIBRARIES += src/sys/libsys.a
src_sys_libsys_a_SOURCES = \
	src/sys/daemonize.c \
	src/sys/daemonize.h \
	src/sys/pidfile.c \
	src/sys/pidfile.h \
	src/sys/privilege.c \
	src/sys/privilege.h \
	src/sys/sockets.c \
	src/sys/sockets.h \
	src/sys/systemd.c \
	src/sys/systemd.h
