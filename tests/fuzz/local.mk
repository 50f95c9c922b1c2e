# Fuzzers: `make fuzz` builds them, `make fuzz-run` runs each from its corpus for FUZZ_SECONDS.
# HACKING.md, "Fuzzing".
FUZZ_CC = clang
FUZZ_SECONDS = 20
fuzz_make = $(MAKE) --no-print-directory -f $(srcdir)/tests/fuzz/fuzz.mk \
	srcdir='$(srcdir)' AR='$(AR)' FUZZ_CC='$(FUZZ_CC)' FUZZ_SECONDS='$(FUZZ_SECONDS)' \
	FUZZ_CPPFLAGS='$(fuzz_cppflags)' FUZZ_LIBS='$(src_forkechod_LDADD)' WARN_CFLAGS='$(WARN_CFLAGS)' \
	SYSTEM_FILES_NOT='$(fuzz_without)'
fuzz_cppflags = -DSYSCONFDIR="\"$(sysconfdir)\"" -DLIBEXECDIR="\"$(pkglibexecdir)\"" \
	$(SYSTEMD_CFLAGS) $(CAPNG_CFLAGS) $(SECCOMP_CFLAGS)
if WITH_SYSTEMD
fuzz_without = $(srcdir)/src/sys/systemd_none.c
else
fuzz_without = $(srcdir)/src/sys/systemd.c $(srcdir)/src/sys/notify.c
endif

.PHONY: fuzz fuzz-run clean-fuzz
fuzz: $(BUILT_SOURCES) config.h
	+@$(fuzz_make) all
fuzz-run: fuzz
	+@$(fuzz_make) run

# The corpus has files without number: it goes whole.
EXTRA_DIST += doc/fuzzing.md tests/fuzz/fuzz.mk tests/fuzz/corpus tests/fuzz/configuration.words \
	tests/fuzz/access.dict tests/fuzz/addresses.dict tests/fuzz/board.dict \
	tests/fuzz/control.dict tests/fuzz/document.dict tests/fuzz/handlers.dict \
	tests/fuzz/heritage.dict tests/fuzz/http.dict tests/fuzz/values.dict \
	tests/fuzz/fuzz.c tests/fuzz/fuzz.h tests/fuzz/client.c tests/fuzz/client.h \
	tests/fuzz/household.c tests/fuzz/household.h \
	tests/fuzz/access.c tests/fuzz/addresses.c tests/fuzz/board.c tests/fuzz/channel.c \
	tests/fuzz/configuration.c tests/fuzz/control.c tests/fuzz/document.c \
	tests/fuzz/handlers.c tests/fuzz/heritage.c tests/fuzz/http.c tests/fuzz/values.c

clean-local: clean-fuzz
clean-fuzz:
	rm -rf fuzz
