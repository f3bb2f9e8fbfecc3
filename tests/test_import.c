/* srtrain import: weights from elsewhere become a checkpoint, and what does not fit is told at once. */
#include "world.h"

#include <hdf5.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { ITEMS = 40, VALUES = 4096 };

static int set_up(void **state)
{
    return world_set_up(state,
                        "data: {path: none}\n"
                        "model: {hidden_size: 8, inner_size: 8, max_length: 8, layers: 1, hidden_dropout: 0.2}\n"
                        "training: {epochs: 2, batch_size: 32, learning_rate: 0.01}\n"
                        "evaluation: {top_k: [5, 10]}\n"
                        "logging: {every_steps: 1}\n",
                        "--users 80 --items 40 --mean-length 7 --seed 3");
}

static void train(world *w, const char *run, const char *options)
{
    world_train(w, 2, run, options);
    assert_code(&w->result, 0);
}

static bool exists(const world *w, const char *name)
{
    char path[WORLD_PATH_SIZE];
    world_path(w, name, path);
    return access(path, F_OK) == 0;
}

/* ---- weights files ---- */

/* Copies the parameters of a checkpoint as type `type` into a group (NULL: the root) of a new file. */
static void copy_weights(const world *w, const char *from, const char *to, const char *group_name, hid_t type)
{
    char paths[2][WORLD_PATH_SIZE];
    world_path(w, from, paths[0]);
    world_path(w, to, paths[1]);
    const hid_t source = H5Fopen(paths[0], H5F_ACC_RDONLY, H5P_DEFAULT);
    const hid_t target = H5Fcreate(paths[1], H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t parameters = H5Gopen2(source, "/parameters", H5P_DEFAULT);
    const hid_t group = group_name ? H5Gcreate2(target, group_name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)
                                   : H5Gopen2(target, "/", H5P_DEFAULT);
    H5G_info_t information;
    assert_true(source >= 0 && target >= 0 && parameters >= 0 && group >= 0);
    assert_true(H5Gget_info(parameters, &information) >= 0);
    assert_true(information.nlinks > 10);
    for (hsize_t i = 0; i < information.nlinks; ++i) {
        static double values[VALUES];
        char name[128];
        assert_true(H5Lget_name_by_idx(parameters, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT) > 0);
        const hid_t set = H5Dopen2(parameters, name, H5P_DEFAULT), space = H5Dget_space(set);
        assert_true(H5Sget_simple_extent_npoints(space) <= VALUES);
        assert_true(H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
        const hid_t copy = H5Dcreate2(group, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        assert_true(H5Dwrite(copy, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
        H5Dclose(copy);
        H5Sclose(space);
        H5Dclose(set);
    }
    H5Gclose(group);
    H5Gclose(parameters);
    H5Fclose(target);
    H5Fclose(source);
}

/* IEEE half precision, as numpy writes it. */
static hid_t half_precision(void)
{
    const hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    assert_true(H5Tset_fields(type, 15, 10, 5, 0, 10) >= 0 && H5Tset_precision(type, 16) >= 0 && H5Tset_size(type, 2) >= 0 &&
                H5Tset_ebias(type, 15) >= 0);
    return type;
}

/* Takes a dataset away from a weights file and, unless `rank` is negative, puts another one of this type and shape there. */
static void replace(hid_t file, const char *name, hid_t type, int rank, const hsize_t *shape, const void *values,
                    hid_t value_type)
{
    assert_true(H5Ldelete(file, name, H5P_DEFAULT) >= 0);
    if (rank < 0)
        return;
    const hid_t space = H5Screate_simple(rank, shape, NULL);
    const hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(set >= 0 && H5Dwrite(set, value_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(set);
    H5Sclose(space);
}

/* ---- importing ---- */

static void import(world *w, int ranks, int code, const char *weights, const char *output, const char *options)
{
    run_srtrain(&w->result, ranks, "import %s/%s --config %s --output %s/%s %s", w->directory, weights, w->configuration,
                w->directory, output, options);
    assert_code(&w->result, code);
}

static void import_with_data(world *w, int ranks, int code, const char *weights, const char *output, const char *options)
{
    char all[512];
    snprintf(all, sizeof all, "--data %s %s", w->data, options);
    import(w, ranks, code, weights, output, all);
}

/* Whether a checkpoint is as good on the test split as the run whose best model was imported. */
static void assert_evaluates_like(world *w, const char *run, const char *checkpoint, const char *options)
{
    char name[64], metrics[WORLD_PATH_SIZE], evaluation[WORLD_PATH_SIZE];
    snprintf(name, sizeof name, "%s/metrics.jsonl", run);
    world_path(w, name, metrics);
    world_path(w, "evaluation.json", evaluation);
    run_srtrain(&w->result, 2, "evaluate %s/%s %s --json %s", w->directory, checkpoint, options, evaluation);
    assert_code(&w->result, 0);
    (void)assert_same_test_metrics(metrics, evaluation);
}

static void assert_same(const world *w, const char *left, const char *right)
{
    char paths[2][WORLD_PATH_SIZE];
    world_path(w, left, paths[0]);
    world_path(w, right, paths[1]);
    assert_true(same_parameters(paths[0], paths[1]));
}

static void imported_weights_evaluate_like_the_model_that_they_come_from(void **state)
{
    world *w = *state;
    train(w, "run", "");
    copy_weights(w, "run/best.h5", "double.h5", "parameters", H5T_IEEE_F64BE);
    import_with_data(w, 0, 0, "double.h5", "deep/er/from-double.h5", "");
    assert_evaluates_like(w, "run", "deep/er/from-double.h5", "");
    copy_weights(w, "run/best.h5", "root.h5", NULL, H5T_IEEE_F32BE);
    import_with_data(w, 2, 0, "root.h5", "from-root.h5", "--set model.item_table=divided"); /* the file is the same */
    assert_evaluates_like(w, "run", "from-root.h5", "");
    assert_same(w, "deep/er/from-double.h5", "from-root.h5");
    run_srtrain(&w->result, 2, "recommend %s/from-root.h5 --top-k 3 --output %s/top.tsv", w->directory, w->directory);
    assert_code(&w->result, 0);
}

static void half_precision_is_converted(void **state)
{
    world *w = *state;
    const hid_t half = half_precision();
    copy_weights(w, "run/best.h5", "half.h5", NULL, half);
    H5Tclose(half);
    import_with_data(w, 0, 0, "half.h5", "from-half.h5", "");
    char path[WORLD_PATH_SIZE];
    float values[2][(ITEMS + 1) * 8];
    for (int i = 0; i < 2; ++i) {
        world_path(w, i ? "from-half.h5" : "run/best.h5", path);
        const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
        const hid_t set = H5Dopen2(file, "/parameters/item_embedding.weight", H5P_DEFAULT);
        assert_true(H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values[i]) >= 0);
        H5Dclose(set);
        H5Fclose(file);
    }
    for (size_t i = 0; i < (ITEMS + 1) * 8; ++i)
        assert_true(fabsf(values[1][i] - values[0][i]) <= 1e-3f * fabsf(values[0][i]) + 1e-7f);
}

static void every_mismatch_is_told_at_once_and_nothing_is_written(void **state)
{
    world *w = *state;
    char path[WORLD_PATH_SIZE];
    copy_weights(w, "run/best.h5", "bad.h5", NULL, H5T_IEEE_F64LE);
    world_path(w, "bad.h5", path);
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    const double values[64] = {1, 2, 3, NAN, 5, 1e300};
    const int64_t integers[32] = {1, 2, 3};
    const hsize_t row[] = {8}, wrong[] = {4, 8};
    replace(file, "input_norm.bias", H5T_IEEE_F64LE, 1, row, values, H5T_NATIVE_DOUBLE);
    replace(file, "position_embedding.weight", H5T_IEEE_F64LE, 2, wrong, values, H5T_NATIVE_DOUBLE);
    replace(file, "layers.0.ffn.outer.bias", H5T_STD_I32LE, 1, row, integers, H5T_NATIVE_INT64);
    replace(file, "layers.0.attention.key.weight", H5T_STD_I64LE, 2, wrong, integers, H5T_NATIVE_INT64);
    replace(file, "layers.0.ffn.norm.weight", H5T_IEEE_F64LE, -1, NULL, NULL, -1);
    assert_true(H5Lmove(file, "layers.0.attention.query.weight", file, "layers.0.attention.querry.weight", H5P_DEFAULT,
                        H5P_DEFAULT) >= 0);
    replace(file, "layers.0.ffn.inner.bias", -1, -1, NULL, NULL, -1);
    H5Gclose(H5Gcreate2(file, "layers.0.ffn.inner.bias", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Fclose(file);
    for (int ranks = 0; ranks <= 2; ranks += 2) {
        import_with_data(w, ranks, 3, "bad.h5", "deep/bad-import.h5", "");
        const char *const told[] = {
            "9 mismatches",
            "values: input_norm.bias has 2 of 8 values that are no finite single-precision numbers, the first is element 3",
            "shape: position_embedding.weight is [4, 8], expected [8, 8]",
            "type: layers.0.ffn.outer.bias holds integers, expected floating-point numbers",
            "type: layers.0.attention.key.weight holds integers",
            "shape: layers.0.attention.key.weight is [4, 8], expected [8, 8]",
            "missing: layers.0.ffn.norm.weight",
            "missing: layers.0.attention.query.weight",
            "unknown: layers.0.attention.querry.weight (did you mean layers.0.attention.query.weight?)",
            "not an array: layers.0.ffn.inner.bias"};
        for (size_t i = 0; i < sizeof told / sizeof *told; ++i)
            assert_says(&w->result, told[i]);
    }
    assert_false(exists(w, "deep/bad-import.h5"));
}

static void a_long_list_of_mismatches_is_cut(void **state)
{
    world *w = *state;
    import_with_data(w, 0, 3, "root.h5", "bad-import.h5",
                     "--set model.backbone=stosa --set training.loss=stosa --set model.layers=3");
    assert_says(&w->result, "missing: item_mean_embedding.weight");
    assert_says(&w->result, "\n  and ");
    assert_says(&w->result, " more");
    assert_false(exists(w, "bad-import.h5"));
}

static void a_file_that_is_no_hdf5_is_a_data_error(void **state)
{
    world *w = *state;
    import_with_data(w, 2, 3, "test.yaml", "bad-import.h5", "");
    assert_says(&w->result, "test.yaml");
    import_with_data(w, 0, 3, "nowhere.h5", "bad-import.h5", "");
    assert_says(&w->result, "nowhere.h5");
    assert_false(exists(w, "bad-import.h5"));
}

static void an_existing_file_is_replaced_only_by_force(void **state)
{
    world *w = *state;
    import_with_data(w, 0, 0, "root.h5", "twice.h5", "");
    import_with_data(w, 2, 2, "root.h5", "twice.h5", "");
    assert_says(&w->result, "twice.h5 exists already");
    import_with_data(w, 0, 0, "root.h5", "twice.h5", "--force");
}

static void missing_and_contradictory_options_are_usage_errors(void **state)
{
    world *w = *state;
    run_srtrain(&w->result, 0, "import %s/root.h5 --data %s --output %s/none.h5", w->directory, w->data, w->directory);
    assert_code(&w->result, 2);
    assert_says(&w->result, "--config");
    run_srtrain(&w->result, 0, "import %s/root.h5 --data %s --config %s", w->directory, w->data, w->configuration);
    assert_code(&w->result, 2);
    assert_says(&w->result, "--output");
    import_with_data(w, 0, 2, "root.h5", "none.h5", "--items 40");
    assert_says(&w->result, "not both");
    import_with_data(w, 0, 2, "root.h5", "none.h5", "--users 40");
    assert_says(&w->result, "--items");
    import(w, 0, 2, "root.h5", "none.h5", "--items many");
    assert_says(&w->result, "--items many");
    import(w, 0, 2, "root.h5", "none.h5", "--items 40 --set model.backbone=ssept --set model.user_hidden_size=4");
    assert_says(&w->result, "give --users N");
    assert_false(exists(w, "none.h5"));
}

/* ---- going on ---- */

/* Without learning, a run keeps its initial weights: trained from them again, it goes the same way to the bit. */
static void training_from_imported_weights_begins_anew_with_them(void **state)
{
    world *w = *state;
    char options[WORLD_PATH_SIZE + 64];
    train(w, "untrained", "--set training.learning_rate=1e-37 --set training.weight_decay=0");
    copy_weights(w, "untrained/best.h5", "initial.h5", NULL, H5T_IEEE_F64LE);
    import_with_data(w, 0, 0, "initial.h5", "initial-checkpoint.h5", "--set training.learning_rate=0.5");
    snprintf(options, sizeof options, "--resume %s/initial-checkpoint.h5 --set model.item_table=divided", w->directory);
    train(w, "tuned", options); /* with the learning rate of the configuration */
    assert_says(&w->result, "initial-checkpoint.h5: epoch 1, step 0");
    train_line expected[64], actual[64];
    char path[WORLD_PATH_SIZE];
    world_path(w, "run/metrics.jsonl", path);
    const size_t steps = read_train_lines(path, expected, 64);
    world_path(w, "tuned/metrics.jsonl", path);
    assert_int_equal(read_train_lines(path, actual, 64), steps);
    for (size_t i = 0; i < steps; ++i)
        assert_true(fabs(actual[i].loss / expected[i].loss - 1) < 1e-6);
    run_srtrain(&w->result, 2, "evaluate %s/tuned/best.h5", w->directory);
    assert_code(&w->result, 0);
}

static void training_from_imported_weights_keeps_their_model(void **state)
{
    world *w = *state;
    char options[WORLD_PATH_SIZE + 128];
    snprintf(options, sizeof options, "--resume %s/initial-checkpoint.h5 --set model.padding=left", w->directory);
    world_train(w, 2, "other-model", options);
    assert_code(&w->result, 3);
    assert_says(&w->result, "padding");
    assert_false(exists(w, "other-model"));
}

/* Nothing has been trained yet: the state that was made with the file is that of no optimizer. What has been trained is. */
static void imported_weights_are_trained_with_any_optimizer_and_their_checkpoints_with_theirs(void **state)
{
    world *w = *state;
    char options[2 * WORLD_PATH_SIZE];
    snprintf(options, sizeof options, "--resume %s/initial-checkpoint.h5 --set training.optimizer=sgd", w->directory);
    train(w, "by-sgd", options);
    train(w, "by-sgd", options); /* there is nothing left to do */
    snprintf(options, sizeof options, "--resume %s/by-sgd/checkpoints/$(ls %s/by-sgd/checkpoints | head -1)", w->directory,
             w->directory);
    world_train(w, 2, "by-lamb", options);
    assert_code(&w->result, 3);
    assert_says(&w->result, "training.optimizer was sgd, now it is adamw");
    assert_false(exists(w, "by-lamb"));
}

static void weights_without_a_data_set_go_with_any_of_their_size(void **state)
{
    world *w = *state;
    char options[2 * WORLD_PATH_SIZE];
    import(w, 2, 0, "root.h5", "free.h5", "--items 40");
    assert_says(&w->result, "without a data set");
    run_srtrain(&w->result, 0, "evaluate %s/free.h5", w->directory);
    assert_code(&w->result, 2);
    assert_says(&w->result, "--data DIR");
    snprintf(options, sizeof options, "--data %s", w->data);
    assert_evaluates_like(w, "run", "free.h5", options);
    run_srprep(&w->result, "synth --users 80 --items 41 --mean-length 7 --seed 3 --output %s/larger", w->directory);
    run_srtrain(&w->result, 2, "evaluate %s/free.h5 --data %s/larger", w->directory, w->directory);
    assert_code(&w->result, 3);
    assert_says(&w->result, "free.h5 is a model of 40 items, but");
    snprintf(options, sizeof options, "--resume %s/free.h5", w->directory);
    train(w, "from-free", options);
    run_srtrain(&w->result, 0, "evaluate %s/from-free/best.h5", w->directory); /* which knows its data */
    assert_code(&w->result, 0);
}

static void a_model_of_users_needs_as_many(void **state)
{
    world *w = *state;
    const char *ssept = "--set model.backbone=ssept --set model.user_hidden_size=4";
    char options[256];
    train(w, "ssept", ssept);
    snprintf(options, sizeof options, "--items 40 --users 80 %s", ssept);
    import(w, 0, 0, "ssept/best.h5", "ssept-free.h5", options);
    snprintf(options, sizeof options, "--data %s", w->data);
    assert_evaluates_like(w, "ssept", "ssept-free.h5", options);
    run_srprep(&w->result, "synth --users 79 --items 40 --mean-length 7 --seed 3 --output %s/smaller", w->directory);
    run_srtrain(&w->result, 0, "evaluate %s/ssept-free.h5 --data %s/smaller", w->directory, w->directory);
    assert_code(&w->result, 3);
    assert_says(&w->result, "a model of 80 users, but");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(imported_weights_evaluate_like_the_model_that_they_come_from),
        cmocka_unit_test(half_precision_is_converted),
        cmocka_unit_test(every_mismatch_is_told_at_once_and_nothing_is_written),
        cmocka_unit_test(a_long_list_of_mismatches_is_cut),
        cmocka_unit_test(a_file_that_is_no_hdf5_is_a_data_error),
        cmocka_unit_test(an_existing_file_is_replaced_only_by_force),
        cmocka_unit_test(missing_and_contradictory_options_are_usage_errors),
        cmocka_unit_test(training_from_imported_weights_begins_anew_with_them),
        cmocka_unit_test(training_from_imported_weights_keeps_their_model),
        cmocka_unit_test(imported_weights_are_trained_with_any_optimizer_and_their_checkpoints_with_theirs),
        cmocka_unit_test(weights_without_a_data_set_go_with_any_of_their_size),
        cmocka_unit_test(a_model_of_users_needs_as_many),
    };
    return cmocka_run_group_tests(tests, set_up, world_tear_down);
}
