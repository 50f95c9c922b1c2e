sbin_PROGRAMS += src/forkechod
src_forkechod_SOURCES = \
	src/main.c \
	src/options.c src/options.h \
	src/master/arrive.c \
	src/master/audit.c src/master/audit.h \
	src/master/audit_descriptors.c \
	src/master/audit_processes.c \
	src/master/control.c \
	src/master/gather.c \
	src/master/generation.c src/master/generation.h \
	src/master/heritage.c src/master/heritage.h \
	src/master/heritage_check.c \
	src/master/master.c src/master/master.h \
	src/master/preflight.c \
	src/master/reload.c \
	src/master/report.c \
	src/master/kill.c \
	src/master/requests.c src/master/requests.h \
	src/master/services.c \
	src/master/state.h \
	src/master/stop.c \
	src/master/succession.c \
	src/master/upgrade.c \
	src/master/store.c src/master/store.h \
	src/master/switches.c \
	src/master/watch.c
src_forkechod_LDADD = \
	src/session/libsession.a \
	src/status/libstatus.a \
	src/service/libservice.a \
	src/access/libaccess.a \
	src/channel/libchannel.a \
	src/board/libboard.a \
	src/sys/libsys.a \
	src/conf/libconf.a \
	src/log/liblog.a \
	src/base/libbase.a \
	$(SYSTEMD_LIBS) $(INIPARSER_LIBS) $(CAPNG_LIBS) $(SECCOMP_LIBS)
