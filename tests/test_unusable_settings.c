/* A checkpoint whose stored settings this program cannot use, as one of a later program: that is what is wrong with the data,
 * and not with the command. */
#include "storage/checkpoint_layout.h"
#include "world.h"

#include <hdf5.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static int set_up(void **state)
{
    return world_set_up(state,
                        "data: {path: none}\nmodel: {hidden_size: 8, inner_size: 8, max_length: 8}\n"
                        "training: {epochs: 1, optimizer: adam}\n",
                        "--users 5 --items 20 --mean-length 6 --seed 1");
}

/* Writes `after` over the first `before` of the configuration, which is as long. */
static void change_configuration(hid_t file, const char *before, const char *after)
{
    const hid_t set = H5Dopen2(file, CHECKPOINT_CONFIGURATION, H5P_DEFAULT), type = H5Dget_type(set);
    char *text = calloc(H5Tget_size(type) + 1, 1);
    assert_non_null(text);
    assert_true(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) >= 0);
    char *at = strstr(text, before);
    assert_non_null(at);
    memcpy(at, after, strlen(after));
    assert_true(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) >= 0);
    assert_true(H5Adelete(file, "sealed") >= 0);
    free(text);
    H5Tclose(type);
    H5Dclose(set);
}

/* The checksum that the header has now. */
static void renew_checksum(const char *path)
{
    sr_hdf5_file file;
    sr_error error = {.message = ""};
    checkpoint_header header = {.has_optimizer = 0};
    char checksum[SR_CHECKSUM_SIZE];
    if (sr_hdf5_open(&file, path, &error) != SR_OK || checkpoint_header_read(&file, &header, checksum, &error) != SR_OK)
        fail_msg("%s", error.message);
    sr_checkpoint_free(&header.contents);
    assert_int_equal(sr_hdf5_close(&file, &error), SR_OK);
    const hid_t changed = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    const hid_t attribute = H5Aopen(changed, CHECKPOINT_HEADER_CHECKSUM, H5P_DEFAULT), type = H5Aget_type(attribute);
    const char *const text = checksum;
    assert_true(H5Tis_variable_str(type) > 0);
    assert_true(H5Awrite(attribute, type, &text) >= 0);
    H5Tclose(type);
    H5Aclose(attribute);
    H5Fclose(changed);
}

static void settings_that_cannot_be_used_are_an_error_of_the_checkpoint(void **state)
{
    static const char *const commands[] = {"evaluate", "recommend", "analyze"};
    world *w = *state;
    char path[WORLD_PATH_SIZE];
    world_train(w, 1, "run", "");
    assert_code(&w->result, 0);
    world_path(w, "run/best.h5", path);
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(file >= 0);
    change_configuration(file, "optimizer: adam", "optimizer: ftrl");
    H5Fclose(file);
    renew_checksum(path);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; ++i) {
        run_srtrain(&w->result, (int)i, "%s %s", commands[i], path);
        assert_code(&w->result, 3);
        assert_says(&w->result, "the stored configuration cannot be used");
        assert_says(&w->result, "training.optimizer is ftrl");
    }
    /* What the command line says wrongly is the user's. */
    world_path(w, "run/checkpoints", path);
    run_srtrain(&w->result, 0, "evaluate $(ls %s/step-*.h5) --set evaluation.top_k=no", path);
    assert_code(&w->result, 2);
    assert_says(&w->result, "--set evaluation.top_k=no");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(settings_that_cannot_be_used_are_an_error_of_the_checkpoint, set_up, world_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
