/* A load from the command line to the report. */
#pragma once

/* `forkecho bench`: argv[0] is the word `bench`. Returns the exit status: 0 when everything was
 * answered and equal, 1 when not, 2 when there was no connection or the command line was wrong. */
int bench_run(int argc, char **argv);
