#include "srtrain/item_names.h"

#include "srtrain/memory.h"
#include "storage/checkpoint_layout.h"
#include "storage/dataset_internal.h"

#include <stdlib.h>
#include <string.h>

struct sr_item_names {
    sr_mapped_file file;       /* of a checkpoint, */
    const sr_dataset *dataset; /* or NULL */
    const char *origin;        /* belongs to others */
    const char *bytes;         /* [count, width] */
    size_t count, width;
};

static sr_status read_names(sr_item_names *names, const char *set, int64_t count, bool *found, sr_error *error)
{
    const sr_mapped_array *array;
    *found = H5Lexists(names->file.file.id, set, H5P_DEFAULT) > 0;
    if (!*found)
        return sr_mapped_file_detach(&names->file, error);
    SR_TRY(sr_mapped_file_array(&names->file, set, SR_ELEMENT_TEXT, count, &array, error));
    SR_TRY(sr_mapped_file_detach(&names->file, error));
    names->bytes = array->data;
    names->count = array->count;
    names->width = array->element_size;
    return sr_mapped_array_verify(array, names->file.path, error);
}

/* Those of the dataset `set` of a checkpoint, which must be `count` many; NULL where there is no such dataset. */
static sr_status of_checkpoint(sr_item_names **names, const char *path, const char *set, int64_t count, sr_error *error)
{
    const char *slash = strrchr(path, '/');
    char *directory;
    bool found = false;
    *names = NULL;
    SR_TRY(sr_copy_string(&directory, slash ? path : ".", error));
    if (slash)
        directory[slash > path ? slash - path : 1] = '\0';
    sr_item_names *made;
    sr_status status = SR_ALLOCATE_ZERO(&made, 1, "identifiers", error);
    if (status == SR_OK) {
        made->origin = path;
        status = sr_mapped_file_open(&made->file, directory, slash ? slash + 1 : path, error);
        if (status == SR_OK)
            status = read_names(made, set, count, &found, error);
        if (status == SR_OK && found)
            *names = made;
        else
            sr_item_names_free(made);
    }
    free(directory);
    return status;
}

sr_status sr_item_names_of_checkpoint(sr_item_names **names, const char *path, const sr_checkpoint *checkpoint, sr_error *error)
{
    return of_checkpoint(names, path, CHECKPOINT_ITEM_NAMES, checkpoint->items, error);
}

sr_status sr_user_names_of_checkpoint(sr_item_names **names, const char *path, const sr_checkpoint *checkpoint, sr_error *error)
{
    return of_checkpoint(names, path, CHECKPOINT_USER_NAMES, checkpoint->users, error);
}

static sr_status of_dataset(sr_item_names **names, const sr_dataset *dataset, const sr_mapped_array *fields, size_t count,
                            sr_error *error)
{
    SR_TRY(SR_ALLOCATE_ZERO(names, 1, "identifiers", error));
    (*names)->origin = dataset->directory;
    (*names)->dataset = dataset;
    (*names)->bytes = fields->data;
    (*names)->count = count;
    (*names)->width = fields->element_size;
    return SR_OK;
}

sr_status sr_item_names_of_dataset(sr_item_names **names, const sr_dataset *dataset, sr_error *error)
{
    return of_dataset(names, dataset, dataset->item_ids, dataset->items, error);
}

sr_status sr_user_names_of_dataset(sr_item_names **names, const sr_dataset *dataset, sr_error *error)
{
    return of_dataset(names, dataset, dataset->user_ids, dataset->users, error);
}

sr_status sr_names_find(sr_item_names **names, sr_dataset **trained_on, const char *path, const sr_checkpoint *checkpoint,
                        bool users, sr_error *error)
{
    const char *what = users ? "users" : "items";
    sr_status status = users ? sr_user_names_of_checkpoint(names, path, checkpoint, error)
                             : sr_item_names_of_checkpoint(names, path, checkpoint, error);
    if (status != SR_OK || *names)
        return status;
    if (!*checkpoint->data_fingerprint)
        return sr_fail(error, SR_ERROR_DATA,
                       "%s was imported without a data set: nobody knows the %s that its rows belong to. Give srtrain import "
                       "--data DIR",
                       path, what);
    if (!*trained_on)
        status = sr_dataset_open(trained_on, checkpoint->data_directory, error);
    if (status == SR_OK)
        status = sr_checkpoint_check_data(path, checkpoint, *trained_on, error);
    if (status == SR_OK)
        return users ? sr_user_names_of_dataset(names, *trained_on, error)
                     : sr_item_names_of_dataset(names, *trained_on, error);
    sr_error_prepend(error,
                     "the checkpoint carries no identifiers of %s, and those of its own data set are needed to read another "
                     "one: ",
                     what);
    return status;
}

void sr_item_names_free(sr_item_names *names)
{
    if (names)
        sr_mapped_file_close(&names->file);
    free(names);
}

const char *sr_item_name(const sr_item_names *names, size_t item, size_t *length)
{
    const char *name = names->bytes + (item - 1) * names->width;
    *length = strnlen(name, names->width);
    return name;
}

size_t sr_item_names_count(const sr_item_names *names)
{
    return names->count;
}

size_t sr_item_names_width(const sr_item_names *names)
{
    return names->width;
}

void sr_item_names_let_go(const sr_item_names *names)
{
    if (names->dataset)
        sr_dataset_let_go(names->dataset);
    else
        sr_mapped_file_let_go(&names->file);
}

const char *sr_item_names_origin(const sr_item_names *names)
{
    return names->origin;
}
