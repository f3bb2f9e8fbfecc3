/* The state of an optimizer, the ranges that its step is taken over, and the learning rate. */
#include "srtrain/optimizer.h"

#include "base/sizes.h"
#include "srtrain/memory.h"
#include "step/missed_steps.h"
#include "step/optimizer_row.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- state ---- */

static size_t blocks_of(const optimizer_row *row)
{
    size_t count = 0;
    while (row->blocks[count])
        ++count;
    return count;
}

size_t sr_optimizer_blocks(const sr_training_settings *settings)
{
    return blocks_of(optimizer_of(settings));
}

/* Blocks without memory. */
static void begin(sr_optimizer *optimizer, sr_parameters *parameters, const sr_training_settings *settings)
{
    *optimizer = (sr_optimizer){.parameters = parameters,
                                .settings = settings,
                                .row = optimizer_of(settings),
                                .attack_learning_rate_ratio = 1,
                                .most_missed = SR_MISSED_STEPS_MOST};
    optimizer->state.count = blocks_of(optimizer->row);
    for (size_t i = 0; i < optimizer->state.count; ++i)
        optimizer->state.blocks[i].name = optimizer->row->blocks[i];
}

sr_status sr_optimizer_create(sr_optimizer *optimizer, sr_parameters *parameters, const sr_training_settings *settings,
                              sr_error *error)
{
    begin(optimizer, parameters, settings);
    for (size_t i = 0; i < optimizer->state.count; ++i)
        SR_TRY(
            SR_ALLOCATE_ZERO(&optimizer->state.blocks[i].values, parameters->block_size, "the state of the optimizer", error));
    return SR_OK;
}

void sr_optimizer_place(sr_optimizer *optimizer, sr_parameters *parameters, const sr_training_settings *settings,
                        sr_real *blocks)
{
    begin(optimizer, parameters, settings);
    optimizer->placed = true;
    for (size_t i = 0; i < optimizer->state.count; ++i)
        optimizer->state.blocks[i].values = blocks + i * parameters->block_size;
}

void sr_optimizer_free(sr_optimizer *optimizer)
{
    for (size_t i = 0; !optimizer->placed && i < optimizer->state.count; ++i)
        free(optimizer->state.blocks[i].values);
    if (!optimizer->taken_is_placed)
        free(optimizer->taken);
    missed_steps_free(optimizer->missed);
    *optimizer = (sr_optimizer){0};
}

/* ---- learning rate and norm ---- */

static int64_t warmup_of(const sr_training_settings *settings, int64_t total_steps)
{
    if (settings->warmup_epochs > 0 && settings->epochs > 0)
        return (int64_t)ceil(settings->warmup_epochs * (double)total_steps / (double)settings->epochs);
    return settings->warmup_steps;
}

double sr_learning_rate(const sr_training_settings *settings, int64_t step, int64_t total_steps)
{
    const double full = sr_full_learning_rate(settings);
    const int64_t warmup = warmup_of(settings, total_steps), decay_steps = total_steps - warmup;
    if (step < warmup)
        return full * (double)(step + 1) / (double)warmup;
    const double done = decay_steps > 0 ? (double)(step - warmup) / (double)decay_steps : 0;
    switch (settings->schedule) {
    case SR_SCHEDULE_LINEAR:
        return full * (1 - done);
    case SR_SCHEDULE_COSINE:
        return full * 0.5 * (1 + cos(3.14159265358979323846 * done));
    case SR_SCHEDULE_CONSTANT:
        break;
    }
    return full;
}

sr_element_range optimizer_table_row(const sr_parameters *parameters, size_t table, size_t row)
{
    const sr_parameter *parameter = &parameters->list[table];
    const size_t width = parameter->shape[1], begin = parameter->offset + row * width;
    return (sr_element_range){begin, begin + width};
}

/* Which rows of the list a part takes. */
static sr_element_range rows_of_part(const sr_touched_rows *touched, size_t part, size_t parts)
{
    return sr_part_of_range((sr_element_range){0, sr_touched_count(touched)}, part, parts);
}

/* Where the gradient of row `i` of the touched ones lies. */
static const sr_real *gradients_of_row(const sr_parameters *parameters, const sr_touched_rows *touched, size_t table, size_t i)
{
    const sr_parameter *parameter = &parameters->list[touched->tables.index[table]];
    const size_t width = parameter->shape[1];
    if (touched->gradients[table])
        return touched->gradients[table] + i * width;
    return parameters->gradients + parameter->offset + (size_t)touched->rows[i] * width;
}

double sr_gradient_squares(const sr_parameters *parameters, const sr_kernels *kernels, const sr_touched_rows *touched,
                           size_t part, size_t parts)
{
    sr_element_range ranges[SR_TABLES_MAXIMUM + 1];
    const size_t count = sr_parameters_dense_ranges(parameters, touched, ranges);
    const sr_element_range rows = rows_of_part(touched, part, parts);
    double sum = 0;
    for (size_t i = 0; i < count; ++i) {
        const sr_element_range range = sr_part_of_range(ranges[i], part, parts);
        sum += kernels->sum_of_squares(parameters->gradients + range.begin, range.end - range.begin);
    }
    for (size_t t = 0; rows.begin < rows.end && t < touched->tables.count; ++t)
        for (size_t i = rows.begin; i < rows.end; ++i)
            sum += kernels->sum_of_squares(gradients_of_row(parameters, touched, t, i),
                                           parameters->list[touched->tables.index[t]].shape[1]);
    return sum;
}

/* ---- late rows ---- */

bool sr_optimizer_can_be_late(const sr_training_settings *settings)
{
    const sr_late_rows *late = optimizer_of(settings)->late;
    return late && late->possible(settings);
}

sr_row_stepping sr_optimizer_row_stepping(const sr_training_settings *settings, bool every)
{
    if (optimizer_of(settings)->measure)
        return SR_ROWS_ARE_MEASURED;
    const bool are_late = !every && settings->row_optimizer == SR_ROW_OPTIMIZER_EXACT;
    return are_late && !sr_optimizer_can_be_late(settings) ? SR_ROWS_CANNOT_BE_LATE : SR_ROWS_CAN_STEP;
}

const char *sr_row_stepping_reason(sr_row_stepping stepping)
{
    switch (stepping) {
    case SR_ROWS_ARE_MEASURED:
        return "training.optimizer measures whole arrays, and no rank has the whole of a divided table";
    case SR_ROWS_CANNOT_BE_LATE:
        return "rows that get no gradient cannot take their steps late (training.row_optimizer lazy lets them rest)";
    case SR_ROWS_CAN_STEP:
        break;
    }
    return "";
}

size_t sr_optimizer_late_memory(const sr_training_settings *settings, size_t rows, size_t steps)
{
    const size_t most = smaller(steps, SR_MISSED_STEPS_MOST);
    return sr_optimizer_can_be_late(settings) ? rows * sizeof(int64_t) + missed_steps_memory(most) : 0;
}

/* Rows of the tables that steps go through. */
static size_t picked_rows(const sr_optimizer *optimizer, const sr_table_list *tables)
{
    return optimizer->parameters->list[tables->index[0]].shape[0];
}

sr_status sr_optimizer_pick_rows(sr_optimizer *optimizer, const sr_table_list *tables, int64_t *taken, sr_error *error)
{
    const bool lazy = optimizer->settings->row_optimizer == SR_ROW_OPTIMIZER_LAZY;
    if (tables->count == 0 || sr_optimizer_row_stepping(optimizer->settings, false) != SR_ROWS_CAN_STEP)
        return SR_OK;
    if (!lazy) {
        optimizer->taken = taken;
        optimizer->taken_is_placed = taken != NULL;
        if (!taken)
            SR_TRY(
                SR_ALLOCATE_ZERO(&optimizer->taken, picked_rows(optimizer, tables), "the steps that rows have taken", error));
        SR_TRY(optimizer->row->late->create(&optimizer->missed, optimizer->settings, error));
    }
    optimizer->tables = *tables;
    return SR_OK;
}

bool sr_optimizer_picks_rows(const sr_optimizer *optimizer)
{
    return optimizer->tables.count > 0;
}

bool sr_optimizer_remembers_most(const sr_optimizer *optimizer)
{
    return optimizer->missed && missed_steps_taken(optimizer->missed) >= optimizer->most_missed;
}

sr_status sr_optimizer_reserve(sr_optimizer *optimizer, sr_error *error)
{
    return optimizer->missed ? missed_steps_reserve(optimizer->missed, error) : SR_OK;
}

/* Rows lie anywhere in tables that no cache holds: the next ones are asked for while one is worked on. */
enum { ROWS_AHEAD = 6 };

static void prefetch_row(const sr_optimizer *optimizer, size_t row, bool gradients)
{
    enum { LINE = 64 / sizeof(sr_real) };
    for (size_t t = 0; t < optimizer->tables.count; ++t) {
        const sr_element_range range = optimizer_table_row(optimizer->parameters, optimizer->tables.index[t], row);
        for (size_t i = range.begin; i < range.end; i += LINE) {
            __builtin_prefetch(optimizer->parameters->values + i, 1);
            for (size_t block = 0; block < optimizer->state.count; ++block)
                __builtin_prefetch(optimizer->state.blocks[block].values + i, 1);
            if (gradients)
                __builtin_prefetch(optimizer->parameters->gradients + i);
        }
    }
}

void sr_optimizer_settle_rows(sr_optimizer *optimizer, const sr_kernels *kernels, const sr_touched_rows *touched, size_t part,
                              size_t parts)
{
    if (!optimizer->missed || missed_steps_taken(optimizer->missed) == 0)
        return;
    const int64_t now = (int64_t)missed_steps_taken(optimizer->missed);
    const size_t all = optimizer->parameters->list[optimizer->tables.index[0]].shape[0];
    const sr_element_range rows = sr_part_of_range((sr_element_range){0, touched->every ? all : touched->count}, part, parts);
    for (size_t i = rows.begin; i < rows.end; ++i) {
        const size_t row = touched->every ? i : (size_t)touched->rows[i];
        if (!touched->every && i + ROWS_AHEAD < rows.end)
            prefetch_row(optimizer, (size_t)touched->rows[i + ROWS_AHEAD], false);
        if (optimizer->taken[row] == now)
            continue;
        optimizer->row->late->settle(optimizer, kernels, row);
        optimizer->taken[row] = now;
    }
}

void sr_optimizer_forget(sr_optimizer *optimizer)
{
    if (optimizer->missed)
        missed_steps_forget(optimizer->missed);
}

void sr_optimizer_forget_rows(sr_optimizer *optimizer, size_t part, size_t parts)
{
    if (!optimizer->missed || missed_steps_taken(optimizer->missed) == 0)
        return;
    const sr_element_range all = {0, picked_rows(optimizer, &optimizer->tables)};
    const sr_element_range rows = sr_part_of_range(all, part, parts);
    memset(optimizer->taken + rows.begin, 0, (rows.end - rows.begin) * sizeof *optimizer->taken);
}

void sr_optimizer_note(sr_optimizer *optimizer, int64_t step, double learning_rate, const sr_touched_rows *touched)
{
    if (!optimizer->missed)
        return;
    if (touched->every) /* all rows have been brought up to date, and have taken the step */
        sr_optimizer_forget(optimizer);
    else
        optimizer->row->late->take(optimizer->missed, optimizer->settings, step, learning_rate);
}

/* ---- a step ---- */

/* What all parts of a step go by. */
typedef struct {
    sr_optimizer *optimizer;
    const sr_kernels *kernels;
    const sr_update *update;
    double gradient_scale;
} whole_step;

static sr_state_slice slice_with(const sr_optimizer *optimizer, sr_element_range range, const sr_real *gradients)
{
    sr_state_slice slice = {
        .values = optimizer->parameters->values + range.begin, .gradients = gradients, .count = range.end - range.begin};
    for (size_t i = 0; i < optimizer->state.count; ++i)
        slice.state[i] = optimizer->state.blocks[i].values + range.begin;
    return slice;
}

static sr_state_slice slice_of(const sr_optimizer *optimizer, sr_element_range range)
{
    return slice_with(optimizer, range, optimizer->parameters->gradients + range.begin);
}

static void begin_set(const whole_step *s, sr_parameter_set set, sr_step_constants *constants)
{
    const bool attack = set == SR_PARAMETERS_ATTACK;
    const sr_step_of_set step = {
        .settings = s->optimizer->settings,
        .step = s->update->step,
        .learning_rate = attack ? s->update->learning_rate * s->optimizer->attack_learning_rate_ratio
                                : s->update->learning_rate,
        .gradient_scale = s->gradient_scale,
    };
    s->optimizer->row->begin(&step, constants);
}

/* The step of elements of the block, for optimizers with one pass. */
static void step_range(const whole_step *s, sr_element_range range, const sr_step_constants *constants)
{
    const sr_state_slice slice = slice_of(s->optimizer, range);
    s->optimizer->row->update(s->kernels, constants, &slice, NULL, NULL);
}

static void step_rows(const whole_step *s, sr_element_range rows, const sr_step_constants *constants)
{
    sr_optimizer *optimizer = s->optimizer;
    const sr_touched_rows *touched = s->update->touched;
    if (rows.begin == rows.end)
        return;
    const bool here = !touched->gradients[0];
    const int64_t now = optimizer->missed ? (int64_t)missed_steps_taken(optimizer->missed) : 0;
    for (size_t i = rows.begin; i < rows.end; ++i) {
        const size_t row = (size_t)touched->rows[i];
        if (i + ROWS_AHEAD < rows.end)
            prefetch_row(optimizer, (size_t)touched->rows[i + ROWS_AHEAD], here);
        for (size_t t = 0; t < touched->tables.count; ++t) {
            const sr_element_range range = optimizer_table_row(optimizer->parameters, touched->tables.index[t], row);
            const sr_state_slice slice = slice_with(optimizer, range, gradients_of_row(optimizer->parameters, touched, t, i));
            optimizer->row->update(s->kernels, constants, &slice, NULL, NULL);
        }
        if (optimizer->taken)
            optimizer->taken[row] = now + 1;
    }
}

/* Parameter `first` and those that follow it in one set, and where they end. */
static size_t end_of_set(const sr_parameters *parameters, size_t first)
{
    size_t next = first + 1;
    while (next < parameters->count && parameters->list[next].set == parameters->list[first].set)
        ++next;
    return next;
}

static sr_element_range overlap(sr_element_range left, sr_element_range right)
{
    const size_t begin = left.begin > right.begin ? left.begin : right.begin;
    const size_t end = left.end < right.end ? left.end : right.end;
    return (sr_element_range){begin, end > begin ? end : begin};
}

/* One pass over the block. Neighbours of one set take their step together. */
static void step_once(const whole_step *s)
{
    const sr_parameters *parameters = s->optimizer->parameters;
    const sr_update *update = s->update;
    const sr_touched_rows *touched = update->touched;
    sr_element_range ranges[SR_TABLES_MAXIMUM + 1];
    const size_t range_count = sr_parameters_dense_ranges(parameters, touched, ranges);
    for (size_t first = 0, next; first < parameters->count; first = next) {
        sr_step_constants constants;
        next = end_of_set(parameters, first);
        if (parameters->list[first].set == SR_PARAMETERS_FROZEN)
            continue;
        begin_set(s, parameters->list[first].set, &constants);
        const sr_element_range of_set = {parameters->list[first].offset,
                                         next < parameters->count ? parameters->list[next].offset : parameters->block_size};
        for (size_t i = 0; i < range_count; ++i)
            step_range(s, overlap(sr_part_of_range(ranges[i], update->part, update->parts), of_set), &constants);
        if (touched && touched->tables.count > 0 && parameters->list[touched->tables.index[0]].offset >= of_set.begin &&
            parameters->list[touched->tables.index[0]].offset < of_set.end)
            step_rows(s, rows_of_part(touched, update->part, update->parts), &constants);
    }
}

/* Arrays are measured so many at a time: the parts meet once for all of them. */
enum { ARRAYS_AT_ONCE = 64 };

/* What lies of an array in this part of the block. */
static sr_state_slice part_of_array(const whole_step *s, const sr_parameter *array)
{
    const sr_element_range all = {0, s->optimizer->parameters->block_size};
    const sr_element_range range = {array->offset, array->offset + array->size};
    return slice_of(s->optimizer, overlap(sr_part_of_range(all, s->update->part, s->update->parts), range));
}

/* Two passes over arrays [first, end): the second knows what the first has summed over all parts. */
static sr_status step_arrays(const whole_step *s, size_t first, size_t end, sr_error *error)
{
    const optimizer_row *row = s->optimizer->row;
    const sr_parameter *list = s->optimizer->parameters->list;
    double sums[ARRAYS_AT_ONCE][OPTIMIZER_SUMS] = {{0}};
    sr_step_constants constants;
    for (size_t i = first; i < end; ++i) {
        const sr_state_slice slice = part_of_array(s, &list[i]);
        if (list[i].set == SR_PARAMETERS_FROZEN)
            continue;
        begin_set(s, list[i].set, &constants);
        row->measure(s->kernels, &constants, &slice, sums[i - first]);
    }
    if (s->update->sum)
        SR_TRY(s->update->sum(s->update->context, sums[0], (end - first) * OPTIMIZER_SUMS, error));
    for (size_t i = first; i < end; ++i) {
        const sr_state_slice slice = part_of_array(s, &list[i]);
        if (list[i].set == SR_PARAMETERS_FROZEN)
            continue;
        begin_set(s, list[i].set, &constants);
        row->update(s->kernels, &constants, &slice, &list[i], sums[i - first]);
    }
    return SR_OK;
}

sr_status sr_optimizer_step(sr_optimizer *optimizer, const sr_kernels *kernels, const sr_update *update, sr_error *error)
{
    const double clip = optimizer->settings->clip_norm;
    const whole_step step = {.optimizer = optimizer,
                             .kernels = kernels,
                             .update = update,
                             .gradient_scale = clip > 0 && update->gradient_norm > clip ? clip / update->gradient_norm : 1};
    if (!optimizer->row->measure) {
        step_once(&step);
        return SR_OK;
    }
    const size_t count = optimizer->parameters->count;
    for (size_t first = 0; first < count; first += ARRAYS_AT_ONCE)
        SR_TRY(step_arrays(&step, first, first + ARRAYS_AT_ONCE < count ? first + ARRAYS_AT_ONCE : count, error));
    return SR_OK;
}
