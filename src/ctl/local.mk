sbin_PROGRAMS += src/ctl/forkechoctl
src_ctl_forkechoctl_SOURCES = \
	src/ctl/act.c \
	src/ctl/commands.c \
	src/ctl/commands.h \
	src/ctl/control.c \
	src/ctl/control.h \
	src/ctl/main.c \
	src/ctl/options.c \
	src/ctl/options.h
src_ctl_forkechoctl_LDADD = src/base/libbase.a
