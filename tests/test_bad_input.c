/* What goes wrong ends with the promised exit code and a message that helps, and leaves nothing half-written behind. */
#include "world.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static int set_up(void **state)
{
    return world_set_up(state,
                        "data: {path: none}\nmodel: {hidden_size: 8, inner_size: 8, max_length: 8}\ntraining: {epochs: 1}\n",
                        "--users 3 --items 20 --mean-length 6 --seed 1 --shards 2");
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static void assert_no_output(const world *w)
{
    char path[WORLD_PATH_SIZE];
    world_path(w, "run", path);
    assert_false(exists(path));
}

/* Trains, which must fail with this code and words, and must not have made its output directory. */
static void assert_refused(world *w, int ranks, const char *options, int code, const char *words, const char *more_words)
{
    world_train(w, ranks, "run", options);
    assert_code(&w->result, code);
    assert_says(&w->result, words);
    assert_says(&w->result, more_words);
    assert_no_output(w);
}

static void an_unknown_key_is_a_usage_error_that_names_the_nearest(void **state)
{
    world *w = *state;
    assert_refused(w, 2, "--set training.epoch=3", 2, "unknown key 'training.epoch'", "epochs");
}

static void an_unknown_key_in_the_file_is_named_with_its_line(void **state)
{
    world *w = *state;
    char path[WORLD_PATH_SIZE];
    world_path(w, "bad.yaml", path);
    program_write(path, "data: {path: x}\ntraining:\n  batchsize: 3\n");
    run_srtrain(&w->result, 0, "%s --output %s/run", path, w->directory);
    assert_code(&w->result, 2);
    assert_says(&w->result, "bad.yaml:3:3: error");
    assert_says(&w->result, "batch_size");
    assert_no_output(w);
}

static void a_wrong_type_is_a_usage_error(void **state)
{
    world *w = *state;
    assert_refused(w, 0, "--set training.epochs=many", 2, "training.epochs", "whole number");
}

static void unknown_commands_and_options_are_usage_errors(void **state)
{
    world *w = *state;
    run_srtrain(&w->result, 0, "trian %s", w->configuration);
    assert_code(&w->result, 2);
    assert_says(&w->result, "train");
    run_srtrain(&w->result, 0, "train %s --outptu x", w->configuration);
    assert_code(&w->result, 2);
    assert_says(&w->result, "--output");
    run_srtrain(&w->result, 0, "evaluate");
    assert_code(&w->result, 2);
    assert_says(&w->result, "CHECKPOINT");
}

/* Usually a variable of a script that is not set: an empty directory's name would be that of the root. */
static void an_empty_value_or_an_option_for_one_is_a_usage_error(void **state)
{
    world *w = *state;
    static const char *const wrong[] = {"--output ''", "--output=", "--resume ''", "--set ''", "--time-limit ''"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
        run_srtrain(&w->result, 2, "%s --set data.path=%s %s", w->configuration, w->data, wrong[i]);
        assert_code(&w->result, 2);
        assert_says(&w->result, "needs a value, and found an empty one");
    }
    run_srtrain(&w->result, 0, "%s --output --set data.path=%s", w->configuration, w->data);
    assert_code(&w->result, 2);
    assert_says(&w->result, "--output needs a value, and found --set");
    run_srtrain(&w->result, 0, "evaluate ''");
    assert_code(&w->result, 2);
    assert_says(&w->result, "CHECKPOINT is empty");
}

static void several_assignments_may_follow_one_option(void **state)
{
    world *w = *state;
    run_srtrain(
        &w->result, 0,
        "config --set training.epochs=7 training.seed=8 training.adam_beta1=0.8 model.layers=5 %s --set training.seed=9",
        w->configuration);
    assert_code(&w->result, 0);
    assert_says(&w->result, "epochs: 7 ");
    assert_says(&w->result, "layers: 5 ");
    assert_says(&w->result, "adam_beta1: 0.8 ");
    assert_says(&w->result, "seed: 9 ");
    run_srtrain(&w->result, 0, "config %s --set training.epochs=7 training.sed=8", w->configuration);
    assert_code(&w->result, 2);
    assert_says(&w->result, "did you mean 'seed'");
}

static void a_missing_configuration_is_a_usage_error(void **state)
{
    world *w = *state;
    run_srtrain(&w->result, 2, "%s/missing.yaml", w->directory);
    assert_code(&w->result, 2);
    assert_says(&w->result, "missing.yaml");
}

static void calibration_through_which_items_see_the_future_is_a_usage_error(void **state)
{
    const char *unsound = "--set calibrators.adversarial.combine=fixed --set calibrators.adversarial.renormalize=none "
                          "--set calibrators.adversarial.masked_cells=included --set training.objective=all";
    assert_refused(*state, 0, unsound, 2, "calibrators.adversarial.masked_cells is included", "training.objective is all");
    assert_says(&((world *)*state)->result, "would see the item that it has to predict");
}

static void a_key_of_another_backbone_is_a_usage_error(void **state)
{
    assert_refused(*state, 0, "--set model.mask_ratio=0.3", 2, "model.mask_ratio", "bert4rec");
}

static void a_user_part_as_wide_as_the_whole_is_a_usage_error(void **state)
{
    assert_refused(*state, 0, "--set model.backbone=ssept --set model.user_hidden_size=8", 2, "model.user_hidden_size is 8",
                   "model.hidden_size is 8");
}

static void a_backbone_with_time_needs_data_with_time(void **state)
{
    world *w = *state;
    char input[WORLD_PATH_SIZE], data[WORLD_PATH_SIZE], options[2 * WORLD_PATH_SIZE];
    world_path(w, "timeless.txt", input);
    world_path(w, "timeless", data);
    program_write(input, "u1 a b c d\nu2 b c a d\nu3 c a d b\n");
    run_srprep(&w->result, "convert --format sequences --input %s --output %s", input, data);
    assert_code(&w->result, 0);
    snprintf(options, sizeof options, "--set data.path=%s --set model.backbone=tisasrec", data);
    assert_refused(w, 2, options, 2, "timeless has no time stamps", "tisasrec");
}

static void missing_data_is_a_data_error(void **state)
{
    world *w = *state;
    assert_refused(w, 2, "--set data.path=/nowhere", 3, "/nowhere", "");
}

static void more_ranks_than_users_is_a_usage_error(void **state)
{
    world *w = *state;
    assert_refused(w, 4, "", 2, "4 ranks", "3 users");
}

/* Training and srprep info refuse a shard with one bit flipped, or cut; then it is restored. */
static void assert_damage_is_found(world *w, const char *name, bool cut)
{
    char path[256], command[1024];
    snprintf(path, sizeof path, "%s/%s", w->data, name);
    snprintf(command, sizeof command, "cp %s %s.saved", path, path);
    assert_int_equal(system(command), 0);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    if (cut) {
        assert_int_equal(truncate(path, status.st_size / 2), 0);
    } else {
        const int file = open(path, O_RDWR);
        char byte;
        assert_int_equal(pread(file, &byte, 1, status.st_size - 3), 1);
        byte = (char)(byte ^ 0x10);
        assert_int_equal(pwrite(file, &byte, 1, status.st_size - 3), 1);
        close(file);
    }
    assert_refused(w, 2, "", 3, name, "");
    run_srprep(&w->result, "info %s", w->data);
    assert_code(&w->result, 3);
    snprintf(command, sizeof command, "mv %s.saved %s", path, path);
    assert_int_equal(system(command), 0);
}

static void a_truncated_shard_is_a_data_error(void **state)
{
    assert_damage_is_found(*state, "shard-00001.h5", true);
}

static void a_flipped_bit_in_a_shard_is_a_data_error(void **state)
{
    assert_damage_is_found(*state, "shard-00000.h5", false);
}

static void a_missing_shard_is_a_data_error(void **state)
{
    world *w = *state;
    char command[512];
    snprintf(command, sizeof command, "mv %s/shard-00001.h5 %s/away", w->data, w->directory);
    assert_int_equal(system(command), 0);
    assert_refused(w, 0, "", 3, "shard-00001.h5", "");
    snprintf(command, sizeof command, "mv %s/away %s/shard-00001.h5", w->directory, w->data);
    assert_int_equal(system(command), 0);
}

static void unreadable_lines_are_data_errors_and_nothing_is_written(void **state)
{
    world *w = *state;
    char input[WORLD_PATH_SIZE], output[WORLD_PATH_SIZE];
    world_path(w, "bad.txt", input);
    world_path(w, "converted", output);
    program_write(input, "u1 i1\nu1 i2\nu1\n");
    run_srprep(&w->result, "convert --format pairs --input %s --output %s", input, output);
    assert_code(&w->result, 3);
    assert_says(&w->result, "bad.txt:3: ");
    assert_false(exists(output));
    program_write(input, "");
    run_srprep(&w->result, "convert --format pairs --input %s --output %s", input, output);
    assert_code(&w->result, 3);
    assert_false(exists(output));
}

static void a_checkpoint_that_is_none_is_a_data_error(void **state)
{
    world *w = *state;
    char path[WORLD_PATH_SIZE];
    world_path(w, "none.h5", path);
    program_write(path, "this is no checkpoint");
    run_srtrain(&w->result, 2, "evaluate %s --data %s", path, w->data);
    assert_code(&w->result, 3);
    assert_says(&w->result, "none.h5");
    run_srtrain(&w->result, 0, "evaluate %s/missing.h5 --data %s", w->directory, w->data);
    assert_code(&w->result, 3);
    run_srtrain(&w->result, 2, "recommend %s --data %s", w->directory, w->data);
    assert_code(&w->result, 3);
    assert_says(&w->result, "is a directory, expected an HDF5 file");
    world_path(w, "best.h5", path);
    program_write(path, "this is the best model");
    run_srtrain(&w->result, 0, "evaluate %s --data %s", w->directory, w->data);
    assert_code(&w->result, 3);
    assert_says(&w->result, "the best model of this run is ");
    assert_says(&w->result, path);
    assert_int_equal(unlink(path), 0);
}

static void a_beginning_that_does_not_exist_is_a_data_error(void **state)
{
    assert_refused(*state, 2, "--resume nver", 3, "--resume nver: No such file or directory",
                   "allowed are auto, never and the path of a checkpoint");
}

static void resuming_with_other_settings_or_data_is_refused(void **state)
{
    world *w = *state;
    char other[WORLD_PATH_SIZE], options[WORLD_PATH_SIZE + 32];
    world_path(w, "other", other);
    world_train(w, 2, "first", "");
    assert_code(&w->result, 0);
    world_train(w, 2, "first", "--set model.layers=1");
    assert_code(&w->result, 3);
    assert_says(&w->result, "layers");
    assert_null(strstr(w->result.output, "--resume never")); /* which is refused here as well */
    run_srprep(&w->result, "synth --users 5 --items 20 --mean-length 6 --seed 2 --output %s", other);
    assert_code(&w->result, 0);
    snprintf(options, sizeof options, "--set data.path=%s", other);
    world_train(w, 2, "first", options);
    assert_code(&w->result, 3);
    assert_says(&w->result, "fingerprint");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_key_is_a_usage_error_that_names_the_nearest),
        cmocka_unit_test(an_unknown_key_in_the_file_is_named_with_its_line),
        cmocka_unit_test(a_wrong_type_is_a_usage_error),
        cmocka_unit_test(unknown_commands_and_options_are_usage_errors),
        cmocka_unit_test(an_empty_value_or_an_option_for_one_is_a_usage_error),
        cmocka_unit_test(several_assignments_may_follow_one_option),
        cmocka_unit_test(a_missing_configuration_is_a_usage_error),
        cmocka_unit_test(calibration_through_which_items_see_the_future_is_a_usage_error),
        cmocka_unit_test(a_key_of_another_backbone_is_a_usage_error),
        cmocka_unit_test(a_user_part_as_wide_as_the_whole_is_a_usage_error),
        cmocka_unit_test(a_backbone_with_time_needs_data_with_time),
        cmocka_unit_test(missing_data_is_a_data_error),
        cmocka_unit_test(more_ranks_than_users_is_a_usage_error),
        cmocka_unit_test(a_truncated_shard_is_a_data_error),
        cmocka_unit_test(a_flipped_bit_in_a_shard_is_a_data_error),
        cmocka_unit_test(a_missing_shard_is_a_data_error),
        cmocka_unit_test(unreadable_lines_are_data_errors_and_nothing_is_written),
        cmocka_unit_test(a_checkpoint_that_is_none_is_a_data_error),
        cmocka_unit_test(a_beginning_that_does_not_exist_is_a_data_error),
        cmocka_unit_test(resuming_with_other_settings_or_data_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, world_tear_down);
}
