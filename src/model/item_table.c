/* What is the same for all kinds of item tables; model/item_table.h says what is promised. */
#include "model/item_table.h"

#include "srtrain/memory.h"

#include <assert.h>
#include <stdio.h>

void item_table_initialise(sr_item_table *table, const item_table_kind *kind, void *memory, sr_parameters *parameters,
                           size_t items)
{
    *table = (sr_item_table){.kind = kind, .memory = memory, .parameters = parameters, .items = items};
}

void item_table_free(sr_item_table *table)
{
    if (table->kind && table->kind->free)
        table->kind->free(table);
    *table = (sr_item_table){.kind = NULL};
}

sr_status item_table_declare(sr_item_table *table, const char *name, size_t more, size_t width, double deviation,
                             sr_error *error)
{
    assert(table->part_count < ITEM_PARTS_MAXIMUM && (table->part_count == 0 || table->rows == 1 + table->items + more));
    item_table_part *part = &table->parts[table->part_count];
    *part = (item_table_part){.width = width, .parameter = SIZE_MAX};
    snprintf(part->name, sizeof part->name, "%s.weight", name);
    table->rows = 1 + table->items + more;
    SR_TRY(table->kind->declare_part(table, (item_part)table->part_count, deviation, error));
    ++table->part_count;
    return SR_OK;
}

sr_status item_table_share(sr_item_table *share, const sr_item_table *table, sr_parameters *parameters, sr_error *error)
{
    *share = *table;
    share->parameters = parameters;
    return table->kind->share ? table->kind->share(share, table, error) : SR_OK;
}

size_t sr_item_table_rows(const sr_item_table *table)
{
    return table->rows;
}

size_t sr_item_table_bytes(const sr_item_table *table)
{
    return table->kind->bytes(table);
}

bool sr_item_table_is_divided(const sr_item_table *table)
{
    return table->kind->divided;
}

/* ---- rows by their ids ---- */

sr_tensor *item_table_read(sr_item_table *table, sr_tape *tape, item_part part, const int32_t *ids, size_t count,
                           bool padding_row)
{
    const int32_t *places;
    sr_tensor *rows = table->kind->rows(table, tape, part, ids, count, &places);
    return rows ? sr_embedding(tape, rows, places, count, padding_row) : NULL;
}

sr_tensor *item_table_padding(sr_item_table *table, sr_tape *tape, item_part part)
{
    static const int32_t padding[] = {0};
    const int32_t *places;
    const sr_tensor *rows = table->kind->rows(table, tape, part, padding, 1, &places);
    return rows ? sr_tape_constant(tape, rows->values + (size_t)places[0] * rows->columns, 1, rows->columns) : NULL;
}

sr_tensor *item_table_scores(sr_item_table *table, sr_tape *tape, sr_tensor *states, const int32_t *ids)
{
    const int32_t *places;
    sr_tensor *rows = states ? table->kind->rows(table, tape, ITEM_VECTORS, ids, states->rows, &places) : NULL;
    return rows ? sr_item_scores(tape, states, rows, places) : NULL;
}

void item_table_compare(sr_item_table *table, sr_tape *tape, const int32_t *targets, size_t n, const int32_t *entries,
                        sr_comparison *with)
{
    with->target_table = table->kind->rows(table, tape, ITEM_VECTORS, targets, n, &with->target_places);
    with->table = table->kind->rows(table, tape, ITEM_VECTORS, entries, with->lists * with->length, &with->places);
}

/* ---- the whole catalogue ---- */

sr_tensor *item_table_cross_entropy(sr_item_table *table, sr_tape *tape, sr_tensor *states, const int32_t *targets,
                                    const sr_scoring *scoring, double weight)
{
    const size_t count = table->kind->slab_count(table);
    sr_slab *slabs = sr_tape_take(tape, count, sizeof *slabs);
    for (size_t i = 0; slabs && i < count; ++i)
        slabs[i] = (sr_slab){.rows = table->kind->slab_on_tape(table, tape, i, ITEM_VECTORS),
                             .numbers = table->kind->slab_items(table, i)};
    return slabs ? sr_slabs_cross_entropy(tape, states, slabs, count, targets, scoring, weight) : NULL;
}

size_t item_table_cross_entropy_memory(size_t targets, size_t items, size_t kept)
{
    return sr_catalogue_cross_entropy_memory(targets, items + 1, kept);
}

sr_tensor *item_table_norm(sr_item_table *table, sr_tape *tape, item_part part)
{
    const size_t count = table->kind->slab_count(table);
    sr_tensor **slabs = sr_tape_take(tape, count, sizeof(sr_tensor *));
    for (size_t i = 0; slabs && i < count; ++i)
        slabs[i] = table->kind->slab_on_tape(table, tape, i, part);
    return slabs ? sr_frobenius_norm_of_all(tape, slabs, count) : NULL;
}

/* ---- what a batch reads ---- */

static void add_list(sr_item_reads *reads, const int32_t *ids, size_t count)
{
    if (ids && count > 0)
        reads->lists[reads->count++] = (sr_id_list){ids, count};
}

static void add_batch(sr_item_reads *reads, const sr_batch *batch)
{
    add_list(reads, batch->items, batch->layout.offsets[batch->layout.sequences]);
    add_list(reads, batch->target_items, batch->targets);
    if (batch->negatives)
        add_list(reads, batch->negatives->items, batch->negatives->lists * batch->negatives->length);
    if (batch->again)
        add_batch(reads, batch->again);
    if (batch->alike)
        add_batch(reads, batch->alike);
}

sr_item_reads sr_batch_item_reads(const sr_batch *batch)
{
    sr_item_reads reads = {.count = 0};
    if (batch)
        add_batch(&reads, batch);
    return reads;
}
