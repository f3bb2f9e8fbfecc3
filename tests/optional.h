/* Tests that not every machine can run: they say so to ctest, and never pass without having tested. Each has an entry of its
 * own there (srtrain_add_optional_tests() in optional.cmake). */
#ifndef SRTRAIN_TESTS_OPTIONAL_H
#define SRTRAIN_TESTS_OPTIONAL_H

#include <stddef.h>

struct CMUnitTest; /* of cmocka.h, whose macros are to come behind our headers */

/* The exit code that ctest takes for "skipped": SKIP_RETURN_CODE. */
enum { TESTS_ARE_SKIPPED = 77 };

/* Ends the running test, which this machine cannot run; says why. */
void skip_because(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Runs tests as cmocka_run_group_tests() does: those that arguments name (patterns as of a shell are allowed), without
 * arguments all but those that SRTRAIN_TESTS_ELSEWHERE names, separated by spaces. Returns what main should: the number of
 * failures, TESTS_ARE_SKIPPED when none failed but skip_because() ended one, or 1 when nothing bears such a name. */
int run_chosen_tests(int argument_count, char **arguments, const struct CMUnitTest *tests, size_t count,
                     int (*set_up)(void **state), int (*tear_down)(void **state));

#endif
