/* What all fuzzers share: how one says that something does not hold, and bytes as text. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* The input is a finding unless the condition is true. */
#define HOLDS(condition) ((condition) ? (void)0 : fuzz_fail(#condition, __FILE__, __LINE__))
_Noreturn void fuzz_fail(const char *what, const char *file, int line);

/* A terminated copy that fits exactly, so that whatever reads beyond it is seen. To be freed. */
char *fuzz_text(const uint8_t *bytes, size_t size);

/* Takes the part in front of the first `end`, or all there is, off the bytes. False when nothing is
 * left. */
struct fuzz_part {
    const uint8_t *bytes;
    size_t size;
};
bool fuzz_cut(struct fuzz_part *rest, uint8_t end, struct fuzz_part *part);
