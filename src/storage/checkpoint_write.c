/* Writing a checkpoint to a temporary name that is renamed when everything is on disk, in four steps:
 *
 *   1. rank 0 alone makes the file: groups, datasets, attributes, checksums, and the values of small arrays;
 *   2. all ranks open it and write their slices of the large arrays collectively;
 *   3. rank 0 alone adds the mark of completion; all ranks read the file again, each a part, and compare the checksums;
 *   4. rank 0 alone renames it.
 *
 * A process that writes alone (w->parallel is NULL) writes all values in step 1 and leaves out step 2.
 *
 * Parallel HDF5 can change metadata too, but when a write of metadata fails on one rank (a full disk), HDF5 1.10 leaves the
 * others waiting for it. Here nothing is changed in step 2 but the values, the ranks agree after each step, and space is
 * reserved in step 1. */
#include "srtrain/checkpoint.h"

#include "srtrain/memory.h"
#include "storage/checkpoint_layout.h"
#include "storage/disk_room.h"
#include "storage/seal_hdf5.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SHARED_SIZE = 16384,  /* elements from which on an array is written by all ranks; smaller ones by rank 0 */
    ROUND_BYTES = 1 << 30 /* at most this much from a rank in one call: MPI-IO counts in int */
};

typedef struct {
    sr_parallel *parallel;
    const char *path, *temporary;
    checkpoint_header header;
    checkpoint_arrays arrays;
    const checkpoint_checksum *checksums;
    size_t rank, ranks;
    sr_error *error;
} writer;

static bool is_shared(const writer *w, const sr_parameter *parameter)
{
    return w->parallel && parameter->size >= SHARED_SIZE;
}

static sr_status fail_write(const writer *w, const char *what)
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

static sr_status write_checksums(const writer *w, hid_t set, const sr_parameter *parameter,
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
static sr_status create_dataset(const writer *w, hid_t location, const char *name, hid_t type, hid_t space, const void *values,
                                hid_t *set)
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

static sr_status create_array(const writer *w, hid_t group, const sr_parameter *parameter, const sr_real *block,
                              const checkpoint_checksum *checksums)
{
    hsize_t extent[SR_PARAMETER_RANK_MAXIMUM];
    for (size_t i = 0; i < parameter->rank; ++i)
        extent[i] = parameter->shape[i];
    const hid_t space = H5Screate_simple((int)parameter->rank, extent, NULL);
    hid_t set;
    sr_status status = create_dataset(w, group, parameter->name, H5T_IEEE_F32LE, space,
                                      is_shared(w, parameter) ? NULL : block + parameter->offset, &set);
    if (status == SR_OK)
        status = write_checksums(w, set, parameter, checksums);
    if (set >= 0 && H5Dclose(set) < 0 && status == SR_OK)
        status = fail_write(w, parameter->name);
    if (space >= 0)
        H5Sclose(space);
    return status;
}

/* *checksums moves on to those of the next group. */
static sr_status create_group(const writer *w, const sr_hdf5_file *file, size_t group, const checkpoint_checksum **checksums)
{
    const char *name = w->arrays.names[group];
    SR_TRY(sr_hdf5_create_group(file, name, w->error));
    const hid_t opened = H5Gopen2(file->id, name, H5P_DEFAULT);
    sr_status status = opened >= 0 ? SR_OK : fail_write(w, name);
    for (size_t i = 0; i < w->arrays.parameters->count && status == SR_OK; ++i) {
        const sr_parameter *parameter = &w->arrays.parameters->list[i];
        status = create_array(w, opened, parameter, w->arrays.values[group], *checksums);
        *checksums += checkpoint_blocks_of(parameter->size);
    }
    if (opened >= 0)
        H5Gclose(opened);
    return status;
}

static sr_status write_configuration(const writer *w, hid_t file)
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

static sr_status create_contents(const writer *w, const sr_hdf5_file *file)
{
    const checkpoint_checksum *checksums = w->checksums;
    SR_TRY(checkpoint_header_write(file, &w->header, w->error));
    SR_TRY(write_configuration(w, file->id));
    if (w->header.has_optimizer)
        SR_TRY(sr_hdf5_create_group(file, CHECKPOINT_OPTIMIZER, w->error));
    for (size_t group = 0; group < w->arrays.groups; ++group)
        SR_TRY(create_group(w, file, group, &checksums));
    return SR_OK;
}

/* ---- room on the disk ---- */

/* What the file will need at most. */
static uint64_t estimate_size(const writer *w)
{
    enum { FILE_ALLOWANCE = 1 << 16, ARRAY_ALLOWANCE = 1 << 12 }; /* metadata, generously */
    uint64_t size = FILE_ALLOWANCE + strlen(w->header.contents.configuration) + strlen(w->header.contents.data_directory);
    for (size_t i = 0; i < w->arrays.parameters->count; ++i)
        size += w->arrays.groups * (ARRAY_ALLOWANCE + w->arrays.parameters->list[i].size * sizeof(sr_real));
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
static sr_status create_file(const writer *w)
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

/* ---- step 2: all ranks write the large arrays ---- */

static hid_t parallel_access(const sr_parallel *parallel)
{
    const hid_t access_list = H5Pcreate(H5P_FILE_ACCESS);
    if (access_list >= 0 && H5Pset_fapl_mpio(access_list, sr_parallel_communicator(parallel), MPI_INFO_NULL) >= 0 &&
        H5Pset_libver_bounds(access_list, H5F_LIBVER_V18, H5F_LIBVER_V110) >= 0 &&
        H5Pset_all_coll_metadata_ops(access_list, true) >= 0 && H5Pset_coll_metadata_write(access_list, true) >= 0)
        return access_list;
    if (access_list >= 0)
        H5Pclose(access_list);
    return -1;
}

static hid_t collective_transfer(void)
{
    const hid_t transfer = H5Pcreate(H5P_DATASET_XFER);
    if (transfer >= 0 && H5Pset_dxpl_mpio(transfer, H5FD_MPIO_COLLECTIVE) >= 0)
        return transfer;
    if (transfer >= 0)
        H5Pclose(transfer);
    return -1;
}

/* Writes rows [begin, end), whose values begin at `values`; every rank calls it, also for no row at all. */
static sr_status write_rows(const writer *w, hid_t set, hid_t transfer, const sr_parameter *parameter, size_t begin, size_t end,
                            const sr_real *values)
{
    hsize_t start[SR_PARAMETER_RANK_MAXIMUM] = {begin}, count[SR_PARAMETER_RANK_MAXIMUM] = {end - begin};
    hsize_t elements = end - begin;
    for (size_t i = 1; i < parameter->rank; ++i) {
        count[i] = parameter->shape[i];
        elements *= count[i];
    }
    const hsize_t memory_extent = elements ? elements : 1;
    const hid_t file_space = H5Dget_space(set), memory_space = H5Screate_simple(1, &memory_extent, NULL);
    const bool selected = elements ? H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0
                                   : H5Sselect_none(file_space) >= 0 && H5Sselect_none(memory_space) >= 0;
    sr_status status = selected ? SR_OK : fail_write(w, parameter->name);
    if (H5Dwrite(set, H5T_NATIVE_FLOAT, memory_space, file_space, transfer, values) < 0 && status == SR_OK)
        status = fail_write(w, parameter->name);
    if (memory_space >= 0)
        H5Sclose(memory_space);
    if (file_space >= 0)
        H5Sclose(file_space);
    return status;
}

/* Each rank writes its share, in as many rounds as the largest share needs. After a failure the rank goes on with the calls, so
 * that no other waits for it. */
static sr_status write_shares(const writer *w, hid_t file, hid_t transfer, size_t group, const sr_parameter *parameter)
{
    char name[SR_PARAMETER_NAME_SIZE + 32];
    snprintf(name, sizeof name, "/%s/%s", w->arrays.names[group], parameter->name);
    const hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
    if (set < 0)
        return fail_write(w, name);
    const size_t rows = parameter->shape[0], row_size = parameter->size / rows;
    const size_t begin = rows * w->rank / w->ranks, end = rows * (w->rank + 1) / w->ranks;
    const size_t largest = (rows + w->ranks - 1) / w->ranks, row_bytes = row_size * sizeof(sr_real);
    const size_t round = row_bytes < ROUND_BYTES ? ROUND_BYTES / row_bytes : 1;
    sr_status status = SR_OK;
    for (size_t done = 0; done < largest; done += round) {
        const size_t from = begin + done < end ? begin + done : end, to = from + round < end ? from + round : end;
        const sr_real *values = w->arrays.values[group] + parameter->offset + from * row_size;
        const sr_status written = write_rows(w, set, transfer, parameter, from, to, values);
        status = status == SR_OK ? written : status;
    }
    H5Dclose(set);
    return status;
}

static sr_status write_all_shares(const writer *w, hid_t file, hid_t transfer)
{
    sr_status status = SR_OK;
    for (size_t group = 0; group < w->arrays.groups; ++group)
        for (size_t i = 0; i < w->arrays.parameters->count; ++i)
            if (is_shared(w, &w->arrays.parameters->list[i])) {
                const sr_status written = write_shares(w, file, transfer, group, &w->arrays.parameters->list[i]);
                status = status == SR_OK ? written : status;
            }
    return status;
}

static sr_status flush(const char *path, sr_error *error)
{
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    const bool flushed = descriptor >= 0 && fsync(descriptor) == 0;
    const int cause = errno;
    if (descriptor >= 0)
        close(descriptor);
    return flushed ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "cannot flush %s to disk: %s", path, strerror(cause));
}

static sr_status fill_opened(const writer *w, hid_t access_list, hid_t transfer)
{
    sr_parallel_enter(w->parallel, "opening by parallel HDF5");
    const hid_t file = H5Fopen(w->temporary, H5F_ACC_RDWR, access_list);
    sr_parallel_leave(w->parallel);
    sr_status status = file >= 0 ? SR_OK
                                 : sr_hdf5_fail(w->error, SR_ERROR_RUNTIME, w->temporary, "open", "it for parallel writing");
    status = sr_parallel_agree(w->parallel, status, w->error);
    if (status != SR_OK && file >= 0)
        sr_parallel_abort(w->parallel, status, w->error); /* closing would wait for the ranks that could not open */
    SR_TRY(status);
    sr_parallel_enter(w->parallel, "writing by parallel HDF5");
    status = write_all_shares(w, file, transfer);
    if (H5Fclose(file) < 0 && status == SR_OK)
        status = fail_write(w, "the end of the file");
    sr_parallel_leave(w->parallel);
    return status == SR_OK ? flush(w->temporary, w->error) : status; /* each node has a cache of its own */
}

static sr_status fill_file(const writer *w)
{
    sr_hdf5_silence();
    sr_status status = SR_OK;
    if (access(w->temporary, W_OK) != 0)
        status = sr_fail(w->error, SR_ERROR_RUNTIME, "cannot write %s, which rank 0 has made: %s", w->temporary,
                         strerror(errno));
    const hid_t access_list = parallel_access(w->parallel), transfer = collective_transfer();
    if (status == SR_OK && (access_list < 0 || transfer < 0))
        status = fail_write(w, "in parallel");
    status = sr_parallel_agree(w->parallel, status, w->error);
    if (status == SR_OK)
        status = sr_parallel_agree(w->parallel, fill_opened(w, access_list, transfer), w->error);
    if (transfer >= 0)
        H5Pclose(transfer);
    if (access_list >= 0)
        H5Pclose(access_list);
    return status;
}

/* ---- steps 3 and 4: the file is completed, read again, and renamed ---- */

static sr_status mark_complete(const writer *w)
{
    const hid_t file = H5Fopen(w->temporary, H5F_ACC_RDWR, H5P_DEFAULT);
    if (file < 0)
        return sr_hdf5_fail(w->error, SR_ERROR_RUNTIME, w->temporary, "open", "it to complete it");
    sr_hdf5_file handle = {file, w->temporary};
    sr_status status = sr_hdf5_write_integer(&handle, "/", SR_SEALED_ATTRIBUTE, 1, w->error);
    if (status == SR_OK)
        status = sr_hdf5_write_integer(&handle, "/", CHECKPOINT_COMPLETE, 1, w->error);
    const sr_status closed = sr_hdf5_close(&handle, status == SR_OK ? w->error : NULL);
    SR_TRY(status);
    SR_TRY(closed);
    return seal_append_to_hdf5(w->temporary, w->error);
}

static sr_status settle(const writer *w)
{
    SR_TRY(flush(w->temporary, w->error));
    if (rename(w->temporary, w->path) != 0)
        return sr_fail(w->error, SR_ERROR_RUNTIME, "cannot rename %s to %s: %s", w->temporary, w->path, strerror(errno));
    char copy[CHECKPOINT_PATH_SIZE];
    snprintf(copy, sizeof copy, "%s", w->path);
    return flush(dirname(copy), w->error);
}

/* What MPI-IO, or the file system, has made of the file is looked at before it takes the name of a checkpoint. */
static sr_status read_again(const writer *w)
{
    const sr_status status = w->parallel ? sr_checkpoint_verify(w->parallel, w->temporary, w->header.has_optimizer, w->error)
                                         : checkpoint_verify_alone(w->temporary, w->header.has_optimizer, w->error);
    if (status != SR_ERROR_DATA)
        return status;
    sr_error_prepend(w->error, "a checkpoint that was just written does not read back (see docs/batch.md about MPI-IO): ");
    if (w->error)
        w->error->status = SR_ERROR_RUNTIME;
    return SR_ERROR_RUNTIME;
}

/* ---- together ---- */

static sr_status write_steps(const writer *w)
{
    SR_TRY(sr_parallel_agree(w->parallel, w->rank == 0 ? create_file(w) : SR_OK, w->error));
    SR_TRY(fill_file(w));
    SR_TRY(sr_parallel_agree(w->parallel, w->rank == 0 ? mark_complete(w) : SR_OK, w->error));
    SR_TRY(read_again(w));
    return sr_parallel_agree(w->parallel, w->rank == 0 ? settle(w) : SR_OK, w->error);
}

static sr_status write_steps_alone(const writer *w)
{
    SR_TRY(create_file(w));
    SR_TRY(flush(w->temporary, w->error));
    SR_TRY(mark_complete(w));
    SR_TRY(read_again(w));
    return settle(w);
}

/* Every rank hashes its part of the blocks; the sum over ranks completes the table, as each block is 0 on all ranks but one. */
static sr_status share_checksums(const writer *w, checkpoint_checksum *checksums)
{
    const size_t words = checkpoint_block_count(&w->arrays) * sizeof *checksums / sizeof(int64_t);
    checkpoint_hash(&w->arrays, w->rank, w->ranks, checksums);
    return sr_parallel_sum_int64(w->parallel, (int64_t *)(void *)checksums, words, w->error);
}

/* When this returns on any rank, the temporary file is gone. */
static void remove_remains(const writer *w)
{
    if (w->rank == 0)
        (void)unlink(w->temporary);
    (void)sr_parallel_barrier(w->parallel, NULL); /* the failure that led here is what the caller hears of */
}

sr_status sr_checkpoint_write(sr_parallel *parallel, const char *path, const sr_checkpoint *checkpoint,
                              const sr_parameters *parameters, const sr_real *first_moment, const sr_real *second_moment,
                              sr_error *error)
{
    char temporary[CHECKPOINT_PATH_SIZE];
    checkpoint_checksum *checksums = NULL;
    writer w = {.parallel = parallel,
                .path = path,
                .temporary = temporary,
                .header = {.contents = *checkpoint, .has_optimizer = first_moment != NULL},
                .arrays = checkpoint_arrays_of(parameters, first_moment, second_moment),
                .rank = (size_t)sr_parallel_rank(parallel),
                .ranks = (size_t)sr_parallel_size(parallel),
                .error = error};
    sr_status status = SR_OK;
    if (snprintf(temporary, sizeof temporary, "%s.tmp", path) >= (int)sizeof temporary)
        status = sr_fail(error, SR_ERROR_RUNTIME, "the path of a checkpoint is too long: %s", path);
    if (status == SR_OK)
        status = SR_ALLOCATE(&checksums, checkpoint_block_count(&w.arrays), "checksums", error);
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK) {
        status = share_checksums(&w, checksums);
        w.checksums = checksums;
        if (status == SR_OK)
            status = write_steps(&w);
        if (status != SR_OK)
            remove_remains(&w);
    }
    free(checksums);
    return status;
}

sr_status checkpoint_write_alone(const char *path, const sr_checkpoint *checkpoint, const sr_parameters *parameters,
                                 const sr_real *first_moment, const sr_real *second_moment, sr_error *error)
{
    char temporary[CHECKPOINT_PATH_SIZE];
    checkpoint_checksum *checksums = NULL;
    writer w = {.path = path,
                .temporary = temporary,
                .header = {.contents = *checkpoint, .has_optimizer = first_moment != NULL},
                .arrays = checkpoint_arrays_of(parameters, first_moment, second_moment),
                .ranks = 1,
                .error = error};
    if (snprintf(temporary, sizeof temporary, "%s.tmp", path) >= (int)sizeof temporary)
        return sr_fail(error, SR_ERROR_RUNTIME, "the path of a checkpoint is too long: %s", path);
    SR_TRY(SR_ALLOCATE(&checksums, checkpoint_block_count(&w.arrays), "checksums", error));
    checkpoint_hash(&w.arrays, 0, 1, checksums);
    w.checksums = checksums;
    const sr_status status = write_steps_alone(&w);
    if (status != SR_OK)
        (void)unlink(temporary);
    free(checksums);
    return status;
}
