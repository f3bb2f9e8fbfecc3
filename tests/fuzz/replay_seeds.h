/* Files that fuzzers begin with, and what they have found, as tests of the normal suite. */
#ifndef SRTRAIN_TESTS_FUZZ_REPLAY_SEEDS_H
#define SRTRAIN_TESTS_FUZZ_REPLAY_SEEDS_H

#include <stddef.h>

/* Calls check() for each file of tests/fuzz/seeds/FORMAT, as it stands and cut by up to 15 bytes, and fails the test if that
 * names anything that does not hold. */
void replay_seeds(const char *format, const char *(*check)(const char *format, const void *bytes, size_t count));

#endif
