noinst_LIBRARIES += src/conf/libconf.a
src_conf_libconf_a_SOURCES = \
	src/conf/conf.c \
	src/conf/conf.h \
	src/conf/conf_ini.c \
	src/conf/conf_ini.h \
	src/conf/options.def \
	src/conf/service.c \
	src/conf/service.h
