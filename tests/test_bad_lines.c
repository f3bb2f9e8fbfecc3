/* What does not fit: headers that stand in a file again, time stamps that are none, what is missing. Messages say what was
 * found, what is allowed, and what helps. */
#include "files.h"
#include "raw_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const reader_options by_name = {.columns = "user=user,item=item", .header = true};

/* ---- headers ---- */

static void assert_header_again(const char *directory, const char *format, const reader_options *options, const char *text,
                                size_t rows, size_t headers)
{
    static raw_rows all;
    static parse_report report;
    reader_facts facts;
    sr_error error = {.status = SR_OK};
    reader_options strictly = *options;
    strictly.strict = true; /* a header is no bad line */
    if (raw_read(directory, format, &strictly, text, &all, &report, &facts, &error) != SR_OK)
        fail_msg("%s", error.message);
    assert_int_equal(all.count, rows);
    assert_int_equal(report.dropped[DROPPED_HEADER], headers);
    assert_int_equal(report.lines, rows + headers);
    assert_int_equal(parse_report_bad(&report), 0);
    for (size_t i = 0; i < rows; ++i)
        assert_null(strstr(all.rows[i].user, "user"));
}

static void a_header_that_stands_again_is_no_interaction(void **state)
{
    const reader_options by_number = {.columns = "user=0,item=1", .header = true, .delimiter = "::"};
    assert_header_again(*state, "csv", &by_name, "user,item\na,1\nuser,item\nb,2\nuser,item\nuser,item\n", 2, 3);
    assert_header_again(*state, "csv", &by_name, "user,item\na,1\n\"user\",item\r\nb,2\n\xEF\xBB\xBFuser,item\nc,3\n", 3, 2);
    assert_header_again(*state, "csv", &by_name, "\xEF\xBB\xBFuser,\"item\"\na,1\nuser,item\nb,2", 2, 1);
    assert_header_again(*state, "csv", &by_name, "\"a\nb\",user,item\nx,a,1\n\"a\nb\",user,item\n", 1, 2); /* of two lines */
    assert_header_again(*state, "csv", &by_number, "user::item::x\na::1::\nuser::item::x\nb::2::\n", 2, 1);
    assert_header_again(*state, "movielens-csv", &raw_default, "userId,movieId\n1,2\nuserId,movieId\n3,4\n", 2, 1);
    assert_header_again(*state, "movielens-csv", &raw_default,
                        "userId,movieId,rating,timestamp\n1,2,3,4\nuserId,movieId,rating,timestamp\r\n3,4,5,6\n", 2, 1);
    assert_header_again(*state, "recbole", &raw_default,
                        "user_id:token\titem_id:token\n1\t2\nuser_id:token\titem_id:token\n3\t4\n", 2, 1);
    assert_header_again(*state, "recbole", &raw_default,
                        "user_id:token\titem_id:token\ttimestamp:float\n1\t2\t3\nuser_id\titem_id:token\ttimestamp:float\n", 1,
                        1);
}

static void a_header_that_differs_in_what_is_not_read_is_one(void **state)
{
    const reader_options timed = {.columns = "user=user,item=item,time=time", .header = true};
    assert_header_again(*state, "csv", &by_name, "user,item,title\na,1,x\nuser,item,name\nb,2,y\nUser, ITEM ,title\n", 2, 2);
    assert_header_again(*state, "csv", &(reader_options){.columns = "user=0,item=1", .header = true},
                        " user,item\na,1\nuser,item\nb,2\n User,item\n", 2, 2);
    assert_header_again(*state, "csv", &timed, "user,item,time\na,1,5\nuser,item,timestamp\nb,2,6\n", 2, 1);
}

static void what_only_resembles_the_header_is_data(void **state)
{
    const raw_row rows[] = {{"a", "item", 0, 0}, {"user", "1", 0, 0}},
                  named[] = {{"user", "item", 5, 0}, {"item", "user", 6, 0}};
    const reader_options timed = {.columns = "user=user,item=item,time=time", .header = true};
    assert_rows(*state, "csv", &timed, "user,item,time\nuser,item,5\nitem,user,6\n", named, 2);
    assert_rows(*state, "csv", &by_name, "user,item\na,item\nuser,1\n", rows, 2);
    /* Numbers where names belong are no names: this file has none, and the line may stand there again. */
    const reader_options numbers = {.columns = "user=0,item=1", .header = true};
    const raw_row again[] = {{"2", "1", 0, 0}, {"1", "2", 0, 0}};
    assert_rows(*state, "csv", &numbers, "1,2\n2,1\n1,2\n", again, 2);
}

static void a_header_in_another_order_is_an_error(void **state)
{
    assert_bad(*state, "csv", &by_name, "user,item\na,1\nitem,user\n2,b\n", SR_ERROR_DATA,
               "raw:3: the names of the header stand here again in another order");
    assert_bad(*state, "recbole", &raw_default, "user_id:token\titem_id:token\na\t1\n\nitem_id:token\tuser_id:token\n",
               SR_ERROR_DATA, "raw:3: the line is empty");
    assert_bad(*state, "recbole", &raw_default, "user_id:token\titem_id:token\na\t1\nitem_id:token\tuser_id:token\n",
               SR_ERROR_DATA, "give each file by itself");
}

static void a_part_of_a_file_knows_its_header(void **state)
{
    static raw_rows all;
    char path[FILES_PATH_SIZE];
    const char *text = "user_id:token\titem_id:token\n1\ta\nuser_id:token\titem_id:token\n2\tb\nuser_id:token\titem_id:token\n";
    files_path(path, *state, "raw");
    files_write_text(path, text);
    const reader_sink sink = {raw_collect, &all};
    for (uint64_t cut = 1; cut < strlen(text); ++cut) {
        parse_report report = {.lines = 0};
        reader_facts facts = {.known = false};
        sr_error error;
        reader_part front = {.path = path, .end = cut}, back = {.path = path, .begin = cut, .end = UINT64_MAX};
        all.count = 0;
        assert_int_equal(reader_read(raw_format_find("recbole"), &raw_default, &front, &sink, &report, &facts, &error), SR_OK);
        assert_int_equal(reader_read(raw_format_find("recbole"), &raw_default, &back, &sink, &report, &facts, &error), SR_OK);
        assert_int_equal(all.count, 2);
        assert_int_equal(report.dropped[DROPPED_HEADER], 2);
        assert_int_equal(report.lines, 4);
    }
}

static void data_that_is_taken_for_a_header_is_an_error(void **state)
{
    const reader_options timed = {.columns = "user=0,item=1,time=2", .header = true},
                         rated = {.columns = "user=0,item=1,rating=2", .header = true};
    assert_bad(*state, "csv", &timed, "a,1,1400000000\nb,2,1400000001\n", SR_ERROR_DATA,
               "raw:1: --header takes this line for names, and it has \"1400000000\" where that of the time belongs");
    assert_bad(*state, "csv", &timed, "a,1,2016-05-09\n", SR_ERROR_DATA,
               "it has \"2016-05-09\" where that of the time belongs");
    assert_bad(*state, "csv", &rated, "a,1,4.5\n", SR_ERROR_DATA, "it has \"4.5\" where that of the rating belongs");
    const raw_row rows[] = {{"a", "1", 5, 0}};
    assert_rows(*state, "csv", &timed, "0,1,2\na,1,5\n", rows, 1); /* numbers of columns for names */
}

static void a_column_that_is_missing_is_told_with_those_that_are_there(void **state)
{
    const reader_options json = {.columns = "user=uid,item=item,time=when"},
                         wide = {.columns = "user=0,item=5", .header = true},
                         wrong = {.columns = "user=user_id,item=item_id,time=ts", .header = true};
    assert_bad(*state, "csv", &wrong, "userid,\"item, id\",time\n", SR_ERROR_DATA,
               "raw:1: the header has no column \"user_id\", did you mean \"userid\"? There are userid, item, id, time");
    assert_bad(*state, "csv", &wrong, "user_id,item_id,timestamp\n", SR_ERROR_DATA,
               "no column \"ts\"; there are user_id, item_id, ");
    assert_bad(*state, "csv", &wrong, "user_id,items,ts\n", SR_ERROR_DATA,
               "no column \"item_id\", did you mean \"items\"? There are");
    assert_bad(*state, "csv", &wrong, "user_id,video,ts\n", SR_ERROR_DATA,
               "no column \"item_id\"; there are user_id, video, ts");
    assert_bad(*state, "csv", &wrong, "user_id\titem_id\tts\n", SR_ERROR_DATA,
               "there are user_id?item_id?ts: is another --delimiter needed?");
    assert_bad(*state, "csv", &wide, "a,b\n1,2\n", SR_ERROR_DATA, "found 2 columns, expected at least 6; there are a, b");
    assert_bad(*state, "recbole", &raw_default, "userid:token\titem_id:token\n", SR_ERROR_DATA,
               "the header has no column \"user_id\", did you mean \"userid\"? There are userid, item_id");
    assert_bad(*state, "movielens-csv", &raw_default, "a,b\n", SR_ERROR_DATA,
               "the header has no column \"userId\"; there are a, b");
    assert_bad(*state, "json", &json, "{\"uid\":1,\"itme\":2,\"t\":[3]}\n", SR_ERROR_DATA,
               "raw:1: the key \"item\" is missing, did you mean \"itme\"? There are uid, itme, t");
    assert_bad(*state, "json", &json, "{}\n", SR_ERROR_DATA, "the key \"uid\" is missing; there are none");
    char many[4096] = "user_id:token";
    for (int i = 0; i < 200; ++i)
        sprintf(many + strlen(many), "\tcolumn_%d:float", i);
    strcat(many, "\n");
    assert_bad(*state, "recbole", &raw_default, many, SR_ERROR_DATA, ", column_3, column_4");
    assert_bad(*state, "recbole", &raw_default, many, SR_ERROR_DATA, ", ...");
}

/* ---- time stamps ---- */

static void a_time_stamp_that_is_none_says_what_was_expected(void **state)
{
    const struct {
        time_unit unit;
        const char *times[3]; /* the last one does not fit */
        const char *says;
    } cases[] = {
        {TIME_ISO, {"11/14/2000"}, "the time stamp \"11/14/2000\" is not a date as 2016-07-25 or 2016-07-25T06:28:49Z"},
        {TIME_ISO, {"2000-11-14", "14.11.2000"}, "the time stamp \"14.11.2000\" is not a date as 2016-07-25"},
        {TIME_ISO, {"1000000000"}, "the time stamp \"1000000000\" is a number, not a date as 2016-07-25"},
        {TIME_SECONDS, {"11/14/2000"}, "the time stamp \"11/14/2000\" is not a number"},
        {TIME_SECONDS, {"5", "2000-11-14"}, "is a date, not a number as --time-unit says; dates are --time-unit iso"},
        {TIME_NUMBER, {"2000-11-14"}, "is a date, not a number as --time-unit says; dates are --time-unit iso"},
        {TIME_AUTO,
         {"11/14/2000"},
         "is neither a number nor an ISO 8601 date as 2016-07-25 or 2016-07-25T06:28:49Z; --time-format "
         "'%m/%d/%Y' reads it"},
        {TIME_AUTO, {"11/14/2000"}, "--time-unit none leaves them out"},
        {TIME_AUTO, {"5", "6", "11/14/2000"}, "the time stamp \"11/14/2000\" is not a number"},
        {TIME_AUTO, {"5", "6", "2000-11-14"}, "is a date, not a number as most of the first ones are"},
        {TIME_AUTO, {"2000-11-14", "2000-11-15", "5"}, "is a number, not a date as most of the first ones are"},
        {TIME_AUTO, {"2000-11-14", "11/14/2000"}, "is not a date as 2016-07-25 or 2016-07-25T06:28:49Z"},
        {TIME_AUTO, {"5", "1e30"}, "the time stamp \"1e30\" is too large for a 64-bit integer"},
        {TIME_AUTO, {"5", ""}, "the time stamp is empty; --na-values '' leaves out lines where it is missing"},
        {TIME_AUTO, {"5", "NULL"}, "the time stamp \"NULL\" is not a number; --na-values 'NULL' leaves out lines"},
        {TIME_AUTO, {"nan"}, "ISO 8601 date as 2016-07-25 or 2016-07-25T06:28:49Z; --time-format says"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        const reader_options options = {.columns = "user=0,item=1,time=2", .times = {.unit = cases[i].unit}};
        char text[256] = "";
        for (size_t k = 0; k < 3 && cases[i].times[k]; ++k)
            sprintf(text + strlen(text), "u,i,%s\n", cases[i].times[k]);
        assert_bad(*state, "csv", &options, text, SR_ERROR_DATA, cases[i].says);
    }
}

static void time_stamps_that_lose_decimals_are_counted(void **state)
{
    static raw_rows all;
    static parse_report report;
    reader_facts facts;
    sr_error error;
    const char *text = "u,a,5,1400000000.5\nu,b,5,1400000000.1234567891\nu,c,5,1400000000.1234567892\n";
    assert_int_equal(raw_read(*state, "amazon-csv", &raw_default, text, &all, &report, &facts, &error), SR_OK);
    assert_int_equal(all.count, 3);
    assert_int_equal(report.cut.count, 2);
    assert_int_equal(report.cut.line, 2);
    assert_int_equal(all.rows[1].record.time, 1400000000123456789);
    const reader_options asked = {.times = {.has_decimals = true, .rounds = true, .decimals = 1}};
    assert_int_equal(raw_read(*state, "amazon-csv", &asked, text, &all, &report, &facts, &error), SR_OK);
    assert_int_equal(report.cut.count, 0); /* this is what was wanted */
    assert_int_equal(all.rows[1].record.time, 14000000001);
    const reader_options too_many = {.times = {.has_decimals = true, .rounds = true, .decimals = 12}};
    assert_bad(*state, "amazon-csv", &too_many, "u,b,5,1400000000\n", SR_ERROR_DATA,
               "too large for a 64-bit integer with the decimals of the others: --time-decimals says how many to keep");
}

static void time_stamps_in_json_keep_all_their_digits(void **state)
{
    const reader_options options = {.columns = "user=u,item=i,time=t"};
    const raw_row rows[] = {{"1", "a", 1400000000123456789, 0}, {"1", "b", 1400000000123456788, 0}};
    assert_rows(
        *state, "json", &options,
        "{\"u\":1,\"i\":\"a\",\"t\":1400000000123456789}\n{\"x\":{\"t\":1},\"y\":\"\\\"t\\\":5\",\"t\" : 1400000000123456788 "
        ",\"u\":1,\"i\":\"b\"}\n",
        rows, 2);
    assert_rows(*state, "json", &options,
                "{\"u\":1,\"i\":\"a\",\"t\":1400000000.123456789}\n{\"t\":1400000000.123456788,\"u\":1,\"i\":\"b\"}\n", rows,
                2);
    assert_rows(*state, "json", &options, "{\"u\":1,\"i\":\"a\",\"\\u0074\":5}\n{\"u\":1,\"i\":\"b\",\"t\":\"6\"}\n",
                (raw_row[]){{"1", "a", 5, 0}, {"1", "b", 6, 0}}, 2); /* not written as it was asked for */
}

/* ---- what is missing ---- */

static void what_is_missing_says_how_to_leave_it_out(void **state)
{
    const reader_options all = {.columns = "user=0,item=1,time=2,rating=3"}, json = {.columns = "user=u,item=i,time=t"};
    assert_bad(*state, "csv", &all, ",1,2,3\n", SR_ERROR_DATA, "the user identifier is empty; --na-values '' leaves out lines");
    assert_bad(*state, "csv", &all, "a,,2,3\n", SR_ERROR_DATA, "the item identifier is empty; --na-values '' leaves out lines");
    assert_bad(*state, "csv", &all, "a,1,2,\n", SR_ERROR_DATA,
               "the rating \"\" is not a number; --na-values '' leaves out lines");
    assert_bad(*state, "csv", &all, "a,1,2,\\N\n", SR_ERROR_DATA,
               "the rating \"\\N\" is not a number; --na-values '\\N' leaves out");
    const reader_options quoted = {.columns = "user=0,item=1,rating=2", .delimiter = ";"};
    assert_bad(*state, "csv", &quoted, "a;1;3,5\n", SR_ERROR_DATA,
               "the rating \"3,5\" is not a number: decimals stand behind a point, not behind a comma");
    assert_bad(*state, "json", &json, "{\"u\":null,\"i\":1,\"t\":2}\n", SR_ERROR_DATA,
               "is null; --na-values null leaves out lines");
    static raw_rows rows;
    static parse_report report;
    reader_facts facts;
    sr_error error;
    reader_options without = all, without_keys = json;
    without.na_values = without_keys.na_values = "";
    assert_int_equal(
        raw_read(*state, "csv", &without, ",1,2,3\na,,2,3\na,1,,3\na,1,2,\na,1,2,3\n", &rows, &report, &facts, &error), SR_OK);
    assert_int_equal(rows.count, 1);
    assert_int_equal(report.dropped[DROPPED_NA], 4);
    assert_int_equal(
        raw_read(*state, "json", &without_keys,
                 "{\"i\":1,\"t\":2}\n{\"u\":1,\"t\":2}\n{\"u\":1,\"i\":\"\",\"t\":2}\n{\"u\":1,\"i\":1}\n{\"u\":1,\"i\":1,"
                 "\"t\":2}\n",
                 &rows, &report, &facts, &error),
        SR_OK);
    assert_int_equal(rows.count, 1);
    assert_int_equal(report.dropped[DROPPED_NA], 4);
}

static void identifiers_with_byte_order_marks_are_counted(void **state)
{
    static raw_rows all;
    static parse_report report;
    reader_facts facts;
    sr_error error;
    assert_int_equal(raw_read(*state, "pairs", &raw_default,
                              "\xEF\xBB\xBF"
                              "a 1\nb 2\n\xEF\xBB\xBF"
                              "a 3\n",
                              &all, &report, &facts, &error),
                     SR_OK);
    assert_int_equal(all.count, 3);
    assert_int_equal(report.marked.count, 1);
    assert_int_equal(report.marked.line, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_that_stands_again_is_no_interaction),
        cmocka_unit_test(a_header_that_differs_in_what_is_not_read_is_one),
        cmocka_unit_test(what_only_resembles_the_header_is_data),
        cmocka_unit_test(a_header_in_another_order_is_an_error),
        cmocka_unit_test(a_part_of_a_file_knows_its_header),
        cmocka_unit_test(data_that_is_taken_for_a_header_is_an_error),
        cmocka_unit_test(a_column_that_is_missing_is_told_with_those_that_are_there),
        cmocka_unit_test(a_time_stamp_that_is_none_says_what_was_expected),
        cmocka_unit_test(time_stamps_that_lose_decimals_are_counted),
        cmocka_unit_test(time_stamps_in_json_keep_all_their_digits),
        cmocka_unit_test(what_is_missing_says_how_to_leave_it_out),
        cmocka_unit_test(identifiers_with_byte_order_marks_are_counted),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
