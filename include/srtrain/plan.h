/* What a training will need, before it needs it: memory, bytes reduced, steps, time, and room for checkpoints.
 *
 * What a step takes of memory is not computed by formulas that would have to follow every model: a small part of a real batch
 * is computed by the real model with a small catalogue, and scaled to the largest part that a worker gets. */
#ifndef SRTRAIN_PLAN_H
#define SRTRAIN_PLAN_H

#include "srtrain/settings.h"
#include "srtrain/dataset.h"
#include "srtrain/kernels.h"
#include "srtrain/log.h"
#include "srtrain/machine.h"
#include "srtrain/parallel.h"
#include "srtrain/sampler.h"
#include "srtrain/traffic.h"

#include <stdio.h>

/* ---- a plan ---- */

/* What the network between ranks is like, for projected times (src/plan/network.h). */
typedef struct {
    double latency, bandwidth; /* seconds of a message between nodes; bytes a second of a node's link in one direction */
    size_t ranks_of_node;
} sr_plan_network;

/* A usual one. */
#define SR_PLAN_NETWORK_LATENCY 2e-6
#define SR_PLAN_NETWORK_BANDWIDTH 12.5e9

/* Sizes of a data set that need not exist. All or none are 0. */
typedef struct {
    size_t users, items;
    double mean_length; /* interactions of a user */
} sr_plan_sizes;

typedef struct {
    const sr_settings *settings;
    const sr_dataset *dataset;
    const sr_sampler *sampler; /* of both */
    const sr_kernels *kernels;
    size_t ranks, threads; /* of the job; of each rank */
    bool shares;           /* ranks of a node share parameters and state (training.reduction: shared) */
    size_t program;        /* bytes that a rank holds before data and model: sr_resident_memory() at its start */
    sr_plan_network network;
    sr_plan_sizes imagined; /* not 0: `dataset` is a sample of such a data set (sr_plan_imagine()) */
} sr_plan_request;

/* Bytes of one rank, the one that has most. */
typedef struct {
    size_t program;     /* the program with its libraries */
    size_t parameters;  /* their values */
    size_t item_table;  /* of these, the vectors of items */
    size_t gradients;   /* one block for each worker */
    size_t optimizer;   /* its state */
    size_t index;       /* of training examples */
    size_t draws;       /* the table of sampled negatives */
    size_t batches;     /* global batch and packed parts */
    size_t activations; /* tensors of a step, all threads, but for: */
    size_t tiles;       /* logits of the catalogue */
    size_t fetched;     /* rows of a divided item table that a step reads: values, gradients, ids */
    size_t exchange;    /* buffers of reductions, of contrastive training, and of what a divided item table sends */
    size_t evaluation;  /* scores, and tensors of histories, beside what a step holds */
    size_t late_rows;   /* what it takes to let rows be late (training.item_updates: deferred) */
    size_t saving;      /* rank 0's copy of the state, which is written beside training (checkpoint.writing: overlapped) */
    size_t total;       /* of all these */
    size_t shared;      /* of these, what ranks of a node have in common */
    size_t certain;     /* of these, what is known without an estimate */
} sr_plan_memory;

/* What depends on who has the rows of the item table (model.item_table). */
typedef enum { SR_PLAN_REPLICATED, SR_PLAN_DIVIDED, SR_PLAN_TABLES } sr_plan_table_kind;

typedef struct {
    sr_plan_memory memory;
    sr_traffic traffic;     /* what a rank sends in a step, on average */
    size_t reduced;         /* bytes of gradients summed over ranks */
    size_t small_sums;      /* sums of a few numbers in a step */
    double network_seconds; /* of a step, by the model of the network */
    double item_seconds;    /* of a step: exchanges and updates of rows of items, by that model and one of memory */
    char why_not[160];      /* why it cannot be; empty: it can */
} sr_plan_table;

typedef struct {
    size_t ranks, threads;
    size_t users, items, examples, batch; /* of the data set; of a global batch */
    size_t parameters;                    /* numbers that are trained */
    size_t steps_of_epoch, steps;         /* in all epochs; early stopping may end sooner */
    double imbalance;                     /* work of the busiest thread over that of the mean one */
    double rows_read;                     /* different rows of the item table that a thread reads in a step, on average */
    bool rows_are_expected;               /* that is what uniform draws would have, not found in batches of the data set */
    sr_plan_table tables[SR_PLAN_TABLES];
    sr_plan_table_kind table; /* the one that the following is of, see sr_plan_choose_table() */
    char why[320];            /* why that one */
    sr_plan_memory memory;
    size_t data;              /* bytes of the data set, mapped: shared by the ranks of a node, dropped when memory is short */
    size_t reduced, messages; /* bytes of gradients summed over ranks in a step, in so many messages */
    size_t message;           /* bytes of the longest */
    size_t small_sums;        /* sums of a few numbers in a step */
    size_t checkpoint, best;  /* bytes of a checkpoint, and of best.h5 */
    size_t checkpoints;       /* kept on disk, the one being written included */
    double step_seconds;      /* projected; 0: not known */
    double compute_seconds, reduction_seconds; /* parts of it; 0: not known */
    char time_source[192];                     /* where the time comes from */
} sr_plan;

/* Bytes that so many ranks of a node take together: by the plan, or with this memory each. */
size_t sr_plan_bytes_of_node(const sr_plan_memory *memory, size_t ranks);
size_t sr_plan_memory_of_node(const sr_plan *plan, size_t ranks);

/* A sample of a data set of these sizes, none of which is 0, as sr_plan_request wants it beside them: users of as many lengths,
 * from half of the mean to one and a half times that, enough for three global batches, each item once. Its files lie in TMPDIR
 * for a moment. SR_ERROR_USAGE where that would be too many interactions. Release with sr_dataset_close(). Local. */
sr_status sr_plan_imagine(sr_dataset **dataset, const sr_plan_sizes *sizes, const sr_settings *settings, sr_error *error);

/* Plans a training without running it; step_seconds is 0. Both kinds of item table are planned; the plan is that of the
 * replicated one unless the settings say otherwise. SR_ERROR_USAGE for settings that no model can be made of. Local; takes less
 * memory than the training, and well below a second for small models. */
sr_status sr_plan_make(sr_plan *plan, const sr_plan_request *request, sr_error *error);

/* Adds the projected time to a plan: some steps of one worker's part of real batches are timed here, with the whole model in
 * memory; reductions follow the model of the network. SR_ERROR_USAGE for contrastive training on several ranks or threads,
 * whose time depends on the whole global batch. Local. */
sr_status sr_plan_measure(sr_plan *plan, const sr_plan_request *request, sr_error *error);

/* Adds the time that follows from a rate of examples a second of the whole job. */
void sr_plan_use_rate(sr_plan *plan, double examples_per_second);

/* So many ranks, and the memory that they may take together. */
typedef struct {
    size_t ranks, memory;
    const char *limit, *node; /* where the number comes from; which machine */
} sr_plan_room;

/* Makes the plan that of the item table that a training takes with model.item_table `choice`, and says why. auto: divided where
 * it can be and a replicated table does not fit everywhere, as sr_plan_check_memory() finds; or where it fits and, on several
 * ranks, exchanges and updates of rows take less than half the time by the model, and 10 ms less. Replicated else. Pure. */
void sr_plan_choose_table(sr_plan *plan, sr_item_table_choice choice, const sr_plan_room *nodes, size_t count);

/* SR_ERROR_USAGE when `ranks_of_node` ranks do not fit into `memory` bytes by what is certain of the plan. The copy of the
 * state does not count: it is only made where there is room for it. `limit` says where the number comes from and `node` of
 * which machine. *tight is set when they would fit, but not by the whole estimate. Local. */
sr_status sr_plan_check_memory(const sr_plan *plan, size_t ranks_of_node, size_t memory, const char *limit, const char *node,
                               bool *tight, sr_error *error);

/* ---- reports ---- */

/* A table for readers; a JSON object for machines. SR_ERROR_RUNTIME when it cannot be written. */
sr_status sr_plan_print(const sr_plan *plan, FILE *file, sr_error *error);
sr_status sr_plan_print_json(const sr_plan *plan, size_t ranks_of_node, const sr_machine *machine, FILE *file, sr_error *error);

/* A few lines for the log of a run. */
void sr_plan_log(const sr_plan *plan, sr_log *log);

/* Seconds, or bytes, as people say them: "3.2 h", "1.50 GB". */
void sr_format_seconds(double seconds, char *text, size_t size);
void sr_format_bytes(double bytes, char *text, size_t size);

/* ---- at the start of a run ---- */

enum { SR_PREFLIGHT_WARNINGS = 8 };

/* The plan and what is odd about how ranks were started: more threads than cores, no binding, threads of BLAS, little memory or
 * room on the disk. Warnings on rank 0 only. */
typedef struct {
    sr_plan plan;
    char warnings[SR_PREFLIGHT_WARNINGS][320];
    size_t warning_count;
} sr_preflight;

/* Plans the run on rank 0 and looks at the nodes that it is on; `directory` is where checkpoints will go. SR_ERROR_USAGE when
 * it cannot fit into the memory of a node. request->ranks and threads are those of `parallel`. Collective. */
sr_status sr_preflight_run(sr_parallel *parallel, const sr_plan_request *request, const char *directory, sr_preflight *made,
                           sr_error *error);

/* Writes the plan and the warnings to the log (rank 0). */
void sr_preflight_log(const sr_preflight *made, sr_log *log);

#endif
