sbin_PROGRAMS += src/ctl/forkechoctl
src_ctl_forkechoctl_SOURCES = src/ctl/main.c
src_ctl_forkechoctl_LDADD = src/base/libbase.a
