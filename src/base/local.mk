noinst_LIBRARIES += src/base/libbase.a
src_base_libbase_a_SOURCES = \
	src/base/address.c \
	src/base/address.h \
	src/base/network.c \
	src/base/bucket.c \
	src/base/bucket.h \
	src/base/buffer.c \
	src/base/buffer.h \
	src/base/clock.c \
	src/base/clock.h \
	src/base/date.c \
	src/base/date.h \
	src/base/escape.c \
	src/base/exitcode.c \
	src/base/exitcode.h \
	src/base/failure.c \
	src/base/failure.h \
	src/base/io.c \
	src/base/io.h \
	src/base/private.c \
	src/base/private.h \
	src/base/signals.c \
	src/base/signals.h \
	src/base/text.c \
	src/base/text.h \
	src/base/title.c \
	src/base/title.h
