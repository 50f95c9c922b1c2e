/* The pages, each written from one snapshot. Private to src/status/. */
#pragma once

#include "status/snapshot.h"
#include "base/buffer.h"

/* RFC 8259. Without sessions when the snapshot has none and `sessions` is false. */
void json_write(const struct snapshot *snapshot, bool sessions, struct buffer *out);
/* OpenMetrics 1.0. */
void metrics_write(const struct snapshot *snapshot, struct buffer *out);
/* HTML. At most `rows` sessions. `nonce` is what the policy lets run and style. */
void page_write(const struct snapshot *snapshot, size_t rows, const char *nonce,
                struct buffer *out);

/* words.c: with &, <, > and quotes as entities; as a string of JSON; in lower case. */
void put_escaped(struct buffer *out, const char *words);
void put_string_value(struct buffer *out, const char *words);
void put_lower(struct buffer *out, const char *words);
