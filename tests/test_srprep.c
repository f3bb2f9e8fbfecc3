/* srprep as a user runs it: exit codes, messages, reports. */
#include "optional.h"
#include "program.h"
#include "srtrain/dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

typedef program_world world;

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
    assert_says(&w->result, "(commit ");
}

static void usage_errors_end_with_2_and_write_nothing(void **state)
{
    world *w = *state;
    put(w, "pairs.txt", "a 1\na 2\nb 1\n");
    put(w, "out-taken", "");
    const struct {
        const char *arguments, *says;
    } cases[] = {
        {"", "a command is missing (srprep --help)"},
        {"konvert", "did you mean convert?"},
        {"convert --input D/pairs.txt --output D/out", "--format is missing"},
        {"convert --input D/u.data.gz --output D/out", "u.data.gz is called like files of movielens-100k"},
        {"convert --format csv --columns user=0,item=1 --no-quotes --multiline-quotes --input D/pairs.txt --output D/out",
         "--no-quotes and --multiline-quotes exclude each other"},
        {"convert --format pair --input D/pairs.txt --output D/out", "did you mean pairs?"},
        {"convert --format pairs --input D/pairs.txt", "--output is missing"},
        {"convert --format pairs --output D/out", "--input is missing"},
        {"convert --format pairs --input D/pairs.txt '' --output D/out", "--input needs a value, and found an empty one"},
        {"convert --format pairs --input D/pairs.txt --output ''", "--output needs a value, and found an empty one"},
        {"convert --format pairs --inptu D/pairs.txt --output D/out", "did you mean --input?"},
        {"convert --format pairs --input D/pairs.txt --output D/out --min-user x", "--min-user x"},
        {"convert --format pairs --input D/pairs.txt --output D/out --deduplicate once",
         "allowed are none, first, last and consecutive"},
        {"convert --format pairs --input D/pairs.txt --output D/out --split half",
         "leave-one-out:test, ratio:A,B,C, time:T1,T2, time-quantile:A,B,C"},
        {"convert --format pairs --input D/pairs.txt --output D/out --split time:1,2", "no time stamps"},
        {"convert --format pairs --input D/pairs.txt --output D/out --min-rating 3", "no ratings"},
        {"convert --format pairs --input D/pairs.txt --output D/out --shards 3", "3 shards for 2 users"},
        {"convert --format pairs --input D/pairs.txt --output D/out --shards 0", "--shards 0"},
        {"convert --format pairs --input D/pairs.txt --output D/out --header",
         "--header belongs to --format csv, not to pairs"},
        {"convert --format pairs --input D/pairs.txt --output D/out --columns user=0,item=1",
         "belongs to --format recbole, csv, json and python"},
        {"convert --format pairs --input D/pairs.txt --output D/out --time-unit iso", "has no time stamps"},
        {"convert --format recbole --input D/pairs.txt --output D/out --time-unit hours", "allowed are auto, none"},
        {"convert --format json --input D/pairs.txt --output D/out", "needs --columns"},
        {"convert --format csv --input D/pairs.txt --output D/out", "needs --columns"},
        {"convert --format pairs --input D/pairs.txt --output D/out-taken", "out-taken"},
        {"synth --users 10 --items 10 --mean-length 4 --seed 1 --output D/out", "--mean-length 4"},
        {"synth --users 10 --items 10 --mean-length 8 --output D/out", "--seed is missing"},
        {"synth --users 10 --items 10 --mean-length 8 --seed 1 --shards 11 --output D/out", "only 10 users"},
        {"convert --format pairs --input D/pairs.txt --output D/out --after 5", "--after: this input has no time stamps"},
        {"convert --format pairs --input D/pairs.txt --output D/out --max-length 0", "--max-length 0"},
        {"convert --format pairs --input D/pairs.txt --output D/out --memory 5", "--memory 5"},
        {"convert --format pairs --input D/pairs.txt --output D/out --memory 5X", "allowed is a number of bytes"},
        {"synth --users 10 --items 10 --mean-length 8 --seed 1 --memory 1Mb --output D/out", "--memory 1Mb"},
        {"synth --users 10 --items 2147483647 --mean-length 8 --seed 1 --output D/out",
         "allowed is a whole number from 1 to 2147483646"},
        {"synth --users 10 --items 10 --mean-length 8 --seed 1 --popularity zipf --clusters 3 --output D/out",
         "--clusters: with --popularity zipf there are none"},
        {"synth --users 10 --items 10 --mean-length 8 --seed 1 --item-order popularity --output D/out",
         "only with --popularity zipf"},
        {"info", "DIR is missing"},
        {"export D/nowhere --format text", "allowed are sequences and csv"},
        {"export D/nowhere --parts", "--parts belongs to --format csv"},
        {"convert --format recbole --input D/pairs.txt --output D/out --time-format %Y-%q",
         "a directive that is not known; known"},
        {"convert --format recbole --input D/pairs.txt --output D/out --time-format %Y --time-unit seconds",
         "--time-format says what dates are like, but --time-unit seconds that there are none"},
        {"convert --format recbole --input D/pairs.txt --output D/out --where a=1 --where a=2",
         "the column \"a\" was given before; its values go into one --where"},
        {"convert --format recbole --input D/pairs.txt --output D/out --where a", "expected COLUMN=VALUE"},
        {"convert --format pairs --input D/pairs.txt --output D/out --where a=1", "--where belongs to --format recbole"},
        {"convert --format pairs --input D/pairs.txt --output D/out --no-user", "--no-user belongs to --format recbole"},
        {"convert --format pairs --input D/pairs.txt --output D/out --cold ice", "allowed are keep, drop, items and users"},
        {"convert --format pairs --input D/pairs.txt --output D/out --max-user 0", "--max-user 0"},
        {"convert --format csv --delimiter blanks --multiline-quotes --columns user=0,item=1 --input D/pairs.txt --output "
         "D/out",
         "with --delimiter blanks quotes are characters"},
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

static void the_unit_of_time_is_reported(void **state)
{
    world *w = *state;
    const char *d = w->directory;
    put(w, "fractions", "u,i,1,5\nu,j,1,12.25\n");
    run_srprep(&w->result, "convert --format amazon-csv --input %s/fractions --output %s/read-fractions", d, d);
    assert_code(&w->result, 0);
    assert_says(&w->result, "time stamps   from 500 to 1225\n");
    assert_says(&w->result, "time unit     number, times 10^2: from 5.00 to 12.25\n");
    put(w, "dates", "u,i,1,2016-07-25T06:28:49Z\nu,j,1,2016-07-26\n");
    run_srprep(&w->result, "convert --format amazon-csv --input %s/dates --output %s/read-dates", d, d);
    assert_code(&w->result, 0);
    assert_says(&w->result, "time unit     seconds since 1970: from 2016-07-25 06:28:49 to 2016-07-26 00:00:00\n");
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

/* ---- the same data set however it is made ---- */

/* Fails unless two directories hold the same files to the byte. */
static void assert_same_files(const world *w, const char *left, const char *right)
{
    char command[1024];
    snprintf(command, sizeof command, "diff -r %s/%s %s/%s", w->directory, left, w->directory, right);
    if (system(command) != 0)
        fail_msg("%s differs from %s", right, left);
}

/* Fails if there is anything whose name begins like this in the directory. */
static void assert_missing(const world *w, const char *name)
{
    char command[512];
    snprintf(command, sizeof command, "test -z \"$(ls -d %s/%s* 2>/dev/null)\"", w->directory, name);
    assert_int_equal(system(command), 0);
}

static void remove_output(const world *w, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", w->directory, name);
    program_remove_directory(path);
}

/* Lines of format movielens-100k with ties and repetitions, in no order; lines first to end - 1 of all. */
static void write_ratings(const world *w, const char *name, int first, int end)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", w->directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    uint32_t random = 7;
    for (int i = 0; i < end; ++i) {
        uint32_t draws[5];
        for (int k = 0; k < 5; ++k) {
            random = random * 1664525u + 1013904223u;
            draws[k] = random >> 8;
        }
        if (i >= first)
            fprintf(file, "user-%u\t%u\t%u\t%u\n", draws[0] % 3000 * (draws[1] % 8) / 7, draws[2] % 900 * (draws[1] % 5) / 4,
                    draws[3] % 5 + 1, draws[4] % 5000);
    }
    assert_int_equal(fclose(file), 0);
}

static void ranks_and_memory_do_not_change_a_byte(void **state)
{
    world *w = *state;
    const char *d = w->directory;
    char command[512];
    write_ratings(w, "first.data", 0, 20000);
    write_ratings(w, "second.data", 20000, 31000);
    write_ratings(w, "third.data", 31000, 60000);
    snprintf(command, sizeof command, "gzip %s/second.data", d);
    assert_int_equal(system(command), 0);
    const struct {
        const char *name, *options;
    } cases[] = {{"plain", "--shards 3"},
                 {"filters", "--shards 2 --min-rating 2 --after 100 --before 4900 --deduplicate last --min-user 5 --min-item 6 "
                             "--max-length 40 --split time:3000,4000"}};
    for (size_t i = 0; i < 2; ++i) {
        for (int run = 0; run < 6; ++run) { /* plain, within little memory, and on 1 to 4 ranks */
            const char *memory = run == 1 || run == 4 ? "--memory 1M" : "";
            char arguments[1024];
            snprintf(arguments, sizeof arguments,
                     "convert --format movielens-100k --input %s/first.data %s/second.data.gz %s/third.data %s %s --output "
                     "%s/out-%s%s",
                     d, d, d, cases[i].options, memory, d, cases[i].name, run ? "-again" : "");
            if (run < 2)
                run_srprep(&w->result, "%s", arguments);
            else
                run_srprep_on(&w->result, run - 1, "%s", arguments);
            assert_code(&w->result, 0);
            assert_says(&w->result, "read          60000 lines, 60000 interactions");
            if (run == 0)
                continue;
            char again[128], first[64];
            snprintf(first, sizeof first, "out-%s", cases[i].name);
            snprintf(again, sizeof again, "%s-again", first);
            assert_same_files(w, first, again);
            remove_output(w, again);
        }
    }
    remove_output(w, "out-plain");
    remove_output(w, "out-filters");
    assert_missing(w, "srprep.tmp");
}

static void ranks_do_not_change_what_is_wrong(void **state)
{
    world *w = *state;
    const char *d = w->directory;
    put(w, "lines.txt", "a x y\nb x\nc x y z\nd z z\na y\n");
    for (int ranks = 1; ranks <= 3; ++ranks) { /* also where the lines of a user are on different ranks */
        run_srprep_on(&w->result, ranks, "convert --format sequences --input %s/lines.txt --output %s/out-lines", d, d);
        assert_code(&w->result, 3);
        assert_says(&w->result, "lines.txt:5: user \"a\" has had a line before");
        run_srprep_on(&w->result, ranks, "convert --format pairs --strict --input %s/lines.txt --output %s/out-lines", d, d);
        assert_code(&w->result, 3);
        assert_says(&w->result, "lines.txt:1: ");
        run_srprep_on(&w->result, ranks, "convert --format pairs --input %s/lines.txt --output %s/out-lines", d, d);
        assert_code(&w->result, 3);
        assert_says(&w->result, "lines.txt:1: ");
        run_srprep_on(&w->result, ranks, "convert --format pairs --input %s/missing --output %s/out-lines", d, d);
        assert_code(&w->result, 1);
    }
    assert_missing(w, "out-lines");
}

/* ---- reports and export ---- */

/* The fingerprint of DIRECTORY/NAME into a buffer of 33 bytes. */
static void fingerprint_of(const world *w, const char *name, char *fingerprint)
{
    char directory[256];
    sr_dataset *dataset;
    sr_error error;
    snprintf(directory, sizeof directory, "%s/%s", w->directory, name);
    if (sr_dataset_open(&dataset, directory, &error) != SR_OK || sr_dataset_verify(dataset, 0, 1, &error) != SR_OK)
        fail_msg("%s", error.message);
    snprintf(fingerprint, 33, "%s", sr_dataset_fingerprint(dataset));
    sr_dataset_close(dataset);
}

static void what_is_exported_converts_to_the_same_data_set(void **state)
{
    world *w = *state;
    const char *d = w->directory;
    char first[33], again[33];
    put(w, "odd.csv",
        "\"a, \"\"b\"\"\",x,5\nc,\"two\nlines\",-3\n\"a, \"\"b\"\"\",\"two\nlines\",5\nc,x,7\n\xC3\xA9,\" \",7\n");
    run_srprep(&w->result, "convert --format csv --columns user=0,item=1,time=2 --input %s/odd.csv --output %s/out-odd", d, d);
    assert_code(&w->result, 0);
    run_srprep(&w->result, "export %s/out-odd --format csv --output %s/odd-again.csv", d, d);
    assert_code(&w->result, 0);
    run_srprep(&w->result,
               "convert --format csv --header --columns user=user,item=item,time=time --input %s/odd-again.csv --output "
               "%s/out-again",
               d, d);
    assert_code(&w->result, 0);
    fingerprint_of(w, "out-odd", first);
    fingerprint_of(w, "out-again", again);
    assert_string_equal(first, again);
    remove_output(w, "out-again");
    run_srprep(&w->result, "export %s/out-odd", d);
    assert_code(&w->result, 3);
    assert_says(&w->result, "holds blanks or line ends");
    remove_output(w, "out-odd");
    run_srprep(&w->result, "convert --format pairs --input %s/pairs.txt --output %s/out-pairs", d, d);
    assert_code(&w->result, 0);
    run_srprep(&w->result, "export %s/out-pairs --format csv", d);
    assert_code(&w->result, 0);
    assert_string_equal(w->result.output, "user,item\na,1\na,2\nb,1\n");
    run_srprep(&w->result, "export %s/out-pairs", d);
    assert_string_equal(w->result.output, "a 1 2\nb 1\n");
    put(w, "again.txt", w->result.output);
    run_srprep(&w->result, "convert --format sequences --input %s/again.txt --output %s/out-again", d, d);
    assert_code(&w->result, 0);
    fingerprint_of(w, "out-pairs", first);
    fingerprint_of(w, "out-again", again);
    assert_string_equal(first, again);
    run_srprep(&w->result, "export %s/out-pairs --output %s/again.txt", d, d);
    assert_code(&w->result, 2);
    assert_says(&w->result, "exists already");
    remove_output(w, "out-again");
    remove_output(w, "out-pairs");
}

/* Fails unless DIRECTORY/report.json holds `text`. */
static void assert_reported(const world *w, const char *text)
{
    char command[1024];
    snprintf(command, sizeof command, "tr -d ' \t\n' < %s/report.json | grep -qF '%s'", w->directory, text);
    if (system(command) != 0)
        fail_msg("the report lacks %s", text);
}

static void the_report_says_what_was_dropped_and_what_is_left(void **state)
{
    world *w = *state;
    const char *d = w->directory;
    put(w, "rated.data",
        "a\tx\t5\t10\na\ty\t5\t20\na\tz\t1\t30\na\tx\t5\t40\nb\tx\t5\t15\nb\ty\t5\t25\nb\tw\t5\t26\n"
        "c\tx\t5\t90\nc\ty\t5\t91\nd\tq\t5\t12\nb\tv\t5\t44\n");
    put(w, "list.txt", "x\ny\nz\nw\nv\n");
    run_srprep(
        &w->result,
        "convert --format movielens-100k --input %s/rated.data --min-rating 2 --before 91 --items %s/list.txt "
        "--deduplicate first --min-user 2 --max-length 3 --split time:26,44 --report %s/report.json --output %s/out-report",
        d, d, d, d);
    assert_code(&w->result, 0);
    assert_says(&w->result, "read          11 lines, 11 interactions");
    assert_says(&w->result, "dropped       1 rated below 2");
    assert_says(&w->result, "dropped       1 outside the time range");
    assert_says(&w->result, "dropped       1 of items that are not in the list");
    assert_says(&w->result, "dropped       1 repeated (user, item) pairs");
    assert_says(&w->result, "dropped       1 by the core of 2 a user, 0 an item, in 2 rounds");
    assert_says(&w->result, "dropped       1 in front of the last 3 of a user");
    assert_says(&w->result, "split         time:26,44: 1 validation and 1 test cases");
    assert_says(&w->result, "unseen        0 users have nothing for training, 2 items with 2 interactions");
    assert_says(&w->result, "time stamps   from 10 to 44");
    assert_says(&w->result, "Gini 0.150");
    assert_says(&w->result, "2-3               2 ####");
    assert_reported(w, "\"read\":{\"lines\":11,\"interactions\":11}");
    assert_reported(w, "\"dropped_interactions\":{\"rating\":1,\"time\":1,\"items\":1,\"duplicates\":1,\"capped\":0,\"core\":1,"
                       "\"cold_users\":0,"
                       "\"cold_items\":0,\"length\":1}");
    assert_reported(w, "\"users\":2,\"items\":4,\"interactions\":5,\"shards\":1");
    assert_reported(w, "\"first_time\":10,\"last_time\":44");
    assert_reported(w, "\"before\":\"91\"");
    remove_output(w, "out-report");
}

/* ---- what must not happen ---- */

static void a_killed_conversion_leaves_a_complete_data_set_or_none(void **state)
{
    world *w = *state;
    char command[2048];
    write_ratings(w, "kill.data", 0, 60000);
    /* Every directory that a kill leaves behind is either complete or refused. */
    snprintf(
        command, sizeof command,
        "cd %s; prep=$SRTRAIN_BINARY_DIRECTORY/srprep; for wait in 0.00 0.01 0.02 0.03 0.05 0.07 0.10 0.15 0.2 0.3; do "
        "$prep convert --format movielens-100k --input kill.data --memory 1M --shards 8 --output killed/data >/dev/null 2>&1 & "
        "sleep $wait; kill -9 $! 2>/dev/null; wait $! 2>/dev/null; "
        "for left in killed/data killed/data.tmp-*; do test -d $left || continue; "
        "$prep info $left > message 2>&1; code=$?; "
        "if test $code -eq 0; then grep -q 'checksums verified' message || exit 1; "
        "else test $code -eq 3 && grep -q 'srprep: error: ' message && test $left != killed/data || exit 2; fi; done; "
        "rm -rf killed; done",
        w->directory);
    assert_int_equal(system(command), 0);
}

static void a_small_disk_is_a_clear_error(void **state)
{
    world *w = *state;
    char command[2048];
    write_ratings(w, "disk.data", 0, 60000);
    snprintf(command, sizeof command, "mkdir %s/disk && mount -t tmpfs -o size=700k none %s/disk 2>/dev/null", w->directory,
             w->directory);
    if (system(command) != 0) {
        skip_because("a small file system cannot be mounted here");
    }
    /* Of each a line in `outcome`: the exit code, and how many files are left. First the data set does not fit, then the
     * temporary files do not. */
    snprintf(command, sizeof command,
             "cd %s; prep=$SRTRAIN_BINARY_DIRECTORY/srprep; convert='convert --format movielens-100k --input disk.data'; "
             "$prep $convert --output disk/data > message-1 2>&1; echo $? $(ls disk | wc -l) > outcome; "
             "$prep $convert --memory 1M --temporary disk --output out-disk > message-2 2>&1; "
             "echo $? $(ls disk | wc -l) >> outcome; umount disk",
             w->directory);
    assert_int_equal(system(command), 0);
    snprintf(
        command, sizeof command,
        "cd %s; cat outcome message-1 message-2; test \"$(cat outcome)\" = \"$(printf '1 0\\n1 0')\" && "
        "grep -q 'error: .*cannot write' message-1 && grep -q 'cannot write to the temporary file .*No space left' message-2",
        w->directory);
    assert_int_equal(system(command), 0);
    assert_missing(w, "out-disk");
}

int main(int argument_count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_and_version_are_no_errors),
        cmocka_unit_test(usage_errors_end_with_2_and_write_nothing),
        cmocka_unit_test(bad_data_end_with_3_and_missing_files_with_1),
        cmocka_unit_test(directories_and_lists_name_files_in_order),
        cmocka_unit_test(bad_lines_are_reported_and_only_a_few_are_allowed),
        cmocka_unit_test(the_unit_of_time_is_reported),
        cmocka_unit_test(a_disk_that_is_full_ends_with_1_and_leaves_nothing),
        cmocka_unit_test(several_files_and_standard_input_are_one_input),
        cmocka_unit_test(an_existing_data_set_is_never_overwritten),
        cmocka_unit_test(ranks_and_memory_do_not_change_a_byte),
        cmocka_unit_test(ranks_do_not_change_what_is_wrong),
        cmocka_unit_test(what_is_exported_converts_to_the_same_data_set),
        cmocka_unit_test(the_report_says_what_was_dropped_and_what_is_left),
        cmocka_unit_test(a_killed_conversion_leaves_a_complete_data_set_or_none),
        cmocka_unit_test(a_small_disk_is_a_clear_error),
    };
    return run_chosen_tests(argument_count, arguments, tests, sizeof tests / sizeof *tests, program_set_up, program_tear_down);
}
