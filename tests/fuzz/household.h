/*
 * A master to act on, with two services, `a` (fork) and `b` (prefork), and a listener of each that
 * is nothing but the other end of its channel. No process is forked and nobody is signalled: what
 * the daemon calls for that is replaced here.
 */
#pragma once

#include "fuzz.h"

#include "master/state.h"

enum { HOUSE_LISTENERS = 2, HOUSE_FIRST_PID = 100000 };

struct house {
    struct master *master;
    int listener[HOUSE_LISTENERS]; /* their ends of the channels */
};

/* The configuration that it runs under. */
struct conf *house_conf(void);

/* A daemon that serves three clients: two of `a` in the slots 0 and 1, one of `b`. */
void house_build(struct house *house);
void house_end(struct house *house);

/* Listeners that have died, one bit each: what waitid(2) tells of them. */
extern unsigned int house_dead;
