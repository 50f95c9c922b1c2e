#include "log/line.h"

#include <endian.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* The journal's fields of struct log_details. */
#define FIELDS(TEXT, NUMBER)                                                                       \
    TEXT(service, "FORKECHOD_SERVICE")                                                             \
    TEXT(client, "FORKECHOD_CLIENT")                                                               \
    TEXT(reason, "FORKECHOD_REASON")                                                               \
    NUMBER(pid, "FORKECHOD_PID")                                                                   \
    NUMBER(bytes_in, "FORKECHOD_BYTES_IN")                                                         \
    NUMBER(bytes_out, "FORKECHOD_BYTES_OUT")                                                       \
    NUMBER(turns, "FORKECHOD_TURNS")                                                               \
    NUMBER(duration_us, "FORKECHOD_DURATION_US")                                                   \
    NUMBER(count, "FORKECHOD_COUNT")                                                               \
    TEXT(file, "FORKECHOD_FILE")                                                                   \
    NUMBER(line, "FORKECHOD_LINE")

static const char *const level_words[] = { "emerg",   "alert",  "crit", "err",
                                           "warning", "notice", "info", "debug" };

static void cut(char *text)
{
    static const char mark[] = "…";
    size_t end = LINE_MAX_BYTES - (sizeof mark - 1);

    if (strlen(text) <= LINE_MAX_BYTES)
        return;
    /* All of it was written: NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
    while (end && ((unsigned char)text[end] & 0xc0) == 0x80)
        end--;
    memcpy(text + end, mark, sizeof mark);
}

void line_clean(const char *text, char *out)
{
    char shown[4 * (LINE_MAX_BYTES + 8) + 1];
    size_t used = 0, left = strnlen(text, LINE_MAX_BYTES + 8);

    while (left) {
        size_t plain = 0;
        while (plain < left && text[plain] != '"' && text[plain] != '\\')
            plain++;
        text_escape(text, plain, shown + used, sizeof shown - used);
        used += strlen(shown + used);
        if (plain < left)
            shown[used++] = text[plain++];
        text += plain;
        left -= plain;
    }
    shown[used] = '\0';
    cut(shown);
    memcpy(out, shown, strlen(shown) + 1);
}

size_t line_stderr(const struct line *line, char *out)
{
    return (size_t)snprintf(out, LINE_ROOM, "forkechod: %s: %s\n", level_words[line->level],
                            line->text);
}

size_t line_syslog(const struct line *line, char *out)
{
    /* strftime(3) would say it in the language of the locale. */
    static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    struct tm now = { 0 };

    localtime_r(&line->when, &now);
    return (size_t)snprintf(out, LINE_ROOM, "<%d>%s %2d %02d:%02d:%02d forkechod[%jd]: %s",
                            line->facility | line->level, months[now.tm_mon], now.tm_mday,
                            now.tm_hour, now.tm_min, now.tm_sec, (intmax_t)line->pid, line->text);
}

/* A record that is being put together. A field that has no room any more is left out. */
struct record {
    char *bytes;
    size_t used;
};

static void put(struct record *record, const void *bytes, size_t size)
{
    memcpy(record->bytes + record->used, bytes, size);
    record->used += size;
}

static void put_text(struct record *record, const char *name, const char *value)
{
    size_t size = value ? strlen(value) : 0;
    uint64_t written_size = htole64(size);

    if (!value || record->used + strlen(name) + size + sizeof written_size + 2 > LINE_ROOM)
        return;
    put(record, name, strlen(name));
    if (strchr(value, '\n')) { /* would end the field: then the size goes before the value */
        put(record, "\n", 1);
        put(record, &written_size, sizeof written_size);
    } else {
        put(record, "=", 1);
    }
    put(record, value, size);
    put(record, "\n", 1);
}

static void put_number(struct record *record, const char *name, int64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, value);
    put_text(record, name, value < 0 ? NULL : text);
}

size_t line_journal(const struct line *line, char *out)
{
    struct record record = { .bytes = out };
    const struct log_details *details = line->details;

    put_text(&record, "MESSAGE", line->text);
    put_text(&record, "MESSAGE_ID", line->id);
    put_number(&record, "PRIORITY", line->level);
    put_number(&record, "SYSLOG_FACILITY", LOG_FAC(line->facility));
    put_text(&record, "SYSLOG_IDENTIFIER", "forkechod");
    put_text(&record, "FORKECHOD_EVENT", line->words);
    if (details) {
#define PUT_TEXT(member, name)   put_text(&record, name, details->member);
#define PUT_NUMBER(member, name) put_number(&record, name, details->member);
        FIELDS(PUT_TEXT, PUT_NUMBER)
#undef PUT_TEXT
#undef PUT_NUMBER
    }
    return record.used;
}
