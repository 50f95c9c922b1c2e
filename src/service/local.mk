noinst_LIBRARIES += src/service/libservice.a
src_service_libservice_a_SOURCES = \
	src/service/chargen.c \
	src/service/daytime.c \
	src/service/discard.c \
	src/service/echo.c \
	src/service/handlers.c \
	src/service/handlers.h \
	src/service/http.c \
	src/service/http.h \
	src/service/http_parse.c \
	src/service/http_parse.h \
	src/service/message.c \
	src/service/next.c \
	src/service/stream.c \
	src/service/stream.h \
	src/service/time.c \
	src/service/upper.c
