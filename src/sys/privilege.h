/*
 * Who may do what (the master keeps what it needs, what touches clients has nothing).
 * Started as root: the master stays uid 0 with its capabilities cut; listeners become `user`.
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
 * refused. Otherwise the process's own identity, and a `user` or `group` that names another is a
 * failure that says so; but one that equals fallback_user, which nobody need have written, is
 * passed over. An empty user means the fallback. Returns 0 or -1. */
int privilege_find(const char *user, const char *group, const char *fallback_user,
                   struct identity *out, struct failure *why);

/* Cuts the master's capabilities to those it needs: NET_BIND_SERVICE SETUID SETGID SETPCAP KILL
 * CHOWN, in every set. Not as root, that is at most what it was given, ambient included, so that it
 * still has it after an execve(2) of itself. Sets the process non-dumpable.
 *
 * From then on root has no right to files of others (CAP_DAC_OVERRIDE): what it has to make or
 * remove later must lie in directories of its own. Returns 0 or -1. */
int privilege_limit_master(struct failure *why);

/* In a listener's process before it executes: groups, gid, uid for good; no capability in any set
 * (the bounding set only where it may be cut, which is as root), no ambient ones, no_new_privs;
 * verified. Where a unit's filter forbids capset(2), a process that is not root has lost them all
 * but the inheritable ones, which are of no use to it, only after the execve(2). Returns 0 or -1.
 */
int privilege_drop(const struct identity *identity, struct failure *why);
