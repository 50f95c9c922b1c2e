/* The loop of the textbooks: accept, fork, echo. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "bare.h"

static void reap(int signal)
{
    int saved = errno;

    (void)signal;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    errno = saved;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        errx(64, "usage: bare-fork PORT");
    int fd = bare_listen(argv);
    sigaction(SIGCHLD, &(struct sigaction){ .sa_handler = reap, .sa_flags = SA_RESTART }, NULL);
    for (;;) {
        int client = accept(fd, NULL, NULL);
        if (client < 0)
            continue;
        if (fork() == 0) {
            close(fd);
            bare_echo(client);
            _exit(0);
        }
        close(client);
    }
}
