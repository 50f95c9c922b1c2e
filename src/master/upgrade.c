#include "master/state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "log/log.h"

/* Another program in this process's place, by execve(2): children stay children, and descriptors,
 * locks, pending signals stay what they are. The new program is asked beforehand (preflight.c), and
 * up to the very last step whatever fails leaves everything as it was. Then it starts listeners of
 * its own beside the old ones, which is a reload. */

enum { CHECK_LIMIT_MS = 10000, QUIET_LIMIT_MS = 5000, LOG_LIMIT_MS = 1000 };

static const char deleted[] = " (deleted)";

void upgrade_init(struct master *master)
{
    struct upgrade *upgrade = &master->upgrade;
    const struct heritage *heritage = master->start->heritage;

    upgrade->program = upgrade->output = -1;
    if (heritage != NULL) {
        memcpy(upgrade->executable, heritage->executable.path, sizeof(upgrade->executable));
        return;
    }
    ssize_t size = readlink("/proc/self/exe", upgrade->executable, sizeof(upgrade->executable) - 1);
    upgrade->executable[size > 0 ? size : 0] = '\0';
    size_t tail = sizeof(deleted) - 1, length = strlen(upgrade->executable);
    if (length > tail && strcmp(upgrade->executable + length - tail, deleted) == 0)
        upgrade->executable[length - tail] = '\0';
}

bool upgrade_is_done(struct master *master)
{
    if (master->upgrade.from[0] == '\0')
        return false;
    log_event(EVENT_UPGRADED, NULL, "from forkechod %s to forkechod " VERSION,
              master->upgrade.from);
    master->upgrade.from[0] = '\0';
    return true;
}

/* Back to how it was. */
static void clear(struct upgrade *upgrade)
{
    preflight_end(upgrade);
    if (upgrade->program >= 0)
        close(upgrade->program);
    upgrade->program = -1;
    upgrade->phase = UPGRADE_NONE;
    upgrade->deadline_ms = 0;
}

static void reject(struct master *master, const struct conf_mistakes *lines,
                   const struct failure *why)
{
    static const struct conf_mistakes none;

    clear(&master->upgrade);
    log_event(EVENT_UPGRADE_REJECTED, NULL, "%s; forkechod " VERSION " goes on", why->text);
    control_refuse_upgrade(master, lines == NULL ? &none : lines, why->text);
}

/* What would refuse the new program's first reload, which cannot be taken back. */
static int has_room(const struct master *master, struct failure *why)
{
    unsigned int used = 0;
    for (uint32_t i = 0; i < master->service_count; i++) {
        unsigned int count = services_generations(master, i);
        used += count + (master->services[i]->image != NULL);
        if (count >= GENERATIONS_A_SERVICE)
            return failure_set(why, EX_TEMPFAIL,
                               "service %s: %u older generations still have "
                               "clients (wait for them, or end them)",
                               master->services[i]->name, count);
    }
    if (used > BOARD_BLOCKS)
        return failure_set(why, EX_TEMPFAIL, "more than %d generations would be on the board",
                           BOARD_BLOCKS);
    return 0;
}

static void begin(struct master *master)
{
    struct failure why;

    master->upgrade.wanted = false;
    master->upgrade.number++;
    master->upgrade.phase = UPGRADE_CHECK;
    master->upgrade.deadline_ms = master->now_ms + CHECK_LIMIT_MS;
    if (has_room(master, &why) < 0 || preflight_start(master, &why) < 0)
        reject(master, NULL, &why);
}

void upgrade_reap(struct master *master)
{
    struct upgrade *upgrade = &master->upgrade;
    struct conf_mistakes lines = { 0 };
    struct failure why;
    siginfo_t info = { .si_pid = 0 };

    if (upgrade->child <= 0 ||
        waitid(P_PID, (id_t)upgrade->child, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
        info.si_pid == 0)
        return;
    if (preflight_judge(upgrade, &info, &lines, &why) < 0) {
        reject(master, &lines, &why);
    } else {
        preflight_end(upgrade);
        upgrade->phase = UPGRADE_QUIET;
        upgrade->deadline_ms = master->now_ms + QUIET_LIMIT_MS;
    }
    conf_mistakes_free(&lines);
}

/* What only this program's memory holds has gone where it belongs. */
static bool is_quiet(const struct master *master)
{
    /* A log that takes nothing holds up nobody: its lines are counted as lost. */
    bool log_has_time =
        master->now_ms + QUIET_LIMIT_MS < master->upgrade.deadline_ms + LOG_LIMIT_MS;
    if ((log_has_time && log_waits()) || !control_is_quiet(&master->control))
        return false;
    for (int i = 0; i < BOARD_BLOCKS; i++)
        if (master->generations[i].state != GENERATION_NONE &&
            master->generations[i].channel.queued > 0)
            return false;
    return true;
}

/* Whether these outlive execve(2). */
static void pass(const int *descriptors, size_t count, bool yes)
{
    for (size_t i = 0; i < count; i++)
        fcntl(descriptors[i], F_SETFD, yes ? 0 : FD_CLOEXEC);
}

/* Returns only when it was not possible. */
static void execute(struct master *master, const struct heritage *heritage, int state,
                    struct failure *why)
{
    int *descriptors = calloc(HERITAGE_DESCRIPTORS_MAX + 1, sizeof(*descriptors));
    char number[16];

    if (descriptors == NULL) {
        failure_errno(why, EX_OSERR, ENOMEM, "the descriptors");
        return;
    }
    size_t count = heritage_descriptors(heritage, descriptors);
    descriptors[count++] = state;
    snprintf(number, sizeof(number), "%d", state);
    setenv(HERITAGE_VARIABLE, number, 1);
    systemd_leave();
    pass(descriptors, count, true);
    fexecve(master->upgrade.program, master->start->arguments, environ);
    failure_errno(why, EX_OSERR, errno, "cannot execute %s", master->upgrade.executable);
    pass(descriptors, count, false);
    systemd_stay();
    unsetenv(HERITAGE_VARIABLE);
    free(descriptors);
}

static void replace(struct master *master)
{
    struct failure why;
    struct heritage *heritage = succession_leave(master, &why);
    int state = heritage == NULL ? -1 : heritage_seal(heritage, &why);

    if (state >= 0) {
        execute(master, heritage, state, &why);
        close(state);
    }
    if (heritage != NULL)
        close((int)heritage->process.configuration);
    free(heritage);
    reject(master, NULL, &why);
}

/* One is asked for, and the last one is over, which ends with a reload. */
static bool may_begin(const struct master *master)
{
    const struct reload *reload = &master->reload;
    return master->upgrade.phase == UPGRADE_NONE && master->upgrade.wanted &&
           reload->conf == NULL && !(reload->forced && reload->wanted);
}

void upgrade_check(struct master *master)
{
    struct upgrade *upgrade = &master->upgrade;
    bool late = upgrade->phase != UPGRADE_NONE && master->now_ms >= upgrade->deadline_ms;
    struct failure why;

    if (master->life != LIFE_SERVES)
        return;
    if (may_begin(master))
        begin(master);
    else if (upgrade->phase == UPGRADE_QUIET && is_quiet(master))
        replace(master);
    else if (late) {
        failure_set(&why, EX_TEMPFAIL, "%s %d s",
                    upgrade->phase == UPGRADE_CHECK ? "the new program did not end its check within"
                                                    : "messages to listeners were not taken within",
                    (upgrade->phase == UPGRADE_CHECK ? CHECK_LIMIT_MS : QUIET_LIMIT_MS) / 1000);
        reject(master, NULL, &why);
    }
}

uint64_t upgrade_due(const struct master *master)
{
    return master->upgrade.deadline_ms;
}

void upgrade_abandon(struct master *master)
{
    static const struct conf_mistakes none;

    clear(&master->upgrade);
    master->upgrade.wanted = false;
    master->upgrade.number++; /* also for those who asked for the next one */
    control_refuse_upgrade(master, &none, "the daemon is stopping");
}
