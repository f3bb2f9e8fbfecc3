#include "checkpoint_world.h"

#include "srtrain/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* ---- a state of training ---- */

/* Shared and small arrays; several checksum blocks; fewer rows than ranks; three dimensions. */
const checkpoint_array arrays[ARRAYS] = {{"item_embedding.weight", {1100, 1000}, 2},
                                         {"position_embedding.weight", {50, 8}, 2},
                                         {"encoder.0.attention.query.weight", {2, 20000}, 2},
                                         {"encoder.0.attention.mask", {3, 5, 7}, 3},
                                         {"encoder.0.norm.bias", {64}, 1},
                                         {"encoder.1.feed_forward.weight", {257, 129}, 2},
                                         {"output.bias", {1}, 1}};

void declare(world *w, sr_parameters *parameters, const char *name, const size_t *shape, size_t rank)
{
    if (sr_parameters_declare(parameters, name, shape, rank, (sr_initial_values){SR_INITIAL_NORMAL, 0.02},
                              SR_PARAMETERS_ORDINARY, NULL, &w->error) != SR_OK)
        fail_msg("%s", w->error.message);
}

/* Any bits at all, those of NaN and denormal numbers among them. */
static void fill_with_bits(const sr_parameters *parameters, sr_real *block, uint64_t key)
{
    const sr_random_stream stream = sr_random_open(key, SR_RANDOM_TEST, 0);
    for (size_t p = 0; p < parameters->count; ++p)
        for (size_t i = 0; i < parameters->list[p].size; ++i) {
            uint32_t words[4];
            sr_random_words(stream, i, p, words);
            memcpy(&block[parameters->list[p].offset + i], words, sizeof *block);
        }
}

void make_blocks(const sr_parameters *parameters, const char *const *names, sr_state *state)
{
    *state = (sr_state){.count = 0};
    for (; names[state->count]; ++state->count) {
        sr_real *values = calloc(parameters->block_size, sizeof *values);
        assert_non_null(values);
        state->blocks[state->count] = (sr_state_block){names[state->count], values};
    }
}

void free_blocks(sr_state *state)
{
    for (size_t i = 0; i < state->count; ++i)
        free(state->blocks[i].values);
}

static const char *const block_names[] = {"first_moment", "second_moment", NULL};

static void make_state(world *w)
{
    sr_parameters_initialise(&w->parameters);
    for (size_t i = 0; i < ARRAYS; ++i)
        declare(w, &w->parameters, arrays[i].name, arrays[i].shape, arrays[i].rank);
    assert_int_equal(sr_parameters_allocate(&w->parameters, &w->error), SR_OK);
    make_blocks(&w->parameters, block_names, &w->state);
    fill_with_bits(&w->parameters, w->parameters.values, 1);
    fill_with_bits(&w->parameters, w->state.blocks[0].values, 2);
    fill_with_bits(&w->parameters, w->state.blocks[1].values, 3);
    const size_t length = 100000; /* more than an attribute may hold */
    char *configuration = malloc(length + 1);
    for (size_t i = 0; i < length; ++i)
        configuration[i] = i % 40 == 39 ? '\n' : (char)('a' + i % 26);
    configuration[length] = '\0';
    w->checkpoint = (sr_checkpoint){.progress = {.epoch = 3,
                                                 .step = INT64_C(5000000000),
                                                 .batch = 17,
                                                 .seed = UINT64_C(0xfedcba9876543210),
                                                 .epoch_loss_sum = 0.1 + 0.2,
                                                 .epoch_loss_count = 12345,
                                                 .best_metric = -1,
                                                 .best_epoch = 2,
                                                 .best_step = 400,
                                                 .validations_without_improvement = 1,
                                                 .finished = 1,
                                                 .seconds = 1.0 / 3},
                                    .configuration = configuration,
                                    .program_version = strdup("0.1.0"),
                                    .data_fingerprint = strdup("00112233445566778899aabbccddeeff"),
                                    .data_directory = strdup("/data/größe"),
                                    .users = 943,
                                    .items = 1099};
}

/* ---- set-up ---- */

void check(const world *w, sr_status status)
{
    if (status != SR_OK)
        fail_msg("%s", w->error.message);
}

int checkpoint_start(void **state)
{
    world *w = calloc(1, sizeof *w);
    check(w, sr_parallel_start(&w->parallel, NULL, NULL, &w->error));
    w->rank = sr_parallel_rank(w->parallel);
    snprintf(w->directory, sizeof w->directory, "/tmp/srtrain-test-XXXXXX");
    if (w->rank == 0)
        assert_non_null(mkdtemp(w->directory));
    check(w, sr_parallel_broadcast(w->parallel, w->directory, sizeof w->directory, &w->error));
    snprintf(w->path, sizeof w->path, "%s/step-0000000042.h5", w->directory);
    make_state(w);
    *state = w;
    return 0;
}

void run_on_rank_0(const world *w, const char *format, ...)
{
    char command[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    if (w->rank == 0)
        assert_int_equal(system(command), 0);
}

int checkpoint_finish(void **state)
{
    world *w = *state;
    check(w, sr_parallel_barrier(w->parallel, &w->error));
    run_on_rank_0(w, "rm -rf %s", w->directory);
    sr_checkpoint_free(&w->checkpoint);
    sr_parameters_free(&w->parameters);
    free_blocks(&w->state);
    sr_parallel_finish(w->parallel);
    free(w);
    return 0;
}

/* Before each test: an empty directory. */
int clear_directory(void **state)
{
    world *w = *state;
    check(w, sr_parallel_barrier(w->parallel, &w->error));
    run_on_rank_0(w, "rm -rf %s/*", w->directory);
    check(w, sr_parallel_barrier(w->parallel, &w->error));
    return 0;
}

void write_checkpoint(world *w, const char *path)
{
    check(w, sr_checkpoint_write(w->parallel, path, &w->checkpoint, &w->parameters, &w->state, &w->error));
}

void assert_message(const world *w, const char *text)
{
    if (!strstr(w->error.message, text))
        fail_msg("the message does not say \"%s\": %s", text, w->error.message);
}

void assert_file_count(const world *w, int count)
{
    char command[256], text[16] = "";
    snprintf(command, sizeof command, "ls -A %s | wc -l", w->directory);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(text, sizeof text, pipe));
    pclose(pipe);
    assert_int_equal(atoi(text), count);
}

/* ---- reading back ---- */

void make_blank(world *w, blank *b)
{
    sr_parameters_initialise(&b->parameters);
    for (size_t i = 0; i < ARRAYS; ++i)
        declare(w, &b->parameters, arrays[i].name, arrays[i].shape, arrays[i].rank);
    check(w, sr_parameters_allocate(&b->parameters, &w->error));
    make_blocks(&b->parameters, block_names, &b->state);
}

void free_blank(blank *b)
{
    sr_parameters_free(&b->parameters);
    free_blocks(&b->state);
}

sr_status read_into(world *w, blank *b, const char *path)
{
    return sr_checkpoint_read_state(w->parallel, path, &b->parameters, &b->state, &w->error);
}
