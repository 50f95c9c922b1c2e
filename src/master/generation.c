#include "master/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "channel/handover.h"
#include "sys/sandbox.h"

enum { HANDED_MAX = HANDOVER_SOCKETS + SERVICE_SOCKETS_MAX, TITLE_ROOM = 160 };

/* Moves source[i] to descriptor HANDOVER_CHANNEL + i. By way of numbers above all of them, because
 * a source may stand where another has to go. */
static int place_descriptors(const int *source, int count, int *program)
{
    int moved[HANDED_MAX];
    int floor = HANDOVER_CHANNEL + count;

    if ((*program = fcntl(*program, F_DUPFD_CLOEXEC, floor)) < 0)
        return -1;
    for (int i = 0; i < count; i++)
        if ((moved[i] = fcntl(source[i], F_DUPFD_CLOEXEC, floor)) < 0)
            return -1;
    for (int i = 0; i < count; i++)
        if (dup2(moved[i], HANDOVER_CHANNEL + i) < 0)
            return -1;
    return 0;
}

/* Signals as a program expects to find them; what the master ignores would stay ignored. */
static void reset_signals(void)
{
    sigset_t none;
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

struct birth {
    const struct identity *identity;
    int program;
    int source[HANDED_MAX];
    int count;
    char *const *argv;
    char *const *environment;
};

/* What the new process does before it executes. *channel is where the channel is at the time. */
static int prepare_process(struct birth *birth, int *channel, struct failure *why)
{
    setpgid(0, 0);
    reset_signals();
    *channel = birth->source[0];
    if (place_descriptors(birth->source, birth->count, &birth->program) < 0)
        return failure_set(why, EX_OSERR, "too few descriptors (raise LimitNOFILE=, ulimit -n)");
    *channel = HANDOVER_CHANNEL;
#ifndef WITH_SANITIZERS /* whose reports go to stderr */
    int result = io_null_standard();
    if (result < 0)
        return failure_errno(why, EX_OSERR, -result, "cannot open /dev/null");
#endif
    return privilege_drop(birth->identity, why);
}

/* The new process until it is the listener program. What goes wrong is told by the channel. */
static _Noreturn void become_listener(struct birth *birth)
{
    struct record record = { .kind = RECORD_FAILED, .version = CHANNEL_VERSION };
    struct failure why;
    int channel;

    if (prepare_process(birth, &channel, &why) == 0) {
        fexecve(birth->program, birth->argv, birth->environment);
        failure_errno(&why, EX_OSERR, errno, "cannot execute the listener");
    }
    record_set_text(&record, why.text);
    (void)!send(channel, &record, sizeof(record), MSG_DONTWAIT | MSG_NOSIGNAL);
    _exit(why.status);
}

static pid_t give_birth(struct birth *birth, const struct generation *generation,
                        unsigned int block)
{
    char numbers[4][16], title[TITLE_ROOM + 1];
    static const char *const passed[] = { "TZ", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS" };
    char *environment[sizeof(passed) / sizeof(passed[0]) + 1] = { NULL };
    char variables[sizeof(passed) / sizeof(passed[0])][256];
    size_t count = 0;

    /* Blanks behind the name are the room in which the listener and its sessions write titles. */
    snprintf(title, sizeof(title), "%-*s", TITLE_ROOM, "forkechod: listener");
    snprintf(numbers[0], sizeof(numbers[0]), "%u", block);
    snprintf(numbers[1], sizeof(numbers[1]), "%u", generation->number);
    snprintf(numbers[2], sizeof(numbers[2]), "%ld", (long)getpid());
    snprintf(numbers[3], sizeof(numbers[3]), "%u", generation->socket_count);
    char *argv[] = { title, numbers[0], numbers[1], numbers[2], numbers[3], NULL };

    for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
        const char *value = getenv(passed[i]);
        if (value == NULL)
            continue;
        snprintf(variables[count], sizeof(variables[count]), "%s=%s", passed[i], value);
        environment[count] = variables[count];
        count++;
    }
    birth->argv = argv;
    birth->environment = environment;
    pid_t pid = fork();
    if (pid == 0)
        become_listener(birth);
    return pid;
}

/* What the listener reads: its service, its sandbox. */
static int make_images(const struct service *service, int out[2], struct failure *why)
{
    struct failure detail;
    out[0] = io_sealed_memfd("forkechod-service", service, service->size);
    if (out[0] < 0)
        return failure_errno(why, EX_OSERR, -out[0], "service %s: cannot hand it over",
                             service->service_name);
    out[1] = sandbox_make(service->sandbox == SANDBOX_OFF, &detail);
    if (out[1] >= 0)
        return 0;
    close(out[0]);
    return failure_set(why, detail.status, "service %s: %s", service->service_name, detail.text);
}

int generation_start(struct generation *generation, const struct generation_seed *seed,
                     unsigned int block, const struct service *service,
                     const struct identity *identity, struct failure *why)
{
    struct birth birth = { .identity = identity, .program = seed->program };
    int pair[2], images[2] = { -1, -1 };
    int error = channel_pair(pair);
    if (error < 0)
        return failure_errno(why, EX_OSERR, -error, "service %s: cannot make a channel",
                             service->service_name);
    if (make_images(service, images, why) < 0) {
        close(pair[0]);
        close(pair[1]);
        return -1;
    }
    birth.source[birth.count++] = pair[1];
    birth.source[birth.count++] = images[0];
    birth.source[birth.count++] = seed->board->fds[0];
    birth.source[birth.count++] = seed->board->fds[1];
    birth.source[birth.count++] = images[1];
    for (unsigned int i = 0; i < generation->socket_count; i++)
        birth.source[birth.count++] = seed->store->sockets[generation->sockets[i]].fd;

    pid_t pid = give_birth(&birth, generation, block);
    int fork_error = errno;
    close(pair[1]);
    close(images[0]);
    close(images[1]);
    if (pid < 0) {
        close(pair[0]);
        return failure_errno(why, EX_OSERR, fork_error, "service %s: cannot fork a listener",
                             service->service_name);
    }
    setpgid(pid, pid); /* whoever is first: signals to the group must find it from now on */
    channel_open(&generation->channel, pair[0]);
    generation->pid = pid;
    generation->state = GENERATION_STARTING;
    generation->started_ms = clock_ms();
    atomic_store(&seed->board->blocks[block].pid, pid);
    return 0;
}

/* One that cannot be told what to do is of no use: its death is noticed, and it is replaced. */
static void tell(struct generation *generation, struct record *record)
{
    if (generation->channel.fd < 0)
        return;
    if (channel_send(&generation->channel, record, true) < 0)
        kill(generation->pid, SIGKILL);
}

void generation_tell(struct generation *generation, enum tell what)
{
    struct record record = { .kind = RECORD_TELL, .count = what };
    tell(generation, &record);
}

void generation_ward(struct generation *generation, const struct generation *dead, bool yes)
{
    struct record record = { .kind = RECORD_WARD, .pid = dead->pid, .count = yes };
    tell(generation, &record);
}

void generation_go(struct generation *generation, enum tell what, uint64_t own)
{
    struct record record = { .kind = RECORD_GO, .sockets = own };
    generation->state = GENERATION_SERVING;
    generation_tell(generation, what);
    tell(generation, &record);
}

void generation_pause(struct generation *generation, bool yes)
{
    struct record record = { .kind = RECORD_PAUSE, .count = yes };
    tell(generation, &record);
}

void generation_scale(struct generation *generation, uint32_t workers)
{
    struct record record = { .kind = RECORD_SCALE, .count = workers };
    tell(generation, &record);
}

/* Nobody is left who knows its sessions' numbers by itself. A child of this process that was not
 * reaped yet, and is in the dead listener's group, is what it is said to be. */
static int end_orphan(const struct generation *generation, pid_t pid)
{
    siginfo_t info;
    if (pid <= 0 || waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
        getpgid(pid) != generation->pid)
        return -ESRCH;
    return kill(pid, SIGTERM) < 0 ? -errno : 0;
}

int generation_end_session(struct generation *generation, uint32_t slot, uint32_t turn, pid_t pid)
{
    struct record record = { .kind = RECORD_END_SESSION, .slot = slot, .count = turn };
    if (generation->state == GENERATION_DEAD)
        return end_orphan(generation, pid);
    if (generation->channel.fd < 0)
        return -EPIPE;
    /* However many are ended: what else it has to hear finds its place. */
    return channel_send(&generation->channel, &record, false);
}

void generation_drain(struct generation *generation, uint64_t last, uint64_t own, uint64_t limit_ms)
{
    struct record record = {
        .kind = RECORD_DRAIN, .sockets = last, .count = own, .duration_us = limit_ms * 1000
    };
    if (generation->state == GENERATION_DEAD)
        return;
    generation->state = GENERATION_DRAINING;
    tell(generation, &record);
}

void generation_stopping(struct generation *generation)
{
    struct record record = { .kind = RECORD_STOPPING };
    tell(generation, &record);
}

void generation_end(struct generation *generation)
{
    struct record record = { .kind = RECORD_END_ALL };
    if (generation->state == GENERATION_DEAD) {
        kill(-generation->pid, SIGTERM);
        return;
    }
    generation->state = GENERATION_DRAINING;
    tell(generation, &record);
}

void generation_kill(struct generation *generation)
{
    kill(-generation->pid, SIGKILL);
}

int generation_receive(struct generation *generation, struct record *record)
{
    if (generation->channel.fd < 0)
        return -EPIPE;
    return channel_receive(&generation->channel, record);
}

bool generation_has_died(struct generation *generation, siginfo_t *info)
{
    info->si_pid = 0;
    return generation->state != GENERATION_DEAD &&
           waitid(P_PID, (id_t)generation->pid, info, WEXITED | WNOHANG) == 0 && info->si_pid != 0;
}

int generation_reap_orphan(struct generation *generation, siginfo_t *info)
{
    info->si_pid = 0;
    if (waitid(P_PGID, (id_t)generation->pid, info, WEXITED | WNOHANG) < 0)
        return errno == EINTR ? 0 : -ECHILD;
    return info->si_pid != 0;
}
