/* Reading checkpoints. Rank 0 reads and broadcasts: one reader asks least of a file system, and the file is small beside the
 * data; all ranks share the checking of checksums. */
#include "srtrain/checkpoint.h"

#include "srtrain/memory.h"
#include "storage/checkpoint_layout.h"
#include "storage/mismatches.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- header ---- */

static sr_status share_text(sr_parallel *parallel, char **text, sr_error *error)
{
    int64_t length = *text ? (int64_t)strlen(*text) : 0;
    SR_TRY(sr_parallel_broadcast(parallel, &length, sizeof length, error));
    sr_status status = SR_OK;
    if (sr_parallel_rank(parallel) != 0)
        status = SR_ALLOCATE_ZERO(text, (size_t)length + 1, "a text", error);
    SR_TRY(sr_parallel_agree(parallel, status, error));
    return sr_parallel_broadcast(parallel, *text, (size_t)length + 1, error);
}

static sr_status share_header(sr_parallel *parallel, sr_checkpoint *checkpoint, sr_error *error)
{
    SR_TRY(sr_parallel_broadcast(parallel, &checkpoint->progress, sizeof checkpoint->progress, error));
    SR_TRY(sr_parallel_broadcast(parallel, &checkpoint->users, sizeof checkpoint->users, error));
    SR_TRY(sr_parallel_broadcast(parallel, &checkpoint->items, sizeof checkpoint->items, error));
    SR_TRY(share_text(parallel, &checkpoint->configuration, error));
    SR_TRY(share_text(parallel, &checkpoint->program_version, error));
    SR_TRY(share_text(parallel, &checkpoint->data_fingerprint, error));
    return share_text(parallel, &checkpoint->data_directory, error);
}

sr_status sr_checkpoint_read_header(sr_parallel *parallel, const char *path, sr_checkpoint *checkpoint, sr_error *error)
{
    *checkpoint = (sr_checkpoint){.users = 0};
    sr_status status = SR_OK;
    if (sr_parallel_rank(parallel) == 0) {
        sr_hdf5_file file;
        checkpoint_header header;
        status = checkpoint_open(path, &file, &header, error);
        if (status == SR_OK)
            (void)sr_hdf5_close(&file, NULL); /* it was only read */
        *checkpoint = header.contents;
    }
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK)
        status = share_header(parallel, checkpoint, error);
    if (status != SR_OK)
        sr_checkpoint_free(checkpoint);
    return status;
}

sr_status sr_checkpoint_check_data(const char *path, const sr_checkpoint *checkpoint, const sr_dataset *dataset,
                                   sr_error *error)
{
    const char *fingerprint = sr_dataset_fingerprint(dataset), *directory = sr_dataset_directory(dataset);
    const int64_t users = (int64_t)sr_dataset_users(dataset), items = (int64_t)sr_dataset_items(dataset);
    if (*checkpoint->data_fingerprint && strcmp(checkpoint->data_fingerprint, fingerprint) != 0)
        return sr_fail(error, SR_ERROR_DATA,
                       "%s belongs to other data than %s: it was trained on %s with fingerprint %s (%lld users, %lld items), "
                       "found %s (%lld users, %lld items)",
                       path, directory, checkpoint->data_directory, checkpoint->data_fingerprint, (long long)checkpoint->users,
                       (long long)checkpoint->items, fingerprint, (long long)users, (long long)items);
    if (checkpoint->items != items)
        return sr_fail(error, SR_ERROR_DATA, "%s is a model of %lld items, but %s has %lld", path, (long long)checkpoint->items,
                       directory, (long long)items);
    if (checkpoint->users && checkpoint->users != users)
        return sr_fail(error, SR_ERROR_DATA, "%s is a model of %lld users, but %s has %lld", path, (long long)checkpoint->users,
                       directory, (long long)users);
    return SR_OK;
}

/* ---- names and shapes ---- */

/* Of the parameters, or of a block of the optimizer's state, which has the same. */
static sr_status check_names(const sr_hdf5_file *file, const char *group_name, const sr_parameters *parameters, sr_error *error)
{
    char place[1024 + CHECKPOINT_GROUP_NAME_SIZE];
    mismatch_list list = {.parameters = parameters};
    const hid_t group = H5Gopen2(file->id, group_name, H5P_DEFAULT);
    if (group < 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: the group /%s is missing", file->path, group_name);
    for (size_t i = 0; i < parameters->count; ++i) {
        hid_t set;
        (void)mismatch_open(&list, group, &parameters->list[i], &set);
        if (set >= 0)
            H5Dclose(set);
    }
    snprintf(place, sizeof place, "%s: /%s", file->path, group_name);
    const sr_status status = mismatch_find_unknown(&list, group, place, error);
    H5Gclose(group);
    return status == SR_OK ? mismatch_report(&list, place, error) : status;
}

/* ---- values ---- */

/* Values and checksums of one array. */
static sr_status read_array(const sr_hdf5_file *file, const char *name, const sr_parameter *parameter, sr_real *values,
                            checkpoint_checksum *checksums, sr_error *error)
{
    const hid_t set = H5Dopen2(file->id, name, H5P_DEFAULT);
    if (set < 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: dataset %s is missing", file->path, name);
    const hid_t space = H5Dget_space(set), type = H5Dget_type(set);
    sr_status status = SR_OK;
    if (H5Tequal(type, H5T_IEEE_F32LE) <= 0)
        status = sr_fail(error, SR_ERROR_DATA, "%s: dataset %s does not hold 32-bit little-endian floats", file->path, name);
    else if (H5Sget_simple_extent_npoints(space) != (hssize_t)parameter->size)
        status = sr_fail(error, SR_ERROR_DATA, "%s: dataset %s does not have %zu elements", file->path, name, parameter->size);
    else if (H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
        status = sr_hdf5_fail(error, SR_ERROR_DATA, file->path, "read", name);
    if (status == SR_OK)
        status = checkpoint_read_checksums(set, file->path, name, checkpoint_blocks_of(parameter->size), checksums, error);
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(set);
    return status;
}

/* On rank 0: the groups into their blocks, and the stored checksums of all their arrays. */
static sr_status read_groups(const sr_hdf5_file *file, const checkpoint_arrays *arrays, checkpoint_checksum *checksums,
                             sr_error *error)
{
    for (size_t group = 0; group < arrays->groups; ++group)
        for (size_t i = 0; i < arrays->parameters->count; ++i) {
            const sr_parameter *parameter = &arrays->parameters->list[i];
            char name[SR_PARAMETER_NAME_SIZE + CHECKPOINT_GROUP_NAME_SIZE + 2];
            snprintf(name, sizeof name, "/%s/%s", arrays->names[group], parameter->name);
            SR_TRY(read_array(file, name, parameter, arrays->values[group] + parameter->offset, checksums, error));
            checksums += checkpoint_blocks_of(parameter->size);
        }
    return SR_OK;
}

static sr_status read_file(const char *path, const checkpoint_arrays *arrays, const sr_state *state,
                           checkpoint_checksum *checksums, sr_error *error)
{
    sr_hdf5_file file;
    checkpoint_header header;
    SR_TRY(checkpoint_open(path, &file, &header, error));
    sr_status status = SR_OK;
    if (state && !header.has_optimizer)
        status = sr_fail(error, SR_ERROR_DATA, "%s holds parameters only: training cannot go on from it", path);
    if (status == SR_OK)
        status = check_names(&file, CHECKPOINT_PARAMETERS, arrays->parameters, error);
    if (status == SR_OK && state)
        status = checkpoint_check_state(&file, state, error);
    for (size_t group = 1; group < arrays->groups && status == SR_OK; ++group)
        status = check_names(&file, arrays->names[group], arrays->parameters, error);
    if (status == SR_OK)
        status = read_groups(&file, arrays, checksums, error);
    sr_checkpoint_free(&header.contents);
    (void)sr_hdf5_close(&file, NULL); /* it was only read */
    return status;
}

/* Every rank checks its part of the blocks, as they have arrived in its memory, against the checksums that rank 0 has read. */
static sr_status verify(sr_parallel *parallel, const char *path, const checkpoint_arrays *arrays,
                        const checkpoint_checksum *expected, sr_error *error)
{
    const size_t count = checkpoint_block_count(arrays);
    const size_t rank = (size_t)sr_parallel_rank(parallel), ranks = (size_t)sr_parallel_size(parallel);
    checkpoint_checksum *found = NULL;
    SR_TRY(SR_ALLOCATE(&found, count, "checksums", error));
    checkpoint_hash(arrays, rank, ranks, found);
    sr_status status = SR_OK;
    for (size_t i = rank; i < count && status == SR_OK; i += ranks)
        if (memcmp(&expected[i], &found[i], sizeof found[i]) != 0) {
            char name[SR_PARAMETER_NAME_SIZE + CHECKPOINT_GROUP_NAME_SIZE + 48];
            checkpoint_block_name(arrays, i, name, sizeof name);
            status = sr_fail(error, SR_ERROR_DATA, "%s is damaged: the checksum of %s does not fit", path, name);
        }
    free(found);
    return status;
}

sr_status sr_checkpoint_read_shared_state(sr_parallel *parallel, sr_node *node, const char *path, sr_parameters *parameters,
                                          const sr_state *state, sr_error *error)
{
    const checkpoint_arrays arrays = checkpoint_arrays_of(parameters, state);
    const size_t checksum_count = checkpoint_block_count(&arrays);
    const size_t bytes = parameters->block_size * sizeof(sr_real);
    checkpoint_checksum *checksums = NULL;
    if (node)
        SR_TRY(sr_node_wait(node, parallel, error)); /* nobody reads any more what is written over now */
    sr_status status = SR_ALLOCATE(&checksums, checksum_count, "checksums", error);
    if (status == SR_OK && sr_parallel_rank(parallel) == 0)
        status = read_file(path, &arrays, state, checksums, error);
    status = sr_parallel_agree(parallel, status, error);
    for (size_t group = 0; group < arrays.groups && status == SR_OK; ++group)
        status = node ? sr_node_broadcast(node, arrays.values[group], bytes, error)
                      : sr_parallel_broadcast(parallel, arrays.values[group], bytes, error);
    if (status == SR_OK)
        status = sr_parallel_broadcast(parallel, checksums, checksum_count * sizeof *checksums, error);
    if (status == SR_OK)
        status = sr_parallel_agree(parallel, verify(parallel, path, &arrays, checksums, error), error);
    free(checksums);
    return status;
}

sr_status sr_checkpoint_read_state(sr_parallel *parallel, const char *path, sr_parameters *parameters, const sr_state *state,
                                   sr_error *error)
{
    return sr_checkpoint_read_shared_state(parallel, NULL, path, parameters, state, error);
}
