# Every test speaks TAP, one line a case; `make check TESTS=tests/…` runs one of them.
TEST_EXTENSIONS = .py .sh
TAP = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_DRIVER = $(TAP)
PY_LOG_DRIVER = $(TAP)
PY_LOG_COMPILER = /usr/bin/python3
SH_LOG_DRIVER = $(TAP)
SH_LOG_COMPILER = $(SHELL)
AM_TESTS_ENVIRONMENT = top_srcdir='$(abs_top_srcdir)' top_builddir='$(abs_top_builddir)' \
	CK_FORK=yes CK_TIMEOUT_MULTIPLIER="$${TEST_SLOWNESS:-1}0"; \
	export top_srcdir top_builddir CK_FORK CK_TIMEOUT_MULTIPLIER;

include tests/unit/local.mk
include tests/system/local.mk
include tests/checks/local.mk
include tests/boot/local.mk
include tests/analysis/local.mk
include tests/bench/local.mk
include tests/soak/local.mk
include tests/fuzz/local.mk
include tests/faults/local.mk
# With programs that a build does without: ./runtests.
EXTRA_DIST += tests/browser/browser.py tests/browser/page.py
