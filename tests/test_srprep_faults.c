/* What users meet and srprep must not pass over: quotes that swallow lines, headers in the midst of a file, output that does
 * not arrive. On any number of ranks alike. */
#include "program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

typedef program_world world;

static void put(const world *w, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", w->directory, name);
    program_write(path, text);
}

/* Runs a command of the shell in the directory; "srprep" is found. Fails the test unless it ends with 0. */
static void run_in(const world *w, const char *command)
{
    char whole[4096];
    snprintf(whole, sizeof whole, "cd %s && PATH=\"$SRTRAIN_BINARY_DIRECTORY:$PATH\" && %s", w->directory, command);
    if (system(whole) != 0)
        fail_msg("%s", command);
}

/* ---- output that does not arrive ---- */

static const char *const commands[] = {"convert --format pairs --input pairs.txt --output new",
                                       "synth --users 20 --items 10 --mean-length 6 --seed 1 --output new",
                                       "info data",
                                       "info data --json",
                                       "export data",
                                       "export data --format csv",
                                       "--version",
                                       "--help",
                                       "-h",
                                       "--help=man",
                                       "--help=completion",
                                       "convert --help",
                                       "info -h"};

static void output_that_does_not_arrive_ends_every_command_with_1(void **state)
{
    world *w = *state;
    put(w, "pairs.txt", "a 1\na 2\nb 1\nb 3\n");
    run_in(w, "srprep convert --format pairs --input pairs.txt --output data > /dev/null");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; ++i)
        for (int is_closed = 0; is_closed < 2; ++is_closed) {
            char command[1024];
            snprintf(
                command, sizeof command,
                "rm -rf new; srprep %s %s 2> message; code=$?; cat message; test $code -eq 1 && grep -Eq 'srprep: error: .*"
                "(cannot write|cannot be written)' message && test $(wc -l < message) -eq 1 && if test -d new; then srprep "
                "info new > "
                "/dev/null; fi",
                commands[i], is_closed ? ">&-" : "> /dev/full");
            run_in(w, command);
        }
}

static void a_report_that_does_not_arrive_ends_with_1(void **state)
{
    world *w = *state;
    run_in(
        w,
        "srprep convert --format pairs --input pairs.txt --output reported --report /dev/full > /dev/null 2> message; "
        "test $? -eq 1 && grep -q -- '--report: cannot write /dev/full: No space left' message && srprep info reported > text");
    run_in(w, "srprep export data --output /dev/full 2> message; test $? -eq 2"); /* exists */
}

static void closed_streams_do_not_become_files(void **state)
{
    world *w = *state;
    run_in(
        w,
        "srprep convert --format pairs --input pairs.txt --output closed <&- >&- 2>&-; test $? -eq 1 && srprep info closed > "
        "text && diff -r data closed");
    run_in(
        w,
        "srprep convert --format pairs --input - --output none <&- > message 2>&1; test $? -eq 1 && grep -q 'cannot be read' "
        "message");
    run_in(w, "srprep info data <&- > text && grep -q 'checksums verified' text");
}

/* ---- the same on any number of ranks ---- */

/* Converts without and with mpirun, which must end with `code` and say the same, of which `says` is a part. */
static void assert_on_ranks(world *w, const char *arguments, int code, const char *says)
{
    char directory[256];
    snprintf(directory, sizeof directory, "%s/ranks", w->directory);
    for (int ranks = 0; ranks <= 3; ranks += 3) {
        program_remove_directory(directory);
        if (ranks == 0)
            run_srprep(&w->result, "convert --input %s/input --output %s %s", w->directory, directory, arguments);
        else
            run_srprep_on(&w->result, ranks, "convert --input %s/input --output %s %s", w->directory, directory, arguments);
        assert_code(&w->result, code);
        assert_says(&w->result, says);
    }
    program_remove_directory(directory);
}

static void swallowed_lines_are_found_on_any_number_of_ranks(void **state)
{
    world *w = *state;
    run_in(w, "for i in $(seq 1 300); do q=; test $i -eq 111 && q='\"'; e=; test $i -eq 141 && e='\"'; "
              "printf 'u%d\\t%d\\ta%d\\t%sMoon%s\\tt%d\\n' $((i % 5)) $i $i \"$q\" \"$e\" $((i % 9)); done > input");
    const char *options = "--format csv --delimiter '\\t' --columns user=0,item=4,time=1";
    char arguments[256];
    assert_on_ranks(w, options, 0,
                    "read          300 lines, 299 interactions\ndropped       1 line: quotes that do not match\n");
    assert_says(&w->result, "/input:111: a quoted field goes on to line 141");
    assert_says(&w->result, "--no-quotes");
    snprintf(arguments, sizeof arguments, "%s --strict", options);
    assert_on_ranks(w, arguments, 3, "/input:111: a quoted field goes on to line 141");
    snprintf(arguments, sizeof arguments, "%s --no-quotes", options);
    assert_on_ranks(w, arguments, 0, "read          300 lines, 300 interactions\nwritten");
    snprintf(arguments, sizeof arguments, "%s --multiline-quotes", options);
    assert_on_ranks(w, arguments, 0,
                    "read          300 lines, 270 interactions\nquotes        1 record stands on several lines, 31 lines "
                    "in all, at most 31; the first begins at ");
    assert_on_ranks(w, "--format csv --columns user=0,item=1 --no-quotes --multiline-quotes", 2, "exclude each other");
}

static void headers_of_files_that_were_put_together_are_found_on_any_number_of_ranks(void **state)
{
    world *w = *state;
    run_in(w, "for i in 1 2 3; do echo user,item; seq 1 50 | sed \"s/.*/u&,i$i&/\"; done > input");
    assert_on_ranks(w, "--format csv --header --columns user=user,item=item", 0,
                    "read          152 lines, 150 interactions\ndropped       2 lines: the header again\n");
    assert_says(&w->result, "/input:52: ");
    assert_says(&w->result, "users         50");
    assert_on_ranks(w, "--format csv --header --columns user=user,item=item --no-quotes", 0,
                    "dropped       2 lines: the header again");
    run_in(w, "sed 's/user/user_id:token/; s/item/item_id:token/; y/,/\\t/' input > typed && mv typed input");
    assert_on_ranks(w, "--format recbole", 0,
                    "read          152 lines, 150 interactions\ndropped       2 lines: the header again\n");
    assert_says(&w->result, "/input:103: ");
}

static void lost_decimals_are_found_on_any_number_of_ranks(void **state)
{
    world *w = *state;
    run_in(w, "seq 100 399 | sed 's/.*/u,i&,5,1400000000.1234567&/' > input");
    assert_on_ranks(w, "--format amazon-csv", 0,
                    "decimals      270 time stamps lost some for which 64 bits have no room, the first at ");
    assert_says(&w->result, "/input:2; ");
    run_in(w, "seq 100 399 | sed 's/.*/u,i&,5,1400000000.123456&/' > input");
    assert_on_ranks(w, "--format amazon-csv", 0, "read          300 lines, 300 interactions\nwritten");
    assert_says(&w->result, "time ties     0.0 %");
}

static void no_time_stamp_that_is_one_is_an_error_on_any_number_of_ranks(void **state)
{
    world *w = *state;
    put(w, "input", "a,1,5,11/14/2000\na,2,5,11/15/2000\nb,1,5,11/16/2000\n");
    assert_on_ranks(w, "--format amazon-csv", 3, "3 of 3 lines do not fit");
    assert_says(&w->result, "/input:1: the time stamp \"11/14/2000\" is neither a number nor an ISO 8601 date");
    assert_on_ranks(w, "--format amazon-csv --time-unit iso", 3, "\"11/14/2000\" is not a date as 2016-07-25");
    assert_on_ranks(w, "--format amazon-csv --time-unit none", 0, "read          3 lines, 3 interactions");
}

static void the_message_of_a_split_by_time_says_what_is_wrong(void **state)
{
    world *w = *state;
    put(w, "input", "a,1,5,1400000000\na,2,5,1400000001\nb,1,5,1400000003\n");
    assert_on_ranks(w, "--format amazon-csv --split time:2014-01-01,2015-01-01", 2,
                    "--split time: \"2014-01-01\" is a date, and the time stamps of the input are numbers");
    assert_on_ranks(w, "--format amazon-csv --time-unit seconds --split time:2014-05-13T16:53:21Z,2015-01-01", 0,
                    "split         time:2014-05-13T16:53:21Z,2015-01-01: 2 validation and 0 test cases");
    assert_on_ranks(w, "--format amazon-csv --split time:1400000000.5,1400000001.5", 0, "1 validation and 1 test cases");
    assert_on_ranks(w, "--format amazon-csv --after soon", 2, "--after: \"soon\" is neither a number nor a date");
}

static void what_needs_a_column_that_is_missing_tells_which_there_are(void **state)
{
    world *w = *state;
    put(w, "input", "user_id:token\titem_id:token\tscore:float\ttime:float\na\t1\t5\t6\n");
    assert_on_ranks(w, "--format recbole --min-rating 2", 2,
                    "this input has no ratings: its header has no column \"rating\"; there are user_id, item_id, score, time");
    run_srprep(&w->result, "convert --format recbole --input %s/input --output %s/none --split time:1,2", w->directory,
               w->directory);
    assert_code(&w->result, 2);
    assert_says(&w->result,
                "this input has no time stamps: its header has no column \"timestamp\"; there are user_id, item_id");
    put(w, "input", "a,1,5,6\n");
    const char *const cases[][2] = {
        {"--format csv --columns user=0,item=1 --after 5", "--after: this input has no time stamps: --columns has no time="},
        {"--format csv --columns user=0,item=1 --min-rating 5", "this input has no ratings: --columns has no rating="},
        {"--format amazon-csv --time-unit none --after 5", "has no time stamps: they are left out by --time-unit none"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        run_srprep(&w->result, "convert %s --input %s/input --output %s/none", cases[i][0], w->directory, w->directory);
        assert_code(&w->result, 2);
        assert_says(&w->result, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_that_does_not_arrive_ends_every_command_with_1),
        cmocka_unit_test(a_report_that_does_not_arrive_ends_with_1),
        cmocka_unit_test(closed_streams_do_not_become_files),
        cmocka_unit_test(swallowed_lines_are_found_on_any_number_of_ranks),
        cmocka_unit_test(headers_of_files_that_were_put_together_are_found_on_any_number_of_ranks),
        cmocka_unit_test(lost_decimals_are_found_on_any_number_of_ranks),
        cmocka_unit_test(no_time_stamp_that_is_one_is_an_error_on_any_number_of_ranks),
        cmocka_unit_test(what_needs_a_column_that_is_missing_tells_which_there_are),
        cmocka_unit_test(the_message_of_a_split_by_time_says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, program_set_up, program_tear_down);
}
