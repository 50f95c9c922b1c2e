bin_PROGRAMS += src/client/forkecho
src_client_forkecho_SOURCES = src/client/main.c
src_client_forkecho_CPPFLAGS = $(AM_CPPFLAGS) $(EDIT_CFLAGS)
src_client_forkecho_LDADD = src/base/libbase.a $(EDIT_LIBS)
