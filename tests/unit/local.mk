# Unit tests: one program a layer, libcheck, no network, no root.
if HAVE_CHECK
unit_tests =
unit_cppflags = $(AM_CPPFLAGS) $(CHECK_CFLAGS)

unit_tests += tests/unit/test-base
tests_unit_test_base_SOURCES = tests/unit/test-base.c tests/unit/test-base.h \
	tests/unit/test-base-address.c tests/unit/test-base-process.c tests/unit/test-base-text.c
tests_unit_test_base_CPPFLAGS = $(unit_cppflags)
tests_unit_test_base_LDADD = src/base/libbase.a $(CHECK_LIBS)

unit_tests += tests/unit/test-conf
tests_unit_test_conf_SOURCES = tests/unit/test-conf.c tests/unit/test-conf.h \
	tests/unit/test-conf-files.c tests/unit/test-conf-memory.c tests/unit/test-conf-service.c \
	tests/unit/test-conf-syntax.c tests/unit/test-conf-values.c
tests_unit_test_conf_CPPFLAGS = $(unit_cppflags)
tests_unit_test_conf_LDADD = src/conf/libconf.a src/base/libbase.a $(INIPARSER_LIBS) $(CHECK_LIBS)

unit_tests += tests/unit/test-log
tests_unit_test_log_SOURCES = tests/unit/test-log.c tests/unit/test-log.h \
	tests/unit/test-log-sinks.c
tests_unit_test_log_CPPFLAGS = $(unit_cppflags)
tests_unit_test_log_LDADD = src/log/liblog.a src/base/libbase.a $(CHECK_LIBS)

unit_tests += tests/unit/test-sys
tests_unit_test_sys_SOURCES = tests/unit/test-sys.c tests/unit/test-sys.h \
	tests/unit/test-sys-daemonize.c tests/unit/test-sys-pidfile.c \
	tests/unit/test-sys-privilege.c tests/unit/test-sys-sandbox.c \
	tests/unit/test-sys-sockets.c tests/unit/test-sys-unix.c
if WITH_SYSTEMD
tests_unit_test_sys_SOURCES += tests/unit/test-sys-systemd.c
endif
tests_unit_test_sys_CPPFLAGS = $(unit_cppflags) $(CAPNG_CFLAGS) $(SECCOMP_CFLAGS)
tests_unit_test_sys_LDADD = src/sys/libsys.a src/log/liblog.a src/base/libbase.a \
	$(SYSTEMD_LIBS) $(CAPNG_LIBS) $(SECCOMP_LIBS) $(CHECK_LIBS)

unit_tests += tests/unit/test-access
tests_unit_test_access_SOURCES = tests/unit/test-access.c
tests_unit_test_access_CPPFLAGS = $(unit_cppflags)
tests_unit_test_access_LDADD = src/access/libaccess.a src/base/libbase.a $(CHECK_LIBS)

unit_tests += tests/unit/test-service
tests_unit_test_service_SOURCES = tests/unit/test-service.c tests/unit/test-service.h \
	tests/unit/test-service-handlers.c tests/unit/test-service-http.c \
	tests/unit/test-service-bulk.c tests/unit/test-service-stream.c \
	tests/unit/talk.c tests/unit/talk.h
tests_unit_test_service_CPPFLAGS = $(unit_cppflags)
tests_unit_test_service_LDADD = src/service/libservice.a src/base/libbase.a $(CHECK_LIBS)

unit_tests += tests/unit/test-session
tests_unit_test_session_SOURCES = tests/unit/test-session.c tests/unit/talk.c tests/unit/talk.h
tests_unit_test_session_CPPFLAGS = $(unit_cppflags)
tests_unit_test_session_LDADD = src/session/libsession.a src/status/libstatus.a src/service/libservice.a \
	src/board/libboard.a src/sys/libsys.a src/base/libbase.a $(CHECK_LIBS)

unit_tests += tests/unit/test-status
tests_unit_test_status_SOURCES = tests/unit/test-status.c
tests_unit_test_status_CPPFLAGS = $(unit_cppflags)
tests_unit_test_status_LDADD = src/status/libstatus.a src/service/libservice.a \
	src/board/libboard.a src/base/libbase.a $(CHECK_LIBS)

unit_tests += tests/unit/test-board
tests_unit_test_board_SOURCES = tests/unit/test-board.c
tests_unit_test_board_CPPFLAGS = $(unit_cppflags)
tests_unit_test_board_LDADD = src/board/libboard.a src/base/libbase.a $(CHECK_LIBS)

unit_tests += tests/unit/test-channel
tests_unit_test_channel_SOURCES = tests/unit/test-channel.c
tests_unit_test_channel_CPPFLAGS = $(unit_cppflags)
tests_unit_test_channel_LDADD = src/channel/libchannel.a src/base/libbase.a $(CHECK_LIBS)

unit_tests += tests/unit/test-pool
tests_unit_test_pool_SOURCES = tests/unit/test-pool.c src/listener/pool_rule.c
tests_unit_test_pool_CPPFLAGS = $(unit_cppflags)
tests_unit_test_pool_LDADD = $(CHECK_LIBS)

unit_tests += tests/unit/test-heritage
tests_unit_test_heritage_SOURCES = tests/unit/test-heritage.c \
	src/master/heritage.c src/master/heritage_check.c
tests_unit_test_heritage_CPPFLAGS = $(unit_cppflags)
tests_unit_test_heritage_LDADD = src/base/libbase.a $(CHECK_LIBS)

unit_tests += tests/unit/test-client
tests_unit_test_client_SOURCES = tests/unit/test-client.c tests/unit/test-client.h \
	tests/unit/test-client-load.c
tests_unit_test_client_CPPFLAGS = $(unit_cppflags)
tests_unit_test_client_LDADD = src/client/libclient.a src/base/libbase.a $(CHECK_LIBS)

unit_tests += tests/unit/test-ctl
tests_unit_test_ctl_SOURCES = tests/unit/test-ctl.c tests/unit/test-ctl.h \
	tests/unit/test-ctl-document.c tests/unit/test-ctl-top.c \
	src/ctl/columns.c src/ctl/document.c src/ctl/format.c src/ctl/json.c src/ctl/json_scan.c \
	src/ctl/rates.c src/ctl/select.c
tests_unit_test_ctl_CPPFLAGS = $(unit_cppflags)
tests_unit_test_ctl_LDADD = src/base/libbase.a $(CHECK_LIBS)

check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
endif
