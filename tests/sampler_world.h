/* What tests of the sampler start from: seven users of two to twenty interactions, with times and without. */
#ifndef SRTRAIN_TESTS_SAMPLER_WORLD_H
#define SRTRAIN_TESTS_SAMPLER_WORLD_H

#include "srtrain/settings.h"

enum { USERS = 7, ITEMS = 40 };

typedef struct {
    char directory[64];
    sr_dataset *dataset, *timeless;
    sr_settings settings;
    sr_arena *arena;
} world;

/* CMocka's set-up and tear-down; *state is a world. The default model of windows of 6 items, and batches of 8 examples. */
int sampler_set_up(void **state);
int sampler_tear_down(void **state);

/* The sampler of the world's settings, for the caller to free. */
sr_sampler *make_sampler(const world *w);

/* A rank's part of batch `index` of an epoch, in the world's arena. */
void draw(const world *w, const sr_sampler *sampler, size_t epoch, size_t index, size_t rank, size_t ranks, sr_batch *batch);

/* The user and the length of prefix number `number` of all non-empty ones (samples sliding, objective last). */
void find_prefix(const world *w, uint64_t number, size_t *user, size_t *length);

#endif
