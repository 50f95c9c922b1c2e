/* The line editor: libedit with a prompt and a history, and one ear at the connection. */
#pragma once

#include <stddef.h>

struct editor;

/* What the editor calls while the user types, as soon as `fd` can be read. It may print after
 * editor_clear. Returns 0, or -1 to end the editing. */
typedef int editor_ready(void *context);

/* An editor on the standard descriptors that watches `fd` too. NULL when there is no memory. */
struct editor *editor_open(int fd, editor_ready *ready, void *context);
/* Gives the terminal back as it was. */
void editor_close(struct editor *editor);

/* Shows the prompt and returns the next line with its newline, which belongs to the editor and
 * holds until the next call; *size gets its length. NULL at Ctrl-D on an empty line, at Ctrl-C, at
 * the end of the input, and when `ready` returned -1: then the cursor is at the start of a line. */
const char *editor_line(struct editor *editor, size_t *size);

/* Clears the line that is being edited, so that something else can be printed in its place;
 * afterwards the prompt and the line are shown again. */
void editor_clear(struct editor *editor);
