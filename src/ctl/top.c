/* The sessions live: what is looked at, and what keys ask for. The screen is screen.c's. */
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl/commands.h"
#include "ctl/fetch.h"
#include "ctl/rates.h"
#include "ctl/screen.h"

enum { LOOK_LIMIT_MS = 2000, ONCE_ROWS = 200 };

static volatile sig_atomic_t ended;

static void end(int number)
{
    ended = number;
}

/* Everything that a look at the daemon brought, or why it brought nothing. */
static void look(const struct call *call, struct top *top)
{
    const struct fetch fetch = { .address = call->status, .timeout_ms = LOOK_LIMIT_MS };
    const struct selection selection = { call->service, call->client };
    struct buffer text = { 0 };
    struct document document;
    struct failure why;

    bool failed_before = top->failed;
    top->failed = fetch_page(&fetch, "/status.json", &text, &why) < 0 ||
                  document_read(&document, text.bytes, text.length, &why) < 0;
    buffer_free(&text);
    if (top->failed) {
        snprintf(top->message, sizeof top->message, "%s", why.text);
        return;
    }
    if (failed_before)
        top->message[0] = '\0';
    if (select_sessions(&document, &selection, &why) < 0)
        errx(EXIT_UNREACHABLE, "%s", why.text);
    rates_measure(&top->document, &document);
    document_free(&top->document);
    top->document = document;
    top_arrange(top);
}

/* Keeps what the filter lets through, in the chosen order. */
void top_arrange(struct top *top)
{
    struct document *document = &top->document;
    select_sort(document, top->sort);
    if (top->reverse)
        for (size_t i = 0, j = document->session_count; j > 0 && i < j - 1; i++) {
            struct document_session first = document->sessions[i];
            document->sessions[i] = document->sessions[--j];
            document->sessions[j] = first;
        }
    top->shown_count = 0;
    free(top->shown);
    top->shown = calloc(document->session_count + 1, sizeof(*top->shown));
    if (top->shown == NULL)
        err(EXIT_UNREACHABLE, "memory");
    for (size_t i = 0; i < document->session_count; i++) {
        const struct document_session *session = &document->sessions[i];
        if (*top->filter == '\0' || strstr(session->client, top->filter) != NULL ||
            strstr(session->service, top->filter) != NULL ||
            strstr(session->state, top->filter) != NULL)
            top->shown[top->shown_count++] = session;
    }
    for (size_t i = 0; i < top->shown_count; i++)
        if (strcmp(top->shown[i]->id, top->at) == 0)
            top->cursor = i;
    if (top->cursor >= top->shown_count)
        top->cursor = top->shown_count > 0 ? top->shown_count - 1 : 0;
}

static void forget_lines(void *context, enum control_verdict verdict, const char *line)
{
    struct top *top = context;
    if (line != NULL)
        snprintf(top->message, sizeof top->message, "%s", line);
    else
        snprintf(top->message, sizeof top->message, "%s",
                 verdict == CONTROL_OK ? "ended" : "it was gone already");
}

static void kill_session(const struct call *call, struct top *top)
{
    struct control control = call->control;
    struct failure why;
    char request[128];
    control.timeout_ms = LOOK_LIMIT_MS;
    snprintf(request, sizeof request, "kill %s", top->chosen);
    int verdict = control_ask(&control, request, forget_lines, top, &why);
    if (verdict < 0 || verdict == CONTROL_ERROR)
        snprintf(top->message, sizeof top->message, "%s", why.text);
}

static int print_once(const struct call *call, struct top *top)
{
    look(call, top);
    if (top->failed)
        errx(EXIT_UNREACHABLE, "%s", top->message);
    look_print_sessions(&top->document, true, ONCE_ROWS, stdout);
    document_free(&top->document);
    free(top->shown);
    return 0;
}

static void live(const struct call *call, struct top *top)
{
    uint64_t next_ms = 0;
    while (!ended && !top->quit) {
        uint64_t now_ms = clock_ms();
        if (now_ms >= next_ms || top->look_now) {
            top->look_now = false;
            look(call, top);
            next_ms = clock_ms() + call->interval_ms;
        }
        screen_draw(top);
        struct pollfd keys = { .fd = STDIN_FILENO, .events = POLLIN };
        if (poll(&keys, 1, clock_until(clock_ms(), next_ms, 1000)) < 0 && errno != EINTR)
            break;
        if (keys.revents & (POLLHUP | POLLERR))
            break;
        screen_take_keys(top);
        if (top->kill) {
            top->kill = false;
            kill_session(call, top);
            top->look_now = true;
        }
    }
}

int top_run(const struct call *call)
{
    static const int ending[] = { SIGINT, SIGTERM, SIGHUP };
    struct top top = { .sort = call->sort != NULL ? call->sort : "idle" };
    const struct sigaction action = { .sa_handler = end };

    if (!select_is_key(top.sort))
        errx(EXIT_UNREACHABLE, "no such key to sort by: \"%s\" (%s)", top.sort, select_keys);
    if (call->once)
        return print_once(call, &top);
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        errx(EXIT_UNREACHABLE, "top needs a terminal (--once prints one screen as text)");
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++)
        sigaction(ending[i], &action, NULL);
    screen_open();
    live(call, &top);
    screen_close();
    document_free(&top.document);
    free(top.shown);
    return ended ? 128 + ended : 0;
}
