/* Reading checkpoints. Rank 0 reads and broadcasts: one reader asks least of a file system, and the file is small beside the data; all ranks share the
 * checking of checksums. */
#include "srtrain/checkpoint.h"

#include "srtrain/memory.h"
#include "storage/checkpoint_layout.h"
#include "storage/hdf5_helpers.h"

#include <hdf5.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* ---- header ---- */

static bool read_attribute(hid_t file, const char *name, int64_t *value)
{
    const hid_t attribute = H5Aexists(file, name) > 0 ? H5Aopen(file, name, H5P_DEFAULT) : -1;
    const bool read = attribute >= 0 && H5Aread(attribute, H5T_NATIVE_INT64, value) >= 0;
    if (attribute >= 0)
        H5Aclose(attribute);
    return read;
}

static bool has_format(hid_t file)
{
    char text[64] = "";
    const hid_t attribute = H5Aexists(file, "format") > 0 ? H5Aopen(file, "format", H5P_DEFAULT) : -1;
    if (attribute < 0)
        return false;
    const hid_t type = H5Aget_type(attribute);
    const bool fits = H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 && H5Tget_size(type) < sizeof text &&
                      H5Aread(attribute, type, text) >= 0 && strcmp(text, CHECKPOINT_FORMAT) == 0;
    H5Tclose(type);
    H5Aclose(attribute);
    return fits;
}

/* A one-dimensional dataset of bytes or integers; release with free(). */
static sr_status read_list(hid_t file, const char *path, const char *name, hid_t type, size_t element_size, void **values,
                           size_t *count, sr_error *error)
{
    *values = NULL;
    const hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
    if (set < 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: dataset %s is missing", path, name);
    const hid_t space = H5Dget_space(set);
    const hssize_t points = H5Sget_simple_extent_ndims(space) == 1 ? H5Sget_simple_extent_npoints(space) : -1;
    H5Sclose(space);
    sr_status status = SR_OK;
    if (points < 0 || points > (hssize_t)1 << 40)
        status = sr_fail(error, SR_ERROR_DATA, "%s: dataset %s does not have one dimension of a sensible size", path, name);
    *count = points < 0 ? 0 : (size_t)points;
    if (status == SR_OK && !(*values = calloc(*count + 1, element_size)))
        status = sr_fail_memory(error, *count * element_size, name);
    if (status == SR_OK && H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, *values) < 0)
        status = sr_hdf5_fail(error, SR_ERROR_DATA, path, "read", name);
    H5Dclose(set);
    return status;
}

static sr_status read_header(hid_t file, const char *path, sr_checkpoint *checkpoint, bool *has_optimizer, sr_error *error)
{
    int64_t complete = 0, expected = 0;
    if (!has_format(file))
        return sr_fail(error, SR_ERROR_DATA, "%s: this is not a checkpoint of format %s", path, CHECKPOINT_FORMAT);
    if (!read_attribute(file, CHECKPOINT_COMPLETE, &complete) || complete != 1)
        return sr_fail(error, SR_ERROR_DATA, "%s: the checkpoint was not written to its end", path);
    if (!read_attribute(file, CHECKPOINT_HEADER_CHECKSUM, &expected))
        return sr_fail(error, SR_ERROR_DATA, "%s: the attribute %s is missing", path, CHECKPOINT_HEADER_CHECKSUM);
    void *text = NULL;
    size_t length = 0;
    sr_status status = read_list(file, path, CHECKPOINT_HEADER, H5T_NATIVE_CHAR, 1, &text, &length, error);
    if (status == SR_OK && (int64_t)XXH3_64bits(text, length) != expected)
        status = sr_fail(error, SR_ERROR_DATA, "%s: the header is damaged: its checksum does not fit", path);
    if (status == SR_OK)
        status = checkpoint_header_parse(path, text, checkpoint, has_optimizer, error);
    free(text);
    return status;
}

sr_status checkpoint_open(const char *path, int64_t *file, sr_checkpoint *checkpoint, bool *has_optimizer, sr_error *error)
{
    sr_hdf5_file opened;
    SR_TRY(sr_hdf5_open(&opened, path, error));
    *file = (int64_t)opened.id;
    const sr_status status = read_header(opened.id, path, checkpoint, has_optimizer, error);
    if (status != SR_OK)
        H5Fclose(opened.id);
    return status;
}

/* ---- sharing strings ---- */

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
        int64_t file;
        bool has_optimizer;
        status = checkpoint_open(path, &file, checkpoint, &has_optimizer, error);
        if (status == SR_OK)
            H5Fclose((hid_t)file);
    }
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK)
        status = share_header(parallel, checkpoint, error);
    if (status != SR_OK)
        sr_checkpoint_free(checkpoint);
    return status;
}

/* ---- names and shapes ---- */

/* Collects every mismatch before it complains. */
typedef struct {
    const sr_parameters *parameters;
    char text[2048];
    size_t used, mismatches;
} mismatch_list;

static void add_mismatch(mismatch_list *list, const char *what, const char *name, const char *detail)
{
    ++list->mismatches;
    if (list->used < sizeof list->text) {
        const int written = snprintf(list->text + list->used, sizeof list->text - list->used, "\n  %s %s%s", what, name, detail);
        list->used += written > 0 ? (size_t)written : 0;
    }
}

static void check_shape(mismatch_list *list, hid_t group, const sr_parameter *parameter)
{
    if (H5Lexists(group, parameter->name, H5P_DEFAULT) <= 0) {
        add_mismatch(list, "missing", parameter->name, "");
        return;
    }
    const hid_t set = H5Dopen2(group, parameter->name, H5P_DEFAULT), space = set >= 0 ? H5Dget_space(set) : -1;
    hsize_t extent[H5S_MAX_RANK];
    const int rank = space >= 0 ? H5Sget_simple_extent_dims(space, extent, NULL) : -1;
    bool fits = rank == (int)parameter->rank;
    char detail[256] = "";
    for (int i = 0; i < rank; ++i) {
        fits = fits && extent[i] == parameter->shape[i];
        snprintf(detail + strlen(detail), sizeof detail - strlen(detail), "%s%llu", i ? ", " : " is [", (unsigned long long)extent[i]);
    }
    snprintf(detail + strlen(detail), sizeof detail - strlen(detail), "], expected");
    for (size_t i = 0; i < parameter->rank; ++i)
        snprintf(detail + strlen(detail), sizeof detail - strlen(detail), "%s%zu", i ? ", " : " [", parameter->shape[i]);
    snprintf(detail + strlen(detail), sizeof detail - strlen(detail), "]");
    if (!fits)
        add_mismatch(list, "shape of", parameter->name, detail);
    if (space >= 0)
        H5Sclose(space);
    if (set >= 0)
        H5Dclose(set);
}

static herr_t check_superfluous(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    (void)group;
    (void)info;
    mismatch_list *list = context;
    if (sr_parameters_find(list->parameters, name) == SIZE_MAX)
        add_mismatch(list, "superfluous", name, "");
    return 0;
}

static sr_status check_names(hid_t file, const char *path, const sr_parameters *parameters, sr_error *error)
{
    mismatch_list list = {.parameters = parameters};
    const hid_t group = H5Gopen2(file, CHECKPOINT_PARAMETERS, H5P_DEFAULT);
    if (group < 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: the group %s is missing", path, CHECKPOINT_PARAMETERS);
    for (size_t i = 0; i < parameters->count; ++i)
        check_shape(&list, group, &parameters->list[i]);
    const herr_t visited = H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, check_superfluous, &list);
    H5Gclose(group);
    if (visited < 0)
        return sr_hdf5_fail(error, SR_ERROR_DATA, path, "list", CHECKPOINT_PARAMETERS);
    return list.mismatches == 0 ? SR_OK
                                : sr_fail(error, SR_ERROR_DATA, "%s does not fit the model: %zu parameters differ%s", path, list.mismatches,
                                          list.text);
}

/* ---- values ---- */

sr_status checkpoint_read_checksums(int64_t array, const char *path, const char *name, size_t count, int64_t *checksums,
                                    sr_error *error)
{
    const hid_t set = (hid_t)array;
    const hid_t attribute = H5Aexists(set, CHECKPOINT_CHECKSUMS) > 0 ? H5Aopen(set, CHECKPOINT_CHECKSUMS, H5P_DEFAULT) : -1;
    if (attribute < 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: %s has no checksums", path, name);
    const hid_t space = H5Aget_space(attribute);
    const bool fits = H5Sget_simple_extent_npoints(space) == (hssize_t)count;
    const bool read = fits && H5Aread(attribute, H5T_NATIVE_INT64, checksums) >= 0;
    H5Sclose(space);
    H5Aclose(attribute);
    return read ? SR_OK : sr_fail(error, SR_ERROR_DATA, "%s: %s does not have %zu checksums", path, name, count);
}

/* Values and checksums of a group; *checksums moves on to those of the next one. */
static sr_status read_group(hid_t file, const char *path, const checkpoint_arrays *arrays, size_t group, int64_t **checksums,
                            sr_error *error)
{
    for (size_t i = 0; i < arrays->parameters->count; ++i) {
        const sr_parameter *parameter = &arrays->parameters->list[i];
        char name[SR_PARAMETER_NAME_SIZE + 64];
        snprintf(name, sizeof name, "%s/%s", arrays->names[group], parameter->name);
        const hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
        if (set < 0)
            return sr_fail(error, SR_ERROR_DATA, "%s: dataset /%s is missing", path, name);
        const hid_t space = H5Dget_space(set);
        const bool fits = H5Sget_simple_extent_npoints(space) == (hssize_t)parameter->size;
        const bool read = fits && H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                                          arrays->values[group] + parameter->offset) >= 0;
        const sr_status checked =
            read ? checkpoint_read_checksums((int64_t)set, path, name, checkpoint_blocks_of(parameter), *checksums, error) : SR_OK;
        *checksums += checkpoint_blocks_of(parameter);
        H5Sclose(space);
        H5Dclose(set);
        SR_TRY(checked);
        if (!read)
            return fits ? sr_hdf5_fail(error, SR_ERROR_DATA, path, "read", name)
                        : sr_fail(error, SR_ERROR_DATA, "%s: dataset /%s does not have %zu elements", path, name, parameter->size);
    }
    return SR_OK;
}

/* On rank 0: everything wanted, and the stored checksums. */
static sr_status read_arrays(const char *path, const checkpoint_arrays *arrays, size_t groups, int64_t *checksums, sr_error *error)
{
    int64_t file;
    sr_checkpoint checkpoint = {.users = 0};
    bool has_optimizer = false;
    sr_status status = checkpoint_open(path, &file, &checkpoint, &has_optimizer, error);
    sr_checkpoint_free(&checkpoint);
    SR_TRY(status);
    if (groups > 1 && !has_optimizer)
        status = sr_fail(error, SR_ERROR_DATA, "%s holds parameters only: training cannot go on from it", path);
    if (status == SR_OK)
        status = check_names((hid_t)file, path, arrays->parameters, error);
    for (size_t group = 0; group < groups && status == SR_OK; ++group)
        status = read_group((hid_t)file, path, arrays, group, &checksums, error);
    H5Fclose((hid_t)file);
    return status;
}

static sr_status check_blocks(const char *path, const checkpoint_arrays *arrays, const int64_t *expected, const int64_t *found,
                              size_t count, size_t rank, size_t ranks, sr_error *error)
{
    for (size_t i = rank; i < count; i += ranks)
        if (expected[i] != found[i]) {
            char name[256];
            checkpoint_block_name(arrays, i, name, sizeof name);
            return sr_fail(error, SR_ERROR_DATA, "%s is damaged: the checksum of %s does not fit", path, name);
        }
    return SR_OK;
}

/* Every rank checks its part of the blocks against the checksums that rank 0 has read. */
static sr_status verify(sr_parallel *parallel, const char *path, const checkpoint_arrays *arrays, size_t groups, int64_t *expected,
                        sr_error *error)
{
    const size_t count = checkpoint_block_count(arrays->parameters, groups);
    const size_t rank = (size_t)sr_parallel_rank(parallel), ranks = (size_t)sr_parallel_size(parallel);
    int64_t *found = NULL;
    SR_TRY(sr_parallel_broadcast(parallel, expected, count * sizeof *expected, error));
    sr_status status = SR_ALLOCATE(&found, count, "checksums", error);
    if (status == SR_OK) {
        checkpoint_hash(arrays, groups, rank, ranks, found);
        status = check_blocks(path, arrays, expected, found, count, rank, ranks, error);
    }
    free(found);
    return sr_parallel_agree(parallel, status, error);
}

sr_status sr_checkpoint_read_state(sr_parallel *parallel, const char *path, sr_parameters *parameters, sr_real *first_moment,
                                   sr_real *second_moment, sr_error *error)
{
    const size_t groups = first_moment ? CHECKPOINT_GROUPS : 1;
    const checkpoint_arrays arrays = checkpoint_arrays_of(parameters, parameters->values, first_moment, second_moment);
    int64_t *checksums = NULL;
    sr_status status = SR_ALLOCATE(&checksums, checkpoint_block_count(parameters, groups), "checksums", error);
    if (status == SR_OK && sr_parallel_rank(parallel) == 0)
        status = read_arrays(path, &arrays, groups, checksums, error);
    status = sr_parallel_agree(parallel, status, error);
    for (size_t group = 0; group < groups && status == SR_OK; ++group)
        status = sr_parallel_broadcast(parallel, arrays.values[group], parameters->block_size * sizeof(sr_real), error);
    if (status == SR_OK)
        status = verify(parallel, path, &arrays, groups, checksums, error);
    free(checksums);
    return status;
}
