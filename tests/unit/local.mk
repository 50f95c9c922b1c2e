# Unit tests: one program a layer, libcheck, no network, no root.
if HAVE_CHECK
unit_tests =
unit_cppflags = $(AM_CPPFLAGS) $(CHECK_CFLAGS)

check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
endif
