noinst_LIBRARIES += src/status/libstatus.a
src_status_libstatus_a_SOURCES = \
	src/status/answer.c \
	src/status/card.c \
	src/status/collect.c \
	src/status/collect.h \
	src/status/escape.c \
	src/status/escape.h \
	src/status/figures.c \
	src/status/figures.h \
	src/status/json.c \
	src/status/metrics.c \
	src/status/page.c \
	src/status/pages.h \
	src/status/rates.c \
	src/status/status.h \
	src/status/words.c \
	src/status/words.h

# Style and script are files of their own that become strings.
status_texts = src/status/page.css.inc src/status/page.js.inc
EXTRA_DIST += src/status/page.css src/status/page.js
BUILT_SOURCES += $(status_texts)
CLEANFILES += $(status_texts)
src/status/page.css.inc: src/status/page.css
src/status/page.js.inc: src/status/page.js
$(status_texts):
	$(AM_V_at)$(MKDIR_P) $(@D)
	$(AM_V_GEN)$(SED) -e 's/[\\"]/\\&/g' -e 's/.*/"&\\n"/' $(srcdir)/$(@:.inc=) >$@.new && mv $@.new $@
