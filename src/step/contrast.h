/* Contrastive training within a step (training.contrastive): each example is encoded again with other dropout, and so is
 * another example with the same target; InfoNCE brings the two together against those of the whole global batch (DuoRec, Qiu et
 * al. 2022), and so does a distance of their states where the backbone has one.
 *
 * A step encodes, gathers over ranks, adds the losses to its own, reports and frees, in this order. */
#ifndef SRTRAIN_TRAIN_CONTRAST_H
#define SRTRAIN_TRAIN_CONTRAST_H

#include "srtrain/operations.h"
#include "srtrain/step.h"

/* Of one rank and one step. All zero to begin with. */
typedef struct {
    sr_tensor *again, *alike;               /* [examples, width]: states of both passes */
    sr_tensor *again_states, *alike_states; /* [T, width]: of every token, when their spectra are compared; else NULL */
    void *rows;                             /* the values of both on every rank, sr_real */
    void *log_sums;                         /* of every rank's rows, double */
    sr_contrast batch;                      /* which of them are this rank's */
    sr_tensor *loss, *spectral;             /* [1, 1]: this rank's parts of both means; NULL where not in use */
} contrast;

bool contrast_in_use(const sr_worker *worker);

/* The two further passes, like `pass` but for their dropout: over batch->again and batch->alike. A failure is one of the tape.
 */
void contrast_encode(contrast *c, sr_worker *worker, const sr_batch *batch, sr_pass pass);

/* Every rank gets the rows of all: negatives come from the whole global batch. With them it knows the log sums of its own rows,
 * and gets those of the others, so that its part of the loss and the whole gradient of its rows follow without more. A rank
 * that failed, with `status`, takes part; then all fail. Collective. */
sr_status contrast_gather(contrast *c, sr_worker *worker, sr_status status, sr_error *error);

/* `loss` and this rank's parts of the contrastive losses, weighted as configured. */
sr_tensor *contrast_add_losses(contrast *c, sr_worker *worker, const sr_batch *batch, sr_tensor *loss);

/* What this rank's parts are, once the losses are computed. */
void contrast_report(const contrast *c, sr_step_result *result);

void contrast_free(contrast *c);

#endif
