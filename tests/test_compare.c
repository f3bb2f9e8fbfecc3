/* srtrain compare: which cases are compared, in which groups, and what is refused. The statistics have tests of their own. */
#include "program.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Ranks of targets. The numbers of a.tsv: hr@5 is 2/4, hr@10 is 3/4. */
static const char a_tsv[] = "user\ttarget\trank\tscore\tlength\tpopularity\trepeat\ttop_1\n"
                            "u\\t1\tx\t1\t0.5\t3\t10\t0\tx\n"
                            "u2\ty\t6\t0.5\t4\t20\t1\tx\n"
                            "u3\tz\t0\t-inf\t9\t30\t1\tx\n"
                            "u4\tx\t2\t0.5\t7\t10\t0\tx\n";
/* The same cases in another order, without what is not needed, and one more. */
static const char b_tsv[] = "rank\tuser\ttarget\n"
                            "1\tu4\tx\n"
                            "3\tu2\ty\n"
                            "1\tu3\tz\n"
                            "1\tu\\t1\tx\n"
                            "1\tu5\tx\n";

static void write_file(const program_world *w, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", w->directory, name);
    program_write(path, text);
}

static int set_up(void **state)
{
    const int failed = program_set_up(state);
    if (failed)
        return failed;
    write_file(*state, "a.tsv", a_tsv);
    write_file(*state, "b.tsv", b_tsv);
    return 0;
}

static void compare(program_world *w, int code, const char *arguments)
{
    run_shell(&w->result, w->directory, "srtrain compare %s --resamples 500", arguments);
    assert_code(&w->result, code);
}

static cJSON *read_json(const program_world *w, const char *name)
{
    char path[256], text[16384];
    snprintf(path, sizeof path, "%s/%s", w->directory, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    return json;
}

static const cJSON *metric_of(const cJSON *json, int group, const char *metric)
{
    const cJSON *object = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "groups"), group);
    const cJSON *found = cJSON_GetObjectItem(cJSON_GetObjectItem(object, "metrics"), metric);
    assert_non_null(found);
    return found;
}

static void assert_close(double found, double expected)
{
    if (fabs(found - expected) > 1e-12)
        fail_msg("found %.17g, expected %.17g", found, expected);
}

static void assert_means(const cJSON *json, int group, const char *metric, double a, double b)
{
    const cJSON *found = metric_of(json, group, metric);
    assert_close(number_in(found, "a"), a);
    assert_close(number_in(found, "b"), b);
    assert_close(number_in(found, "difference"), b - a);
}

static void cases_are_paired_whatever_their_order(void **state)
{
    program_world *w = *state;
    compare(w, 0, "a.tsv b.tsv --json both.json");
    assert_says(&w->result, "left out: 0 cases that only A has, 1 that only B has");
    assert_says(&w->result, "all: 4 cases of 4 users");
    cJSON *json = read_json(w, "both.json");
    assert_means(json, 0, "hr@5", 0.5, 1);
    assert_means(json, 0, "hr@10", 0.75, 1);
    assert_means(json, 0, "mrr@10", (1 + 1 / 6.0 + 0 + 0.5) / 4, (1 + 1 / 3.0 + 1 + 1) / 4);
    assert_means(json, 0, "ndcg@5", (1 + 1 / log2(3)) / 4, (1 + 0.5 + 1 + 1) / 4);
    const cJSON *found = metric_of(json, 0, "ndcg@10");
    assert_close(number_in(found, "users_better"), 3);
    assert_close(number_in(found, "users_equal"), 1);
    assert_close(number_in(found, "users_worse"), 0);
    assert_close(number_in(json, "only_b"), 1);
    cJSON_Delete(json);
    compare(w, 0, "b.tsv a.tsv --json turned.json --top-k 5");
    json = read_json(w, "turned.json");
    assert_means(json, 0, "hr@5", 1, 0.5);
    cJSON_Delete(json);
}

static void groups_are_those_of_the_cases(void **state)
{
    program_world *w = *state;
    compare(w, 0, "a.tsv b.tsv --by repeat --json groups.json");
    assert_says(&w->result, "new: 2 cases of 2 users");
    assert_says(&w->result, "repeat: 2 cases of 2 users");
    cJSON *json = read_json(w, "groups.json");
    assert_means(json, 1, "hr@5", 1, 1);
    assert_means(json, 2, "hr@5", 0, 1);
    cJSON_Delete(json);
    compare(w, 0, "b.tsv a.tsv --by popularity --groups 2"); /* what either of the files says */
    assert_says(&w->result, "popularity 10-10: 2 cases");
    assert_says(&w->result, "popularity 20-30: 2 cases");
    compare(w, 2, "a.tsv b.tsv --by length");
    assert_says(&w->result, "--by length: neither file has a column length of its cases that both name them by");
    compare(w, 0, "a.tsv a.tsv --by length --groups 3");
    assert_says(&w->result, "length 3-3: 1 cases");
    assert_says(&w->result, "length 7-9: 2 cases");
    compare(w, 2, "b.tsv b.tsv --by popularity");
    assert_says(&w->result, "--by popularity: neither file has a column popularity");
}

/* Lists of recommended items, of this program or another. */
static void lists_of_other_programs_are_ranked(void **state)
{
    program_world *w = *state;
    write_file(w, "lists.csv", "user,item\nu4,q\nu4,x\nu2,y\nu3,x\nu3,y\nu3,z\n");
    compare(w, 0, "a.tsv lists.csv --top-k 2,3 --json lists.json");
    assert_says(&w->result, "without a list: 1 cases, which count as misses");
    cJSON *json = read_json(w, "lists.json");
    assert_means(json, 0, "hr@2", 0.5, 0.5);
    assert_means(json, 0, "mrr@3", (1 + 0.5) / 4, (0.5 + 1 + 1 / 3.0) / 4);
    cJSON_Delete(json);
    write_file(w, "ranked.tsv", "user\trank\titem\tscore\nu\\t1\t2\tx\t0.1\nu4\t1\tx\t9\n");
    compare(w, 0, "ranked.tsv a.tsv --top-k 1,2 --json ranked.json");
    json = read_json(w, "ranked.json");
    assert_means(json, 0, "hr@1", 0.25, 0.25);
    assert_means(json, 0, "mrr@2", (0.5 + 1) / 4, (1 + 0.5) / 4);
    cJSON_Delete(json);
    compare(w, 2, "a.tsv lists.csv --top-k 4");
    assert_says(&w->result, "--top-k 4: no list has more than 3 items");
    compare(w, 2, "lists.csv ranked.tsv");
    assert_says(&w->result, "one of the two has to name the targets");
    write_file(w, "twice.tsv", "user\titem\nu4\tx\nu4\tx\n");
    compare(w, 3, "a.tsv twice.tsv --top-k 1");
    assert_says(&w->result, "twice.tsv: user \"u4\" has the same item twice in a list");
    write_file(w, "several.tsv", "user\ttarget\trank\nu4\tx\t1\nu4\ty\t1\n");
    compare(w, 3, "several.tsv lists.csv --top-k 1");
    assert_says(&w->result, "several.tsv has several cases of user \"u4\"");
}

/* A user's cases are one unit; without lengths, the same target again is the next case. */
static void several_cases_of_a_user_are_one_unit(void **state)
{
    program_world *w = *state;
    write_file(w, "first.tsv", "user\ttarget\trank\nu\tx\t1\nu\tx\t9\nv\tx\t2\n");
    write_file(w, "second.tsv", "user\ttarget\trank\nv\tx\t2\nu\tx\t2\nu\tx\t1\n");
    compare(w, 0, "first.tsv second.tsv --top-k 1 --json units.json");
    assert_says(&w->result, "all: 3 cases of 2 users");
    cJSON *json = read_json(w, "units.json");
    assert_means(json, 0, "hr@1", 1 / 3.0, 1 / 3.0);
    assert_close(number_in(metric_of(json, 0, "hr@1"), "users_equal"), 2);
    cJSON_Delete(json);
    write_file(w, "lengths.tsv", "user\ttarget\trank\tlength\nu\tx\t1\t5\nu\tx\t9\t5\n");
    compare(w, 3, "lengths.tsv lengths.tsv");
    assert_says(&w->result, "lengths.tsv: user \"u\" has the same case twice");
}

static void the_same_seed_gives_the_same_bytes(void **state)
{
    program_world *w = *state;
    run_shell(&w->result, w->directory,
              "OMP_NUM_THREADS=1 srtrain compare a.tsv b.tsv --seed 3 --json one.json >one.txt && "
              "OMP_NUM_THREADS=3 srtrain compare a.tsv b.tsv --seed 3 --json two.json >two.txt && "
              "cmp one.json two.json && cmp one.txt two.txt");
    assert_code(&w->result, 0);
}

static void bad_files_are_refused_by_line(void **state)
{
    program_world *w = *state;
    write_file(w, "empty.tsv", "");
    compare(w, 3, "a.tsv empty.tsv");
    assert_says(&w->result, "empty.tsv is empty");
    write_file(w, "columns.tsv", "user\titems\n");
    compare(w, 3, "columns.tsv a.tsv");
    assert_says(&w->result, "columns.tsv: expected columns user, target and rank (cases), or user and item");
    write_file(w, "none.tsv", "user\ttarget\trank\n");
    compare(w, 3, "a.tsv none.tsv");
    assert_says(&w->result, "none.tsv holds no cases");
    write_file(w, "short.tsv", "user\ttarget\trank\nu\tx\n");
    compare(w, 3, "a.tsv short.tsv");
    assert_says(&w->result, "short.tsv:2: the line has 2 fields, and none for column rank");
    write_file(w, "number.tsv", "user\ttarget\trank\nu\tx\tfirst\n");
    compare(w, 3, "a.tsv number.tsv");
    assert_says(&w->result, "number.tsv:2: column rank: \"first\" is no whole number");
    write_file(w, "negative.tsv", "user\ttarget\trank\nu\tx\t-1\n");
    compare(w, 3, "a.tsv negative.tsv");
    assert_says(&w->result, "has the rank -1, expected 0 or more");
    write_file(w, "others.tsv", "user\ttarget\trank\nnobody\tx\t1\n");
    compare(w, 3, "a.tsv others.tsv");
    assert_says(&w->result, "a.tsv and others.tsv have no case in common");
    compare(w, 1, "a.tsv missing.tsv");
    assert_says(&w->result, "missing.tsv");
    compare(w, 3, "a.tsv a.h5");
    compare(w, 2, "a.tsv");
    assert_says(&w->result, "CASES-B is missing");
    compare(w, 2, "a.tsv b.tsv a.tsv");
    assert_says(&w->result, "superfluous argument \"a.tsv\" after b.tsv");
    compare(w, 2, "a.tsv b.tsv --top-k 5,5");
    assert_says(&w->result, "--top-k 5,5: expected up to 16 whole numbers");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cases_are_paired_whatever_their_order), cmocka_unit_test(groups_are_those_of_the_cases),
        cmocka_unit_test(lists_of_other_programs_are_ranked),    cmocka_unit_test(several_cases_of_a_user_are_one_unit),
        cmocka_unit_test(the_same_seed_gives_the_same_bytes),    cmocka_unit_test(bad_files_are_refused_by_line),
    };
    return cmocka_run_group_tests(tests, set_up, program_tear_down);
}
