/* Foreign text, so that it stays text where it is put. Bytes that are not UTF-8, and control
 * characters, become U+FFFD. Private to src/status/. */
#pragma once

#include "base/buffer.h"

void escape_json(struct buffer *out, const char *text);  /* within quotes */
void escape_html(struct buffer *out, const char *text);  /* in an element or a quoted attribute */
void escape_label(struct buffer *out, const char *text); /* OpenMetrics, within quotes */
/* The same for a text that is not terminated; JSON. */
void escape_json_part(struct buffer *out, const char *text, size_t length);
