#include "talk.h"

#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"

static struct talk talk_over(int client, int server)
{
    void *shared = mmap(NULL, sizeof(struct stream), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(shared, MAP_FAILED);
    return (
        struct talk){ .client = client, .server = server, .linger_ms = LONG_MS, .counts = shared };
}

struct talk talk_tcp(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    ck_assert_int_eq(connect(client, (struct sockaddr *)&address, size), 0);
    int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(server, 0);
    close(listener);
    return talk_over(client, server);
}

struct talk talk_unix(void)
{
    int ends[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    return talk_over(ends[0], ends[1]);
}

void talk_run(struct talk *talk, enum session_end (*serve)(struct stream *, const struct manners *),
              const struct manners *manners)
{
    talk->pid = fork();
    ck_assert_int_ge(talk->pid, 0);
    if (talk->pid == 0) {
        io_close_all_but(&talk->server, 1);
        *talk->counts =
            (struct stream){ .in = talk->server, .out = talk->server, .is_socket = true };
        enum session_end end = serve(talk->counts, manners);
        stream_close(talk->counts, talk->linger_ms);
        _exit((int)end);
    }
    close(talk->server);
}

void talk_serve(struct talk *talk, const char *handler, const struct manners *manners)
{
    talk_run(talk, handler_find(handler)->serve, manners);
}

enum session_end talk_end(struct talk *talk)
{
    int status;

    shutdown(talk->client, SHUT_WR); /* or the server would linger */
    ck_assert_int_eq(waitpid(talk->pid, &status, 0), talk->pid);
    ck_assert(WIFEXITED(status));
    close(talk->client);
    return (enum session_end)WEXITSTATUS(status);
}

uint64_t talk_descriptors(const struct talk *talk)
{
    char path[64];
    uint64_t open = 0;
    struct dirent *entry;

    snprintf(path, sizeof path, "/proc/%d/fd", talk->pid);
    DIR *directory = opendir(path);
    ck_assert_ptr_nonnull(directory);
    while ((entry = readdir(directory)))
        if (entry->d_name[0] != '.') {
            ck_assert_int_lt(atoi(entry->d_name), 64);
            open |= UINT64_C(1) << atoi(entry->d_name);
        }
    closedir(directory);
    return open;
}

void expect_time(struct talk (*make)(void), uint64_t (*measure)(struct talk *talk), uint64_t least,
                 uint64_t limit)
{
    uint64_t took = limit;

    for (int tries = 0; tries < 20 && (took < least || took >= limit); tries++) {
        struct talk talk = make();
        took = measure(&talk);
        munmap(talk.counts, sizeof *talk.counts);
    }
    ck_assert_uint_ge(took, least);
    ck_assert_uint_lt(took, limit);
}

uint64_t talk_silence(struct talk *talk,
                      enum session_end (*serve)(struct stream *, const struct manners *),
                      int limit_ms)
{
    uint64_t start = clock_ms();

    limit_time(talk->server, SO_RCVTIMEO, limit_ms);
    say(talk->client, "A", 1);
    talk_run(talk, serve, &plain);
    expect(talk->client, "A", 1);
    expect_end(talk->client);
    uint64_t took = clock_ms() - start;
    ck_assert_int_eq(talk_end(talk), SESSION_IDLE);
    return took;
}

void limit_time(int fd, int option, int milliseconds)
{
    struct timeval limit = { milliseconds / 1000, milliseconds % 1000 * 1000 };
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, option, &limit, sizeof limit), 0);
}

void say(int fd, const void *bytes, size_t size)
{
    ck_assert_int_eq(io_write_full(fd, bytes, size), 0);
}

void expect(int fd, const void *bytes, size_t size)
{
    unsigned char *got = malloc(size);

    ck_assert_int_eq(io_read_full(fd, got, size), (ssize_t)size);
    ck_assert_mem_eq(got, bytes, size);
    free(got);
}

void expect_end(int fd)
{
    char more;
    ck_assert_int_eq(io_read_full(fd, &more, 1), 0);
}

void fill(unsigned char *bytes, size_t size)
{
    uint32_t state = 1;

    for (size_t i = 0; i < size; i++) {
        state = state * 1664525 + 1013904223;
        bytes[i] = (unsigned char)(state >> 24);
    }
}
