#include "storage/hdf5_helpers.h"

#include "srtrain/file_work.h"
#include "srtrain/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#ifdef SRTRAIN_SMALL_BUFFERS /* tests, whose arrays are small */
enum { CHECKSUM_PIECE = 64 };
#else
enum { CHECKSUM_PIECE = 1 << 24 };
#endif

static void write_digest(XXH128_hash_t hash, char text[SR_CHECKSUM_SIZE])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, hash);
    for (size_t i = 0; i < sizeof canonical.digest; ++i)
        snprintf(text + 2 * i, 3, "%02x", canonical.digest[i]);
}

void sr_checksum(const void *data, size_t bytes, char text[SR_CHECKSUM_SIZE])
{
    write_digest(XXH3_128bits(data, bytes), text);
}

sr_status sr_checksum_in_pieces(const void *data, size_t bytes, void (*done)(const void *piece, size_t bytes),
                                char text[SR_CHECKSUM_SIZE], sr_error *error)
{
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return sr_fail_memory(error, 576, "the state of a checksum");
    (void)XXH3_128bits_reset(state);
    const char *at = data;
    for (size_t left = bytes; left > 0;) {
        const size_t here = left < CHECKSUM_PIECE ? left : (size_t)CHECKSUM_PIECE;
        (void)XXH3_128bits_update(state, at, here);
        sr_file_work_step();
        if (done)
            done(at, here);
        at += here;
        left -= here;
    }
    write_digest(XXH3_128bits_digest(state), text);
    (void)XXH3_freeState(state);
    return SR_OK;
}

void sr_hdf5_silence(void)
{
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static herr_t take_description(unsigned level, const H5E_error2_t *entry, void *description)
{
    (void)level;
    char *text = description;
    snprintf(text, 256, "%s", entry->desc ? entry->desc : "");
    for (char *newline; (newline = strchr(text, '\n'));)
        *newline = ' ';
    return 1; /* the first entry is the innermost: enough */
}

sr_status sr_hdf5_fail(sr_error *error, sr_status status, const char *path, const char *action, const char *what)
{
    char description[256] = "";
    (void)H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_description, description);
    return sr_fail(error, status, "%s: cannot %s %s%s%s", path, action, what, description[0] ? ": " : "", description);
}

/* ---- files ---- */

/* For reading where `trouble` is NULL. (Data bypass the sieve buffer, so that H5Dwrite() is the call that writes them.) */
static hid_t access_properties(hdf5_trouble *trouble)
{
    const hid_t properties = H5Pcreate(H5P_FILE_ACCESS);
    if (properties < 0)
        return properties;
    if ((trouble ? hdf5_file_driver_use(properties, trouble) : H5Pset_fapl_sec2(properties)) < 0 ||
        H5Pset_libver_bounds(properties, H5F_LIBVER_V18, H5F_LIBVER_V110) < 0 || H5Pset_alignment(properties, 1, 64) < 0 ||
        H5Pset_sieve_buf_size(properties, 0) < 0 || H5Pset_fclose_degree(properties, H5F_CLOSE_STRONG) < 0) {
        H5Pclose(properties);
        return -1;
    }
    return properties;
}

static sr_status fail_directory(const char *path, sr_error *error)
{
    char best[4096];
    const size_t length = strlen(path);
    const int size = snprintf(best, sizeof best, "%s%sbest.h5", path, length && path[length - 1] == '/' ? "" : "/");
    const bool is_run = size > 0 && (size_t)size < sizeof best && access(best, R_OK) == 0;
    return sr_fail(error, SR_ERROR_DATA, "%s: is a directory, expected an HDF5 file%s%s", path,
                   is_run ? "; the best model of this run is " : "", is_run ? best : "");
}

sr_status sr_hdf5_open(sr_hdf5_file *file, const char *path, sr_error *error)
{
    sr_hdf5_silence();
    *file = (sr_hdf5_file){.id = -1, .path = path};
    if (access(path, R_OK) != 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: %s", path, strerror(errno));
    struct stat found;
    if (stat(path, &found) == 0 && S_ISDIR(found.st_mode))
        return fail_directory(path, error);
    const hid_t properties = access_properties(NULL);
    if (properties >= 0)
        file->id = H5Fopen(path, H5F_ACC_RDONLY, properties);
    /* Any further call would clear HDF5's reason. */
    const sr_status status = file->id >= 0 ? SR_OK : sr_hdf5_fail(error, SR_ERROR_DATA, path, "open", "it as an HDF5 file");
    if (properties >= 0)
        H5Pclose(properties);
    return status;
}

/* For want of a reason of the system, HDF5's. */
static sr_status fail_to_open(const sr_hdf5_file *file, const char *action, sr_error *error)
{
    if (file->trouble.cause == 0)
        return sr_hdf5_fail(error, SR_ERROR_RUNTIME, file->path, action, "the file");
    return sr_fail(error, SR_ERROR_RUNTIME, "%s: cannot %s the file: %s", file->path, action, strerror(file->trouble.cause));
}

sr_status sr_hdf5_create(sr_hdf5_file *file, const char *path, sr_error *error)
{
    sr_hdf5_silence();
    *file = (sr_hdf5_file){.id = -1, .path = path};
    const hid_t access_list = access_properties(&file->trouble);
    const hid_t creation_list = H5Pcreate(H5P_FILE_CREATE);
    if (access_list >= 0 && creation_list >= 0 && H5Pset_obj_track_times(creation_list, false) >= 0)
        file->id = H5Fcreate(path, H5F_ACC_TRUNC, creation_list, access_list);
    const sr_status status = file->id >= 0 ? SR_OK : fail_to_open(file, "create", error);
    if (access_list >= 0)
        H5Pclose(access_list);
    if (creation_list >= 0)
        H5Pclose(creation_list);
    return status;
}

sr_status sr_hdf5_reopen(sr_hdf5_file *file, const char *path, sr_error *error)
{
    *file = (sr_hdf5_file){.id = -1, .path = path};
    const hid_t properties = H5Pcreate(H5P_FILE_ACCESS);
    if (properties >= 0 && hdf5_file_driver_use(properties, &file->trouble) >= 0)
        file->id = H5Fopen(path, H5F_ACC_RDWR, properties);
    const sr_status status = file->id >= 0 ? SR_OK : fail_to_open(file, "open", error);
    if (properties >= 0)
        H5Pclose(properties);
    return status;
}

static sr_status check_trouble(const sr_hdf5_file *file, sr_error *error)
{
    return file->trouble.cause == 0
               ? SR_OK
               : sr_fail(error, SR_ERROR_RUNTIME, "%s: cannot write the file: %s", file->path, strerror(file->trouble.cause));
}

sr_status sr_hdf5_close(sr_hdf5_file *file, sr_error *error)
{
    const hid_t id = file->id;
    file->id = -1;
    if (id < 0)
        return SR_OK;
    if (H5Fclose(id) < 0)
        return sr_hdf5_fail(error, SR_ERROR_RUNTIME, file->path, "close", "the file");
    return check_trouble(file, error);
}

/* ---- attributes ---- */

static sr_status write_attribute(const sr_hdf5_file *file, const char *object, const char *name, hid_t type, const void *value,
                                 sr_error *error)
{
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t attribute = space < 0
                                ? -1
                                : H5Acreate_by_name(file->id, object, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    const bool written = attribute >= 0 && H5Awrite(attribute, type, value) >= 0;
    const sr_status status = written ? SR_OK : sr_hdf5_fail(error, SR_ERROR_RUNTIME, file->path, "write attribute", name);
    if (attribute >= 0)
        H5Aclose(attribute);
    if (space >= 0)
        H5Sclose(space);
    return status;
}

sr_status sr_hdf5_write_text(const sr_hdf5_file *file, const char *object, const char *name, const char *text, sr_error *error)
{
    const hid_t type = H5Tcopy(H5T_C_S1);
    if (type < 0 || H5Tset_size(type, H5T_VARIABLE) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0)
        return sr_hdf5_fail(error, SR_ERROR_RUNTIME, file->path, "write attribute", name);
    const sr_status status = write_attribute(file, object, name, type, &text, error);
    H5Tclose(type);
    return status;
}

sr_status sr_hdf5_write_integer(const sr_hdf5_file *file, const char *object, const char *name, int64_t value, sr_error *error)
{
    return write_attribute(file, object, name, H5T_STD_I64LE, &value, error);
}

static sr_status open_attribute(const sr_hdf5_file *file, const char *object, const char *name, hid_t *attribute,
                                sr_error *error)
{
    const htri_t exists = H5Aexists_by_name(file->id, object, name, H5P_DEFAULT);
    if (exists <= 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: %s has no attribute %s", file->path, object, name);
    *attribute = H5Aopen_by_name(file->id, object, name, H5P_DEFAULT, H5P_DEFAULT);
    return *attribute >= 0 ? SR_OK : sr_hdf5_fail(error, SR_ERROR_DATA, file->path, "read attribute", name);
}

/* Whether an attribute is one value of class `class`. */
static bool is_scalar(hid_t attribute, hid_t type, H5T_class_t class)
{
    const hid_t space = H5Aget_space(attribute);
    const bool scalar = space >= 0 && H5Sget_simple_extent_npoints(space) == 1;
    if (space >= 0)
        H5Sclose(space);
    return scalar && type >= 0 && H5Tget_class(type) == class;
}

sr_status sr_hdf5_read_integer(const sr_hdf5_file *file, const char *object, const char *name, int64_t *value, sr_error *error)
{
    hid_t attribute = -1;
    SR_TRY(open_attribute(file, object, name, &attribute, error));
    const hid_t type = H5Aget_type(attribute);
    sr_status status = SR_OK;
    if (!is_scalar(attribute, type, H5T_INTEGER))
        status = sr_fail(error, SR_ERROR_DATA, "%s: attribute %s of %s is not one integer", file->path, name, object);
    else if (H5Aread(attribute, H5T_NATIVE_INT64, value) < 0)
        status = sr_hdf5_fail(error, SR_ERROR_DATA, file->path, "read attribute", name);
    if (type >= 0)
        H5Tclose(type);
    H5Aclose(attribute);
    return status;
}

/* The text of an attribute of variable or fixed length; NULL, without an error, if it cannot be read. */
static sr_status read_string(hid_t attribute, hid_t type, char **text, sr_error *error)
{
    *text = NULL;
    if (H5Tis_variable_str(type) > 0) {
        char *found = NULL;
        if (H5Aread(attribute, type, &found) < 0 || !found)
            return SR_OK;
        const sr_status status = sr_copy_string(text, found, error);
        H5free_memory(found);
        return status;
    }
    SR_TRY(SR_ALLOCATE_ZERO(text, H5Tget_size(type) + 1, "the text of an attribute", error));
    if (H5Aread(attribute, type, *text) < 0) {
        free(*text);
        *text = NULL;
    }
    return SR_OK;
}

sr_status sr_hdf5_read_text(const sr_hdf5_file *file, const char *object, const char *name, char **text, sr_error *error)
{
    *text = NULL;
    hid_t attribute = -1;
    SR_TRY(open_attribute(file, object, name, &attribute, error));
    const hid_t type = H5Aget_type(attribute);
    sr_status status = SR_OK;
    if (!is_scalar(attribute, type, H5T_STRING))
        status = sr_fail(error, SR_ERROR_DATA, "%s: attribute %s of %s is not a text", file->path, name, object);
    else
        status = read_string(attribute, type, text, error);
    if (status == SR_OK && !*text)
        status = sr_hdf5_fail(error, SR_ERROR_DATA, file->path, "read attribute", name);
    if (type >= 0)
        H5Tclose(type);
    H5Aclose(attribute);
    return status;
}

/* ---- all datasets ---- */

/* HDF5 1.12 has other descriptions of objects than 1.10, and the plain names mean either. Each release takes its own here, by
 * names that no macro of HDF5 (H5_USE_110_API and the like) changes. */
#if H5_VERSION_GE(1, 12, 0)
typedef H5O_info2_t object_description;
#else
typedef H5O_info_t object_description;
#endif

typedef struct {
    sr_hdf5_visitor *visitor;
    void *context;
} visit;

static herr_t visit_object(hid_t file, const char *name, const object_description *object, void *context)
{
    const visit *v = context;
    return object->type == H5O_TYPE_DATASET ? v->visitor(file, name, v->context) : 0;
}

herr_t sr_hdf5_visit_datasets(hid_t file, sr_hdf5_visitor *visitor, void *context)
{
    visit v = {visitor, context};
#if H5_VERSION_GE(1, 12, 0)
    return H5Ovisit3(file, H5_INDEX_NAME, H5_ITER_INC, visit_object, &v, H5O_INFO_BASIC);
#else
    return H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, visit_object, &v, H5O_INFO_BASIC);
#endif
}

/* ---- groups and datasets ---- */

sr_status sr_hdf5_create_group(const sr_hdf5_file *file, const char *name, sr_error *error)
{
    const hid_t properties = H5Pcreate(H5P_GROUP_CREATE);
    hid_t group = -1;
    if (properties >= 0 && H5Pset_obj_track_times(properties, false) >= 0)
        group = H5Gcreate2(file->id, name, H5P_DEFAULT, properties, H5P_DEFAULT);
    const bool made = group >= 0 && H5Gclose(group) >= 0;
    const sr_status status = made ? SR_OK : sr_hdf5_fail(error, SR_ERROR_RUNTIME, file->path, "create group", name);
    if (properties >= 0)
        H5Pclose(properties);
    return status;
}

bool sr_hdf5_is_stored(hid_t dataset)
{
    const hid_t properties = H5Dget_create_plist(dataset), space = H5Dget_space(dataset), type = H5Dget_type(dataset);
    const hssize_t count = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
    const H5D_layout_t layout = properties < 0 ? H5D_LAYOUT_ERROR : H5Pget_layout(properties);
    uint64_t bytes = 0;
    bool stored = count >= 0 && type >= 0 && !__builtin_mul_overflow((uint64_t)count, H5Tget_size(type), &bytes) &&
                  H5Dget_storage_size(dataset) >= bytes;
    if (layout == H5D_CONTIGUOUS)
        stored = stored && H5Pget_external_count(properties) == 0 && (bytes == 0 || H5Dget_offset(dataset) != HADDR_UNDEF);
    else
        stored = stored && (layout == H5D_COMPACT || layout == H5D_CHUNKED);
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
    if (properties >= 0)
        H5Pclose(properties);
    return stored;
}

/* Contiguous, so that it can be mapped; allocated at once and never filled, so that it is written only once; no time stamps, so
 * that equal data give equal files. */
static hid_t dataset_properties(void)
{
    const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    if (properties < 0)
        return properties;
    if (H5Pset_layout(properties, H5D_CONTIGUOUS) < 0 || H5Pset_alloc_time(properties, H5D_ALLOC_TIME_EARLY) < 0 ||
        H5Pset_fill_time(properties, H5D_FILL_TIME_NEVER) < 0 || H5Pset_obj_track_times(properties, false) < 0) {
        H5Pclose(properties);
        return -1;
    }
    return properties;
}

sr_status sr_hdf5_write_block(const sr_hdf5_file *file, const char *name, hid_t type, const size_t *dimensions, size_t rank,
                              const void *values, sr_error *error)
{
    hsize_t sizes[SR_HDF5_RANK_MAXIMUM];
    size_t count = 1;
    for (size_t i = 0; i < rank; ++i) {
        sizes[i] = dimensions[i];
        count *= dimensions[i];
    }
    const hid_t properties = dataset_properties();
    const hid_t space = H5Screate_simple((int)rank, sizes, NULL);
    hid_t dataset = -1;
    if (properties >= 0 && space >= 0)
        dataset = H5Dcreate2(file->id, name, type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    sr_status status = SR_OK;
    if (dataset < 0 || H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
        status = sr_hdf5_fail(error, SR_ERROR_RUNTIME, file->path, "write dataset", name);
    if (dataset >= 0 && H5Dclose(dataset) < 0 && status == SR_OK)
        status = sr_hdf5_fail(error, SR_ERROR_RUNTIME, file->path, "write dataset", name);
    if (space >= 0)
        H5Sclose(space);
    if (properties >= 0)
        H5Pclose(properties);
    if (status != SR_OK)
        return status;
    char checksum[SR_CHECKSUM_SIZE];
    sr_checksum(values, count * H5Tget_size(type), checksum);
    return sr_hdf5_write_text(file, name, SR_CHECKSUM_ATTRIBUTE, checksum, error);
}

sr_status sr_hdf5_write_array(const sr_hdf5_file *file, const char *name, hid_t type, size_t count, const void *values,
                              sr_error *error)
{
    return sr_hdf5_write_block(file, name, type, &count, 1, values, error);
}

/* ---- datasets in pieces ---- */

sr_status sr_hdf5_stream_begin(sr_hdf5_stream *stream, const sr_hdf5_file *file, const char *name, hid_t type, size_t count,
                               sr_error *error)
{
    *stream = (sr_hdf5_stream){.file = file,
                               .name = name,
                               .type = type,
                               .dataset = -1,
                               .space = -1,
                               .element_size = H5Tget_size(type),
                               .count = count};
    XXH3_state_t *checksum = XXH3_createState();
    if (!checksum)
        return sr_fail_memory(error, 576, "the state of a checksum");
    (void)XXH3_128bits_reset(checksum);
    stream->checksum = checksum;
    const hsize_t size = count;
    const hid_t properties = dataset_properties();
    stream->space = H5Screate_simple(1, &size, NULL);
    if (properties >= 0 && stream->space >= 0)
        stream->dataset = H5Dcreate2(file->id, name, type, stream->space, H5P_DEFAULT, properties, H5P_DEFAULT);
    const sr_status status = stream->dataset >= 0 ? SR_OK
                                                  : sr_hdf5_fail(error, SR_ERROR_RUNTIME, file->path, "write dataset", name);
    if (properties >= 0)
        H5Pclose(properties);
    return status;
}

sr_status sr_hdf5_stream_append(sr_hdf5_stream *stream, const void *values, size_t count, sr_error *error)
{
    if (count == 0)
        return SR_OK;
    const hsize_t first = stream->written, size = count;
    const hid_t memory = H5Screate_simple(1, &size, NULL);
    const bool written = memory >= 0 && H5Sselect_hyperslab(stream->space, H5S_SELECT_SET, &first, NULL, &size, NULL) >= 0 &&
                         H5Dwrite(stream->dataset, stream->type, memory, stream->space, H5P_DEFAULT, values) >= 0;
    const sr_status status = written ? SR_OK
                                     : sr_hdf5_fail(error, SR_ERROR_RUNTIME, stream->file->path, "write dataset", stream->name);
    if (memory >= 0)
        H5Sclose(memory);
    (void)XXH3_128bits_update(stream->checksum, values, count * stream->element_size);
    stream->written += count;
    return status == SR_OK ? check_trouble(stream->file, error) : status;
}

sr_status sr_hdf5_stream_end(sr_hdf5_stream *stream, sr_status status, sr_error *error)
{
    char checksum[SR_CHECKSUM_SIZE] = "";
    if (stream->dataset >= 0 && H5Dclose(stream->dataset) < 0 && status == SR_OK)
        status = sr_hdf5_fail(error, SR_ERROR_RUNTIME, stream->file->path, "write dataset", stream->name);
    if (stream->space >= 0)
        H5Sclose(stream->space);
    if (status == SR_OK && stream->written != stream->count)
        status = sr_fail(error, SR_ERROR_RUNTIME, "%s: %zu of %zu elements of dataset %s were written", stream->file->path,
                         stream->written, stream->count, stream->name);
    if (stream->checksum)
        write_digest(XXH3_128bits_digest(stream->checksum), checksum);
    (void)XXH3_freeState(stream->checksum);
    stream->checksum = NULL;
    return status == SR_OK ? sr_hdf5_write_text(stream->file, stream->name, SR_CHECKSUM_ATTRIBUTE, checksum, error) : status;
}
