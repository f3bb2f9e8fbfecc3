/* Contrastive training (training.contrastive): each example is encoded again with other dropout, and so is another example with
 * the same target. InfoNCE brings the two together against those of the whole global batch (DuoRec, Qiu et al. 2022), and so
 * does a distance of their states where the backbone has one.
 *
 * An objective encodes, gathers over ranks, adds the losses to its own, and frees, in this order. */
#ifndef SRTRAIN_MODEL_CONTRAST_H
#define SRTRAIN_MODEL_CONTRAST_H

#include "srtrain/objective.h"
#include "srtrain/operations.h"

/* Of one rank and one batch. All zero to begin with, but for model and tape. */
typedef struct {
    sr_model *model;
    sr_tape *tape;
    sr_tensor *again, *alike;               /* [examples, width]: states of both passes */
    sr_tensor *again_states, *alike_states; /* [T, width]: of every token, when they are compared; else NULL */
    void *rows;                             /* the values of both on every rank, sr_real; NULL when this rank is alone */
    void *log_sums;                         /* of every rank's rows, double; likewise */
    const double *all_log_sums;             /* those, or this rank's */
    sr_contrast batch;                      /* which rows are this rank's */
    sr_tensor *loss, *distance;             /* [1, 1]: this rank's parts of both means; NULL where not in use */
} contrast;

/* What InfoNCE is called. */
extern const sr_term_name contrastive_term;

/* The two further passes, like `pass` but for their dropout: over batch->again and batch->alike. A failure is one of the tape.
 */
void contrast_encode(contrast *c, const sr_batch *batch, sr_pass pass);

/* Every rank gets the rows of all: negatives come from the whole global batch. With them it knows the log sums of its own rows,
 * and gets those of the others, so that its part of the loss and the whole gradient of its rows follow without more. A rank
 * that failed, with `status`, takes part; then all fail. Collective; `ranks` NULL: this rank has the whole batch. */
sr_status contrast_gather(contrast *c, sr_ranks *ranks, sr_status status, sr_error *error);

/* `loss` and this rank's parts of the contrastive losses, weighted as configured. */
sr_tensor *contrast_add_losses(contrast *c, const sr_batch *batch, sr_tensor *loss);

/* Once the gradients are computed. */
void contrast_free(contrast *c);

#endif
