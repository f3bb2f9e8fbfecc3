#include "step/contrast.h"

#include "srtrain/clock.h"

#include <stdlib.h>
#include <string.h>

bool contrast_in_use(const sr_worker *worker)
{
    return worker->stepper->settings->model.contrastive.in_use;
}

/* Whether the states of further passes are compared, too. */
static bool compares_states(const sr_worker *worker)
{
    return sr_model_state_weight(&worker->stepper->settings->model) > 0;
}

/* The states of a further pass, one row an example; and those of every token, if they are compared. */
static sr_tensor *encode_view(sr_worker *worker, const sr_batch *batch, sr_pass pass, unsigned view, sr_tensor **states)
{
    sr_encoding encoding;
    pass.view = view;
    pass.every_row = compares_states(worker);
    sr_model_encode(worker->model, worker->tape, batch, &pass, &encoding);
    *states = encoding.states;
    return sr_select_rows(worker->tape, encoding.representation, batch->example_reads, batch->examples);
}

void contrast_encode(contrast *c, sr_worker *worker, const sr_batch *batch, sr_pass pass)
{
    c->again = encode_view(worker, batch->again, pass, 1, &c->again_states);
    c->alike = encode_view(worker, batch->alike, pass, 2, &c->alike_states);
}

/* ---- over ranks ---- */

/* The rows of both passes as one block; NULL, and a sticky failure of the tape, when memory runs out or they were not computed.
 */
static sr_real *join_rows(sr_worker *worker, const contrast *c)
{
    const size_t size = c->again->rows * c->again->columns;
    sr_real *joined = sr_tape_take(worker->tape, 2 * size, sizeof *joined);
    if (!joined)
        return NULL;
    memcpy(joined, c->again->values, size * sizeof *joined);
    memcpy(joined + size, c->alike->values, size * sizeof *joined);
    return joined;
}

sr_status contrast_gather(contrast *c, sr_worker *worker, sr_status status, sr_error *error)
{
    sr_parallel *parallel = worker->parallel;
    const size_t rank = (size_t)sr_parallel_rank(parallel), ranks = (size_t)sr_parallel_size(parallel);
    const size_t width = status == SR_OK ? c->again->columns : 0, mine = status == SR_OK ? 2 * c->again->rows : 0;
    size_t *offsets = NULL, *log_offsets = NULL;
    double mark = sr_seconds();
    const sr_real *joined = status == SR_OK ? join_rows(worker, c) : NULL;
    double *log_sums = status == SR_OK ? sr_tape_take(worker->tape, mine, sizeof *log_sums) : NULL;
    if (status == SR_OK)
        status = sr_tape_status(worker->tape, error);
    SR_TRY(sr_parallel_gather_all(parallel, status, joined, mine, width * sizeof(sr_real), &c->rows, &offsets, error));
    c->batch = (sr_contrast){.rows = c->rows,
                             .count = offsets[ranks],
                             .first = offsets[rank],
                             .pairs = c->again->rows,
                             .temperature = worker->stepper->settings->model.contrastive.temperature};
    free(offsets);
    worker->times.reduction += sr_lap(&mark);
    sr_contrastive_log_sums(worker->tape, &c->batch, width, log_sums);
    status = sr_tape_status(worker->tape, error);
    worker->times.loss += sr_lap(&mark);
    SR_TRY(sr_parallel_gather_all(parallel, status, log_sums, mine, sizeof *log_sums, &c->log_sums, &log_offsets, error));
    free(log_offsets);
    worker->times.reduction += sr_lap(&mark);
    return SR_OK;
}

/* ---- losses ---- */

/* This rank's part of the mean InfoNCE of the global batch. */
static sr_tensor *contrastive_loss(const contrast *c, sr_worker *worker)
{
    return sr_contrastive_loss(worker->tape, c->again, c->alike, &c->batch, c->log_sums, 1 / (double)c->batch.count);
}

/* This rank's part of the mean distance of the global batch's states. */
static sr_tensor *state_distance(const contrast *c, sr_worker *worker, const sr_batch *again)
{
    const double examples = (double)c->batch.count / 2;
    return sr_model_state_distance(worker->model, worker->tape, again, c->again_states, c->alike_states, examples);
}

sr_tensor *contrast_add_losses(contrast *c, sr_worker *worker, const sr_batch *batch, sr_tensor *loss)
{
    const sr_contrastive_settings *settings = &worker->stepper->settings->model.contrastive;
    c->loss = contrastive_loss(c, worker);
    loss = sr_weighted_add(worker->tape, loss, 1, c->loss, settings->weight);
    if (!compares_states(worker))
        return loss;
    c->spectral = state_distance(c, worker, batch->again);
    return sr_weighted_add(worker->tape, loss, 1, c->spectral, sr_model_state_weight(&worker->stepper->settings->model));
}

void contrast_report(const contrast *c, sr_step_result *result)
{
    result->has_contrast = c->loss != NULL;
    result->contrastive = c->loss ? (double)c->loss->values[0] : 0;
    result->has_spectra = c->spectral != NULL;
    result->spectral = c->spectral ? (double)c->spectral->values[0] : 0;
}

void contrast_free(contrast *c)
{
    free(c->rows);
    free(c->log_sums);
}
