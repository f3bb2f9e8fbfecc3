/* Every raw format: what is read from good files, and what is said about bad lines. */
#include "base/names.h"
#include "files.h"
#include "raw_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void recbole_takes_columns_by_name_in_any_order(void **state)
{
    const raw_row rows[] = {{"u1", "0042", 978300760, 3.5F}, {"-u2", "42", 1390000000, 5}};
    assert_rows(*state, "recbole", &raw_default,
                "timestamp:float\tuser_id:token\tother:token_seq\titem_id:token\trating:float\n"
                "978300760.0\tu1\ta b c\t0042\t3.5\n"
                "1.39e+09\t-u2\t\t42\t5\n",
                rows, 2);
    const raw_row untimed[] = {{"1", "2", 0, 0}};
    assert_rows(*state, "recbole", &raw_default, "user_id:token\titem_id:token\n1\t2\n", untimed, 1);
}

static void recbole_says_what_is_wrong(void **state)
{
    const char *header = "user_id:token\titem_id:token\ttimestamp:float\n";
    char text[256];
    snprintf(text, sizeof text, "%s1\t2\t3\n1\t2\n", header);
    assert_bad(*state, "recbole", &raw_default, text, SR_ERROR_DATA,
               "raw:3: found 2 columns, expected 3 as the header has\n  1\t2");
    snprintf(text, sizeof text, "%s1\t2\tnan\n", header);
    assert_bad(*state, "recbole", &raw_default, text, SR_ERROR_DATA, "raw:2: the time stamp \"nan\" is neither a number nor");
    assert_bad(*state, "recbole", &raw_default, "user_id:token\tvideo:token\n1\t2\n", SR_ERROR_DATA,
               "raw:1: the header has no column \"item_id\"; there are user_id, video");
}

static void movielens_times_are_exact(void **state)
{
    const raw_row rows[] = {
        {"196", "242", 881250949, 3}, {"1", "2", 999999999999999999, 1}, {"1", "2", INT64_MAX, 0.5F}, {"1", "3", -5, 4}};
    assert_rows(*state, "movielens-100k", &raw_default,
                "196\t242\t3\t881250949\r\n1\t2\t1\t999999999999999999\r\n1\t2\t0.5\t9223372036854775807\r\n1\t3\t4\t-5", rows,
                4);
    assert_bad(*state, "movielens-100k", &raw_default, "196\t242\t3\t9223372036854775808\n", SR_ERROR_DATA,
               "raw:1: the time stamp");
    assert_bad(*state, "movielens-100k", &raw_default, "196\t242\tx\t5\n", SR_ERROR_DATA,
               "raw:1: the rating \"x\" is not a number");
    assert_bad(*state, "movielens-100k", &raw_default, "196\t242\t5\n", SR_ERROR_DATA,
               "raw:1: found 3 columns, expected 4, tab-separated: user, item, rating, time stamp");
    assert_bad(*state, "movielens-100k", &raw_default, "196\t\t5\t6\n", SR_ERROR_DATA, "raw:1: the item identifier is empty");
}

static void movielens_formats_differ_in_delimiter_and_header(void **state)
{
    const raw_row rows[] = {{"1", "1193", 978300760, 5}, {"0", "6:1", 978302109, 3.5F}};
    assert_rows(*state, "movielens-1m", &raw_default, "1::1193::5::978300760\r\n0::6:1::3.5::978302109\r\n", rows, 2);
    assert_rows(*state, "movielens-csv", &raw_default,
                "\xEF\xBB\xBFuserId,movieId,rating,timestamp\r\n1,1193,5.0,978300760\r\n\"0\",6:1,3.5,978302109", rows, 2);
    assert_rows(*state, "movielens-csv", &raw_default, "timestamp,tag,rating,movieId,userId\n978300760,\"x,y\",5,1193,1\n",
                rows, 1);
    assert_bad(*state, "movielens-1m", &raw_default, "1:1193:5:978300760\n", SR_ERROR_DATA,
               "raw:1: found 1 columns, expected 4, separated by \"::\": user, item, rating, time stamp");
    assert_bad(
        *state, "movielens-csv", &raw_default, "userId,movie,rating,timestamp\n1,2,3,4\n", SR_ERROR_DATA,
        "raw:1: the header has no column \"movieId\", did you mean \"movie\"? There are userId, movie, rating, timestamp");
    assert_bad(*state, "movielens-csv", &raw_default, "userId,movieId,rating,timestamp\n1,\"2\n3\",3,4\n", SR_ERROR_DATA,
               "raw:2: a quoted field is not closed");
}

static void amazon_tables_have_the_user_or_the_item_first(void **state)
{
    const raw_row rows[] = {{"AH2IFH762VY5U", "B00005N7P0", 1005177600, 5}};
    assert_rows(*state, "amazon-csv", &raw_default, "AH2IFH762VY5U,B00005N7P0,5.0,1005177600\n", rows, 1);
    assert_rows(*state, "amazon-csv-2018", &raw_default, "B00005N7P0,AH2IFH762VY5U,5.0,1005177600\n", rows, 1);
    assert_bad(*state, "amazon-csv", &raw_default, "AH2IFH762VY5U,B00005N7P0,5.0\n", SR_ERROR_DATA,
               "raw:1: found 3 columns, expected 4: user, item, rating, time stamp");
}

static void json_lines_are_read_in_any_order_of_keys(void **state)
{
    const raw_row amazon[] = {{"A3EBHHCZO6V2A4", "5555991584", 1000684800, 5}, {"\xC3\xA9\"\\", "0042", -5, 2.5F}};
    assert_rows(
        *state, "amazon-json", &raw_default,
        "{\"reviewerID\": \"A3EBHHCZO6V2A4\", \"asin\": \"5555991584\", \"helpful\": [3, 3], \"reviewText\": \"a \\\"b\\\" "
        "}, {\\u00e9 \\ud83d\\ude00\", \"overall\": 5.0, \"unixReviewTime\": 1000684800}\r\n"
        "  {\"style\": {\"asin\": \"no\", \"Size:\": null}, \"unixReviewTime\": -5, \"overall\": \"2.5\", \"asin\": \"0042\", "
        "\"reviewerID\":\"\\u00e9\\\"\\\\\"}  ",
        amazon, 2);
    const raw_row yelp[] = {{"-Or44IdY51", "_b", 1469428129, 4}};
    assert_rows(
        *state, "yelp-json", &raw_default,
        "{\"review_id\":\"x\",\"user_id\":\"-Or44IdY51\",\"business_id\":\"_b\",\"stars\":4,\"text\":\"\xC3\xA9\",\"date\":"
        "\"2016-07-25 06:28:49\"}\n",
        yelp, 1);
    const reader_options options = {.columns = "user=u,item=i,time=t"};
    const raw_row numbers[] = {{"9007199254740992", "-7", 15, 0}, {"0.1", "12", 20, 0}};
    assert_rows(*state, "json", &options, "{\"u\":9007199254740992,\"i\":-7,\"t\":1.5}\n{\"u\":0.1,\"i\":1.2e1,\"t\":\"2\"}\n",
                numbers, 2);
}

static void json_says_what_is_wrong(void **state)
{
    const reader_options options = {.columns = "user=u,item=i"};
    const struct {
        const char *line, *says;
    } cases[] = {
        {"", "raw:1: the line is empty"},
        {"{\"u\":\"a\",\"i\":\"b\"", "raw:1: the line is not JSON"},
        {"{\"u\":\"a\",\"i\":\"b\"} x", "raw:1: the line is not JSON: there is something wrong near column 19"},
        {"[{\"u\":\"a\",\"i\":\"b\"}]", "the line is JSON, but not an object"},
        {"{'u':'a','i':'b'}", "--format python reads it"},
        {"{\"u\":\"a\"}", "the key \"i\" is missing"},
        {"{\"u\":\"a\",\"I\":\"b\"}", "the key \"i\" is missing"},
        {"{\"u\":null,\"i\":\"b\"}", "the key \"u\" is null"},
        {"{\"u\":[\"a\"],\"i\":\"b\"}", "the key \"u\" is neither text nor a number"},
        {"{\"u\":9007199254740993e3,\"i\":\"b\"}", "is a number beyond 2^53"},
        {"{\"u\":1e999,\"i\":\"b\"}", "is a number beyond 2^53"},
        {"{\"u\":\"a\\u0000b\",\"i\":\"b\"}", "escaped null character"},
        {"{\"u\":\"\",\"i\":\"b\"}", "the user identifier is empty"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        char text[256];
        snprintf(text, sizeof text, "%s\n", cases[i].line);
        assert_bad(*state, "json", &options, text, SR_ERROR_DATA, cases[i].says);
    }
}

static void missing_values_are_dropped_and_are_no_bad_lines(void **state)
{
    static raw_rows all;
    static parse_report report;
    reader_facts facts;
    sr_error error;
    const char *paths[] = {"raw"};
    const reader_options table = {.columns = "user=0,item=1,time=2", .na_values = "NA,,null", .strict = true};
    assert_int_equal(raw_read(*state, "csv", &table, "NA,1,5,x\na,,5,x\na,2,null,x\na,3,6,NA\n", &all, &report, &facts, &error),
                     SR_OK);
    assert_int_equal(all.count, 1);
    assert_int_equal(report.dropped[DROPPED_NA], 3);
    assert_int_equal(report.examples[DROPPED_NA][1].line, 2);
    assert_int_equal(parse_report_bad(&report), 0);
    assert_int_equal(parse_report_judge(&report, paths, &error), SR_OK);
    const reader_options json = {.columns = "user=u,item=i", .na_values = "null"};
    assert_int_equal(raw_read(*state, "json", &json, "{\"u\":null,\"i\":1}\n{\"u\":\"null\",\"i\":1}\n{\"u\":1,\"i\":1}\n",
                              &all, &report, &facts, &error),
                     SR_OK);
    assert_int_equal(report.dropped[DROPPED_NA], 2);
    assert_int_equal(all.count, 1);
}

static void more_than_one_bad_line_in_a_hundred_is_an_error(void **state)
{
    static parse_report report;
    const char *paths[] = {"one.csv", "two.csv"};
    sr_error error;
    (void)state;
    report.lines = 300;
    report.dropped[DROPPED_TIME] = 2;
    report.dropped[DROPPED_COLUMNS] = 1;
    report.dropped[DROPPED_NA] = 50;
    report.examples[DROPPED_TIME][0] = (dropped_line){.line = 17, .file = 1, .found = "the time stamp \"soon\""};
    assert_int_equal(parse_report_judge(&report, paths, &error), SR_OK);
    report.dropped[DROPPED_COLUMNS] = 2;
    assert_int_equal(parse_report_judge(&report, paths, &error), SR_ERROR_DATA);
    assert_non_null(strstr(error.message, "4 of 300 lines do not fit (1.3 %), at most 1 % is allowed:"));
    assert_non_null(strstr(error.message, "\n2: time stamp not understood, as two.csv:17: the time stamp \"soon\""));
}

static void sequences_and_pairs_keep_the_order_of_the_input(void **state)
{
    const raw_row sequences[] = {{"b", "2", 0, 0}, {"b", "1", 0, 0}, {"b", "2", 0, 0}, {"a", "3", 0, 0}};
    assert_rows(*state, "sequences", &raw_default, "b 2 1  2 \na\t3", sequences, 4);
    const raw_row pairs[] = {{"b", "2", 0, 0}, {"a", "3", 0, 0}, {"b", "1", 0, 0}};
    assert_rows(*state, "pairs", &raw_default, "b 2\na 3\nb 1\n", pairs, 3);
}

static void sequences_and_pairs_say_what_is_wrong(void **state)
{
    assert_bad(*state, "sequences", &raw_default, "a 1\nb\n", SR_ERROR_DATA, "raw:2: found a user without any item\n  b");
    assert_bad(*state, "sequences", &raw_default, "a 1\n\nb 2\n", SR_ERROR_DATA, "raw:2: the line is empty");
    assert_bad(*state, "pairs", &raw_default, "a 1\nb 2 3\n", SR_ERROR_DATA, "raw:2: found more than two words");
    assert_bad(*state, "pairs", &raw_default, "a 1\nb\n", SR_ERROR_DATA, "raw:2: found a user without any item");
}

static void csv_takes_columns_by_number_or_name(void **state)
{
    const raw_row rows[] = {{"AH2", "B00", 1005177600, 5}, {"A0", "B01", 7, 0.5F}};
    const reader_options by_number = {.columns = "user=1,item=0,rating=2,time=3"};
    assert_rows(*state, "csv", &by_number, "B00,AH2,5.0,1005177600\nB01,A0,.5,7\n", rows, 2);
    const reader_options by_name = {.columns = "user=who,item=what,time=when,rating=stars", .delimiter = "::", .header = true};
    assert_rows(*state, "csv", &by_name,
                "when::stars::who::what::more\r\n1005177600::5::AH2::B00::\r\n7::0.5::A0::B01::x:y\r\n", rows, 2);
    const reader_options with_tab = {.columns = "user=0,item=1", .delimiter = "\t"};
    const raw_row plain[] = {{"a,b", "c", 0, 0}};
    assert_rows(*state, "csv", &with_tab, "a,b\tc\td\n", plain, 1);
}

static void csv_takes_quotes_as_rfc_4180_has_them(void **state)
{
    const reader_options options = {.columns = "user=0,item=1,time=3", .header = true};
    const raw_row rows[] = {{"u,1", "say \"hi\"", 5, 0}, {"two\r\nlines\n", "i", 6, 0}, {"it\"em", "i", 8, 0}};
    const char *text = "user,item,\"title, long\",time\r\n"
                       "\"u,1\",\"say \"\"hi\"\"\",\"\",5\r\n"
                       "\"two\r\nlines\n\",i,\"a \"\"b\n\"\"\",\"6\"\r\n";
    assert_rows(*state, "csv", &options, text, rows, 2);
    assert_rows(*state, "csv", &options, "user,item,title,time\nit\"em,i,x,8\n", rows + 2, 1);
    assert_bad(*state, "csv", &options, "user,item,title,time\na,b,c,1\na,\"b,c,1\nd,e,f,2\n", SR_ERROR_DATA,
               "raw:3: a quoted field is not closed; --no-quotes takes quotes for characters like any other\n  a,\"b,c,1");
    assert_bad(*state, "csv", &options, "user,item,title,time\n\"a\"x,b,c,1\n", SR_ERROR_DATA,
               "raw:2: a quoted field is followed by");
}

static void csv_says_what_is_wrong(void **state)
{
    const reader_options unnamed = {.columns = "user=userid,item=item", .header = true};
    assert_bad(*state, "csv", &unnamed, "userId,item\n1,2\n", SR_ERROR_DATA,
               "no column \"userid\", did you mean \"userId\"? There are userId, item");
    const reader_options headless = {.columns = "user=userId,item=1"};
    assert_bad(*state, "csv", &headless, "1,2\n", SR_ERROR_USAGE, "needs --header");
    const reader_options unknown_role = {.columns = "usr=0,item=1"};
    assert_bad(*state, "csv", &unknown_role, "1,2\n", SR_ERROR_USAGE, "allowed are user=, item=, time= and rating=");
    const reader_options twice = {.columns = "user=0,item=1,user=2"};
    assert_bad(*state, "csv", &twice, "1,2,3\n", SR_ERROR_USAGE, "user= stands there twice");
    const reader_options same = {.columns = "user=0,item=1,time=0"};
    assert_bad(*state, "csv", &same, "1,2,3\n", SR_ERROR_USAGE, "user= and time= are the same column");
    const reader_options no_item = {.columns = "user=0"};
    assert_bad(*state, "csv", &no_item, "1,2,3\n", SR_ERROR_USAGE, "user= and item= are needed");
    const reader_options far = {.columns = "user=0,item=4"};
    assert_bad(*state, "csv", &far, "1,2,3\n", SR_ERROR_DATA, "raw:1: found 3 columns, expected at least 5");
    const reader_options good = {.columns = "user=0,item=1"};
    assert_bad(*state, "csv", &good, "1,2,3\n1,2\n", SR_ERROR_DATA, "raw:2: found 2 columns, expected 3");
}

static void identifiers_are_bytes_of_limited_length(void **state)
{
    const raw_row rows[] = {{"007", "\xE9t\xE9", 0, 0}, {"7", "\xC3\xA9t\xC3\xA9", 0, 0}};
    assert_rows(*state, "pairs", &raw_default, "007 \xE9t\xE9\n7 \xC3\xA9t\xC3\xA9\n", rows, 2);
    char text[LINES_IDENTIFIER_MAXIMUM + 16];
    memset(text, 'x', sizeof text);
    memcpy(text + LINES_IDENTIFIER_MAXIMUM + 1, " 1\n", 4);
    assert_bad(*state, "pairs", &raw_default, text, SR_ERROR_DATA,
               "raw:1: the user identifier has 1025 bytes, allowed are at most 1024");
}

static void bad_lines_are_counted_by_reason_with_the_first_of_them(void **state)
{
    const reader_options options = {.columns = "user=0,item=1,time=3", .header = true};
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
    static raw_rows all;
    static parse_report report;
    sr_error error;
    reader_facts facts;
    if (raw_read(*state, "csv", &options, text, &all, &report, &facts, &error) != SR_OK)
        fail_msg("%s", error.message);
    assert_int_equal(all.count, 2);
    assert_string_equal(all.rows[1].user, "i");
    assert_int_equal(all.rows[1].record.line, 10);
    assert_int_equal(report.lines, 10); /* one of the two records stands on two */
    assert_int_equal(report.records, 2);
    assert_int_equal(report.continued, 1);
    assert_int_equal(parse_report_bad(&report), 7);
    assert_int_equal(report.dropped[DROPPED_QUOTES], 1);
    assert_int_equal(report.examples[DROPPED_QUOTES][0].line, 3);
    assert_int_equal(report.dropped[DROPPED_TIME], 4);
    assert_int_equal(report.examples[DROPPED_TIME][0].line, 4);
    assert_non_null(strstr(report.examples[DROPPED_TIME][0].found, "the time stamp \"soon\" is not a number\n"));
    assert_non_null(strstr(report.examples[DROPPED_TIME][0].found, "  c,3,x,soon"));
    assert_int_equal(report.examples[DROPPED_TIME][2].line, 8);
    assert_int_equal(report.dropped[DROPPED_COLUMNS], 1);
    assert_int_equal(report.dropped[DROPPED_IDENTIFIER], 1);
    static parse_report sum;
    parse_report_merge(&sum, &report, 0, 0);
    parse_report_merge(&sum, &report, 0, 11);
    assert_int_equal(sum.lines, 20);
    assert_int_equal(sum.dropped[DROPPED_QUOTES], 2);
    assert_int_equal(sum.examples[DROPPED_QUOTES][1].line, 14);
    assert_int_equal(sum.examples[DROPPED_TIME][2].line, 8);
}

static void a_part_of_a_file_knows_its_columns(void **state)
{
    char path[FILES_PATH_SIZE];
    const char *text = "item_id:token\tuser_id:token\ttimestamp:float\n1\ta\t2016-05-09\n2\tb\t1970-01-02\n3\tc\t1970-01-01\n";
    files_path(path, *state, "raw");
    files_write_text(path, text);
    uint64_t size;
    sr_error error;
    const raw_format *format = raw_format_find("recbole");
    assert_int_equal(reader_divisible_size(format, &raw_default, path, &size, &error), SR_OK);
    assert_int_equal(size, strlen(text));
    for (uint64_t cut = 1; cut < strlen(text); ++cut) {
        raw_rows all = {.count = 0};
        parse_report report = {.lines = 0};
        reader_facts first = {.known = false}, second = first;
        const reader_sink sink = {raw_collect, &all};
        reader_part front = {.path = path, .end = cut}, back = {.path = path, .begin = cut, .end = UINT64_MAX};
        assert_int_equal(reader_read(format, &raw_default, &front, &sink, &report, &first, &error), SR_OK);
        assert_int_equal(reader_read(format, &raw_default, &back, &sink, &report, &second, &error), SR_OK);
        assert_int_equal(all.count, 3);
        assert_int_equal(report.lines, 3);
        assert_int_equal(front.lines + back.lines, 4);
        assert_string_equal(all.rows[0].user, "a");
        assert_string_equal(all.rows[2].item, "3");
        assert_int_equal(all.rows[1].record.time, 86400);
        assert_true(second.known && second.has_times && !second.has_ratings);
    }
}

static void csv_is_divided_only_where_quotes_mean_nothing(void **state)
{
    char path[FILES_PATH_SIZE];
    files_path(path, *state, "raw");
    files_write_text(path, "a,\"b\n");
    uint64_t size;
    sr_error error;
    reader_options options = {.columns = "user=0,item=1"};
    assert_int_equal(reader_divisible_size(raw_format_find("csv"), &options, path, &size, &error), SR_OK);
    assert_int_equal(size, 0);
    options.no_quotes = true;
    assert_int_equal(reader_divisible_size(raw_format_find("csv"), &options, path, &size, &error), SR_OK);
    assert_int_equal(size, 5);
    const raw_row rows[] = {{"a", "\"b", 0, 0}};
    assert_rows(*state, "csv", &options, "a,\"b\n", rows, 1);
    assert_int_equal(reader_divisible_size(raw_format_find("amazon-csv"), &raw_default, path, &size, &error), SR_OK);
    assert_int_equal(size, 5);
}

static void files_of_an_input_must_agree(void **state)
{
    char path[FILES_PATH_SIZE];
    files_path(path, *state, "raw");
    const char *const texts[] = {
        "", "user_id:token\titem_id:token\ttimestamp:float\n", "item_id:token\tuser_id:token\ttimestamp:float\n1\ta\t0.5\n",
        "item_id:token\tuser_id:token\ttimestamp:float\n1\ta\t7\n", "item_id:token\tuser_id:token\n1\ta\n"};
    const raw_format *format = raw_format_find("recbole");
    reader_facts facts = {.known = false};
    parse_report report = {.lines = 0};
    raw_rows all = {.count = 0};
    const reader_sink sink = {raw_collect, &all};
    sr_error error;
    for (size_t i = 0; i < 5; ++i) {
        files_write_text(path, texts[i]);
        reader_part part = {.path = path, .end = UINT64_MAX};
        const sr_status status = reader_read(format, &raw_default, &part, &sink, &report, &facts, &error);
        assert_int_equal(status, i < 4 ? SR_OK : SR_ERROR_DATA);
        assert_int_equal(facts.known, i > 0);
        assert_int_equal(time_is_resolved(&facts.times), i > 1);
    }
    assert_non_null(strstr(error.message, "raw lacks time stamps, unlike the files before it"));
    assert_int_equal(all.rows[0].record.time, 5);
    assert_int_equal(all.rows[1].record.time, 70);
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
    const identifier last = names_get(&table, COUNT - 1);
    assert_int_equal(last.length, strlen("name-199999"));
    assert_memory_equal(last.bytes, "name-199999", last.length);
    assert_int_equal(names_number(&table, "name-19", 6, &number, &error), SR_OK); /* a beginning of other names */
    assert_int_equal(number, 1);
    assert_int_equal(names_find(&table, "name-200000", 11), NAMES_NONE);
    static const char long_name[UINT16_MAX + 2];
    assert_int_equal(names_find(&table, long_name, UINT16_MAX + 1), NAMES_NONE);
    assert_int_equal(names_number(&table, long_name, UINT16_MAX + 1, &number, &error), SR_ERROR_DATA);
    assert_int_equal(table.count, COUNT);
    names_free(&table);
}

/* docs/raw-formats.md */
static void the_page_on_raw_formats_is_what_their_rows_say(void **state)
{
    (void)state;
    enum { PAGE_SIZE = 1 << 16 };
    char path[4096], *wanted = NULL, *found = calloc(PAGE_SIZE, 1);
    size_t size;
    FILE *stream = open_memstream(&wanted, &size);
    snprintf(path, sizeof path, "%s/docs/raw-formats.md", getenv("SRTRAIN_SOURCE_DIRECTORY"));
    FILE *page = fopen(path, "r");
    assert_non_null(stream);
    assert_non_null(page);
    assert_non_null(found);
    raw_formats_describe(stream, true);
    assert_int_equal(fclose(stream), 0);
    assert_true(fread(found, 1, PAGE_SIZE - 1, page) < PAGE_SIZE - 1);
    assert_int_equal(fclose(page), 0);
    const bool is_equal = strcmp(wanted, found) == 0;
    free(wanted);
    free(found);
    if (!is_equal)
        fail_msg("%s is not what the rows say; write it anew by srprep formats --markdown", path);
}

static void formats_are_told_by_the_names_of_their_files(void **state)
{
    (void)state;
    static const struct {
        const char *path, *format;
    } known[] = {{"u.data", "movielens-100k"},
                 {"ml-1m/ratings.dat", "movielens-1m"},
                 {"/data/ratings.csv.gz", "movielens-csv"},
                 {"ml-100k.inter.zst", "recbole"},
                 {"reviews_Beauty_5.json.gz", "amazon-json"},
                 {"ratings_Beauty.csv", "amazon-csv"},
                 {"yelp_academic_dataset_review.json", "yelp-json"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; ++i) {
        const raw_format *format = raw_format_of_file(known[i].path);
        if (!format || strcmp(format->name, known[i].format) != 0)
            fail_msg("%s is taken for %s", known[i].path, format ? format->name : "none");
    }
    assert_null(raw_format_of_file("clicks.csv"));
    assert_null(raw_format_of_file("u.data/other"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recbole_takes_columns_by_name_in_any_order),
        cmocka_unit_test(recbole_says_what_is_wrong),
        cmocka_unit_test(movielens_times_are_exact),
        cmocka_unit_test(movielens_formats_differ_in_delimiter_and_header),
        cmocka_unit_test(amazon_tables_have_the_user_or_the_item_first),
        cmocka_unit_test(json_lines_are_read_in_any_order_of_keys),
        cmocka_unit_test(json_says_what_is_wrong),
        cmocka_unit_test(missing_values_are_dropped_and_are_no_bad_lines),
        cmocka_unit_test(more_than_one_bad_line_in_a_hundred_is_an_error),
        cmocka_unit_test(sequences_and_pairs_keep_the_order_of_the_input),
        cmocka_unit_test(sequences_and_pairs_say_what_is_wrong),
        cmocka_unit_test(csv_takes_columns_by_number_or_name),
        cmocka_unit_test(csv_takes_quotes_as_rfc_4180_has_them),
        cmocka_unit_test(csv_says_what_is_wrong),
        cmocka_unit_test(identifiers_are_bytes_of_limited_length),
        cmocka_unit_test(bad_lines_are_counted_by_reason_with_the_first_of_them),
        cmocka_unit_test(a_part_of_a_file_knows_its_columns),
        cmocka_unit_test(csv_is_divided_only_where_quotes_mean_nothing),
        cmocka_unit_test(files_of_an_input_must_agree),
        cmocka_unit_test(many_names_keep_their_numbers),
        cmocka_unit_test(the_page_on_raw_formats_is_what_their_rows_say),
        cmocka_unit_test(formats_are_told_by_the_names_of_their_files),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
