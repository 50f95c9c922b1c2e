# `make bench` measures the daemon beside plain loops and beside what Debian ships, and writes
# doc/benchmarks.md. It is no test: a busy machine changes the figures. BENCH=--quick only sees that
# it runs, and writes into the build directory.
bench_programs = tests/bench/bare-fork tests/bench/bare-pool tests/bench/bare-single
EXTRA_PROGRAMS = $(bench_programs)
CLEANFILES += $(bench_programs)
# As anybody would compile them: what hardening costs is to be seen.
tests_bench_bare_fork_SOURCES = tests/bench/bare-fork.c tests/bench/bare.h
tests_bench_bare_fork_CFLAGS = $(WARN_CFLAGS)
tests_bench_bare_fork_LDFLAGS =
tests_bench_bare_pool_SOURCES = tests/bench/bare-pool.c tests/bench/bare.h
tests_bench_bare_pool_CFLAGS = $(WARN_CFLAGS)
tests_bench_bare_pool_LDFLAGS =
tests_bench_bare_single_SOURCES = tests/bench/bare-single.c tests/bench/bare.h
tests_bench_bare_single_CFLAGS = $(WARN_CFLAGS)
tests_bench_bare_single_LDFLAGS =
EXTRA_DIST += doc/benchmarks.md doc/benchmarks/cpu.svg doc/benchmarks/held.svg doc/benchmarks/latency.svg \
	doc/benchmarks/memory.svg doc/benchmarks/rate.svg tests/bench/bench.py tests/bench/figures.py tests/bench/plots.py tests/bench/servers.py

.PHONY: bench
bench: all $(bench_programs)
	$(AM_TESTS_ENVIRONMENT) /usr/bin/python3 $(srcdir)/tests/bench/bench.py $(BENCH)
clean-local:
	rm -rf bench-quick
