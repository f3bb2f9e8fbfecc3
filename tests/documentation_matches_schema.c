/* docs/configuration.md is what the schema of the configuration says.
 *
 * With "--write" as its argument this program writes the page instead of comparing it. */
#include "srtrain/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { PAGE_SIZE = 1 << 18 };

static const char *page_path(char *path, size_t size)
{
    const char *source = getenv("SRTRAIN_SOURCE_DIRECTORY");
    snprintf(path, size, "%s/docs/configuration.md", source ? source : ".");
    return path;
}

static char *page_of_schema(void)
{
    char *text = NULL;
    size_t size;
    sr_error error;
    FILE *stream = open_memstream(&text, &size);
    if (!stream || sr_settings_describe(stream, true, &error) != SR_OK || fclose(stream) != 0) {
        fprintf(stderr, "the page cannot be made\n");
        exit(EXIT_FAILURE);
    }
    return text;
}

static int write_page(void)
{
    char path[4096];
    char *text = page_of_schema();
    FILE *file = fopen(page_path(path, sizeof path), "w");
    const int written = file ? fputs(text, file) : EOF;
    const int closed = file ? fclose(file) : EOF;
    free(text);
    if (written == EOF || closed == EOF)
        perror(path);
    return written == EOF || closed == EOF ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The number of the first line in which two texts differ. */
static int first_difference(const char *left, const char *right)
{
    int line = 1;
    for (; *left && *left == *right; ++left, ++right)
        line += *left == '\n';
    return line;
}

static void the_page_on_configuration_is_what_the_schema_says(void **state)
{
    (void)state;
    char path[4096];
    char *wanted = page_of_schema(), *found = calloc(PAGE_SIZE, 1);
    assert_non_null(found);
    FILE *file = fopen(page_path(path, sizeof path), "r");
    if (file) {
        assert_true(fread(found, 1, PAGE_SIZE - 1, file) < PAGE_SIZE - 1);
        fclose(file);
    }
    const int equal = strcmp(wanted, found) == 0, line = first_difference(wanted, found);
    free(wanted);
    free(found);
    if (!equal)
        fail_msg("%s:%d differs from the schema; write it anew with\n"
                 "  SRTRAIN_SOURCE_DIRECTORY=%s %s/tests/documentation_matches_schema --write",
                 path, line, getenv("SRTRAIN_SOURCE_DIRECTORY"), getenv("SRTRAIN_BINARY_DIRECTORY"));
}

int main(int argument_count, char **arguments)
{
    if (argument_count == 2 && strcmp(arguments[1], "--write") == 0)
        return write_page();
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_page_on_configuration_is_what_the_schema_says)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
