/* Quoted fields that hold line ends, and quotes that quote nothing: no line is lost without a word. */
#include "files.h"
#include "raw_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { TEXT_SIZE = 8192 };

/* What reading a text came to; not strictly. */
typedef struct {
    raw_rows rows;
    parse_report report;
} outcome;

static void read_as(const char *directory, const char *format, const reader_options *options, const char *text, outcome *all)
{
    reader_facts facts;
    sr_error error = {.status = SR_OK};
    if (raw_read(directory, format, options, text, &all->rows, &all->report, &facts, &error) != SR_OK)
        fail_msg("%s", error.message);
    const parse_report *report = &all->report;
    assert_int_equal(report->lines, report->records + report->continued + parse_report_bad(report) +
                                        report->dropped[DROPPED_NA] + report->dropped[DROPPED_HEADER]);
}

/* Lines "u1 TAB 1001 TAB a1 TAB Moon TAB t1", of which the titles of `first` and `last` (from 1) begin and end with a quote. */
static void write_listens(char *text, int count, int first, int last, const char *line_end)
{
    *text = '\0';
    for (int i = 1; i <= count; ++i)
        sprintf(text + strlen(text), "u%d\t%d\ta%d\t%sMoon%s\tt%d%s", i % 5, 1000 + i, i, i == first ? "\"" : "",
                i == last ? "\"" : "", i % 9, line_end);
}

static const reader_options listens = {.columns = "user=0,item=4,time=1", .delimiter = "\t"},
                            untimed_listens = {.columns = "user=0,item=4", .delimiter = "\t"};

static void lines_that_a_quote_seems_to_swallow_are_read(void **state)
{
    static outcome all;
    char text[TEXT_SIZE];
    const struct {
        int first, last;
    } places[] = {{11, 41}, {11, 12}, {2, 60}, {59, 60}, {30, 33}};
    for (size_t i = 0; i < sizeof places / sizeof *places; ++i)
        for (int variant = 0; variant < 4; ++variant) {
            char says[128];
            write_listens(text, 60, places[i].first, places[i].last, variant & 1 ? "\r\n" : "\n");
            read_as(*state, "csv", variant & 2 ? &untimed_listens : &listens, text, &all);
            assert_int_equal(all.report.lines, 60);
            assert_int_equal(all.rows.count, 59); /* all but the line of the first quote, of which the report tells */
            assert_int_equal(all.report.dropped[DROPPED_QUOTES], 1);
            assert_int_equal(all.report.examples[DROPPED_QUOTES][0].line, places[i].first);
            snprintf(says, sizeof says,
                     "a quoted field goes on to line %d, and most lines up to there are records by themselves", places[i].last);
            assert_non_null(strstr(all.report.examples[DROPPED_QUOTES][0].found, says));
            assert_non_null(strstr(all.report.examples[DROPPED_QUOTES][0].found, "--no-quotes takes quotes for characters"));
        }
}

static void swallowed_lines_may_lack_something(void **state)
{
    static outcome all;
    char text[TEXT_SIZE] = "";
    for (int i = 1; i <= 60; ++i)
        sprintf(text + strlen(text), "u%d\t%d\ta%d\t%sMoon%s\t%s\n", i % 5, 1000 + i, i, i == 11 ? "\"" : "",
                i == 41 ? "\"" : "", i % 4 ? "" : "t1"); /* items that are not known */
    read_as(*state, "csv", &listens, text, &all);
    assert_int_equal(all.rows.count, 15);
    assert_int_equal(all.report.dropped[DROPPED_IDENTIFIER], 44);
    assert_int_equal(all.report.dropped[DROPPED_QUOTES], 1);
}

static void swallowed_lines_are_an_error_where_they_come_first(void **state)
{
    char text[TEXT_SIZE];
    write_listens(text, 60, 1, 31, "\n");
    assert_bad(*state, "csv", &listens, text, SR_ERROR_DATA, "raw:1: a quoted field goes on to line 31, and most lines");
    reader_options named = listens;
    named.header = true;
    named.columns = "user=0,item=4";
    assert_bad(*state, "csv", &named, text, SR_ERROR_DATA, "raw:1: a quoted field goes on to line 31, and most lines");
}

static void quotes_are_characters_where_that_is_asked_for(void **state)
{
    static outcome all;
    char text[TEXT_SIZE];
    reader_options options = listens;
    write_listens(text, 60, 11, 41, "\n");
    options.no_quotes = true;
    read_as(*state, "csv", &options, text, &all);
    assert_int_equal(all.rows.count, 60);
    assert_int_equal(parse_report_bad(&all.report), 0);
    assert_int_equal(all.report.spanning.count, 0);
}

static void quotes_quote_whatever_they_hold_where_that_is_asked_for(void **state)
{
    static outcome all;
    char text[TEXT_SIZE];
    reader_options options = listens;
    write_listens(text, 60, 11, 41, "\n");
    options.multiline_quotes = true;
    read_as(*state, "csv", &options, text, &all);
    assert_int_equal(all.rows.count, 30);
    assert_int_equal(all.report.lines, 60);
    assert_int_equal(all.report.continued, 30);
    assert_int_equal(all.report.spanning.count, 1);
    assert_int_equal(all.report.spanning.line, 11);
    assert_int_equal(all.report.longest, 31);
}

static void texts_of_several_lines_are_one_field_and_are_counted(void **state)
{
    static outcome all;
    const reader_options options = {.columns = "user=user,item=item,rating=stars,time=when", .header = true};
    const char *text = "user,item,review,stars,when\r\n"
                       "u1,i1,\"Good, cheap, and fast.\r\n\r\nI said \"\"fast\"\", 5, 6, 7\r\n\",5,1001\r\n"
                       "u2,i2,fine,4,1002\r\n"
                       "u3,i3,\"one, two, three\r\nfour, five, six\",3,1003\r\n" /* lines with as many commas as records */
                       "u4,i4,\"1,2,3,4,5\r\na, b\",3,1004\r\n"
                       "\"u5\",\"i5\",\"a\nb\",\"2\",\"1005\"\r\n";
    read_as(*state, "csv", &options, text, &all);
    assert_int_equal(parse_report_bad(&all.report), 0);
    assert_int_equal(all.rows.count, 5);
    assert_string_equal(all.rows.rows[2].item, "i3");
    assert_int_equal(all.rows.rows[4].record.time, 1005);
    assert_int_equal(all.report.lines, 11);
    assert_int_equal(all.report.spanning.count, 4);
    assert_int_equal(all.report.spanning.line, 2);
    assert_int_equal(all.report.continued, 6);
    assert_int_equal(all.report.longest, 4);
    /* The text may come last, where the first line has all columns. */
    const reader_options last = {.columns = "user=0,item=1,rating=2"};
    read_as(*state, "csv", &last, "u1,i1,5,\"Good, cheap\nand, so, on, indeed\nfast\"\nu2,i2,4,\"x\ny\"\n", &all);
    assert_int_equal(parse_report_bad(&all.report), 0);
    assert_int_equal(all.rows.count, 2);
    assert_int_equal(all.report.continued, 3);
}

static void sentences_are_no_records_where_no_number_tells(void **state)
{
    static outcome all;
    const reader_options options = {.columns = "user=0,item=1"};
    read_as(*state, "csv", &options, "u1,i1,\"cheap\nI like it, really, and more\nso, it is, fine\"\nu2,i2,x\n", &all);
    assert_int_equal(parse_report_bad(&all.report), 0);
    assert_int_equal(all.rows.count, 2);
    assert_int_equal(all.report.spanning.count, 1);
    read_as(*state, "csv", &options, "u0,i0,x\nu1,i1,\"cheap\nu2,i2,x\nu3,i3,y\"\n", &all); /* these are */
    assert_int_equal(parse_report_bad(&all.report), 1);
    assert_int_equal(all.rows.count, 3);
}

static void a_record_of_several_lines_without_its_columns_costs_one_line(void **state)
{
    static outcome all;
    const reader_options options = {.columns = "user=0,item=1,time=3"};
    read_as(*state, "csv", &options, "a,1,x,1\nb,2,\"x,2\nc,3,x\",3\nd,4,x,4\ne,5\",x,5\nf,6,x,6\n", &all);
    assert_int_equal(all.rows.count, 5);
    assert_int_equal(all.report.dropped[DROPPED_QUOTES], 1);
    read_as(*state, "csv", &options, "a,1,x,1\nb,2,\"x,2\nc,3,\"x\",3\nd,4,x,4\n", &all); /* the quote in between is no end */
    assert_int_equal(all.rows.count, 3);
    assert_int_equal(all.report.dropped[DROPPED_QUOTES], 1);
    assert_non_null(strstr(all.report.examples[DROPPED_QUOTES][0].found, "is followed by other characters"));
    read_as(*state, "csv", &options, "a,1,x,1\nb,2,\"x\ny\nz,2\"\nc,3,x,3\n", &all);
    assert_int_equal(all.rows.count, 2);
    assert_non_null(strstr(all.report.examples[DROPPED_QUOTES][0].found, "goes on to line 4, and then there are 3 columns"));
}

static void all_lines_of_a_dropped_record_are_counted(void **state)
{
    static outcome all;
    const reader_options options = {.columns = "user=0,item=1,time=3", .na_values = "NA"};
    read_as(*state, "csv", &options, "a,1,x,1\nb,2,\"x\ny\nz\",soon\nNA,3,\"x\n\",3\n", &all);
    assert_int_equal(all.rows.count, 1);
    assert_int_equal(all.report.lines, 6);
    assert_int_equal(all.report.dropped[DROPPED_TIME], 3);
    assert_int_equal(all.report.example_count[DROPPED_TIME], 1);
    assert_int_equal(all.report.dropped[DROPPED_NA], 2);
}

static void a_line_that_fits_without_its_quotes_says_so(void **state)
{
    const reader_options tabs = {.columns = "user=0,item=1", .delimiter = "\t"};
    assert_bad(
        *state, "csv", &tabs, "a\t1\tx\nb\t\"2\tx\"\n", SR_ERROR_DATA,
        "raw:2: found 2 columns with a quoted field, expected 3 as in the first line, as there are without; --no-quotes");
    assert_bad(*state, "csv", &tabs, "a\t1\tx\nb\t2\t\"Weird Al\" Yankovic\n", SR_ERROR_DATA,
               "raw:2: a quoted field is followed by other characters than the delimiter; --no-quotes takes quotes for");
    assert_bad(*state, "movielens-csv", &raw_default, "userId,movieId,tag\na,1,x\nb,2,\"x\nc,3,y\"\n", SR_ERROR_DATA,
               "raw:3: a quoted field is not closed; --format csv with --no-quotes takes quotes for");
    assert_bad(*state, "amazon-csv", &raw_default, "a,1,5,1\nb,\"2,5\",1\n", SR_ERROR_DATA,
               "raw:2: found 3 columns with a quoted field, expected 4: user");
    const raw_row rows[] = {{"a", "\"1", 0, 0}, {"b", "2\"", 0, 0}};
    assert_rows(*state, "recbole", &raw_default, "user_id:token\titem_id:token\na\t\"1\nb\t2\"\n", rows, 2);
}

static void quotes_within_a_field_are_characters(void **state)
{
    const raw_row rows[] = {{"a", "12\" Mix", 0, 0}, {"b", "Best \"of", 0, 0}, {"c", "7\"", 0, 0}};
    const reader_options options = {.columns = "user=0,item=1"};
    assert_rows(*state, "csv", &options, "a,12\" Mix\nb,Best \"of\nc,7\"\n", rows, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_that_a_quote_seems_to_swallow_are_read),
        cmocka_unit_test(swallowed_lines_may_lack_something),
        cmocka_unit_test(swallowed_lines_are_an_error_where_they_come_first),
        cmocka_unit_test(quotes_are_characters_where_that_is_asked_for),
        cmocka_unit_test(quotes_quote_whatever_they_hold_where_that_is_asked_for),
        cmocka_unit_test(texts_of_several_lines_are_one_field_and_are_counted),
        cmocka_unit_test(sentences_are_no_records_where_no_number_tells),
        cmocka_unit_test(a_record_of_several_lines_without_its_columns_costs_one_line),
        cmocka_unit_test(all_lines_of_a_dropped_record_are_counted),
        cmocka_unit_test(a_line_that_fits_without_its_quotes_says_so),
        cmocka_unit_test(quotes_within_a_field_are_characters),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
