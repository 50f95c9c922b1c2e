/*
 * Runs a program as a kernel would that lacks some system calls, or a container that forbids them:
 *
 *   lacking CALL[=ERRNO]… -- PROGRAM ARGUMENT…
 *
 * The calls fail with that number, or ENOSYS. `seccomp` is prctl(2) as it is asked for a filter.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static int forbid(scmp_filter_ctx filter, char *call)
{
    char *number = strchr(call, '=');
    unsigned int error = number == NULL ? ENOSYS : (unsigned int)atoi(number + 1);
    if (number != NULL)
        *number = '\0';
    if (strcmp(call, "seccomp") == 0)
        return seccomp_rule_add_array(
            filter, SCMP_ACT_ERRNO(error), SCMP_SYS(prctl), 1,
            &(struct scmp_arg_cmp){ .op = SCMP_CMP_EQ, .datum_a = PR_SET_SECCOMP });
    return seccomp_rule_add(filter, SCMP_ACT_ERRNO(error), seccomp_syscall_resolve_name(call), 0);
}

int main(int argc, char **argv)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int i = 1, result = 0;
    while (i < argc && strcmp(argv[i], "--") != 0 && result == 0)
        result = forbid(filter, argv[i++]);
    if (result == 0)
        result = seccomp_load(filter);
    if (result < 0 || i + 1 >= argc) {
        fprintf(stderr, "lacking: %s\n", strerror(-result));
        return 1;
    }
    execv(argv[i + 1], argv + i + 1);
    perror("lacking: execv");
    return 1;
}
