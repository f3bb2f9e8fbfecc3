/* The seeds of the fuzzers of checkpoints and data sets, and what they have found: tests/fuzz/README.md. Compiled with small
 * blocks, so that arrays of some hundred bytes have several checksums. */
#include "fuzz/check_storage.h"
#include "fuzz/replay_seeds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static void changed_checkpoints_are_refused_or_within_their_bounds(void **state)
{
    (void)state;
    replay_seeds("checkpoint", check_checkpoint);
}

static void changed_data_sets_are_refused_or_within_their_bounds(void **state)
{
    (void)state;
    replay_seeds("dataset", check_dataset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changed_checkpoints_are_refused_or_within_their_bounds),
        cmocka_unit_test(changed_data_sets_are_refused_or_within_their_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
