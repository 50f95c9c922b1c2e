noinst_LIBRARIES += src/board/libboard.a
src_board_libboard_a_SOURCES = \
	src/board/board.c \
	src/board/board.h \
	src/board/counts.c \
	src/board/sequence.h \
	src/board/slots.c
