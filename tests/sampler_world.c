#include "sampler_world.h"

#include "small_dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* User u has 2 + 3 u interactions with items five apart. */
static void write_data(const char *directory, bool with_times)
{
    int64_t offsets[USERS + 1] = {0}, times[200];
    int32_t items[200], train_end[USERS], valid_end[USERS];
    size_t count = 0;
    for (size_t user = 0; user < USERS; ++user) {
        const size_t length = 2 + 3 * user;
        for (size_t i = 0; i < length; ++i) {
            times[count] = (int64_t)(1000 * user + i);
            items[count++] = 1 + (int32_t)((user + 5 * i) % ITEMS);
        }
        offsets[user + 1] = (int64_t)count;
        train_end[user] = (int32_t)(length >= 3 ? length - 2 : length);
        valid_end[user] = (int32_t)(length >= 3 ? length - 1 : length);
    }
    small_dataset_write(directory, &(small_dataset){.users = USERS,
                                                    .items = ITEMS,
                                                    .shards = 2,
                                                    .offsets = offsets,
                                                    .item_ids = items,
                                                    .times = with_times ? times : NULL,
                                                    .train_end = train_end,
                                                    .valid_end = valid_end});
}

static sr_dataset *make_data(const char *directory, const char *name, bool with_times)
{
    char path[80];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    write_data(path, with_times);
    sr_dataset *dataset;
    sr_error error;
    if (sr_dataset_open(&dataset, path, &error) != SR_OK)
        fail_msg("%s", error.message);
    return dataset;
}

int sampler_set_up(void **state)
{
    world *w = calloc(1, sizeof *w);
    snprintf(w->directory, sizeof w->directory, "/tmp/srtrain-test-XXXXXX");
    assert_non_null(mkdtemp(w->directory));
    w->dataset = make_data(w->directory, "data", true);
    w->timeless = make_data(w->directory, "timeless", false);
    sr_settings_default(&w->settings);
    w->settings.model.max_length = 6;
    w->settings.training.batch_size = 8;
    assert_int_equal(sr_arena_create(&w->arena, 1 << 16, NULL), SR_OK);
    *state = w;
    return 0;
}

int sampler_tear_down(void **state)
{
    world *w = *state;
    char command[128];
    sr_dataset_close(w->dataset);
    sr_dataset_close(w->timeless);
    sr_arena_free(w->arena);
    snprintf(command, sizeof command, "rm -r %s", w->directory);
    const int result = system(command);
    free(w);
    return result;
}

sr_sampler *make_sampler(const world *w)
{
    sr_sampler *sampler;
    assert_int_equal(sr_settings_sampler(&sampler, w->dataset, &w->settings, NULL), SR_OK);
    return sampler;
}

void draw(const world *w, const sr_sampler *sampler, size_t epoch, size_t index, size_t rank, size_t ranks, sr_batch *batch)
{
    sr_totals totals;
    assert_int_equal(
        sr_sampler_batch(sampler, epoch, index, (sr_part){.rank = rank, .ranks = ranks}, w->arena, batch, &totals, NULL),
        SR_OK);
}

/* The user and the length of prefix number `number` of all non-empty ones (samples sliding, objective last). */
void find_prefix(const world *w, uint64_t number, size_t *user, size_t *length)
{
    for (*user = 0;; ++*user) {
        const size_t prefixes = sr_dataset_sequence(w->dataset, *user).train_end - 1;
        if (number < prefixes)
            break;
        number -= prefixes;
    }
    *length = (size_t)number + 1;
}
