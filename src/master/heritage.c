#include "master/heritage.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sysexits.h>

#include "base/text.h"
#include "channel/channel.h"
#include "master/generation.h"

enum { FD_FIRST = 3, FD_LAST = 1 << 30 };

enum field_type {
    NUMBER, /* low–high; `-` is -1 */
    SET,    /* sockets: numbers parted by commas, or `-` */
    TEXT    /* the rest of the line, blanks and all; may be empty */
};

struct field {
    enum field_type type;
    size_t offset, size;
    int64_t low, high;
};

#define PLACE(thing, member)                                                                       \
    offsetof(struct heritage_##thing, member), sizeof(((struct heritage_##thing *)0)->member)
#define NUMBER_IN(thing, member, low, high)                                                        \
    {                                                                                              \
        NUMBER, PLACE(thing, member), low, high                                                    \
    }
#define FLAG_IN(thing, member)       NUMBER_IN(thing, member, 0, 1)
#define COUNT_IN(thing, member)      NUMBER_IN(thing, member, 0, INT64_MAX)
#define FD_IN(thing, member)         NUMBER_IN(thing, member, FD_FIRST, FD_LAST)
#define FD_OR_NONE_IN(thing, member) NUMBER_IN(thing, member, -1, FD_LAST)
#define TEXT_IN(type, thing, member)                                                               \
    {                                                                                              \
        type, PLACE(thing, member), 0, 0                                                           \
    }

static const struct field program_fields[] = {
    NUMBER_IN(program, version, HERITAGE_VERSION, HERITAGE_VERSION),
    NUMBER_IN(program, board_version, BOARD_VERSION, BOARD_VERSION),
    NUMBER_IN(program, channel_version, CHANNEL_VERSION, CHANNEL_VERSION),
    TEXT_IN(TEXT, program, program),
};

static const struct field process_fields[] = {
    NUMBER_IN(process, pid, 1, INT32_MAX),
    NUMBER_IN(process, uid, 0, UINT32_MAX),
    NUMBER_IN(process, gid, 0, UINT32_MAX),
    FD_IN(process, control),
    FD_IN(process, sessions),
    FD_IN(process, configuration),
    FD_OR_NONE_IN(process, pid_file),
    FD_OR_NONE_IN(process, control_socket),
    NUMBER_IN(process, last_number, 0, UINT32_MAX),
    COUNT_IN(process, reloads),
    COUNT_IN(process, upgrades),
    FLAG_IN(process, upgrade_wanted),
    COUNT_IN(process, next_sample_ms),
    COUNT_IN(process, log_dropped),
    COUNT_IN(process, log_untold),
    NUMBER_IN(process, log_switch, -1, 7),
    TEXT_IN(TEXT, process, user),
};

static const struct field path_fields[] = { TEXT_IN(TEXT, path, path) };

static const struct field socket_fields[] = {
    FD_OR_NONE_IN(socket, fd),
    FLAG_IN(socket, any_port),
    TEXT_IN(TEXT, socket, service),
};

static const struct field given_fields[] = {
    FD_IN(given, fd),
    TEXT_IN(TEXT, given, name),
};

static const struct field service_fields[] = {
    FLAG_IN(service, configured),     NUMBER_IN(service, current, -1, BOARD_BLOCKS - 1),
    COUNT_IN(service, restart_at_ms), COUNT_IN(service, backoff_ms),
    COUNT_IN(service, told_dropped),  FLAG_IN(service, paused),
    FLAG_IN(service, drained),        NUMBER_IN(service, scale, 0, UINT32_MAX),
    TEXT_IN(SET, service, sockets),   TEXT_IN(TEXT, service, name),
};

static const struct field generation_fields[] = {
    NUMBER_IN(generation, block, 0, BOARD_BLOCKS - 1),
    NUMBER_IN(generation, number, 1, UINT32_MAX),
    NUMBER_IN(generation, service, 0, BOARD_SERVICES - 1),
    NUMBER_IN(generation, pid, 2, INT32_MAX),
    FD_OR_NONE_IN(generation, fd),
    NUMBER_IN(generation, state, GENERATION_STARTING, GENERATION_DEAD),
    COUNT_IN(generation, started_ms),
    COUNT_IN(generation, told),
    NUMBER_IN(generation, last_ended, 0, INT32_MAX),
    NUMBER_IN(generation, last_end, 0, SESSION_END_COUNT - 1),
    FLAG_IN(generation, stuck),
    TEXT_IN(SET, generation, sockets),
};

static const struct field client_fields[] = {
    FD_IN(client, fd),
    COUNT_IN(client, reload),
    COUNT_IN(client, upgrade),
};

#define FIELDS(thing) thing##_fields, sizeof(thing##_fields) / sizeof(thing##_fields[0])
/* One line; as many as there are. */
#define ONE(word, thing)                                                                           \
    {                                                                                              \
#word, FIELDS(thing), offsetof(struct heritage, word), sizeof(struct heritage_##thing), 0, \
            1                                                                                      \
    }
#define MANY(thing, things)                                                                        \
    {                                                                                              \
#thing, FIELDS(thing), offsetof(struct heritage, things), sizeof(struct heritage_##thing), \
            offsetof(struct heritage, thing##_count),                                              \
            sizeof(((struct heritage *)0)->things) / sizeof(struct heritage_##thing)               \
    }

static const struct line {
    const char *word;
    const struct field *fields;
    size_t field_count;
    size_t offset, size;
    size_t count_offset; /* 0: there is one */
    size_t most;
} lines[] = {
    ONE(program, program), ONE(process, process),   ONE(executable, path),
    ONE(file, path),       ONE(pid_path, path),     MANY(socket, sockets),
    MANY(given, given),    MANY(service, services), MANY(generation, generations),
    MANY(client, clients),
};
enum { LINES = sizeof(lines) / sizeof(lines[0]) };

static const char end_word[] = "end";

static size_t count_of(const struct heritage *heritage, const struct line *line)
{
    return line->count_offset == 0
               ? 1
               : *(const size_t *)(const void *)((const char *)heritage + line->count_offset);
}

/* ---- writing ---- */

static int put_text(FILE *out, const char *text, struct failure *why)
{
    char shown[128];
    if (strchr(text, '\n') != NULL)
        return failure_set(why, EX_CONFIG, "a line's end in \"%s\" (name it otherwise)",
                           text_escape(text, strlen(text), shown, sizeof(shown)));
    fputs(text, out);
    return 0;
}

static void put_set(FILE *out, const struct heritage_set *set)
{
    for (unsigned int i = 0; i < set->count; i++)
        fprintf(out, "%s%u", i == 0 ? "" : ",", set->index[i]);
    if (set->count == 0)
        fputc('-', out);
}

static int put_field(FILE *out, const struct field *field, const void *member, struct failure *why)
{
    int64_t number;

    fputc(' ', out);
    switch (field->type) {
    case NUMBER:
        memcpy(&number, member, sizeof(number));
        if (number < 0)
            fputc('-', out);
        else
            fprintf(out, "%lld", (long long)number);
        break;
    case SET:
        put_set(out, member);
        break;
    case TEXT:
        return put_text(out, member, why);
    }
    return 0;
}

static int put_line(FILE *out, const struct line *line, const char *item, struct failure *why)
{
    fputs(line->word, out);
    for (size_t i = 0; i < line->field_count; i++)
        if (put_field(out, &line->fields[i], item + line->fields[i].offset, why) < 0)
            return -1;
    fputc('\n', out);
    return 0;
}

int heritage_write(const struct heritage *heritage, FILE *out, struct failure *why)
{
    for (int i = 0; i < LINES; i++)
        for (size_t j = 0; j < count_of(heritage, &lines[i]); j++)
            if (put_line(out, &lines[i],
                         (const char *)heritage + lines[i].offset + j * lines[i].size, why) < 0)
                return -1;
    fprintf(out, "%s\n", end_word);
    return ferror(out) ? failure_errno(why, EX_OSERR, errno, "cannot write the state") : 0;
}

/* ---- reading ---- */

/* The next value of a line, cut off it; NULL when there is none. */
static char *cut(char **rest)
{
    return *rest == NULL ? NULL : strsep(rest, " ");
}

static bool get_number(const char *text, int64_t low, int64_t high, int64_t *out)
{
    const char *hint;
    uint64_t value;

    *out = -1;
    if (strcmp(text, "-") == 0)
        return low < 0;
    if (text_parse_count(text, low < 0 ? 0 : (uint64_t)low, (uint64_t)high, &value, &hint) < 0)
        return false;
    *out = (int64_t)value;
    return true;
}

static bool get_set(char *text, struct heritage_set *set)
{
    if (strcmp(text, "-") == 0)
        return true;
    for (char *word; (word = strsep(&text, ",")) != NULL; set->count++) {
        int64_t index;
        if (set->count == SERVICE_SOCKETS_MAX ||
            !get_number(word, 0, HERITAGE_SOCKETS_MAX - 1, &index))
            return false;
        set->index[set->count] = (uint32_t)index;
    }
    return true;
}

static bool get_field(const struct field *field, char **rest, void *member)
{
    char *text = field->type == TEXT ? *rest : cut(rest);
    int64_t number;

    if (text == NULL)
        return false;
    switch (field->type) {
    case NUMBER:
        if (!get_number(text, field->low, field->high, &number))
            return false;
        memcpy(member, &number, sizeof(number));
        return true;
    case SET:
        return get_set(text, member);
    case TEXT:
        *rest = NULL;
        if (strlen(text) >= field->size)
            return false;
        memcpy(member, text, strlen(text) + 1);
        return true;
    }
    return false;
}

/* Returns the place for the line's values, or NULL when there can be no more of them. */
static char *new_item(struct heritage *heritage, const struct line *line, unsigned int *seen)
{
    unsigned int bit = 1U << (line - lines);
    size_t number = 0;

    if (line->count_offset != 0) {
        size_t *count = (size_t *)(void *)((char *)heritage + line->count_offset);
        if (*count == line->most)
            return NULL;
        number = (*count)++;
    } else if (*seen & bit) {
        return NULL;
    }
    *seen |= bit;
    return (char *)heritage + line->offset + number * line->size;
}

static const struct line *find_line(const char *word)
{
    for (int i = 0; i < LINES; i++)
        if (strcmp(lines[i].word, word) == 0)
            return &lines[i];
    return NULL;
}

/* True when the line was understood. */
static bool get_line(char *text, struct heritage *heritage, unsigned int *seen)
{
    const struct line *line = find_line(strsep(&text, " "));
    char *item = line == NULL ? NULL : new_item(heritage, line, seen);

    if (item == NULL)
        return false;
    for (size_t i = 0; i < line->field_count; i++)
        if (!get_field(&line->fields[i], &text, item + line->fields[i].offset))
            return false;
    return text == NULL;
}

static bool has_all(unsigned int seen)
{
    for (int i = 0; i < LINES; i++)
        if (lines[i].count_offset == 0 && !(seen & 1U << i))
            return false;
    return true;
}

int heritage_parse(char *text, size_t size, struct heritage *out, struct failure *why)
{
    unsigned int number = 0, seen = 0;
    char *end = text + size;

    memset(out, 0, sizeof(*out));
    while (text < end) {
        char *stop = memchr(text, '\n', (size_t)(end - text));
        number++;
        if (stop == NULL || memchr(text, '\0', (size_t)(stop - text)) != NULL)
            break;
        *stop = '\0';
        if (strcmp(text, end_word) == 0) {
            if (stop + 1 == end && has_all(seen))
                return heritage_check(out, why);
            break;
        }
        if (!get_line(text, out, &seen))
            break;
        text = stop + 1;
    }
    if (number == 1) /* where the versions are */
        return failure_set(why, EX_SOFTWARE,
                           "the running program's state is of another version than this program "
                           "knows (restart the daemon)");
    return failure_set(why, EX_SOFTWARE, "the running program's state cannot be read: line %u",
                       number);
}
