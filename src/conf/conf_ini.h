/*
 * A second reader for every file: the INI library, which is given the bytes that were scanned, from
 * a sealed memfd. A file counts only when both readers see the same settings in it.
 *
 * iniparser is memory-safe but trusts its input, loses settings without a word when memory runs
 * out, and writes through a null pointer when it runs out early. So it reads in a process of its
 * own, which lives for as long as that takes. Its typed getters are never called.
 */
#pragma once

#include "conf/scan.h"

/* Tells of the file unless iniparser agrees with the scan, section by section, value by value. */
void conf_ini_confirm(struct findings *findings, const struct scan *scan);
