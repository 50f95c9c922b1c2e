/* What is made of a snapshot; private to src/status/. Each appends to `out`. */
#pragma once

#include "base/buffer.h"
#include "status/collect.h"

/* /status.json; without `sessions` that array is left out. */
void status_add_json(struct buffer *out, const struct status *status, bool sessions);
/* /metrics, OpenMetrics 1.0. */
void status_add_metrics(struct buffer *out, const struct status *status);
/* The page at /; with `sessions` also those, at most 200 unless `all`. Returns the header fields
 * that go with it; they stay until the next one is made. */
const char *status_add_page(struct buffer *out, struct status *status, bool sessions, bool all);
/* card.c: a service on that page. */
void status_add_card(struct buffer *out, const struct status_service *service, uint32_t samples);

/* A session's public name, SLOT-TURN. */
void status_add_id(struct buffer *out, const struct status_session *session);
/* Microseconds from a moment to the snapshot; 0 for one that is not yet. */
uint64_t status_since(const struct status *status, uint64_t moment_us);
/* Sessions of all services. */
uint64_t status_live(const struct status *status);
/* Seconds since the daemon started. */
uint64_t status_uptime(const struct status *status);
