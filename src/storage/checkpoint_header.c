/* The header of a checkpoint: attributes of the root and of the group of counters, the configuration, and one checksum over all
 * of it. */
#include "srtrain/memory.h"
#include "storage/checkpoint_layout.h"
#include "storage/seal.h"
#include "storage/seal_hdf5.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An optional one is an integer that the file does not have where it is 0: files from before it was known are as they were. */
typedef enum { FIELD_TEXT, FIELD_INTEGER, FIELD_OPTIONAL, FIELD_UNSIGNED, FIELD_NUMBER } field_kind;

/* One attribute: writing, reading and the checksum all go through this table. */
typedef struct {
    const char *object, *name;
    field_kind kind;
    size_t offset;       /* in checkpoint_header */
    int64_t least, most; /* of an integer; numbers must be finite */
} header_field;

#define MOST_COUNTED (INT64_C(1) << 53) /* nothing gets there, and sums with it do not overflow */
enum { MOST_FINISHED = 2 };             /* 1 after all epochs, 2 after stopping early */

#define ROOT(field, kind, ...)                                                      \
    {                                                                               \
        "/", #field, kind, offsetof(checkpoint_header, contents.field), __VA_ARGS__ \
    }
#define COUNTER(field, kind, ...)                                                                            \
    {                                                                                                        \
        CHECKPOINT_PROGRESS, #field, kind, offsetof(checkpoint_header, contents.progress.field), __VA_ARGS__ \
    }
static const header_field fields[] = {
    ROOT(program_version, FIELD_TEXT, 0, 0),
    ROOT(data_fingerprint, FIELD_TEXT, 0, 0),
    ROOT(data_directory, FIELD_TEXT, 0, 0),
    ROOT(users, FIELD_INTEGER, 0, MOST_COUNTED),
    ROOT(items, FIELD_INTEGER, 0, INT32_MAX - 1),
    {"/", "has_optimizer", FIELD_INTEGER, offsetof(checkpoint_header, has_optimizer), 0, 1},
    COUNTER(epoch, FIELD_INTEGER, 0, MOST_COUNTED),
    COUNTER(step, FIELD_INTEGER, 0, MOST_COUNTED),
    COUNTER(batch, FIELD_INTEGER, 0, MOST_COUNTED),
    COUNTER(seed, FIELD_UNSIGNED, 0, 0),
    COUNTER(epoch_loss_sum, FIELD_NUMBER, 0, 0),
    COUNTER(epoch_loss_count, FIELD_NUMBER, 0, 0),
    COUNTER(best_metric, FIELD_NUMBER, 0, 0),
    COUNTER(best_epoch, FIELD_INTEGER, 0, MOST_COUNTED),
    COUNTER(best_step, FIELD_INTEGER, 0, MOST_COUNTED),
    COUNTER(validations_without_improvement, FIELD_INTEGER, 0, MOST_COUNTED),
    COUNTER(finished, FIELD_INTEGER, 0, MOST_FINISHED),
    COUNTER(seconds, FIELD_NUMBER, 0, 0),
    COUNTER(earlier_steps, FIELD_OPTIONAL, 0, MOST_COUNTED),
    COUNTER(optimizer_steps, FIELD_OPTIONAL, 0, MOST_COUNTED),
};
enum { FIELDS = sizeof fields / sizeof *fields };

static const void *field_of(const checkpoint_header *header, size_t i)
{
    return (const char *)header + fields[i].offset;
}

/* Whether the file has, or is to have, nothing of the field. */
static bool is_left_out(const checkpoint_header *header, size_t i)
{
    return fields[i].kind == FIELD_OPTIONAL && *(const int64_t *)field_of(header, i) == 0;
}

/* ---- checksum ---- */

/* "name=value" lines; numbers in hexadecimal, which is exact. */
static void print_field(FILE *stream, const checkpoint_header *header, size_t i)
{
    const void *value = field_of(header, i);
    fprintf(stream, "%s=", fields[i].name);
    switch (fields[i].kind) {
    case FIELD_TEXT:
        fprintf(stream, "%s\n", *(char *const *)value);
        break;
    case FIELD_INTEGER:
    case FIELD_OPTIONAL:
        fprintf(stream, "%" PRId64 "\n", *(const int64_t *)value);
        break;
    case FIELD_UNSIGNED:
        fprintf(stream, "%" PRIu64 "\n", *(const uint64_t *)value);
        break;
    case FIELD_NUMBER:
        fprintf(stream, "%a\n", *(const double *)value);
        break;
    }
}

static sr_status header_checksum(const checkpoint_header *header, char checksum[SR_CHECKSUM_SIZE], sr_error *error)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (!stream)
        return sr_fail_memory(error, sizeof *header, "the header of a checkpoint");
    for (size_t i = 0; i < FIELDS; ++i)
        if (!is_left_out(header, i))
            print_field(stream, header, i);
    fputs(header->contents.configuration, stream);
    bool printed = ferror(stream) == 0;
    printed = fclose(stream) == 0 && printed;
    if (printed)
        sr_checksum(text, size, checksum);
    free(text);
    return printed ? SR_OK : sr_fail_memory(error, sizeof *header, "the header of a checkpoint");
}

/* ---- writing ---- */

static sr_status write_number(const sr_hdf5_file *file, const header_field *field, hid_t type, const void *value,
                              sr_error *error)
{
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t attribute = space < 0 ? -1
                                      : H5Acreate_by_name(file->id, field->object, field->name, type, space, H5P_DEFAULT,
                                                          H5P_DEFAULT, H5P_DEFAULT);
    sr_status status = SR_OK;
    if (attribute < 0 || H5Awrite(attribute, type, value) < 0)
        status = sr_hdf5_fail(error, SR_ERROR_RUNTIME, file->path, "write attribute", field->name);
    if (attribute >= 0)
        H5Aclose(attribute);
    if (space >= 0)
        H5Sclose(space);
    return status;
}

static sr_status write_field(const sr_hdf5_file *file, const checkpoint_header *header, size_t i, sr_error *error)
{
    const header_field *field = &fields[i];
    const void *value = field_of(header, i);
    switch (field->kind) {
    case FIELD_TEXT:
        return sr_hdf5_write_text(file, field->object, field->name, *(char *const *)value, error);
    case FIELD_INTEGER:
    case FIELD_OPTIONAL:
        return write_number(file, field, H5T_STD_I64LE, value, error);
    case FIELD_UNSIGNED:
        return write_number(file, field, H5T_STD_U64LE, value, error);
    case FIELD_NUMBER:
        return write_number(file, field, H5T_IEEE_F64LE, value, error);
    }
    return SR_OK;
}

sr_status checkpoint_header_write(const sr_hdf5_file *file, const checkpoint_header *header, sr_error *error)
{
    char checksum[SR_CHECKSUM_SIZE];
    SR_TRY(header_checksum(header, checksum, error));
    SR_TRY(sr_hdf5_write_text(file, "/", "format", CHECKPOINT_FORMAT, error));
    SR_TRY(sr_hdf5_create_group(file, CHECKPOINT_PROGRESS, error));
    for (size_t i = 0; i < FIELDS; ++i)
        if (!is_left_out(header, i))
            SR_TRY(write_field(file, header, i, error));
    return sr_hdf5_write_text(file, "/", CHECKPOINT_HEADER_CHECKSUM, checksum, error);
}

/* ---- reading ---- */

static sr_status read_value(const sr_hdf5_file *file, size_t i, H5T_class_t class, hid_t type, void *value, sr_error *error)
{
    const char *object = fields[i].object, *name = fields[i].name;
    if (H5Aexists_by_name(file->id, object, name, H5P_DEFAULT) <= 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: %s has no attribute %s", file->path, object, name);
    const hid_t attribute = H5Aopen_by_name(file->id, object, name, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t stored = attribute < 0 ? -1 : H5Aget_type(attribute), space = attribute < 0 ? -1 : H5Aget_space(attribute);
    const bool fits = stored >= 0 && H5Tget_class(stored) == class && space >= 0 && H5Sget_simple_extent_npoints(space) == 1;
    const bool read = fits && H5Aread(attribute, type, value) >= 0;
    if (space >= 0)
        H5Sclose(space);
    if (stored >= 0)
        H5Tclose(stored);
    if (attribute >= 0)
        H5Aclose(attribute);
    return read ? SR_OK : sr_fail(error, SR_ERROR_DATA, "%s: attribute %s of %s is not one number", file->path, name, object);
}

static sr_status read_field(const sr_hdf5_file *file, checkpoint_header *header, size_t i, sr_error *error)
{
    void *value = (char *)header + fields[i].offset;
    if (fields[i].kind == FIELD_OPTIONAL && H5Aexists_by_name(file->id, fields[i].object, fields[i].name, H5P_DEFAULT) <= 0)
        return SR_OK;
    switch (fields[i].kind) {
    case FIELD_TEXT:
        return sr_hdf5_read_text(file, fields[i].object, fields[i].name, value, error);
    case FIELD_INTEGER:
    case FIELD_OPTIONAL:
        return read_value(file, i, H5T_INTEGER, H5T_NATIVE_INT64, value, error);
    case FIELD_UNSIGNED:
        return read_value(file, i, H5T_INTEGER, H5T_NATIVE_UINT64, value, error);
    case FIELD_NUMBER:
        return read_value(file, i, H5T_FLOAT, H5T_NATIVE_DOUBLE, value, error);
    }
    return SR_OK;
}

static sr_status read_configuration(const sr_hdf5_file *file, char **text, sr_error *error)
{
    const hid_t set = H5Dopen2(file->id, CHECKPOINT_CONFIGURATION, H5P_DEFAULT);
    if (set < 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: dataset /%s is missing", file->path, CHECKPOINT_CONFIGURATION);
    const hid_t type = H5Dget_type(set), space = H5Dget_space(set);
    const bool fits = H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 &&
                      H5Sget_simple_extent_npoints(space) == 1 && sr_hdf5_is_stored(set);
    sr_status status = fits ? SR_OK
                            : sr_fail(error, SR_ERROR_DATA, "%s: dataset /%s is not one text of fixed length", file->path,
                                      CHECKPOINT_CONFIGURATION);
    const size_t size = fits ? H5Tget_size(type) : 0;
    if (fits)
        status = SR_ALLOCATE_ZERO(text, size + 1, "a configuration", error);
    if (status == SR_OK && H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, *text) < 0)
        status = sr_hdf5_fail(error, SR_ERROR_DATA, file->path, "read", CHECKPOINT_CONFIGURATION);
    H5Sclose(space);
    H5Tclose(type);
    H5Dclose(set);
    return status;
}

sr_status checkpoint_header_read(const sr_hdf5_file *file, checkpoint_header *header, char checksum[SR_CHECKSUM_SIZE],
                                 sr_error *error)
{
    for (size_t i = 0; i < FIELDS; ++i)
        SR_TRY(read_field(file, header, i, error));
    SR_TRY(read_configuration(file, &header->contents.configuration, error));
    return header_checksum(header, checksum, error);
}

/* What no training writes, whatever the checksum says. */
static sr_status check_field(const sr_hdf5_file *file, const checkpoint_header *header, size_t i, sr_error *error)
{
    const header_field *field = &fields[i];
    const void *value = field_of(header, i);
    const bool is_integer = field->kind == FIELD_INTEGER || field->kind == FIELD_OPTIONAL;
    const int64_t integer = is_integer ? *(const int64_t *)value : field->least;
    if (integer < field->least || integer > field->most)
        return sr_fail(error, SR_ERROR_DATA, "%s: attribute %s of %s is %lld; it must lie in [%lld, %lld]", file->path,
                       field->name, field->object, (long long)integer, (long long)field->least, (long long)field->most);
    if (field->kind == FIELD_NUMBER && !isfinite(*(const double *)value))
        return sr_fail(error, SR_ERROR_DATA, "%s: attribute %s of %s is %g; it must be finite", file->path, field->name,
                       field->object, *(const double *)value);
    return SR_OK;
}

static sr_status check_header(const sr_hdf5_file *file, const checkpoint_header *header, const char *found, sr_error *error)
{
    char *expected;
    SR_TRY(sr_hdf5_read_text(file, "/", CHECKPOINT_HEADER_CHECKSUM, &expected, error));
    const bool fits = strcmp(expected, found) == 0;
    free(expected);
    if (!fits)
        return sr_fail(error, SR_ERROR_DATA, "%s is damaged: the checksum of its header does not fit", file->path);
    for (size_t i = 0; i < FIELDS; ++i)
        SR_TRY(check_field(file, header, i, error));
    return SR_OK;
}

static sr_status read_header(const sr_hdf5_file *file, checkpoint_header *header, sr_error *error)
{
    char *format;
    int64_t complete = 0;
    const sr_status status = sr_hdf5_read_text(file, "/", "format", &format, error);
    if (status == SR_ERROR_RUNTIME)
        return status;
    if (status != SR_OK)
        return sr_fail(error, SR_ERROR_DATA, "%s is not a checkpoint: it has no attribute \"format\"", file->path);
    const bool known = strcmp(format, CHECKPOINT_FORMAT) == 0;
    if (!known)
        (void)sr_fail(error, SR_ERROR_DATA, "%s has the format \"%s\", expected \"%s\"", file->path, format, CHECKPOINT_FORMAT);
    free(format);
    if (!known)
        return SR_ERROR_DATA;
    if (sr_hdf5_read_integer(file, "/", CHECKPOINT_COMPLETE, &complete, NULL) != SR_OK || complete != 1)
        return sr_fail(error, SR_ERROR_DATA, "%s: the checkpoint was not written to its end", file->path);
    char checksum[SR_CHECKSUM_SIZE];
    SR_TRY(checkpoint_header_read(file, header, checksum, error));
    return check_header(file, header, checksum, error);
}

sr_status checkpoint_open(const char *path, sr_hdf5_file *file, checkpoint_header *header, sr_error *error)
{
    bool sealed;
    *header = (checkpoint_header){.has_optimizer = 0};
    SR_TRY(seal_check(path, &sealed, error));
    SR_TRY(sr_hdf5_open(file, path, error));
    sr_status status = read_header(file, header, error);
    if (status == SR_OK)
        status = seal_check_presence(file, sealed, error);
    if (status != SR_OK) {
        (void)sr_hdf5_close(file, NULL);
        sr_checkpoint_free(&header->contents);
    }
    return status;
}

void sr_checkpoint_free(sr_checkpoint *checkpoint)
{
    free(checkpoint->configuration);
    free(checkpoint->program_version);
    free(checkpoint->data_fingerprint);
    free(checkpoint->data_directory);
    *checkpoint = (sr_checkpoint){.users = 0};
}
