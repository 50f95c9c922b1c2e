#include "sys/privilege.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "sys/explain.h"

/* Ports below 1024; listeners of other users, and signals to them; Unix sockets of other owners. */
static const unsigned int kept[] = { CAP_NET_BIND_SERVICE, CAP_SETUID, CAP_SETGID,
                                     CAP_SETPCAP,          CAP_KILL,   CAP_CHOWN };

static const capng_type_t sets[] = { CAPNG_EFFECTIVE, CAPNG_PERMITTED, CAPNG_INHERITABLE,
                                     CAPNG_BOUNDING_SET, CAPNG_AMBIENT };

enum { KEPT = sizeof kept / sizeof *kept, SETS = sizeof sets / sizeof *sets };

bool privilege_is_root(void)
{
    return geteuid() == 0;
}

/* What getpwnam(3) and getgrnam(3) failed for, by their ERRORS, where it is not the name. */
static bool could_not_look(void)
{
    return errno == EINTR || errno == EIO || errno == EMFILE || errno == ENFILE || errno == ENOMEM;
}

/* As root. */
static int find_user(const char *name, struct identity *out, struct failure *why)
{
    errno = 0;
    const struct passwd *user = getpwnam(name);

    if (!user && could_not_look())
        return failure_errno(why, EX_OSERR, errno, "cannot look up user %s", name);
    if (!user)
        return failure_set(why, EX_CONFIG,
                           "user %s: there is no such user (make it with useradd --system %s)",
                           name, name);
    if (user->pw_uid == 0)
        return failure_set(why, EX_CONFIG,
                           "user %s: clients are not served as root (name another user)", name);
    *out = (struct identity){ user->pw_uid, user->pw_gid };
    return 0;
}

static int find_group(const char *name, gid_t *out, struct failure *why)
{
    errno = 0;
    const struct group *group = getgrnam(name);

    if (!group && could_not_look())
        return failure_errno(why, EX_OSERR, errno, "cannot look up group %s", name);
    if (!group)
        return failure_set(why, EX_CONFIG, "group %s: there is no such group", name);
    *out = group->gr_gid;
    return 0;
}

/* Not as root. */
static int find_self(const char *user, const char *group, struct identity *out, struct failure *why)
{
    const struct passwd *named = *user ? getpwnam(user) : NULL;
    gid_t gid = out->gid;

    if (*user && (!named || named->pw_uid != out->uid))
        return failure_set(why, EX_CONFIG,
                           "user %s: only root can serve as another user (start the daemon as "
                           "root, or take the key out)",
                           user);
    if (*group && find_group(group, &gid, why) < 0)
        return -1;
    if (gid != out->gid)
        return failure_set(why, EX_CONFIG,
                           "group %s: only root can serve as another group (start the daemon as "
                           "root, or take the key out)",
                           group);
    return 0;
}

int privilege_find(const char *user, const char *group, const char *fallback_user,
                   struct identity *out, struct failure *why)
{
    *out = (struct identity){ geteuid(), getegid() };
    if (!privilege_is_root())
        return find_self(strcmp(user, fallback_user) ? user : "", group, out, why);
    if (find_user(*user ? user : fallback_user, out, why) < 0)
        return -1;
    return *group ? find_group(group, &out->gid, why) : 0;
}

static int apply(capng_select_t which, struct failure *why)
{
    errno = 0;
    int result = capng_apply(which);
    if (result == 0)
        return 0;
    return explain(why, errno ? errno : EPERM, NULL, "cannot drop capabilities (libcap-ng: %d)",
                   result);
}

/* The ambient set first, by prctl(2): to lower the others takes capset(2), which a unit's system
 * call filter may forbid with all that is privileged. Then, for who is not root, they are what the
 * unit gave, and of no use: the execve(2) to come leaves what is ambient. */
static int apply_own(bool root, struct failure *why)
{
    if (apply(CAPNG_SELECT_AMBIENT, why) < 0)
        return -1;
    int result = apply(CAPNG_SELECT_CAPS, why);
    return result < 0 && errno == EPERM && !root ? 0 : result;
}

static int read_own(struct failure *why)
{
    if (capng_get_caps_process() == 0)
        return 0;
    return explain(why, errno ? errno : EIO, NULL, "cannot read this process's capabilities");
}

/* Leaves in libcap-ng's state what is both there now and kept. */
static void keep_needed(void)
{
    bool has[KEPT][SETS];

    for (int i = 0; i < KEPT; i++)
        for (int set = 0; set < SETS; set++)
            has[i][set] = capng_have_capability(sets[set], kept[i]);
    capng_clear(CAPNG_SELECT_ALL);
    for (int i = 0; i < KEPT; i++)
        for (int set = 0; set < SETS; set++)
            if (has[i][set])
                capng_update(CAPNG_ADD, sets[set], kept[i]);
}

int privilege_limit_master(struct failure *why)
{
    if (read_own(why) < 0)
        return -1;
    if (privilege_is_root() && (!capng_have_capability(CAPNG_EFFECTIVE, CAP_SETUID) ||
                                !capng_have_capability(CAPNG_EFFECTIVE, CAP_SETGID)))
        return failure_set(why, EX_NOPERM,
                           "root without CAP_SETUID and CAP_SETGID cannot serve clients as another "
                           "user (give it these, or start it as that user)");
    bool bounds = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
    keep_needed();
    if ((bounds && apply(CAPNG_SELECT_BOUNDS, why) < 0) || apply_own(privilege_is_root(), why) < 0)
        return -1;
#ifndef WITH_SANITIZERS /* whose leak check traces the process */
    prctl(PR_SET_DUMPABLE, 0);
#endif
    return 0;
}

static int become(const struct identity *identity, struct failure *why)
{
    if (identity->uid == 0)
        return failure_set(why, EX_CONFIG, "clients are not served as root");
    if (setgroups(0, NULL) < 0 || setresgid(identity->gid, identity->gid, identity->gid) < 0 ||
        setresuid(identity->uid, identity->uid, identity->uid) < 0)
        return explain(why, errno, NULL, "cannot become uid %u, gid %u", identity->uid,
                       identity->gid);
    return 0;
}

/* Root's every set; of others the ambient one, which is all that an execve(2) hands on. */
static bool has_capability(bool root, bool bounds)
{
    for (int set = 0; set < SETS; set++)
        for (unsigned int capability = 0; capability <= CAP_LAST_CAP; capability++)
            if ((sets[set] == CAPNG_BOUNDING_SET ? bounds : root || sets[set] == CAPNG_AMBIENT) &&
                capng_have_capability(sets[set], capability))
                return true;
    return false;
}

/* Asks the kernel, after all the calls that said they did it. */
static int verify(const struct identity *identity, bool was_root, bool bounds, struct failure *why)
{
    uid_t uids[3];
    gid_t gids[3];

    if (getresuid(&uids[0], &uids[1], &uids[2]) < 0 || getresgid(&gids[0], &gids[1], &gids[2]) < 0)
        return explain(why, errno, NULL, "cannot read this process's identity");
    for (int i = 0; i < 3; i++)
        if (uids[i] != identity->uid || gids[i] != identity->gid)
            return failure_set(why, EX_NOPERM, "privilege is left: uid %u, gid %u", uids[i],
                               gids[i]);
    if (was_root && (getgroups(0, NULL) != 0 || setuid(0) == 0))
        return failure_set(why, EX_NOPERM, "privilege is left: groups, or the way back to root");
    if (read_own(why) < 0)
        return -1;
    if (has_capability(was_root, bounds))
        return failure_set(why, EX_NOPERM, "privilege is left: capabilities");
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return failure_set(why, EX_NOPERM, "privilege is left: no_new_privs is not set");
    return 0;
}

int privilege_drop(const struct identity *identity, struct failure *why)
{
    bool root = privilege_is_root();

    if (read_own(why) < 0)
        return -1;
    bool bounds = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
    capng_clear(CAPNG_SELECT_ALL);
    if ((bounds && apply(CAPNG_SELECT_BOUNDS, why) < 0) || (root && become(identity, why) < 0))
        return -1;
    capng_clear(CAPNG_SELECT_ALL);
    if (apply_own(root, why) < 0)
        return -1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return explain(why, errno, NULL, "cannot set no_new_privs");
    return verify(identity, root, bounds, why);
}
