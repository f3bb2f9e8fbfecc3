/* Layouts of well-known files, as srprep converts them: tests/layouts has made-up data in each. */
#include "program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

typedef program_world world;

/* Runs "srprep convert ARGUMENTS --output out" in a copy of the layouts; without an exit code of `code` and these words the
 * test fails. */
static void convert(world *w, int code, const char *arguments, const char *says)
{
    run_shell(&w->result, w->directory,
              "cp -r %s l && rm -rf out && cd l && srprep convert %s --output ../out; code=$?; cd ..; "
              "rm -rf l; exit $code",
              LAYOUTS, arguments);
    assert_code(&w->result, code);
    assert_says(&w->result, says);
}

/* The same with 0, and then the first lines that are exported must be these. */
static void assert_exported(world *w, const char *arguments, const char *says, const char *export_options, const char *begins)
{
    convert(w, 0, arguments, says);
    run_shell(&w->result, w->directory, "srprep export out %s", export_options);
    assert_code(&w->result, 0);
    if (strncmp(w->result.output, begins, strlen(begins)) != 0)
        fail_msg("%.200s\ndoes not begin with\n%s", w->result.output, begins);
}

static void dates_of_six_data_sets_are_read(void **state)
{
    world *w = *state;
    assert_exported(w,
                    "--format json --columns user=user_id,item=book_id,time=date_added --time-format '%a %b %d %H:%M:%S %z %Y' "
                    "--input goodreads.json",
                    "from 2017-03-10 18:37:04 to 2017-03-18 18:37:04", "--format csv", "user,item,time\nu0,b0,1489171024\n");
    convert(w, 0,
            "--format csv --delimiter '\\t' --columns user=0,item=1,time=7 --time-format '%a %b %d %H:%M:%S %z %Y' --input "
            "foursquare.tsv",
            "from 2012-04-10 18:00:09 to 2012-04-18 18:00:09");
    convert(w, 0, "--format csv --header --columns user=user_id,item=product_id,time=event_time --input cosmetics.csv",
            "from 2019-10-10 00:00:03 to 2019-10-18 00:00:03");
    convert(w, 0,
            "--format csv --header --columns user=CUSTOMER_ID,item=PRODUCT_ID,time=TRANSACTION_DT --time-format %m/%d/%Y "
            "--input tafeng.csv",
            "from 2000-11-10 00:00:00 to 2000-11-18 00:00:00");
    convert(w, 0,
            "--format csv --header --columns user=CustomerID,item=StockCode,time=InvoiceDate --time-format '%m/%d/%Y %H:%M' "
            "--input retail.csv",
            "from 2010-12-10 08:26:00 to 2010-12-18 08:26:00");
    convert(w, 0,
            "--format csv --delimiter '\\t' --columns user=1,item=3,time=2 --time-format '%m/%d/%Y %I:%M:%S %p' --input "
            "mind.tsv",
            "from 2019-11-10 09:05:58 to 2019-11-18 09:05:58");
    convert(w, 3, "--format csv --delimiter '\\t' --columns user=1,item=3,time=2 --input mind.tsv",
            "--time-format '%m/%d/%Y %I:%M:%S %p' reads it");
}

static void events_are_chosen(void **state)
{
    world *w = *state;
    convert(w, 0,
            "--format csv --header --columns user=visitorid,item=itemid,time=timestamp --where event=view --input "
            "retailrocket.csv",
            "read          60 lines, 30 interactions\ndropped       30 lines: not chosen by --where\n");
    convert(w, 0,
            "--format csv --header --columns user=session_id,item=reference,time=timestamp --where 'action_type=clickout "
            "item' --input trivago.csv",
            "interactions  20\n");
    convert(w, 0,
            "--format json --columns user=session,item=events.aid,time=events.ts --where events.type=clicks --input "
            "otto.jsonl",
            "interactions  36\n");
}

static void pauses_cut_users_into_sessions(void **state)
{
    world *w = *state;
    const char *csv = "--format csv --header --columns user=user,item=item,time=time --input pauses.csv";
    char arguments[512];
    snprintf(arguments, sizeof arguments, "%s --session-gap 1800", csv);
    assert_exported(w, arguments, "sessions      15, cut at pauses longer than 1800 in units of the time stamps\n", "",
                    "u0#1 i0 i1 i2 i3\nu0#2 i4 i5 i6 i7\n");
    snprintf(arguments, sizeof arguments, "%s --session-gap 30m --time-unit seconds", csv);
    convert(w, 0, arguments, "sessions      15, cut at pauses longer than 30m\n");
    snprintf(arguments, sizeof arguments, "%s --session-gap 300 --split sessions:0.6,0.2,0.2", csv);
    convert(w, 0, arguments, "split         sessions:0.6,0.2,0.2: 12 validation and 12 test cases");
    snprintf(arguments, sizeof arguments, "%s --session-gap 299", csv);
    convert(w, 0, arguments, "sessions      60");
    snprintf(arguments, sizeof arguments, "%s --session-gap 30m", csv);
    convert(w, 2, arguments, "the unit of the time stamps is not known");
    snprintf(arguments, sizeof arguments, "%s --session-gap soon", csv);
    convert(w, 2, arguments, "--session-gap soon: allowed are");
    convert(w, 2, "--format sequences --session-gap 5 --input sequences.txt", "--session-gap: this input has no time stamps");
}

static void a_published_split_is_kept(void **state)
{
    world *w = *state;
    const char *columns = "--format csv --header --columns user=user_id,item=parent_asin,time=timestamp";
    char arguments[512];
    snprintf(arguments, sizeof arguments, "%s --train train.csv --valid valid.csv --test test.csv", columns);
    assert_exported(w, arguments, "split         given: 2 validation and 3 test cases", "--format csv --parts",
                    "user,item,time,part\nA,x,1,train\nA,y,2,train\nA,z,3,valid\nA,w,4,test\n");
    assert_says(&w->result, "C,x,1,train\nC,z,2,test\n");
    snprintf(arguments, sizeof arguments, "%s --train train.csv --test test.csv --cold drop", columns);
    convert(w, 0, arguments, "split         given: 0 validation and 1 test cases");
    snprintf(arguments, sizeof arguments, "%s --train test.csv --test train.csv", columns);
    convert(w, 3, arguments, "time stamps of a sequence cannot decrease: --time-unit none");
    snprintf(arguments, sizeof arguments, "%s --train test.csv --test train.csv --time-unit none", columns);
    convert(w, 0, arguments, "split         given: 0 validation and 5 test cases");
    convert(w, 0, "--format sequences --train sequences.txt --test sequences.txt",
            "split         given: 0 validation and 362 test");
    convert(w, 3, "--format sequences --train sequences.txt sequences.txt --test sequences.txt",
            "has had a line before, expected one line a user");
    snprintf(arguments, sizeof arguments, "%s --train train.csv --test test.csv --split leave-one-out", columns);
    convert(w, 2, arguments, "--train, --valid and --test say already how sequences are split");
    snprintf(arguments, sizeof arguments, "%s --train train.csv", columns);
    convert(w, 2, arguments, "needs --train, and --valid or --test");
    snprintf(arguments, sizeof arguments, "%s --train train.csv --test test.csv --input valid.csv", columns);
    convert(w, 2, arguments, "--input and --input-list have no use beside --train");
}

static void lists_arrays_and_other_layouts_are_read(void **state)
{
    world *w = *state;
    convert(w, 0, "--format csv --delimiter '\\t' --columns user=1,items=3 --input mind_history.tsv",
            "read          9 lines, 27 interactions");
    assert_exported(w, "--format csv --header --no-user --columns items=prev_items,item=next_item --input m2.csv",
                    "read          9 lines, 27 interactions", "", "2 B0 B1 B2\n3 B1 B2 B3\n");
    assert_exported(w, "--format recbole --columns user=session_id,items=item_id_list,item=item_id --input dig.train.inter",
                    "read          9 lines, 36 interactions", "", "0 0 1 2 3\n1 1 2 3 4\n");
    convert(w, 3, "--format recbole --input dig.train.inter",
            "--columns user=session_id,items=item_id_list,item=item_id takes that, and the lists");
    convert(w, 0, "--format json --columns user=session,item=events.aid,time=events.ts --input otto.jsonl",
            "read          9 lines, 36 interactions");
    convert(w, 3, "--format json --columns user=pid,item=track_uri --input mpd.json",
            "this looks like one document, not an object a line: jq -c '.KEY[]' FILE");
    convert(w, 3, "--format json --columns user=user,item=item --input array.json",
            "this looks like one array, not an object a line: jq -c '.[]' FILE");
    convert(w, 0, "--format python --columns user=username,item=product_id,time=date --input steam.json",
            "read          12 lines, 12 interactions");
    convert(w, 3, "--format json --columns user=username,item=product_id,time=date --input steam.json",
            "this is a Python dictionary: --format python reads it");
    convert(w, 0, "--format netflix --input combined_data_1.txt", "users         3\nitems         2\ninteractions  16\n");
    convert(w, 0, "--format csv --delimiter blanks --comment % --columns user=0,item=1,time=3 --input out.konect",
            "users         3\nitems         5\ninteractions  12\n");
    assert_exported(w, "--format sequences --no-user --counted --input users.dat", "users         4\n", "",
                    "1 10 20 30\n2 10 40\n3 20 40 50\n4 10 20 30 50\n");
    convert(w, 3, "--format csv --delimiter ' ' --columns user=0,item=1,time=3 --input out.konect", "--comment '%' leaves out");
    convert(w, 3, "--format csv --columns user=0,rating=1,time=2,item=3 --input combined_data_1.txt", "--format netflix reads");
    convert(w, 3, "--format sequences --input users.dat", "with --no-user each line is a user");
    convert(w, 0, "--format recbole --columns user=session_id --input yoo.inter", "interactions  12\n");
    convert(w, 3, "--format recbole --input yoo.inter", "--columns user=session_id takes that");
    convert(w, 0, "--format csv --header --columns user=user,item=item,time=time --recursive --input partitioned",
            "interactions  4\n");
    convert(w, 2, "--format csv --header --columns user=user,item=item,time=time --input partitioned",
            "unless --recursive goes into all of them");
}

static void dates_divide_numbers_of_a_known_unit(void **state)
{
    world *w = *state;
    const char *taobao = "--format csv --columns user=0,item=1,time=4 --time-unit seconds --input UserBehavior.csv";
    char arguments[512];
    snprintf(arguments, sizeof arguments, "%s --after 2017-11-25 --before 2017-12-04", taobao);
    convert(w, 0, arguments, "interactions  17\n");
    snprintf(arguments, sizeof arguments, "%s --split time:2017-11-25,2017-11-26", taobao);
    convert(w, 0, arguments, "split         time:2017-11-25,2017-11-26");
}

static void splits_leave_out_what_is_asked_for(void **state)
{
    world *w = *state;
    const char *csv = "--format csv --header --columns user=u,item=i,time=t --input cold.csv";
    const struct {
        const char *options, *says;
    } cases[] = {
        {"--split time:10,20", "0 validation and 4 test cases have an item that does not occur in training, 0 and 2 are of"},
        {"--split time:10,20 --cold drop", "split         time:10,20: 3 validation and 1 test cases"},
        {"--split time:10,20 --cold drop", "unknown to training: 2 by their user, 2 by their item"},
        {"--split time:10,20 --cold items", "unknown to training: 0 by their user, 4 by their item"},
        {"--split time:10,20 --cold users", "unknown to training: 2 by their user, 0 by their item"},
        {"--split time-quantile:0.5,0.25,0.25", "2 validation and 5 test cases"},
        {"--split time-quantile:0.5,0.5,0", "7 validation and 0 test cases"},
        {"--split sessions:0.5,0.25,0.25", "6 validation and 4 test cases"},
        {"--split sessions:21,22", "6 validation and 4 test cases"},
        {"--max-item 2", "dropped       10 of users or items with too many"},
        {"--max-user 3", "dropped       12 of users or items with too many"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        char arguments[512];
        snprintf(arguments, sizeof arguments, "%s %s", csv, cases[i].options);
        convert(w, 0, arguments, cases[i].says);
    }
    convert(w, 0, "--format sequences --split leave-one-out:test --input sequences.txt",
            "split         leave-one-out:test: 0 validation and 40 test cases");
    convert(w, 2, "--format sequences --split time-quantile:0.8,0.1,0.1 --input sequences.txt",
            "this input has no time stamps");
    convert(w, 2, "--format sequences --split time-quantile:0.8,0.1 --input sequences.txt",
            "expected three numbers, as in time-quantile:0.8,0.1,0.1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_of_six_data_sets_are_read),         cmocka_unit_test(events_are_chosen),
        cmocka_unit_test(pauses_cut_users_into_sessions),          cmocka_unit_test(a_published_split_is_kept),
        cmocka_unit_test(lists_arrays_and_other_layouts_are_read), cmocka_unit_test(dates_divide_numbers_of_a_known_unit),
        cmocka_unit_test(splits_leave_out_what_is_asked_for),
    };
    return cmocka_run_group_tests(tests, program_set_up, program_tear_down);
}
