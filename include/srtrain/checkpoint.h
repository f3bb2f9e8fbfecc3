/* Checkpoints: one HDF5 file, written by all ranks together, from which training goes on to the bit. docs/formats.md
 * describes the file. Partition-independent: nothing in it depends on the number of ranks.
 *
 * A file is written under a temporary name in the same directory, flushed, marked complete as its last act, closed, read again
 * with all checksums, and renamed; a file without the mark, or whose checksums do not fit, is never accepted. */
#ifndef SRTRAIN_CHECKPOINT_H
#define SRTRAIN_CHECKPOINT_H

#include "srtrain/dataset.h"
#include "srtrain/node.h"
#include "srtrain/parallel.h"
#include "srtrain/parameters.h"
#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether training has ended: after all epochs, or because the early-stopping metric did not improve. */
typedef enum { SR_UNFINISHED = 0, SR_FINISHED_EPOCHS = 1, SR_FINISHED_EARLY = 2 } sr_finished;

/* Where training stands. Everything random is a function of (seed, epoch, step, ...), so these counters are the whole
 * random state. */
typedef struct {
    int64_t epoch; /* epochs completed */
    int64_t step;  /* optimizer steps completed, over all epochs */
    int64_t batch; /* batches completed in the current epoch */
    uint64_t seed;
    double epoch_loss_sum; /* of the current epoch so far: sum of example losses, and their count */
    double epoch_loss_count;
    double best_metric; /* of the early-stopping metric; -1 before the first validation */
    int64_t best_epoch;
    int64_t best_step;
    int64_t validations_without_improvement;
    int64_t finished; /* sr_finished */
    double seconds;   /* training time spent so far, for reports only */
    /* Of a training that began with what an earlier one had learned (row_moves.h): the steps that the model had been trained
     * before this one, and those of them that the state of its optimizer has seen. Both are 0 elsewhere. */
    int64_t earlier_steps, optimizer_steps;
} sr_progress;

/* The steps that a model has been trained, those of earlier trainings included. */
static inline int64_t sr_progress_model_steps(const sr_progress *progress)
{
    return progress->earlier_steps + progress->step;
}

/* What a checkpoint holds. Strings read from a file are released with sr_checkpoint_free(). */
typedef struct {
    sr_progress progress;
    char *configuration; /* resolved, YAML */
    char *program_version;
    /* Of the data set: sr_dataset_fingerprint(). Empty, like the directory, when the parameters were imported without one; then
     * users may be 0: any number. */
    char *data_fingerprint;
    char *data_directory;
    int64_t users, items; /* of the data set; the item table has items + 1 rows */
    /* While it is written: the data set whose identifiers of items the file is to carry (item_names.h); NULL: it carries none.
     */
    const sr_dataset *item_names_of;
    const sr_dataset *user_names_of; /* likewise of users, for models that have vectors of them */
} sr_checkpoint;

/* Bytes that identifiers may take to be carried. */
enum { SR_ITEM_NAMES_MAXIMUM = 1 << 28 };

void sr_checkpoint_free(sr_checkpoint *checkpoint); /* frees the strings and clears the struct */

/* Writes `path`. Collective: rank 0 writes `checkpoint` and small parameters, each rank its slice of every large parameter and
 * of every block of the optimizer's state. Without state, NULL, the file serves evaluation: best.h5. Nothing remains of a
 * failed attempt, and a file that had the name before stays as it was. Arrays whose rows lie in blocks (row_blocks.h) are
 * written as whole arrays, in the order of rows, whoever has which; their state is that of the blocks. Each rank needs memory
 * for some pieces of 4 MiB. SR_ERROR_USAGE where no rank has a row. */
sr_status sr_checkpoint_write(sr_parallel *parallel, const char *path, const sr_checkpoint *checkpoint,
                              const sr_parameters *parameters, const sr_state *state, sr_error *error);

/* The same file, written by a thread of this process alone while it goes on. sr_checkpoint_begin() copies everything. It is
 * false, and has done nothing, unless twice the memory for the copy is to be had (machine.h), where `processes` like this one
 * run on the node; and where rows lie in blocks, as a table that needs them is too large to be copied. sr_checkpoint_finish()
 * waits for the thread, and returns how writing ended and the seconds that it took. sr_checkpoint_is_written() says whether it
 * would not have to wait. Until then this process must call nothing that uses HDF5. Local. */
typedef struct sr_background_write sr_background_write;
bool sr_checkpoint_begin(sr_background_write **write, const char *path, const sr_checkpoint *checkpoint,
                         const sr_parameters *parameters, const sr_state *state, size_t processes);
bool sr_checkpoint_is_written(const sr_background_write *write);
sr_status sr_checkpoint_finish(sr_background_write *write, double *seconds, sr_error *error);

/* Reads everything but parameters and state. Collective: rank 0 reads, all get it. SR_ERROR_DATA names what is wrong. */
sr_status sr_checkpoint_read_header(sr_parallel *parallel, const char *path, sr_checkpoint *checkpoint, sr_error *error);

/* Reads parameters (and the blocks that `state` names, unless NULL) into blocks whose layout `parameters` declares, verifying
 * every checksum. Collective. Every missing, superfluous or misshapen parameter is named in one message. SR_ERROR_DATA, too,
 * when the file's state has other blocks: it is another optimizer's. Of rows that lie in blocks each process gets its own: all
 * ranks read the file, a piece of 4 MiB at a time each. */
sr_status sr_checkpoint_read_state(sr_parallel *parallel, const char *path, sr_parameters *parameters, const sr_state *state,
                                   sr_error *error);

/* The same into blocks that the processes of a node share (node.h), as parts of its common block; `node` NULL: each process has
 * its own. */
sr_status sr_checkpoint_read_shared_state(sr_parallel *parallel, sr_node *node, const char *path, sr_parameters *parameters,
                                          const sr_state *state, sr_error *error);

/* Whether a model of `checkpoint`, read from `path`, goes with a data set: it must be the one that it was trained on or, if it
 * was imported without any, one of its size. SR_ERROR_DATA otherwise. Local. */
sr_status sr_checkpoint_check_data(const char *path, const sr_checkpoint *checkpoint, const sr_dataset *dataset,
                                   sr_error *error);

/* Reads parameters that were trained elsewhere: datasets with the names and shapes of `parameters`, in the group /parameters
 * or, if there is no such group, in the root; floating-point numbers of any size and byte order. Collective. SR_ERROR_DATA
 * tells everything that does not fit in one message: names, shapes, types, values that are not finite. */
sr_status sr_weights_read(sr_parallel *parallel, const char *path, sr_parameters *parameters, sr_error *error);

/* The step in the name of a checkpoint: "step-0000000042.h5" gives 42; other names -1. Local. */
int64_t sr_checkpoint_step_of_name(const char *name);

/* Whether a file can be used: its mark, its header, the checksum of every block (which the ranks share), that it holds the step
 * in its name if that is one, and, `for_training`, the state of an optimizer. SR_ERROR_DATA names what is wrong.
 * Collective. */
sr_status sr_checkpoint_verify(sr_parallel *parallel, const char *path, bool for_training, sr_error *error);

/* The valid checkpoint step-XXXXXXXXXX.h5 with the highest step in `directory`: *path (release with free()) or NULL if there is
 * none. Each file that is refused is reported, with the reason, through `refused` (may be NULL) on rank 0. Verifies checksums.
 * Collective. */
typedef void (*sr_refused_function)(void *context, const char *path, const char *reason);
sr_status sr_checkpoint_newest(sr_parallel *parallel, const char *directory, char **path, sr_refused_function refused,
                               void *context, sr_error *error);

/* Renames the checkpoints of steps after `step` in `directory`, which have been refused, to NAME.damaged: they must not count
 * as checkpoints that one may fall back to. Collective; rank 0 acts. */
sr_status sr_checkpoint_set_aside(sr_parallel *parallel, const char *directory, int64_t step, sr_error *error);

/* Deletes all but the `keep` newest step checkpoints in `directory` (never fewer than two stay) and temporary files left behind
 * by killed runs. Collective; rank 0 acts. */
sr_status sr_checkpoint_rotate(sr_parallel *parallel, const char *directory, int64_t keep, sr_error *error);

#endif
