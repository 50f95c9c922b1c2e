noinst_LIBRARIES += src/channel/libchannel.a
src_channel_libchannel_a_SOURCES = \
	src/channel/channel.c \
	src/channel/channel.h \
	src/channel/handover.h
