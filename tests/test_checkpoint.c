/* Checkpoints: every bit comes back, old ones go, failures leave nothing behind; on whatever number of ranks. */
#include "checkpoint_world.h"

#include "parallel/parallel_internal.h"

#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

/* ---- round trips ---- */

static void every_bit_comes_back(void **state)
{
    world *w = *state;
    blank b;
    write_checkpoint(w, w->path);
    assert_file_count(w, 1);
    make_blank(w, &b);
    check(w, read_into(w, &b, w->path));
    const size_t bytes = w->parameters.block_size * sizeof(sr_real);
    assert_memory_equal(b.parameters.values, w->parameters.values, bytes);
    assert_memory_equal(b.state.blocks[0].values, w->state.blocks[0].values, bytes);
    assert_memory_equal(b.state.blocks[1].values, w->state.blocks[1].values, bytes);
    free_blank(&b);

    sr_checkpoint read;
    check(w, sr_checkpoint_read_header(w->parallel, w->path, &read, &w->error));
    assert_memory_equal(&read.progress, &w->checkpoint.progress, sizeof read.progress);
    assert_string_equal(read.configuration, w->checkpoint.configuration);
    assert_string_equal(read.program_version, w->checkpoint.program_version);
    assert_string_equal(read.data_fingerprint, w->checkpoint.data_fingerprint);
    assert_string_equal(read.data_directory, w->checkpoint.data_directory);
    assert_int_equal(read.users, w->checkpoint.users);
    assert_int_equal(read.items, w->checkpoint.items);
    sr_checkpoint_free(&read);
    assert_null(read.configuration);
}

/* On nodes of so many processes. */
static void read_on_nodes(world *w, int processes)
{
    const size_t size = w->parameters.block_size, bytes = size * sizeof(sr_real);
    sr_parameters shared;
    sr_node *node;
    check(w, parallel_pretend_nodes(w->parallel, processes, &w->error));
    check(w, sr_node_create(&node, w->parallel, 3 * size, size, &w->error));
    sr_real *common = sr_node_common(node);
    sr_parameters_initialise(&shared);
    for (size_t i = 0; i < ARRAYS; ++i)
        declare(w, &shared, arrays[i].name, arrays[i].shape, arrays[i].rank);
    sr_parameters_place(&shared, common, sr_node_own(node, sr_node_process(node)));
    sr_state state = w->state;
    for (size_t i = 0; i < state.count; ++i)
        state.blocks[i].values = common + (1 + i) * size;
    check(w, sr_checkpoint_read_shared_state(w->parallel, node, w->path, &shared, &state, &w->error));
    assert_memory_equal(common, w->parameters.values, bytes);
    assert_memory_equal(common + size, w->state.blocks[0].values, bytes);
    assert_memory_equal(common + 2 * size, w->state.blocks[1].values, bytes);
    sr_parameters_free(&shared);
    sr_node_free(node);
}

static void every_bit_comes_back_into_memory_that_nodes_share(void **state)
{
    world *w = *state;
    const int size = sr_parallel_size(w->parallel);
    write_checkpoint(w, w->path);
    for (int processes = size; processes > 1; --processes)
        if (size % processes == 0)
            read_on_nodes(w, processes);
}

static void a_file_may_hold_parameters_alone(void **state)
{
    world *w = *state;
    blank b;
    char *newest;
    check(w, sr_checkpoint_write(w->parallel, w->path, &w->checkpoint, &w->parameters, NULL, &w->error));
    make_blank(w, &b);
    check(w, sr_checkpoint_read_state(w->parallel, w->path, &b.parameters, NULL, &w->error));
    assert_memory_equal(b.parameters.values, w->parameters.values, w->parameters.block_size * sizeof(sr_real));
    assert_int_equal(read_into(w, &b, w->path), SR_ERROR_DATA);
    assert_message(w, "parameters only");
    free_blank(&b);
    check(w, sr_checkpoint_newest(w->parallel, w->directory, &newest, NULL, NULL, &w->error));
    assert_null(newest);
}

static void a_file_is_replaced_as_a_whole(void **state)
{
    world *w = *state;
    sr_checkpoint read;
    write_checkpoint(w, w->path);
    ++w->checkpoint.progress.epoch;
    write_checkpoint(w, w->path);
    check(w, sr_checkpoint_read_header(w->parallel, w->path, &read, &w->error));
    assert_int_equal(read.progress.epoch, w->checkpoint.progress.epoch);
    sr_checkpoint_free(&read);
    --w->checkpoint.progress.epoch;
    assert_file_count(w, 1);
}

/* ---- old ones ---- */

static void there_may_be_no_checkpoint(void **state)
{
    world *w = *state;
    char *newest, missing[128];
    check(w, sr_checkpoint_newest(w->parallel, w->directory, &newest, NULL, NULL, &w->error));
    assert_null(newest);
    snprintf(missing, sizeof missing, "%s/missing", w->directory);
    check(w, sr_checkpoint_newest(w->parallel, missing, &newest, NULL, NULL, &w->error));
    assert_null(newest);
    check(w, sr_checkpoint_rotate(w->parallel, missing, 2, &w->error));
}

static bool exists(const world *w, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", w->directory, name);
    return access(path, F_OK) == 0;
}

static void rotation_keeps_the_newest_and_never_fewer_than_two(void **state)
{
    world *w = *state;
    static const int steps[] = {5, 1000, 40, 200, 3};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; ++i)
        run_on_rank_0(w, "touch %s/step-%010d.h5", w->directory, steps[i]);
    run_on_rank_0(w, "cd %s && touch step-0000000900.h5.tmp best.h5 notes.txt", w->directory);
    check(w, sr_checkpoint_rotate(w->parallel, w->directory, 3, &w->error));
    assert_true(exists(w, "step-0000001000.h5") && exists(w, "step-0000000200.h5") && exists(w, "step-0000000040.h5"));
    assert_true(exists(w, "best.h5") && exists(w, "notes.txt"));
    assert_file_count(w, 5);
    check(w, sr_parallel_barrier(w->parallel, &w->error));
    check(w, sr_checkpoint_rotate(w->parallel, w->directory, 0, &w->error));
    assert_true(exists(w, "step-0000001000.h5") && exists(w, "step-0000000200.h5"));
    assert_file_count(w, 4);
}

/* ---- beside training ---- */

static void a_copy_is_made_where_twice_its_memory_is_left(void **state)
{
    world *w = *state;
    sr_background_write *write;
    double seconds;
    char path[128];
    snprintf(path, sizeof path, "%s/step-000000000%d.h5", w->directory, w->rank);
    setenv("SLURM_MEM_PER_NODE", "1", 1);
    assert_false(sr_checkpoint_begin(&write, path, &w->checkpoint, &w->parameters, &w->state, 1));
    assert_null(write);
    unsetenv("SLURM_MEM_PER_NODE");
    const int64_t step = w->checkpoint.progress.step;
    w->checkpoint.progress.step = w->rank;
    assert_true(sr_checkpoint_begin(&write, path, &w->checkpoint, &w->parameters, &w->state, 1));
    check(w, sr_checkpoint_finish(write, &seconds, &w->error));
    w->checkpoint.progress.step = step;
    assert_int_equal(access(path, F_OK), 0);
}

/* ---- failures ---- */

static void a_directory_that_is_none_is_an_error_on_every_rank(void **state)
{
    world *w = *state;
    char path[128];
    run_on_rank_0(w, "touch %s/file", w->directory);
    snprintf(path, sizeof path, "%s/file/step-0000000001.h5", w->directory);
    assert_int_equal(sr_checkpoint_write(w->parallel, path, &w->checkpoint, &w->parameters, NULL, &w->error), SR_ERROR_RUNTIME);
    assert_message(w, "Not a directory");
    assert_message(w, path);
    snprintf(path, sizeof path, "%s/missing/step-0000000001.h5", w->directory);
    assert_int_equal(sr_checkpoint_write(w->parallel, path, &w->checkpoint, &w->parameters, NULL, &w->error), SR_ERROR_RUNTIME);
    assert_message(w, "No such file or directory");
    assert_file_count(w, 1);
}

/* Replaces a checkpoint by one of the next epoch while the ranks from `first` on find a disk without room: files may not grow
 * beyond `bytes`. Whatever comes of it, a whole file is there afterwards: the new one or, after an error, the old one. */
static sr_status write_to_full_disk(world *w, int first, rlim_t bytes)
{
    struct rlimit unlimited;
    sr_checkpoint read;
    blank b;
    write_checkpoint(w, w->path);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
    const struct rlimit limit = {.rlim_cur = bytes, .rlim_max = unlimited.rlim_max};
    if (w->rank >= first)
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    const int64_t epoch = w->checkpoint.progress.epoch++;
    const sr_status status = sr_checkpoint_write(w->parallel, w->path, &w->checkpoint, &w->parameters, &w->state, &w->error);
    w->checkpoint.progress.epoch = epoch;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
    if (status != SR_OK)
        assert_message(w, w->path);
    assert_file_count(w, 1);
    make_blank(w, &b);
    check(w, read_into(w, &b, w->path));
    assert_memory_equal(b.state.blocks[1].values, w->state.blocks[1].values, w->parameters.block_size * sizeof(sr_real));
    free_blank(&b);
    check(w, sr_checkpoint_read_header(w->parallel, w->path, &read, &w->error));
    assert_int_equal(read.progress.epoch, status == SR_OK ? epoch + 1 : epoch);
    sr_checkpoint_free(&read);
    return status;
}

static void a_full_disk_is_an_error_on_every_rank_and_leaves_the_old_file(void **state)
{
    world *w = *state;
    assert_int_equal(write_to_full_disk(w, 0, 6000000), SR_ERROR_RUNTIME);
    assert_message(w, "no room for");
    assert_int_equal(write_to_full_disk(w, 0, 500), SR_ERROR_RUNTIME);
}

static void a_rank_that_cannot_write_is_an_error_on_every_rank_and_leaves_the_old_file(void **state)
{
    world *w = *state;
    if (sr_parallel_size(w->parallel) == 1)
        skip();
    assert_int_equal(write_to_full_disk(w, 1, 2000000), SR_ERROR_RUNTIME);
    assert_message(w, "File too large");
    assert_int_equal(write_to_full_disk(w, sr_parallel_size(w->parallel) - 1, 100000), SR_ERROR_RUNTIME);
    write_checkpoint(w, w->path); /* and afterwards all is well */
}

/* For compare_checkpoints.sh: writes one file and leaves it. */
static int write_one(const char *path)
{
    void *state;
    checkpoint_start(&state);
    world *w = state;
    write_checkpoint(w, path);
    return checkpoint_finish(&state);
}

int main(int argument_count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_bit_comes_back, clear_directory),
        cmocka_unit_test_setup(every_bit_comes_back_into_memory_that_nodes_share, clear_directory),
        cmocka_unit_test_setup(a_file_may_hold_parameters_alone, clear_directory),
        cmocka_unit_test_setup(a_file_is_replaced_as_a_whole, clear_directory),
        cmocka_unit_test_setup(there_may_be_no_checkpoint, clear_directory),
        cmocka_unit_test_setup(rotation_keeps_the_newest_and_never_fewer_than_two, clear_directory),
        cmocka_unit_test_setup(a_copy_is_made_where_twice_its_memory_is_left, clear_directory),
        cmocka_unit_test_setup(a_directory_that_is_none_is_an_error_on_every_rank, clear_directory),
        cmocka_unit_test_setup(a_full_disk_is_an_error_on_every_rank_and_leaves_the_old_file, clear_directory),
        cmocka_unit_test_setup(a_rank_that_cannot_write_is_an_error_on_every_rank_and_leaves_the_old_file, clear_directory),
    };
    /* A rank that fails an assertion ends the whole job: the others would wait for it for ever. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    signal(SIGXFSZ, SIG_IGN); /* a write beyond RLIMIT_FSIZE is to fail, not to kill */
    return argument_count == 2 ? write_one(arguments[1]) : cmocka_run_group_tests(tests, checkpoint_start, checkpoint_finish);
}
