/* Adam (Kingma and Ba 2015) and the learning rate. */
#include "srtrain/optimizer.h"

#include "srtrain/memory.h"
#include "step/missed_steps.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

sr_status sr_optimizer_create(sr_optimizer *optimizer, sr_parameters *parameters, sr_error *error)
{
    *optimizer = (sr_optimizer){.parameters = parameters, .attack_learning_rate_ratio = 1};
    SR_TRY(SR_ALLOCATE_ZERO(&optimizer->first_moment, parameters->block_size, "Adam's first moment", error));
    return SR_ALLOCATE_ZERO(&optimizer->second_moment, parameters->block_size, "Adam's second moment", error);
}

void sr_optimizer_place(sr_optimizer *optimizer, sr_parameters *parameters, sr_real *first_moment, sr_real *second_moment)
{
    *optimizer = (sr_optimizer){.parameters = parameters,
                                .first_moment = first_moment,
                                .second_moment = second_moment,
                                .placed = true,
                                .attack_learning_rate_ratio = 1};
}

void sr_optimizer_free(sr_optimizer *optimizer)
{
    if (!optimizer->placed) {
        free(optimizer->first_moment);
        free(optimizer->second_moment);
    }
    free(optimizer->updated);
    missed_steps_free(optimizer->missed);
    *optimizer = (sr_optimizer){0};
}

double sr_learning_rate(const sr_training_settings *settings, int64_t step, int64_t total_steps)
{
    const double full = settings->learning_rate;
    if (step < settings->warmup_steps)
        return full * (double)(step + 1) / (double)settings->warmup_steps;
    const int64_t decay_steps = total_steps - settings->warmup_steps;
    const double done = decay_steps > 0 ? (double)(step - settings->warmup_steps) / (double)decay_steps : 0;
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

/* A row of a table. */
static size_t row_offset(const sr_parameters *parameters, size_t table, size_t row, size_t *width)
{
    const sr_parameter *parameter = &parameters->list[table];
    *width = parameter->shape[1];
    return parameter->offset + row * *width;
}

/* Which rows of the list a part takes. */
static sr_element_range rows_of_part(const sr_touched_rows *touched, size_t part, size_t parts)
{
    return sr_part_of_range((sr_element_range){0, sr_touched_count(touched)}, part, parts);
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
        for (size_t i = rows.begin; i < rows.end; ++i) {
            size_t width;
            const size_t offset = row_offset(parameters, touched->tables.index[t], (size_t)touched->rows[i], &width);
            sum += kernels->sum_of_squares(parameters->gradients + offset, width);
        }
    return sum;
}

/* ---- deferred rows ---- */

static bool can_be_late(const sr_training_settings *settings)
{
    const bool fades = settings->weight_decay == 0 || settings->weight_decay_kind == SR_WEIGHT_DECAY_DECOUPLED;
    return fades && settings->adam_epsilon > 0 && missed_steps_possible(settings->adam_beta1);
}

size_t sr_optimizer_deferral_memory(const sr_training_settings *settings, size_t rows, size_t steps)
{
    return can_be_late(settings) ? rows * sizeof(int64_t) + missed_steps_memory(steps) : 0;
}

sr_status sr_optimizer_defer(sr_optimizer *optimizer, const sr_table_list *tables, const sr_training_settings *settings,
                             sr_error *error)
{
    if (tables->count == 0 || !can_be_late(settings))
        return SR_OK;
    SR_TRY(SR_ALLOCATE_ZERO(&optimizer->updated, optimizer->parameters->list[tables->index[0]].shape[0],
                            "the steps that rows have taken", error));
    SR_TRY(missed_steps_create(&optimizer->missed, settings->adam_beta1, settings->adam_beta2, settings->adam_epsilon, error));
    optimizer->tables = *tables;
    optimizer->never_decays = settings->weight_decay == 0;
    return SR_OK;
}

bool sr_optimizer_defers(const sr_optimizer *optimizer)
{
    return optimizer->missed != NULL;
}

sr_status sr_optimizer_reserve(sr_optimizer *optimizer, sr_error *error)
{
    return optimizer->missed ? missed_steps_reserve(optimizer->missed, error) : SR_OK;
}

static bool is_zero(const sr_real *values, size_t n)
{
    unsigned any = 0;
    for (size_t i = 0; i < n; ++i)
        any |= values[i] != 0;
    return !any;
}

/* Rows lie anywhere in tables that no cache holds: the next ones are asked for while one is worked on. */
enum { ROWS_AHEAD = 6 };

static void prefetch_row(const sr_optimizer *optimizer, size_t row, bool gradients)
{
    enum { LINE = 64 / sizeof(sr_real) };
    for (size_t t = 0; t < optimizer->tables.count; ++t) {
        size_t width;
        const size_t offset = row_offset(optimizer->parameters, optimizer->tables.index[t], row, &width);
        for (size_t i = offset; i < offset + width; i += LINE) {
            __builtin_prefetch(optimizer->parameters->values + i, 1);
            __builtin_prefetch(optimizer->first_moment + i, 1);
            __builtin_prefetch(optimizer->second_moment + i, 1);
            if (gradients)
                __builtin_prefetch(optimizer->parameters->gradients + i);
        }
    }
}

static void catch_up_row(sr_optimizer *optimizer, const sr_kernels *kernels, size_t row)
{
    const size_t now = missed_steps_taken(optimizer->missed);
    if ((size_t)optimizer->updated[row] == now)
        return;
    sr_real factors[MISSED_STEPS_HORIZON], roots[MISSED_STEPS_HORIZON];
    sr_adam_gap gap;
    size_t terms = SIZE_MAX;
    for (size_t t = 0; t < optimizer->tables.count; ++t) {
        size_t width;
        const size_t offset = row_offset(optimizer->parameters, optimizer->tables.index[t], row, &width);
        sr_real *values = optimizer->parameters->values + offset, *first = optimizer->first_moment + offset,
                *second = optimizer->second_moment + offset;
        /* Most rows of a large catalogue have never had a gradient: without decay there is nothing to do for them. */
        if (optimizer->never_decays && is_zero(first, width) && is_zero(second, width))
            continue;
        if (terms == SIZE_MAX)
            terms = missed_steps_gap(optimizer->missed, (size_t)optimizer->updated[row], &gap, factors, roots);
        if (terms == 0 || is_zero(first, width))
            kernels->adam_gap(values, first, second, width, &gap);
        else
            kernels->adam_gap_sum(values, first, second, width, &gap, factors, roots, terms);
    }
    optimizer->updated[row] = (int64_t)now;
}

void sr_optimizer_catch_up(sr_optimizer *optimizer, const sr_kernels *kernels, const sr_touched_rows *touched, size_t part,
                           size_t parts)
{
    if (!optimizer->missed || missed_steps_taken(optimizer->missed) == 0)
        return;
    const size_t all = optimizer->parameters->list[optimizer->tables.index[0]].shape[0];
    const sr_element_range rows = sr_part_of_range((sr_element_range){0, touched->every ? all : touched->count}, part, parts);
    for (size_t i = rows.begin; i < rows.end; ++i) {
        if (!touched->every && i + ROWS_AHEAD < rows.end)
            prefetch_row(optimizer, (size_t)touched->rows[i + ROWS_AHEAD], false);
        catch_up_row(optimizer, kernels, touched->every ? i : (size_t)touched->rows[i]);
    }
}

void sr_optimizer_forget(sr_optimizer *optimizer)
{
    if (!optimizer->missed || missed_steps_taken(optimizer->missed) == 0)
        return;
    missed_steps_forget(optimizer->missed);
    memset(optimizer->updated, 0,
           optimizer->parameters->list[optimizer->tables.index[0]].shape[0] * sizeof *optimizer->updated);
}

/* ---- a step ---- */

static double first_correction(const sr_training_settings *settings, int64_t step)
{
    return 1 - pow(settings->adam_beta1, (double)(step + 1));
}

static double second_correction(const sr_training_settings *settings, int64_t step)
{
    return 1 / sqrt(1 - pow(settings->adam_beta2, (double)(step + 1)));
}

static double decay_of(const sr_training_settings *settings, double rate)
{
    return settings->weight_decay_kind == SR_WEIGHT_DECAY_DECOUPLED ? rate * settings->weight_decay : 0;
}

void sr_optimizer_note(sr_optimizer *optimizer, const sr_training_settings *settings, int64_t step, double learning_rate,
                       const sr_touched_rows *touched)
{
    if (!optimizer->missed)
        return;
    if (touched->every) { /* all rows have been brought up to date, and have taken the step */
        sr_optimizer_forget(optimizer);
        return;
    }
    missed_steps_take(optimizer->missed, learning_rate / first_correction(settings, step), second_correction(settings, step),
                      decay_of(settings, learning_rate));
}

/* One step of Adam over elements of the block. */
static void step_range(sr_optimizer *optimizer, const sr_kernels *kernels, sr_element_range range, const sr_adam_step *adam)
{
    kernels->adam(optimizer->parameters->values + range.begin, optimizer->parameters->gradients + range.begin,
                  optimizer->first_moment + range.begin, optimizer->second_moment + range.begin, range.end - range.begin, adam);
}

static void step_rows(sr_optimizer *optimizer, const sr_kernels *kernels, const sr_touched_rows *touched, sr_element_range rows,
                      const sr_adam_step *adam)
{
    if (rows.begin == rows.end)
        return;
    const int64_t now = (int64_t)missed_steps_taken(optimizer->missed);
    for (size_t i = rows.begin; i < rows.end; ++i) {
        const size_t row = (size_t)touched->rows[i];
        if (i + ROWS_AHEAD < rows.end)
            prefetch_row(optimizer, (size_t)touched->rows[i + ROWS_AHEAD], true);
        for (size_t t = 0; t < touched->tables.count; ++t) {
            size_t width;
            const size_t offset = row_offset(optimizer->parameters, touched->tables.index[t], row, &width);
            step_range(optimizer, kernels, (sr_element_range){offset, offset + width}, adam);
        }
        optimizer->updated[row] = now + 1;
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

void sr_optimizer_step(sr_optimizer *optimizer, const sr_kernels *kernels, const sr_training_settings *settings, int64_t step,
                       double learning_rate, double gradient_norm, const sr_touched_rows *touched, size_t part, size_t parts)
{
    const sr_parameters *parameters = optimizer->parameters;
    const double clip = settings->clip_norm;
    sr_adam_step adam = {
        .beta1 = (sr_real)settings->adam_beta1,
        .beta2 = (sr_real)settings->adam_beta2,
        .second_correction = (sr_real)second_correction(settings, step),
        .epsilon = (sr_real)settings->adam_epsilon,
        .l2 = (sr_real)(settings->weight_decay_kind == SR_WEIGHT_DECAY_DECOUPLED ? 0 : settings->weight_decay),
        .gradient_scale = (sr_real)(clip > 0 && gradient_norm > clip ? clip / gradient_norm : 1),
    };
    sr_element_range ranges[SR_TABLES_MAXIMUM + 1];
    const size_t range_count = sr_parameters_dense_ranges(parameters, touched, ranges);
    for (size_t first = 0, next; first < parameters->count; first = next) {
        next = end_of_set(parameters, first);
        const bool attack = parameters->list[first].set == SR_PARAMETERS_ATTACK;
        const double rate = attack ? learning_rate * optimizer->attack_learning_rate_ratio : learning_rate;
        adam.step_size = (sr_real)(rate / first_correction(settings, step));
        adam.decay = (sr_real)decay_of(settings, rate);
        const sr_element_range of_set = {parameters->list[first].offset,
                                         next < parameters->count ? parameters->list[next].offset : parameters->block_size};
        for (size_t i = 0; i < range_count; ++i)
            step_range(optimizer, kernels, overlap(sr_part_of_range(ranges[i], part, parts), of_set), &adam);
        if (touched && touched->tables.count > 0 && parameters->list[touched->tables.index[0]].offset >= of_set.begin &&
            parameters->list[touched->tables.index[0]].offset < of_set.end)
            step_rows(optimizer, kernels, touched, rows_of_part(touched, part, parts), &adam);
    }
}
