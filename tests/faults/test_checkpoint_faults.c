/* Every file call of a checkpoint fails in turn, on every rank: all ranks return one error, nothing hangs, and the checkpoint
 * that was there is whole, or has been replaced by a whole one. */
#include "divided_rows.h"
#include "every_fault.h"
#include "srtrain/checkpoint.h"
#include "storage/checkpoint_layout.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

typedef struct {
    sr_parallel *parallel;
    char directory[64], path[128];
    sr_checkpoint checkpoint;
    sr_parameters parameters;
    sr_state state;
    sr_parameters small; /* with a table whose rows are divided among the ranks */
    divided_rows rows;
    enum { TOGETHER, DIVIDED, ALONE } way; /* alone: rank 0 writes by itself, as the thread beside training does */
} world;

static void check(sr_status status, const sr_error *error)
{
    if (status != SR_OK)
        fail_msg("%s", error->message);
}

/* The same state again, its item table divided. */
static void divide(world *w)
{
    static const size_t table[] = {900, 64}, shape[] = {64};
    sr_parameters_initialise(&w->small);
    divided_rows_make(&w->rows, &w->small, "item_embedding.weight", table, (size_t)sr_parallel_rank(w->parallel),
                      (size_t)sr_parallel_size(w->parallel));
    sr_error error;
    check(sr_parameters_declare(&w->small, "encoder.0.norm.bias", shape, 1, (sr_initial_values){SR_INITIAL_NORMAL, 0.02},
                                SR_PARAMETERS_ORDINARY, NULL, &error),
          &error);
    check(sr_row_blocks_allocate(&w->small, false, &error), &error);
    w->small.values = w->parameters.values;
    sr_row_blocks_set(&w->small, 0, SIZE_MAX, 0, table[0] * table[1], w->parameters.values);
}

/* Two large arrays, which all ranks write, and small ones. */
static int start(void **state)
{
    static const struct {
        const char *name;
        size_t shape[2], rank;
    } arrays[] = {{"item_embedding.weight", {900, 64}, 2},
                  {"encoder.0.norm.bias", {64}, 1},
                  {"encoder.0.weight", {257, 129}, 2},
                  {"output.bias", {1}, 1}};
    world *w = calloc(1, sizeof *w);
    sr_error error;
    assert_non_null(w);
    check(sr_parallel_start(&w->parallel, NULL, NULL, &error), &error);
    snprintf(w->directory, sizeof w->directory, "/tmp/srtrain-test-XXXXXX");
    if (sr_parallel_rank(w->parallel) == 0)
        assert_non_null(mkdtemp(w->directory));
    check(sr_parallel_broadcast(w->parallel, w->directory, sizeof w->directory, &error), &error);
    snprintf(w->path, sizeof w->path, "%s/step-0000000042.h5", w->directory);
    sr_parameters_initialise(&w->parameters);
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; ++i)
        check(sr_parameters_declare(&w->parameters, arrays[i].name, arrays[i].shape, arrays[i].rank,
                                    (sr_initial_values){SR_INITIAL_NORMAL, 0.02}, SR_PARAMETERS_ORDINARY, NULL, &error),
              &error);
    check(sr_parameters_allocate(&w->parameters, &error), &error);
    w->state = (sr_state){.blocks = {{.name = "first_moment"}, {.name = "second_moment"}}, .count = 2};
    for (size_t i = 0; i < w->state.count; ++i)
        w->state.blocks[i].values = calloc(w->parameters.block_size, sizeof(sr_real));
    for (size_t i = 0; i < w->parameters.block_size; ++i)
        w->parameters.values[i] = w->state.blocks[0].values[i] = (sr_real)i;
    w->checkpoint = (sr_checkpoint){.progress = {.epoch = 1, .step = 42},
                                    .configuration = strdup("model: {}\n"),
                                    .program_version = strdup("0"),
                                    .data_fingerprint = strdup("00"),
                                    .data_directory = strdup("data"),
                                    .users = 9,
                                    .items = 899};
    divide(w);
    *state = w;
    return 0;
}

static int finish(void **state)
{
    world *w = *state;
    sr_error error;
    char command[256];
    check(sr_parallel_barrier(w->parallel, &error), &error);
    snprintf(command, sizeof command, "rm -r %s", w->directory);
    if (sr_parallel_rank(w->parallel) == 0)
        assert_int_equal(system(command), 0);
    sr_checkpoint_free(&w->checkpoint);
    divided_rows_free(&w->rows, &w->small);
    w->small.values = NULL;
    sr_parameters_free(&w->small);
    sr_parameters_free(&w->parameters);
    free(w->state.blocks[0].values);
    free(w->state.blocks[1].values);
    sr_parallel_finish(w->parallel);
    free(w);
    return 0;
}

/* Each checkpoint is of another epoch. */
static sr_status write_checkpoint(void *context, sr_error *error)
{
    world *w = context;
    ++w->checkpoint.progress.epoch;
    if (w->way != ALONE)
        return sr_checkpoint_write(w->parallel, w->path, &w->checkpoint, w->way == DIVIDED ? &w->small : &w->parameters,
                                   &w->state, error);
    sr_status status = SR_OK;
    if (sr_parallel_rank(w->parallel) == 0)
        status = checkpoint_write_alone(w->path, &w->checkpoint, &w->parameters, &w->state, error);
    return sr_parallel_agree(w->parallel, status, error);
}

static int count_entries(const char *path)
{
    DIR *directory = opendir(path);
    int count = 0;
    assert_non_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

static void a_whole_checkpoint_is_there(void *context, sr_status status)
{
    world *w = context;
    sr_error error;
    sr_checkpoint read;
    check(sr_checkpoint_verify(w->parallel, w->path, true, &error), &error);
    check(sr_checkpoint_read_header(w->parallel, w->path, &read, &error), &error);
    const int64_t newest = w->checkpoint.progress.epoch, found = read.progress.epoch;
    sr_checkpoint_free(&read);
    if (found != newest && (status == SR_OK || found > newest))
        fail_msg("epoch %lld was written last, and %lld is found", (long long)newest, (long long)found);
    assert_int_equal(count_entries(w->directory), 1);
}

static void try_all(void *context, fault_kind kind, int cause)
{
    world *w = context;
    const faulty_work work = {.parallel = w->parallel,
                              .directory = w->directory,
                              .context = w,
                              .work = write_checkpoint,
                              .check = a_whole_checkpoint_is_there};
    const bool together = sr_parallel_size(w->parallel) > 1;
    long counts[] = {[TOGETHER] = 0, [DIVIDED] = 0, [ALONE] = 0};
    w->way = TOGETHER;
    counts[TOGETHER] = try_every_fault(&work, kind, cause);
    w->way = together ? DIVIDED : ALONE; /* for which it does not matter how many others there are */
    counts[w->way] = try_every_fault(&work, kind, cause);
    assert_true(counts[TOGETHER] > 0 && counts[w->way] > 0);
    if (sr_parallel_rank(w->parallel) == 0)
        print_message("%ld faults of a checkpoint of all ranks, %ld of a divided table, %ld of one that a rank writes alone\n",
                      counts[TOGETHER], counts[DIVIDED], counts[ALONE]);
}

int main(void)
{
    return run_every_fault(try_all, start, finish);
}
