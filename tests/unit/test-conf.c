#include "test-conf.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[PATH_MAX];

char told[65536];
size_t told_warnings;
void (*before_load)(void), (*after_load)(void);

static void make_directory(void)
{
    const char *base = getenv("TMPDIR");

    snprintf(directory, sizeof(directory), "%s/test-conf-XXXXXX", base ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void enter_directory(void)
{
    ck_assert_int_eq(chdir(directory), 0);
}

static int remove_entry(const char *path, const struct stat *stat, int kind, struct FTW *at)
{
    (void)stat, (void)kind, (void)at;
    return remove(path);
}

static void remove_directory(void)
{
    nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

TCase *case_in_directory(const char *name)
{
    TCase *cases = tcase_create(name);

    /* Made and removed outside of the process of the test, which may end anywhere. */
    tcase_add_unchecked_fixture(cases, make_directory, remove_directory);
    tcase_add_checked_fixture(cases, enter_directory, NULL);
    return cases;
}

void write_bytes(const char *name, const void *bytes, size_t size)
{
    unlink(name); /* some file systems wait for the disk when a file is cut and written anew */
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
    close(fd);
}

void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

static void keep_told(const struct conf_mistakes *mistakes)
{
    size_t used = 0, skip = strlen(directory) + 1;

    told[0] = '\0';
    for (size_t i = 0; i < mistakes->count; i++) {
        const char *line = mistakes->lines[i];
        if (!strncmp(line, directory, skip - 1))
            line += skip;
        used += (size_t)snprintf(told + used, sizeof(told) - used, "%s\n", line);
        ck_assert_uint_lt(used, sizeof(told));
        ck_assert_ptr_null(strchr(line, '\n'));
    }
    told_warnings = mistakes->warnings;
}

static struct conf *load_path(const char *path, const char *const *overrides)
{
    static const char *const handlers[] = { "echo", "discard", "upper", "next", "http", "status" };
    struct conf_mistakes mistakes = { 0 };
    struct conf_request request = { .file = path,
                                    .overrides = overrides,
                                    .handlers = handlers,
                                    .handler_count = sizeof(handlers) / sizeof(*handlers) };

    while (overrides && overrides[request.override_count])
        request.override_count++;
    if (before_load)
        before_load();
    struct conf *conf = conf_load(&request, &mistakes);
    if (after_load)
        after_load();
    keep_told(&mistakes);
    ck_assert_msg((conf != NULL) == (mistakes.count == mistakes.warnings), "%s", told);
    conf_mistakes_free(&mistakes);
    ck_assert(!mistakes.lines && !mistakes.count);
    return conf;
}

struct conf *load(const char *const *overrides)
{
    static char path[PATH_MAX + 16];

    snprintf(path, sizeof(path), "%s/forkechod.conf", directory);
    return load_path(path, overrides);
}

struct conf *load_without_file(const char *const *overrides)
{
    return load_path(NULL, overrides);
}

struct conf *load_text(const char *text)
{
    write_text("forkechod.conf", text);
    return load(NULL);
}

char *dump_of(const struct conf *conf)
{
    char *text = NULL;
    size_t size = 0;

    ck_assert_ptr_nonnull(conf);
    FILE *out = open_memstream(&text, &size);
    ck_assert_int_eq(conf_dump(conf, out), 0);
    fclose(out);
    char *to = text;
    for (char *line = text, *end; *line; line = end) {
        end = strchr(line, '\n') + 1;
        if (*line != '#') {
            memmove(to, line, (size_t)(end - line));
            to += end - line;
        }
    }
    *to = '\0';
    return text;
}

int main(void)
{
    Suite *suite = suite_create("conf");

    suite_add_tcase(suite, syntax_cases());
    suite_add_tcase(suite, value_cases());
    suite_add_tcase(suite, file_cases());
    suite_add_tcase(suite, service_cases());
    suite_add_tcase(suite, memory_cases());
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return EXIT_SUCCESS;
}
