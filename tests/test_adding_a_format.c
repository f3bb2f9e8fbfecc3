/* The recipe of docs/adding-a-format.md: a raw format that is added by one file and one row.
 *
 * srprep is linked as it is, but for its list of formats, which has one row more (tests/adding_format.cmake). */
#include "quoted_page.h"
#include "files.h"
#include "raw_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void visits_are_read_and_failures_left_out(void **state)
{
    static const raw_row rows[] = {{"u7", "/index.html", 1506826800, 0}, {"u8", "/a", 1506826801, 0}};
    assert_rows(
        *state, "visits", &raw_default,
        "2017-10-01T03:00:00Z|u7|/index.html|200\n2017-10-01T03:00:00Z|u7|/secret|403\n2017-10-01T03:00:01Z|u8|/a|304\n", rows,
        2);
    reader_options tabs = raw_default;
    tabs.delimiter = "\t";
    assert_rows(*state, "visits", &tabs, "2017-10-01T03:00:01Z\tu8\t/a\t200\n", rows + 1, 1);
}

static void a_line_that_does_not_fit_is_told(void **state)
{
    assert_bad(*state, "visits", &raw_default, "2017-10-01T03:00:00Z|u7|/index.html\n", SR_ERROR_DATA,
               "found 3 columns, expected time, user, page, status");
    assert_bad(*state, "visits", &raw_default, "2017-10-01T03:00:00Z||/index.html|200\n", SR_ERROR_DATA,
               "the user identifier is empty");
}

static void its_options_are_checked_by_its_row(void **state)
{
    (void)state;
    const raw_format *visits = raw_format_find("visits");
    sr_error error = {.message = ""};
    assert_int_equal(raw_format_check(visits, &(reader_options){.delimiter = ";"}, &error), SR_OK);
    assert_int_equal(raw_format_check(visits, &(reader_options){.delimiter = "::"}, &error), SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, "colons and slashes stand in the dates and pages of visits"));
    assert_int_equal(raw_format_check(visits, &(reader_options){.header = true}, &error), SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, "--header belongs to --format csv, not to visits"));
    /* It is among those that take an option, too. */
    assert_int_equal(raw_format_check(raw_format_find("json"), &(reader_options){.delimiter = ";"}, &error), SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, "--delimiter belongs to --format csv and visits, not to json"));
}

static void it_is_recognised_and_described(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    assert_ptr_equal(raw_format_of_file("logs/visits-2017.log.gz"), raw_format_find("visits"));
    assert_ptr_equal(raw_format_of_file("u.data"), raw_format_find("movielens-100k"));
    assert_null(raw_format_of_file("visits"));
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    raw_formats_describe(stream, true);
    assert_int_equal(fclose(stream), 0);
    assert_non_null(strstr(text, "## visits\n\n- Lines: visits in the log of a web server"));
    assert_non_null(strstr(text, "- Refused: --delimiter: colons and slashes stand in the dates"));
    free(text);
}

static void the_page_quotes_files_that_are_built(void **state)
{
    (void)state;
    static const char *const paths[] = {SRTRAIN_ADDING_FILES};
    assert_true(assert_page_quotes(SRTRAIN_ADDING_PAGE, paths, sizeof paths / sizeof *paths) >= 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(visits_are_read_and_failures_left_out), cmocka_unit_test(a_line_that_does_not_fit_is_told),
        cmocka_unit_test(its_options_are_checked_by_its_row),    cmocka_unit_test(it_is_recognised_and_described),
        cmocka_unit_test(the_page_quotes_files_that_are_built),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
