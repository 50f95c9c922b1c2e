/* The same as a pool: processes forked ahead, each of which accepts for itself. */
#include <signal.h>
#include <sys/prctl.h>

#include "bare.h"

int main(int argc, char **argv)
{
    if (argc != 3)
        errx(64, "usage: bare-pool PORT PROCESSES");
    int fd = bare_listen(argv);
    for (int i = atoi(argv[2]); i > 0; i--) {
        if (fork() != 0)
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            int client = accept(fd, NULL, NULL);
            bare_echo(client);
            close(client);
        }
    }
    for (;;)
        pause();
}
