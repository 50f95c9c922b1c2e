#include "ctl/screen.h"

#include <curses.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/columns.h"
#include "ctl/format.h"

enum { REDRAW = '\f' }; /* Ctrl-L, as everywhere */

enum { HEAD_LINES = 4, NAME_SHOWN = 64, PAIR_GOOD = 1, PAIR_WARN, PAIR_BAD };

/* Keys that choose an order. */
static const struct {
    int key;
    const char *sort, *help;
} orders[] = {
    { 's', "idle", "how long silent" },
    { 'a', "age", "age" },
    { 'i', "in", "bytes in" },
    { 'o', "out", "bytes out" },
    { 'I', "in/s", "bytes in a second" },
    { 'O', "out/s", "bytes out a second" },
    { 't', "turns", "turns" },
    { 'c', "client", "client" },
    { 'n', "service", "service" },
    { 'p', "pid", "process" },
};

enum { ORDERS = sizeof orders / sizeof *orders };

void screen_open(void)
{
    setlocale(LC_CTYPE, "");
    initscr();
    cbreak();
    noecho();
    nodelay(stdscr, TRUE);
    keypad(stdscr, TRUE);
    curs_set(0);
    if (has_colors() && getenv("NO_COLOR") == NULL) {
        start_color();
        use_default_colors();
        init_pair(PAIR_GOOD, COLOR_GREEN, -1);
        init_pair(PAIR_WARN, COLOR_YELLOW, -1);
        init_pair(PAIR_BAD, COLOR_RED, -1);
    }
}

void screen_close(void)
{
    endwin();
}

static void draw_daemon(const struct top *top)
{
    const struct document_daemon *daemon = &top->document.daemon;
    char uptime[FORMAT_MAX];
    if (top->document.texts == NULL) {
        mvprintw(0, 0, "forkechod");
        return;
    }
    bool serves = strcmp(daemon->life, "serving") == 0;
    mvprintw(0, 0, "forkechod %s  ", daemon->version);
    attron(COLOR_PAIR(serves ? PAIR_GOOD : PAIR_WARN));
    printw("%s", daemon->life);
    attroff(COLOR_PAIR(serves ? PAIR_GOOD : PAIR_WARN));
    printw("  process %llu  up %s  %llu of %llu sessions", (unsigned long long)daemon->pid,
           format_seconds((double)daemon->uptime_s, uptime), (unsigned long long)daemon->live,
           (unsigned long long)daemon->max_sessions);
}

/* As many services as the line has room for. */
static void draw_services(const struct top *top)
{
    move(1, 0);
    for (size_t i = 0; i < top->document.service_count; i++) {
        const struct document_service *service = &top->document.services[i];
        char line[2 * NAME_SHOWN], rate[FORMAT_MAX];
        if (strcmp(service->state, "gone") == 0)
            continue;
        bool serving = strcmp(service->state, "serving") == 0;
        int length =
            snprintf(line, sizeof line, "%s %llu/%llu %s/s%s%s   ", service->name,
                     (unsigned long long)service->live, (unsigned long long)service->instances,
                     format_count(service->accepted_per_s, rate), serving ? "" : " ",
                     serving ? "" : service->state);
        if (getcurx(stdscr) + length > COLS)
            break;
        if (!serving)
            attron(COLOR_PAIR(PAIR_WARN));
        addstr(line);
        attroff(COLOR_PAIR(PAIR_WARN));
    }
}

static void draw_message(const struct top *top)
{
    move(2, 0);
    if (top->mode == TOP_CONFIRM) {
        attron(A_BOLD);
        printw("End session %s of %s? y or n", top->chosen, top->chosen_client);
        attroff(A_BOLD);
    } else if (top->mode == TOP_FILTER) {
        printw("Filter: %s_", top->filter);
    } else if (top->failed) {
        attron(COLOR_PAIR(PAIR_BAD));
        printw("No answer, trying again: %s", top->message);
        attroff(COLOR_PAIR(PAIR_BAD));
    } else if (*top->message != '\0') {
        printw("%s", top->message);
    } else {
        printw("%zu shown, by %s%s%s%s   h: help", top->shown_count, top->sort,
               top->reverse ? ", reversed" : "", *top->filter ? ", filter " : "", top->filter);
    }
}

static void draw_rows(struct top *top)
{
    size_t room = LINES > HEAD_LINES ? (size_t)(LINES - HEAD_LINES) : 1;
    if (top->cursor < top->first)
        top->first = top->cursor;
    if (top->cursor >= top->first + room)
        top->first = top->cursor - room + 1;
    char line[COLUMNS_LINE_MAX];
    attron(A_REVERSE);
    mvprintw(3, 0, "%-*.*s", COLS, COLS, columns_line(NULL, COLS, top->sort, line));
    attroff(A_REVERSE);
    for (size_t i = 0; i < room && top->first + i < top->shown_count; i++) {
        if (top->first + i == top->cursor)
            attron(A_BOLD | A_UNDERLINE);
        mvprintw(HEAD_LINES + (int)i, 0, "%-*.*s", COLS, COLS,
                 columns_line(top->shown[top->first + i], COLS, top->sort, line));
        attroff(A_BOLD | A_UNDERLINE);
    }
    if (top->shown_count == 0)
        mvprintw(HEAD_LINES + 1, 2, "Nobody is connected.");
}

static void draw_help(void)
{
    int line = HEAD_LINES;
    mvprintw(line++, 2, "arrows, PgUp, PgDn, Home, End   choose a session");
    mvprintw(line++, 2, "k       end it");
    mvprintw(line++, 2, "/       show only those with a text in client, service or state");
    mvprintw(line++, 2, "r       reverse the order; order them by");
    for (size_t i = 0; i < ORDERS; i++)
        mvprintw(line++, 6, "%c       %s", orders[i].key, orders[i].help);
    mvprintw(line++, 2, "blank   look now");
    mvprintw(line, 2, "q       quit; any other key: back to the sessions");
}

void screen_draw(struct top *top)
{
    erase();
    draw_daemon(top);
    draw_services(top);
    draw_message(top);
    if (top->mode == TOP_HELP)
        draw_help();
    else
        draw_rows(top);
    refresh();
}

static void type_filter(struct top *top, int key)
{
    size_t length = strlen(top->filter);
    if (key == '\n' || key == KEY_ENTER) {
        top->mode = TOP_LIST;
    } else if (key == 27) {
        top->filter[0] = '\0';
        top->mode = TOP_LIST;
    } else if ((key == KEY_BACKSPACE || key == 127 || key == '\b') && length > 0) {
        top->filter[length - 1] = '\0';
    } else if (key >= ' ' && key <= '~' && length < sizeof top->filter - 1) {
        top->filter[length] = (char)key;
        top->filter[length + 1] = '\0';
    }
    top_arrange(top);
}

static void move_cursor(struct top *top, int key)
{
    size_t page = LINES > HEAD_LINES + 1 ? (size_t)(LINES - HEAD_LINES - 1) : 1;
    size_t last = top->shown_count > 0 ? top->shown_count - 1 : 0;
    if (key == KEY_UP && top->cursor > 0)
        top->cursor--;
    else if (key == KEY_DOWN && top->cursor < last)
        top->cursor++;
    else if (key == KEY_PPAGE)
        top->cursor = top->cursor > page ? top->cursor - page : 0;
    else if (key == KEY_NPAGE)
        top->cursor = top->cursor + page < last ? top->cursor + page : last;
    else if (key == KEY_HOME)
        top->cursor = 0;
    else if (key == KEY_END)
        top->cursor = last;
    if (top->shown_count > 0)
        snprintf(top->at, sizeof top->at, "%s", top->shown[top->cursor]->id);
}

static void take_command(struct top *top, int key)
{
    top->message[0] = '\0';
    for (size_t i = 0; i < ORDERS; i++)
        if (orders[i].key == key) {
            top->sort = orders[i].sort;
            top_arrange(top);
        }
    if (key == 'q')
        top->quit = true;
    else if (key == 'h' || key == '?')
        top->mode = TOP_HELP;
    else if (key == '/')
        top->mode = TOP_FILTER;
    else if (key == ' ')
        top->look_now = true;
    else if (key == 'r') {
        top->reverse = !top->reverse;
        top_arrange(top);
    } else if (key == 'k' && top->shown_count > 0) {
        const struct document_session *session = top->shown[top->cursor];
        snprintf(top->chosen, sizeof top->chosen, "%s", session->id);
        snprintf(top->chosen_client, sizeof top->chosen_client, "%s", session->client);
        top->mode = TOP_CONFIRM;
    } else
        move_cursor(top, key);
}

void screen_take_keys(struct top *top)
{
    int key;
    while ((key = getch()) != ERR) {
        if (key == KEY_RESIZE)
            continue;
        if (key == REDRAW) {
            clearok(curscr, TRUE);
            continue;
        }
        switch (top->mode) {
        case TOP_LIST:
            take_command(top, key);
            break;
        case TOP_HELP:
            top->mode = TOP_LIST;
            top->quit = key == 'q';
            break;
        case TOP_FILTER:
            type_filter(top, key);
            break;
        case TOP_CONFIRM:
            top->kill = key == 'y' || key == 'Y';
            top->mode = TOP_LIST;
            break;
        }
    }
}
