# The fuzzers, read by GNU make from `make fuzz` (local.mk) in a tree that is configured. They and
# all that they test are built by clang, whatever the rest is built by, with libFuzzer, the address
# and the undefined behaviour sanitizer.
#
# One program a target: NAME.c, its seeds in corpus/NAME, its words in NAME.dict where that helps.
# What is built, and what runs find (fuzz/found/NAME), is in fuzz/ of the build
# directory.
targets = access addresses board channel configuration control document handlers heritage http \
	values

# Further files of a target, and the functions that they stand in for.
handlers_parts = client.o
handlers_ldflags = -Wl,--wrap=recv,--wrap=poll
handlers_flags = -max_len=20000
http_parts = $(handlers_parts) household.o
http_ldflags = $(handlers_ldflags) -Wl,--wrap=time,--wrap=clock_us,--wrap=getrandom
http_flags = -max_len=20000
board_parts = household.o
channel_parts = household.o
control_parts = household.o
heritage_parts = household.o

fuzz = $(srcdir)/tests/fuzz
built = fuzz

# The daemon without the mains; where two files are one thing, configure has chosen.
left_out = $(srcdir)/src/main.c $(srcdir)/src/listener/% $(srcdir)/src/client/% \
	$(filter-out %/document.c %/json.c %/json_scan.c,$(wildcard $(srcdir)/src/ctl/*.c)) \
	$(SYSTEM_FILES_NOT)
sources = $(filter-out $(left_out),$(wildcard $(srcdir)/src/*.c $(srcdir)/src/*/*.c))
objects = $(sources:$(srcdir)/%.c=$(built)/%.o)
library = $(built)/libdaemon.a

sanitizers = address,undefined
cflags = -std=gnu17 -g -O1 -fno-omit-frame-pointer -fno-sanitize-recover=all -MMD -MP \
	-include config.h -I. -Isrc -I$(srcdir)/src -I$(fuzz) -DWITH_SANITIZERS=1 $(FUZZ_CPPFLAGS)
warnings = -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes $(filter -Werror,$(WARN_CFLAGS))
libraries = $(filter-out %.a,$(FUZZ_LIBS))

all: $(targets:%=$(built)/%)

$(built)/src/%.o: $(srcdir)/src/%.c
	@mkdir -p $(@D)
	$(say)$(FUZZ_CC) $(cflags) -fsanitize=fuzzer-no-link,$(sanitizers) -c -o $@ $<

$(built)/%.o: $(fuzz)/%.c
	@mkdir -p $(@D)
	$(say)$(FUZZ_CC) $(cflags) $(warnings) -fsanitize=fuzzer-no-link,$(sanitizers) -c -o $@ $<

$(library): $(objects)
	@rm -f $@
	$(say)$(AR) cr $@ $^

# What a target's own object has in place of the daemon's, it has: the library comes last.
.SECONDEXPANSION:
$(targets:%=$(built)/%): $(built)/%: $(built)/%.o $(built)/fuzz.o $$(addprefix $(built)/,$$($$*_parts)) $(library)
	$(say)$(FUZZ_CC) -fsanitize=fuzzer,$(sanitizers) $($*_ldflags) -o $@ $^ $(libraries)

say = @echo "  FUZZ    " $@;

# ---- running them ----

# Each says in one line how it went; the whole of what it says is in NAME.log.
run_flags = -max_total_time=$(FUZZ_SECONDS) -timeout=30 -rss_limit_mb=1024 -print_final_stats=1 \
	-close_fd_mask=3 -artifact_prefix=$(built)/found/$*- $(FUZZ_FLAGS)
dictionary = $(addprefix -dict=,$(or $(filter $(built)/$*.dict,$(dictionaries)),$(wildcard $(fuzz)/$*.dict)))
dictionaries = $(built)/configuration.dict

run: $(targets:%=run-%)
# Keys, presets and words of the options are where they always are.
$(built)/configuration.dict: $(srcdir)/src/conf/options.def $(fuzz)/configuration.words
	@sed -nE 's/^OPTION\([A-Z]+, [A-Z]+, ([a-z0-9_]+), .*/"\1 = "/p' $< >$@.new
	@sed -nE 's/^OPTION\(.*"([a-z0-9|]+\|[a-z0-9|]+)".*/\1/p' $< | tr '|' '\n' | sort -u | \
		sed 's/.*/"&"/' >>$@.new
	@cat $(fuzz)/configuration.words >>$@.new && mv $@.new $@

run-%: $(built)/% $(dictionaries)
	@mkdir -p $(built)/found/$*
	@if $(built)/$* $(run_flags) $(dictionary) $($*_flags) $(built)/found/$* $(fuzz)/corpus/$* \
			>$(built)/$*.log 2>&1; then \
		echo "ok - $*: $$(sed -n 's/^Done \([0-9]*\) runs.*/\1 runs/p' $(built)/$*.log)"; \
	else \
		tail -n 40 $(built)/$*.log; \
		echo "not ok - $*: $$(grep -E -m1 'does not hold|^SUMMARY|^==.*ERROR' $(built)/$*.log)"; \
		exit 1; \
	fi

-include $(objects:.o=.d) $(wildcard $(built)/*.d)
.PHONY: all run
.SECONDARY:
