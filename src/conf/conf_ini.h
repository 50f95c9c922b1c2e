/*
 * A second reader for every file: the INI library, which is given the bytes that were scanned, from
 * a sealed memfd. iniparser is memory-safe but trusts its input (it loses settings without a word
 * when memory runs out, and guesses at what it does not understand); a file counts only when both
 * readers see the same settings in it. Typed getters of the library are never called.
 */
#pragma once

#include "conf/scan.h"

/* Tells of the file unless iniparser agrees with the scan, section by section, value by value. */
void conf_ini_confirm(struct findings *findings, const struct scan *scan);
