/* One step of training on all ranks. */
#ifndef SRTRAIN_STEP_H
#define SRTRAIN_STEP_H

#include "srtrain/checkpoint.h"
#include "srtrain/model.h"
#include "srtrain/node.h"
#include "srtrain/node_memory.h"
#include "srtrain/objective.h"
#include "srtrain/optimizer.h"
#include "srtrain/parallel.h"
#include "srtrain/sampler.h"
#include "srtrain/settings.h"
#include "srtrain/traffic.h"

/* Seconds spent in the parts of training steps on this rank; forward is the encoder alone. */
typedef struct {
    double data, forward, loss, backward, reduction, optimizer;
} sr_step_times;

typedef struct sr_stepper sr_stepper;

/* Whether ranks of a node share parameters and the optimizer's state where there are several. Local. */
bool sr_training_shares(const sr_training_settings *settings);

/* What each worker of a rank may keep of its logits, in bytes: its part of training.kept_logits_megabytes. */
size_t sr_training_kept_bytes(const sr_training_settings *settings, size_t threads);

/* What one worker, a thread of a rank, works with. It computes its part of the batch as if it were a rank of its own. */
typedef struct {
    sr_stepper *stepper;
    sr_parallel *parallel; /* the member of the process that this thread is */
    sr_model *model;       /* the stepper's, or a share of it with gradients of its own */
    sr_arena *arena;       /* of the batch */
    sr_tape *tape;
    struct sr_reduction *reduction;
    struct touched_rows *touched; /* where steps go through some rows of item tables alone, else NULL */
    double row_squares;           /* of the gradients of this step in blocks of rows, over all workers */
    sr_step_times times;          /* summed over all steps so far */
    sr_traffic traffic;           /* likewise: what this worker has sent, but for sums of gradients */
} sr_worker;

/* Everything a step needs. Made by sr_stepper_create(), which borrows the first group and owns the second. */
struct sr_stepper {
    sr_parallel *parallel;
    const sr_settings *settings;
    const sr_kernels *kernels;
    const sr_sampler *sampler;
    sr_model *model;
    int64_t total_steps; /* of the whole training, for the learning rate */
    /* Where training begins with what an earlier one has learned: the steps that the model was trained before, and those that
     * the optimizer's state has seen of them. 0 at first; whoever loads the state sets them. */
    int64_t earlier_steps, optimizer_steps;

    size_t threads;     /* those of `parallel` when the stepper was made */
    sr_worker *workers; /* [threads] */
    sr_node *node;      /* whose processes share parameters and state (training.reduction: shared); else NULL */
    char why_not[256];  /* what speaks against sharing them, where that was asked for; else empty */
    sr_optimizer optimizer;
    struct row_steps *row_steps; /* of the model's blocks of rows (row_blocks.h): their optimizers; NULL: none */
    sr_step_times times;         /* of the first worker, summed over all steps so far */
};

/* Gives the model, which has been declared only, its memory and the initial values of training.seed. Where processes of a node
 * share parameters, that is memory of the node, of which each worker draws a part; the model has none any more when the stepper
 * is freed. Collective; fails on all ranks together. */
sr_status sr_stepper_create(sr_stepper *stepper, sr_parallel *parallel, const sr_settings *settings, const sr_kernels *kernels,
                            const sr_sampler *sampler, sr_model *model, int64_t total_steps, sr_error *error);
void sr_stepper_free(sr_stepper *stepper); /* collective over the processes of a node */

/* Makes the table that draws of the sampler need, one copy a node, each rank a part of it (sr_sampler_table_bytes()). *memory,
 * NULL where none is needed, must live as long as the sampler draws. Collective over processes; fails on all of them. */
sr_status sr_share_sampler_table(sr_node_memory **memory, sr_parallel *parallel, sr_sampler *sampler, sr_error *error);

/* Brings late rows of item tables (training.item_updates) up to date, and forgets what rounding took from gradients
 * (training.reduction_precision). A run that goes on from here is then no different from one that starts here. Call it before
 * anything but a step reads parameters or state. Collective over the processes of a node. */
sr_status sr_stepper_settle(sr_stepper *stepper, sr_error *error);

/* What all workers of this rank have sent in all steps so far. */
sr_traffic sr_stepper_traffic(const sr_stepper *stepper);

/* Bytes of tensors that the step last taken holds, over all workers. */
size_t sr_stepper_memory(const sr_stepper *stepper);

/* Bytes that a stepper of `threads` threads on each of `ranks` ranks holds to let rows be late (training.item_updates), for a
 * model that is like `model` but for `rows` rows in each item table, and up to `steps` steps between two calls of
 * sr_stepper_settle(). 0 where no row may be late. */
size_t sr_stepper_late_memory(sr_model *model, const sr_settings *settings, size_t rows, size_t steps, size_t ranks,
                              size_t threads);

/* What ranks vote on in a step: one yes is enough. The votes travel with the sum of the loss. */
typedef enum {
    SR_VOTE_STOP,    /* save the state after this step and end */
    SR_VOTE_SAVE,    /* save the state after this step */
    SR_VOTE_WRITTEN, /* a checkpoint that was written beside training is done, or has failed */
    SR_VOTES
} sr_vote;

/* What a step did, the same on every rank. */
typedef struct {
    sr_terms terms;           /* of the global batch */
    double targets, examples; /* of the global batch */
    double gradient_norm, learning_rate;
    bool votes[SR_VOTES]; /* whether any rank voted for it */
    bool skipped;         /* the loss or the gradient was not finite: nothing has changed, and `reason` tells why */
    char reason[512];
} sr_step_result;

/* The loss by which items are ranked, a mean over the targets of the global batch. */
double sr_step_loss(const sr_step_result *result);

/* Optimizer step `step` (from 0) on global batch `batch` of epoch `epoch` (both from 0). `votes` are this rank's. Collective; a
 * failure on any rank is an error on all of them. The parameters are then unchanged, but late rows may be up to date. A loss or
 * a gradient that is not finite is an error likewise, unless training.skip_nonfinite_steps allows for it: then the step is
 * skipped. */
sr_status sr_train_step(sr_stepper *stepper, int64_t epoch, int64_t batch, int64_t step, const bool votes[SR_VOTES],
                        sr_step_result *result, sr_error *error);

#endif
