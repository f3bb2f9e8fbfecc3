/* What tests of operations start from: a tape and at most one parameter. */
#ifndef SRTRAIN_TESTS_OPERATION_WORLD_H
#define SRTRAIN_TESTS_OPERATION_WORLD_H

#include "srtrain/operations.h"

typedef struct {
    sr_parameters parameters;
    sr_tape *tape;
} world;

/* CMocka's set-up and tear-down; *state is a world. */
int operation_set_up(void **state);
int operation_tear_down(void **state);

/* The only parameter of a test, drawn at random. */
sr_tensor *parameter(world *w, size_t rows, size_t columns);

/* A constant of equal elements. */
sr_tensor *filled(world *w, size_t rows, size_t columns, sr_real value);

/* Backward from the sum of all elements. */
void backward(world *w, sr_tensor *x);

/* A site that drops half of what passes it. */
sr_dropout_site half_site(void);

enum { SPAN = 3, HEADS = 2, WIDTH = 4, CHANNELS = 64, EIGHT = 8 };

/* One sequence of four items whose stamps are as far apart as they can be. */
extern const sr_layout four;
extern const sr_intervals four_intervals;

/* Every token of a layout by every token. */
const sr_attention_map *map_of(world *w, const sr_layout *layout, size_t heads);

#endif
