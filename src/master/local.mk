sbin_PROGRAMS += src/forkechod
src_forkechod_SOURCES = \
	src/main.c \
	src/master/master.c src/master/master.h
src_forkechod_LDADD = \
	src/session/libsession.a \
	src/service/libservice.a \
	src/access/libaccess.a \
	src/channel/libchannel.a \
	src/board/libboard.a \
	src/sys/libsys.a \
	src/conf/libconf.a \
	src/log/liblog.a \
	src/base/libbase.a \
	$(SYSTEMD_LIBS) $(INIPARSER_LIBS) $(CAPNG_LIBS)
