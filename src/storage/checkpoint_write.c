/* Writing a checkpoint to a temporary name that is renamed when everything is on disk, in four steps:
 *
 *   1. rank 0 makes the file with HDF5: groups, datasets, attributes, and the values of small arrays;
 *   2. every rank writes its part of the large arrays by plain writes at their places in the file, which rank 0 tells, and
 *      brings it to the disk (checkpoint_fill.c); what it writes it hashes;
 *   3. rank 0 adds the checksums of large arrays, the mark of completion and the seal; all ranks read the file again, each a
 *      part, and compare the checksums;
 *   4. rank 0 renames it.
 *
 * HDF5 is never called by several ranks at once. Parallel HDF5 could write the values too, but its calls wait for those of the
 * other ranks: where one of them fails on one rank (a full disk, a broken network) the others wait for ever. Datasets are
 * contiguous and their room is allocated when they are made, so that their places are known and nothing moves any more. Ranks
 * agree on how each step has ended. Plain writes need a file system that all ranks share, nothing more: no two ranks write into
 * one page, and a rank opens the file after the others have closed it, so that NFS shows it what they wrote. */
#include "srtrain/checkpoint.h"

#include "base/sizes.h"
#include "srtrain/durable.h"
#include "srtrain/file_work.h"
#include "srtrain/memory.h"
#include "storage/checkpoint_writer.h"
#include "storage/disk_room.h"
#include "storage/seal_hdf5.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static sr_status fail_write(const checkpoint_writer *w, const char *what)
{
    return sr_hdf5_fail(w->error, SR_ERROR_RUNTIME, w->temporary, "write", what);
}

/* ---- step 1: rank 0 makes the file ---- */

/* Contiguous and without filters: some filters lose data in collective writes, and nothing here compresses well. Without time
 * stamps, so that equal states give equal files. */
static hid_t dataset_creation(void)
{
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    if (creation >= 0 && H5Pset_layout(creation, H5D_CONTIGUOUS) >= 0 &&
        H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY) >= 0 && H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER) >= 0 &&
        H5Pset_obj_track_times(creation, false) >= 0)
        return creation;
    if (creation >= 0)
        H5Pclose(creation);
    return -1;
}

static sr_status create_checksums(const checkpoint_writer *w, hid_t set, const sr_parameter *parameter,
                                  const checkpoint_checksum *checksums)
{
    const hsize_t extent[2] = {checkpoint_blocks_of(parameter->size), sizeof *checksums};
    const hid_t space = H5Screate_simple(2, extent, NULL);
    const hid_t attribute = space < 0 ? -1
                                      : H5Acreate2(set, SR_CHECKSUM_ATTRIBUTE, H5T_STD_U8LE, space, H5P_DEFAULT, H5P_DEFAULT);
    sr_status status = SR_OK;
    if (attribute < 0 || H5Awrite(attribute, H5T_STD_U8LE, checksums) < 0)
        status = fail_write(w, parameter->name);
    if (attribute >= 0)
        H5Aclose(attribute);
    if (space >= 0)
        H5Sclose(space);
    return status;
}

/* Creates one dataset of type `type` and, if there are any, writes its values. *set is closed by the caller. */
static sr_status create_dataset(const checkpoint_writer *w, hid_t location, const char *name, hid_t type, hid_t space,
                                const void *values, hid_t *set)
{
    const hid_t creation = dataset_creation();
    *set = creation < 0 ? -1 : H5Dcreate2(location, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    sr_status status = SR_OK;
    if (*set < 0 || (values && H5Dwrite(*set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0))
        status = fail_write(w, name);
    if (creation >= 0)
        H5Pclose(creation);
    return status;
}

/* *place is where the values lie in the file. They are written here unless they are NULL: then all ranks share them, and the
 * checksums are only known when they have. */
static sr_status create_array(const checkpoint_writer *w, hid_t group, const sr_parameter *parameter, const sr_real *values,
                              const checkpoint_checksum *checksums, uint64_t *place)
{
    hsize_t extent[SR_PARAMETER_RANK_MAXIMUM];
    for (size_t i = 0; i < parameter->rank; ++i)
        extent[i] = parameter->shape[i];
    const hid_t space = H5Screate_simple((int)parameter->rank, extent, NULL);
    hid_t set;
    sr_status status = create_dataset(w, group, parameter->name, H5T_IEEE_F32LE, space, values, &set);
    *place = status == SR_OK ? H5Dget_offset(set) : HADDR_UNDEF;
    if (status == SR_OK && *place == HADDR_UNDEF)
        status = fail_write(w, parameter->name);
    if (status == SR_OK)
        status = create_checksums(w, set, parameter, checksums);
    if (set >= 0 && H5Dclose(set) < 0 && status == SR_OK)
        status = fail_write(w, parameter->name);
    if (space >= 0)
        H5Sclose(space);
    return status;
}

/* What rank 0 alone writes has its checksums at once. */
static void hash_array(const checkpoint_writer *w, size_t group, size_t array, checkpoint_checksum *checksums)
{
    const size_t size = w->arrays.all.list[array].size;
    const sr_real *values = checkpoint_place_of(&w->arrays, group, array);
    for (size_t begin = 0; begin < size; begin += CHECKPOINT_BLOCK)
        checkpoint_hash_values(values + begin, smaller(size - begin, CHECKPOINT_BLOCK), checksums++);
}

static sr_status create_group(const checkpoint_writer *w, const sr_hdf5_file *file, size_t group)
{
    const char *name = w->arrays.names[group];
    SR_TRY(sr_hdf5_create_group(file, name, w->error));
    const hid_t opened = H5Gopen2(file->id, name, H5P_DEFAULT);
    sr_status status = opened >= 0 ? SR_OK : fail_write(w, name);
    for (size_t i = 0; i < w->arrays.all.count && status == SR_OK; ++i) {
        const bool shared = checkpoint_is_shared(w, i);
        const size_t number = group * w->arrays.all.count + i;
        checkpoint_checksum *checksums = w->checksums + w->first_blocks[number];
        if (!shared)
            hash_array(w, group, i, checksums);
        const sr_real *values = shared ? NULL : checkpoint_place_of(&w->arrays, group, i);
        status = create_array(w, opened, &w->arrays.all.list[i], values, checksums, &w->places[number]);
    }
    if (opened >= 0)
        H5Gclose(opened);
    return status;
}

static sr_status write_configuration(const checkpoint_writer *w, hid_t file)
{
    const char *text = w->header.contents.configuration;
    const hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    hid_t set = -1;
    sr_status status = SR_OK;
    if (type < 0 || H5Tset_size(type, strlen(text) + 1) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0)
        status = fail_write(w, CHECKPOINT_CONFIGURATION);
    else
        status = create_dataset(w, file, CHECKPOINT_CONFIGURATION, type, space, text, &set);
    if (set >= 0 && H5Dclose(set) < 0 && status == SR_OK)
        status = fail_write(w, CHECKPOINT_CONFIGURATION);
    if (space >= 0)
        H5Sclose(space);
    if (type >= 0)
        H5Tclose(type);
    return status;
}

/* The bytes of identifiers that the file carries. */
static size_t item_names_bytes(const checkpoint_writer *w)
{
    const sr_dataset *dataset = w->header.contents.item_names_of;
    const size_t bytes = dataset ? sr_dataset_items(dataset) * sr_dataset_item_name_width(dataset) : 0;
    return bytes <= SR_ITEM_NAMES_MAXIMUM ? bytes : 0;
}

static sr_status write_item_names(const checkpoint_writer *w, const sr_hdf5_file *file)
{
    const sr_dataset *dataset = w->header.contents.item_names_of;
    size_t length;
    if (item_names_bytes(w) == 0)
        return SR_OK;
    const hid_t type = H5Tcopy(H5T_C_S1);
    sr_status status = SR_OK;
    if (type < 0 || H5Tset_size(type, sr_dataset_item_name_width(dataset)) < 0 || H5Tset_strpad(type, H5T_STR_NULLPAD) < 0)
        status = fail_write(w, CHECKPOINT_ITEM_NAMES);
    else /* one field behind the other */
        status = sr_hdf5_write_array(file, CHECKPOINT_ITEM_NAMES, type, sr_dataset_items(dataset),
                                     sr_dataset_item_name(dataset, 1, &length), w->error);
    if (type >= 0)
        H5Tclose(type);
    return status;
}

static sr_status create_contents(const checkpoint_writer *w, const sr_hdf5_file *file)
{
    SR_TRY(checkpoint_header_write(file, &w->header, w->error));
    SR_TRY(write_configuration(w, file->id));
    SR_TRY(write_item_names(w, file));
    if (w->header.has_optimizer)
        SR_TRY(sr_hdf5_create_group(file, CHECKPOINT_OPTIMIZER, w->error));
    for (size_t group = 0; group < w->arrays.groups; ++group)
        SR_TRY(create_group(w, file, group));
    return SR_OK;
}

/* ---- room on the disk ---- */

/* What the file will need at most. */
static uint64_t estimate_size(const checkpoint_writer *w)
{
    enum { FILE_ALLOWANCE = 1 << 16, ARRAY_ALLOWANCE = 1 << 12 }; /* metadata, generously */
    uint64_t size = FILE_ALLOWANCE + strlen(w->header.contents.configuration) + strlen(w->header.contents.data_directory) +
                    item_names_bytes(w);
    for (size_t i = 0; i < w->arrays.all.count; ++i)
        size += w->arrays.groups * (ARRAY_ALLOWANCE + w->arrays.all.list[i].size * sizeof(sr_real));
    return size + checkpoint_block_count(&w->arrays) * sizeof *w->checksums;
}

static sr_status size_of(const char *path, uint64_t *size, sr_error *error)
{
    struct stat file;
    if (stat(path, &file) != 0)
        return sr_fail(error, SR_ERROR_RUNTIME, "cannot look at %s: %s", path, strerror(errno));
    *size = (uint64_t)file.st_size;
    return SR_OK;
}

/* HDF5 gives the room back when it creates the file, and we take it again for the values that are yet to come. */
static sr_status create_file(const checkpoint_writer *w)
{
    sr_hdf5_file file;
    uint64_t size = 0;
    SR_TRY(disk_room_reserve(w->temporary, estimate_size(w), w->error));
    SR_TRY(sr_hdf5_create(&file, w->temporary, w->error));
    const sr_status status = create_contents(w, &file);
    const sr_status closed = sr_hdf5_close(&file, status == SR_OK ? w->error : NULL);
    SR_TRY(status);
    SR_TRY(closed);
    SR_TRY(size_of(w->temporary, &size, w->error));
    return disk_room_reserve(w->temporary, size, w->error);
}

/* ---- steps 3 and 4: the file is completed, read again, and renamed ---- */

/* Those of a large array, which are known by now, in place of those that it was made with. */
static sr_status replace_checksums(const checkpoint_writer *w, hid_t file, const checkpoint_array_place *array)
{
    char name[SR_PARAMETER_NAME_SIZE + CHECKPOINT_GROUP_NAME_SIZE + 2];
    snprintf(name, sizeof name, "/%s/%s", w->arrays.names[array->group], array->name);
    const hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
    const hid_t attribute = set < 0 ? -1 : H5Aopen(set, SR_CHECKSUM_ATTRIBUTE, H5P_DEFAULT);
    sr_status status = SR_OK;
    if (attribute < 0 || H5Awrite(attribute, H5T_STD_U8LE, w->checksums + array->first_block) < 0)
        status = fail_write(w, name);
    if (attribute >= 0)
        H5Aclose(attribute);
    if (set >= 0 && H5Dclose(set) < 0 && status == SR_OK)
        status = fail_write(w, name);
    return status;
}

static sr_status mark_complete(const checkpoint_writer *w)
{
    sr_hdf5_file handle;
    SR_TRY(sr_hdf5_reopen(&handle, w->temporary, w->error));
    sr_status status = SR_OK;
    checkpoint_array_place array;
    for (size_t i = 0; status == SR_OK && checkpoint_next_shared(w, &i, &array);)
        status = replace_checksums(w, handle.id, &array);
    if (status == SR_OK)
        status = sr_hdf5_write_integer(&handle, "/", SR_SEALED_ATTRIBUTE, 1, w->error);
    if (status == SR_OK)
        status = sr_hdf5_write_integer(&handle, "/", CHECKPOINT_COMPLETE, 1, w->error);
    const sr_status closed = sr_hdf5_close(&handle, status == SR_OK ? w->error : NULL);
    SR_TRY(status);
    SR_TRY(closed);
    return seal_append_to_hdf5(w->temporary, w->error);
}

/* What the file system has made of the file is looked at before it takes the name of a checkpoint. */
static sr_status read_again(const checkpoint_writer *w)
{
    const sr_status status = w->parallel ? sr_checkpoint_verify(w->parallel, w->temporary, w->header.has_optimizer, w->error)
                                         : checkpoint_verify_alone(w->temporary, w->header.has_optimizer, w->error);
    if (status != SR_ERROR_DATA)
        return status;
    sr_error_prepend(w->error,
                     "a checkpoint that was just written does not read back (a defect of the file system or its cache): ");
    if (w->error)
        w->error->status = SR_ERROR_RUNTIME;
    return SR_ERROR_RUNTIME;
}

/* ---- together ---- */

/* `status` of all ranks, or of the one that writes alone. */
static sr_status agree(const checkpoint_writer *w, sr_status status)
{
    return w->parallel ? sr_parallel_agree(w->parallel, status, w->error) : status;
}

/* Where the values of every shared array lie in the file, in the order of the arrays. Rank 0 knows, and tells. */
static sr_status share_places(const checkpoint_writer *w)
{
    const size_t bytes = w->arrays.groups * w->arrays.all.count * sizeof *w->places;
    return w->parallel ? sr_parallel_broadcast(w->parallel, w->places, bytes, w->error) : SR_OK;
}

/* Each block has been hashed by one rank, and its checksum is 0 on all others: the sum over ranks completes the table. */
static sr_status share_checksums(const checkpoint_writer *w)
{
    const size_t words = checkpoint_block_count(&w->arrays) * sizeof *w->checksums / sizeof(int64_t);
    return w->parallel ? sr_parallel_sum_int64(w->parallel, (int64_t *)(void *)w->checksums, words, w->error) : SR_OK;
}

static sr_status write_steps(checkpoint_writer *w)
{
    SR_TRY(agree(w, w->rank == 0 ? create_file(w) : SR_OK));
    SR_TRY(share_places(w));
    SR_TRY(agree(w, checkpoint_fill(w)));
    SR_TRY(share_checksums(w));
    SR_TRY(agree(w, w->rank == 0 ? mark_complete(w) : SR_OK));
    SR_TRY(read_again(w));
    return agree(w, w->rank == 0 ? sr_durable_rename(w->temporary, w->path, w->error) : SR_OK);
}

/* When this returns on any rank, the temporary file is gone. */
static void remove_remains(const checkpoint_writer *w)
{
    if (w->rank == 0)
        (void)unlink(w->temporary);
    if (w->parallel)
        (void)sr_parallel_barrier(w->parallel, NULL); /* the failure that led here is what the caller hears of */
}

static sr_status list_blocks(checkpoint_writer *w)
{
    const size_t arrays = w->arrays.groups * w->arrays.all.count;
    SR_TRY(SR_ALLOCATE_ZERO(&w->places, arrays, "places of arrays", w->error));
    SR_TRY(SR_ALLOCATE_ZERO(&w->first_blocks, arrays + 1, "places of checksums", w->error));
    for (size_t i = 0; i < arrays; ++i)
        w->first_blocks[i + 1] = w->first_blocks[i] + checkpoint_blocks_of(w->arrays.all.list[i % w->arrays.all.count].size);
    return SR_ALLOCATE_ZERO(&w->checksums, w->first_blocks[arrays], "checksums", w->error);
}

static sr_status prepare(checkpoint_writer *w, const sr_parameters *parameters, const sr_state *state,
                         char temporary[CHECKPOINT_PATH_SIZE])
{
    SR_TRY(checkpoint_arrays_make(&w->arrays, parameters, state, w->error));
    w->temporary = temporary;
    if (snprintf(temporary, CHECKPOINT_PATH_SIZE, "%s.tmp", w->path) >= CHECKPOINT_PATH_SIZE)
        return sr_fail(w->error, SR_ERROR_RUNTIME, "the path of a checkpoint is too long: %s", w->path);
    SR_TRY(list_blocks(w));
    SR_TRY(SR_ALLOCATE_ZERO(&w->cursors, w->ranks, "parts of a checkpoint", w->error));
    return checkpoint_rows_make(&w->rows, w->parallel, &w->arrays, w->error);
}

static sr_status write_checkpoint(checkpoint_writer *w, const sr_parameters *parameters, const sr_state *state)
{
    char temporary[CHECKPOINT_PATH_SIZE];
    sr_status status = agree(w, prepare(w, parameters, state, temporary));
    if (status == SR_OK) {
        if (w->parallel)
            sr_file_work_begin_writing(w->path, 2 * estimate_size(w)); /* it is read again */
        status = write_steps(w);
        if (status != SR_OK)
            remove_remains(w);
        if (w->parallel)
            sr_file_work_end();
    }
    checkpoint_rows_free(&w->rows);
    free(w->cursors);
    free(w->places);
    free(w->first_blocks);
    free(w->checksums);
    checkpoint_arrays_free(&w->arrays);
    return status;
}

sr_status sr_checkpoint_write(sr_parallel *parallel, const char *path, const sr_checkpoint *checkpoint,
                              const sr_parameters *parameters, const sr_state *state, sr_error *error)
{
    checkpoint_writer w = {.parallel = parallel,
                           .path = path,
                           .header = {.contents = *checkpoint, .has_optimizer = state != NULL},
                           .rank = (size_t)sr_parallel_rank(parallel),
                           .ranks = (size_t)sr_parallel_size(parallel),
                           .error = error};
    return write_checkpoint(&w, parameters, state);
}

sr_status checkpoint_write_alone(const char *path, const sr_checkpoint *checkpoint, const sr_parameters *parameters,
                                 const sr_state *state, sr_error *error)
{
    checkpoint_writer w = {
        .path = path, .header = {.contents = *checkpoint, .has_optimizer = state != NULL}, .ranks = 1, .error = error};
    return write_checkpoint(&w, parameters, state);
}
