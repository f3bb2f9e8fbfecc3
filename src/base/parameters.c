/* Named parameters in one block; srtrain/parameters.h says what is promised. */
#include "srtrain/parameters.h"

#include "base/sizes.h"
#include "srtrain/memory.h"
#include "srtrain/random.h"
#include "srtrain/row_blocks.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { OFFSET_MULTIPLE = 16 }; /* elements: parameters start on a cache line in single precision */

void sr_parameters_initialise(sr_parameters *parameters)
{
    *parameters = (sr_parameters){0};
}

void sr_parameters_free(sr_parameters *parameters)
{
    sr_parameters_withdraw(parameters);
    free(parameters->list);
    sr_parameters_initialise(parameters);
}

static sr_status make_room(sr_parameters *parameters, sr_error *error)
{
    return SR_GROW(&parameters->list, &parameters->capacity, parameters->count + 1, "the list of parameters", error);
}

sr_status sr_parameters_declare(sr_parameters *parameters, const char *name, const size_t *shape, size_t rank,
                                sr_initial_values start, sr_parameter_set set, size_t *index, sr_error *error)
{
    assert(!parameters->values && rank >= 1 && rank <= SR_PARAMETER_RANK_MAXIMUM);
    if (strlen(name) >= SR_PARAMETER_NAME_SIZE)
        return sr_fail(error, SR_ERROR_RUNTIME, "the parameter name \"%s\" is longer than %d bytes", name,
                       SR_PARAMETER_NAME_SIZE - 1);
    if (sr_parameters_find(parameters, name) != SIZE_MAX)
        return sr_fail(error, SR_ERROR_RUNTIME, "the parameter \"%s\" is declared twice", name);
    SR_TRY(make_room(parameters, error));
    sr_parameter *parameter = &parameters->list[parameters->count];
    *parameter = (sr_parameter){
        .rank = rank, .size = 1, .offset = parameters->block_size, .initial = start.initial, .scale = start.scale, .set = set};
    snprintf(parameter->name, sizeof parameter->name, "%s", name);
    for (size_t i = 0; i < rank; ++i) {
        if (shape[i] == 0 || parameter->size > (SIZE_MAX / 2 - parameters->block_size) / sizeof(sr_real) / shape[i])
            return sr_fail(error, SR_ERROR_RUNTIME, "the parameter \"%s\" is empty or too large: dimension %zu is %zu", name, i,
                           shape[i]);
        parameter->shape[i] = shape[i];
        parameter->size *= shape[i];
    }
    parameters->block_size += (parameter->size + OFFSET_MULTIPLE - 1) / OFFSET_MULTIPLE * OFFSET_MULTIPLE;
    if (index)
        *index = parameters->count;
    ++parameters->count;
    return SR_OK;
}

void sr_parameters_start_same(sr_parameters *parameters, size_t index, size_t same_as)
{
    assert(same_as < index && index < parameters->count && parameters->list[same_as].size == parameters->list[index].size);
    parameters->list[index].initial = SR_INITIAL_SAME;
    parameters->list[index].same_as = same_as;
}

void sr_parameters_assign_rows(sr_parameters *parameters, size_t index, sr_row_owner owner)
{
    assert(index < parameters->count);
    parameters->list[index].rows_of = owner;
}

static sr_status allocate(sr_parameters *parameters, bool gradients, sr_error *error)
{
    assert(!parameters->values);
    SR_TRY(SR_ALLOCATE_ZERO(&parameters->values, parameters->block_size, "the parameters", error));
    if (gradients)
        SR_TRY(SR_ALLOCATE_ZERO(&parameters->gradients, parameters->block_size, "the gradients", error));
    return sr_row_blocks_allocate(parameters, gradients, error);
}

sr_status sr_parameters_allocate(sr_parameters *parameters, sr_error *error)
{
    return allocate(parameters, true, error);
}

sr_status sr_parameters_allocate_values(sr_parameters *parameters, sr_error *error)
{
    return allocate(parameters, false, error);
}

void sr_parameters_withdraw(sr_parameters *parameters)
{
    if (!parameters->placed) {
        free(parameters->values);
        free(parameters->gradients);
    }
    parameters->values = parameters->gradients = NULL;
    parameters->placed = false;
}

void sr_parameters_place(sr_parameters *parameters, sr_real *values, sr_real *gradients)
{
    sr_parameters_withdraw(parameters);
    parameters->values = values;
    parameters->gradients = gradients;
    parameters->placed = true;
}

static sr_real initial_value(const sr_parameters *parameters, const sr_parameter *as, sr_random_stream stream, size_t element)
{
    switch (as->initial) {
    case SR_INITIAL_SAME: /* resolved before */
    case SR_INITIAL_ZERO:
        break;
    case SR_INITIAL_CONSTANT:
        return (sr_real)as->scale;
    case SR_INITIAL_NORMAL:
        return (sr_real)(parameters->normal_mean + as->scale * sr_random_normal(stream, element, 0));
    case SR_INITIAL_CENTRED:
        return (sr_real)(as->scale * sr_random_normal(stream, element, 0));
    case SR_INITIAL_UNIFORM:
        return (sr_real)(as->scale * (2 * sr_random_uniform(stream, element, 0) - 1));
    case SR_INITIAL_IDENTITY: {
        const size_t columns = as->shape[as->rank - 1], rows = as->shape[as->rank - 2];
        return element / columns % rows == element % columns;
    }
    }
    return 0;
}

/* One that starts like another is drawn as that one, of which another worker may be drawing the elements. */
void sr_parameters_initial_values(const sr_parameters *parameters, size_t index, uint64_t seed, size_t first, size_t count,
                                  sr_real *values)
{
    const sr_parameter *as = &parameters->list[index];
    while (as->initial == SR_INITIAL_SAME)
        as = &parameters->list[as->same_as];
    const sr_random_stream stream = sr_random_open(seed, SR_RANDOM_INITIALISATION, XXH3_64bits(as->name, strlen(as->name)));
    for (size_t i = 0; i < count; ++i)
        values[i] = initial_value(parameters, as, stream, first + i);
}

void sr_parameters_draw_part(sr_parameters *parameters, uint64_t seed, sr_element_range part)
{
    for (size_t i = 0; i < parameters->count; ++i) {
        const sr_parameter *parameter = &parameters->list[i];
        const size_t begin = larger(part.begin, parameter->offset),
                     end = smaller(part.end, parameter->offset + parameter->size);
        if (begin < end)
            sr_parameters_initial_values(parameters, i, seed, begin - parameter->offset, end - begin,
                                         parameters->values + begin);
    }
}

void sr_parameters_draw(sr_parameters *parameters, uint64_t seed)
{
    sr_parameters_draw_part(parameters, seed, (sr_element_range){0, parameters->block_size});
    for (size_t i = 0; i < parameters->row_block_count; ++i)
        sr_row_block_draw(parameters->row_blocks[i], seed);
}

size_t sr_parameters_find(const sr_parameters *parameters, const char *name)
{
    for (size_t i = 0; i < parameters->count; ++i)
        if (strcmp(parameters->list[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}

uint64_t sr_parameters_checksum(const sr_parameters *parameters)
{
    /* Gaps between parameters are always zero, so the block as a whole says the same as its parameters one by one. */
    return XXH3_64bits(parameters->values, parameters->block_size * sizeof *parameters->values);
}

/* ---- touched rows ---- */

size_t sr_touched_count(const sr_touched_rows *touched)
{
    return touched && touched->tables.count > 0 && !touched->every ? touched->count : 0;
}

static bool is_dense(const sr_parameters *parameters, const sr_touched_rows *touched, size_t index)
{
    bool dense = parameters->list[index].set != SR_PARAMETERS_FROZEN;
    for (size_t t = 0; touched && !touched->every && t < touched->tables.count; ++t)
        dense = dense && touched->tables.index[t] != index;
    return dense;
}

size_t sr_parameters_dense_ranges(const sr_parameters *parameters, const sr_touched_rows *touched,
                                  sr_element_range ranges[SR_TABLES_MAXIMUM + 1])
{
    size_t count = 0;
    bool goes_on = false;
    for (size_t index = 0; index < parameters->count; ++index) {
        const size_t end = index + 1 < parameters->count ? parameters->list[index + 1].offset : parameters->block_size;
        const bool dense = is_dense(parameters, touched, index);
        if (dense && goes_on)
            ranges[count - 1].end = end;
        else if (dense)
            ranges[count++] = (sr_element_range){parameters->list[index].offset, end};
        goes_on = dense;
    }
    return count;
}

void sr_parameters_clear_gradients(sr_parameters *parameters, const sr_touched_rows *touched)
{
    sr_element_range ranges[SR_TABLES_MAXIMUM + 1];
    const size_t count = sr_parameters_dense_ranges(parameters, touched, ranges), rows = sr_touched_count(touched);
    for (size_t i = 0; i < count; ++i)
        memset(parameters->gradients + ranges[i].begin, 0, (ranges[i].end - ranges[i].begin) * sizeof(sr_real));
    for (size_t t = 0; rows > 0 && t < touched->tables.count; ++t) {
        const sr_parameter *table = &parameters->list[touched->tables.index[t]];
        const size_t width = table->shape[1];
        for (size_t i = 0; i < rows; ++i)
            memset(parameters->gradients + table->offset + (size_t)touched->rows[i] * width, 0, width * sizeof(sr_real));
    }
}
