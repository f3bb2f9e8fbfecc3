/* Every benchmark in one go: that one command makes its data, runs them, and brings together what they measured. No test
 * depends on a time. */
#include "json.h"
#include "world.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static int set_up(void **state)
{
    return world_set_up(state, "data: {path: none}\n", "--users 120 --items 60 --mean-length 8 --seed 3");
}

static cJSON *read_json(const char *path)
{
    cJSON *json;
    assert_int_equal(json_read(path, &json, NULL), SR_OK);
    return json;
}

static void check_steps(const cJSON *steps)
{
    static const char *const expected[] = {"sasrec", "caser", "tisasrec"}; /* in the order of the list, not of the options */
    static const char *const parts[] = {"data", "forward", "loss", "backward", "optimizer"};
    assert_int_equal(cJSON_GetArraySize(steps), 6);
    for (int i = 0; i < 6; ++i) {
        const cJSON *row = cJSON_GetArrayItem(steps, i), *times = cJSON_GetObjectItem(row, "milliseconds");
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(row, "model")), expected[i % 3]);
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(row, "data")), i < 3 ? "synth-150-70" : "data");
        for (size_t k = 0; k < sizeof parts / sizeof *parts; ++k)
            assert_true(number_in(times, parts[k]) > 0 && number_in(times, parts[k]) < number_in(times, "step"));
        assert_true(number_in(row, "examples_per_second") > 0 && number_in(row, "peak_memory_mebibytes") > 1);
    }
}

static void check_runs(const cJSON *runs)
{
    static const char *const rates[][2] = {
        {"verify_data", "bytes_per_second"},       {"read_sequences", "interactions_per_second"},
        {"evaluate", "test_cases_per_second"},     {"write_checkpoint", "bytes_per_second"},
        {"verify_checkpoint", "bytes_per_second"}, {"read_checkpoint", "bytes_per_second"}};
    assert_int_equal(cJSON_GetArraySize(runs), 2);
    for (int i = 0; i < 2; ++i) {
        const cJSON *run = cJSON_GetArrayItem(runs, i);
        assert_int_equal((int)number_in(run, "ranks"), 2);
        for (size_t k = 0; k < sizeof rates / sizeof *rates; ++k) {
            const cJSON *part = cJSON_GetObjectItem(run, rates[k][0]);
            assert_true(number_in(part, rates[k][1]) > 0);
            assert_true(number_in(part, "minimum_seconds") <= number_in(part, "seconds"));
            assert_true(number_in(part, "seconds") <= number_in(part, "maximum_seconds"));
        }
        assert_true(number_in(cJSON_GetObjectItem(run, "evaluate"), "test_cases") == (i == 0 ? 150 : 120));
    }
}

static void one_command_runs_everything_and_leaves_one_document(void **state)
{
    world *w = *state;
    char path[WORLD_PATH_SIZE];
    run_built(&w->result, "benchmarks/benchmark_all",
              "--output %s/out --configurations %s/configs --users 150 --items 70 --steps 2 --repetitions 2 --ranks 2 "
              "--bytes 100000 --data %s --models sasrec tisasrec caser",
              w->directory, getenv("SRTRAIN_SOURCE_DIRECTORY"), w->data);
    assert_code(&w->result, 0);
    assert_says(&w->result, "users/s evaluated");
    assert_says(&w->result, "checkpoint written");
    assert_says(&w->result, "bf16");
    assert_says(&w->result, "Single operations");
    world_path(w, "out/all.json", path);
    cJSON *json = read_json(path);
    check_steps(cJSON_GetObjectItem(json, "steps"));
    check_runs(cJSON_GetObjectItem(json, "run"));
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "reduction"), "cases")), 18);
    assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "operations"), "products")) > 0);
    assert_true(number_in(json, "cores") >= 1);
    cJSON_Delete(json);
    char table[PROGRAM_OUTPUT_SIZE];
    world_path(w, "out/all.txt", path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    table[fread(table, 1, sizeof table - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(table, w->result.output); /* the table is what was said */
}

static void what_is_unknown_is_refused(void **state)
{
    world *w = *state;
    run_built(&w->result, "benchmarks/benchmark_all", "--output %s/bad --models nonsense", w->directory);
    assert_code(&w->result, 2);
    assert_says(&w->result, "nonsense");
    run_built(&w->result, "benchmarks/benchmark_all", "--output %s/bad --ranks 0", w->directory);
    assert_code(&w->result, 2);
    run_built(&w->result, "benchmarks/benchmark_run", "%s", w->configuration);
    assert_code(&w->result, 2);
    assert_says(&w->result, "--output DIR is needed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_command_runs_everything_and_leaves_one_document),
        cmocka_unit_test(what_is_unknown_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, world_tear_down);
}
