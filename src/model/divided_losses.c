/* Cross entropy and the norm over an item table that is divided among workers.
 *
 * States of all workers are gathered in rounds of bounded size. Every worker walks its own rows and sends back, for each state,
 * what they contribute to the softmax: the largest logit, the sum of exponentials, and the target's logit. Backward gathers the
 * same states again. Gradients of rows stay where the rows are; gradients of states are sent to whose states these are, who
 * adds them in the order of workers.
 *
 * All workers come here together (item_table_joins_ranks()). One that fails before a backward pass comes to it meets the others
 * when it hands rows back: both begin with divided_agree(). */
#include "model/divided_items.h"

#include "base/sizes.h"
#include "model/ranks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STATES_OF_A_ROUND = 8192 }; /* of all workers together */

typedef struct {
    sr_item_table *table;
    sr_tensor *states, *rows; /* rows: all of this worker's, for their gradients */
    const int32_t *targets;
    double weight;
    sr_real *log_sums; /* [n] */
    size_t rounds;
} divided_loss;

/* What is gathered of a round. */
typedef struct {
    size_t first, own; /* this worker's states [first, first + own) */
    size_t count;      /* of all workers */
    sr_real *states, *log_sums;
    int32_t *targets;
    size_t *offsets; /* [workers + 1]: whose states these are */
} gathered_round;

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

/* Elements of all workers, as ranks->gather() does; *offsets [workers + 1], or NULL where nobody asks. */
static sr_status gather(divided *d, sr_status status, const void *data, size_t count, size_t size, void **all, size_t **offsets,
                        sr_error *error)
{
    size_t *found = NULL;
    *all = NULL;
    if (d->ranks) {
        status = ranks_gather(d->ranks, status, data, count, size, all, &found, error);
    } else if (status == SR_OK) {
        status = sr_allocate(all, count, size, "states to be scored", error);
        if (status == SR_OK && count > 0)
            memcpy(*all, data, count * size);
        if (status == SR_OK)
            status = sr_allocate_zero((void **)&found, 2, sizeof *found, "states to be scored", error);
        if (status == SR_OK)
            found[1] = count;
    }
    if (offsets && status == SR_OK)
        *offsets = found;
    else
        free(found);
    return status;
}

static void free_round(gathered_round *round)
{
    free(round->states);
    free(round->log_sums);
    free(round->targets);
    free(round->offsets);
    *round = (gathered_round){.count = 0};
}

/* The states and targets of a round, with room for what is computed of them. */
static sr_status gather_round(const divided_loss *loss, size_t number, gathered_round *round, sr_error *error)
{
    divided *d = loss->table->memory;
    const size_t width = loss->states->columns, each = states_of_worker(d), n = loss->states->rows;
    *round = (gathered_round){.first = smaller(number * each, n)};
    round->own = smaller(each, n - round->first);
    sr_status status = gather(d, SR_OK, loss->states->values + round->first * width, round->own, width * sizeof(sr_real),
                              (void **)&round->states, &round->offsets, error);
    if (status == SR_OK)
        status = gather(d, SR_OK, loss->targets + round->first, round->own, sizeof *loss->targets, (void **)&round->targets,
                        NULL, error);
    if (status == SR_OK)
        round->count = round->offsets[divided_workers(d)];
    return status;
}

/* This worker's rows that are items. */
static sr_slab own_rows(const divided_loss *loss)
{
    const divided *d = loss->table->memory;
    return (sr_slab){.rows = loss->rows, .numbers = item_table_items_of(loss->table, d->block)};
}

/* Where the answers of each worker to this one's states of a round begin. */
static void find_answers(divided *d, size_t own, size_t *offsets)
{
    for (size_t worker = 0; worker <= divided_workers(d); ++worker)
        offsets[worker] = worker * own;
}

static sr_status exchange(divided *d, const gathered_round *round, const void *data, void *room, const size_t *answers,
                          size_t size, sr_error *error)
{
    if (d->ranks)
        return ranks_exchange(d->ranks, data, round->offsets, room, answers, size, error);
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
    size_t *answers;             /* [workers + 1] */
    sr_real *tile;
} forward_room;

static sr_status take_forward_room(divided *d, const gathered_round *round, forward_room *room, sr_error *error)
{
    const size_t workers = divided_workers(d), count = round->count, taken = workers * round->own;
    const size_t numbers = (workers + 1) * sizeof(size_t) / sizeof(sr_real), of_one = sizeof(contribution) / sizeof(sr_real);
    SR_TRY(divided_grow(&d->room, numbers + sr_softmax_room() + (3 + of_one) * count + of_one * taken, error));
    sr_real *at = d->room.values;
    room->answers = (size_t *)(void *)at;
    room->tile = at += numbers;
    room->parts.maxima = at += sr_softmax_room();
    room->parts.sums = at += count;
    room->parts.target_logits = at += count;
    room->given = (contribution *)(void *)(at += count);
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

static sr_status forward_round(const divided_loss *loss, sr_tape *tape, size_t number, double *total, sr_error *error)
{
    divided *d = loss->table->memory;
    const size_t workers = divided_workers(d);
    gathered_round round;
    forward_room room = {.answers = NULL};
    sr_status status = gather_round(loss, number, &round, error);
    if (status == SR_OK)
        status = divided_agree(d, take_forward_room(d, &round, &room, error), error);
    if (status == SR_OK) {
        const sr_slab slab = own_rows(loss);
        sr_tensor states = {.values = round.states, .rows = round.count, .columns = loss->states->columns};
        sr_slabs_softmax(tape, &states, &slab, 1, round.targets, &room.parts, room.tile);
        for (size_t i = 0; i < round.count; ++i)
            room.given[i] = (contribution){room.parts.maxima[i], room.parts.sums[i], room.parts.target_logits[i]};
        find_answers(d, round.own, room.answers);
        status = exchange(d, &round, room.given, room.taken, room.answers, sizeof(contribution), error);
    }
    for (size_t i = 0; status == SR_OK && i < round.own; ++i)
        *total += combine(room.taken, workers, round.own, i, &loss->log_sums[round.first + i]);
    free_round(&round);
    return status;
}

/* How many rounds the worker with most states needs. */
static sr_status count_rounds(divided *d, sr_status status, size_t states, size_t *rounds, sr_error *error)
{
    size_t *all = NULL, most = 0;
    SR_TRY(gather(d, status, &states, 1, sizeof states, (void **)&all, NULL, error));
    for (size_t worker = 0; worker < divided_workers(d); ++worker)
        most = larger(most, all[worker]);
    free(all);
    *rounds = (most + states_of_worker(d) - 1) / states_of_worker(d);
    return SR_OK;
}

/* ---- backward ---- */

typedef struct {
    sr_real *gradients, *taken; /* [count, width], [workers, own, width] */
    size_t *answers;            /* [workers + 1] */
    sr_real *tile;
} backward_room;

static sr_status take_backward_room(divided *d, const gathered_round *round, size_t width, backward_room *room, sr_error *error)
{
    const size_t workers = divided_workers(d), numbers = (workers + 1) * sizeof(size_t) / sizeof(sr_real);
    const size_t gradients = round->count * width;
    SR_TRY(divided_grow(&d->room, numbers + sr_softmax_room() + gradients + workers * round->own * width, error));
    room->answers = (size_t *)(void *)d->room.values;
    room->tile = d->room.values + numbers;
    room->gradients = room->tile + sr_softmax_room();
    room->taken = room->gradients + gradients;
    memset(room->gradients, 0, gradients * sizeof *room->gradients);
    return SR_OK;
}

static sr_status backward_round(const divided_loss *loss, sr_tape *tape, size_t number, double weight, sr_error *error)
{
    divided *d = loss->table->memory;
    sr_tensor *x = loss->states;
    const size_t width = x->columns;
    gathered_round round;
    backward_room room = {.gradients = NULL};
    sr_status status = gather_round(loss, number, &round, error);
    if (status == SR_OK)
        status = gather(d, SR_OK, loss->log_sums + round.first, round.own, sizeof(sr_real), (void **)&round.log_sums, NULL,
                        error);
    if (status == SR_OK)
        status = divided_agree(d, take_backward_room(d, &round, width, &room, error), error);
    if (status == SR_OK) {
        const sr_slab slab = own_rows(loss);
        sr_tensor states = {.values = round.states,
                            .gradient = room.gradients,
                            .rows = round.count,
                            .columns = width,
                            .wants_gradient = x->wants_gradient};
        sr_slabs_softmax_gradients(tape, &states, &slab, 1, round.targets, round.log_sums, weight, room.tile);
        find_answers(d, round.own, room.answers);
        status = exchange(d, &round, room.gradients, room.taken, room.answers, width * sizeof(sr_real), error);
    }
    for (size_t worker = 0; status == SR_OK && x->wants_gradient && worker < divided_workers(d); ++worker)
        sr_tape_kernels(tape)->accumulate_scaled(x->gradient + round.first * width, 1, room.taken + worker * round.own * width,
                                                 round.own * width);
    free_round(&round);
    return status;
}

static void divided_backward(sr_tape *tape, const sr_tensor *output, const void *saved)
{
    const divided_loss *loss = saved;
    divided *d = loss->table->memory;
    sr_error error;
    sr_status status = d->failed ? sr_fail(&error, SR_ERROR_RUNTIME, "another loss over the item table has failed")
                                 : divided_agree(d, SR_OK, &error);
    for (size_t round = 0; status == SR_OK && round < loss->rounds; ++round)
        status = backward_round(loss, tape, round, loss->weight * (double)output->gradient[0], &error);
    if (status != SR_OK)
        fail_tape(d, tape, &error);
}

/* ---- cross entropy ---- */

static divided_loss *make_loss(sr_item_table *table, sr_tape *tape, sr_tensor *states, const int32_t *targets, double weight)
{
    divided *d = table->memory;
    divided_loss *loss = states ? sr_tape_take(tape, 1, sizeof *loss) : NULL;
    if (!loss)
        return NULL;
    *loss = (divided_loss){.table = table, .states = states, .targets = targets, .weight = weight};
    loss->rows = sr_tape_parameter(tape, &d->block->parameters, ITEM_VECTORS);
    loss->log_sums = sr_tape_take(tape, states->rows, sizeof *loss->log_sums);
    return loss->rows && loss->log_sums ? loss : NULL;
}

sr_tensor *divided_cross_entropy(sr_item_table *table, sr_tape *tape, sr_tensor *states, const int32_t *targets, double weight)
{
    divided *d = table->memory;
    sr_error error;
    size_t rounds = 0;
    double total = 0;
    if (d->failed)
        return NULL;
    divided_loss *loss = make_loss(table, tape, states, targets, weight);
    sr_tensor *out = NULL;
    if (loss) {
        sr_tensor *inputs[] = {states, loss->rows};
        out = sr_tape_record(tape, 1, 1, inputs, 2, divided_backward, loss);
    }
    sr_status status = count_rounds(d, out ? SR_OK : sr_tape_status(tape, &error), out ? states->rows : 0, &rounds, &error);
    for (size_t round = 0; status == SR_OK && round < rounds; ++round)
        status = forward_round(loss, tape, round, &total, &error);
    if (status != SR_OK) {
        fail_tape(d, tape, &error);
        return NULL;
    }
    loss->rounds = rounds;
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

sr_tensor *divided_norm(sr_item_table *table, sr_tape *tape, item_part part)
{
    divided *d = table->memory;
    sr_error error;
    if (d->failed)
        return NULL;
    divided_norm_state *state = sr_tape_take(tape, 1, sizeof *state);
    sr_tensor *rows = state ? sr_tape_parameter(tape, &d->block->parameters, part) : NULL;
    sr_tensor *out = rows ? sr_tape_record(tape, 1, 1, &rows, 1, norm_backward, state) : NULL;
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
