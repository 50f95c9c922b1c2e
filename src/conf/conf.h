/*
 * The configuration: /etc/forkechod.conf, FILE.d/ *.conf after it, and -o from the command line.
 * Built once, checked whole, never changed, replaced whole. forkechod.conf(5) is its manual.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "conf/service.h"

enum log_type { LOG_TYPE_AUTO, LOG_TYPE_JOURNAL, LOG_TYPE_SYSLOG, LOG_TYPE_STDERR };

struct conf_daemon {
#undef MEMBER_IF_DAEMON
#undef MEMBER_IF_SERVICE
#undef MEMBER_IF_ONLY
#define MEMBER_IF_DAEMON(type, name) MEMBER_##type(name)
#define MEMBER_IF_SERVICE(type, name)
#define MEMBER_IF_ONLY(type, name)
#define THEME(title)
#define OPTION(scope, type, name, low, high, preset, words, reload, help)                          \
    MEMBER_IF_##scope(type, name)
#include "conf/options.def"
#undef OPTION
#undef THEME
};

struct conf {
    struct conf_daemon daemon;
    struct service **services; /* each one allocation of service->size bytes; none disabled */
    size_t count;
    struct conf_origins *origins; /* where each value was written; private to conf/ */
};

/* All that is wrong, each one line: FILE:LINE: [section] key: what is wrong with "value" (what
 * would be right). Start-up prints them, the log gets one event each, forkechoctl reload shows
 * them. */
struct conf_mistakes {
    char **lines;
    size_t count;
    size_t warnings; /* how many of them are remarks that refuse nothing; they come last */
};

/* What the command line says. An override's SECTION is `daemon`, `defaults`, `service NAME`, or a
 * bare NAME, which has to be a service of the files if there are any; KEY follows the last dot. The
 * value is taken as it is, without quotes. What is wrong with one has `command line` for FILE:LINE.
 */
struct conf_request {
    const char *file;             /* absolute path; NULL: no file at all (--listen, -i) */
    const char *const *overrides; /* -o SECTION.KEY=VALUE, in their order */
    size_t override_count;
    const char *const *handlers; /* the names that `handler` may have */
    size_t handler_count;
};

/* Reads and checks everything that the texts alone can tell: users, interfaces and ports need not
 * exist. A service without `listen` passes, because systemd may pass a socket of its name; whoever
 * opens the sockets refuses a service that gets none. Returns the configuration, or NULL when
 * anything is wrong; in both cases `mistakes` (zeroed by the caller) holds what there is to say,
 * and the caller frees it. */
struct conf *conf_load(const struct conf_request *request, struct conf_mistakes *mistakes);
void conf_free(struct conf *conf);
void conf_mistakes_free(struct conf_mistakes *mistakes);

/* Whether the service may listen at a bound address: one that shows who is connected may not be
 * reached from elsewhere unless remote_status says so. */
bool conf_may_listen(const struct service *service, const struct address *address);

/* Writes the effective configuration as a file that reads back to the same values; a comment above
 * each value that was set says where. Returns 0 or -errno. */
int conf_dump(const struct conf *conf, FILE *out);

/* The service of that name, or NULL. */
const struct service *conf_find(const struct conf *conf, const char *name);

/* Calls `tell` with `[daemon] key: changed from "a" to "b", which takes effect after a restart` for
 * each option of [daemon] that only a restart changes and that differs. */
void conf_compare_fixed(const struct conf *old, const struct conf *new,
                        void (*tell)(void *context, const char *text), void *context);
