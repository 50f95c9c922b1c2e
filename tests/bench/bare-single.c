/* The same without fork: one process, and poll for the clients that are there. */
#include <poll.h>

#include "bare.h"

enum { CLIENTS = 1024 };

int main(int argc, char **argv)
{
    static struct pollfd fds[CLIENTS];
    nfds_t count = 1;

    if (argc != 2)
        errx(64, "usage: bare-single PORT");
    fds[0] = (struct pollfd){ .fd = bare_listen(argv), .events = POLLIN };
    for (;;) {
        poll(fds, count, -1);
        for (nfds_t i = count - 1; i > 0; i--) {
            if (!fds[i].revents || bare_echo_once(fds[i].fd))
                continue;
            close(fds[i].fd);
            fds[i] = fds[--count];
        }
        int client = fds[0].revents && count < CLIENTS ? accept(fds[0].fd, NULL, NULL) : -1;
        if (client >= 0)
            fds[count++] = (struct pollfd){ .fd = client, .events = POLLIN };
    }
}
