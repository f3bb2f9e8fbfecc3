/* What is the same for all kinds of item tables; model/item_table.h says what is promised. */
#include "model/item_table.h"

#include "srtrain/memory.h"

#include <assert.h>
#include <stdio.h>

void item_table_initialise(sr_item_table *table, const item_table_kind *kind, void *memory, sr_parameters *parameters,
                           size_t items)
{
    *table = (sr_item_table){
        .kind = kind, .memory = memory, .parameters = parameters, .items = items, .set = SR_PARAMETERS_ORDINARY};
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

sr_status item_table_declare_in_blocks(sr_item_table *table, item_part part, double deviation, sr_row_block *const *list,
                                       size_t count, sr_error *error)
{
    sr_parameters *parameters = table->parameters;
    const item_table_part *made = &table->parts[part];
    if (part == ITEM_VECTORS) {
        parameters->row_blocks = list;
        parameters->row_block_count = count;
    }
    for (size_t i = 0; i < count; ++i) {
        sr_row_block *block = list[i];
        const size_t shape[] = {block->numbers.count, made->width};
        if (part == ITEM_VECTORS)
            block->before = parameters->count;
        block->dense = table->dense;
        block->parameters.normal_mean = parameters->normal_mean;
        size_t index;
        SR_TRY(sr_parameters_declare(&block->parameters, made->name, shape, 2,
                                     (sr_initial_values){SR_INITIAL_NORMAL, deviation}, table->set, &index, error));
        sr_parameters_assign_rows(&block->parameters, index, SR_ROWS_OF_ITEMS);
        block->touched = (sr_touched_rows){.tables = {.count = part + 1}, .every = true};
        for (size_t t = 0; t <= part; ++t)
            block->touched.tables.index[t] = t;
    }
    return SR_OK;
}

sr_row_numbers item_table_items_of(const sr_item_table *table, const sr_row_block *block)
{
    sr_row_numbers items = block->numbers;
    if (items.count > 0 && (size_t)sr_row_number(&items, items.count - 1) > table->items)
        --items.count;
    return items;
}

size_t item_table_row_bytes(const sr_item_table *table)
{
    size_t width = 0;
    for (size_t part = 0; part < table->part_count; ++part)
        width += table->parts[part].width;
    return width * sizeof(sr_real);
}

bool item_table_joins_ranks(const sr_item_table *table)
{
    return table->kind->cross_entropy && table->dense;
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

size_t sr_item_table_width(const sr_item_table *table)
{
    return table->parts[ITEM_VECTORS].width;
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
    sr_tensor *rows = states ? table->kind->rows(table, tape, table->scored, ids, states->rows, &places) : NULL;
    return rows ? sr_item_scores(tape, states, rows, places) : NULL;
}

void item_table_compare(sr_item_table *table, sr_tape *tape, const int32_t *targets, size_t n, const int32_t *entries,
                        sr_comparison *with)
{
    with->target_table = table->kind->rows(table, tape, table->scored, targets, n, &with->target_places);
    with->table = table->kind->rows(table, tape, table->scored, entries, with->lists * with->length, &with->places);
}

/* ---- the whole catalogue ---- */

sr_tensor *item_table_cross_entropy(sr_item_table *table, sr_tape *tape, sr_tensor *states, const sr_row_targets *targets,
                                    const sr_scoring *scoring, double weight)
{
    if (table->kind->cross_entropy) {
        assert(!targets->first);
        return table->kind->cross_entropy(table, tape, states, targets->items, scoring, weight);
    }
    const size_t count = table->kind->slab_count(table);
    sr_slab *slabs = sr_tape_take(tape, count, sizeof *slabs);
    for (size_t i = 0; slabs && i < count; ++i)
        slabs[i] = (sr_slab){.rows = table->kind->slab_on_tape(table, tape, i, table->scored),
                             .numbers = table->kind->slab_items(table, i)};
    return slabs ? sr_slabs_cross_entropy(tape, states, slabs, count, targets, scoring, weight) : NULL;
}

size_t item_table_cross_entropy_memory(size_t targets, size_t items, size_t kept)
{
    return sr_catalogue_cross_entropy_memory(targets, items + 1, kept);
}

sr_tensor *item_table_norm(sr_item_table *table, sr_tape *tape, item_part part)
{
    if (table->kind->norm)
        return table->kind->norm(table, tape, part);
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
