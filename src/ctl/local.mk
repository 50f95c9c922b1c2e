sbin_PROGRAMS += src/ctl/forkechoctl
src_ctl_forkechoctl_SOURCES = \
	src/ctl/act.c \
	src/ctl/columns.c \
	src/ctl/columns.h \
	src/ctl/commands.c \
	src/ctl/commands.h \
	src/ctl/control.c \
	src/ctl/control.h \
	src/ctl/document.c \
	src/ctl/document.h \
	src/ctl/fetch.c \
	src/ctl/fetch.h \
	src/ctl/format.c \
	src/ctl/format.h \
	src/ctl/json.c \
	src/ctl/json.h \
	src/ctl/json_scan.c \
	src/ctl/json_scan.h \
	src/ctl/look.c \
	src/ctl/main.c \
	src/ctl/options.c \
	src/ctl/options.h \
	src/ctl/rates.c \
	src/ctl/rates.h \
	src/ctl/screen.c \
	src/ctl/screen.h \
	src/ctl/select.c \
	src/ctl/select.h \
	src/ctl/top.c
src_ctl_forkechoctl_CFLAGS = $(AM_CFLAGS) $(NCURSES_CFLAGS)
src_ctl_forkechoctl_LDADD = src/base/libbase.a $(NCURSES_LIBS)
