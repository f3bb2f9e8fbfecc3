/* What programs say of data that cannot show what was asked for. */
#include "program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* A data set of 30 users with 8 interactions each, `gap` apart from `first` on, of which every `fast`th gap (0: none) is 10. */
static void make_data(program_world *w, const char *name, long long first, long long gap, int fast)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s.csv", w->directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "u,i,t\n");
    for (int user = 0; user < 30; ++user) {
        long long time = first + 1000LL * user;
        for (int at = 0; at < 8; ++at) {
            fprintf(file, "u%d,i%d,%lld\n", user, (user + 3 * at) % 11, time);
            time += fast && at % fast == 0 ? 10 : gap;
        }
    }
    assert_int_equal(fclose(file), 0);
    run_shell(&w->result, w->directory,
              "srprep convert --format csv --header --columns user=u,item=i,time=t --input %s.csv --output %s", name, name);
    assert_code(&w->result, 0);
}

static int set_up(void **state)
{
    const int failed = program_set_up(state);
    program_world *w = *state;
    if (failed)
        return failed;
    make_data(w, "milliseconds", 1600000000000, 86400000, 0);
    make_data(w, "seconds", 1600000000, 86400, 0);
    make_data(w, "mixed", 1600000000, 86400, 3);
    make_data(w, "numbers", 1, 100000, 0);
    run_shell(&w->result, w->directory,
              "echo 'data: {path: none}\nmodel: {layers: 1, heads: 1, hidden_size: 8, inner_size: 8, max_length: 8}\n"
              "training: {epochs: 1}\nevaluation: {top_k: [5, 10]}' >run.yaml");
    assert_code(&w->result, 0);
    return 0;
}

/* ---- times ---- */

static void train_on(program_world *w, const char *data, const char *options)
{
    run_shell(&w->result, w->directory, "rm -rf run && $MPIEXEC 2 srtrain run.yaml --output run --set data.path=%s %s", data,
              options);
    assert_code(&w->result, 0);
}

static void assert_warns(program_world *w, const char *data, const char *options, const char *share, const char *unit)
{
    train_on(w, data, options);
    assert_says(&w->result, share);
    assert_says(&w->result, unit);
    const char *first = strstr(w->result.output, "of the gaps");
    assert_non_null(first);
    assert_null(strstr(first + 1, "of the gaps")); /* once for all ranks */
}

#define TISASREC "--set model.backbone=tisasrec "

static void gaps_that_tisasrec_does_not_tell_apart_are_warned_of_with_a_unit_that_fits(void **state)
{
    program_world *w = *state;
    assert_warns(w, "milliseconds", TISASREC, "100 % of the gaps between interactions are longer",
                 "model.time_unit: 600000 (the time stamps look like milliseconds)");
    assert_warns(w, "seconds", TISASREC, "100 % of the gaps between interactions are longer",
                 "model.time_unit: 600 (the time stamps look like seconds)");
    assert_warns(w, "mixed", TISASREC, "60 % of the gaps between interactions are longer", "model.time_unit: 600");
    assert_warns(w, "numbers", TISASREC, "100 % of the gaps between interactions are longer", "model.time_unit: 513 most");
    assert_warns(w, "seconds", TISASREC "model.time_unit=100000000", "100 % of the gaps between interactions are shorter",
                 "model.time_unit: 600 ");
}

static void gaps_that_a_model_tells_apart_or_does_not_look_at_are_no_reason_to_warn(void **state)
{
    program_world *w = *state;
    static const char *const options[][2] = {{"milliseconds", TISASREC "model.time_unit=600000"},
                                             {"milliseconds", TISASREC "model.time_unit=86400000"},
                                             {"seconds", TISASREC "model.time_unit=600"},
                                             {"mixed", TISASREC "model.time_unit=600"},
                                             {"milliseconds", ""}};
    for (size_t i = 0; i < sizeof options / sizeof *options; ++i) {
        train_on(w, options[i][0], options[i][1]);
        assert_does_not_say(&w->result, "of the gaps");
    }
}

/* ---- test cases ---- */

static void metrics_of_no_case_are_no_metrics(void **state)
{
    program_world *w = *state;
    run_shell(&w->result, w->directory,
              "srprep convert --format csv --header --columns user=u,item=i,time=t --input seconds.csv --output whole "
              "--split ratio:1,0,0");
    assert_code(&w->result, 0);
    train_on(w, "whole", "");
    assert_says(&w->result, "holds nothing out for validation");
    assert_says(&w->result, "holds nothing out for the test: there are no test metrics");
    assert_does_not_say(&w->result, "hr@");
    for (int ranks = 1; ranks <= 2; ++ranks)
        for (int test = 0; test < 2; ++test) {
            run_shell(&w->result, w->directory, "$MPIEXEC %d srtrain evaluate run/best.h5 --json no.json --split %s", ranks,
                      test ? "test" : "valid");
            assert_code(&w->result, 3);
            assert_says(&w->result, test ? "holds nothing out for the test split" : "holds nothing out for the valid split");
            assert_does_not_say(&w->result, "hr@");
        }
    run_shell(&w->result, w->directory,
              "test ! -e no.json && ! grep hr@ run/metrics.jsonl && grep -c '\"cases\":0' run/metrics.jsonl");
    assert_code(&w->result, 0);
}

static void a_single_case_has_no_standard_error(void **state)
{
    program_world *w = *state;
    run_shell(&w->result, w->directory,
              "echo a 1 2 3 4 >few.txt && srprep convert --format sequences --input few.txt --output few && "
              "srtrain run.yaml --set data.path=few --output single && "
              "srtrain evaluate single/best.h5 --json single.json && cat single.json");
    assert_code(&w->result, 0);
    assert_says(&w->result, "1 cases");
    assert_says(&w->result, "+- -");
    assert_says(&w->result, "\"hr@5_error\":\tnull");
}

/* With 11 items, K = 50 reaches behind all that are not in a history. */
static void a_target_that_is_left_out_is_a_miss_however_deep_one_looks(void **state)
{
    program_world *w = *state;
    run_shell(
        &w->result, w->directory,
        "for user in 1 2 3 4 5 6; do echo u$user 1 2 3 4 5 6 7 8 9 10 11 1; done >seen.txt && "
        "srprep convert --format sequences --input seen.txt --output seen && "
        "srtrain run.yaml --set data.path=seen 'evaluation.top_k=[10, 50]' evaluation.history=exclude --output seen-run && "
        "srtrain evaluate seen-run/best.h5 && srtrain recommend seen-run/best.h5 --top-k 50");
    assert_code(&w->result, 0);
    assert_says(&w->result, "hr@50      0.0000 +- 0.0000     0.0000 +- 0.0000");
    assert_says(&w->result, "ndcg@50    0.0000 +- 0.0000     0.0000 +- 0.0000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gaps_that_tisasrec_does_not_tell_apart_are_warned_of_with_a_unit_that_fits),
        cmocka_unit_test(gaps_that_a_model_tells_apart_or_does_not_look_at_are_no_reason_to_warn),
        cmocka_unit_test(metrics_of_no_case_are_no_metrics),
        cmocka_unit_test(a_single_case_has_no_standard_error),
        cmocka_unit_test(a_target_that_is_left_out_is_a_miss_however_deep_one_looks),
    };
    return cmocka_run_group_tests(tests, set_up, program_tear_down);
}
