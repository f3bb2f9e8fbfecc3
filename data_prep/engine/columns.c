#include "engine/columns.h"

#include "srtrain/memory.h"
#include "storage/output_directory.h"

#include <stdio.h>
#include <stdlib.h>

enum { COLUMNS = SR_COLUMN_TIME + 1, WRITE_BUFFER = 1 << 18, PIECE = 1 << 16 };

typedef struct {
    workplace *place;
    const column_plan *plan;
    store files[COLUMNS];
    size_t sizes[COLUMNS]; /* of elements */
    uint32_t *numbers;     /* [items that may occur]: final numbers; 0 until the item appears */
    uint32_t *appeared;    /* in order of first appearance on this rank */
    size_t appeared_count, appeared_room;
    size_t items;     /* that do occur, on all ranks */
    char *user_field; /* [user_width] */
} columns;

/* ---- where columns lie ---- */

static const char *const file_names[COLUMNS] = {"column-length",    "column-train-end", "column-valid-end", "column-user-name",
                                                "column-item-name", "column-item",      "column-time"};

static uint64_t count_of(const columns *c, sr_dataset_column column)
{
    const sequence_totals *totals = &c->plan->totals;
    switch (column) {
    case SR_COLUMN_ITEM:
        return totals->interactions;
    case SR_COLUMN_TIME:
        return c->plan->has_times ? totals->interactions : 0;
    case SR_COLUMN_ITEM_NAME:
        return c->items;
    default:
        return totals->users;
    }
}

/* One process keeps in memory what takes at most a quarter of what it may use; several share files, which rank 0 makes.
 * Collective. */
static sr_status open_column(columns *c, sr_dataset_column column, sr_error *error)
{
    workplace *place = c->place;
    const uint64_t bytes = count_of(c, column) * c->sizes[column];
    store *file = &c->files[column];
    sr_status status = SR_OK;
    if (place->ranks > 1 && place->rank == 0)
        status = workplace_store(place, file, file_names[column], true, error);
    if (place->ranks > 1) {
        SR_TRY(sr_parallel_agree(place->parallel, status, error));
        if (place->rank != 0)
            status = workplace_open_store(place, file, file_names[column], 0, error);
        return sr_parallel_agree(place->parallel, status, error);
    }
    const bool names = column == SR_COLUMN_USER_NAME || column == SR_COLUMN_ITEM_NAME;
    const bool large = column == SR_COLUMN_ITEM || column == SR_COLUMN_TIME || names;
    if (bytes > place->memory / (large ? 16 : 64))
        return workplace_store(place, file, file_names[column], false, error);
    char *memory;
    SR_TRY(SR_ALLOCATE(&memory, bytes, "a data set", error));
    store_adopt(file, memory, bytes);
    return SR_OK;
}

static sr_status read_column(void *context, sr_dataset_column column, size_t first, size_t count, void *values, sr_error *error)
{
    const columns *c = context;
    return store_read(&c->files[column], first * c->sizes[column], values, count * c->sizes[column], error);
}

/* ---- from sequences to columns ---- */

/* The number of an item on this rank, in order of first appearance. */
static sr_status number_of(columns *c, uint32_t item, uint32_t *number, sr_error *error)
{
    if (c->numbers[item] == 0) {
        SR_TRY(SR_GROW(&c->appeared, &c->appeared_room, c->appeared_count + 1, "the numbers of items", error));
        c->appeared[c->appeared_count++] = item;
        c->numbers[item] = (uint32_t)c->appeared_count;
    }
    *number = c->numbers[item];
    return SR_OK;
}

static sr_status put_sequence(columns *c, store_writer *writers, const sequence *one, sr_error *error)
{
    int32_t train_end, valid_end;
    const int32_t length = (int32_t)one->length;
    split_sequence(c->plan->split, one->times, one->length, &train_end, &valid_end);
    SR_TRY(writer_put(&writers[SR_COLUMN_LENGTH], &length, sizeof length, error));
    SR_TRY(writer_put(&writers[SR_COLUMN_TRAIN_END], &train_end, sizeof train_end, error));
    SR_TRY(writer_put(&writers[SR_COLUMN_VALID_END], &valid_end, sizeof valid_end, error));
    memset(c->user_field, 0, c->sizes[SR_COLUMN_USER_NAME]);
    memcpy(c->user_field, one->user, one->user_length);
    SR_TRY(writer_put(&writers[SR_COLUMN_USER_NAME], c->user_field, c->sizes[SR_COLUMN_USER_NAME], error));
    for (size_t i = 0; i < one->length; ++i) {
        uint32_t number;
        SR_TRY(number_of(c, one->items[i], &number, error));
        SR_TRY(writer_put(&writers[SR_COLUMN_ITEM], &number, sizeof number, error));
    }
    return one->times ? writer_put(&writers[SR_COLUMN_TIME], one->times, one->length * sizeof *one->times, error) : SR_OK;
}

/* What comes must be what was announced. */
static sr_status put_sequences(columns *c, store_writer *writers, sr_error *error)
{
    const sequence_totals *totals = &c->plan->totals;
    uint64_t users = 0, interactions = 0;
    sequence one;
    for (;;) {
        SR_TRY(c->plan->next(c->plan->context, &one, error));
        if (one.length == 0)
            break;
        SR_TRY(put_sequence(c, writers, &one, error));
        ++users;
        interactions += one.length;
    }
    if (users != totals->own_users || interactions != totals->own_interactions)
        return sr_fail(error, SR_ERROR_RUNTIME, "%llu users and %llu interactions came; expected were %llu and %llu",
                       (unsigned long long)users, (unsigned long long)interactions, (unsigned long long)totals->own_users,
                       (unsigned long long)totals->own_interactions);
    return SR_OK;
}

static sr_status fill_columns(columns *c, sr_error *error)
{
    store_writer writers[COLUMNS] = {{.buffer = NULL}};
    const sequence_totals *totals = &c->plan->totals;
    sr_status status = SR_OK;
    size_t buffer;
    SR_TRY(workplace_buffer(c->place, (size_t)2 * COLUMNS, &buffer, error));
    for (int column = 0; column < COLUMNS && status == SR_OK; ++column) {
        const bool of_users = column != SR_COLUMN_ITEM && column != SR_COLUMN_TIME;
        const uint64_t first = of_users ? totals->first_user : totals->first_interaction;
        if (column != SR_COLUMN_ITEM_NAME)
            status = writer_begin(&writers[column], &c->files[column], first * c->sizes[column],
                                  buffer < WRITE_BUFFER ? buffer : (size_t)WRITE_BUFFER, error);
    }
    if (status == SR_OK)
        status = put_sequences(c, writers, error);
    for (int column = 0; column < COLUMNS; ++column)
        status = writer_end(&writers[column], status, error);
    return status;
}

/* ---- numbers of all ranks ---- */

/* An item belongs to the first rank on which it appears: `appeared` keeps those that are this rank's. Collective. */
static sr_status keep_own_items(columns *c, sr_error *error)
{
    const workplace *place = c->place;
    const size_t count = c->plan->all_items;
    int64_t *ranks;
    SR_TRY(SR_PARALLEL_ALLOCATE(place->parallel, &ranks, (size_t)PIECE, "the numbers of items", error));
    sr_status status = SR_OK;
    for (size_t done = 0; done < count && status == SR_OK; done += PIECE) {
        const size_t here = count - done < PIECE ? count - done : (size_t)PIECE;
        for (size_t i = 0; i < here; ++i)
            ranks[i] = c->numbers[done + i] ? (int64_t)(place->ranks - place->rank) : 0;
        status = sr_parallel_maximum_int64(place->parallel, ranks, here, error);
        for (size_t i = 0; i < here; ++i)
            if (ranks[i] != (int64_t)(place->ranks - place->rank))
                c->numbers[done + i] = 0;
    }
    free(ranks);
    return status;
}

/* The items column of this rank: numbers on this rank become final ones. final [appeared_count]. Local. */
static sr_status renumber_items(columns *c, const uint32_t *final, sr_error *error)
{
    uint32_t *piece;
    const sequence_totals *totals = &c->plan->totals;
    const uint64_t first = totals->first_interaction, end = first + totals->own_interactions;
    store *file = &c->files[SR_COLUMN_ITEM];
    SR_TRY(SR_ALLOCATE(&piece, (size_t)PIECE, "the numbers of items", error));
    sr_status status = SR_OK;
    for (uint64_t done = first; done < end && status == SR_OK; done += PIECE) {
        const size_t here = end - done < PIECE ? (size_t)(end - done) : (size_t)PIECE;
        status = store_read(file, done * sizeof *piece, piece, here * sizeof *piece, error);
        for (size_t i = 0; i < here && status == SR_OK; ++i)
            piece[i] = final[piece[i] - 1];
        if (status == SR_OK)
            status = store_write(file, done * sizeof *piece, piece, here * sizeof *piece, error);
    }
    free(piece);
    return status;
}

/* With one rank the numbers are final already. Collective. */
static sr_status number_items(columns *c, sr_error *error)
{
    workplace *place = c->place;
    c->items = c->appeared_count;
    if (place->ranks == 1)
        return SR_OK;
    SR_TRY(keep_own_items(c, error));
    uint64_t own = 0, first = 0, *counts;
    for (size_t i = 0; i < c->appeared_count; ++i)
        own += c->numbers[c->appeared[i]] != 0;
    SR_TRY(SR_PARALLEL_ALLOCATE(place->parallel, &counts, place->ranks, "the numbers of items", error));
    sr_status status = workplace_share(place, own, counts, error);
    c->items = 0;
    for (size_t rank = 0; rank < place->ranks && status == SR_OK; ++rank) {
        first += rank < place->rank ? counts[rank] : 0;
        c->items += counts[rank];
    }
    free(counts);
    SR_TRY(status);
    for (size_t i = 0; i < c->appeared_count; ++i)
        if (c->numbers[c->appeared[i]] != 0)
            c->numbers[c->appeared[i]] = (uint32_t)++first;
    SR_TRY(workplace_sum(place, c->numbers, c->plan->all_items, error));
    for (size_t i = 0; i < c->appeared_count; ++i)
        c->appeared[i] = c->numbers[c->appeared[i]];
    return sr_parallel_agree(place->parallel, renumber_items(c, c->appeared, error), error);
}

/* ---- identifiers of items ---- */

typedef sr_status (*item_name_function)(columns *c, uint32_t number, const char *bytes, size_t length, sr_error *error);

/* Calls the function for each item of this rank that occurs. */
static sr_status for_item_names(columns *c, item_name_function function, sr_error *error)
{
    store_reader names;
    SR_TRY(reader_begin(&names, c->plan->items, 0, c->plan->items->size, 1 << 16, error));
    sr_status status = SR_OK;
    for (uint64_t i = 0; i < c->plan->own_items && status == SR_OK; ++i) {
        const char *bytes;
        status = reader_take(&names, NAME_HEADER, &bytes, error);
        const size_t length = status == SR_OK ? name_at(bytes).length : 0;
        if (status == SR_OK)
            status = reader_take(&names, length, &bytes, error);
        const uint32_t number = c->numbers[c->plan->first_item + i];
        if (status == SR_OK && number > 0)
            status = function(c, number, bytes, length, error);
    }
    reader_end(&names);
    return status;
}

static sr_status measure_item_name(columns *c, uint32_t number, const char *bytes, size_t length, sr_error *error)
{
    (void)number;
    (void)bytes;
    (void)error;
    c->sizes[SR_COLUMN_ITEM_NAME] = length > c->sizes[SR_COLUMN_ITEM_NAME] ? length : c->sizes[SR_COLUMN_ITEM_NAME];
    return SR_OK;
}

static sr_status put_item_name(columns *c, uint32_t number, const char *bytes, size_t length, sr_error *error)
{
    char padded[UINT16_MAX];
    const size_t width = c->sizes[SR_COLUMN_ITEM_NAME];
    memcpy(padded, bytes, length);
    memset(padded + length, 0, width - length);
    return store_write(&c->files[SR_COLUMN_ITEM_NAME], (number - 1) * (uint64_t)width, padded, width, error);
}

static sr_status write_item_names(columns *c, sr_error *error)
{
    c->sizes[SR_COLUMN_ITEM_NAME] = 1;
    sr_status status = for_item_names(c, measure_item_name, error);
    int64_t width = (int64_t)c->sizes[SR_COLUMN_ITEM_NAME];
    SR_TRY(sr_parallel_agree(c->place->parallel, status, error));
    SR_TRY(sr_parallel_maximum_int64(c->place->parallel, &width, 1, error));
    c->sizes[SR_COLUMN_ITEM_NAME] = (size_t)width;
    SR_TRY(open_column(c, SR_COLUMN_ITEM_NAME, error));
    status = for_item_names(c, put_item_name, error);
    return sr_parallel_agree(c->place->parallel, status, error);
}

/* ---- files ---- */

/* Every rank gets the plan that rank 0 has made. Collective. */
static sr_status share_plan(columns *c, const sr_dataset_source *source, sr_dataset_plan *plan, sr_error *error)
{
    sr_parallel *parallel = c->place->parallel;
    const size_t shards = c->plan->shards;
    sr_status status = c->place->rank == 0 ? sr_dataset_make_plan(plan, source, shards, error)
                                           : SR_ALLOCATE(&plan->cuts, shards + 1, "the list of shards", error);
    SR_TRY(sr_parallel_agree(parallel, status, error));
    plan->shards = shards;
    SR_TRY(sr_parallel_broadcast(parallel, plan->cuts, (shards + 1) * sizeof *plan->cuts, error));
    SR_TRY(sr_parallel_broadcast(parallel, &plan->longest, sizeof plan->longest, error));
    return sr_parallel_broadcast(parallel, plan->fingerprint, sizeof plan->fingerprint, error);
}

/* Shards are dealt out to ranks; rank 0 writes the index. Local. */
static sr_status write_own_files(const columns *c, const sr_dataset_source *source, const sr_dataset_plan *plan,
                                 const char *directory, sr_error *error)
{
    for (size_t shard = c->place->rank; shard < plan->shards; shard += c->place->ranks)
        SR_TRY(sr_dataset_write_shard(plan, source, directory, shard, error));
    return c->place->rank == 0 ? sr_dataset_write_index(plan, source, directory, error) : SR_OK;
}

/* Rank 0 makes the temporary directory, and gives it its name at the end. Collective. */
static sr_status write_directory(columns *c, const sr_dataset_source *source, const sr_dataset_plan *plan, sr_error *error)
{
    sr_parallel *parallel = c->place->parallel;
    sr_output_directory output = {NULL, NULL};
    char temporary[4096] = "";
    const bool is_root = c->place->rank == 0;
    sr_status status = is_root ? sr_output_directory_begin(&output, c->plan->directory, error) : SR_OK;
    if (status == SR_OK && is_root && strlen(output.temporary) >= sizeof temporary)
        status = sr_fail(error, SR_ERROR_RUNTIME, "%s: the name is too long", output.temporary);
    if (status == SR_OK && is_root)
        snprintf(temporary, sizeof temporary, "%s", output.temporary);
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK)
        status = sr_parallel_broadcast(parallel, temporary, sizeof temporary, error);
    if (status == SR_OK)
        status = sr_parallel_agree(parallel, write_own_files(c, source, plan, temporary, error), error);
    if (is_root && status == SR_OK)
        status = sr_output_directory_commit(&output, error);
    else if (is_root)
        sr_output_directory_discard(&output);
    return sr_parallel_agree(parallel, status, error);
}

static sr_status write_data_set(columns *c, sr_error *error)
{
    const sr_dataset_source source = {.users = c->plan->totals.users,
                                      .items = c->items,
                                      .interactions = c->plan->totals.interactions,
                                      .user_width = c->sizes[SR_COLUMN_USER_NAME],
                                      .item_width = c->sizes[SR_COLUMN_ITEM_NAME],
                                      .has_times = c->plan->has_times,
                                      .split = c->plan->split_text,
                                      .origin = c->plan->origin,
                                      .read = read_column,
                                      .context = c};
    sr_dataset_plan plan = {.cuts = NULL};
    sr_status status = share_plan(c, &source, &plan, error);
    if (status == SR_OK)
        status = write_directory(c, &source, &plan, error);
    free(plan.cuts);
    return status;
}

/* ---- all of it ---- */

static sr_status allocate_items(columns *c, sr_error *error)
{
    const uint64_t items = c->plan->all_items, needed = 12 * items;
    if (needed > c->place->memory)
        return sr_fail(error, SR_ERROR_RUNTIME, "--memory: numbering %llu items needs %llu bytes, allowed are %llu",
                       (unsigned long long)items, (unsigned long long)needed, (unsigned long long)c->place->memory);
    SR_TRY(SR_ALLOCATE(&c->user_field, c->sizes[SR_COLUMN_USER_NAME], "identifiers", error));
    return SR_ALLOCATE_ZERO(&c->numbers, items, "the numbers of items", error);
}

static sr_status write_columns(columns *c, sr_error *error)
{
    sr_parallel *parallel = c->place->parallel;
    SR_TRY(sr_parallel_agree(parallel, allocate_items(c, error), error));
    for (int column = 0; column < COLUMNS; ++column)
        if (column != SR_COLUMN_ITEM_NAME)
            SR_TRY(open_column(c, (sr_dataset_column)column, error));
    SR_TRY(sr_parallel_agree(parallel, fill_columns(c, error), error));
    SR_TRY(number_items(c, error));
    SR_TRY(write_item_names(c, error));
    free(c->numbers);
    free(c->appeared);
    c->numbers = c->appeared = NULL;
    return write_data_set(c, error);
}

sr_status columns_write(workplace *place, const column_plan *plan, sr_error *error)
{
    const size_t width = plan->totals.user_width ? plan->totals.user_width : 1;
    columns c = {.place = place,
                 .plan = plan,
                 .sizes = {[SR_COLUMN_LENGTH] = sizeof(int32_t),
                           [SR_COLUMN_TRAIN_END] = sizeof(int32_t),
                           [SR_COLUMN_VALID_END] = sizeof(int32_t),
                           [SR_COLUMN_USER_NAME] = width,
                           [SR_COLUMN_ITEM] = sizeof(int32_t),
                           [SR_COLUMN_TIME] = sizeof(int64_t)}};
    for (int column = 0; column < COLUMNS; ++column)
        c.files[column].descriptor = -1;
    const sr_status status = write_columns(&c, error);
    for (int column = 0; column < COLUMNS; ++column)
        store_close(&c.files[column]);
    free(c.numbers);
    free(c.appeared);
    free(c.user_field);
    return status;
}
