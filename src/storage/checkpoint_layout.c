/* The arrays of a checkpoint, cut into blocks, and their checksums. */
#include "storage/checkpoint_layout.h"

#include "srtrain/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- which arrays ---- */

/* The arrays of blocks of rows between those of the parameters, as long as the whole table. */
static sr_status insert_row_arrays(checkpoint_arrays *arrays, sr_error *error)
{
    const sr_parameters *parameters = arrays->parameters;
    const sr_row_block *block = parameters->row_blocks[0];
    arrays->all = (sr_parameters){.count = 0};
    arrays->owns_list = true;
    arrays->row_arrays = block->parameters.count;
    arrays->first_row_array = block->before;
    SR_TRY(SR_ALLOCATE(&arrays->room, CHECKPOINT_BLOCK, "a block of a checkpoint", error));
    SR_TRY(SR_ALLOCATE(&arrays->all.list, parameters->count + arrays->row_arrays, "the arrays of a checkpoint", error));
    for (size_t i = 0; i < parameters->count; ++i) {
        if (i == block->before)
            arrays->all.count += arrays->row_arrays;
        arrays->all.list[arrays->all.count++] = parameters->list[i];
    }
    for (size_t i = 0; i < arrays->row_arrays; ++i) {
        sr_parameter *whole = &arrays->all.list[block->before + i];
        *whole = block->parameters.list[i];
        whole->shape[0] = block->table_rows;
        whole->size = block->table_rows * whole->shape[1];
    }
    arrays->all.count = parameters->count + arrays->row_arrays;
    return SR_OK;
}

sr_status checkpoint_arrays_make(checkpoint_arrays *arrays, const sr_parameters *parameters, const sr_state *state,
                                 sr_error *error)
{
    *arrays = (checkpoint_arrays){.parameters = parameters,
                                  .all = *parameters,
                                  .first_row_array = parameters->count,
                                  .names = {CHECKPOINT_PARAMETERS},
                                  .values = {parameters->values},
                                  .groups = 1};
    for (size_t i = 0; state && i < state->count; ++i) {
        snprintf(arrays->names[arrays->groups], sizeof arrays->names[0], "%s/%s", CHECKPOINT_OPTIMIZER, state->blocks[i].name);
        arrays->values[arrays->groups++] = state->blocks[i].values;
    }
    return parameters->row_block_count > 0 ? insert_row_arrays(arrays, error) : SR_OK;
}

void checkpoint_arrays_free(checkpoint_arrays *arrays)
{
    if (arrays->owns_list)
        free(arrays->all.list);
    free(arrays->room);
    *arrays = (checkpoint_arrays){.groups = 0};
}

static sr_status own_list(checkpoint_arrays *arrays, sr_error *error)
{
    sr_parameter *list;
    if (arrays->owns_list)
        return SR_OK;
    SR_TRY(SR_ALLOCATE(&list, arrays->all.count, "the arrays of a checkpoint", error));
    memcpy(list, arrays->all.list, arrays->all.count * sizeof *list);
    arrays->all.list = list;
    arrays->owns_list = true;
    return SR_OK;
}

sr_status checkpoint_arrays_set_rows(checkpoint_arrays *arrays, const size_t rows[SR_ROW_OWNERS], sr_error *error)
{
    SR_TRY(own_list(arrays, error));
    if (!arrays->room)
        SR_TRY(SR_ALLOCATE(&arrays->room, CHECKPOINT_BLOCK, "a block of a checkpoint", error));
    for (size_t i = 0; i < arrays->all.count; ++i) {
        sr_parameter *array = &arrays->all.list[i];
        if (array->rows_of == SR_ROWS_OF_NOBODY)
            continue;
        array->shape[0] = rows[array->rows_of];
        array->size = array->shape[0] * array->shape[1];
    }
    return SR_OK;
}

bool checkpoint_lies_in_rows(const checkpoint_arrays *arrays, size_t array)
{
    return array >= arrays->first_row_array && array < arrays->first_row_array + arrays->row_arrays;
}

sr_real *checkpoint_place_of(const checkpoint_arrays *arrays, size_t group, size_t array)
{
    const size_t own = array < arrays->first_row_array ? array : array - arrays->row_arrays;
    return arrays->values[group] + arrays->parameters->list[own].offset;
}

/* ---- their elements ---- */

const sr_real *checkpoint_values(const checkpoint_arrays *arrays, const checkpoint_piece *piece)
{
    if (checkpoint_lies_in_rows(arrays, piece->array))
        return arrays->room;
    return checkpoint_place_of(arrays, piece->group, piece->array) + piece->begin;
}

bool checkpoint_next_piece(const checkpoint_arrays *arrays, checkpoint_piece *piece)
{
    if (piece->count > 0) {
        piece->begin += piece->count;
        ++piece->index;
    }
    while (piece->group < arrays->groups) {
        const size_t size = piece->array < arrays->all.count ? arrays->all.list[piece->array].size : 0;
        if (piece->begin < size) {
            const size_t left = size - piece->begin;
            piece->count = left < CHECKPOINT_BLOCK ? left : (size_t)CHECKPOINT_BLOCK;
            return true;
        }
        piece->begin = 0;
        if (++piece->array >= arrays->all.count) {
            piece->array = 0;
            ++piece->group;
        }
    }
    return false;
}

size_t checkpoint_blocks_of(size_t elements)
{
    return (elements + CHECKPOINT_BLOCK - 1) / CHECKPOINT_BLOCK;
}

size_t checkpoint_block_count(const checkpoint_arrays *arrays)
{
    size_t count = 0;
    for (size_t i = 0; i < arrays->all.count; ++i)
        count += checkpoint_blocks_of(arrays->all.list[i].size);
    return arrays->groups * count;
}

void checkpoint_hash_values(const sr_real *values, size_t count, checkpoint_checksum *checksum)
{
    XXH128_canonicalFromHash(checksum, XXH3_128bits(values, count * sizeof *values));
}

void checkpoint_block_name(const checkpoint_arrays *arrays, size_t index, char *text, size_t size)
{
    snprintf(text, size, "an unknown array");
    for (checkpoint_piece piece = {0}; checkpoint_next_piece(arrays, &piece);)
        if (piece.index == index) {
            snprintf(text, size, "/%s/%s, elements from %zu", arrays->names[piece.group], arrays->all.list[piece.array].name,
                     piece.begin);
            return;
        }
}

sr_status checkpoint_read_checksums(hid_t array, const char *path, const char *name, size_t count,
                                    checkpoint_checksum *checksums, sr_error *error)
{
    const hid_t attribute = H5Aexists(array, SR_CHECKSUM_ATTRIBUTE) > 0 ? H5Aopen(array, SR_CHECKSUM_ATTRIBUTE, H5P_DEFAULT)
                                                                        : -1;
    if (attribute < 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: %s has no attribute %s", path, name, SR_CHECKSUM_ATTRIBUTE);
    const hid_t space = H5Aget_space(attribute), type = H5Aget_type(attribute);
    const bool fits = H5Sget_simple_extent_npoints(space) == (hssize_t)(count * sizeof *checksums) && H5Tget_size(type) == 1;
    const bool read = fits && H5Aread(attribute, H5T_STD_U8LE, checksums) >= 0;
    H5Tclose(type);
    H5Sclose(space);
    H5Aclose(attribute);
    return read ? SR_OK
                : sr_fail(error, SR_ERROR_DATA, "%s: the attribute %s of %s is not [%zu, %zu] bytes", path,
                          SR_CHECKSUM_ATTRIBUTE, name, count, sizeof *checksums);
}

int64_t sr_checkpoint_step_of_name(const char *name)
{
    int64_t step;
    int used = 0;
    if (strlen(name) != strlen("step-0123456789.h5") || sscanf(name, "step-%10" SCNd64 ".h5%n", &step, &used) != 1 ||
        used == 0 || name[used] != '\0')
        return -1;
    return step;
}
