/* The state of whatever optimizer in checkpoints: blocks of any names, files of another optimizer, and of earlier programs. */
#include "checkpoint_world.h"
#include "srtrain/model.h"
#include "srtrain/optimizer.h"
#include "srtrain/settings.h"

#include <hdf5.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void write_blocks(world *w, const sr_state *state)
{
    check(w, sr_checkpoint_write(w->parallel, w->path, &w->checkpoint, &w->parameters, state, &w->error));
}

static void fill(const world *w, const sr_state *state)
{
    for (size_t b = 0; b < state->count; ++b)
        for (size_t p = 0; p < w->parameters.count; ++p)
            for (size_t i = 0; i < w->parameters.list[p].size; ++i)
                state->blocks[b].values[w->parameters.list[p].offset + i] = (sr_real)(1 + b) / (sr_real)(3 + i);
}

static void blocks_of_any_names_come_back(void **state)
{
    world *w = *state;
    static const char *const names[][SR_STATE_BLOCKS_MAXIMUM + 1] = {
        {NULL}, {"momentum", NULL}, {"row_means", "column_means", "momentum", "a_name_of_thirty_one_characters", NULL}};
    for (size_t n = 0; n < sizeof names / sizeof *names; ++n) {
        sr_state written, read;
        blank b;
        make_blocks(&w->parameters, names[n], &written);
        make_blocks(&w->parameters, names[n], &read);
        make_blank(w, &b);
        fill(w, &written);
        write_blocks(w, &written);
        check(w, sr_checkpoint_verify(w->parallel, w->path, true, &w->error));
        check(w, sr_checkpoint_read_state(w->parallel, w->path, &b.parameters, &read, &w->error));
        for (size_t i = 0; i < written.count; ++i)
            assert_memory_equal(read.blocks[i].values, written.blocks[i].values, w->parameters.block_size * sizeof(sr_real));
        free_blank(&b);
        free_blocks(&written);
        free_blocks(&read);
    }
}

/* Every rank reads a file whose blocks are `found` for an optimizer that has `wanted`. */
static void expect_refusal(world *w, const char *const *found, const char *const *wanted, const char *message)
{
    sr_state written, read;
    blank b;
    make_blocks(&w->parameters, found, &written);
    make_blocks(&w->parameters, wanted, &read);
    make_blank(w, &b);
    write_blocks(w, &written);
    check(w, sr_checkpoint_verify(w->parallel, w->path, true, &w->error)); /* the file is sound */
    assert_int_equal(sr_checkpoint_read_state(w->parallel, w->path, &b.parameters, &read, &w->error), SR_ERROR_DATA);
    assert_message(w, w->path);
    assert_message(w, message);
    assert_message(w, "training.optimizer");
    assert_message(w, "srtrain import");
    check(w, sr_checkpoint_read_state(w->parallel, w->path, &b.parameters, NULL, &w->error)); /* the parameters are nobody's */
    free_blank(&b);
    free_blocks(&written);
    free_blocks(&read);
}

static void state_of_another_optimizer_is_refused_with_the_names_of_its_blocks(void **state)
{
    static const char *const adam[] = {"first_moment", "second_moment", NULL}, *const sgd[] = {"momentum", NULL},
                             *const half[] = {"first_moment", NULL}, *const none[] = {NULL};
    world *w = *state;
    expect_refusal(w, sgd, adam, "found the blocks momentum, expected first_moment, second_moment");
    expect_refusal(w, adam, sgd, "found the blocks first_moment, second_moment, expected momentum");
    expect_refusal(w, half, adam, "found the blocks first_moment, expected first_moment, second_moment");
    expect_refusal(w, none, sgd, "found the blocks (none), expected momentum");
}

/* Flips a bit of the values of `block` in the file of rank 0. */
static void damage(const world *w, const sr_real *block)
{
    if (w->rank != 0)
        return;
    FILE *file = fopen(w->path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    const long size = ftell(file);
    char *bytes = malloc((size_t)size);
    rewind(file);
    assert_int_equal(fread(bytes, 1, (size_t)size, file), size);
    const char *found = memmem(bytes, (size_t)size, block + w->parameters.list[0].offset, 64);
    assert_non_null(found);
    assert_int_equal(fseek(file, (long)(found - bytes), SEEK_SET), 0);
    assert_int_equal(fputc(*found ^ 1, file) == EOF, 0);
    assert_int_equal(fclose(file), 0);
    free(bytes);
}

static void damage_is_found_in_a_block_of_any_name(void **state)
{
    static const char *const sgd[] = {"momentum", NULL};
    world *w = *state;
    sr_state written;
    make_blocks(&w->parameters, sgd, &written);
    fill(w, &written);
    write_blocks(w, &written);
    damage(w, written.blocks[0].values);
    assert_int_equal(sr_checkpoint_verify(w->parallel, w->path, true, &w->error), SR_ERROR_DATA);
    assert_message(w, "the checksum of /optimizer/momentum/");
    free_blocks(&written);
}

/* Turns the item table of a block over, as one who changes a file by hand may. */
static void transpose_item_table(const world *w, const char *name)
{
    const size_t table = sr_parameters_find(&w->parameters, "item_embedding.weight");
    const hsize_t shape[] = {w->parameters.list[table].shape[1], w->parameters.list[table].shape[0]};
    if (w->rank != 0)
        return;
    const hid_t file = H5Fopen(w->path, H5F_ACC_RDWR, H5P_DEFAULT), space = H5Screate_simple(2, shape, NULL);
    assert_true(H5Ldelete(file, name, H5P_DEFAULT) >= 0);
    const hid_t set = H5Dcreate2(file, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(set >= 0);
    assert_true(H5Adelete(file, "sealed") >= 0);
    H5Dclose(set);
    H5Sclose(space);
    H5Fclose(file);
}

static void state_of_another_shape_is_refused(void **state)
{
    static const char *const sgd[] = {"momentum", NULL};
    world *w = *state;
    sr_state blocks;
    blank b;
    make_blocks(&w->parameters, sgd, &blocks);
    make_blank(w, &b);
    fill(w, &blocks);
    write_blocks(w, &blocks);
    transpose_item_table(w, "/optimizer/momentum/item_embedding.weight");
    check(w, sr_parallel_barrier(w->parallel, &w->error));
    assert_int_equal(sr_checkpoint_read_state(w->parallel, w->path, &b.parameters, &blocks, &w->error), SR_ERROR_DATA);
    assert_message(w, w->path);
    assert_message(w, "/optimizer/momentum does not fit the model, 1 mismatch");
    assert_message(w, "shape: item_embedding.weight is [1000, 1100], expected [1100, 1000]");
    free_blank(&b);
    free_blocks(&blocks);
}

/* ---- earlier programs ---- */

/* The third row of the item table, as h5dump shows it. */
static void expect_row(const sr_parameters *parameters, const sr_real *block, const double row[4])
{
    const size_t table = sr_parameters_find(parameters, "item_embedding.weight");
    assert_int_not_equal(table, SIZE_MAX);
    for (size_t i = 0; i < 4; ++i) {
        const double found = (double)block[parameters->list[table].offset + 2 * 4 + i];
        if (!(found / row[i] > 1 - 1e-7 && found / row[i] < 1 + 1e-7))
            fail_msg("element %zu is %.9g, not %.9g", i, found, row[i]);
    }
}

static void a_file_of_the_first_program_is_read(void **state)
{
    static const double values[] = {0.0451843776, -0.0217938796, -0.00545101054, 0.00413677515},
                        first[] = {-6.30419072e-06, -1.02563554e-05, -6.00349313e-06, -1.30238766e-06},
                        second[] = {1.95505764e-10, 4.61782071e-11, 6.58405996e-10, 3.36839723e-10};
    const sr_stored_reading reading = {.trains = true};
    world *w = *state;
    const char *source = getenv("SRTRAIN_SOURCE_DIRECTORY");
    char path[4096];
    sr_checkpoint checkpoint;
    sr_settings settings;
    sr_model *model;
    sr_optimizer optimizer;
    snprintf(path, sizeof path, "%s/tests/checkpoints/step-0000000006.h5", source ? source : ".");
    check(w, sr_checkpoint_verify(w->parallel, path, true, &w->error));
    check(w, sr_checkpoint_read_header(w->parallel, path, &checkpoint, &w->error));
    assert_int_equal(checkpoint.progress.step, 6);
    check(w, sr_settings_parse_stored(&settings, checkpoint.configuration, path, NULL, 0, &reading, &w->error));
    assert_int_equal(settings.training.optimizer, sr_optimizer_number("adamw"));
    check(w, sr_model_create(&model, &settings.model, (size_t)checkpoint.items, (size_t)checkpoint.users, &w->error));
    sr_parameters *parameters = sr_model_parameters(model);
    check(w, sr_optimizer_create(&optimizer, parameters, &settings.training, &w->error));
    check(w, sr_checkpoint_read_state(w->parallel, path, parameters, &optimizer.state, &w->error));
    expect_row(parameters, parameters->values, values);
    expect_row(parameters, optimizer.state.blocks[0].values, first);
    expect_row(parameters, optimizer.state.blocks[1].values, second);
    sr_optimizer_free(&optimizer);
    sr_model_free(model);
    sr_checkpoint_free(&checkpoint);
}

/* The file names no step. */
static int start(void **state)
{
    const int result = checkpoint_start(state);
    world *w = *state;
    snprintf(w->path, sizeof w->path, "%s/state.h5", w->directory);
    return result;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(blocks_of_any_names_come_back, clear_directory),
        cmocka_unit_test_setup(state_of_another_optimizer_is_refused_with_the_names_of_its_blocks, clear_directory),
        cmocka_unit_test_setup(damage_is_found_in_a_block_of_any_name, clear_directory),
        cmocka_unit_test_setup(state_of_another_shape_is_refused, clear_directory),
        cmocka_unit_test_setup(a_file_of_the_first_program_is_read, clear_directory),
    };
    /* A rank whose test fails must take the others with it: they are waiting for its messages. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    return cmocka_run_group_tests(tests, start, checkpoint_finish);
}
