#include "fuzz/replay_seeds.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

typedef const char *(*check_function)(const char *format, const void *bytes, size_t count);

/* As it stands, and shortened: for many readers, options depend on the length. */
static void check_file(const char *format, const char *path, check_function check)
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
        const char *wrong = check(format, bytes, count - less);
        if (wrong)
            fail_msg("%s, %zu bytes: does not hold: %s", path, count - less, wrong);
    }
}

void replay_seeds(const char *format, check_function check)
{
    char directory[512], path[1024];
    size_t count = 0;
    snprintf(directory, sizeof directory, "%s/tests/fuzz/seeds/%s", getenv("SRTRAIN_SOURCE_DIRECTORY"), format);
    DIR *entries = opendir(directory);
    if (!entries)
        fail_msg("%s cannot be read", directory);
    for (const struct dirent *entry; (entry = readdir(entries));)
        if (*entry->d_name != '.') {
            snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
            check_file(format, path, check);
            ++count;
        }
    closedir(entries);
    assert_true(count > 5);
}
