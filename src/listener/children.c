#include "listener/listener.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/private.h"
#include "session/session.h"
#include "sys/confine.h"

int children_init(struct children *children, uint32_t room)
{
    uint32_t size = 16;
    while (size < 2 * room)
        size *= 2;
    children->mask = size - 1;
    children->pool = private_new(room * sizeof(*children->pool));
    children->table = private_new(size * sizeof(*children->table));
    if (children->pool == NULL || children->table == NULL)
        return -ENOMEM;
    for (uint32_t i = room; i > 0; i--) {
        children->pool[i - 1].next = children->free;
        children->free = i;
    }
    return 0;
}

/* Process numbers are handed out in order: a multiplication spreads them over the table. */
static uint32_t home(const struct children *children, pid_t pid)
{
    return (uint32_t)pid * 2654435769U >> 7 & children->mask;
}

static uint32_t find(const struct children *children, pid_t pid)
{
    uint32_t at = home(children, pid);
    while (children->table[at] != 0 && children->pool[children->table[at] - 1].pid != pid)
        at = (at + 1) & children->mask;
    return at;
}

static void add(struct children *children, const struct child *child)
{
    uint32_t index = children->free;
    struct child *entry = &children->pool[index - 1];
    children->free = entry->next;
    if (index > children->used)
        children->used = index;
    *entry = *child;
    children->table[find(children, child->pid)] = index;
    children->live++;
}

struct child *children_next(const struct children *children, const struct child *child)
{
    uint32_t i = child == NULL ? 0 : (uint32_t)(child - children->pool) + 1;
    while (i < children->used && children->pool[i].pid == 0)
        i++;
    return i < children->used ? &children->pool[i] : NULL;
}

struct child *children_find(const struct children *children, pid_t pid)
{
    uint32_t at = find(children, pid);
    return children->table[at] == 0 ? NULL : &children->pool[children->table[at] - 1];
}

/* Takes the entry out and moves up those behind it that could not be in their own place. */
static void drop(struct children *children, uint32_t at)
{
    uint32_t index = children->table[at];
    children->pool[index - 1] = (struct child){ .next = children->free };
    children->free = index;
    children->live--;

    uint32_t hole = at;
    for (uint32_t i = (at + 1) & children->mask; children->table[i] != 0;
         i = (i + 1) & children->mask) {
        uint32_t wants = home(children, children->pool[children->table[i] - 1].pid);
        if (((i - wants) & children->mask) < ((i - hole) & children->mask))
            continue;
        children->table[hole] = children->table[i];
        hole = i;
    }
    children->table[hole] = 0;
}

int children_fork(struct listener *listener, int fd, const struct address *client, uint32_t slot,
                  uint32_t source)
{
    struct child child = { .slot = slot, .source = source, .seat = -1 };
    char text[ADDRESS_TEXT_MAX], title[SESSION_TITLE_MAX];

    int error = board_hand_on(&listener->board, slot);
    if (error < 0)
        return error;
    address_format_peer(client, listener->service->log_address, text, sizeof(text));
    board_slot_open(&listener->board, slot, listener->block_index, text, clock_us());
    child.turn = listener->board.slot[slot].turn;
    session_title(listener->plan, text, title);
    const struct session_plan *plan = listener->plan;
    struct board_session *row = &listener->board.session[slot];
    child.pid = confine_fork(CHILD_ENDED);
    if (child.pid == 0) /* has no `listener` (base/private.h) */
        session_main(fd, client, plan, title, row);
    if (child.pid < 0)
        return -errno;
    close(fd);
    board_slot_pid(&listener->board, slot, child.pid);
    add(&listener->children, &child);
    if (listener->tell >= TELL_STARTS) {
        struct record record = { .kind = RECORD_SESSION_START, .pid = child.pid, .slot = slot };
        record_set_text(&record, text);
        channel_send(&listener->channel, &record, false);
    }
    return 0;
}

int children_fork_worker(struct listener *listener, uint32_t slot)
{
    int error = board_hand_on(&listener->board, slot);
    if (error < 0)
        return error;
    struct child child = { .slot = slot, .worker = true, .seat = seats_take(listener) };
    board_slot_open(&listener->board, slot, listener->block_index, NULL, clock_us());
    child.pid = confine_fork(CHILD_ENDED);
    if (child.pid == 0)
        worker_main(listener, slot, child.seat);
    if (child.pid < 0) {
        error = -errno;
        seats_give(listener, child.seat);
        return error;
    }
    board_slot_pid(&listener->board, slot, child.pid);
    add(&listener->children, &child);
    return 0;
}

/* Tells the master how a session went. */
static void report(struct listener *listener, const struct child *child,
                   const struct board_row *row, enum session_end end, int signal, uint64_t now_us)
{
    bool error = session_end_is_error(end);
    struct record record = { .kind = RECORD_SESSION_END,
                             .end = (uint16_t)end,
                             .pid = child->pid,
                             .signal = signal,
                             .slot = child->slot,
                             .bytes_in = row->bytes_in,
                             .bytes_out = row->bytes_out,
                             .turns = row->turns,
                             .count = end == SESSION_SANDBOX ? row->denied : 0,
                             .duration_us = now_us - row->since_us };
    if (!error && listener->tell < TELL_ENDS) {
        board_count(listener->block, COUNT_QUIET, 1);
        return;
    }
    record_set_text(&record, row->client);
    if (channel_send(&listener->channel, &record, error) < 0)
        board_count(listener->block, COUNT_DROPPED, 1);
}

/* Why a session ended whose process has. A worker that hung was aborted, and then killed. */
static enum session_end end_of(const struct listener *listener, const struct child *child,
                               const siginfo_t *info)
{
    enum session_end asked = listener->ending ? SESSION_STOPPED
                             : child->killed  ? SESSION_KILLED
                                              : SESSION_CRASHED;
    if (child->stuck && info->si_code != CLD_EXITED)
        return SESSION_STUCK;
    return session_end_of(info->si_code, info->si_status, asked);
}

static void bury(struct listener *listener, struct child *child, const siginfo_t *info)
{
    enum session_end end = end_of(listener, child, info);
    uint64_t now_us = clock_us();
    struct board_row row;

    board_read(&listener->board, child->slot, &row);
    /* In this order: what was counted and not told, the master takes for lost. */
    child->served = board_row_is_session(&row);
    child->denied = row.denied;
    child->unsettled = child->worker && (row.torn || row.settling);
    child->waited |= row.activity != SESSION_STARTING; /* since the last look, perhaps */
    bool told = child->worker && child->served && row.turn == child->told_turn;
    if (told)
        end = child->told_end;
    if (child->served && !told)
        report(listener, child, &row, end, info->si_code == CLD_EXITED ? 0 : info->si_status,
               now_us);
    board_slot_end(&listener->board, child->slot, &row, end, now_us);
    sources_leave(listener->sources, child->worker ? row.source : child->source);
    slots_give(listener, child->slot);
}

/* Looks at what waitid(2) has to tell, once. False when that is nothing. */
static bool take_news(struct listener *listener, idtype_t type, id_t id, int wanted)
{
    struct children *children = &listener->children;
    siginfo_t info = { .si_pid = 0 };
    if (waitid(type, id, &info, wanted | WNOHANG | __WALL) < 0 || info.si_pid == 0)
        return false;
    uint32_t at = find(children, info.si_pid);
    if (children->table[at] == 0)
        return true;
    struct child *child = &children->pool[children->table[at] - 1];
    if (info.si_code == CLD_STOPPED || info.si_code == CLD_CONTINUED) {
        pool_noticed(listener, child, &info);
        return true;
    }
    if (child->worker) /* what it said last, before it is nobody's */
        pool_hear(listener, true);
    bury(listener, child, &info);
    struct child dead = *child;
    drop(children, at);
    if (dead.worker)
        pool_lost(listener, &dead, &info);
    return true;
}

void children_reap(struct listener *listener, pid_t pid)
{
    take_news(listener, P_PID, (id_t)pid, WEXITED);
}

void children_sweep(struct listener *listener)
{
    while (take_news(listener, P_ALL, 0, WEXITED))
        continue;
}

void children_look(struct listener *listener)
{
    while (listener->pool.shared != NULL && take_news(listener, P_ALL, 0, WSTOPPED | WCONTINUED))
        continue;
}

void children_end_session(struct listener *listener, uint32_t slot, uint32_t turn)
{
    const struct children *children = &listener->children;
    if (slot >= listener->board.slots)
        return;
    /* The board's number only says where to look: what is signalled is what this process forked. */
    uint32_t at = find(children, listener->board.slot[slot].pid);
    if (children->table[at] == 0)
        return;
    struct child *child = &children->pool[children->table[at] - 1];
    struct board_row row;
    if (child->worker && child->slot == slot && board_read(&listener->board, slot, &row) &&
        row.turn == turn && board_row_is_session(&row)) {
        child->killed = true;
        pool_end_session(child, turn);
    }
    if (child->worker || child->slot != slot || child->turn != turn)
        return;
    confine_kill(child->pid, child->killed ? SIGKILL : SIGTERM);
    child->killed = true;
}

void children_end_held(struct listener *listener)
{
    const struct children *children = &listener->children;
    struct board_row row;
    for (uint32_t i = 0; i <= children->mask; i++) {
        if (children->table[i] == 0)
            continue;
        const struct child *child = &children->pool[children->table[i] - 1];
        if (board_read(&listener->board, child->slot, &row) && !row.torn &&
            row.activity == SESSION_HOLDING)
            confine_kill(child->pid, SIGTERM);
    }
}
