/* What the fault tests link into the daemon's programs (gate.c, shortage.c). */
#pragma once

#include <stdbool.h>

/* Waits at the gate; false when there is none. */
bool gate_pass(char who);

/* Counts an allocation. True, with ENOMEM in errno, when it is the one to fail. */
bool shortage_hits(void);
