/* srprep as a user runs it: exit codes, messages, reports. */
#include "program.h"
#include "srtrain/dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

typedef struct {
    char directory[128];
    program_result result;
} world;

static int set_up(void **state)
{
    world *w = calloc(1, sizeof *w);
    *state = w;
    if (!w)
        return -1;
    program_make_directory(w->directory, sizeof w->directory);
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    program_remove_directory(w->directory);
    free(w);
    return 0;
}

/* Writes DIRECTORY/NAME. */
static void put(const world *w, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", w->directory, name);
    program_write(path, text);
}

/* Fails unless the directory holds exactly `count` entries whose names begin with "out". */
static void assert_outputs(world *w, int count)
{
    char command[256];
    snprintf(command, sizeof command, "test $(ls -d %s/out* 2>/dev/null | wc -l) -eq %d", w->directory, count);
    assert_int_equal(system(command), 0);
}

static void help_and_version_are_no_errors(void **state)
{
    world *w = *state;
    run_srprep(&w->result, "--help");
    assert_code(&w->result, 0);
    assert_says(&w->result, "movielens-100k");
    run_srprep(&w->result, "convert --help");
    assert_code(&w->result, 0);
    run_srprep(&w->result, "--version");
    assert_code(&w->result, 0);
    assert_says(&w->result, "srprep ");
}

static void usage_errors_end_with_2_and_write_nothing(void **state)
{
    world *w = *state;
    put(w, "pairs.txt", "a 1\na 2\nb 1\n");
    put(w, "out-taken", "");
    const struct {
        const char *arguments, *says;
    } cases[] = {
        {"", "usage:"},
        {"konvert", "did you mean convert?"},
        {"convert --input D/pairs.txt --output D/out", "--format is missing"},
        {"convert --format pair --input D/pairs.txt --output D/out", "did you mean pairs?"},
        {"convert --format pairs --input D/pairs.txt", "--output is missing"},
        {"convert --format pairs --output D/out", "--input is missing"},
        {"convert --format pairs --inptu D/pairs.txt --output D/out", "did you mean --input?"},
        {"convert --format pairs --input D/pairs.txt --output D/out --min-user x", "--min-user x"},
        {"convert --format pairs --input D/pairs.txt --output D/out --deduplicate once", "first, last and none"},
        {"convert --format pairs --input D/pairs.txt --output D/out --split half", "leave-one-out, ratio:A,B,C and time:T1,T2"},
        {"convert --format pairs --input D/pairs.txt --output D/out --split time:1,2", "no time stamps"},
        {"convert --format pairs --input D/pairs.txt --output D/out --min-rating 3", "no ratings"},
        {"convert --format pairs --input D/pairs.txt --output D/out --shards 3", "3 shards for 2 users"},
        {"convert --format pairs --input D/pairs.txt --output D/out --shards 0", "--shards 0"},
        {"convert --format pairs --input D/pairs.txt --output D/out --header", "belong to --format csv"},
        {"convert --format pairs --input D/pairs.txt --output D/out --columns user=0,item=1",
         "belongs to --format csv and json"},
        {"convert --format pairs --input D/pairs.txt --output D/out --time-unit iso", "has no time stamps"},
        {"convert --format recbole --input D/pairs.txt --output D/out --time-unit hours", "allowed are auto, none"},
        {"convert --format json --input D/pairs.txt --output D/out", "needs --columns"},
        {"convert --format csv --input D/pairs.txt --output D/out", "needs --columns"},
        {"convert --format pairs --input D/pairs.txt --output D/out-taken", "out-taken"},
        {"synth --users 10 --items 10 --mean-length 4 --seed 1 --output D/out", "--mean-length 4"},
        {"synth --users 10 --items 10 --mean-length 8 --output D/out", "--seed is missing"},
        {"synth --users 10 --items 10 --mean-length 8 --seed 1 --shards 11 --output D/out", "only 10 users"},
        {"info", "DIR is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        char arguments[2048] = "";
        for (const char *at = cases[i].arguments; *at; ++at) /* D stands for the directory */
            if (at[0] == 'D' && at[1] == '/')
                strcat(arguments, w->directory);
            else
                snprintf(arguments + strlen(arguments), 2, "%c", *at);
        run_srprep(&w->result, "%s", arguments);
        assert_code(&w->result, 2);
        assert_says(&w->result, cases[i].says);
        assert_outputs(w, 1);
    }
}

static void bad_data_end_with_3_and_missing_files_with_1(void **state)
{
    world *w = *state;
    const char *d = w->directory;
    put(w, "bad.data", "1\t2\t3\t4\n1\t3\t3\t5\n1\t4\t3\tsoon\n");
    run_srprep(&w->result, "convert --format movielens-100k --input %s/bad.data --output %s/out-bad", d, d);
    assert_code(&w->result, 3);
    assert_says(&w->result, "bad.data:3: the time stamp \"soon\" is not a number\n");
    put(w, "twice.txt", "a 1 2\nb 2\na 3\n");
    run_srprep(&w->result, "convert --format sequences --input %s/twice.txt --output %s/out-bad", d, d);
    assert_code(&w->result, 3);
    assert_says(&w->result, "twice.txt:3: user \"a\" has had a line before");
    put(w, "empty", "");
    run_srprep(&w->result, "convert --format pairs --input %s/empty --output %s/out-bad", d, d);
    assert_code(&w->result, 3);
    assert_says(&w->result, "no interaction");
    run_srprep(&w->result, "convert --format pairs --input %s/pairs.txt --min-user 50 --output %s/out-bad", d, d);
    assert_code(&w->result, 3);
    assert_says(&w->result, "nothing is left of 3 interactions");
    run_srprep(&w->result, "convert --format pairs --input %s/missing --output %s/out-bad", d, d);
    assert_code(&w->result, 1);
    assert_says(&w->result, "missing");
    run_srprep(&w->result, "info %s/out-bad", d);
    assert_code(&w->result, 3);
    assert_outputs(w, 1);
}

static void several_files_and_standard_input_are_one_input(void **state)
{
    world *w = *state;
    const char *d = w->directory;
    put(w, "one.csv", "who,what,when\nb,x,3\na,y,2\na,z,2\n");
    put(w, "two.csv", "who,what,when\n");
    put(w, "three.csv", "who,what,when\nb,w,1\na,x,2");
    const char *options = "--format csv --header --columns user=who,item=what,time=when";
    run_srprep(&w->result, "convert %s --input %s/one.csv %s/two.csv %s/three.csv --output %s/out-files", options, d, d, d, d);
    assert_code(&w->result, 0);
    assert_says(&w->result, "read          5 lines, 5 interactions");
    assert_says(&w->result, "40.0 %");
    char directory[256], command[1024];
    snprintf(directory, sizeof directory, "%s/out-files", d);
    sr_dataset *dataset;
    sr_error error;
    if (sr_dataset_open(&dataset, directory, &error) != SR_OK)
        fail_msg("%s", error.message);
    size_t length;
    assert_memory_equal(sr_dataset_user_name(dataset, 0, &length), "b", 1);
    assert_memory_equal(sr_dataset_item_name(dataset, 1, &length), "w", 1); /* b's oldest */
    const sr_sequence a = sr_dataset_sequence(dataset, 1);
    assert_int_equal(a.length, 3);
    assert_memory_equal(a.items, ((const int32_t[]){3, 4, 2}), 3 * sizeof *a.items);
    assert_memory_equal(a.times, ((const int64_t[]){2, 2, 2}), 3 * sizeof *a.times);
    sr_dataset_close(dataset);
    snprintf(command, sizeof command,
             "%s/srprep convert --format pairs --input - --output %s/out-stdin < %s/pairs.txt > /dev/null",
             getenv("SRTRAIN_BINARY_DIRECTORY"), d, d);
    assert_int_equal(system(command), 0);
    run_srprep(&w->result, "info --json %s/out-stdin", d);
    assert_code(&w->result, 0);
    assert_says(&w->result, "\"interactions\":\t3");
    put(w, "untimed.inter", "user_id:token\titem_id:token\na\t1\n");
    put(w, "timed.inter", "user_id:token\titem_id:token\ttimestamp:float\na\t1\t5\n");
    run_srprep(&w->result, "convert --format recbole --input %s/timed.inter %s/untimed.inter --output %s/out-mixed", d, d, d);
    assert_code(&w->result, 3);
    assert_says(&w->result, "untimed.inter lacks time stamps");
}

static void directories_and_lists_name_files_in_order(void **state)
{
    world *w = *state;
    const char *d = w->directory;
    char command[1024];
    snprintf(command, sizeof command,
             "cd %s && mkdir parts && echo 'a 3' > parts/10 && echo 'a 2' > parts/09 && echo 'no pair' > parts/.hidden && "
             "echo 'a 1' > first && printf '%s/first\\n%s/parts\\n' > list",
             d, d, d);
    assert_int_equal(system(command), 0);
    run_srprep(&w->result, "convert --format pairs --input-list %s/list --output %s/read-list", d, d);
    assert_code(&w->result, 0);
    run_srprep(&w->result, "convert --format pairs --input %s/first %s/parts --output %s/read-directory", d, d, d);
    assert_code(&w->result, 0);
    for (int i = 0; i < 2; ++i) {
        char directory[256];
        sr_dataset *dataset;
        sr_error error;
        snprintf(directory, sizeof directory, "%s/read-%s", d, i ? "directory" : "list");
        if (sr_dataset_open(&dataset, directory, &error) != SR_OK)
            fail_msg("%s", error.message);
        assert_int_equal(sr_dataset_interactions(dataset), 3);
        for (int item = 1; item <= 3; ++item) {
            size_t length;
            assert_int_equal(*sr_dataset_item_name(dataset, (size_t)item, &length), '0' + item);
        }
        sr_dataset_close(dataset);
    }
    snprintf(command, sizeof command, "mkdir %s/parts/deeper", d);
    assert_int_equal(system(command), 0);
    run_srprep(&w->result, "convert --format pairs --input %s/parts --output %s/out-deep", d, d);
    assert_code(&w->result, 2);
    assert_says(&w->result, "parts/deeper is a directory");
    run_srprep(&w->result, "convert --format pairs --input - - --output %s/out-deep", d);
    assert_code(&w->result, 2);
    assert_says(&w->result, "only once");
}

static void bad_lines_are_reported_and_only_a_few_are_allowed(void **state)
{
    world *w = *state;
    const char *d = w->directory;
    char command[1024];
    snprintf(command, sizeof command,
             "cd %s && (seq 1 199 | sed 's/.*/u&,i&,5,&/'; echo 'u,i,5,soon') > one && (cat one; echo 'u,i,5'; echo 'u,i,x,7') "
             "> many",
             d);
    assert_int_equal(system(command), 0);
    run_srprep(&w->result, "convert --format amazon-csv --input %s/one --output %s/read-one", d, d);
    assert_code(&w->result, 0);
    assert_says(&w->result, "read          200 lines, 199 interactions\ndropped       1 line: time stamp not understood\n");
    assert_says(&w->result, "/one:200: the time stamp \"soon\" is not a number\n                u,i,5,soon\n");
    run_srprep(&w->result, "convert --format amazon-csv --strict --input %s/one --output %s/out-strict", d, d);
    assert_code(&w->result, 3);
    assert_says(&w->result, "/one:200: the time stamp \"soon\" is not a number\n  u,i,5,soon\n");
    run_srprep(&w->result, "convert --format amazon-csv --input %s/many --output %s/out-many", d, d);
    assert_code(&w->result, 3);
    assert_says(&w->result, "3 of 202 lines do not fit (1.5 %), at most 1 % is allowed:\n1: wrong number of columns, as ");
    assert_says(&w->result, "\n1: rating not a number, as ");
}

static void a_disk_that_is_full_ends_with_1_and_leaves_nothing(void **state)
{
    world *w = *state;
    const char *d = w->directory;
    for (int kilobytes = 1; kilobytes < 10; kilobytes += 4) { /* a limit on the size of files stands for the full disk */
        char command[1024];
        snprintf(command, sizeof command,
                 "ulimit -f %d; trap '' XFSZ; %s/srprep convert --format pairs --input %s/pairs.txt --output %s/out-full > "
                 "%s/message 2>&1; "
                 "test $? -eq 1 && grep -q 'cannot write' %s/message",
                 2 * kilobytes, getenv("SRTRAIN_BINARY_DIRECTORY"), d, d, d, d); /* sh counts blocks of 512 bytes */
        assert_int_equal(system(command), 0);
    }
    assert_outputs(w, 1);
}

static void an_existing_data_set_is_never_overwritten(void **state)
{
    world *w = *state;
    const char *synth = "synth --users 40 --items 20 --mean-length 8 --seed 1 --shards 3";
    run_srprep(&w->result, "%s --output %s/out-synth", synth, w->directory);
    assert_code(&w->result, 0);
    run_srprep(&w->result, "%s --output %s/out-synth", synth, w->directory);
    assert_code(&w->result, 2);
    assert_says(&w->result, "already holds a data set");
    run_srprep(&w->result, "info %s/out-synth", w->directory);
    assert_code(&w->result, 0);
    assert_says(&w->result, "items         20");
    char command[512];
    snprintf(command, sizeof command, "truncate -s -1 %s/out-synth/shard-00002.h5", w->directory);
    assert_int_equal(system(command), 0);
    run_srprep(&w->result, "info %s/out-synth", w->directory);
    assert_code(&w->result, 3);
    assert_says(&w->result, "shard-00002.h5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_and_version_are_no_errors),
        cmocka_unit_test(usage_errors_end_with_2_and_write_nothing),
        cmocka_unit_test(bad_data_end_with_3_and_missing_files_with_1),
        cmocka_unit_test(directories_and_lists_name_files_in_order),
        cmocka_unit_test(bad_lines_are_reported_and_only_a_few_are_allowed),
        cmocka_unit_test(a_disk_that_is_full_ends_with_1_and_leaves_nothing),
        cmocka_unit_test(several_files_and_standard_input_are_one_input),
        cmocka_unit_test(an_existing_data_set_is_never_overwritten),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
