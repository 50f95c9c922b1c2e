/*
 * What the master hands a listener when it executes it: descriptors at fixed numbers, and a short
 * command line. One place for both sides; neither includes anything else of the other.
 *
 *   argv: [title] BLOCK GENERATION MASTER-PID SOCKETS
 */
#pragma once

enum {
    HANDOVER_CLIENT = 3, /* left free: accept4(2) gives the lowest number, so that a session has its
                            client here and closes what is above */
    HANDOVER_CHANNEL = 4,  /* channel/channel.h */
    HANDOVER_SERVICE = 5,  /* conf/service.h, sealed */
    HANDOVER_CONTROL = 6,  /* board/board.h */
    HANDOVER_SESSIONS = 7, /* board/board.h */
    HANDOVER_SANDBOX = 8,  /* sys/confine.h, sealed */
    HANDOVER_SOCKETS = 9   /* the first of the listening sockets */
};

enum { HANDOVER_BLOCK = 1, HANDOVER_GENERATION, HANDOVER_MASTER, HANDOVER_COUNT, HANDOVER_ARGC };
