/* Seals of HDF5 files: where their arrays lie, and whether there has to be a seal. */
#include "storage/seal_hdf5.h"

#include "storage/seal.h"
#include "srtrain/memory.h"

#include <stdlib.h>

sr_status seal_check_presence(const sr_hdf5_file *file, bool sealed, sr_error *error)
{
    int64_t expected = 0;
    if (sealed || sr_hdf5_read_integer(file, "/", SR_SEALED_ATTRIBUTE, &expected, NULL) != SR_OK || expected != 1)
        return SR_OK;
    return sr_fail(error, SR_ERROR_DATA, "%s is damaged: it was cut or changed behind its last array, where its seal was",
                   file->path);
}

typedef struct {
    file_range *ranges;
    size_t count, room;
    sr_status status; /* of adding to it */
    sr_error *error;
} range_list;

static bool add_range(range_list *list, uint64_t place, uint64_t bytes)
{
    list->status = SR_GROW(&list->ranges, &list->room, list->count + 1, "the list of arrays in a seal", list->error);
    if (list->status != SR_OK)
        return false;
    list->ranges[list->count++] = (file_range){place, bytes};
    return true;
}

static herr_t list_array(hid_t file, const char *name, void *context)
{
    const hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
    const hid_t creation = set < 0 ? -1 : H5Dget_create_plist(set);
    const bool contiguous = creation >= 0 && H5Pget_layout(creation) == H5D_CONTIGUOUS;
    const haddr_t place = contiguous ? H5Dget_offset(set) : HADDR_UNDEF;
    bool listed = set >= 0;
    if (place != HADDR_UNDEF)
        listed = add_range(context, place, H5Dget_storage_size(set));
    if (creation >= 0)
        H5Pclose(creation);
    if (set >= 0)
        H5Dclose(set);
    return listed ? 0 : -1;
}

static sr_status list_arrays(const char *path, range_list *list, sr_error *error)
{
    sr_hdf5_file file;
    *list = (range_list){.error = error};
    SR_TRY(sr_hdf5_open(&file, path, error));
    const bool listed = sr_hdf5_visit_datasets(file.id, list_array, list) >= 0;
    (void)sr_hdf5_close(&file, NULL); /* it was only read */
    SR_TRY(list->status);
    return listed ? SR_OK : sr_fail(error, SR_ERROR_DATA, "%s: its datasets cannot be listed", path);
}

sr_status seal_append_to_hdf5(const char *path, sr_error *error)
{
    range_list list;
    sr_status status = list_arrays(path, &list, error);
    if (status == SR_OK)
        status = seal_append(path, list.ranges, list.count, error);
    free(list.ranges);
    return status;
}
