/* What tests of checkpoints start from: a state of training on whatever number of ranks, and a directory. */
#ifndef SRTRAIN_TESTS_CHECKPOINT_WORLD_H
#define SRTRAIN_TESTS_CHECKPOINT_WORLD_H

#include "srtrain/checkpoint.h"

typedef struct {
    sr_parallel *parallel;
    int rank;
    char directory[64];
    char path[128]; /* of the checkpoint most tests use */
    sr_checkpoint checkpoint;
    sr_parameters parameters;
    sr_state state; /* of AdamW */
    sr_error error;
} world;

typedef struct {
    const char *name;
    size_t shape[3], rank;
} checkpoint_array;

enum { ARRAYS = 7 };
extern const checkpoint_array arrays[ARRAYS];

/* CMocka's set-up and tear-down of a group; *state is a world. */
int checkpoint_start(void **state);
int checkpoint_finish(void **state);

/* CMocka's set-up of a test: an empty directory. */
int clear_directory(void **state);

/* Declares a parameter. */
void declare(world *w, sr_parameters *parameters, const char *name, const size_t *shape, size_t rank);

/* Fails the test unless all is well. */
void check(const world *w, sr_status status);

/* Runs a command of the shell, as for printf, which must succeed. */
void run_on_rank_0(const world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes the world's state. Collective. */
void write_checkpoint(world *w, const char *path);

/* Fails the test unless the world's error says `text`. */
void assert_message(const world *w, const char *text);

/* Fails the test unless the directory holds so many files. */
void assert_file_count(const world *w, int count);

/* Blocks of zeros, laid out as `parameters`, for the names of a list that NULL ends. Release with free_blocks(). */
void make_blocks(const sr_parameters *parameters, const char *const *names, sr_state *state);
void free_blocks(sr_state *state);

/* A state with the same arrays, to be read into. */
typedef struct {
    sr_parameters parameters;
    sr_state state;
} blank;

void make_blank(world *w, blank *b);
void free_blank(blank *b);
sr_status read_into(world *w, blank *b, const char *path);

#endif
