/* The CPU level that a test runs at. */
#ifndef SRTRAIN_TESTS_CPU_LEVEL_H
#define SRTRAIN_TESTS_CPU_LEVEL_H

#include "srtrain/kernels.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEST_IS_SKIPPED = 77 }; /* SKIP_RETURN_CODE of ctest */

/* Kernels of the level that SRTRAIN_CPU_LEVEL names, or of the highest that this machine has. Where the machine lacks the level
 * the program ends as skipped. */
static inline const sr_kernels *tested_kernels(void)
{
    const char *name = getenv("SRTRAIN_CPU_LEVEL");
    const sr_kernels *kernels = sr_kernels_choose(name);
    if (kernels)
        return kernels;
    bool is_known = false;
    for (size_t i = 0; sr_kernels_level_name(i); ++i)
        is_known = is_known || strcmp(name, sr_kernels_level_name(i)) == 0;
    printf(is_known ? "CPU level %s: this machine does not have it, skipped\n" : "there is no CPU level %s\n", name);
    exit(is_known ? TEST_IS_SKIPPED : EXIT_FAILURE);
}

#endif
