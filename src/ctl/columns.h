/* The table of `forkechoctl top`: the columns a screen has room for, and what stands in them. */
#pragma once

#include "ctl/document.h"

enum { COLUMNS_LINE_MAX = 512 };

/* The session's line, or with NULL that of the titles, of a table so many characters wide, sorted
 * by a key of select.h: that column is shown whatever the width. A screen of 80 characters has the
 * rates; wider ones have the totals too. Returns `line`. */
const char *columns_line(const struct document_session *session, int width, const char *sort,
                         char line[COLUMNS_LINE_MAX]);
