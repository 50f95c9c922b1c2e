noinst_LIBRARIES += src/sys/libsys.a
src_sys_libsys_a_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS) $(CAPNG_CFLAGS) $(SECCOMP_CFLAGS)
src_sys_libsys_a_SOURCES = \
	src/sys/command.c \
	src/sys/command.h \
	src/sys/confine.c \
	src/sys/confine.h \
	src/sys/daemonize.c \
	src/sys/daemonize.h \
	src/sys/explain.c \
	src/sys/explain.h \
	src/sys/lockfile.c \
	src/sys/lockfile.h \
	src/sys/oom.c \
	src/sys/oom.h \
	src/sys/pidfile.c \
	src/sys/pidfile.h \
	src/sys/privilege.c \
	src/sys/privilege.h \
	src/sys/sandbox.c \
	src/sys/sandbox.h \
	src/sys/socketfile.c \
	src/sys/socketfile.h \
	src/sys/sockets.c \
	src/sys/sockets.h \
	src/sys/streams.c \
	src/sys/streams.h \
	src/sys/systemd.h
if WITH_SYSTEMD
src_sys_libsys_a_SOURCES += \
	src/sys/notify.c \
	src/sys/notify.h \
	src/sys/systemd.c
else
src_sys_libsys_a_SOURCES += \
	src/sys/systemd_none.c
endif
