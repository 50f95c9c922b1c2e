/* What the daemon asks of the operating system. */
#include "test-sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char pattern[] = "/tmp/forkechod-test-sys-XXXXXX";
char scratch[sizeof pattern];

void scratch_make(void)
{
    memcpy(scratch, pattern, sizeof pattern);
    ck_assert_ptr_nonnull(mkdtemp(scratch));
    ck_assert_int_eq(chmod(scratch, 0777), 0); /* for become_nobody */
}

void scratch_remove(void)
{
    DIR *directory = opendir(scratch);
    struct dirent *entry;

    while (directory && (entry = readdir(directory)))
        if (unlinkat(dirfd(directory), entry->d_name, 0) < 0)
            unlinkat(dirfd(directory), entry->d_name, AT_REMOVEDIR);
    if (directory)
        closedir(directory);
    rmdir(scratch);
}

const char *scratch_path(const char *name)
{
    static char paths[4][sizeof pattern + 64];
    static unsigned int next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", scratch, name);
    return path;
}

TCase *group_where(const char *name, bool possible, const char *why_not)
{
    static char texts[4][256];
    static unsigned int next;
    char *text = texts[next++ % 4];

    /* libcheck keeps the name and prints it in each TAP line; it knows no skipping of its own. */
    snprintf(text, sizeof texts[0], "%s%s%s", name, possible ? "" : " # SKIP ",
             possible ? "" : why_not);
    return tcase_create(text);
}

void become_nobody(void)
{
    if (geteuid() != 0)
        return;
    ck_assert_int_eq(setgroups(0, NULL), 0);
    ck_assert_int_eq(setresgid(65534, 65534, 65534), 0);
    ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
}

int reap(pid_t child)
{
    int status;

    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -1000;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int main(void)
{
    Suite *suite = suite_create("sys");

    suite_add_tcase(suite, daemonize_cases());
    suite_add_tcase(suite, pidfile_cases());
    suite_add_tcase(suite, sockets_cases());
    suite_add_tcase(suite, unix_cases());
    suite_add_tcase(suite, unix_root_cases());
    suite_add_tcase(suite, privilege_cases());
    suite_add_tcase(suite, sandbox_cases());
    suite_add_tcase(suite, root_cases());
#ifdef HAVE_SYSTEMD
    suite_add_tcase(suite, systemd_cases());
#endif
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return EXIT_SUCCESS;
}
