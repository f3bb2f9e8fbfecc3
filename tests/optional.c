#include "optional.h"

#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static bool one_was_skipped; /* CMocka does not tell */

void skip_because(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    printf("skipped: ");
    vprintf(format, list);
    va_end(list);
    putchar('\n');
    one_was_skipped = true;
    skip();
}

static bool is_named(const char *name, char **patterns, int count)
{
    for (int i = 0; i < count; ++i)
        if (fnmatch(patterns[i], name, 0) == 0)
            return true;
    return false;
}

/* Whether one of the words of the list, which spaces separate, is the name. */
static bool is_listed(const char *name, const char *list)
{
    const size_t length = strlen(name);
    for (const char *word = list; word && *word; word += strspn(word, " ")) {
        const size_t size = strcspn(word, " ");
        if (size == length && strncmp(word, name, size) == 0)
            return true;
        word += size;
    }
    return false;
}

int run_chosen_tests(int argument_count, char **arguments, const struct CMUnitTest *tests, size_t count,
                     int (*set_up)(void **state), int (*tear_down)(void **state))
{
    const char *elsewhere = getenv("SRTRAIN_TESTS_ELSEWHERE");
    struct CMUnitTest *chosen = calloc(count, sizeof *chosen);
    size_t used = 0;
    if (!chosen)
        return 1;
    for (size_t i = 0; i < count; ++i)
        if (argument_count > 1 ? is_named(tests[i].name, arguments + 1, argument_count - 1)
                               : !is_listed(tests[i].name, elsewhere))
            chosen[used++] = tests[i];
    if (used == 0) {
        fprintf(stderr, "%s has no such test\n", arguments[0]);
        free(chosen);
        return 1;
    }
    const int failures = _cmocka_run_group_tests("tests", chosen, used, set_up, tear_down);
    free(chosen);
    return failures == 0 && one_was_skipped ? TESTS_ARE_SKIPPED : failures;
}
