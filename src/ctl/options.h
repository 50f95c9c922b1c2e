/* The command line: options, one table of them, then the command and its arguments. */
#pragma once

#include "ctl/commands.h"

/* Reads it. Ends the program when it is wrong, or asked for no more than help. */
void options_read(int argc, char **argv, struct call *out);
