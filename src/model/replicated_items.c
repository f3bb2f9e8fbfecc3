/* Item tables of which every rank has all rows: they lie among the model's other parameters, in the order of ids. So the
 * reduction, the optimizer, copies that a node shares and checkpoints treat them as they treat all parameters. */
#include "model/item_table.h"

static sr_status declare_part(sr_item_table *table, item_part part, double deviation, sr_error *error)
{
    item_table_part *made = &table->parts[part];
    const size_t shape[] = {table->rows, made->width};
    SR_TRY(sr_parameters_declare(table->parameters, made->name, shape, 2, (sr_initial_values){SR_INITIAL_NORMAL, deviation},
                                 table->set, &made->parameter, error));
    sr_parameters_assign_rows(table->parameters, made->parameter, SR_ROWS_OF_ITEMS);
    return SR_OK;
}

static sr_tensor *whole(sr_item_table *table, sr_tape *tape, item_part part)
{
    return sr_tape_parameter(tape, table->parameters, table->parts[part].parameter);
}

static sr_tensor *rows(sr_item_table *table, sr_tape *tape, item_part part, const int32_t *ids, size_t count,
                       const int32_t **places)
{
    (void)count;
    *places = ids;
    return whole(table, tape, part);
}

/* All items are one slab, without the mask token behind them. */
static size_t slab_count(const sr_item_table *table)
{
    (void)table;
    return 1;
}

static sr_row_numbers slab_items(const sr_item_table *table, size_t slab)
{
    (void)slab;
    return (sr_row_numbers){.count = 1 + table->items};
}

static const sr_real *slab_values(const sr_item_table *table, size_t slab, item_part part)
{
    (void)slab;
    return table->parameters->values + table->parameters->list[table->parts[part].parameter].offset;
}

static sr_tensor *slab_on_tape(sr_item_table *table, sr_tape *tape, size_t slab, item_part part)
{
    (void)slab;
    return whole(table, tape, part);
}

static size_t bytes(const sr_item_table *table)
{
    return table->rows * item_table_row_bytes(table);
}

const item_table_kind replicated_items = {
    .name = "replicated",
    .declare_part = declare_part,
    .rows = rows,
    .slab_count = slab_count,
    .slab_items = slab_items,
    .slab_values = slab_values,
    .slab_on_tape = slab_on_tape,
    .bytes = bytes,
};
