/* Item tables whose rows are divided among workers. Who owns which is the matter of srtrain/row_placement.h.
 *
 * What a step reads is fetched from the owners (divided_fetch.c), and losses over the catalogue are computed by them
 * (divided_losses.c).
 */
#include "model/divided_items.h"

#include "srtrain/memory.h"

#include <stdlib.h>
#include <string.h>

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
        free(d->team);
        sr_row_placement_free(d->placement);
    }
    id_map_free(&d->ids);
    id_map_free(&d->fetches);
    id_map_free(&d->touched);
    free(d->fetchers);
    free(d->read_places);
    free(d->places);
    free(d->wanted);
    free(d->asked);
    free(d->touches);
    free(d->counts);
    free(d->sent);
    free(d->received);
    for (size_t part = 0; part < ITEM_PARTS_MAXIMUM; ++part) {
        free(d->parts[part].read.values);
        free(d->parts[part].read_gradients.values);
        free(d->parts[part].fetched.values);
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
        status = SR_ALLOCATE_ZERO(&made->team, division->threads, "an item table", error);
    if (status == SR_OK)
        status = make_counts(made, error);
    if (status != SR_OK) {
        free_divided(made);
        return status;
    }
    *memory = made;
    return SR_OK;
}

/* The number of rows is known when the first part is declared. */
static sr_status place_rows(const sr_item_table *table, sr_error *error)
{
    divided *d = table->memory;
    const size_t threads = d->division.threads;
    const sr_placement_request request = {
        .rows = table->rows, .owners = divided_workers(d), .popularity = d->division.popularity, .counted = table->items + 1};
    SR_TRY(sr_row_placement_create(&d->placement, &request, error));
    d->division.popularity = NULL; /* it belongs to the caller */
    for (size_t i = 0; i < threads; ++i) {
        const sr_row_numbers own = sr_row_placement_rows(d->placement, d->division.rank * threads + i);
        sr_row_block_initialise(&d->blocks[i], own, table->rows);
        d->list[i] = &d->blocks[i];
    }
    return SR_OK;
}

static sr_status declare_part(sr_item_table *table, item_part part, double deviation, sr_error *error)
{
    const divided *d = table->memory;
    if (part == ITEM_VECTORS)
        SR_TRY(place_rows(table, error));
    return item_table_declare_in_blocks(table, part, deviation, d->list, d->division.threads, error);
}

static sr_status share(sr_item_table *share, const sr_item_table *table, sr_error *error)
{
    const divided *d = table->memory;
    divided *made;
    share->memory = NULL;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "an item table", error));
    *made = (divided){.division = d->division,
                      .placement = d->placement,
                      .blocks = d->blocks,
                      .list = d->list,
                      .team = d->team,
                      .is_share = true};
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

/* ---- rows by their ids ---- */

static sr_tensor *rows(sr_item_table *table, sr_tape *tape, item_part part, const int32_t *ids, size_t count,
                       const int32_t **places)
{
    const divided *d = table->memory;
    int32_t *found = sr_tape_take(tape, count, sizeof *found);
    for (size_t i = 0; found && i < count; ++i) {
        const size_t seen = id_map_find(&d->ids, ids[i]);
        if (seen == SIZE_MAX || seen < divided_first_read(d)) {
            sr_error error;
            (void)sr_fail(&error, SR_ERROR_RUNTIME, "item %d is read, but was not fetched", (int)ids[i]);
            sr_tape_fail(tape, &error);
            return NULL;
        }
        found[i] = (int32_t)seen;
    }
    *places = found;
    return found ? sr_tape_leaf(tape, d->parts[part].read.values, d->parts[part].read_gradients.values, d->ids.count,
                                table->parts[part].width, table->set)
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
    .fetch = divided_fetch,
    .hand_back = divided_hand_back,
    .rows = rows,
    .slab_count = slab_count,
    .slab_items = slab_items,
    .slab_values = slab_values,
    .slab_on_tape = slab_on_tape,
    .cross_entropy = divided_cross_entropy,
    .norm = divided_norm,
    .bytes = bytes,
};
