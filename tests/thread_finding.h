/* What the threads of a rank find wrong. */
#ifndef SRTRAIN_TESTS_THREAD_FINDING_H
#define SRTRAIN_TESTS_THREAD_FINDING_H

#include <stdbool.h>
#include <stddef.h>

enum { THREADS = 3 };

/* What one thread found wrong; CMocka's assertions are for the main thread. */
typedef struct {
    const char *wrong;
} finding;

static inline void expect(finding *found, bool right, const char *what)
{
    if (!right && !found->wrong)
        found->wrong = what;
}

#endif
