# Load, reloads, upgrades and kills for as long as one likes: make soak SOAK_SECONDS=1800
EXTRA_DIST += doc/soak.md tests/soak/soak.py tests/soak/bath.py tests/soak/faults.py tests/soak/figures.py

soak: all
	$(AM_TESTS_ENVIRONMENT) $(PY_LOG_COMPILER) $(srcdir)/tests/soak/soak.py

.PHONY: soak
