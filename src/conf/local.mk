# conf/service.h alone is what a listener needs: service.c pulls in nothing else of this library.
noinst_LIBRARIES += src/conf/libconf.a
src_conf_libconf_a_SOURCES = \
	src/conf/check.c \
	src/conf/conf.c \
	src/conf/conf.h \
	src/conf/conf_ini.c \
	src/conf/conf_ini.h \
	src/conf/drafts.c \
	src/conf/drafts.h \
	src/conf/dump.c \
	src/conf/findings.c \
	src/conf/findings.h \
	src/conf/layers.c \
	src/conf/layers.h \
	src/conf/lists.c \
	src/conf/lists.h \
	src/conf/options.c \
	src/conf/options.def \
	src/conf/options.h \
	src/conf/origins.h \
	src/conf/scan.c \
	src/conf/scan.h \
	src/conf/service.c \
	src/conf/service.h \
	src/conf/textfile.c \
	src/conf/textfile.h
