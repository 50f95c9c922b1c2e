noinst_LIBRARIES += src/access/libaccess.a
src_access_libaccess_a_SOURCES = \
	src/access/lists.c \
	src/access/lists.h \
	src/access/sources.c \
	src/access/sources.h
