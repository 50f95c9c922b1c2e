/*
 * Who may do what (DESIGN: the master keeps what it needs, what touches clients has nothing).
 * Started as root: the master stays uid 0 with its bounding set cut; listeners become `user`.
 * Started as anybody else: nobody changes uid.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/failure.h"

struct identity {
    uid_t uid;
    gid_t gid;
};

/* True when this process can change its uid. */
bool privilege_is_root(void);

/* Finds who listeners are to be. As root: `user` (and `group`, or the user's own); uid 0 is
 * refused. Otherwise the process's own identity, and a `user` that names another is a failure that
 * says so. An empty user means the fallback. Returns 0 or -1. */
int privilege_find(const char *user, const char *group, const char *fallback_user,
                   struct identity *out, struct failure *why);

/* Cuts the master's capabilities to those of the design: bounding, permitted, effective. Not as
 * root: keeps what it was given, drops nothing it needs. Sets the process non-dumpable. */
int privilege_limit_master(struct failure *why);

/* In a listener's process before it executes: groups, gid, uid for good; no capability in any set,
 * no ambient ones, no_new_privs; verified. Returns 0 or -1. */
int privilege_drop(const struct identity *identity, struct failure *why);
