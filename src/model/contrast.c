#include "model/contrast.h"

#include "model/backbone.h"
#include "model/ranks.h"

#include <stdlib.h>
#include <string.h>

const sr_term_name contrastive_term = {"contrastive", "contrastive loss"};

/* Whether the states of further passes are compared, too. */
static bool compares_states(const contrast *c)
{
    return sr_model_state_weight(&c->model->settings) > 0;
}

/* The states of a further pass, one row an example; and those of every token, if they are compared. */
static sr_tensor *encode_view(const contrast *c, const sr_batch *batch, sr_pass pass, unsigned view, sr_tensor **states)
{
    sr_encoding encoding;
    pass.view = view;
    pass.every_row = compares_states(c);
    pass.trace = NULL;
    sr_model_encode(c->model, c->tape, batch, &pass, &encoding);
    *states = encoding.states;
    return sr_select_rows(c->tape, encoding.representation, batch->example_reads, batch->examples);
}

void contrast_encode(contrast *c, const sr_batch *batch, sr_pass pass)
{
    c->again = encode_view(c, batch->again, pass, 1, &c->again_states);
    c->alike = encode_view(c, batch->alike, pass, 2, &c->alike_states);
}

/* ---- over ranks ---- */

/* The rows of both passes as one block; NULL, and a sticky failure of the tape, when memory runs out or they were not computed.
 */
static sr_real *join_rows(const contrast *c)
{
    const size_t size = c->again->rows * c->again->columns;
    sr_real *joined = sr_tape_take(c->tape, 2 * size, sizeof *joined);
    if (!joined)
        return NULL;
    memcpy(joined, c->again->values, size * sizeof *joined);
    memcpy(joined + size, c->alike->values, size * sizeof *joined);
    return joined;
}

/* The rows of all ranks in the place of this rank's. */
static sr_status gather_rows(contrast *c, sr_ranks *ranks, sr_status status, size_t width, sr_error *error)
{
    size_t *offsets = NULL;
    SR_TRY(ranks_gather(ranks, status, c->batch.rows, c->batch.count, width * sizeof(sr_real), &c->rows, &offsets, error));
    c->batch.rows = c->rows;
    c->batch.count = offsets[ranks->count];
    c->batch.first = offsets[ranks->rank];
    free(offsets);
    return SR_OK;
}

static sr_status gather_log_sums(contrast *c, sr_ranks *ranks, sr_status status, const double *own, sr_error *error)
{
    size_t *offsets = NULL;
    SR_TRY(ranks_gather(ranks, status, own, 2 * c->batch.pairs, sizeof *own, &c->log_sums, &offsets, error));
    c->all_log_sums = c->log_sums;
    free(offsets);
    return SR_OK;
}

sr_status contrast_gather(contrast *c, sr_ranks *ranks, sr_status status, sr_error *error)
{
    const bool computed = status == SR_OK;
    const size_t width = computed ? c->again->columns : 0, pairs = computed ? c->again->rows : 0;
    c->batch = (sr_contrast){.rows = computed ? join_rows(c) : NULL,
                             .count = 2 * pairs,
                             .pairs = pairs,
                             .temperature = c->model->settings.contrastive.temperature};
    double *log_sums = computed ? sr_tape_take(c->tape, 2 * pairs, sizeof *log_sums) : NULL;
    c->all_log_sums = log_sums;
    if (computed)
        status = sr_tape_status(c->tape, error);
    if (ranks)
        SR_TRY(gather_rows(c, ranks, status, width, error));
    else
        SR_TRY(status);
    if (c->batch.count > 0)
        sr_contrastive_log_sums(c->tape, &c->batch, width, log_sums);
    status = sr_tape_status(c->tape, error);
    return ranks ? gather_log_sums(c, ranks, status, log_sums, error) : status;
}

/* ---- losses ---- */

/* This rank's part of the mean InfoNCE of the global batch. */
static sr_tensor *contrastive_loss(const contrast *c)
{
    return sr_contrastive_loss(c->tape, c->again, c->alike, &c->batch, c->all_log_sums, 1 / (double)c->batch.count);
}

/* This rank's part of the mean distance of the global batch's states. */
static sr_tensor *state_distance(const contrast *c, const sr_batch *again)
{
    const double examples = (double)c->batch.count / 2;
    return sr_model_state_distance(c->model, c->tape, again, c->again_states, c->alike_states, examples);
}

sr_tensor *contrast_add_losses(contrast *c, const sr_batch *batch, sr_tensor *loss)
{
    if (c->batch.count == 0) /* without an example there is nothing to compare */
        return loss;
    c->loss = contrastive_loss(c);
    loss = sr_weighted_add(c->tape, loss, 1, c->loss, c->model->settings.contrastive.weight);
    if (!compares_states(c))
        return loss;
    c->distance = state_distance(c, batch->again);
    return sr_weighted_add(c->tape, loss, 1, c->distance, sr_model_state_weight(&c->model->settings));
}

void contrast_free(contrast *c)
{
    free(c->rows);
    free(c->log_sums);
}
