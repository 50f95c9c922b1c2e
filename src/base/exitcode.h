/*
 * Why a session ended: the exit status of its process, named once. The listener (or, when that is
 * dead, the master) turns it into the `session end` line, the board's row and the counters.
 * SESSION_END(NAME, STATUS, "text for people", ERROR?) — ERROR: 1 where an operator should look.
 */
#pragma once

#include <stdbool.h>

#define SESSION_ENDS(SESSION_END)                                                                  \
    SESSION_END(CLOSED, 0, "client closed", 0)                                                     \
    SESSION_END(COMPLETE, 1, "served", 0)                                                          \
    SESSION_END(QUIT, 2, "client said quit", 0)                                                    \
    SESSION_END(IDLE, 3, "idle timeout", 0)                                                        \
    SESSION_END(LIFETIME, 4, "session timeout", 0)                                                 \
    SESSION_END(STALLED, 5, "write timeout", 0)                                                    \
    SESSION_END(RESET, 6, "connection reset", 0)                                                   \
    SESSION_END(VANISHED, 7, "peer vanished", 0)                                                   \
    SESSION_END(STOPPED, 8, "daemon stopped", 0)                                                   \
    SESSION_END(KILLED, 9, "ended by the operator", 0)                                             \
    SESSION_END(SYSTEM, 10, "system call failed", 1)                                               \
    SESSION_END(CRASHED, 11, "died by a signal", 1)                                                \
    SESSION_END(UNKNOWN, 12, "unknown exit status", 1)                                             \
    SESSION_END(STUCK, 13, "worker timeout", 1)                                                    \
    SESSION_END(SANDBOX, 14, "sandbox", 1)

enum session_end {
#define SESSION_END(name, status, text, error) SESSION_##name = status,
    SESSION_ENDS(SESSION_END)
#undef SESSION_END
};

enum { SESSION_END_COUNT = 15 };

const char *session_end_text(enum session_end end);
bool session_end_is_error(enum session_end end);

/* From waitid(2)'s si_code and si_status. `asked` is the end for which we sent a signal ourselves,
 * or SESSION_CRASHED when we sent none; SIGALRM always means LIFETIME (session/session.h). */
enum session_end session_end_of(int code, int status, enum session_end asked);
