/* The arrays of a checkpoint, cut into blocks, and their checksums. */
#include "storage/checkpoint_layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

checkpoint_arrays checkpoint_arrays_of(const sr_parameters *parameters, const sr_state *state)
{
    checkpoint_arrays arrays = {
        .parameters = parameters, .names = {CHECKPOINT_PARAMETERS}, .values = {parameters->values}, .groups = 1};
    for (size_t i = 0; state && i < state->count; ++i) {
        snprintf(arrays.names[arrays.groups], sizeof arrays.names[0], "%s/%s", CHECKPOINT_OPTIMIZER, state->blocks[i].name);
        arrays.values[arrays.groups++] = state->blocks[i].values;
    }
    return arrays;
}

size_t checkpoint_blocks_of(size_t elements)
{
    return (elements + CHECKPOINT_BLOCK - 1) / CHECKPOINT_BLOCK;
}

size_t checkpoint_block_count(const checkpoint_arrays *arrays)
{
    size_t count = 0;
    for (size_t i = 0; i < arrays->parameters->count; ++i)
        count += checkpoint_blocks_of(arrays->parameters->list[i].size);
    return arrays->groups * count;
}

void checkpoint_hash(const checkpoint_arrays *arrays, size_t rank, size_t ranks, checkpoint_checksum *checksums)
{
    size_t index = 0;
    for (size_t group = 0; group < arrays->groups; ++group)
        for (size_t i = 0; i < arrays->parameters->count; ++i) {
            const sr_parameter *parameter = &arrays->parameters->list[i];
            const sr_real *values = arrays->values[group] + parameter->offset;
            for (size_t begin = 0; begin < parameter->size; begin += CHECKPOINT_BLOCK, ++index) {
                const size_t left = parameter->size - begin, count = left < CHECKPOINT_BLOCK ? left : (size_t)CHECKPOINT_BLOCK;
                if (index % ranks == rank)
                    XXH128_canonicalFromHash(&checksums[index], XXH3_128bits(values + begin, count * sizeof *values));
                else
                    memset(&checksums[index], 0, sizeof checksums[index]);
            }
        }
}

void checkpoint_block_name(const checkpoint_arrays *arrays, size_t index, char *text, size_t size)
{
    for (size_t group = 0; group < arrays->groups; ++group)
        for (size_t i = 0; i < arrays->parameters->count; ++i) {
            const size_t blocks = checkpoint_blocks_of(arrays->parameters->list[i].size);
            if (index < blocks) {
                snprintf(text, size, "/%s/%s, elements from %zu", arrays->names[group], arrays->parameters->list[i].name,
                         index * CHECKPOINT_BLOCK);
                return;
            }
            index -= blocks;
        }
    snprintf(text, size, "an unknown array");
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
