#include "client/editor.h"

#include <errno.h>
#include <histedit.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "client/wait.h"

enum { HISTORY_SIZE = 1000 };

struct editor {
    EditLine *line;
    History *history;
    int fd;
    editor_ready *ready;
    void *context;
    bool ended; /* `ready` ended the editing, and the cursor is at the start of a line */
};

static char *prompt(EditLine *line)
{
    static char text[] = "forkecho> ";

    (void)line;
    return text;
}

/* One character of the user's character set. Returns 1, 0 at the end of the input, -1 on error;
 * bytes that are no character are dropped. */
static int read_character(wchar_t *out)
{
    mbstate_t state = { 0 };
    char byte;

    for (;;) {
        ssize_t count = read(STDIN_FILENO, &byte, 1);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return (int)count;
        size_t used = mbrtowc(out, &byte, 1, &state);
        if (used == 0 || used == 1)
            return 1;
        if (used == (size_t)-1)
            state = (mbstate_t){ 0 };
    }
}

/* The signals that came while the user was typing. */
static void take_signals(struct editor *editor)
{
    if (wait_taken(SIGWINCH))
        el_resize(editor->line);
    if (wait_taken(SIGCONT)) { /* the shell has had the terminal in its own way */
        el_set(editor->line, EL_PREP_TERM, 0);
        el_set(editor->line, EL_PREP_TERM, 1);
        el_set(editor->line, EL_REFRESH);
    }
}

/* What libedit calls for the next character. */
static int next_character(EditLine *line, wchar_t *out)
{
    struct editor *editor;

    el_get(line, EL_CLIENTDATA, &editor);
    while (!wait_interrupted()) {
        struct pollfd fds[] = {
            { .fd = STDIN_FILENO, .events = POLLIN },
            { .fd = editor->fd, .events = POLLIN },
        };
        int result = wait_for(fds, 2, 0);
        take_signals(editor);
        if (result <= 0)
            continue;
        if (fds[1].revents && (editor->ended = editor->ready(editor->context) < 0))
            return 0;
        if (fds[1].revents)
            el_set(line, EL_REFRESH);
        if (fds[0].revents)
            return read_character(out);
    }
    return 0;
}

struct editor *editor_open(int fd, editor_ready *ready, void *context)
{
    struct editor *editor = calloc(1, sizeof *editor);
    HistEvent event;

    if (!editor)
        return NULL;
    *editor = (struct editor){ .fd = fd, .ready = ready, .context = context };
    editor->line = el_init("forkecho", stdin, stdout, stderr);
    editor->history = history_init();
    if (!editor->line || !editor->history) {
        editor_close(editor);
        return NULL;
    }
    history(editor->history, &event, H_SETSIZE, HISTORY_SIZE);
    history(editor->history, &event, H_SETUNIQUE, 1);
    el_set(editor->line, EL_CLIENTDATA, editor);
    el_set(editor->line, EL_EDITOR, "emacs");
    el_set(editor->line, EL_PROMPT, prompt);
    el_set(editor->line, EL_HIST, history, editor->history);
    el_set(editor->line, EL_GETCFN, next_character);
    el_source(editor->line, NULL);
    return editor;
}

void editor_close(struct editor *editor)
{
    if (editor->line)
        el_end(editor->line);
    if (editor->history)
        history_end(editor->history);
    free(editor);
}

const char *editor_line(struct editor *editor, size_t *size)
{
    HistEvent event;
    int count = 0;

    /* Before the prompt: a key that answers it must find the editor, not the kernel's echo. */
    el_set(editor->line, EL_PREP_TERM, 1);
    const char *line = el_gets(editor->line, &count);

    /* What was typed in a line that the user or the server broke off is not a line. */
    if (!line || count <= 0 || line[count - 1] != '\n') {
        if (!editor->ended)
            putchar('\n');
        fflush(stdout);
        return NULL;
    }
    if (count > 1)
        history(editor->history, &event, H_ENTER, line);
    *size = (size_t)count;
    return line;
}

void editor_clear(struct editor *editor)
{
    const char *clear_to_end = NULL;
    bool can_clear = !el_get(editor->line, EL_GETTC, "ce", &clear_to_end) && clear_to_end;

    putchar(can_clear ? '\r' : '\n');
    fflush(stdout);
    if (can_clear)
        el_set(editor->line, EL_ECHOTC, "ce", NULL);
    fflush(stdout);
}
