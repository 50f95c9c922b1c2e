#include "log/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "log/line.h"
#include "log/queue.h"
#include "log/sinks.h"

/* At the end a sink that is only busy gets a moment for the last lines. */
enum { LAST_TRIES = 10, LAST_WAIT_MS = 10 };

static const struct {
    int level;
    const char *words, *id;
} events[] = {
#define EVENT(name, level, words, id, subject, text) { level, words, id },
#include "log/events.def"
#undef EVENT
};

/* Until log_open, lines go to stderr. */
static struct log_settings settings = { LOG_SINK_STDERR, LOG_INFO, LOG_DAEMON };
static struct sink sink = { .kind = LOG_SINK_STDERR, .fd = STDERR_FILENO };
static bool opened;
static uint64_t dropped, untold;

/* Hands over what waits, oldest first. True when nothing waits any more. */
static bool flush(void)
{
    char bytes[LINE_ROOM];
    size_t size;

    while ((size = queue_first(bytes)) > 0) {
        if (sink_write(&sink, bytes, size, clock_ms()))
            return false;
        queue_drop_first();
    }
    return true;
}

/* Returns false when the line is lost. */
static bool write_line(enum log_event event, const struct log_details *details, const char *message)
{
    static size_t (*const formats[])(const struct line *, char *) = {
        [LOG_SINK_STDERR] = line_stderr,
        [LOG_SINK_SYSLOG] = line_syslog,
        [LOG_SINK_JOURNAL] = line_journal,
    };
    char text[LINE_MAX_BYTES + 1], bytes[LINE_ROOM];
    struct line line = {
        .level = events[event].level,
        .facility = settings.facility,
        .words = events[event].words,
        .id = events[event].id,
        .text = text,
        .details = details,
        .pid = getpid(),
        .when = time(NULL),
    };

    line_clean(message, text);
    size_t size = formats[sink.kind](&line, bytes);
    int result = flush() ? sink_write(&sink, bytes, size, clock_ms()) : -EAGAIN;
    if (result == -EPIPE) /* nobody will ever read this stderr */
        return false;
    return !result || queue_put(bytes, size);
}

static void lose(size_t lines)
{
    dropped += lines;
    untold += lines;
}

void log_event(enum log_event event, const struct log_details *details, const char *format, ...)
{
    int saved = errno;
    char message[LINE_MAX_BYTES + 8]; /* longer than what is shown, so that the cut is seen */
    va_list arguments;

    if (events[event].level > settings.level)
        return;
    int size = snprintf(message, sizeof message, "%s: ", events[event].words);
    va_start(arguments, format);
    vsnprintf(message + size, sizeof message - (size_t)size, format, arguments);
    va_end(arguments);
    if (!write_line(event, details, message))
        lose(1);
    errno = saved;
}

/* Not through log_event: a report that is dropped itself must not count as a line. */
static void report_drops(void)
{
    struct log_details details = LOG_DETAILS_NONE;
    char message[128];

    if (!untold || queue_count() > 0 || events[EVENT_LOG_DROPPED].level > settings.level)
        return;
    details.count = (int64_t)untold;
    snprintf(message, sizeof message, "%s: %" PRIu64 " line%s could not be written",
             events[EVENT_LOG_DROPPED].words, untold, untold == 1 ? "" : "s");
    if (write_line(EVENT_LOG_DROPPED, &details, message))
        untold = 0;
}

void log_tick(uint64_t now_ms)
{
    int saved = errno;

    sink_retry(&sink, now_ms);
    flush();
    report_drops();
    errno = saved;
}

size_t log_waits(void)
{
    return queue_count();
}

void log_open_at(const struct log_settings *wanted, const char *path)
{
    int saved = errno;

    settings = *wanted;
    if (!opened || sink.kind != wanted->sink || sink.path != path) {
        flush();
        lose(queue_clear()); /* they are in the old sink's format */
        sink_close(&sink);
        sink_open(&sink, wanted->sink, path);
        opened = true;
    }
    errno = saved;
}

void log_open(const struct log_settings *wanted)
{
    static const char *const paths[] = {
        [LOG_SINK_STDERR] = NULL,
        [LOG_SINK_SYSLOG] = SYSLOG_SOCKET,
        [LOG_SINK_JOURNAL] = JOURNAL_SOCKET,
    };
    log_open_at(wanted, paths[wanted->sink]);
}

void log_close(void)
{
    struct log_settings none = { LOG_SINK_STDERR, settings.level, settings.facility };
    int saved = errno;

    for (int tries = 0; tries < LAST_TRIES && !flush(); tries++)
        poll(NULL, 0, LAST_WAIT_MS);
    report_drops();
    log_open_at(&none, NULL);
    opened = false;
    errno = saved;
}

uint64_t log_dropped(void)
{
    return dropped;
}

uint64_t log_untold(void)
{
    return untold;
}

void log_add_untold(uint64_t lines)
{
    untold += lines;
}

size_t log_descriptors(int out[2])
{
    if (sink.fd <= STDERR_FILENO)
        return 0;
    out[0] = sink.fd;
    return 1;
}

int log_journal_exists(void)
{
    struct stat status;
    int saved = errno;
    int result = !stat(JOURNAL_SOCKET, &status) && S_ISSOCK(status.st_mode);

    errno = saved;
    return result;
}
