#include "storage/recommendations.h"

#include "srtrain/memory.h"

#include <errno.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    size_t user;
    int32_t item, rank;
    float score;
} recommendation;

struct sr_recommendations_writer {
    const sr_dataset *dataset;
    char *path, *temporary; /* NULL for standard output */
    FILE *text;             /* TSV */
    /* HDF5: collected until the end */
    size_t count, room;
    recommendation *list;
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

static sr_status open_text(sr_recommendations_writer *writer, sr_error *error)
{
    writer->text = writer->temporary ? fopen(writer->temporary, "w") : stdout;
    if (!writer->text)
        return sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", writer->temporary, strerror(errno));
    fputs("user\trank\titem\tscore\n", writer->text);
    return SR_OK;
}

sr_status sr_recommendations_open(sr_recommendations_writer **writer, const char *path, const sr_dataset *dataset,
                                  sr_error *error)
{
    *writer = NULL;
    sr_recommendations_writer *made;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "a writer of recommendations", error));
    made->dataset = dataset;
    sr_status status = SR_OK;
    if (path) {
        status = sr_copy_string(&made->path, path, error);
        if (asprintf(&made->temporary, "%s.tmp", path) < 0) {
            made->temporary = NULL;
            status = sr_fail_memory(error, strlen(path) + 5, "a file name");
        }
    }
    if (status == SR_OK && !(path && ends_in(path, ".h5")))
        status = open_text(made, error);
    if (status != SR_OK) {
        (void)sr_recommendations_close(made, false, NULL);
        return status;
    }
    *writer = made;
    return SR_OK;
}

static sr_status make_room(sr_recommendations_writer *writer, sr_error *error)
{
    if (writer->count < writer->room)
        return SR_OK;
    const size_t room = writer->room ? 2 * writer->room : 4096;
    recommendation *list = realloc(writer->list, room * sizeof *list);
    if (!list)
        return sr_fail_memory(error, room * sizeof *list, "recommendations");
    writer->list = list;
    writer->room = room;
    return SR_OK;
}

sr_status sr_recommendations_add(void *context, size_t user, size_t rank, int32_t item, double score, sr_error *error)
{
    sr_recommendations_writer *writer = context;
    if (writer->text) {
        size_t user_length, item_length;
        const char *user_name = sr_dataset_user_name(writer->dataset, user, &user_length);
        const char *item_name = sr_dataset_item_name(writer->dataset, (size_t)item, &item_length);
        if (fprintf(writer->text, "%.*s\t%zu\t%.*s\t%.6g\n", (int)user_length, user_name, rank, (int)item_length, item_name,
                    score) < 0)
            return sr_fail(error, SR_ERROR_RUNTIME, "cannot write recommendations: %s", strerror(errno));
        return SR_OK;
    }
    SR_TRY(make_room(writer, error));
    writer->list[writer->count++] = (recommendation){user, item, (int32_t)rank, (float)score};
    return SR_OK;
}

/* ---- HDF5 ---- */

static bool write_dataset(hid_t file, const char *name, hid_t type, size_t count, const void *values)
{
    const hsize_t size = count;
    const hid_t space = H5Screate_simple(1, &size, NULL);
    const hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    const bool written = set >= 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0;
    if (set >= 0)
        H5Dclose(set);
    H5Sclose(space);
    return written;
}

/* Writes the name of each recommendation's user or item as fixed-length strings. */
static bool write_names(hid_t file, const sr_recommendations_writer *writer, bool users)
{
    size_t longest = 1, length;
    for (size_t i = 0; i < writer->count; ++i) {
        (void)(users ? sr_dataset_user_name(writer->dataset, writer->list[i].user, &length)
                     : sr_dataset_item_name(writer->dataset, (size_t)writer->list[i].item, &length));
        longest = length > longest ? length : longest;
    }
    char *names = calloc(writer->count ? writer->count : 1, longest);
    if (!names)
        return false;
    for (size_t i = 0; i < writer->count; ++i) {
        const char *name = users ? sr_dataset_user_name(writer->dataset, writer->list[i].user, &length)
                                 : sr_dataset_item_name(writer->dataset, (size_t)writer->list[i].item, &length);
        memcpy(names + i * longest, name, length);
    }
    const hid_t type = H5Tcopy(H5T_C_S1);
    const bool written = H5Tset_size(type, longest) >= 0 && H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0 &&
                         write_dataset(file, users ? "user" : "item", type, writer->count, names);
    H5Tclose(type);
    free(names);
    return written;
}

static bool write_numbers(hid_t file, const sr_recommendations_writer *writer)
{
    const size_t room = writer->count ? writer->count : 1;
    int32_t *ranks = malloc(room * sizeof *ranks);
    float *scores = malloc(room * sizeof *scores);
    for (size_t i = 0; ranks && scores && i < writer->count; ++i) {
        ranks[i] = writer->list[i].rank;
        scores[i] = writer->list[i].score;
    }
    const bool written = ranks && scores && write_dataset(file, "rank", H5T_NATIVE_INT32, writer->count, ranks) &&
                         write_dataset(file, "score", H5T_NATIVE_FLOAT, writer->count, scores);
    free(ranks);
    free(scores);
    return written;
}

static sr_status write_hdf5(const sr_recommendations_writer *writer, sr_error *error)
{
    const hid_t file = H5Fcreate(writer->temporary, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    bool written = file >= 0 && write_names(file, writer, true) && write_names(file, writer, false) &&
                   write_numbers(file, writer);
    if (file >= 0)
        written = H5Fclose(file) >= 0 && written;
    return written ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s", writer->temporary);
}

/* ---- the end ---- */

static sr_status finish(sr_recommendations_writer *writer, bool keep, sr_error *error)
{
    sr_status status = SR_OK;
    if (writer->text) {
        const bool failed = ferror(writer->text) != 0;
        const bool closed = writer->path ? fclose(writer->text) == 0 : fflush(writer->text) == 0;
        if (failed || !closed)
            status = sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", writer->path ? writer->path : "standard output",
                             strerror(errno));
    } else if (keep) {
        status = write_hdf5(writer, error);
    }
    if (writer->temporary && (!keep || status != SR_OK))
        (void)remove(writer->temporary);
    else if (writer->temporary && rename(writer->temporary, writer->path) != 0)
        status = sr_fail(error, SR_ERROR_RUNTIME, "cannot rename %s to %s: %s", writer->temporary, writer->path,
                         strerror(errno));
    return status;
}

sr_status sr_recommendations_close(sr_recommendations_writer *writer, bool keep, sr_error *error)
{
    const sr_status status = finish(writer, keep, error);
    free(writer->path);
    free(writer->temporary);
    free(writer->list);
    free(writer);
    return status;
}
