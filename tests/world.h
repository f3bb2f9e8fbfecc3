/* What a test of the programs starts from: a small synthetic data set and a configuration in a directory of its own. */
#ifndef SRTRAIN_TESTS_WORLD_H
#define SRTRAIN_TESTS_WORLD_H

#include "program.h"

typedef struct {
    char directory[64], data[96], configuration[96];
    program_result result; /* of the last program */
} world;

/* Makes a world as CMocka's *state: the text of the configuration, and the options of srprep synth. */
int world_set_up(void **state, const char *configuration, const char *synthesis);

/* Removes it with everything in its directory. */
int world_tear_down(void **state);

enum { WORLD_PATH_SIZE = 256 };

/* DIRECTORY/NAME. */
void world_path(const world *w, const char *name, char path[WORLD_PATH_SIZE]);

/* Fails the test unless the parameters in DIRECTORY/LEFT_RUN/NAME and DIRECTORY/RIGHT_RUN/NAME are the same to the bit. */
void world_assert_same_parameters(const world *w, const char *left_run, const char *right_run, const char *name);

/* Trains on the world's data into DIRECTORY/RUN with further options (--set data.path=... gives other data); see run_srtrain()
 * for `ranks`. */
void world_train(world *w, int ranks, const char *run, const char *options);

#endif
