/*
 * Whom the kernel kills first when memory runs out (proc(5), oom_score_adj). Children are born with
 * their parent's score. Where /proc or the right to do it is missing, nothing happens.
 */
#pragma once

/* OOM_MASTER is what the unit says too; a session costs one client, the listener's place is taken
 * by another. */
enum { OOM_MASTER = -500, OOM_SERVING = 300 };

/* Unless somebody has chosen a score for this process already. Lowering it takes CAP_SYS_RESOURCE.
 */
void oom_protect(int score);
/* At least this. Anybody may. */
void oom_offer(int score);
