#include "engine/columns.h"

#include "engine/item_numbers.h"
#include "srtrain/memory.h"
#include "storage/output_directory.h"

#include <stdio.h>
#include <stdlib.h>

enum { COLUMNS = SR_COLUMN_TIME + 1, WRITE_BUFFER = 1 << 18 };

typedef struct {
    workplace *place;
    const column_plan *plan;
    store files[COLUMNS];
    size_t sizes[COLUMNS]; /* of elements */
    uint64_t items;        /* of the data set */
    char *user_field;      /* [user_width] */
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
    if (place->ranks > 1)
        return workplace_common_store(place, file, file_names[column], error);
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
    if (column == SR_COLUMN_ITEM_NAME && c->plan->name_item) {
        char *at = values;
        for (size_t i = 0; i < count; ++i, at += c->sizes[column])
            c->plan->name_item(first + i, at, c->sizes[column]);
        return SR_OK;
    }
    return store_read(&c->files[column], first * c->sizes[column], values, count * c->sizes[column], error);
}

/* ---- from sequences to columns ---- */

static sr_status put_sequence(columns *c, store_writer *writers, const sequence *one, sr_error *error)
{
    const int32_t length = (int32_t)one->length, train_end = (int32_t)one->train_end, valid_end = (int32_t)one->valid_end;
    SR_TRY(writer_put(&writers[SR_COLUMN_LENGTH], &length, sizeof length, error));
    SR_TRY(writer_put(&writers[SR_COLUMN_TRAIN_END], &train_end, sizeof train_end, error));
    SR_TRY(writer_put(&writers[SR_COLUMN_VALID_END], &valid_end, sizeof valid_end, error));
    memset(c->user_field, 0, c->sizes[SR_COLUMN_USER_NAME]);
    memcpy(c->user_field, one->user, one->user_length);
    SR_TRY(writer_put(&writers[SR_COLUMN_USER_NAME], c->user_field, c->sizes[SR_COLUMN_USER_NAME], error));
    for (size_t i = 0; i < one->length; ++i) { /* numbers are final or wait for the next step */
        const uint32_t number = one->items[i] + (c->plan->name_item != NULL);
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

/* ---- items ---- */

/* Items get their final numbers, and their identifiers the order of these. Collective. */
static sr_status number_items(columns *c, store *numbers, sr_error *error)
{
    workplace *place = c->place;
    const column_plan *plan = c->plan;
    const sequence_totals *totals = &plan->totals;
    const item_column items = {.column = &c->files[SR_COLUMN_ITEM],
                               .first = totals->first_interaction,
                               .end = totals->first_interaction + totals->own_interactions,
                               .all_items = plan->all_items,
                               .first_item = plan->first_item,
                               .own_items = plan->own_items};
    SR_TRY(item_numbers_assign(place, &items, numbers, &c->items, error));
    const item_names names = {
        .names = plan->items, .numbers = numbers, .names_file = plan->items_file, .own_items = plan->own_items};
    SR_TRY(item_names_width(place, &names, &c->sizes[SR_COLUMN_ITEM_NAME], error));
    SR_TRY(open_column(c, SR_COLUMN_ITEM_NAME, error));
    return item_names_write(place, &names, c->items, c->sizes[SR_COLUMN_ITEM_NAME], &c->files[SR_COLUMN_ITEM_NAME], error);
}

static sr_status settle_items(columns *c, sr_error *error)
{
    if (c->plan->name_item) {
        c->items = c->plan->all_items;
        c->sizes[SR_COLUMN_ITEM_NAME] = c->plan->item_width;
        return SR_OK;
    }
    store numbers = {.descriptor = -1};
    const sr_status status = number_items(c, &numbers, error);
    store_close(&numbers);
    return status;
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
                                      .memory = c->place->range ? c->place->range * sizeof(int64_t) : c->place->memory / 4,
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

static sr_status write_columns(columns *c, sr_error *error)
{
    sr_parallel *parallel = c->place->parallel;
    SR_TRY(
        sr_parallel_agree(parallel, SR_ALLOCATE(&c->user_field, c->sizes[SR_COLUMN_USER_NAME], "identifiers", error), error));
    for (int column = 0; column < COLUMNS; ++column)
        if (column != SR_COLUMN_ITEM_NAME)
            SR_TRY(open_column(c, (sr_dataset_column)column, error));
    SR_TRY(sr_parallel_agree(parallel, fill_columns(c, error), error));
    if (c->plan->release)
        c->plan->release(c->plan->context);
    SR_TRY(settle_items(c, error));
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
    free(c.user_field);
    return status;
}
