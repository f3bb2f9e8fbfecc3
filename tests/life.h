/* A run of training as a user has it: the configurations that tests of whole programs train, and what a run leaves. */
#ifndef SRTRAIN_TESTS_LIFE_H
#define SRTRAIN_TESTS_LIFE_H

#include "world.h"

enum { STEPS = 1000 };

/* CMocka's set-up of a group, world_tear_down() is its tear-down: a model with attention; the same with so many items that a
 * step reads few of them; a model without keys that only attention and feed-forward layers have. */
int life_set_up(void **state);
int life_set_up_large(void **state);
int life_set_up_plain(void **state);

/* Trains as world_train() does, which must succeed. */
void train(world *w, int ranks, const char *run, const char *options);

/* The lines of a run's steps, and how many there are. */
size_t lines_of(const world *w, const char *run, train_line lines[STEPS]);

/* Fails the test unless two runs have the same best parameters. */
void assert_same_best(const world *w, const char *left_run, const char *right_run);

/* ---- options ---- */

#define MODEL(setting) "--set model." setting " "
#define TRAINING(setting) "--set training." setting " "
#define REFINEMENT(setting) "--set calibrators.refinement." setting " "
#define FREQUENCY "--set calibrators.frequency.cutoff=3 "
#define STOSA MODEL("backbone=stosa") TRAINING("loss=stosa") MODEL("activation=elu")
#define ADVERSARIAL(setting) "--set calibrators.adversarial." setting " "

/* Initial weights so large that attention, and with it noise and masks, makes a difference to the losses. */
#define CALIBRATED                 \
    MODEL("initializer_range=0.1") \
    MODEL("hidden_dropout=0.5")    \
    MODEL("attention_dropout=0.5") "--set calibrators.spatial.order=true " ADVERSARIAL("penalty=visible")

/* An example is a user. */
#define ALL_TARGETS TRAINING("objective=all") TRAINING("batch_size=8")
#define BLOCKING TRAINING("reduction=blocking")

#define FEAREC MODEL("backbone=fearec") MODEL("topk_factor=3") MODEL("attention_dropout=0.3")
#define CONTRASTIVE "--set training.contrastive.weight=0.1 --set data.samples=window " MODEL("attention_dropout=0.3")

#endif
