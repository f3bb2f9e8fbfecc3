/* Losses that compare a target with one sampled item. */
#include "srtrain/kernels.h"
#include "srtrain/operations.h"

#include <assert.h>
#include <math.h>

/* ---- scores of single items ---- */

typedef struct {
    sr_tensor *x, *table;
    const int32_t *ids;
} item_scores_state;

/* dx_i += ds_i table_id(i),  dtable_id(i) += ds_i x_i */
static void item_scores_backward(sr_tape *tape, const sr_tensor *scores, const void *saved)
{
    const item_scores_state *state = saved;
    sr_tensor *x = state->x, *table = state->table;
    const size_t width = x->columns;
    for (size_t i = 0; i < scores->rows; ++i) {
        const size_t id = (size_t)state->ids[i];
        const sr_real gradient = scores->gradient[i];
        if (x->wants_gradient)
            sr_tape_kernels(tape)->accumulate_scaled(x->gradient + i * width, gradient, table->values + id * width, width);
        if (table->wants_gradient)
            sr_tape_kernels(tape)->accumulate_scaled(table->gradient + id * width, gradient, x->values + i * width, width);
    }
}

static const sr_operation item_scores_operation = {.name = "item_scores", .backward = item_scores_backward};

sr_tensor *sr_item_scores(sr_tape *tape, sr_tensor *x, sr_tensor *table, const int32_t *ids)
{
    if (!x || !table)
        return NULL;
    assert(x->columns == table->columns);
    item_scores_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (item_scores_state){x, table, ids};
    sr_tensor *inputs[] = {x, table};
    sr_tensor *scores = sr_tape_record(tape, x->rows, 1, inputs, 2, &item_scores_operation, state);
    if (!scores)
        return NULL;
    const size_t width = x->columns;
    for (size_t i = 0; i < x->rows; ++i)
        scores->values[i] = sr_tape_kernels(tape)->dot(x->values + i * width, table->values + (size_t)ids[i] * width, width);
    return scores;
}

/* ---- losses ---- */

typedef struct {
    sr_tensor *positive, *negative;
    sr_real weight;
} pair_state;

/* ln(1 + exp(z)) without overflow */
static double softplus(double z)
{
    return (z > 0 ? z : 0) + log1p(exp(-fabs(z)));
}

static double sigmoid(double z)
{
    return z >= 0 ? 1 / (1 + exp(-z)) : exp(z) / (1 + exp(z));
}

static sr_tensor *record_pair(sr_tape *tape, sr_tensor *positive, sr_tensor *negative, double weight,
                              const sr_operation *operation)
{
    if (!positive || !negative)
        return NULL;
    assert(positive->rows == negative->rows && positive->columns == 1 && negative->columns == 1);
    pair_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (pair_state){positive, negative, (sr_real)weight};
    sr_tensor *inputs[] = {positive, negative};
    return sr_tape_record(tape, 1, 1, inputs, 2, operation, state);
}

/* dpositive_i -= g weight sigmoid(negative_i - positive_i), dnegative_i += the same */
static void bpr_backward(sr_tape *tape, const sr_tensor *loss, const void *saved)
{
    (void)tape;
    const pair_state *state = saved;
    for (size_t i = 0; i < state->positive->rows; ++i) {
        const double difference = (double)state->negative->values[i] - (double)state->positive->values[i];
        const sr_real gradient = loss->gradient[0] * state->weight * (sr_real)sigmoid(difference);
        if (state->positive->wants_gradient)
            state->positive->gradient[i] -= gradient;
        if (state->negative->wants_gradient)
            state->negative->gradient[i] += gradient;
    }
}

static const sr_operation bpr_operation = {.name = "bpr", .backward = bpr_backward};

sr_tensor *sr_bpr_loss(sr_tape *tape, sr_tensor *positive, sr_tensor *negative, double weight)
{
    sr_tensor *loss = record_pair(tape, positive, negative, weight, &bpr_operation);
    if (!loss)
        return NULL;
    double total = 0;
    for (size_t i = 0; i < positive->rows; ++i)
        total += softplus((double)negative->values[i] - (double)positive->values[i]);
    loss->values[0] = (sr_real)(weight * total);
    return loss;
}

/* dpositive_i -= g weight sigmoid(-positive_i),  dnegative_i += g weight sigmoid(negative_i) */
static void binary_cross_entropy_backward(sr_tape *tape, const sr_tensor *loss, const void *saved)
{
    (void)tape;
    const pair_state *state = saved;
    const sr_real factor = loss->gradient[0] * state->weight;
    for (size_t i = 0; i < state->positive->rows; ++i) {
        if (state->positive->wants_gradient)
            state->positive->gradient[i] -= factor * (sr_real)sigmoid(-(double)state->positive->values[i]);
        if (state->negative->wants_gradient)
            state->negative->gradient[i] += factor * (sr_real)sigmoid((double)state->negative->values[i]);
    }
}

static const sr_operation binary_cross_entropy_operation = {.name = "binary_cross_entropy",
                                                            .backward = binary_cross_entropy_backward};

sr_tensor *sr_binary_cross_entropy(sr_tape *tape, sr_tensor *positive, sr_tensor *negative, double weight)
{
    sr_tensor *loss = record_pair(tape, positive, negative, weight, &binary_cross_entropy_operation);
    if (!loss)
        return NULL;
    double total = 0;
    for (size_t i = 0; i < positive->rows; ++i)
        total += softplus(-(double)positive->values[i]) + softplus((double)negative->values[i]);
    loss->values[0] = (sr_real)(weight * total);
    return loss;
}
