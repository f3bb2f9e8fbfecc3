/* Verifying a whole checkpoint. Rank 0 lists the blocks of all arrays. Each rank reads and hashes its part of them straight
 * from the file, a block at a time: no array need fit into memory. */
#include "srtrain/file_work.h"
#include "srtrain/item_names.h"
#include "srtrain/memory.h"
#include "storage/checkpoint_layout.h"
#include "storage/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    file_range range;
    checkpoint_checksum checksum;
    char array[SR_PARAMETER_NAME_SIZE + CHECKPOINT_GROUP_NAME_SIZE + 2]; /* for messages */
} stored_block;

/* On rank 0, while the file is listed. */
typedef struct {
    const char *path, *group;
    stored_block *blocks;
    size_t count, room;
    sr_status status;
    sr_error *error;
} block_list;

static sr_status make_room(block_list *list, size_t more, sr_error *error)
{
    return SR_GROW(&list->blocks, &list->room, list->count + more, "the blocks of a checkpoint", error);
}

/* The number of elements of an array that is stored as we store them; SIZE_MAX for any other. */
static size_t elements_of(hid_t set)
{
    const hid_t type = H5Dget_type(set), space = H5Dget_space(set), creation = H5Dget_create_plist(set);
    const hssize_t points = H5Sget_simple_extent_npoints(space);
    const bool fits = points >= 0 && H5Tequal(type, H5T_IEEE_F32LE) > 0 && H5Pget_layout(creation) == H5D_CONTIGUOUS &&
                      sr_hdf5_is_stored(set);
    H5Pclose(creation);
    H5Sclose(space);
    H5Tclose(type);
    return fits ? (size_t)points : SIZE_MAX;
}

static sr_status list_array(block_list *list, hid_t set, const char *name)
{
    char array[sizeof list->blocks->array];
    snprintf(array, sizeof array, "/%s/%s", list->group, name);
    const size_t elements = elements_of(set);
    if (elements == SIZE_MAX)
        return sr_fail(list->error, SR_ERROR_DATA, "%s: %s is not a contiguous dataset of 32-bit little-endian floats",
                       list->path, array);
    const size_t blocks = checkpoint_blocks_of(elements);
    checkpoint_checksum *checksums = NULL;
    sr_status status = make_room(list, blocks, list->error);
    if (status == SR_OK)
        status = SR_ALLOCATE(&checksums, blocks, "checksums", list->error);
    if (status == SR_OK)
        status = checkpoint_read_checksums(set, list->path, array, blocks, checksums, list->error);
    for (size_t i = 0; i < blocks && status == SR_OK; ++i) {
        const size_t begin = i * CHECKPOINT_BLOCK, left = elements - begin;
        stored_block *block = &list->blocks[list->count++];
        *block = (stored_block){.range = {.place = H5Dget_offset(set) + begin * sizeof(float),
                                          .bytes = (left < CHECKPOINT_BLOCK ? left : CHECKPOINT_BLOCK) * sizeof(float)},
                                .checksum = checksums[i]};
        memcpy(block->array, array, sizeof array);
    }
    free(checksums);
    return status;
}

static herr_t list_link(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    (void)info;
    block_list *list = context;
    const hid_t set = H5Dopen2(group, name, H5P_DEFAULT);
    list->status = set >= 0 ? list_array(list, set, name)
                            : sr_fail(list->error, SR_ERROR_DATA, "%s: /%s/%s cannot be opened", list->path, list->group, name);
    if (set >= 0)
        H5Dclose(set);
    return list->status == SR_OK ? 0 : 1;
}

static sr_status list_group(block_list *list, hid_t file, const char *name)
{
    list->group = name;
    const hid_t group = H5Gopen2(file, name, H5P_DEFAULT);
    if (group < 0)
        return sr_fail(list->error, SR_ERROR_DATA, "%s: the group /%s is missing", list->path, name);
    const herr_t visited = H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, list_link, list);
    H5Gclose(group);
    return visited < 0 ? sr_fail(list->error, SR_ERROR_DATA, "%s: the group /%s cannot be listed", list->path, name)
                       : list->status;
}

/* Whatever blocks the state of the optimizer has. */
static sr_status list_state(block_list *list, const sr_hdf5_file *file)
{
    checkpoint_state_names names;
    SR_TRY(checkpoint_list_state(file, &names, list->error));
    for (size_t i = 0; i < names.count; ++i) {
        char group[CHECKPOINT_GROUP_NAME_SIZE];
        snprintf(group, sizeof group, "%s/%s", CHECKPOINT_OPTIMIZER, names.list[i]);
        SR_TRY(list_group(list, file->id, group));
    }
    return SR_OK;
}

/* A file may have been given another's name. */
static sr_status check_name(const char *path, const checkpoint_header *header, sr_error *error)
{
    const char *slash = strrchr(path, '/');
    const int64_t named = sr_checkpoint_step_of_name(slash ? slash + 1 : path), step = header->contents.progress.step;
    return named < 0 || named == step
               ? SR_OK
               : sr_fail(error, SR_ERROR_DATA, "%s holds step %lld, not the one that its name says", path, (long long)step);
}

/* Identifiers of items have a checksum of their own. */
static sr_status check_item_names(const char *path, const checkpoint_header *header, sr_error *error)
{
    sr_item_names *names;
    SR_TRY(sr_item_names_of_checkpoint(&names, path, &header->contents, error));
    sr_item_names_free(names);
    return SR_OK;
}

static sr_status list_blocks(block_list *list, bool for_training)
{
    sr_hdf5_file file;
    checkpoint_header header;
    SR_TRY(checkpoint_open(list->path, &file, &header, list->error));
    sr_status status = check_name(list->path, &header, list->error);
    if (status == SR_OK && for_training && !header.has_optimizer)
        status = sr_fail(list->error, SR_ERROR_DATA, "%s holds parameters only: training cannot go on from it", list->path);
    if (status == SR_OK)
        status = list_group(list, file.id, CHECKPOINT_PARAMETERS);
    if (status == SR_OK && header.has_optimizer)
        status = list_state(list, &file);
    if (status == SR_OK)
        status = check_item_names(list->path, &header, list->error);
    sr_checkpoint_free(&header.contents);
    (void)sr_hdf5_close(&file, NULL); /* it was only read */
    return status;
}

/* ---- hashing ---- */

static sr_status check_block(int descriptor, const char *path, const stored_block *block, char *buffer, sr_error *error)
{
    for (size_t done = 0; done < block->range.bytes;) {
        const ssize_t count = pread(descriptor, buffer + done, block->range.bytes - done, (off_t)(block->range.place + done));
        sr_file_work_step();
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return sr_fail(error, SR_ERROR_DATA, "cannot read %s: %s", path, strerror(errno));
        if (count == 0)
            return sr_fail(error, SR_ERROR_DATA, "%s is cut off inside %s", path, block->array);
        done += (size_t)count;
    }
    checkpoint_checksum found;
    XXH128_canonicalFromHash(&found, XXH3_128bits(buffer, block->range.bytes));
    if (memcmp(&found, &block->checksum, sizeof found) != 0)
        return sr_fail(error, SR_ERROR_DATA, "%s is damaged: the checksum of %s does not fit", path, block->array);
    return SR_OK;
}

/* Blocks first, first + every, ... */
static sr_status check_blocks(const char *path, const stored_block *blocks, size_t count, size_t first, size_t every,
                              sr_error *error)
{
    char *buffer;
    SR_TRY(SR_ALLOCATE(&buffer, CHECKPOINT_BLOCK * sizeof(float), "a block of a checkpoint", error));
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    sr_status status = descriptor >= 0 ? SR_OK : sr_fail(error, SR_ERROR_DATA, "cannot open %s: %s", path, strerror(errno));
    for (size_t i = first; i < count && status == SR_OK; i += every)
        status = check_block(descriptor, path, &blocks[i], buffer, error);
    if (descriptor >= 0)
        close(descriptor);
    free(buffer);
    return status;
}

/* Rank 0's list to every rank. */
static sr_status share_list(sr_parallel *parallel, block_list *list, sr_error *error)
{
    uint64_t count = list->count;
    SR_TRY(sr_parallel_broadcast(parallel, &count, sizeof count, error));
    sr_status status = SR_OK;
    if (sr_parallel_rank(parallel) != 0)
        status = make_room(list, count, error);
    SR_TRY(sr_parallel_agree(parallel, status, error));
    list->count = count;
    return sr_parallel_broadcast(parallel, list->blocks, count * sizeof *list->blocks, error);
}

sr_status sr_checkpoint_verify(sr_parallel *parallel, const char *path, bool for_training, sr_error *error)
{
    const size_t rank = (size_t)sr_parallel_rank(parallel), ranks = (size_t)sr_parallel_size(parallel);
    block_list list = {.path = path, .error = error};
    sr_file_work_begin_reading(path, sr_file_work_bytes_of(path));
    sr_status status = sr_parallel_agree(parallel, rank == 0 ? list_blocks(&list, for_training) : SR_OK, error);
    if (status == SR_OK)
        status = share_list(parallel, &list, error);
    if (status == SR_OK)
        status = sr_parallel_agree(parallel, check_blocks(path, list.blocks, list.count, rank, ranks, error), error);
    sr_file_work_end();
    free(list.blocks);
    return status;
}

sr_status checkpoint_verify_alone(const char *path, bool for_training, sr_error *error)
{
    block_list list = {.path = path, .error = error};
    sr_status status = list_blocks(&list, for_training);
    if (status == SR_OK)
        status = check_blocks(path, list.blocks, list.count, 0, 1, error);
    free(list.blocks);
    return status;
}
