/* Item tables whose rows are divided among workers.
 *
 * Worker w of W owns the rows with ids w, w + W, w + 2 W and so on: neighbours have different owners. Popular items are
 * neighbours where ids follow first appearance, so that this spreads them.
 *
 * A fetch lists the distinct ids that a worker reads and sends them to their owners. Each owner notes which of its rows
 * anybody reads, has them brought up to date, and sends them. They are leaves of the tape. Handing back sends their gradients
 * the same way. The owner adds those of a row in the order of ranks, so that a number of ranks always gives the same bits. All
 * of that takes time and memory in proportion to what is read, not to the catalogue. */
#include "model/divided_items.h"

#include "model/ranks.h"
#include "srtrain/memory.h"

#include <stdlib.h>
#include <string.h>

/* ---- who owns a row ---- */

static size_t owner_of(const divided *d, int32_t id)
{
    return (size_t)id % divided_workers(d);
}

/* Its place in the block of its owner. */
static int32_t place_at_owner(const divided *d, int32_t id)
{
    return (int32_t)((size_t)id / divided_workers(d));
}

/* The ids of worker `worker` in a table of `rows` rows. */
static sr_row_numbers ids_of(const divided *d, size_t worker, size_t rows)
{
    const size_t workers = divided_workers(d);
    return (sr_row_numbers){.count = (rows - worker + workers - 1) / workers, .first = worker, .step = workers};
}

/* ---- making ---- */

static sr_status make_counts(divided *d, sr_error *error)
{
    const size_t workers = divided_workers(d);
    SR_TRY(SR_ALLOCATE_ZERO(&d->counts, workers, "an item table", error));
    SR_TRY(SR_ALLOCATE_ZERO(&d->sent, workers + 1, "an item table", error));
    return SR_ALLOCATE_ZERO(&d->received, workers + 1, "an item table", error);
}

static void free_divided(divided *d)
{
    for (size_t i = 0; !d->is_share && d->blocks && i < d->division.threads; ++i)
        sr_row_block_free(&d->blocks[i]);
    if (!d->is_share) {
        free(d->blocks);
        free(d->list);
    }
    id_map_free(&d->ids);
    id_map_free(&d->touched);
    free(d->places);
    free(d->wanted);
    free(d->asked);
    free(d->touches);
    free(d->counts);
    free(d->sent);
    free(d->received);
    for (size_t part = 0; part < ITEM_PARTS_MAXIMUM; ++part) {
        free(d->parts[part].fetched.values);
        free(d->parts[part].fetched_gradients.values);
        free(d->parts[part].answers.values);
        free(d->parts[part].gradients.values);
    }
    free(d->room.values);
    free(d);
}

sr_status divided_items_create(void **memory, const sr_item_division *division, size_t items, sr_error *error)
{
    divided *made;
    *memory = NULL;
    if (division->ranks * division->threads > items)
        return sr_fail(error, SR_ERROR_USAGE,
                       "%zu ranks with %zu threads each cannot divide %zu items: take fewer, or item_table replicated",
                       division->ranks, division->threads, items);
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "an item table", error));
    made->division = *division;
    sr_status status = SR_ALLOCATE_ZERO(&made->blocks, division->threads, "an item table", error);
    if (status == SR_OK)
        status = SR_ALLOCATE_ZERO(&made->list, division->threads, "an item table", error);
    if (status == SR_OK)
        status = make_counts(made, error);
    if (status != SR_OK) {
        free_divided(made);
        return status;
    }
    *memory = made;
    return SR_OK;
}

static sr_status declare_part(sr_item_table *table, item_part part, double deviation, sr_error *error)
{
    divided *d = table->memory;
    const size_t threads = d->division.threads;
    for (size_t i = 0; part == ITEM_VECTORS && i < threads; ++i) {
        sr_row_block_initialise(&d->blocks[i], ids_of(d, d->division.rank * threads + i, table->rows), table->rows);
        d->list[i] = &d->blocks[i];
    }
    return item_table_declare_in_blocks(table, part, deviation, d->list, threads, error);
}

static sr_status share(sr_item_table *share, const sr_item_table *table, sr_error *error)
{
    const divided *d = table->memory;
    divided *made;
    share->memory = NULL;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "an item table", error));
    *made = (divided){.division = d->division, .blocks = d->blocks, .list = d->list, .is_share = true};
    const sr_status status = make_counts(made, error);
    if (status == SR_OK)
        share->memory = made;
    else
        free_divided(made);
    return status;
}

static void free_table(sr_item_table *table)
{
    if (table->memory)
        free_divided(table->memory);
}

/* ---- meeting the others ---- */

sr_status divided_grow(growing *memory, size_t count, sr_error *error)
{
    return SR_GROW(&memory->values, &memory->room, count, "rows of the item table", error);
}

sr_status divided_agree(divided *d, sr_status status, sr_error *error)
{
    status = d->ranks ? ranks_agree(d->ranks, status, error) : status;
    d->failed = status != SR_OK;
    return status;
}

static sr_status exchange_counts(divided *d, sr_status status, sr_error *error)
{
    const size_t workers = divided_workers(d);
    if (d->ranks)
        SR_TRY(ranks_exchange_counts(d->ranks, status, d->counts, d->received + 1, error));
    else
        d->received[1] = d->counts[0];
    SR_TRY(status);
    d->received[0] = 0;
    for (size_t worker = 0; worker < workers; ++worker)
        d->received[worker + 1] += d->received[worker];
    return SR_OK;
}

static sr_status exchange(divided *d, sr_traffic_kind kind, const void *data, const size_t *sent, void *room,
                          const size_t *received, size_t size, sr_error *error)
{
    if (d->ranks)
        return ranks_exchange(d->ranks, kind, data, sent, room, received, size, error);
    if (sent[1] > 0)
        memcpy(room, data, sent[1] * size);
    return SR_OK;
}

/* ---- fetching ---- */

/* The worker that these ranks say this is. */
static sr_status find_block(divided *d, sr_ranks *ranks, sr_error *error)
{
    const size_t workers = divided_workers(d), first = d->division.rank * d->division.threads;
    const size_t rank = ranks ? ranks->rank : 0, count = ranks ? ranks->count : 1;
    d->ranks = ranks;
    d->block = NULL;
    if (count != workers || rank < first || rank >= first + d->division.threads)
        return sr_fail(error, SR_ERROR_USAGE,
                       "the item table is divided among %zu workers (ranks times threads), but %zu read it together: "
                       "model.item_table replicated serves any number",
                       workers, count);
    d->block = &d->blocks[rank - first];
    return SR_OK;
}

static sr_status collect_ids(divided *d, const sr_item_reads *reads, sr_error *error)
{
    size_t most = 1;
    for (size_t list = 0; list < reads->count; ++list)
        most += reads->lists[list].count;
    SR_TRY(id_map_clear(&d->ids, most, error));
    (void)id_map_add(&d->ids, 0); /* the row of padding, which stands in front */
    for (size_t list = 0; list < reads->count; ++list)
        for (size_t i = 0; i < reads->lists[list].count; ++i)
            (void)id_map_add(&d->ids, reads->lists[list].ids[i]);
    SR_TRY(SR_GROW(&d->places, &d->places_room, d->ids.count, "rows of the item table", error));
    return SR_GROW(&d->wanted, &d->wanted_room, d->ids.count, "rows of the item table", error);
}

/* Orders the ids by their owners. */
static void group_by_owner(divided *d)
{
    const size_t workers = divided_workers(d);
    memset(d->counts, 0, workers * sizeof *d->counts);
    for (size_t i = 0; i < d->ids.count; ++i)
        ++d->counts[owner_of(d, d->ids.list[i])];
    d->sent[0] = 0;
    for (size_t worker = 0; worker < workers; ++worker)
        d->sent[worker + 1] = d->sent[worker] + d->counts[worker];
    memset(d->counts, 0, workers * sizeof *d->counts);
    for (size_t i = 0; i < d->ids.count; ++i) {
        const size_t owner = owner_of(d, d->ids.list[i]), place = d->sent[owner] + d->counts[owner]++;
        d->places[i] = (uint32_t)place;
        d->wanted[place] = place_at_owner(d, d->ids.list[i]);
    }
}

/* Room for all that follows, so that nothing of it can fail on one rank alone. */
static sr_status make_room(const sr_item_table *table, sr_error *error)
{
    divided *d = table->memory;
    const size_t asked = d->received[divided_workers(d)], fetched = d->ids.count;
    SR_TRY(SR_GROW(&d->asked, &d->asked_room, asked, "rows of the item table", error));
    SR_TRY(SR_GROW(&d->touches, &d->touches_room, asked, "rows of the item table", error));
    SR_TRY(id_map_clear(&d->touched, asked, error));
    for (size_t part = 0; part < table->part_count; ++part) {
        part_of_fetch *p = &d->parts[part];
        const size_t width = table->parts[part].width;
        SR_TRY(divided_grow(&p->fetched, fetched * width, error));
        SR_TRY(divided_grow(&p->fetched_gradients, fetched * width, error));
        SR_TRY(divided_grow(&p->answers, asked * width, error));
        if (!table->dense)
            SR_TRY(divided_grow(&p->gradients, asked * width, error));
    }
    return SR_OK;
}

/* Which rows are read, each once. */
static void find_touched(const sr_item_table *table)
{
    divided *d = table->memory;
    sr_row_block *block = d->block;
    const size_t asked = d->received[divided_workers(d)];
    for (size_t i = 0; i < asked; ++i)
        d->touches[i] = (uint32_t)id_map_add(&d->touched, d->asked[i]);
    const sr_touched_rows read = {.tables = block->touched.tables, .rows = d->touched.list, .count = d->touched.count};
    if (!table->dense)
        block->touched = read;
    if (block->settle)
        block->settle(block->context, &read);
}

static void write_answers(const sr_item_table *table, size_t part)
{
    const divided *d = table->memory;
    const size_t asked = d->received[divided_workers(d)], width = table->parts[part].width;
    const sr_parameters *own = &d->block->parameters;
    const sr_real *rows = own->values + own->list[part].offset;
    for (size_t i = 0; i < asked; ++i)
        memcpy(d->parts[part].answers.values + i * width, rows + (size_t)d->asked[i] * width, width * sizeof *rows);
}

static sr_status answer(const sr_item_table *table, sr_error *error)
{
    divided *d = table->memory;
    SR_TRY(exchange(d, SR_TRAFFIC_IDS, d->wanted, d->sent, d->asked, d->received, sizeof *d->asked, error));
    find_touched(table);
    for (size_t part = 0; part < table->part_count; ++part) {
        const part_of_fetch *p = &d->parts[part];
        const size_t width = table->parts[part].width;
        write_answers(table, part);
        SR_TRY(exchange(d, SR_TRAFFIC_ROWS, p->answers.values, d->received, p->fetched.values, d->sent, width * sizeof(sr_real),
                        error));
        memset(p->fetched_gradients.values, 0, d->ids.count * width * sizeof(sr_real));
    }
    return SR_OK;
}

static sr_status fetch(sr_item_table *table, const sr_item_reads *reads, sr_ranks *ranks, sr_status status, sr_error *error)
{
    divided *d = table->memory;
    d->failed = true;                                             /* unless it ends well */
    SR_TRY(find_block(d, ranks, status == SR_OK ? error : NULL)); /* the same on every rank */
    if (status == SR_OK)
        status = collect_ids(d, reads, error);
    if (status == SR_OK)
        group_by_owner(d);
    SR_TRY(exchange_counts(d, status, error));
    SR_TRY(divided_agree(d, make_room(table, error), error));
    return answer(table, error);
}

/* ---- handing back ---- */

/* Adds up the gradients of each row in the order of ranks. */
static void add_gradients(const sr_item_table *table, size_t part)
{
    divided *d = table->memory;
    const size_t asked = d->received[divided_workers(d)], width = table->parts[part].width;
    const sr_parameters *own = &d->block->parameters;
    const sr_real *given = d->parts[part].answers.values;
    sr_real *sums = table->dense ? own->gradients + own->list[part].offset : d->parts[part].gradients.values;
    if (!table->dense) {
        memset(sums, 0, d->touched.count * width * sizeof *sums);
        d->block->touched.gradients[part] = sums;
    }
    for (size_t i = 0; i < asked; ++i) {
        sr_real *sum = sums + (table->dense ? (size_t)d->asked[i] : d->touches[i]) * width;
        for (size_t column = 0; column < width; ++column)
            sum[column] += given[i * width + column];
    }
}

static sr_status hand_back(sr_item_table *table, sr_status status, sr_error *error)
{
    divided *d = table->memory;
    if (d->failed) /* together, and everybody knows */
        return status;
    SR_TRY(divided_agree(d, status, error));
    for (size_t part = 0; part < table->part_count; ++part) {
        const part_of_fetch *p = &d->parts[part];
        SR_TRY(exchange(d, SR_TRAFFIC_ROW_GRADIENTS, p->fetched_gradients.values, d->sent, p->answers.values, d->received,
                        table->parts[part].width * sizeof(sr_real), error));
        add_gradients(table, part);
    }
    return SR_OK;
}

/* ---- rows by their ids ---- */

static sr_tensor *rows(sr_item_table *table, sr_tape *tape, item_part part, const int32_t *ids, size_t count,
                       const int32_t **places)
{
    const divided *d = table->memory;
    int32_t *found = sr_tape_take(tape, count, sizeof *found);
    for (size_t i = 0; found && i < count; ++i) {
        const size_t seen = id_map_find(&d->ids, ids[i]);
        if (seen == SIZE_MAX) {
            sr_error error;
            (void)sr_fail(&error, SR_ERROR_RUNTIME, "item %d is read, but was not fetched", (int)ids[i]);
            sr_tape_fail(tape, &error);
            return NULL;
        }
        found[i] = (int32_t)d->places[seen];
    }
    *places = found;
    return found ? sr_tape_leaf(tape, d->parts[part].fetched.values, d->parts[part].fetched_gradients.values, d->ids.count,
                                table->parts[part].width, SR_PARAMETERS_ORDINARY)
                 : NULL;
}

/* ---- slabs: the blocks of this process ---- */

static size_t slab_count(const sr_item_table *table)
{
    return ((const divided *)table->memory)->division.threads;
}

static sr_row_numbers slab_items(const sr_item_table *table, size_t slab)
{
    return item_table_items_of(table, &((const divided *)table->memory)->blocks[slab]);
}

static const sr_real *slab_values(const sr_item_table *table, size_t slab, item_part part)
{
    const sr_parameters *own = &((const divided *)table->memory)->blocks[slab].parameters;
    return own->values + own->list[part].offset;
}

static sr_tensor *slab_on_tape(sr_item_table *table, sr_tape *tape, size_t slab, item_part part)
{
    return sr_tape_parameter(tape, &((divided *)table->memory)->blocks[slab].parameters, part);
}

static size_t bytes(const sr_item_table *table)
{
    const divided *d = table->memory;
    size_t owned = 0;
    for (size_t i = 0; i < d->division.threads; ++i)
        owned += d->blocks[i].numbers.count;
    return owned * item_table_row_bytes(table);
}

const item_table_kind divided_items = {
    .name = "divided",
    .divided = true,
    .declare_part = declare_part,
    .share = share,
    .free = free_table,
    .fetch = fetch,
    .hand_back = hand_back,
    .rows = rows,
    .slab_count = slab_count,
    .slab_items = slab_items,
    .slab_values = slab_values,
    .slab_on_tape = slab_on_tape,
    .cross_entropy = divided_cross_entropy,
    .norm = divided_norm,
    .bytes = bytes,
};
