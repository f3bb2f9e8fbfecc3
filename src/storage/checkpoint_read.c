/* Reading checkpoints. Rank 0 reads what every rank needs and broadcasts: one reader asks least of a file system, and that is
 * small beside the data; all ranks share the checking of checksums. Rows that lie in blocks are read by all ranks, each a piece
 * at a time, and sent to those who have them. */
#include "srtrain/checkpoint.h"

#include "srtrain/file_work.h"
#include "srtrain/memory.h"
#include "storage/checkpoint_rows.h"
#include "storage/mismatches.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- header ---- */

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
    sr_file_work_begin_reading(path, sr_file_work_bytes_of(path));
    if (sr_parallel_rank(parallel) == 0) {
        sr_hdf5_file file;
        checkpoint_header header;
        status = checkpoint_open(path, &file, &header, error);
        if (status == SR_OK)
            (void)sr_hdf5_close(&file, NULL); /* it was only read */
        *checkpoint = header.contents;
    }
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK)
        status = share_header(parallel, checkpoint, error);
    sr_file_work_end();
    if (status != SR_OK)
        sr_checkpoint_free(checkpoint);
    return status;
}

sr_status sr_checkpoint_check_data(const char *path, const sr_checkpoint *checkpoint, const sr_dataset *dataset,
                                   sr_error *error)
{
    const char *fingerprint = sr_dataset_fingerprint(dataset), *directory = sr_dataset_directory(dataset);
    const int64_t users = (int64_t)sr_dataset_users(dataset), items = (int64_t)sr_dataset_items(dataset);
    if (*checkpoint->data_fingerprint && strcmp(checkpoint->data_fingerprint, fingerprint) != 0)
        return sr_fail(error, SR_ERROR_DATA,
                       "%s belongs to other data than %s: it was trained on %s with fingerprint %s (%lld users, %lld items), "
                       "found %s (%lld users, %lld items)",
                       path, directory, checkpoint->data_directory, checkpoint->data_fingerprint, (long long)checkpoint->users,
                       (long long)checkpoint->items, fingerprint, (long long)users, (long long)items);
    if (checkpoint->items != items)
        return sr_fail(error, SR_ERROR_DATA, "%s is a model of %lld items, but %s has %lld", path, (long long)checkpoint->items,
                       directory, (long long)items);
    if (checkpoint->users && checkpoint->users != users)
        return sr_fail(error, SR_ERROR_DATA, "%s is a model of %lld users, but %s has %lld", path, (long long)checkpoint->users,
                       directory, (long long)users);
    return SR_OK;
}

/* ---- names and shapes ---- */

/* Of the parameters, or of a block of the optimizer's state, which has the same. */
static sr_status check_names(const sr_hdf5_file *file, const char *group_name, const sr_parameters *parameters, sr_error *error)
{
    char place[1024 + CHECKPOINT_GROUP_NAME_SIZE];
    mismatch_list list = {.parameters = parameters};
    const hid_t group = H5Gopen2(file->id, group_name, H5P_DEFAULT);
    if (group < 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: the group /%s is missing", file->path, group_name);
    for (size_t i = 0; i < parameters->count; ++i) {
        hid_t set;
        (void)mismatch_open(&list, group, &parameters->list[i], &set);
        if (set >= 0)
            H5Dclose(set);
    }
    snprintf(place, sizeof place, "%s: /%s", file->path, group_name);
    const sr_status status = mismatch_find_unknown(&list, group, place, error);
    H5Gclose(group);
    return status == SR_OK ? mismatch_report(&list, place, error) : status;
}

/* ---- values ---- */

/* Where the values of an array lie that is stored as we store them. */
static sr_status find_place(const sr_hdf5_file *file, hid_t set, const char *name, uint64_t *place, sr_error *error)
{
    const hid_t creation = H5Dget_create_plist(set);
    const bool fits = creation >= 0 && H5Pget_layout(creation) == H5D_CONTIGUOUS && sr_hdf5_is_stored(set);
    if (creation >= 0)
        H5Pclose(creation);
    *place = fits ? H5Dget_offset(set) : HADDR_UNDEF;
    return *place != HADDR_UNDEF ? SR_OK : sr_fail(error, SR_ERROR_DATA, "%s: dataset %s is not contiguous", file->path, name);
}

/* Values and checksums of one array; without values, those are read later from *place on. */
static sr_status read_array(const sr_hdf5_file *file, const char *name, const sr_parameter *parameter, sr_real *values,
                            checkpoint_checksum *checksums, uint64_t *place, sr_error *error)
{
    const hid_t set = H5Dopen2(file->id, name, H5P_DEFAULT);
    if (set < 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: dataset %s is missing", file->path, name);
    const hid_t space = H5Dget_space(set), type = H5Dget_type(set);
    sr_status status = SR_OK;
    if (H5Tequal(type, H5T_IEEE_F32LE) <= 0)
        status = sr_fail(error, SR_ERROR_DATA, "%s: dataset %s does not hold 32-bit little-endian floats", file->path, name);
    else if (H5Sget_simple_extent_npoints(space) != (hssize_t)parameter->size)
        status = sr_fail(error, SR_ERROR_DATA, "%s: dataset %s does not have %zu elements", file->path, name, parameter->size);
    else if (!values)
        status = find_place(file, set, name, place, error);
    else if (H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
        status = sr_hdf5_fail(error, SR_ERROR_DATA, file->path, "read", name);
    if (status == SR_OK)
        status = checkpoint_read_checksums(set, file->path, name, checkpoint_blocks_of(parameter->size), checksums, error);
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(set);
    return status;
}

/* What is read, the checksums of all blocks, and where arrays lie in the file that lie in blocks of rows here. */
typedef struct {
    sr_parallel *parallel;
    const char *path;
    checkpoint_arrays arrays;
    checkpoint_checksum *checksums;
    uint64_t *places; /* [groups, row arrays] */
    checkpoint_rows rows;
} reading;

/* On rank 0: the groups into their blocks. */
static sr_status read_groups(const sr_hdf5_file *file, const reading *r, sr_error *error)
{
    const checkpoint_arrays *arrays = &r->arrays;
    checkpoint_checksum *checksums = r->checksums;
    for (size_t group = 0; group < arrays->groups; ++group)
        for (size_t i = 0; i < arrays->all.count; ++i) {
            const sr_parameter *parameter = &arrays->all.list[i];
            sr_file_work_step();
            const bool in_rows = checkpoint_lies_in_rows(arrays, i);
            char name[SR_PARAMETER_NAME_SIZE + CHECKPOINT_GROUP_NAME_SIZE + 2];
            snprintf(name, sizeof name, "/%s/%s", arrays->names[group], parameter->name);
            SR_TRY(read_array(file, name, parameter, in_rows ? NULL : checkpoint_place_of(arrays, group, i), checksums,
                              in_rows ? &r->places[group * arrays->row_arrays + i - arrays->first_row_array] : NULL, error));
            checksums += checkpoint_blocks_of(parameter->size);
        }
    return SR_OK;
}

static sr_status read_file(const reading *r, const sr_state *state, sr_error *error)
{
    sr_hdf5_file file;
    checkpoint_header header;
    const checkpoint_arrays *arrays = &r->arrays;
    SR_TRY(checkpoint_open(r->path, &file, &header, error));
    sr_status status = SR_OK;
    if (state && !header.has_optimizer)
        status = sr_fail(error, SR_ERROR_DATA, "%s holds parameters only: training cannot go on from it", r->path);
    if (status == SR_OK)
        status = check_names(&file, CHECKPOINT_PARAMETERS, &arrays->all, error);
    if (status == SR_OK && state)
        status = checkpoint_check_state(&file, state, error);
    for (size_t group = 1; group < arrays->groups && status == SR_OK; ++group)
        status = check_names(&file, arrays->names[group], &arrays->all, error);
    if (status == SR_OK)
        status = read_groups(&file, r, error);
    sr_checkpoint_free(&header.contents);
    (void)sr_hdf5_close(&file, NULL); /* it was only read */
    return status;
}

static sr_status check_block(const reading *r, const checkpoint_piece *piece, const sr_real *values, sr_error *error)
{
    checkpoint_checksum found;
    char name[SR_PARAMETER_NAME_SIZE + CHECKPOINT_GROUP_NAME_SIZE + 48];
    checkpoint_hash_values(values, piece->count, &found);
    if (memcmp(&r->checksums[piece->index], &found, sizeof found) == 0)
        return SR_OK;
    checkpoint_block_name(&r->arrays, piece->index, name, sizeof name);
    return sr_fail(error, SR_ERROR_DATA, "%s is damaged: the checksum of %s does not fit", r->path, name);
}

/* Every rank checks its part of the blocks, as they have arrived in its memory, against the checksums that rank 0 has read. */
static sr_status verify(const reading *r, sr_error *error)
{
    const size_t rank = (size_t)sr_parallel_rank(r->parallel), ranks = (size_t)sr_parallel_size(r->parallel);
    for (checkpoint_piece piece = {0}; checkpoint_next_piece(&r->arrays, &piece);)
        if (piece.index % ranks == rank && !checkpoint_lies_in_rows(&r->arrays, piece.array))
            SR_TRY(check_block(r, &piece, checkpoint_values(&r->arrays, &piece), error));
    return SR_OK;
}

/* ---- rows ---- */

/* Into the room. */
static sr_status read_piece(const reading *r, int descriptor, const checkpoint_piece *piece, sr_error *error)
{
    const size_t place = piece->group * r->arrays.row_arrays + piece->array - r->arrays.first_row_array;
    const size_t bytes = piece->count * sizeof(sr_real);
    for (size_t done = 0; done < bytes;) {
        const uint64_t at = r->places[place] + piece->begin * sizeof(sr_real) + done;
        const ssize_t count = pread(descriptor, (char *)r->arrays.room + done, bytes - done, (off_t)at);
        sr_file_work_step();
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return sr_fail(error, SR_ERROR_DATA, "cannot read %s: %s", r->path, count < 0 ? strerror(errno) : "it is cut off");
        done += (size_t)count;
    }
    return SR_OK;
}

/* The next piece of rows for each rank, in *walk the last of them. False where none is left. */
static bool next_round(const reading *r, checkpoint_piece *walk)
{
    checkpoint_piece *pieces = r->rows.pieces;
    for (size_t rank = 0; rank < r->rows.ranks; ++rank) {
        bool found = checkpoint_next_piece(&r->arrays, walk);
        while (found && !checkpoint_lies_in_rows(&r->arrays, walk->array))
            found = checkpoint_next_piece(&r->arrays, walk);
        pieces[rank] = *walk;
        if (!found)
            pieces[rank].count = 0;
    }
    return pieces[0].count > 0;
}

/* Each rank reads and checks a piece, whose rows go to those who have them: nobody needs memory for the whole table. A rank
 * that has failed tells the others when they meet. */
static sr_status read_rounds(reading *r, int descriptor, sr_status status, sr_error *error)
{
    for (checkpoint_piece walk = {0}; next_round(r, &walk);) {
        const checkpoint_piece *own = &r->rows.pieces[r->rows.rank];
        if (status == SR_OK && own->count > 0)
            status = read_piece(r, descriptor, own, error);
        if (status == SR_OK && own->count > 0)
            status = check_block(r, own, r->arrays.room, error);
        SR_TRY(checkpoint_rows_meet(&r->rows, status, error));
        SR_TRY(checkpoint_rows_spread(&r->rows, error));
    }
    return status;
}

static sr_status read_rows(reading *r, sr_error *error)
{
    sr_status status = SR_OK;
    if (r->arrays.row_arrays == 0)
        return SR_OK;
    const int descriptor = open(r->path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        status = sr_fail(error, SR_ERROR_DATA, "cannot open %s: %s", r->path, strerror(errno));
    status = sr_parallel_agree(r->parallel, read_rounds(r, descriptor, status, error), error);
    if (descriptor >= 0)
        close(descriptor);
    return status;
}

/* ---- together ---- */

static sr_status make_reading(reading *r, const sr_parameters *parameters, const sr_state *state, sr_error *error)
{
    SR_TRY(checkpoint_arrays_make(&r->arrays, parameters, state, error));
    SR_TRY(SR_ALLOCATE_ZERO(&r->places, r->arrays.groups * r->arrays.row_arrays, "places of arrays", error));
    SR_TRY(SR_ALLOCATE(&r->checksums, checkpoint_block_count(&r->arrays), "checksums", error));
    return checkpoint_rows_make(&r->rows, r->parallel, &r->arrays, error);
}

/* What rank 0 has read. */
static sr_status share(const reading *r, sr_node *node, size_t block_size, sr_error *error)
{
    const size_t bytes = block_size * sizeof(sr_real);
    for (size_t group = 0; group < r->arrays.groups; ++group)
        SR_TRY(node ? sr_node_broadcast(node, r->arrays.values[group], bytes, error)
                    : sr_parallel_broadcast(r->parallel, r->arrays.values[group], bytes, error));
    SR_TRY(sr_parallel_broadcast(r->parallel, r->places, r->arrays.groups * r->arrays.row_arrays * sizeof *r->places, error));
    return sr_parallel_broadcast(r->parallel, r->checksums, checkpoint_block_count(&r->arrays) * sizeof *r->checksums, error);
}

sr_status sr_checkpoint_read_shared_state(sr_parallel *parallel, sr_node *node, const char *path, sr_parameters *parameters,
                                          const sr_state *state, sr_error *error)
{
    reading r = {.parallel = parallel, .path = path};
    if (node)
        SR_TRY(sr_node_wait(node, parallel, error)); /* nobody reads any more what is written over now */
    sr_file_work_begin_reading(path, sr_file_work_bytes_of(path));
    sr_status status = make_reading(&r, parameters, state, error);
    if (status == SR_OK && sr_parallel_rank(parallel) == 0)
        status = read_file(&r, state, error);
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK)
        status = share(&r, node, parameters->block_size, error);
    if (status == SR_OK)
        status = sr_parallel_agree(parallel, verify(&r, error), error);
    if (status == SR_OK)
        status = read_rows(&r, error);
    sr_file_work_end();
    checkpoint_rows_free(&r.rows);
    free(r.places);
    free(r.checksums);
    checkpoint_arrays_free(&r.arrays);
    return status;
}

sr_status sr_checkpoint_read_state(sr_parallel *parallel, const char *path, sr_parameters *parameters, const sr_state *state,
                                   sr_error *error)
{
    return sr_checkpoint_read_shared_state(parallel, NULL, path, parameters, state, error);
}
