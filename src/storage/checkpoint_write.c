/* Writing a checkpoint: all ranks together, each its slice, to a temporary name that is renamed when everything is on disk. */
#include "srtrain/checkpoint.h"

#include "srtrain/memory.h"
#include "storage/checkpoint_layout.h"
#include "storage/hdf5_helpers.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum {
    PATH_ROOM = 4096,
    SHARED_SIZE = 16384 /* elements from which on an array is written by all ranks; smaller ones by one rank alone */
};

/* A file being written. After the first failure the collective calls go on, so that no rank waits for another in vain. */
typedef struct {
    sr_parallel *parallel;
    const char *path;
    hid_t file, transfer, creation;
    size_t rank, ranks;
    size_t arrays; /* written so far: small ones are dealt out round robin */
    sr_status status;
    sr_error *error;
} writer;

static void note_failure(writer *w, const char *what)
{
    if (w->status == SR_OK)
        w->status = sr_hdf5_fail(w->error, SR_ERROR_RUNTIME, w->path, "write", what);
}

static hid_t parallel_access(const sr_parallel *parallel)
{
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access >= 0 && H5Pset_fapl_mpio(access, sr_parallel_communicator(parallel), MPI_INFO_NULL) >= 0 &&
        H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V110) >= 0 && H5Pset_all_coll_metadata_ops(access, true) >= 0 &&
        H5Pset_coll_metadata_write(access, true) >= 0)
        return access;
    if (access >= 0)
        H5Pclose(access);
    return -1;
}

/* Contiguous and without filters: some filters lose data in collective writes, and nothing here compresses well. */
static hid_t dataset_creation(void)
{
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    if (creation >= 0 && H5Pset_layout(creation, H5D_CONTIGUOUS) >= 0 && H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY) >= 0 &&
        H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER) >= 0 && H5Pset_obj_track_times(creation, false) >= 0)
        return creation;
    if (creation >= 0)
        H5Pclose(creation);
    return -1;
}

static void open_file(writer *w)
{
    sr_hdf5_silence();
    const hid_t access = parallel_access(w->parallel), file_creation = H5Pcreate(H5P_FILE_CREATE);
    (void)H5Pset_obj_track_times(file_creation, false);
    w->creation = dataset_creation();
    w->transfer = H5Pcreate(H5P_DATASET_XFER);
    w->file = -1;
    if (access >= 0 && w->creation >= 0 && H5Pset_dxpl_mpio(w->transfer, H5FD_MPIO_COLLECTIVE) >= 0)
        w->file = H5Fcreate(w->path, H5F_ACC_TRUNC, file_creation, access);
    if (w->file < 0)
        note_failure(w, "the file");
    H5Pclose(file_creation);
    if (access >= 0)
        H5Pclose(access);
}

/* ---- arrays ---- */

/* Which rows of an array this rank writes: its share of a large one, all or nothing of a small one (those are dealt out). */
static void rows_of(writer *w, size_t rows, size_t size, size_t *begin, size_t *end)
{
    const bool shared = size >= SHARED_SIZE;
    const bool mine = w->arrays++ % w->ranks == w->rank;
    *begin = shared ? rows * w->rank / w->ranks : 0;
    *end = shared ? rows * (w->rank + 1) / w->ranks : (mine ? rows : 0);
}

/* Writes rows [begin, end); every rank calls it, also for no row at all. */
static bool write_rows(const writer *w, hid_t set, const size_t *shape, size_t rank, size_t begin, size_t end, hid_t type,
                       const char *values, size_t row_bytes, size_t row_size)
{
    hsize_t start[SR_PARAMETER_RANK_MAXIMUM] = {begin}, count[SR_PARAMETER_RANK_MAXIMUM] = {end - begin};
    for (size_t i = 1; i < rank; ++i)
        count[i] = shape[i];
    const hsize_t elements = (end - begin) * row_size, memory_extent = elements ? elements : 1;
    const hid_t file_space = H5Dget_space(set), memory_space = H5Screate_simple(1, &memory_extent, NULL);
    bool written = file_space >= 0 && memory_space >= 0;
    if (elements)
        written = written && H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0;
    else
        written = written && H5Sselect_none(file_space) >= 0 && H5Sselect_none(memory_space) >= 0;
    written = H5Dwrite(set, type, memory_space, file_space, w->transfer, values + begin * row_bytes) >= 0 && written;
    H5Sclose(memory_space);
    H5Sclose(file_space);
    return written;
}

/* An attribute with `count` elements; a single one is a scalar. */
static bool write_attribute(hid_t object, const char *name, hid_t type, const void *values, size_t count)
{
    const hsize_t extent = count;
    const hid_t space = count == 1 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &extent, NULL);
    const hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    const bool written = attribute >= 0 && H5Awrite(attribute, type, values) >= 0;
    if (attribute >= 0)
        H5Aclose(attribute);
    H5Sclose(space);
    return written;
}

/* Creates and writes one dataset; every rank has all its values. `checksums` (NULL for none) become an attribute. */
static void write_array(writer *w, hid_t location, const char *name, const size_t *shape, size_t rank, hid_t type,
                        size_t element_size, const void *values, const int64_t *checksums, size_t checksum_count)
{
    hsize_t extent[SR_PARAMETER_RANK_MAXIMUM];
    size_t begin, end, row_size = 1;
    for (size_t i = 0; i < rank; ++i) {
        extent[i] = shape[i];
        row_size *= i > 0 ? shape[i] : 1;
    }
    rows_of(w, shape[0], shape[0] * row_size, &begin, &end);
    const hid_t space = H5Screate_simple((int)rank, extent, NULL);
    const hid_t set = H5Dcreate2(location, name, type, space, H5P_DEFAULT, w->creation, H5P_DEFAULT);
    if (set < 0 || !write_rows(w, set, shape, rank, begin, end, type, values, row_size * element_size, row_size))
        note_failure(w, name);
    if (set >= 0 && checksums && !write_attribute(set, CHECKPOINT_CHECKSUMS, H5T_NATIVE_INT64, checksums, checksum_count))
        note_failure(w, name);
    if (set >= 0)
        H5Dclose(set);
    H5Sclose(space);
}

/* *checksums moves on to those of the next group. */
static void write_group(writer *w, const checkpoint_arrays *arrays, size_t group, const int64_t **checksums)
{
    const hid_t location = H5Gcreate2(w->file, arrays->names[group], H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (location < 0) {
        note_failure(w, arrays->names[group]);
        return;
    }
    for (size_t i = 0; i < arrays->parameters->count; ++i) {
        const sr_parameter *parameter = &arrays->parameters->list[i];
        write_array(w, location, parameter->name, parameter->shape, parameter->rank, H5T_NATIVE_FLOAT, sizeof(sr_real),
                    arrays->values[group] + parameter->offset, *checksums, checkpoint_blocks_of(parameter));
        *checksums += checkpoint_blocks_of(parameter);
    }
    H5Gclose(location);
}

/* ---- header and checksums ---- */

static bool write_text_attribute(hid_t file, const char *name, const char *text)
{
    const hid_t type = H5Tcopy(H5T_C_S1);
    const bool written = H5Tset_size(type, strlen(text) + 1) >= 0 && write_attribute(file, name, type, text, 1);
    H5Tclose(type);
    return written;
}

static void write_header(writer *w, const char *header)
{
    const size_t length = strlen(header);
    const int64_t checksum = (int64_t)XXH3_64bits(header, length);
    if (!write_text_attribute(w->file, "format", CHECKPOINT_FORMAT) ||
        !write_attribute(w->file, CHECKPOINT_HEADER_CHECKSUM, H5T_NATIVE_INT64, &checksum, 1))
        note_failure(w, "the attributes");
    write_array(w, w->file, CHECKPOINT_HEADER, &length, 1, H5T_NATIVE_CHAR, 1, header, NULL, 0);
}

static sr_status compute_checksums(writer *w, const checkpoint_arrays *arrays, size_t groups, int64_t *checksums)
{
    checkpoint_hash(arrays, groups, w->rank, w->ranks, checksums);
    return sr_parallel_sum_int64(w->parallel, checksums, checkpoint_block_count(arrays->parameters, groups), w->error);
}

static void write_contents(writer *w, const char *header, const checkpoint_arrays *arrays, size_t groups, const int64_t *checksums)
{
    write_header(w, header);
    if (groups > 1) {
        const hid_t optimizer = H5Gcreate2(w->file, CHECKPOINT_OPTIMIZER, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        if (optimizer < 0)
            note_failure(w, CHECKPOINT_OPTIMIZER);
        else
            H5Gclose(optimizer);
    }
    for (size_t group = 0; group < groups; ++group)
        write_group(w, arrays, group, &checksums);
    if (H5Fflush(w->file, H5F_SCOPE_GLOBAL) < 0)
        note_failure(w, "the data to disk");
    /* The mark that everything before it has been written. */
    const int64_t complete = 1;
    if (!write_attribute(w->file, CHECKPOINT_COMPLETE, H5T_NATIVE_INT64, &complete, 1))
        note_failure(w, "the mark of completion");
}

/* ---- the end ---- */

static sr_status flush_directory(const char *path, sr_error *error)
{
    char copy[PATH_ROOM];
    snprintf(copy, sizeof copy, "%s", path);
    const char *directory = dirname(copy);
    const int descriptor = open(directory, O_RDONLY);
    const bool done = descriptor >= 0 && fsync(descriptor) == 0;
    if (descriptor >= 0)
        close(descriptor);
    return done ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "cannot flush %s to disk: %s", directory, strerror(errno));
}

/* On rank 0: the closed file is opened again as a reader would, flushed, and renamed. */
static sr_status settle(const char *temporary, const char *path, sr_error *error)
{
    int64_t file;
    sr_checkpoint checkpoint = {.users = 0};
    bool has_optimizer;
    const sr_status readable = checkpoint_open(temporary, &file, &checkpoint, &has_optimizer, error);
    sr_checkpoint_free(&checkpoint);
    SR_TRY(readable);
    H5Fclose((hid_t)file);
    const int descriptor = open(temporary, O_RDONLY);
    const bool flushed = descriptor >= 0 && fsync(descriptor) == 0;
    if (descriptor >= 0)
        close(descriptor);
    if (!flushed)
        return sr_fail(error, SR_ERROR_RUNTIME, "cannot flush %s to disk: %s", temporary, strerror(errno));
    if (rename(temporary, path) != 0)
        return sr_fail(error, SR_ERROR_RUNTIME, "cannot rename %s to %s: %s", temporary, path, strerror(errno));
    return flush_directory(path, error);
}

static sr_status write_file(writer *w, const char *header, const checkpoint_arrays *arrays, size_t groups, const int64_t *checksums)
{
    open_file(w);
    SR_TRY(sr_parallel_agree(w->parallel, w->status, w->error));
    write_contents(w, header, arrays, groups, checksums);
    if (H5Fclose(w->file) < 0)
        note_failure(w, "the end of the file");
    return sr_parallel_agree(w->parallel, w->status, w->error);
}

static sr_status write_and_settle(sr_parallel *parallel, const char *path, const char *header, const checkpoint_arrays *arrays,
                                  size_t groups, int64_t *checksums, sr_error *error)
{
    char temporary[PATH_ROOM];
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    writer w = {.parallel = parallel,
                .path = temporary,
                .rank = (size_t)sr_parallel_rank(parallel),
                .ranks = (size_t)sr_parallel_size(parallel),
                .creation = -1,
                .transfer = -1,
                .error = error};
    SR_TRY(compute_checksums(&w, arrays, groups, checksums));
    sr_status status = write_file(&w, header, arrays, groups, checksums);
    if (w.creation >= 0)
        H5Pclose(w.creation);
    if (w.transfer >= 0)
        H5Pclose(w.transfer);
    if (status == SR_OK)
        status = sr_parallel_agree(parallel, w.rank == 0 ? settle(temporary, path, error) : SR_OK, error);
    if (status != SR_OK && w.rank == 0)
        (void)unlink(temporary);
    return status;
}

sr_status sr_checkpoint_write(sr_parallel *parallel, const char *path, const sr_checkpoint *checkpoint,
                              const sr_parameters *parameters, const sr_real *first_moment, const sr_real *second_moment,
                              sr_error *error)
{
    const size_t groups = first_moment ? CHECKPOINT_GROUPS : 1;
    const checkpoint_arrays arrays = checkpoint_arrays_of(parameters, parameters->values, (sr_real *)(uintptr_t)first_moment,
                                                          (sr_real *)(uintptr_t)second_moment);
    char *header = NULL;
    int64_t *checksums = NULL;
    sr_status status = checkpoint_header_text(checkpoint, groups > 1, &header, error);
    if (status == SR_OK)
        status = SR_ALLOCATE(&checksums, checkpoint_block_count(parameters, groups), "checksums", error);
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK)
        status = write_and_settle(parallel, path, header, &arrays, groups, checksums, error);
    free(header);
    free(checksums);
    return status;
}
