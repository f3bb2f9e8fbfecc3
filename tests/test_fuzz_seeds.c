/* The seeds of the fuzzers, and what they have found, through every reader: tests/fuzz/README.md. Compiled with small buffers,
 * whose bounds short files cross. */
#include "fuzz/check_reader.h"
#include "fuzz/replay_seeds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static void seeds_of_a_format_keep_what_readers_promise(void **state)
{
    replay_seeds(*state, check_reader);
}

int main(void)
{
    static const char *const formats[] = {FUZZED_FORMATS};
    enum { COUNT = sizeof formats / sizeof *formats };
    struct CMUnitTest tests[COUNT];
    for (size_t i = 0; i < COUNT; ++i)
        tests[i] = (struct CMUnitTest){.name = formats[i],
                                       .test_func = seeds_of_a_format_keep_what_readers_promise,
                                       .initial_state = (void *)(uintptr_t)formats[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
