/* Cross entropy and the norm over an item table that is divided among workers.
 *
 * States of all workers are gathered in rounds of bounded size. Every worker walks its own rows and sends back, for
 * each state, what they contribute to the softmax: the largest logit, the sum of exponentials, and the target's
 * logit. Backward walks the rows again. Gradients of rows stay where the rows are; gradients of states are sent to
 * whose states these are, who adds them in the order of workers.
 *
 * All workers come here together (item_table_joins_ranks()). One that fails before a backward pass comes to it meets
 * the others when it hands rows back: both begin with divided_agree(). */
#include "model/divided_items.h"

#include "base/sizes.h"
#include "model/ranks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STATES_OF_A_ROUND = 8192 }; /* of all workers together */

/* States of all workers, and what stays of them from forward to backward. */
typedef struct {
    size_t first, own; /* this worker's states [first, first + own) */
    size_t count;      /* of all workers */
    sr_real *states;   /* [count, width] */
    int32_t *targets;  /* [count] */
    size_t *offsets;   /* [workers + 1]: whose states these are */
    size_t *answers;   /* [workers + 1]: where each worker's answers for this one's states begin */
    sr_softmax_tiles tiles;
} loss_round;

typedef struct {
    sr_item_table *table;
    sr_tensor *states;
    sr_slab rows; /* this worker's, those of items */
    sr_softmax_slabs slabs;
    const int32_t *targets;
    double weight;
    sr_real *log_sums; /* [n] */
    loss_round *rounds;
    size_t round_count, kept_bytes;
} divided_loss;

static size_t states_of_worker(const divided *d)
{
    const size_t each = STATES_OF_A_ROUND / divided_workers(d);
    return each ? each : 1;
}

static void fail_tape(divided *d, sr_tape *tape, const sr_error *error)
{
    d->failed = true; /* on all workers: their calls fail together */
    sr_tape_fail(tape, error);
}

/* Elements of all workers: *all and *offsets [workers + 1], both released with free(). */
static sr_status gather(divided *d, sr_status status, const void *data, size_t count, size_t size, void **all, size_t **offsets,
                        sr_error *error)
{
    *all = NULL;
    *offsets = NULL;
    if (d->ranks)
        return ranks_gather(d->ranks, status, data, count, size, all, offsets, error);
    if (status == SR_OK)
        status = sr_allocate(all, count, size, "states to be scored", error);
    if (status == SR_OK)
        status = SR_ALLOCATE_ZERO(offsets, 2, "states to be scored", error);
    SR_TRY(status);
    if (count > 0)
        memcpy(*all, data, count * size);
    (*offsets)[1] = count;
    return SR_OK;
}

/* The same in memory of the tape. A failure of one is one of all, but that of the tape: NULL. */
static sr_status gather_on_tape(divided *d, sr_tape *tape, const void *data, size_t count, size_t size, void **all,
                                size_t **offsets, sr_error *error)
{
    void *gathered;
    size_t *found;
    const size_t workers = divided_workers(d);
    sr_status status = gather(d, SR_OK, data, count, size, &gathered, &found, error);
    if (status == SR_OK) {
        *all = sr_tape_take(tape, found[workers], size);
        *offsets = sr_tape_take(tape, workers + 1, sizeof **offsets);
        if (*all && found[workers] > 0)
            memcpy(*all, gathered, found[workers] * size);
        if (*offsets)
            memcpy(*offsets, found, (workers + 1) * sizeof **offsets);
    }
    free(gathered);
    free(found);
    return status;
}

/* The states and targets of a round, with room for its tiles. */
static sr_status begin_round(divided_loss *loss, sr_tape *tape, size_t number, sr_error *error)
{
    divided *d = loss->table->memory;
    loss_round *round = &loss->rounds[number];
    const size_t width = loss->states->columns, each = states_of_worker(d), n = loss->states->rows;
    *round = (loss_round){.first = smaller(number * each, n)};
    round->own = smaller(each, n - round->first);
    SR_TRY(gather_on_tape(d, tape, loss->states->values + round->first * width, round->own, width * sizeof(sr_real),
                          (void **)&round->states, &round->offsets, error));
    SR_TRY(gather_on_tape(d, tape, loss->targets + round->first, round->own, sizeof *loss->targets, (void **)&round->targets,
                          &round->offsets, error));
    round->count = round->offsets ? round->offsets[divided_workers(d)] : 0;
    round->answers = sr_tape_take(tape, divided_workers(d) + 1, sizeof *round->answers);
    for (size_t worker = 0; round->answers && worker <= divided_workers(d); ++worker)
        round->answers[worker] = worker * round->own;
    (void)sr_softmax_take_tiles(tape, round->count, &loss->slabs, &loss->kept_bytes, &round->tiles);
    return sr_tape_status(tape, error);
}

/* Elements for the owners of states, [count], to them: [workers, own]. */
static sr_status exchange(divided *d, const loss_round *round, const void *data, void *room, size_t size, sr_error *error)
{
    if (d->ranks)
        return ranks_exchange(d->ranks, SR_TRAFFIC_STATES, data, round->offsets, room, round->answers, size, error);
    if (round->count > 0)
        memcpy(room, data, round->count * size);
    return SR_OK;
}

/* ---- forward ---- */

/* What one worker's rows contribute to one state. */
typedef struct {
    sr_real maximum, sum, target_logit;
} contribution;

/* Room of a round, in one piece of memory. */
typedef struct {
    sr_softmax_parts parts;      /* [count] */
    contribution *given, *taken; /* [count], [workers, own] */
} forward_room;

static sr_status take_forward_room(divided *d, const loss_round *round, forward_room *room, sr_error *error)
{
    const size_t count = round->count, taken = divided_workers(d) * round->own;
    const size_t of_one = sizeof(contribution) / sizeof(sr_real);
    SR_TRY(divided_grow(&d->room, (3 + of_one) * count + of_one * taken, error));
    sr_real *at = d->room.values;
    room->parts = (sr_softmax_parts){at, at + count, at + 2 * count};
    room->given = (contribution *)(void *)(at + 3 * count);
    room->taken = room->given + count;
    return SR_OK;
}

/* Puts together what all workers say about a state: returns its loss. */
static double combine(const contribution *taken, size_t workers, size_t own, size_t i, sr_real *log_sum)
{
    sr_real maximum = (sr_real)-INFINITY, target = (sr_real)NAN;
    double sum = 0;
    for (size_t worker = 0; worker < workers; ++worker)
        maximum = taken[worker * own + i].maximum > maximum ? taken[worker * own + i].maximum : maximum;
    for (size_t worker = 0; worker < workers; ++worker) {
        const contribution *one = &taken[worker * own + i];
        sum += (double)one->sum * exp((double)one->maximum - (double)maximum);
        target = isnan(one->target_logit) ? target : one->target_logit;
    }
    *log_sum = maximum + (sr_real)log(sum);
    return (double)*log_sum - (double)target;
}

static sr_status forward_round(divided_loss *loss, sr_tape *tape, size_t number, double *total, sr_error *error)
{
    divided *d = loss->table->memory;
    const loss_round *round = &loss->rounds[number];
    forward_room room = {.given = NULL};
    sr_status status = begin_round(loss, tape, number, error);
    SR_TRY(divided_agree(d, status == SR_OK ? take_forward_room(d, round, &room, error) : status, error));
    sr_tensor states = {.values = round->states, .rows = round->count, .columns = loss->states->columns};
    sr_softmax_forward(tape, &states, &loss->slabs, round->targets, &room.parts, &round->tiles);
    for (size_t i = 0; i < round->count; ++i)
        room.given[i] = (contribution){room.parts.maxima[i], room.parts.sums[i], room.parts.target_logits[i]};
    SR_TRY(exchange(d, round, room.given, room.taken, sizeof(contribution), error));
    for (size_t i = 0; i < round->own; ++i)
        *total += combine(room.taken, divided_workers(d), round->own, i, &loss->log_sums[round->first + i]);
    return SR_OK;
}

/* As many rounds as the worker with most states needs. */
static sr_status make_rounds(divided *d, sr_tape *tape, divided_loss *loss, sr_status status, sr_error *error)
{
    const size_t states = status == SR_OK ? loss->states->rows : 0, each = states_of_worker(d);
    size_t *all, *offsets, most = 0;
    status = gather(d, status, &states, 1, sizeof states, (void **)&all, &offsets, error);
    for (size_t worker = 0; status == SR_OK && worker < divided_workers(d); ++worker)
        most = larger(most, all[worker]);
    free(all);
    free(offsets);
    SR_TRY(status);
    loss->round_count = (most + each - 1) / each;
    loss->rounds = sr_tape_take(tape, loss->round_count, sizeof *loss->rounds);
    return divided_agree(d, sr_tape_status(tape, error), error);
}

/* ---- backward ---- */

typedef struct {
    sr_real *gradients, *taken; /* [count, width], [workers, own, width] */
} backward_room;

static sr_status take_backward_room(divided *d, const loss_round *round, size_t width, backward_room *room, sr_error *error)
{
    const size_t gradients = round->count * width;
    SR_TRY(divided_grow(&d->room, gradients + divided_workers(d) * round->own * width, error));
    *room = (backward_room){d->room.values, d->room.values + gradients};
    if (gradients > 0)
        memset(room->gradients, 0, gradients * sizeof *room->gradients);
    return SR_OK;
}

static sr_status backward_round(const divided_loss *loss, sr_tape *tape, loss_round *round, double weight, sr_error *error)
{
    divided *d = loss->table->memory;
    sr_tensor *x = loss->states;
    const size_t width = x->columns;
    backward_room room = {.gradients = NULL};
    void *log_sums;
    size_t *offsets;
    sr_status status = gather(d, take_backward_room(d, round, width, &room, error), loss->log_sums + round->first, round->own,
                              sizeof(sr_real), &log_sums, &offsets, error);
    if (status == SR_OK) {
        sr_tensor states = {.values = round->states,
                            .gradient = room.gradients,
                            .rows = round->count,
                            .columns = width,
                            .wants_gradient = x->wants_gradient};
        sr_softmax_backward(tape, &states, &loss->slabs, round->targets, log_sums, weight, &round->tiles);
        status = exchange(d, round, room.gradients, room.taken, width * sizeof(sr_real), error);
    }
    for (size_t worker = 0; status == SR_OK && x->wants_gradient && worker < divided_workers(d); ++worker)
        sr_tape_kernels(tape)->accumulate_scaled(x->gradient + round->first * width, 1,
                                                 room.taken + worker * round->own * width, round->own * width);
    free(log_sums);
    free(offsets);
    return status;
}

static void divided_backward(sr_tape *tape, const sr_tensor *output, const void *saved)
{
    const divided_loss *loss = saved;
    divided *d = loss->table->memory;
    sr_error error;
    sr_status status = d->failed ? sr_fail(&error, SR_ERROR_RUNTIME, "another loss over the item table has failed")
                                 : divided_agree(d, SR_OK, &error);
    for (size_t round = 0; status == SR_OK && round < loss->round_count; ++round)
        status = backward_round(loss, tape, &loss->rounds[round], loss->weight * (double)output->gradient[0], &error);
    if (status != SR_OK)
        fail_tape(d, tape, &error);
}

static const sr_operation divided_operation = {.name = "divided", .backward = divided_backward};

/* ---- cross entropy ---- */

static divided_loss *make_loss(sr_item_table *table, sr_tape *tape, sr_tensor *states, const int32_t *targets,
                               const sr_scoring *scoring, double weight)
{
    divided *d = table->memory;
    divided_loss *loss = states ? sr_tape_take(tape, 1, sizeof *loss) : NULL;
    if (!loss)
        return NULL;
    *loss = (divided_loss){.table = table,
                           .states = states,
                           .targets = targets,
                           .weight = weight,
                           .kept_bytes = sr_tape_is_recording(tape) ? sr_tape_kept_bytes(tape) : 0};
    loss->rows = (sr_slab){.rows = sr_tape_parameter(tape, &d->block->parameters, table->scored),
                           .numbers = item_table_items_of(table, d->block)};
    loss->log_sums = sr_tape_take(tape, states->rows, sizeof *loss->log_sums);
    if (!loss->rows.rows || !loss->log_sums || !sr_softmax_begin(tape, &loss->rows, 1, scoring, &loss->slabs))
        return NULL;
    return loss;
}

sr_tensor *divided_cross_entropy(sr_item_table *table, sr_tape *tape, sr_tensor *states, const int32_t *targets,
                                 const sr_scoring *scoring, double weight)
{
    divided *d = table->memory;
    sr_error error;
    double total = 0;
    if (d->failed)
        return NULL;
    divided_loss *loss = make_loss(table, tape, states, targets, scoring, weight);
    sr_tensor *out = NULL;
    if (loss) {
        sr_tensor *inputs[] = {states, loss->rows.rows};
        out = sr_tape_record(tape, 1, 1, inputs, 2, &divided_operation, loss);
    }
    sr_status status = make_rounds(d, tape, loss, out ? SR_OK : sr_tape_status(tape, &error), &error);
    for (size_t round = 0; status == SR_OK && round < loss->round_count; ++round)
        status = forward_round(loss, tape, round, &total, &error);
    if (status != SR_OK) {
        fail_tape(d, tape, &error);
        return NULL;
    }
    out->values[0] = (sr_real)(weight * total);
    return out;
}

/* ---- the norm ---- */

typedef struct {
    sr_item_table *table;
    sr_tensor *rows;
    double norm;
} divided_norm_state;

/* The penalty has a part on each worker: the gradient of a row is that of all of them. */
static void norm_backward(sr_tape *tape, const sr_tensor *output, const void *saved)
{
    const divided_norm_state *state = saved;
    divided *d = state->table->memory;
    double factor = (double)output->gradient[0];
    sr_error error;
    sr_status status = d->failed ? sr_fail(&error, SR_ERROR_RUNTIME, "another loss over the item table has failed")
                                 : divided_agree(d, SR_OK, &error);
    if (status == SR_OK && d->ranks)
        status = ranks_sum(d->ranks, &factor, 1, &error);
    if (status != SR_OK)
        fail_tape(d, tape, &error);
    else if (state->norm > 0 && state->rows->wants_gradient)
        sr_tape_kernels(tape)->accumulate_scaled(state->rows->gradient, (sr_real)(factor / state->norm), state->rows->values,
                                                 state->rows->rows * state->rows->columns);
}

static const sr_operation norm_operation = {.name = "norm", .backward = norm_backward};

sr_tensor *divided_norm(sr_item_table *table, sr_tape *tape, item_part part)
{
    divided *d = table->memory;
    sr_error error;
    if (d->failed)
        return NULL;
    divided_norm_state *state = sr_tape_take(tape, 1, sizeof *state);
    sr_tensor *rows = state ? sr_tape_parameter(tape, &d->block->parameters, part) : NULL;
    sr_tensor *out = rows ? sr_tape_record(tape, 1, 1, &rows, 1, &norm_operation, state) : NULL;
    double squares = rows ? sr_tape_kernels(tape)->sum_of_squares(rows->values, rows->rows * rows->columns) : 0;
    sr_status status = divided_agree(d, out ? SR_OK : sr_tape_status(tape, &error), &error);
    if (status == SR_OK && d->ranks)
        status = ranks_sum(d->ranks, &squares, 1, &error);
    if (status != SR_OK) {
        fail_tape(d, tape, &error);
        return NULL;
    }
    *state = (divided_norm_state){.table = table, .rows = rows, .norm = sqrt(squares)};
    out->values[0] = (sr_real)state->norm;
    return out;
}
