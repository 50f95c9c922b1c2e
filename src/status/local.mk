noinst_LIBRARIES += src/status/libstatus.a
src_status_libstatus_a_SOURCES = \
	src/status/json.c \
	src/status/metrics.c \
	src/status/page.c \
	src/status/pages.h \
	src/status/snapshot.c \
	src/status/snapshot.h \
	src/status/status.c \
	src/status/status.h \
	src/status/words.c
nodist_src_status_libstatus_a_SOURCES = src/status/assets.h

# The page's style and script as C strings.
EXTRA_DIST += src/status/page.css src/status/page.js
BUILT_SOURCES += src/status/assets.h
CLEANFILES += src/status/assets.h
src/status/assets.h: src/status/page.css src/status/page.js
	$(AM_V_GEN)$(MKDIR_P) src/status && for name in css js; do \
		echo "static const char page_$$name[] ="; \
		sed 's/\\/\\\\/g; s/"/\\"/g; s/.*/    "&\\n"/' $(srcdir)/src/status/page.$$name; \
		echo '    "";'; \
	done > $@.new && mv $@.new $@
