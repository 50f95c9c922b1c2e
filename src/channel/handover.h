/*
 * What the master hands a listener when it executes it: descriptors at fixed numbers, and a short
 * command line. One place for both sides; neither includes anything else of the other.
 *
 *   argv: [title] BLOCK GENERATION MASTER-PID SOCKETS
 */
#pragma once

enum {
    HANDOVER_CHANNEL = 3,  /* channel/channel.h */
    HANDOVER_SERVICE = 4,  /* conf/service.h, sealed */
    HANDOVER_CONTROL = 5,  /* board/board.h */
    HANDOVER_SESSIONS = 6, /* board/board.h */
    HANDOVER_SANDBOX = 7,  /* sys/confine.h, sealed */
    HANDOVER_SOCKETS = 8   /* the first of the listening sockets */
};

enum { HANDOVER_BLOCK = 1, HANDOVER_GENERATION, HANDOVER_MASTER, HANDOVER_COUNT, HANDOVER_ARGC };
