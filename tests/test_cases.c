/* srtrain evaluate --cases: user, target, rank and the best items of every test case, the same bytes on any number of ranks. */
#include "srtrain/dataset.h"
#include "world.h"

#include <cjson/cJSON.h>
#include <hdf5.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { USERS = 900, ITEMS = 60 };

static int set_up(void **state)
{
    const int result = world_set_up(state,
                                    "data: {path: none}\n"
                                    "model: {hidden_size: 8, inner_size: 8, max_length: 8, layers: 1}\n"
                                    "training: {epochs: 1, batch_size: 512, learning_rate: 0.01}\n"
                                    "evaluation: {every_epochs: 0}\n",
                                    "--users 900 --items 60 --mean-length 9 --seed 3");
    world *w = *state;
    world_train(w, 0, "run", "--set training.threads=1");
    assert_code(&w->result, 0);
    return result;
}

static void shell(world *w, const char *command)
{
    run_shell(&w->result, w->directory, "%s", command);
    assert_code(&w->result, 0);
}

/* Runs "srtrain evaluate RUN/best.h5 OPTIONS" in the world's directory, on 0 ranks without mpirun. */
static void evaluate(world *w, int ranks, int code, const char *run, const char *options)
{
    char launcher[32] = "";
    if (ranks)
        snprintf(launcher, sizeof launcher, "$MPIEXEC %d ", ranks);
    run_shell(&w->result, w->directory, "%ssrtrain evaluate %s/best.h5 %s", launcher, run, options);
    assert_code(&w->result, code);
}

/* Batches are small, so that every rank has many. */
static void any_number_of_ranks_and_threads_writes_the_same_bytes(void **state)
{
    world *w = *state;
    evaluate(w, 0, 0, "run", "--cases one.tsv --set evaluation.batch_size=16");
    evaluate(w, 0, 0, "run", "--cases one.h5 --set evaluation.batch_size=16 --cases-top-k 3");
    for (int ranks = 2; ranks <= 4; ++ranks) {
        evaluate(w, ranks, 0, "run", "--cases many.tsv --set evaluation.batch_size=16");
        evaluate(w, ranks, 0, "run", "--cases many.h5 --set evaluation.batch_size=16 --cases-top-k 3");
        shell(w, "cmp one.tsv many.tsv && cmp one.h5 many.h5");
    }
    shell(w, "export OMP_NUM_THREADS=3; srtrain evaluate run/best.h5 --cases many.tsv --set evaluation.batch_size=16 && "
             "cmp one.tsv many.tsv && ! ls | grep tmp");
}

static void a_divided_item_table_writes_the_same_bytes(void **state)
{
    world *w = *state;
    world_train(w, 0, "divided", "--set model.item_table=divided --set training.threads=1");
    assert_code(&w->result, 0);
    evaluate(w, 0, 0, "divided", "--cases one.tsv --set evaluation.history=exclude");
    evaluate(w, 3, 0, "divided", "--cases many.tsv --set evaluation.history=exclude");
    shell(w, "cmp one.tsv many.tsv && export OMP_NUM_THREADS=2 && $MPIEXEC 2 srtrain evaluate divided/best.h5 "
             "--cases threads.tsv --set evaluation.history=exclude && cmp one.tsv threads.tsv");
}

/* Several cases of a user, and users without any. */
static void every_held_out_interaction_is_a_case(void **state)
{
    world *w = *state;
    shell(w, "srprep export data --output data.txt >/dev/null; "
             "srprep convert --format sequences --input data.txt --output parts --split ratio:0.6,0.2,0.2 >/dev/null && "
             "srtrain test.yaml --set data.path=parts --output parts-run --set training.threads=1");
    evaluate(w, 0, 0, "parts-run", "--cases one.tsv --split valid --set evaluation.batch_size=5");
    evaluate(w, 3, 0, "parts-run", "--cases many.tsv --split valid --set evaluation.batch_size=5");
    shell(w, "cmp one.tsv many.tsv");
    char path[WORLD_PATH_SIZE], line[1024];
    sr_dataset *dataset;
    world_path(w, "parts", path);
    assert_int_equal(sr_dataset_open(&dataset, path, NULL), SR_OK);
    world_path(w, "one.tsv", path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    for (size_t user = 0; user < sr_dataset_users(dataset); ++user) {
        const sr_sequence sequence = sr_dataset_sequence(dataset, user);
        for (size_t at = sequence.train_end; at < sequence.valid_end; ++at) {
            char expected[256];
            size_t user_length, item_length, rank;
            const char *name = sr_dataset_user_name(dataset, user, &user_length);
            const char *item = sr_dataset_item_name(dataset, (size_t)sequence.items[at], &item_length);
            assert_non_null(fgets(line, sizeof line, file));
            snprintf(expected, sizeof expected, "%.*s\t%.*s\t", (int)user_length, name, (int)item_length, item);
            assert_memory_equal(line, expected, strlen(expected));
            assert_int_equal(sscanf(line + strlen(expected), "%zu", &rank), 1);
            snprintf(expected, sizeof expected, "\t%zu\t%lld\t", at,
                     (long long)sr_dataset_popularity(dataset)[sequence.items[at]]);
            assert_non_null(strstr(line, expected));
        }
    }
    assert_null(fgets(line, sizeof line, file));
    fclose(file);
    sr_dataset_close(dataset);
}

/* The metrics are means over the ranks in the file, and a target stands in the list at its rank. */
static void metrics_follow_from_the_file(void **state)
{
    world *w = *state;
    char path[WORLD_PATH_SIZE], line[1024], text[8192];
    evaluate(w, 0, 0, "run", "--cases cases.tsv --json metrics.json --set evaluation.history=exclude");
    world_path(w, "metrics.json", path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    cJSON *json = cJSON_Parse(text);
    world_path(w, "cases.tsv", path);
    file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    assert_string_equal(line,
                        "user\ttarget\trank\tscore\tlength\tpopularity\trepeat\ttop_1\ttop_2\ttop_3\ttop_4\ttop_5\ttop_6\t"
                        "top_7\ttop_8\ttop_9\ttop_10\n");
    double gain = 0;
    size_t cases = 0, repeats = 0;
    for (; fgets(line, sizeof line, file); ++cases) {
        char target[32], top[10][32];
        unsigned rank, length, popularity, repeat;
        double score;
        assert_int_equal(sscanf(line, "%*s %31s %u %lf %u %u %u %31s %31s %31s %31s %31s %31s %31s %31s %31s %31s", target,
                                &rank, &score, &length, &popularity, &repeat, top[0], top[1], top[2], top[3], top[4], top[5],
                                top[6], top[7], top[8], top[9]),
                         16);
        assert_true((rank == 0) == (repeat == 1));
        assert_true((rank == 0) == (isinf(score) && score < 0));
        repeats += repeat;
        for (size_t k = 0; k < 10; ++k)
            assert_int_equal(strcmp(top[k], target) == 0, rank == k + 1);
        gain += rank >= 1 && rank <= 10 ? 1 / log2(rank + 1.0) : 0;
    }
    fclose(file);
    assert_int_equal(cases, USERS);
    assert_true(repeats > 0);
    assert_true(fabs(number_in(cJSON_GetObjectItem(json, "model"), "ndcg@10") - gain / USERS) < 1e-9);
    cJSON_Delete(json);
}

static void *read_column(hid_t file, const char *name, hid_t type, size_t elements)
{
    const hid_t set = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(set);
    assert_int_equal(H5Sget_simple_extent_npoints(space), elements);
    char *values = calloc(elements, H5Tget_size(type));
    assert_true(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Sclose(space);
    H5Dclose(set);
    return values;
}

static void both_files_hold_the_same(void **state)
{
    world *w = *state;
    enum { TEXT = 32 };
    char path[WORLD_PATH_SIZE], line[256];
    evaluate(w, 0, 0, "run", "--cases both.tsv --cases-top-k 2");
    evaluate(w, 0, 0, "run", "--cases both.h5 --cases-top-k 2");
    world_path(w, "both.h5", path);
    const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), text = H5Tcopy(H5T_C_S1);
    assert_true(file >= 0 && H5Tset_size(text, TEXT) >= 0);
    char(*users)[TEXT] = read_column(file, "user", text, USERS), (*targets)[TEXT] = read_column(file, "target", text, USERS);
    char(*top)[TEXT] = read_column(file, "top", text, 2 * (size_t)USERS);
    int *ranks = read_column(file, "rank", H5T_NATIVE_INT, USERS),
        *lengths = read_column(file, "length", H5T_NATIVE_INT, USERS);
    int *repeats = read_column(file, "repeat", H5T_NATIVE_INT, USERS);
    long *popularity = read_column(file, "popularity", H5T_NATIVE_LONG, USERS);
    float *scores = read_column(file, "score", H5T_NATIVE_FLOAT, USERS);
    world_path(w, "both.tsv", path);
    FILE *lines = fopen(path, "r");
    assert_non_null(lines);
    assert_non_null(fgets(line, sizeof line, lines));
    for (size_t i = 0; i < USERS; ++i) {
        char expected[512];
        assert_non_null(fgets(line, sizeof line, lines));
        snprintf(expected, sizeof expected, "%s\t%s\t%d\t%.9g\t%d\t%ld\t%d\t%s\t%s\n", users[i], targets[i], ranks[i],
                 (double)scores[i], lengths[i], popularity[i], repeats[i], top[2 * i], top[2 * i + 1]);
        assert_string_equal(line, expected);
    }
    assert_null(fgets(line, sizeof line, lines));
    fclose(lines);
    void *const all[] = {users, targets, top, ranks, lengths, repeats, popularity, scores};
    for (size_t i = 0; i < sizeof all / sizeof *all; ++i)
        free(all[i]);
    H5Tclose(text);
    H5Fclose(file);
}

/* What evaluation writes is what comparison reads, in both forms. */
static void files_of_cases_are_compared(void **state)
{
    world *w = *state;
    evaluate(w, 0, 0, "run", "--cases keep.h5 --cases-top-k 0");
    evaluate(w, 0, 0, "run", "--cases exclude.tsv --set evaluation.history=exclude");
    shell(w, "srtrain compare keep.h5 exclude.tsv --by repeat --resamples 100");
    assert_says(&w->result, "all: 900 cases of 900 users");
    assert_says(&w->result, "new: ");
    shell(w, "srtrain compare keep.h5 keep.h5 --by length --resamples 100 | grep -c 'hr@10 .* +0.0000 ' >equal; "
             "[ $(cat equal) -ge 3 ]");
}

static void what_cannot_be_written_is_refused_before_the_work(void **state)
{
    world *w = *state;
    evaluate(w, 0, 2, "run", "--cases cases.txt");
    assert_says(&w->result, "--cases cases.txt: the name must end in .tsv or .h5");
    shell(w, "mkfifo pipe.tsv && mkdir -p a-file && touch a-file/x");
    evaluate(w, 0, 2, "run", "--cases pipe.tsv");
    assert_says(&w->result, "--cases pipe.tsv is no regular file");
    evaluate(w, 0, 1, "run", "--cases a-file/x/cases.tsv");
    assert_does_not_say(&w->result, "cases/s");
}

static void further_metrics_do_not_depend_on_ranks(void **state)
{
    world *w = *state;
    const char *options = "--set evaluation.candidates=popularity:100 evaluation.list_metrics=true evaluation.batch_size=7";
    char all[256];
    snprintf(all, sizeof all, "%s --json one.json", options);
    evaluate(w, 0, 0, "run", all);
    assert_says(&w->result, "popularity100_ndcg@10");
    assert_says(&w->result, "popular_share@10");
    snprintf(all, sizeof all, "%s --json many.json", options);
    evaluate(w, 3, 0, "run", all);
    shell(w, "cmp one.json many.json && grep -q '\"popularity100_hr@10_error\"' one.json && "
             "grep -q '\"coverage@50\":\t1,' one.json");
    evaluate(w, 2, 2, "run", "--set evaluation.candidates=all");
    assert_says(&w->result, "it must be none, uniform:N or popularity:N with N from 1 to 10000");
}

/* No cases, no metrics, and no file. */
static void a_split_without_cases_leaves_no_file(void **state)
{
    world *w = *state;
    shell(w, "srprep convert --format sequences --input data.txt --output no-valid --split ratio:0.9,0,0.1 >/dev/null && "
             "srtrain test.yaml --set data.path=no-valid --output no-valid-run --set training.threads=1");
    evaluate(w, 0, 3, "no-valid-run", "--split valid --cases nothing.tsv");
    assert_says(&w->result, "holds nothing out for the valid split");
    shell(w, "! ls | grep nothing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_ranks_and_threads_writes_the_same_bytes),
        cmocka_unit_test(a_divided_item_table_writes_the_same_bytes),
        cmocka_unit_test(every_held_out_interaction_is_a_case),
        cmocka_unit_test(metrics_follow_from_the_file),
        cmocka_unit_test(both_files_hold_the_same),
        cmocka_unit_test(files_of_cases_are_compared),
        cmocka_unit_test(what_cannot_be_written_is_refused_before_the_work),
        cmocka_unit_test(further_metrics_do_not_depend_on_ranks),
        cmocka_unit_test(a_split_without_cases_leaves_no_file),
    };
    return cmocka_run_group_tests(tests, set_up, world_tear_down);
}
