/*
 * What the status service says in /status.json, checked: every member is there once and of its
 * type, and numbers are not negative. Texts are the document's and live as long as it does; they
 * have no control characters, so that they can be shown on a terminal (but for the members of
 * `listen`, which are whatever a path can be).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/failure.h"

struct document_daemon {
    const char *version, *life, *log_level;
    uint64_t pid, started, uptime_s, live, max_sessions, log_lines_dropped, reloads, upgrades;
    bool log_level_switched, reload_rejected;
};

/* Counts by reason. */
struct document_counts {
    struct document_count {
        const char *reason;
        uint64_t count;
    } * items;
    size_t count;
};

struct document_service {
    const char *name, *handler, *state, *process_model;
    uint64_t instances, live, waiting, generations, accepted, bytes_in, bytes_out, live_bytes_in,
        live_bytes_out, fork_failures, records_dropped;
    uint64_t workers, idle, scale; /* of its pool, if there is one */
    double accepted_per_s, refused_per_s, bytes_per_s;
    const char *listen; /* addresses, one behind the terminator of the other */
    size_t listen_count;
    struct document_counts ended, refused;
    bool has_pool;
    uint64_t refused_total;
    const char *refused_most; /* the reason for most of them; NULL: there is none */
};

struct document_session {
    const char *id, *service, *client, *state;
    uint64_t pid, bytes_in, bytes_out, turns;
    double age_s, idle_s;
    double in_per_s, out_per_s; /* bytes: the mean of its life, until rates_measure knows better */
    bool torn;
    const char *json; /* itself, in the text that was read, not terminated */
    size_t json_size;
};

struct document {
    char *texts; /* NULL: there is no document */
    struct document_daemon daemon;
    struct document_service *services;
    struct document_session *sessions;
    size_t service_count, session_count;
};

/* Reads it from a text. 0, or -1 with what is wrong and where; then there is nothing to free. */
int document_read(struct document *document, const char *text, size_t size, struct failure *why);
void document_free(struct document *document);
