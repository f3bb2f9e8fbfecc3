/* Options that say which lines are read, and which parts of them: lists, arrays, other layouts. */
#include "files.h"
#include "raw_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* What was read of a text that need not be good in each line. */
static const raw_rows *read_all(void **state, const char *format, const reader_options *options, const char *text,
                                parse_report *report)
{
    static raw_rows all;
    reader_facts facts;
    sr_error error;
    if (raw_read(*state, format, options, text, &all, report, &facts, &error) != SR_OK)
        fail_msg("%s", error.message);
    return &all;
}

static void where_keeps_lines_with_one_of_the_values(void **state)
{
    static parse_report report;
    const char *text = "timestamp,visitorid,event,itemid,transactionid\n"
                       "5,0,view,a,\n6,1,addtocart,b,\nbad,2,other,c,\n7,2,transaction,d,3\n8,,bad\"line,e,\n";
    const char *const views[] = {"event=view,addtocart"}, *const first[] = {"event=view,transaction", "transactionid="},
                      *const numbered[] = {"2=transaction"};
    const reader_options by_name = {
        .columns = "user=visitorid,item=itemid,time=timestamp", .header = true, .where = views, .where_count = 1};
    const raw_row rows[] = {{"0", "a", 5, 0}, {"1", "b", 6, 0}};
    assert_rows(*state, "csv", &by_name, text, rows, 2);
    assert_int_equal(read_all(state, "csv", &by_name, text, &report)->count, 2);
    assert_int_equal(report.dropped[DROPPED_WHERE], 3); /* whatever else is wrong with them */
    assert_int_equal(parse_report_bad(&report), 0);
    reader_options two = by_name;
    two.where = first;
    two.where_count = 2;
    assert_rows(*state, "csv", &two, text, rows, 1); /* both hold */
    reader_options by_number = by_name;
    by_number.where = numbered;
    const raw_row last[] = {{"2", "d", 7, 0}};
    assert_rows(*state, "csv", &by_number, text, last, 1);
    const char *const stars[] = {"rating=5.0"}, *const column[] = {"2=5"};
    const reader_options typed = {.where = stars, .where_count = 1}, fixed = {.where = column, .where_count = 1};
    const raw_row five[] = {{"u", "i", 0, 5}};
    assert_rows(*state, "recbole", &typed, "user_id:token\titem_id:token\trating:float\nu\ti\t5.0\nu\tj\t5\n", five, 1);
    assert_rows(*state, "movielens-100k", &fixed, "u\ti\t5\t0\nu\tj\t4\t0\n", five, 1);
}

static void where_says_what_is_wrong(void **state)
{
    const struct {
        const char *where, *says;
        bool header;
    } cases[] = {
        {"event", "expected COLUMN=VALUE", true},
        {"=view", "expected COLUMN=VALUE", true},
        {"evnt=view", "--where: the header has no column \"evnt\", did you mean \"event\"?", true},
        {"event=view", "\"event\" is a name, and the file has no header", false},
        {"3=view", "--where: there is no column 3: they are 0 to 2", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        const reader_options options = {
            .columns = "user=0,item=1", .header = cases[i].header, .where = &cases[i].where, .where_count = 1};
        static raw_rows all;
        static parse_report report;
        reader_facts facts;
        sr_error error = {.status = SR_OK};
        assert_int_not_equal(raw_read(*state, "csv", &options, "u,i,event\na,b,view\n", &all, &report, &facts, &error), SR_OK);
        if (!strstr(error.message, cases[i].says))
            fail_msg("\"%s\" does not say \"%s\"", error.message, cases[i].says);
    }
}

static void lists_in_columns_are_read(void **state)
{
    const reader_options mind = {.columns = "user=1,items=3", .delimiter = "\t"};
    const raw_row history[] = {{"U0", "N1", 0, 0}, {"U0", "N0", 0, 0}, {"U1", "N7", 0, 0}};
    static parse_report report;
    const char *text = "0\tU0\t11/10/2019 9:05:58 AM\tN1  N0\tN3-0\n1\tU1\tx\t N7 \tN3-0\n2\tU2\tx\t\tN3-0\n";
    assert_rows(*state, "csv", &mind, text, history, 3);
    (void)read_all(state, "csv", &mind, text, &report);
    assert_int_equal(report.dropped[DROPPED_EMPTY_LIST], 1);
    assert_int_equal(parse_report_bad(&report), 0);
    const reader_options m2 = {.columns = "items=prev_items,item=next_item", .header = true, .no_user = true};
    const raw_row sessions[] = {{"2", "B0", 0, 0}, {"2", "B 1", 0, 0}, {"2", "B2", 0, 0}, {"4", "B3", 0, 0}};
    assert_rows(*state, "csv", &m2, "prev_items,next_item,locale\n\"['B0'\n 'B 1']\",B2,UK\n[],B3,UK\n", sessions, 4);
    const reader_options timed = {.columns = "user=0,items=1,times=2,item=3,time=4,ratings=5,rating=6", .list_separator = ","};
    const raw_row three[] = {{"u", "a", 5, 1}, {"u", "b c", 6, 2}, {"u", "d", 7, 3}};
    assert_rows(*state, "csv", &timed, "u,\"[\"\"a\"\", b c]\",\"(5, 6)\",d,7,\"1,2\",3\n", three, 3);
    const reader_options typed = {.columns = "user=session_id,items=item_id_list:token_seq,item=item_id"};
    const raw_row recbole[] = {{"0", "0", 0, 0}, {"0", "1", 0, 0}, {"0", "3", 0, 0}};
    assert_rows(*state, "recbole", &typed, "session_id:token\titem_id_list:token_seq\titem_id:token\n0\t0 1\t3\n", recbole, 3);
}

static void a_list_fits_as_a_whole_or_not_at_all(void **state)
{
    static parse_report report;
    const reader_options options = {.columns = "user=0,items=1,times=2", .list_separator = ";"};
    const raw_rows *all = read_all(state, "csv", &options, "u,a;b;c,1;2;x\nu,a;b,1\nu,a,1;2\nu,a;;b,1;2;3\nu,d,9\n", &report);
    assert_int_equal(all->count, 1);
    assert_string_equal(all->rows[0].item, "d");
    assert_int_equal(report.records, 1);
    assert_int_equal(report.dropped[DROPPED_TIME], 1);
    assert_int_equal(report.dropped[DROPPED_COLUMNS], 2);
    assert_int_equal(report.dropped[DROPPED_IDENTIFIER], 1);
    assert_bad(*state, "csv", &options, "u,a;b,1\n", SR_ERROR_DATA, "the list of times ends behind 1, that of items goes on");
    assert_bad(*state, "csv", &options, "u,a,1;2\n", SR_ERROR_DATA, "the list of items ends behind 1, that of times goes on");
}

static void lines_without_a_user_are_users(void **state)
{
    const reader_options items_only = {.no_user = true}, counted = {.no_user = true, .counted = true},
                         with_user = {.counted = true};
    const raw_row rows[] = {{"1", "10", 0, 0}, {"1", "20", 0, 0}, {"2", "10", 0, 0}};
    assert_rows(*state, "sequences", &items_only, "10 20\n10\n", rows, 3);
    assert_rows(*state, "sequences", &counted, "2 10 20\n1 10\n0\n", rows, 3);
    const raw_row named[] = {{"a", "10", 0, 0}};
    assert_rows(*state, "sequences", &with_user, "a 1 10\n", named, 1);
    assert_bad(*state, "sequences", &counted, "3 10 20\n", SR_ERROR_DATA, "found 2 items behind \"3\", which is their number");
    assert_bad(*state, "sequences", &counted, "x 10\n", SR_ERROR_DATA, "found 1 items behind \"x\"");
    const reader_options twice = {.columns = "user=0,item=1", .no_user = true};
    assert_bad(*state, "csv", &twice, "a,b\n", SR_ERROR_USAGE, "with --no-user each line is a user; leave user= out");
    const reader_options json = {.columns = "item=i", .no_user = true};
    const raw_row by_line[] = {{"1", "a", 0, 0}, {"1", "b", 0, 0}, {"2", "c", 0, 0}};
    assert_rows(*state, "json", &json, "{\"i\":[\"a\",\"b\"]}\n{\"i\":\"c\"}\n", by_line, 3);
}

static void comments_and_runs_of_blanks_are_no_columns(void **state)
{
    const reader_options options = {.columns = "user=0,item=1,time=3", .delimiter = "blanks", .comment = "%"};
    const raw_row rows[] = {{"1", "1", 1114300800, 0}, {"2", "2\"", 1114300801, 0}};
    static parse_report report;
    const char *text = "% bip multiweighted\n% 12 5 6\n1  1 1 1114300800\n  2\t 2\" 1 1114300801 \n% end\n";
    assert_rows(*state, "csv", &options, text, rows, 2);
    (void)read_all(state, "csv", &options, text, &report);
    assert_int_equal(report.lines, 5);
    assert_int_equal(report.dropped[DROPPED_COMMENT], 3);
    const reader_options named = {.columns = "user=u,item=i", .delimiter = "blanks", .header = true, .comment = "//"};
    const raw_row one[] = {{"a", "b", 0, 0}};
    assert_rows(*state, "csv", &named, "// by hand\nu   i\n a  b\n", one, 1);
    const reader_options pairs = {.comment = "#"};
    assert_rows(*state, "pairs", &pairs, "# FromNodeId ToNodeId\na b\n", one, 1);
}

static void ragged_lines_have_the_columns_that_are_read(void **state)
{
    static parse_report report;
    const reader_options options = {.columns = "user=0,item=1", .header = true, .ragged = true};
    const raw_rows *all = read_all(state, "csv", &options, "u,i,x\na,1\na,2,x,y,z\na\nu,i,x\n\"b\nc\",3\n", &report);
    assert_int_equal(all->count, 3);
    assert_string_equal(all->rows[2].user, "b\nc");
    assert_int_equal(report.dropped[DROPPED_COLUMNS], 1);
    assert_int_equal(report.dropped[DROPPED_HEADER], 1);
    const reader_options bare = {.columns = "user=0,item=2", .ragged = true};
    const raw_row rows[] = {{"a", "2", 0, 0}};
    assert_bad(*state, "csv", &bare, "a,1\na,1,2\n", SR_ERROR_DATA, "raw:1: found 2 columns, expected at least 3");
    assert_rows(*state, "csv", &bare, "a,1,2,3\n", rows, 1);
}

static void netflix_has_the_item_above_its_ratings(void **state)
{
    const raw_row rows[] = {{"1488844", "1", 1126310400, 1}, {"822109", "1", 1115942400, 5}, {"1488844", "2", 1126310400, 3}};
    static parse_report report;
    const char *text = "1:\n1488844,1,2005-09-10\n822109,5,2005-05-13\n2:\n1488844,3,2005-09-10\n";
    assert_rows(*state, "netflix", &raw_default, text, rows, 3);
    (void)read_all(state, "netflix", &raw_default, text, &report);
    assert_int_equal(report.dropped[DROPPED_HEADING], 2);
    assert_bad(*state, "netflix", &raw_default, "7,1,2005-09-10\n", SR_ERROR_DATA,
               "no line \"item:\" stands before the rating");
    assert_bad(*state, "netflix", &raw_default, "1:\n7,1\n", SR_ERROR_DATA, "found 2 columns, expected \"user,rating,date\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_keeps_lines_with_one_of_the_values),
        cmocka_unit_test(where_says_what_is_wrong),
        cmocka_unit_test(lists_in_columns_are_read),
        cmocka_unit_test(a_list_fits_as_a_whole_or_not_at_all),
        cmocka_unit_test(lines_without_a_user_are_users),
        cmocka_unit_test(comments_and_runs_of_blanks_are_no_columns),
        cmocka_unit_test(ragged_lines_have_the_columns_that_are_read),
        cmocka_unit_test(netflix_has_the_item_above_its_ratings),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
