/*
 * The services themselves: one file a handler, one table. They know nothing of the server: bytes
 * come from a stream, manners from the configuration, and the return value says why it was over.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "service/http.h"
#include "service/stream.h"

/* The handlers' own options (forkechod.conf(5), "The handlers' own"). */
struct manners {
    uint64_t delay;   /* ms before each answer, daytime's and time's too */
    const char *quit; /* NULL or empty: no message ends the session */
    bool once;
    const char *body;               /* http's answer to `/` */
    const struct http_pages *pages; /* http: may be NULL, or without `answer`; status: all of it */
};

/* What a handler's sessions may see of the daemon. */
enum handler_sight {
    SEES_NOTHING,
    SEES_DAEMON, /* whether it serves or stops */
    SEES_ALL     /* every service and session */
};

struct handler {
    const char *name;
    const char *summary; /* one line for --help, the manual and the README */
    enum handler_sight sight;
    enum session_end (*serve)(struct stream *stream, const struct manners *manners);
};

/* NULL when there is none of that name. */
const struct handler *handler_find(const char *name);
/* The names, in the order of the table; for conf_load. Returns the count. */
size_t handler_names(const char *const **out);

/* The table's entries. */
enum session_end echo_serve(struct stream *stream, const struct manners *manners)
    __attribute__((hot));                                                             /* RFC 862 */
enum session_end discard_serve(struct stream *stream, const struct manners *manners); /* RFC 863 */
enum session_end chargen_serve(struct stream *stream, const struct manners *manners); /* RFC 864 */
enum session_end daytime_serve(struct stream *stream, const struct manners *manners); /* RFC 867 */
enum session_end time_serve(struct stream *stream, const struct manners *manners);    /* RFC 868 */
enum session_end upper_serve(struct stream *stream, const struct manners *manners);
enum session_end next_serve(struct stream *stream, const struct manners *manners);
enum session_end http_serve(struct stream *stream, const struct manners *manners); /* RFC 9112 */
enum session_end status_serve(struct stream *stream, const struct manners *manners);

/* daytime's line for a moment from 1970 on; `size` of 64 is enough. Returns its length. */
size_t daytime_format(time_t now, char *line, size_t size);

/* The loop of every handler that answers messages: what one read returns, at most MESSAGE_MAX
 * bytes, is a message; `answer` changes it in place (NULL: as it is). Obeys delay, quit and once;
 * `quit` is compared without trailing CR LF. service/message.c */
enum session_end message_serve(struct stream *stream, const struct manners *manners,
                               void (*answer)(unsigned char *bytes, size_t size));
/* Waits as long as the answer that comes next has to. service/message.c */
void manners_delay(struct stream *stream, const struct manners *manners);
