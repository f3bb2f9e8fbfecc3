/* The report of srprep in JSON names the lines that were dropped. */
#include "program.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { USERS = 40, ITEMS_OF_A_USER = 10, GOOD_LINES = USERS * ITEMS_OF_A_USER, TEXT_SIZE = 32768 };

static void write_interactions(const char *path)
{
    static char text[TEXT_SIZE];
    size_t used = (size_t)snprintf(text, sizeof text, "user_id:token\titem_id:token\ttimestamp:float\n");
    for (int line = 0; line < GOOD_LINES; ++line)
        used += (size_t)snprintf(text + used, sizeof text - used, "u%d\ti%d\t%d\n", line / ITEMS_OF_A_USER, line % 17, line);
    snprintf(text + used, sizeof text - used, "u1\ti1\nu1\ti2\tlate\nu2\ti\x1b[31m3\tnever\n");
    program_write(path, text);
}

static const char *text_in(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(object, name));
    assert_non_null(text);
    return text;
}

static void expect_example(const cJSON *dropped, int index, const char *input, double line, const char *found)
{
    const cJSON *example = cJSON_GetArrayItem(cJSON_GetObjectItem(dropped, "examples"), index);
    assert_non_null(example);
    assert_string_equal(text_in(example, "file"), input);
    assert_true(number_in(example, "line") == line);
    if (!strstr(text_in(example, "found"), found))
        fail_msg("\"%s\" is missing in %s", found, text_in(example, "found"));
}

static void dropped_lines_have_reasons_and_examples(void **state)
{
    program_world *w = *state;
    char input[160], path[160];
    snprintf(input, sizeof input, "%s/a.inter", w->directory);
    snprintf(path, sizeof path, "%s/report.json", w->directory);
    write_interactions(input);
    run_srprep(&w->result, "convert --format recbole --input %s --output %s/data --report %s", input, w->directory, path);
    assert_code(&w->result, 0);

    char command[192];
    snprintf(command, sizeof command, "cat %s", path);
    run_command(&w->result, command);
    cJSON *report = cJSON_Parse(w->result.output);
    assert_non_null(report);
    assert_true(number_in(cJSON_GetObjectItem(report, "read"), "lines") == GOOD_LINES + 3);
    assert_true(number_in(cJSON_GetObjectItem(report, "read"), "interactions") == GOOD_LINES);
    const cJSON *dropped = cJSON_GetObjectItem(report, "dropped_lines");
    assert_int_equal(cJSON_GetArraySize(dropped), 2);

    const cJSON *columns = cJSON_GetArrayItem(dropped, 0), *times = cJSON_GetArrayItem(dropped, 1);
    assert_string_equal(text_in(columns, "reason"), "wrong number of columns");
    assert_true(number_in(columns, "lines") == 1);
    expect_example(columns, 0, input, GOOD_LINES + 2, "found 2 columns, expected 3");
    assert_string_equal(text_in(times, "reason"), "time stamp not understood");
    assert_true(number_in(times, "lines") == 2);
    expect_example(times, 0, input, GOOD_LINES + 3, "the time stamp \"late\" is not a number");
    expect_example(times, 1, input, GOOD_LINES + 4, "u2\ti?[31m3\tnever"); /* nothing that a terminal would obey */
    cJSON_Delete(report);
}

static void identifiers_that_are_not_utf8_are_counted(void **state)
{
    program_world *w = *state;
    char input[160];
    snprintf(input, sizeof input, "%s/latin.csv", w->directory);
    program_write(input, "a,K\xC3\xA4se,1\na,K\xE4se,2\nb,K\xE4se,3\nM\xFCller,x,4\n");
    run_srprep(&w->result,
               "convert --format csv --columns user=0,item=1,time=2 --input %s --output %s/data --report /dev/stderr", input,
               w->directory);
    assert_code(&w->result, 0);
    assert_says(&w->result, "3 interactions have an identifier that is not UTF-8, the first at ");
    assert_says(&w->result, "latin.csv:2: ");
    assert_says(&w->result, "iconv -f WINDOWS-1252 -t UTF-8");
    assert_says(&w->result, "\"identifiers_not_utf8\":\t3");
}

static void lines_of_which_none_is_chosen_are_counted(void **state)
{
    program_world *w = *state;
    char input[160];
    snprintf(input, sizeof input, "%s/events.csv", w->directory);
    program_write(input, "a,x,1,buy\na,y,2,buy\nb,x,3,view\n");
    run_srprep(&w->result, "convert --format csv --columns user=0,item=1,time=2 --where 3=Buy --input %s --output %s/data",
               input, w->directory);
    assert_code(&w->result, 3);
    assert_says(&w->result, "no interaction is left: --where has not chosen 3 of 3 lines");
    assert_says(&w->result, "in small and capital letters");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(dropped_lines_have_reasons_and_examples, program_set_up, program_tear_down),
        cmocka_unit_test_setup_teardown(identifiers_that_are_not_utf8_are_counted, program_set_up, program_tear_down),
        cmocka_unit_test_setup_teardown(lines_of_which_none_is_chosen_are_counted, program_set_up, program_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
