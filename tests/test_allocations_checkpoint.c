/* Checkpoints for which memory does not suffice: whichever allocation fails, on whichever rank, writing and reading end with a
 * message on all of them, nothing is lost, and no file is left that is not whole; no file is taken for a damaged one. */
#include "divided_rows.h"
#include "failing_allocations.h"
#include "srtrain/checkpoint.h"
#include "srtrain/memory.h"

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
    char directory[64], path[128], kept[128]; /* `kept` is written once */
    sr_checkpoint checkpoint;
    sr_parameters parameters;
    sr_state state;
} world;

/* Shared by all ranks and by rank 0 alone. */
static const struct {
    const char *name;
    size_t shape[2];
} arrays[] = {{"item_embedding.weight", {1100, 16}}, {"norm.bias", {64, 1}}};

static void check(sr_status status, const sr_error *error)
{
    if (status != SR_OK)
        fail_msg("%s", error->message);
}

static void fill(sr_real *block, size_t size, double factor)
{
    for (size_t i = 0; i < size; ++i)
        block[i] = (sr_real)(factor * (double)(i % 1000));
}

static sr_real *make_moment(const world *w, double factor)
{
    sr_real *moment = calloc(w->parameters.block_size, sizeof *moment);
    assert_non_null(moment);
    fill(moment, w->parameters.block_size, factor);
    return moment;
}

static char text_configuration[] = "model: {backbone: sasrec}\n", text_version[] = "0.1.0", text_directory[] = "/data",
            text_fingerprint[] = "00112233445566778899aabbccddeeff";

static void make_state(world *w)
{
    sr_error error;
    sr_parameters_initialise(&w->parameters);
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; ++i)
        check(sr_parameters_declare(&w->parameters, arrays[i].name, arrays[i].shape, 2,
                                    (sr_initial_values){SR_INITIAL_NORMAL, 0.02}, SR_PARAMETERS_ORDINARY, NULL, &error),
              &error);
    check(sr_parameters_allocate(&w->parameters, &error), &error);
    fill(w->parameters.values, w->parameters.block_size, 1);
    w->state = (sr_state){.blocks = {{"first_moment", make_moment(w, 0.5)}, {"second_moment", make_moment(w, 0.25)}},
                          .count = 2};
    w->checkpoint = (sr_checkpoint){.progress = {.epoch = 3, .step = 42, .seed = 7, .best_metric = -1},
                                    .configuration = text_configuration,
                                    .program_version = text_version,
                                    .data_fingerprint = text_fingerprint,
                                    .data_directory = text_directory,
                                    .users = 943,
                                    .items = 1099};
}

static sr_status write_to(const world *w, const char *path, sr_error *error)
{
    return sr_checkpoint_write(w->parallel, path, &w->checkpoint, &w->parameters, &w->state, error);
}

static int set_up(void **state)
{
    sr_error error;
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    setenv("CMOCKA_TEST_ABORT", "1", 0); /* a rank that fails ends the whole job */
    check(sr_parallel_start(&w->parallel, NULL, NULL, &error), &error);
    snprintf(w->directory, sizeof w->directory, "/tmp/srtrain-test-XXXXXX");
    if (sr_parallel_rank(w->parallel) == 0)
        assert_non_null(mkdtemp(w->directory));
    check(sr_parallel_broadcast(w->parallel, w->directory, sizeof w->directory, &error), &error);
    snprintf(w->path, sizeof w->path, "%s/step-0000000043.h5", w->directory);
    snprintf(w->kept, sizeof w->kept, "%s/step-0000000042.h5", w->directory);
    make_state(w);
    check(write_to(w, w->kept, &error), &error);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    sr_error error;
    world *w = *state;
    check(sr_parallel_barrier(w->parallel, &error), &error);
    if (sr_parallel_rank(w->parallel) == 0) {
        assert_int_equal(unlink(w->kept), 0);
        assert_int_equal(rmdir(w->directory), 0);
    }
    sr_parameters_free(&w->parameters);
    free(w->state.blocks[0].values);
    free(w->state.blocks[1].values);
    sr_parallel_finish(w->parallel);
    free(w);
    return 0;
}

/* ---- what is on disk afterwards ---- */

/* Besides the file that was there: a whole one of step 43, or nothing. */
static void look_at_files(void *context)
{
    const world *w = context;
    sr_error error;
    check(sr_parallel_barrier(w->parallel, &error), &error);
    const bool written = access(w->path, F_OK) == 0;
    check(sr_checkpoint_verify(w->parallel, w->kept, true, &error), &error);
    if (written) /* its name says another step, which is all that may be wrong with it */
        assert_int_equal(sr_checkpoint_verify(w->parallel, w->path, true, &error), SR_ERROR_DATA);
    if (written)
        assert_non_null(strstr(error.message, "not the one that its name says"));
    if (sr_parallel_rank(w->parallel) == 0) {
        DIR *directory = opendir(w->directory);
        assert_non_null(directory);
        for (const struct dirent *entry; (entry = readdir(directory));)
            if (*entry->d_name != '.' && strncmp(entry->d_name, "step-000000004", 14) != 0)
                fail_msg("%s is left", entry->d_name);
            else if (strstr(entry->d_name, ".tmp") || strstr(entry->d_name, ".damaged"))
                fail_msg("%s is left", entry->d_name);
        closedir(directory);
        if (written)
            assert_int_equal(unlink(w->path), 0);
    }
    check(sr_parallel_barrier(w->parallel, &error), &error);
}

static void try_all(world *w, const char *name, watched_operation run)
{
    every_allocation_may_fail(w->parallel, &(allocation_trial){.name = name, .run = run, .clear = look_at_files, .context = w});
}

/* ---- writing ---- */

static sr_status write_together(void *context, uint64_t *result, sr_error *error)
{
    const world *w = context;
    SR_TRY(write_to(w, w->path, error));
    *result = access(w->path, F_OK) == 0;
    return SR_OK;
}

/* As a run does it: where there is no memory for that, all ranks write together. */
static sr_status write_beside(void *context, uint64_t *result, sr_error *error)
{
    const world *w = context;
    sr_background_write *write = NULL;
    double seconds;
    bool begun = sr_parallel_rank(w->parallel) == 0 &&
                 sr_checkpoint_begin(&write, w->path, &w->checkpoint, &w->parameters, &w->state, 1);
    sr_status status = sr_parallel_broadcast(w->parallel, &begun, sizeof begun, error);
    if (status == SR_OK && !begun)
        status = write_to(w, w->path, error);
    if (write)
        status = sr_checkpoint_finish(write, &seconds, error);
    status = sr_parallel_agree(w->parallel, status, error);
    *result = status == SR_OK && access(w->path, F_OK) == 0;
    return status;
}

static void in_writing(void **state)
{
    try_all(*state, "writing a checkpoint", write_together);
}

static void in_writing_beside(void **state)
{
    try_all(*state, "writing a checkpoint beside training", write_beside);
}

/* ---- reading ---- */

static sr_status read_it(void *context, uint64_t *result, sr_error *error)
{
    const world *w = context;
    sr_checkpoint header;
    SR_TRY(sr_checkpoint_read_header(w->parallel, w->kept, &header, error));
    *result = add_to_result((uint64_t)header.progress.step, header.configuration, strlen(header.configuration));
    *result = add_to_result(*result, header.data_directory, strlen(header.data_directory));
    sr_checkpoint_free(&header);
    sr_parameters read;
    sr_state state = {.blocks = {{.name = "first_moment"}, {.name = "second_moment"}}, .count = 2};
    sr_parameters_initialise(&read);
    sr_status status = SR_OK;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays && status == SR_OK; ++i)
        status = sr_parameters_declare(&read, arrays[i].name, arrays[i].shape, 2, (sr_initial_values){SR_INITIAL_NORMAL, 0.02},
                                       SR_PARAMETERS_ORDINARY, NULL, error);
    if (status == SR_OK)
        status = sr_parameters_allocate(&read, error);
    for (size_t i = 0; i < state.count && status == SR_OK; ++i)
        status = SR_ALLOCATE_ZERO(&state.blocks[i].values, read.block_size, "state", error);
    status = sr_parallel_agree(w->parallel, status, error);
    if (status == SR_OK)
        status = sr_checkpoint_read_state(w->parallel, w->kept, &read, &state, error);
    if (status == SR_OK) {
        *result = add_to_result(*result, read.values, read.block_size * sizeof *read.values);
        *result = add_to_result(*result, state.blocks[1].values, read.block_size * sizeof *read.values);
    }
    sr_parameters_free(&read);
    free(state.blocks[0].values);
    free(state.blocks[1].values);
    return status;
}

static void in_reading(void **state)
{
    try_all(*state, "reading a checkpoint", read_it);
}

static sr_status read_weights(void *context, uint64_t *result, sr_error *error)
{
    world *w = context;
    SR_TRY(sr_weights_read(w->parallel, w->kept, &w->parameters, error));
    *result = add_to_result(0, w->parameters.values, w->parameters.block_size * sizeof *w->parameters.values);
    return SR_OK;
}

static void in_importing(void **state)
{
    try_all(*state, "reading weights", read_weights);
}

/* ---- a table that is divided among ranks ---- */

/* Like the state of the world. */
typedef struct {
    sr_parameters parameters;
    divided_rows rows;
    sr_state state; /* of the array that is not divided */
} divided_state;

static void divide(const world *w, divided_state *d)
{
    sr_error error;
    sr_parameters_initialise(&d->parameters);
    divided_rows_make(&d->rows, &d->parameters, arrays[0].name, arrays[0].shape, (size_t)sr_parallel_rank(w->parallel),
                      (size_t)sr_parallel_size(w->parallel));
    check(sr_parameters_declare(&d->parameters, arrays[1].name, arrays[1].shape, 2,
                                (sr_initial_values){SR_INITIAL_NORMAL, 0.02}, SR_PARAMETERS_ORDINARY, NULL, &error),
          &error);
    check(sr_parameters_allocate(&d->parameters, &error), &error);
    d->state = (sr_state){.blocks = {{.name = "first_moment"}, {.name = "second_moment"}}, .count = 2};
    for (size_t i = 0; i < d->state.count; ++i) {
        d->state.blocks[i].values = calloc(d->parameters.block_size, sizeof(sr_real));
        assert_non_null(d->state.blocks[i].values);
    }
}

static void end_division(divided_state *d)
{
    divided_rows_free(&d->rows, &d->parameters);
    sr_parameters_free(&d->parameters);
    free(d->state.blocks[0].values);
    free(d->state.blocks[1].values);
}

typedef struct {
    world *w;
    divided_state divided;
} division;

static void look_at_divided(void *context)
{
    look_at_files(((division *)context)->w);
}

static sr_status write_divided(void *context, uint64_t *result, sr_error *error)
{
    division *d = context;
    SR_TRY(
        sr_checkpoint_write(d->w->parallel, d->w->path, &d->w->checkpoint, &d->divided.parameters, &d->divided.state, error));
    *result = access(d->w->path, F_OK) == 0;
    return SR_OK;
}

static sr_status read_divided(void *context, uint64_t *result, sr_error *error)
{
    division *d = context;
    SR_TRY(sr_checkpoint_read_state(d->w->parallel, d->w->kept, &d->divided.parameters, &d->divided.state, error));
    *result = 0;
    for (size_t b = 0; b < DIVIDED_BLOCKS; ++b)
        *result = add_to_result(*result, d->divided.rows.blocks[b].parameters.values,
                                d->divided.rows.blocks[b].parameters.block_size * sizeof(sr_real));
    return SR_OK;
}

static void in_writing_and_reading_a_divided_table(void **state)
{
    division d = {.w = *state};
    divide(d.w, &d.divided);
    const allocation_trial trials[] = {
        {.name = "writing a divided table", .run = write_divided, .clear = look_at_divided, .context = &d},
        {.name = "reading a divided table", .run = read_divided, .clear = look_at_divided, .context = &d}};
    for (size_t i = 0; i < sizeof trials / sizeof *trials; ++i)
        every_allocation_may_fail(d.w->parallel, &trials[i]);
    end_division(&d.divided);
}

/* ---- finding ---- */

static void note_refusal(void *context, const char *path, const char *reason)
{
    (void)context;
    fail_msg("%s is refused: %s", path, reason);
}

/* A whole file is never refused, passed over or set aside because there was no memory to look at it. */
static sr_status find_newest(void *context, uint64_t *result, sr_error *error)
{
    const world *w = context;
    char *newest = NULL;
    SR_TRY(sr_checkpoint_newest(w->parallel, w->directory, &newest, note_refusal, NULL, error));
    *result = newest ? add_to_result(0, newest, strlen(newest)) : 0;
    free(newest);
    SR_TRY(sr_checkpoint_set_aside(w->parallel, w->directory, 42, error));
    return sr_checkpoint_rotate(w->parallel, w->directory, 2, error);
}

static void in_finding_the_newest(void **state)
{
    try_all(*state, "finding the newest checkpoint", find_newest);
}

int main(int argument_count, char **arguments)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_writing),
                                       cmocka_unit_test(in_writing_beside),
                                       cmocka_unit_test(in_reading),
                                       cmocka_unit_test(in_importing),
                                       cmocka_unit_test(in_writing_and_reading_a_divided_table),
                                       cmocka_unit_test(in_finding_the_newest)};
    if (argument_count > 1) /* a pattern: only these */
        cmocka_set_test_filter(arguments[1]);
    return cmocka_run_group_tests_name("every allocation may fail", tests, set_up, tear_down);
}
