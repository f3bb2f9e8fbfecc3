/* The seeds of the fuzzers, and what they have found, through every reader: tests/fuzz/README.md. Compiled with small buffers,
 * whose bounds short files cross. */
#include "fuzz/check_reader.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Checks one file as it stands, and shortened: many options depend on the length. */
static void check_file(const char *format, const char *path)
{
    enum { MOST = 1 << 16, SHORTER = 16 };
    static char bytes[MOST];
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("%s cannot be read", path);
    const size_t count = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_true(count < sizeof bytes);
    for (size_t less = 0; less < SHORTER && less <= count; ++less) {
        const char *wrong = check_reader(format, bytes, count - less);
        if (wrong)
            fail_msg("%s, %zu bytes: does not hold: %s", path, count - less, wrong);
    }
}

static void seeds_of_a_format_keep_what_readers_promise(void **state)
{
    const char *format = *state;
    char directory[512], path[1024];
    size_t count = 0;
    snprintf(directory, sizeof directory, "%s/tests/fuzz/seeds/%s", getenv("SRTRAIN_SOURCE_DIRECTORY"), format);
    DIR *entries = opendir(directory);
    if (!entries)
        fail_msg("%s cannot be read", directory);
    for (const struct dirent *entry; (entry = readdir(entries));)
        if (*entry->d_name != '.') {
            snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
            check_file(format, path);
            ++count;
        }
    closedir(entries);
    assert_true(count > 5);
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
