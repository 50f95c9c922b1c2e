/*
 * Whom the kernel kills first when memory runs out (proc(5), oom_score_adj). Children are born with
 * their parent's score. Where /proc or the right to do it is missing, nothing happens.
 */
#pragma once

/* OOM_MASTER is what the unit says too. A session costs one client, a listener none: its sessions
 * live on, and its place is taken by another. A better score than theirs would take it two calls
 * more a fork, as they are born with its own and cannot open /proc to raise it. */
enum { OOM_MASTER = -500, OOM_SERVING = 300 };

/* Unless somebody has chosen a score for this process already. Lowering it takes CAP_SYS_RESOURCE.
 */
void oom_protect(int score);
/* At least this. Anybody may. */
void oom_offer(int score);
