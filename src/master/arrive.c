#include "master/state.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/* The first steps of a program that was executed in another's place. */

/* At once: no child may get what is not its own. */
static int keep_descriptors(const struct heritage *heritage, struct failure *why)
{
    int *descriptors = calloc(HERITAGE_DESCRIPTORS_MAX, sizeof(*descriptors));
    size_t count = descriptors == NULL ? 0 : heritage_descriptors(heritage, descriptors);
    for (size_t i = 0; i < count; i++)
        fcntl(descriptors[i], F_SETFD, FD_CLOEXEC);
    free(descriptors);
    return count > 0 ? 0 : failure_set(why, EX_OSERR, "out of memory");
}

/* The configuration in force, as its text is read by this program. Where that cannot be (a key is
 * gone, it is too long) the new one takes its place, which was found good a moment ago. */
static struct conf *load_old(const struct heritage *heritage, const struct conf_request *request)
{
    struct conf_mistakes mistakes = { 0 };
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", (int)heritage->process.configuration);
    struct conf_request old = { .file = path,
                                .handlers = request->handlers,
                                .handler_count = request->handler_count };
    struct conf *conf = conf_load(&old, &mistakes);
    conf_mistakes_free(&mistakes);
    close((int)heritage->process.configuration);
    if (conf == NULL) {
        mistakes = (struct conf_mistakes){ 0 };
        conf = conf_load(request, &mistakes);
        conf_mistakes_free(&mistakes);
    }
    return conf;
}

int master_arrive(struct master_start *start, struct failure *why)
{
    if (keep_descriptors(start->heritage, why) < 0)
        return -1;
    close(heritage_descriptor());
    unsetenv(HERITAGE_VARIABLE);
    start->conf = load_old(start->heritage, start->request);
    if (start->conf == NULL)
        return failure_set(why, EX_CONFIG, "neither the old configuration nor the new can be read");
    return 0;
}

void upgrade_arrived(struct master *master, const struct heritage *heritage)
{
    struct board_header *header = master->board.header;

    memcpy(master->upgrade.from, heritage->program.program, sizeof(master->upgrade.from));
    master->upgrade.number = (uint64_t)heritage->process.upgrades;
    master->upgrade.wanted = heritage->process.upgrade_wanted;
    atomic_fetch_add(&header->upgrades, 1);
    snprintf(header->program, sizeof(header->program), "%s", VERSION);
    master_enter(master, LIFE_SERVES);
    audit_remember(master);
    master->reload.wanted = master->reload.forced = true;
    watch_reap(master);
}
