/* Every raw format: what is read from good files, and what is said about bad lines. */
#include "base/names.h"
#include "files.h"
#include "readers/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

typedef struct {
    const char *user, *item;
    int64_t time;
    float rating;
} row;

/* What a reader has handed on. */
typedef struct {
    size_t count;
    struct {
        char user[64], item[64];
        reader_record record;
    } rows[8];
} collected;

static sr_status collect(void *context, const reader_record *record, sr_error *error)
{
    collected *all = context;
    (void)error;
    assert_true(all->count < sizeof all->rows / sizeof *all->rows);
    snprintf(all->rows[all->count].user, sizeof all->rows->user, "%.*s", (int)record->user_length, record->user);
    snprintf(all->rows[all->count].item, sizeof all->rows->item, "%.*s", (int)record->item_length, record->item);
    all->rows[all->count++].record = *record;
    return SR_OK;
}

static sr_status read_text(const char *directory, const char *format, const reader_options *options, const char *text,
                           bool strict, collected *all, parse_report *report, sr_error *error)
{
    char path[FILES_PATH_SIZE];
    files_path(path, directory, "raw");
    files_write_text(path, text);
    const reader_part part = {.path = path, .end = UINT64_MAX};
    const reader_sink sink = {collect, all};
    reader_facts facts;
    memset(report, 0, sizeof *report);
    all->count = 0;
    return reader_read(reader_find(format), options, &part, strict, &sink, report, &facts, error);
}

static void assert_rows(const char *directory, const char *format, const reader_options *options, const char *text,
                        const row *rows, size_t count)
{
    collected all;
    parse_report report;
    sr_error error = {.status = SR_OK};
    if (read_text(directory, format, options, text, true, &all, &report, &error) != SR_OK)
        fail_msg("%s", error.message);
    assert_int_equal(all.count, count);
    assert_int_equal(report.records, count);
    for (size_t i = 0; i < count; ++i) {
        assert_string_equal(all.rows[i].user, rows[i].user);
        assert_string_equal(all.rows[i].item, rows[i].item);
        assert_int_equal(all.rows[i].record.time, rows[i].time);
        assert_float_equal(all.rows[i].record.rating, rows[i].rating, 0);
    }
}

static void assert_bad(const char *directory, const char *format, const reader_options *options, const char *text,
                       sr_status status, const char *says)
{
    collected all;
    parse_report report;
    sr_error error = {.status = SR_OK};
    assert_int_equal(read_text(directory, format, options, text, true, &all, &report, &error), status);
    if (!strstr(error.message, says))
        fail_msg("\"%s\" does not say \"%s\"", error.message, says);
}

static const reader_options none = {NULL, NULL, false};

static void recbole_takes_columns_by_name_in_any_order(void **state)
{
    const row rows[] = {{"u1", "0042", 978300760, 3.5F}, {"-u2", "42", 1390000000, 5}};
    assert_rows(*state, "recbole", &none,
                "timestamp:float\tuser_id:token\tother:token_seq\titem_id:token\trating:float\n"
                "978300760.0\tu1\ta b c\t0042\t3.5\n"
                "1.39e+09\t-u2\t\t42\t5\n",
                rows, 2);
    const row untimed[] = {{"1", "2", 0, 0}};
    assert_rows(*state, "recbole", &none, "user_id:token\titem_id:token\n1\t2\n", untimed, 1);
}

static void recbole_says_what_is_wrong(void **state)
{
    const char *header = "user_id:token\titem_id:token\ttimestamp:float\n";
    char text[256];
    snprintf(text, sizeof text, "%s1\t2\t3\n1\t2\n", header);
    assert_bad(*state, "recbole", &none, text, SR_ERROR_DATA, "raw:3: found 2 columns, the header has 3\n  1\t2");
    snprintf(text, sizeof text, "%s1\t2\t0.000012\n", header);
    assert_bad(*state, "recbole", &none, text, SR_ERROR_DATA, "raw:2: the time stamp \"0.000012\" is not a whole number");
    snprintf(text, sizeof text, "%s1\t2\tnan\n", header);
    assert_bad(*state, "recbole", &none, text, SR_ERROR_DATA, "\"nan\" is not a whole number");
    assert_bad(*state, "recbole", &none, "user_id:token\tvideo:token\n1\t2\n", SR_ERROR_DATA,
               "raw:1: the header has no column item_id");
    assert_bad(*state, "recbole", &none, "", SR_ERROR_DATA, "expected a header line");
}

static void movielens_times_are_exact(void **state)
{
    const row rows[] = {
        {"196", "242", 881250949, 3}, {"1", "2", 999999999999999999, 1}, {"1", "2", INT64_MAX, 0.5F}, {"1", "3", -5, 4}};
    assert_rows(*state, "movielens-100k", &none,
                "196\t242\t3\t881250949\r\n1\t2\t1\t999999999999999999\r\n1\t2\t0.5\t9223372036854775807\r\n1\t3\t4\t-5", rows,
                4);
    assert_bad(*state, "movielens-100k", &none, "196\t242\t3\t9223372036854775808\n", SR_ERROR_DATA, "raw:1: the time stamp");
    assert_bad(*state, "movielens-100k", &none, "196\t242\tx\t5\n", SR_ERROR_DATA, "raw:1: the rating \"x\" is not a number");
    assert_bad(*state, "movielens-100k", &none, "196\t242\t5\n", SR_ERROR_DATA,
               "raw:1: found 3 tab-separated columns, expected 4");
    assert_bad(*state, "movielens-100k", &none, "196\t\t5\t6\n", SR_ERROR_DATA, "raw:1: the item identifier is empty");
}

static void sequences_and_pairs_keep_the_order_of_the_input(void **state)
{
    const row sequences[] = {{"b", "2", 0, 0}, {"b", "1", 0, 0}, {"b", "2", 0, 0}, {"a", "3", 0, 0}};
    assert_rows(*state, "sequences", &none, "b 2 1  2 \na\t3", sequences, 4);
    const row pairs[] = {{"b", "2", 0, 0}, {"a", "3", 0, 0}, {"b", "1", 0, 0}};
    assert_rows(*state, "pairs", &none, "b 2\na 3\nb 1\n", pairs, 3);
}

static void sequences_and_pairs_say_what_is_wrong(void **state)
{
    assert_bad(*state, "sequences", &none, "a 1\nb\n", SR_ERROR_DATA, "raw:2: found a user without any item\n  b");
    assert_bad(*state, "sequences", &none, "a 1\n\nb 2\n", SR_ERROR_DATA, "raw:2: the line is empty");
    assert_bad(*state, "pairs", &none, "a 1\nb 2 3\n", SR_ERROR_DATA, "raw:2: found more than two words");
    assert_bad(*state, "pairs", &none, "a 1\nb\n", SR_ERROR_DATA, "raw:2: found a user without any item");
}

static void csv_takes_columns_by_number_or_name(void **state)
{
    const row rows[] = {{"AH2", "B00", 1005177600, 5}, {"A0", "B01", 7, 0.5F}};
    const reader_options by_number = {"user=1,item=0,rating=2,time=3", NULL, false};
    assert_rows(*state, "csv", &by_number, "B00,AH2,5.0,1005177600\nB01,A0,.5,7\n", rows, 2);
    const reader_options by_name = {"user=who,item=what,time=when,rating=stars", "::", true};
    assert_rows(*state, "csv", &by_name,
                "when::stars::who::what::more\r\n1005177600::5::AH2::B00::\r\n7::0.5::A0::B01::x:y\r\n", rows, 2);
    const reader_options with_tab = {"user=0,item=1", "\t", false};
    const row plain[] = {{"a,b", "c", 0, 0}};
    assert_rows(*state, "csv", &with_tab, "a,b\tc\td\n", plain, 1);
}

static void csv_takes_quotes_as_rfc_4180_has_them(void **state)
{
    const reader_options options = {"user=0,item=1,time=3", NULL, true};
    const row rows[] = {{"u,1", "say \"hi\"", 5, 0}, {"two\r\nlines\n", "i", 6, 0}, {"it\"em", "i", 8, 0}};
    const char *text = "user,item,\"title, long\",time\r\n"
                       "\"u,1\",\"say \"\"hi\"\"\",\"\",5\r\n"
                       "\"two\r\nlines\n\",i,\"a \"\"b\n\"\"\",\"6\"\r\n";
    assert_rows(*state, "csv", &options, text, rows, 2);
    assert_rows(*state, "csv", &options, "user,item,title,time\nit\"em,i,x,8\n", rows + 2, 1);
    assert_bad(*state, "csv", &options, "user,item,title,time\na,b,c,1\na,\"b,c,1\nd,e,f,2\n", SR_ERROR_DATA,
               "raw:3: a quoted field is not closed");
    assert_bad(*state, "csv", &options, "user,item,title,time\n\"a\"x,b,c,1\n", SR_ERROR_DATA,
               "raw:2: a quoted field is followed by");
}

static void csv_says_what_is_wrong(void **state)
{
    const reader_options unnamed = {"user=userid,item=item", NULL, true};
    assert_bad(*state, "csv", &unnamed, "userId,item\n1,2\n", SR_ERROR_DATA, "no column \"userid\", did you mean \"userId\"?");
    const reader_options headless = {"user=userId,item=1", NULL, false};
    assert_bad(*state, "csv", &headless, "1,2\n", SR_ERROR_USAGE, "needs --header");
    const reader_options unknown_role = {"usr=0,item=1", NULL, false};
    assert_bad(*state, "csv", &unknown_role, "1,2\n", SR_ERROR_USAGE, "allowed are user=, item=, time= and rating=");
    const reader_options twice = {"user=0,item=1,user=2", NULL, false};
    assert_bad(*state, "csv", &twice, "1,2,3\n", SR_ERROR_USAGE, "user= stands there twice");
    const reader_options no_item = {"user=0", NULL, false};
    assert_bad(*state, "csv", &no_item, "1,2,3\n", SR_ERROR_USAGE, "user= and item= are needed");
    const reader_options far = {"user=0,item=4", NULL, false};
    assert_bad(*state, "csv", &far, "1,2,3\n", SR_ERROR_DATA, "raw:1: found 3 columns, expected at least 5");
    const reader_options good = {"user=0,item=1", NULL, false};
    assert_bad(*state, "csv", &good, "1,2,3\n1,2\n", SR_ERROR_DATA, "raw:2: found 2 columns, expected 3");
}

static void identifiers_are_bytes_of_limited_length(void **state)
{
    const row rows[] = {{"007", "\xE9t\xE9", 0, 0}, {"7", "\xC3\xA9t\xC3\xA9", 0, 0}};
    assert_rows(*state, "pairs", &none, "007 \xE9t\xE9\n7 \xC3\xA9t\xC3\xA9\n", rows, 2);
    char text[LINES_IDENTIFIER_MAXIMUM + 16];
    memset(text, 'x', sizeof text);
    memcpy(text + LINES_IDENTIFIER_MAXIMUM + 1, " 1\n", 4);
    assert_bad(*state, "pairs", &none, text, SR_ERROR_DATA,
               "raw:1: the user identifier has 1025 bytes, allowed are at most 1024");
}

static void bad_lines_are_counted_by_reason_with_the_first_of_them(void **state)
{
    const reader_options options = {"user=0,item=1,time=3", NULL, true};
    const char *text = "user,item,title,time\n"
                       "a,1,x,5\n"
                       "b,2,\"never closed,5\n"
                       "c,3,x,soon\n"
                       "d,4,x\n"
                       "e,,x,5\n"
                       "f,6,x,\n"
                       "g,7,x,?\n"
                       "h,8,x,!\n"
                       "i,9,\"x\ny\",6\n";
    static collected all;
    static parse_report report;
    sr_error error;
    if (read_text(*state, "csv", &options, text, false, &all, &report, &error) != SR_OK)
        fail_msg("%s", error.message);
    assert_int_equal(all.count, 2);
    assert_string_equal(all.rows[1].user, "i");
    assert_int_equal(all.rows[1].record.line, 10);
    assert_int_equal(report.lines, 9);
    assert_int_equal(report.records, 2);
    assert_int_equal(parse_report_dropped(&report), 7);
    assert_int_equal(report.dropped[DROPPED_QUOTES], 1);
    assert_int_equal(report.examples[DROPPED_QUOTES][0].line, 3);
    assert_int_equal(report.dropped[DROPPED_TIME], 4);
    assert_int_equal(report.examples[DROPPED_TIME][0].line, 4);
    assert_string_equal(report.examples[DROPPED_TIME][0].found, "the time stamp \"soon\" is not a whole number\n  c,3,x,soon");
    assert_int_equal(report.examples[DROPPED_TIME][2].line, 8);
    assert_int_equal(report.dropped[DROPPED_COLUMNS], 1);
    assert_int_equal(report.dropped[DROPPED_IDENTIFIER], 1);
    static parse_report sum;
    parse_report_merge(&sum, &report, 0, 0);
    parse_report_merge(&sum, &report, 0, 11);
    assert_int_equal(sum.lines, 18);
    assert_int_equal(sum.dropped[DROPPED_QUOTES], 2);
    assert_int_equal(sum.examples[DROPPED_QUOTES][1].line, 14);
    assert_int_equal(sum.examples[DROPPED_TIME][2].line, 8);
}

static void a_part_of_a_file_knows_its_columns(void **state)
{
    char path[FILES_PATH_SIZE];
    const char *text = "item_id:token\tuser_id:token\n1\ta\n2\tb\n3\tc\n";
    files_path(path, *state, "raw");
    files_write_text(path, text);
    uint64_t size;
    sr_error error;
    assert_int_equal(reader_divisible_size(reader_find("recbole"), path, &size, &error), SR_OK);
    assert_int_equal(size, strlen(text));
    assert_int_equal(reader_divisible_size(reader_find("csv"), path, &size, &error), SR_OK);
    assert_int_equal(size, 0);
    for (uint64_t cut = 0; cut < strlen(text); ++cut) {
        collected all = {.count = 0};
        parse_report report = {.lines = 0};
        reader_facts first, second;
        const reader_sink sink = {collect, &all};
        const reader_part front = {path, 0, 0, cut}, back = {path, 0, cut, UINT64_MAX};
        if (cut > 0)
            assert_int_equal(reader_read(reader_find("recbole"), &none, &front, true, &sink, &report, &first, &error), SR_OK);
        assert_int_equal(reader_read(reader_find("recbole"), &none, &back, true, &sink, &report, &second, &error), SR_OK);
        assert_int_equal(all.count, 3);
        assert_int_equal(report.lines, 3);
        assert_int_equal((cut > 0 ? first.lines : 0) + second.lines, 4);
        assert_string_equal(all.rows[0].user, "a");
        assert_string_equal(all.rows[2].item, "3");
    }
}

static void many_names_keep_their_numbers(void **state)
{
    (void)state;
    enum { COUNT = 200000 };
    name_table table;
    sr_error error;
    assert_int_equal(names_create(&table, &error), SR_OK);
    char name[32];
    uint32_t number;
    for (int round = 0; round < 2; ++round)
        for (uint32_t i = 0; i < COUNT; ++i) {
            const int length = snprintf(name, sizeof name, "name-%u", i);
            assert_int_equal(names_number(&table, name, (size_t)length, &number, &error), SR_OK);
            assert_int_equal(number, i);
        }
    assert_int_equal(table.count, COUNT);
    assert_string_equal(table.texts[COUNT - 1], "name-199999");
    assert_int_equal(names_number(&table, "name-19", 6, &number, &error), SR_OK); /* a beginning of other names */
    assert_int_equal(number, 1);
    names_free(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recbole_takes_columns_by_name_in_any_order),
        cmocka_unit_test(recbole_says_what_is_wrong),
        cmocka_unit_test(movielens_times_are_exact),
        cmocka_unit_test(sequences_and_pairs_keep_the_order_of_the_input),
        cmocka_unit_test(sequences_and_pairs_say_what_is_wrong),
        cmocka_unit_test(csv_takes_columns_by_number_or_name),
        cmocka_unit_test(csv_takes_quotes_as_rfc_4180_has_them),
        cmocka_unit_test(csv_says_what_is_wrong),
        cmocka_unit_test(identifiers_are_bytes_of_limited_length),
        cmocka_unit_test(bad_lines_are_counted_by_reason_with_the_first_of_them),
        cmocka_unit_test(a_part_of_a_file_knows_its_columns),
        cmocka_unit_test(many_names_keep_their_numbers),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
