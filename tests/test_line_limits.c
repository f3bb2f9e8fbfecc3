/* How long a line may be depends on the line alone, not on where buffers end or a part of the file begins. Compiled with small
 * buffers, whose bounds short files cross. */
#include "base/lines.h"
#include "files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { LIMIT = 1900, MOST_IN_FRONT = 600 };

/* The status of reading the line behind one of `in_front` bytes (with its end), which has `length` bytes. */
static sr_status read_second_line(const char *path, size_t in_front, size_t length, bool ends, uint64_t part_begin)
{
    char bytes[MOST_IN_FRONT + LIMIT + 16];
    const char *text;
    size_t got;
    lines *file;
    sr_error error = {.status = SR_OK};
    memset(bytes, 'x', sizeof bytes);
    bytes[in_front - 1] = '\n';
    bytes[in_front + length] = '\n';
    files_write(path, bytes, in_front + length + ends);
    assert_int_equal(lines_open_part(&file, path, part_begin, UINT64_MAX, &error), SR_OK);
    if (part_begin == 0)
        assert_int_equal(lines_take(file, &text, &got, &error), SR_OK);
    const sr_status status = lines_take(file, &text, &got, &error);
    if (status == SR_OK) {
        assert_non_null(text);
        assert_int_equal(got, length);
    } else {
        assert_non_null(strstr(error.message, "longer than 1900 bytes"));
    }
    lines_close(file);
    return status;
}

static void a_line_of_the_limit_is_read_and_one_byte_more_is_refused_wherever_it_begins(void **state)
{
    char path[FILES_PATH_SIZE];
    files_path(path, *state, "lines");
    for (size_t in_front = 1; in_front <= MOST_IN_FRONT; in_front += 1 + in_front / 16)
        for (int part = 0; part < 2; ++part)
            for (int ends = 0; ends < 2; ++ends) {
                assert_int_equal(read_second_line(path, in_front, LIMIT, ends, part ? in_front : 0), SR_OK);
                assert_int_equal(read_second_line(path, in_front, LIMIT + 1, ends, part ? in_front : 0), SR_ERROR_DATA);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_of_the_limit_is_read_and_one_byte_more_is_refused_wherever_it_begins),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
