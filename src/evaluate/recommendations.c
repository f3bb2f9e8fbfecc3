#include "evaluate/recommendations.h"

#include "base/escaped.h"
#include "srtrain/memory.h"
#include "srtrain/output_file.h"
#include "storage/disk_room.h"
#include "storage/hdf5_helpers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* One dataset of the HDF5 file. Its values gather in a file without a name until their number is known: datasets are
 * contiguous, like all of ours. */
typedef struct {
    const char *name;
    size_t size; /* of an element */
    FILE *values;
} column;

enum { USER, RANK, ITEM, SCORE, COLUMNS };

struct sr_recommendations_writer {
    const sr_item_names *names;
    const char *whose, *what; /* names of the columns of users and items */
    sr_output_file output;    /* HDF5 writes to its place by itself */
    FILE *text;               /* TSV: the output's stream */
    bool begun;               /* the header line has been written */
    column columns[COLUMNS];  /* HDF5 */
    size_t count;             /* recommendations in them */
};

static bool ends_in(const char *path, const char *end)
{
    const size_t length = strlen(path), end_length = strlen(end);
    return length > end_length && strcmp(path + length - end_length, end) == 0;
}

sr_status sr_recommendations_check_path(const char *path, sr_error *error)
{
    if (!path || ends_in(path, ".tsv") || ends_in(path, ".h5"))
        return SR_OK;
    return sr_fail(error, SR_ERROR_USAGE, "--output %s: the name must end in .tsv or .h5", path);
}

/* ---- TSV ---- */

/* The header line waits for the first recommendation, or the end: standard output stays empty when nothing comes of it. */
static void begin_text(sr_recommendations_writer *writer)
{
    if (!writer->begun)
        fprintf(writer->text, "%s\trank\t%s\tscore\n", writer->whose, writer->what);
    writer->begun = true;
}

static sr_status add_line(sr_recommendations_writer *writer, const char *user, size_t user_length, size_t rank, int32_t item,
                          double score, sr_error *error)
{
    size_t item_length;
    const char *item_name = sr_item_name(writer->names, (size_t)item, &item_length);
    begin_text(writer);
    escaped_write(writer->text, user, user_length);
    fprintf(writer->text, "\t%zu\t", rank);
    escaped_write(writer->text, item_name, item_length);
    fprintf(writer->text, "\t%.6g\n", score);
    return ferror(writer->text) ? sr_fail(error, SR_ERROR_RUNTIME, "cannot write recommendations: %s", strerror(errno)) : SR_OK;
}

/* ---- HDF5 ---- */

/* Opens the file of a column's values beside the output and takes its name away at once. */
static sr_status open_column(const sr_recommendations_writer *writer, column *c, sr_error *error)
{
    char *path;
    if (asprintf(&path, "%s-%s", writer->output.place, c->name) < 0)
        return sr_fail_memory(error, strlen(writer->output.place), "a file name");
    c->values = fopen(path, "w+b");
    const sr_status status = c->values && remove(path) == 0
                                 ? SR_OK
                                 : sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", path, strerror(errno));
    free(path);
    return status;
}

static sr_status open_columns(sr_recommendations_writer *writer, size_t longest_user, sr_error *error)
{
    writer->columns[USER] = (column){.name = writer->whose, .size = longest_user ? longest_user : 1};
    writer->columns[RANK] = (column){.name = "rank", .size = sizeof(int32_t)};
    writer->columns[ITEM] = (column){.name = writer->what, .size = sr_item_names_width(writer->names)};
    writer->columns[SCORE] = (column){.name = "score", .size = sizeof(float)};
    for (size_t i = 0; i < COLUMNS; ++i)
        SR_TRY(open_column(writer, &writer->columns[i], error));
    return SR_OK;
}

/* Appends a value of at most the column's size, padded with zero bytes. Whether that succeeded is asked later. */
static void put(const column *c, const void *value, size_t size)
{
    fwrite(value, 1, size, c->values);
    for (; size < c->size; ++size)
        putc(0, c->values);
}

static sr_status check_columns(const sr_recommendations_writer *writer, sr_error *error)
{
    for (size_t i = 0; i < COLUMNS; ++i)
        if (ferror(writer->columns[i].values))
            return sr_fail(error, SR_ERROR_RUNTIME, "cannot write what %s is made of: %s", writer->output.path,
                           strerror(errno));
    return SR_OK;
}

static sr_status add_row(sr_recommendations_writer *writer, const char *user, size_t user_length, size_t rank, int32_t item,
                         double score, sr_error *error)
{
    size_t item_length;
    const char *item_name = sr_item_name(writer->names, (size_t)item, &item_length);
    const int32_t short_rank = (int32_t)rank;
    const float short_score = (float)score;
    put(&writer->columns[USER], user, user_length);
    put(&writer->columns[RANK], &short_rank, sizeof short_rank);
    put(&writer->columns[ITEM], item_name, item_length);
    put(&writer->columns[SCORE], &short_score, sizeof short_score);
    ++writer->count;
    return check_columns(writer, error);
}

/* The type of a column; closed by the caller. */
static hid_t type_of(const sr_recommendations_writer *writer, size_t index)
{
    if (index == RANK)
        return H5Tcopy(H5T_STD_I32LE);
    if (index == SCORE)
        return H5Tcopy(H5T_IEEE_F32LE);
    const hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0 && H5Tset_size(type, writer->columns[index].size) >= 0 && H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0)
        return type;
    if (type >= 0)
        H5Tclose(type);
    return -1;
}

static sr_status write_column(const sr_recommendations_writer *writer, const sr_hdf5_file *file, size_t index, sr_error *error)
{
    const column *c = &writer->columns[index];
    const size_t bytes = writer->count * c->size;
    const char nothing = 0;
    const void *values = &nothing;
    if (bytes) {
        values = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fileno(c->values), 0);
        if (values == MAP_FAILED)
            return sr_fail(error, SR_ERROR_RUNTIME, "cannot read what %s is made of: %s", writer->output.path, strerror(errno));
    }
    const hid_t type = type_of(writer, index);
    const sr_status status = type >= 0 ? sr_hdf5_write_array(file, c->name, type, writer->count, values, error)
                                       : sr_hdf5_fail(error, SR_ERROR_RUNTIME, file->path, "make a type for dataset", c->name);
    if (type >= 0)
        H5Tclose(type);
    if (bytes)
        (void)munmap((void *)values, bytes);
    return status;
}

static sr_status write_file(const sr_recommendations_writer *writer, sr_error *error)
{
    enum { METADATA = 1 << 16 }; /* generously */
    sr_hdf5_file file;
    uint64_t size = METADATA;
    for (size_t i = 0; i < COLUMNS; ++i) {
        size += writer->count * writer->columns[i].size;
        (void)fflush(writer->columns[i].values);
    }
    SR_TRY(check_columns(writer, error));
    SR_TRY(disk_room_reserve(writer->output.place, size, error));
    SR_TRY(sr_hdf5_create(&file, writer->output.place, error));
    sr_status status = SR_OK;
    for (size_t i = 0; i < COLUMNS && status == SR_OK; ++i)
        status = write_column(writer, &file, i, error);
    const sr_status closed = sr_hdf5_close(&file, status == SR_OK ? error : NULL);
    return status == SR_OK ? closed : status;
}

/* ---- the writer ---- */

static sr_status open_writer(sr_recommendations_writer **writer, const char *path, const sr_item_names *names,
                             const char *whose, const char *what, size_t longest_user, sr_error *error)
{
    *writer = NULL;
    sr_recommendations_writer *made;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "a writer of recommendations", error));
    made->names = names;
    made->whose = whose;
    made->what = what;
    sr_status status = sr_output_file_open(&made->output, path, error);
    if (status == SR_OK && path && ends_in(path, ".h5"))
        status = open_columns(made, longest_user, error);
    else
        made->text = made->output.stream;
    if (status != SR_OK)
        return sr_recommendations_close(made, status, error);
    *writer = made;
    return SR_OK;
}

sr_status sr_recommendations_open(sr_recommendations_writer **writer, const char *path, const sr_item_names *names,
                                  size_t longest_user, sr_error *error)
{
    return open_writer(writer, path, names, "user", "item", longest_user, error);
}

sr_status sr_recommendations_open_similar(sr_recommendations_writer **writer, const char *path, const sr_item_names *names,
                                          sr_error *error)
{
    return open_writer(writer, path, names, "item", "similar", sr_item_names_width(names), error);
}

sr_status sr_recommendations_add(void *context, const char *user, size_t user_length, size_t rank, int32_t item, double score,
                                 sr_error *error)
{
    sr_recommendations_writer *writer = context;
    return writer->text ? add_line(writer, user, user_length, rank, item, score, error)
                        : add_row(writer, user, user_length, rank, item, score, error);
}

static sr_status finish(sr_recommendations_writer *writer, sr_error *error)
{
    if (!writer->text)
        return write_file(writer, error);
    begin_text(writer);
    return SR_OK;
}

sr_status sr_recommendations_close(sr_recommendations_writer *writer, sr_status status, sr_error *error)
{
    if (status == SR_OK)
        status = finish(writer, error);
    for (size_t i = 0; i < COLUMNS; ++i)
        if (writer->columns[i].values)
            fclose(writer->columns[i].values);
    status = sr_output_file_close(&writer->output, status, error);
    free(writer);
    return status;
}
