#include "conf/textfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Reads an open file into out->bytes. */
static bool read_open(struct findings *findings, const struct conf_place *place, int fd,
                      struct textfile *out)
{
    struct stat before, after;

    if (fstat(fd, &before) < 0) {
        findings_error(findings, place, "cannot be read: %s", strerror(errno));
        return false;
    }
    if (!S_ISREG(before.st_mode)) {
        findings_error(findings, place, "not a regular file");
        return false;
    }
    if (before.st_mode & S_IWOTH)
        findings_warning(findings, place, "everybody may write to it (chmod o-w)");
    if (!(out->bytes = malloc(TEXTFILE_MAX + 2))) {
        findings->out_of_memory = true;
        return false;
    }
    ssize_t size = io_read_full(fd, out->bytes, TEXTFILE_MAX + 1);
    if (size < 0)
        findings_error(findings, place, "cannot be read: %s", strerror((int)-size));
    else if (size > TEXTFILE_MAX)
        findings_error(findings, place, "larger than 256 KiB");
    else if (fstat(fd, &after) < 0 || !is_same(&before, &after) || after.st_size != size)
        findings_error(findings, place, "changed while it was read (try again)");
    else {
        char *less = realloc(out->bytes, (size_t)size + 1);
        if (less)
            out->bytes = less;
        out->size = (size_t)size;
        out->bytes[size] = '\0';
        return true;
    }
    return false;
}

/* A NUL says that this is no text at all: nothing else is worth saying of it. */
static bool is_text(struct findings *findings, struct conf_place *place,
                    const struct textfile *file)
{
    const char *end = memchr(file->bytes, '\0', file->size);

    if (!end)
        return true;
    place->line = 1;
    for (const char *byte = file->bytes; byte < end; byte++)
        place->line += *byte == '\n';
    findings_error(findings, place, "a NUL byte (this is no text file)");
    return false;
}

bool textfile_read(struct findings *findings, struct conf_place place, const char *path,
                   struct textfile *out)
{
    static const char mark[] = "\xef\xbb\xbf";

    *out = (struct textfile){ .path = strdup(path) };
    if (!out->path) {
        findings->out_of_memory = true;
        return false;
    }
    place.file = path;
    place.line = 0;
    /* A FIFO must not hold up the start, nor a terminal become ours. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        findings_error(findings, &place, "cannot be opened: %s", strerror(errno));
    bool good = fd >= 0 && read_open(findings, &place, fd, out) && is_text(findings, &place, out);
    if (fd >= 0)
        close(fd);
    if (!good) {
        textfile_free(out);
        return false;
    }
    if (out->size >= 3 && !memcmp(out->bytes, mark, 3)) {
        out->size -= 3;
        memmove(out->bytes, out->bytes + 3, out->size + 1);
    }
    return true;
}

void textfile_free(struct textfile *file)
{
    free(file->path);
    free(file->bytes);
    *file = (struct textfile){ 0 };
}

bool textfile_next(const struct textfile *file, struct textline *line)
{
    const char *end = file->bytes + file->size;
    const char *start = line->number ? line->text + line->length : file->bytes;

    if (line->number) {
        start += start < end && *start == '\r';
        start += start < end && *start == '\n';
    }
    if (start == end)
        return false;
    const char *stop = memchr(start, '\n', (size_t)(end - start));
    if (!stop)
        stop = end;
    else if (stop > start && stop[-1] == '\r')
        stop--;
    *line = (struct textline){ start, (size_t)(stop - start), line->number + 1 };
    return true;
}

bool textline_check(struct findings *findings, const struct conf_place *place,
                    const struct textline *line)
{
    if (line->length > TEXTFILE_LINE_MAX) {
        findings_error(findings, place,
                       "a line of more than %d bytes (a long list can stand in a file of its own)",
                       TEXTFILE_LINE_MAX);
        return false;
    }
    for (size_t i = 0, size; i < line->length; i += size) {
        char byte = line->text[i];
        size = text_utf8(line->text + i, line->length - i);
        if (!size)
            findings_error(findings, place, "not UTF-8: \"%s\"",
                           show(line->text, line->length).text);
        else if (byte == '\r')
            findings_error(findings, place, "a carriage return (lines end with LF or CR LF)");
        else if (byte != '\t' && text_is_control(line->text + i, size))
            findings_error(findings, place, "a control character: \"%s\"",
                           show(line->text, line->length).text);
        else
            continue;
        return false;
    }
    return true;
}
