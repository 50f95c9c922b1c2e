/*
 * Included in every file of a build with --enable-coverage: what gcc counts is written when a
 * program returns from main, so processes that end or become another program without that write it
 * first. One that dies of a signal takes its counts along.
 */
#include <unistd.h>

void __gcov_dump(void);
void __gcov_reset(void);

static inline _Noreturn void coverage_exit(int status)
{
    __gcov_dump();
    _exit(status);
}

static inline int coverage_fexecve(int fd, char *const *arguments, char *const *environment)
{
    __gcov_dump();
    __gcov_reset();
    return fexecve(fd, arguments, environment);
}

#define _exit   coverage_exit
#define fexecve coverage_fexecve
