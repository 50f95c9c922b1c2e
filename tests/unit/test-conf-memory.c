/* Without memory there is no configuration: never one with something missing. */
#include "test-conf.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The program's own malloc, so that libc's and the INI library's calls fail as well. Sanitizers
 * bring theirs: there, this file has no case. */
#ifndef WITH_SANITIZERS

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void __libc_free(void *old);

static long
    *countdown;       /* allocations until one fails; shared with the process of the INI library */
static bool for_good; /* and all after it */
static long live;     /* what is allocated */

static bool fails(void)
{
    if (!countdown || *countdown == LONG_MAX)
        return false;
    --*countdown;
    if (*countdown > 0 || (*countdown < 0 && !for_good))
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    void *new = fails() ? NULL : __libc_malloc(size);
    live += new != NULL;
    return new;
}

void *calloc(size_t count, size_t size)
{
    void *new = fails() ? NULL : __libc_calloc(count, size);
    live += new != NULL;
    return new;
}

void *realloc(void *old, size_t size)
{
    void *new = fails() ? NULL : __libc_realloc(old, size);
    live += new != NULL &&old == NULL;
    return new;
}

void *reallocarray(void *old, size_t count, size_t size)
{
    if (__builtin_mul_overflow(count, size, &size)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(old, size);
}

void free(void *old)
{
    live -= old != NULL;
    __libc_free(old);
}

static long number; /* of the allocation in conf_load that fails */
static bool reached;

static void arm(void)
{
    *countdown = number;
}

static void disarm(void)
{
    reached = *countdown <= 0;
    *countdown = LONG_MAX;
}

static void share_countdown(void)
{
    countdown =
        mmap(NULL, sizeof(*countdown), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *countdown = LONG_MAX;
    before_load = arm;
    after_load = disarm;
}

static void write_files(void)
{
    char here[PATH_MAX - 100], text[PATH_MAX + 200];

    ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
    snprintf(text, sizeof(text),
             "[daemon]\nuser = a\n[service a]\nlisten = 7 8 9\nonly_from = ::1 %s/list\n"
             "[service b]\nlisten = 10\nkeepalive_probes = 3\n[service off]\ndisable = yes\n",
             here);
    write_text("forkechod.conf", text);
    write_text("list", "192.0.2.0/24\n192.0.2.1\n192.0.2.2\n");
    mkdir("forkechod.conf.d", 0755);
    write_text("forkechod.conf.d/1.conf", "[defaults]\nquit = Bye\n[service a]\nonce = yes\n");
    write_text("forkechod.conf.d/2.conf", "[service c]\nlisten = 11\n");
}

START_TEST(a_failed_allocation_refuses_the_configuration)
{
    static const char *const overrides[] = { "b.nice=3", "service d.listen=12", NULL };
    long refused = 0;

    write_files();
    struct conf *conf = load(overrides);
    char *whole = dump_of(conf);
    conf_free(conf);
    for_good = _i;
    share_countdown();
    for (number = 1, reached = true; reached; number++) {
        long before = live;
        conf = load(overrides);
        if (conf) { /* then what failed was not needed, and nothing is missing */
            char *dump = dump_of(conf);
            ck_assert_str_eq(dump, whole);
            free(dump);
            conf_free(conf);
        } else {
            ck_assert_msg(strstr(told, "out of memory"), "%ld: %s", number, told);
            refused++;
        }
        ck_assert_msg(live == before, "%ld: %ld left", number, live - before);
    }
    ck_assert_int_gt(refused, 100);
    free(whole);
}
END_TEST

START_TEST(a_failed_allocation_hides_no_mistake)
{
    char whole[sizeof(told)];

    write_files();
    write_text("forkechod.conf.d/2.conf", "[service c]\nlisten = x\nonce = x\nhandler = x\ny\n");
    ck_assert_ptr_null(load(NULL));
    strcpy(whole, told);
    share_countdown();
    for (number = 1, reached = true; reached; number++) {
        long before = live;
        ck_assert_ptr_null(load(NULL));
        ck_assert_msg(!strcmp(told, whole) || strstr(told, "out of memory"), "%ld: %s", number,
                      told);
        ck_assert_int_eq(live, before);
    }
}
END_TEST

#endif

TCase *memory_cases(void)
{
    TCase *cases = case_in_directory("memory");

#ifndef WITH_SANITIZERS
    tcase_add_loop_test(cases, a_failed_allocation_refuses_the_configuration, 0, 2);
    tcase_add_test(cases, a_failed_allocation_hides_no_mistake);
#endif
    return cases;
}
