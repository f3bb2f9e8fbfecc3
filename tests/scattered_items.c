#include "scattered_items.h"

#include "model/backbone.h"
#include "srtrain/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { SLABS = 3 };

/* Slab s has the ids that leave SLABS - 1 - s when divided by SLABS, in ascending order: of a divided table, those that are of
 * this rank. */
typedef struct {
    scattered_ranks *ranks;  /* of a divided table, else NULL */
    int32_t *ids;            /* [rows]: slab after slab, then what other ranks have */
    int32_t *row_of;         /* [rows]: where an id is */
    size_t begin[SLABS + 1]; /* where slabs begin */
    sr_real *values[ITEM_PARTS_MAXIMUM];
    sr_real *gradients[ITEM_PARTS_MAXIMUM];
    bool is_share;    /* all of that belongs to another */
    int32_t *places;  /* [rows]: of an id among the fetched rows; -1: it was not fetched */
    int32_t *fetched; /* [fetched_count]: the ids */
    size_t fetched_count;
    sr_real *fetched_values[ITEM_PARTS_MAXIMUM];
    sr_real *fetched_gradients[ITEM_PARTS_MAXIMUM];
} scattered;

static void *zeros(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    assert_non_null(memory);
    return memory;
}

static bool is_own(const scattered *s, size_t id)
{
    return !s->ranks || s->ranks->own(s->ranks, id);
}

static void order_ids(scattered *s, size_t rows)
{
    size_t row = 0;
    s->ids = zeros(rows, sizeof *s->ids);
    for (size_t slab = 0; slab < SLABS; ++slab) {
        s->begin[slab] = row;
        for (size_t id = SLABS - 1 - slab; id < rows; id += SLABS)
            if (is_own(s, id))
                s->ids[row++] = (int32_t)id;
    }
    s->begin[SLABS] = row;
    for (size_t id = 0; id < rows; ++id)
        if (!is_own(s, id))
            s->ids[row++] = (int32_t)id;
    assert_int_equal(row, rows);
    s->row_of = zeros(rows, sizeof *s->row_of);
    for (row = 0; row < rows; ++row)
        s->row_of[s->ids[row]] = (int32_t)row;
}

static void make_room_for_fetched(scattered *s, const sr_item_table *table)
{
    s->places = zeros(table->rows, sizeof *s->places);
    s->fetched = zeros(table->rows, sizeof *s->fetched);
    for (size_t part = 0; part < ITEM_PARTS_MAXIMUM; ++part) {
        const size_t size = table->rows * (table->parts[part].width + 1);
        s->fetched_values[part] = zeros(size, sizeof(sr_real));
        s->fetched_gradients[part] = zeros(size, sizeof(sr_real));
    }
    for (size_t id = 0; id < table->rows; ++id)
        s->places[id] = -1;
}

static sr_status declare_part(sr_item_table *table, item_part part, double deviation, sr_error *error)
{
    scattered *s = table->memory;
    const size_t size = table->rows * table->parts[part].width;
    (void)deviation;
    (void)error;
    if (!s->ids)
        order_ids(s, table->rows);
    s->values[part] = zeros(size, sizeof(sr_real));
    s->gradients[part] = zeros(size, sizeof(sr_real));
    return SR_OK;
}

static sr_status share(sr_item_table *share, const sr_item_table *table, sr_error *error)
{
    scattered *made = zeros(1, sizeof *made);
    (void)error;
    *made = *(const scattered *)table->memory;
    made->is_share = true;
    make_room_for_fetched(made, table);
    share->memory = made;
    return SR_OK;
}

static void free_table(sr_item_table *table)
{
    scattered *s = table->memory;
    for (size_t part = 0; part < ITEM_PARTS_MAXIMUM; ++part) {
        free(s->fetched_values[part]);
        free(s->fetched_gradients[part]);
        if (!s->is_share) {
            free(s->values[part]);
            free(s->gradients[part]);
        }
    }
    if (!s->is_share) {
        free(s->ids);
        free(s->row_of);
    }
    free(s->places);
    free(s->fetched);
    free(s);
}

/* ---- rows by their ids ---- */

static void fetch_row(scattered *s, const sr_item_table *table, int32_t id)
{
    if (s->places[id] != -1)
        return;
    const size_t place = s->fetched_count++, row = (size_t)s->row_of[id];
    s->places[id] = (int32_t)place;
    s->fetched[place] = id;
    for (size_t part = 0; part < table->part_count; ++part) {
        const size_t width = table->parts[part].width;
        memcpy(s->fetched_values[part] + place * width, s->values[part] + row * width, width * sizeof(sr_real));
        memset(s->fetched_gradients[part] + place * width, 0, width * sizeof(sr_real));
    }
}

static sr_status fetch(sr_item_table *table, const sr_item_reads *reads, sr_status status, sr_error *error)
{
    scattered *s = table->memory;
    (void)error;
    for (size_t id = 0; id < table->rows; ++id)
        s->places[id] = -1;
    s->fetched_count = 0;
    fetch_row(s, table, 0);
    for (size_t list = 0; list < reads->count; ++list)
        for (size_t i = 0; i < reads->lists[list].count; ++i)
            fetch_row(s, table, reads->lists[list].ids[i]);
    return status;
}

/* Whoever calls it more often than the others waits for them in vain, or meets them in another collective. */
static sr_status fetch_together(sr_item_table *table, const sr_item_reads *reads, sr_status status, sr_error *error)
{
    scattered_ranks *ranks = ((const scattered *)table->memory)->ranks;
    SR_TRY(ranks->agree(ranks, status, error));
    return fetch(table, reads, SR_OK, error);
}

static sr_status hand_back(sr_item_table *table, sr_status status, sr_error *error)
{
    scattered *s = table->memory;
    (void)error;
    for (size_t part = 0; part < table->part_count; ++part) {
        const size_t width = table->parts[part].width;
        for (size_t place = 0; place < s->fetched_count; ++place)
            for (size_t i = 0; i < width; ++i)
                s->gradients[part][(size_t)s->row_of[s->fetched[place]] * width + i] +=
                    s->fetched_gradients[part][place * width + i];
    }
    return status;
}

static sr_tensor *rows(sr_item_table *table, sr_tape *tape, item_part part, const int32_t *ids, size_t count,
                       const int32_t **places)
{
    scattered *s = table->memory;
    int32_t *found = sr_tape_take(tape, count, sizeof *found);
    for (size_t i = 0; found && i < count; ++i) {
        if (s->places[ids[i]] == -1)
            fail_msg("id %d is read, but was not fetched", ids[i]);
        found[i] = s->places[ids[i]];
    }
    *places = found;
    return found ? sr_tape_leaf(tape, s->fetched_values[part], s->fetched_gradients[part], s->fetched_count,
                                table->parts[part].width, SR_PARAMETERS_ORDINARY)
                 : NULL;
}

/* ---- slabs ---- */

static size_t slab_count(const sr_item_table *table)
{
    (void)table;
    return SLABS;
}

static sr_row_numbers slab_items(const sr_item_table *table, size_t slab)
{
    const scattered *s = table->memory;
    sr_row_numbers items = {.count = s->begin[slab + 1] - s->begin[slab], .list = s->ids + s->begin[slab]};
    if (items.count > 0 && (size_t)items.list[items.count - 1] > table->items) /* the mask token */
        --items.count;
    return items;
}

static const sr_real *slab_values(const sr_item_table *table, size_t slab, item_part part)
{
    const scattered *s = table->memory;
    return s->values[part] + s->begin[slab] * table->parts[part].width;
}

static sr_tensor *slab_on_tape(sr_item_table *table, sr_tape *tape, size_t slab, item_part part)
{
    scattered *s = table->memory;
    const size_t begin = s->begin[slab], width = table->parts[part].width;
    return sr_tape_leaf(tape, s->values[part] + begin * width, s->gradients[part] + begin * width, s->begin[slab + 1] - begin,
                        width, SR_PARAMETERS_ORDINARY);
}

static size_t bytes(const sr_item_table *table)
{
    size_t width = 0;
    for (size_t part = 0; part < table->part_count; ++part)
        width += table->parts[part].width;
    return table->rows * width * sizeof(sr_real);
}

#define WHAT_BOTH_DO                                                                                              \
    .declare_part = declare_part, .share = share, .free = free_table, .hand_back = hand_back, .rows = rows,       \
    .slab_count = slab_count, .slab_items = slab_items, .slab_values = slab_values, .slab_on_tape = slab_on_tape, \
    .bytes = bytes

static const item_table_kind scattered_items = {.name = "scattered", .fetch = fetch, WHAT_BOTH_DO};
static const item_table_kind divided_items = {.name = "divided", .divided = true, .fetch = fetch_together, WHAT_BOTH_DO};

/* ---- for tests ---- */

/* `s` becomes the table's. */
static sr_model *make_model(sr_model *like, const item_table_kind *kind, scattered *s)
{
    sr_model *made;
    const sr_parameters *from = sr_model_parameters(like);
    assert_int_equal(model_declare_with(&made, sr_model_configuration(like), like->items, like->users, kind, s, NULL), SR_OK);
    make_room_for_fetched(s, &made->item_table);
    sr_parameters *to = sr_model_parameters(made);
    assert_int_equal(sr_parameters_allocate(to, NULL), SR_OK);
    assert_int_equal(to->count + made->item_table.part_count, from->count);
    for (size_t i = 0; i < to->count; ++i) {
        const size_t same = sr_parameters_find(from, to->list[i].name);
        assert_true(same < from->count && from->list[same].size == to->list[i].size);
        memcpy(to->values + to->list[i].offset, from->values + from->list[same].offset, to->list[i].size * sizeof(sr_real));
    }
    for (size_t part = 0; part < made->item_table.part_count; ++part) {
        const size_t width = made->item_table.parts[part].width, same = like->item_table.parts[part].parameter;
        assert_string_equal(made->item_table.parts[part].name, from->list[same].name);
        for (size_t row = 0; row < made->item_table.rows; ++row)
            memcpy(s->values[part] + row * width, from->values + from->list[same].offset + (size_t)s->ids[row] * width,
                   width * sizeof(sr_real));
    }
    sr_model_set_step(made, sr_model_step(like));
    return made;
}

sr_model *scattered_model(sr_model *like)
{
    return make_model(like, &scattered_items, zeros(1, sizeof(scattered)));
}

sr_model *scattered_over_ranks(sr_model *like, scattered_ranks *ranks)
{
    scattered *s = zeros(1, sizeof *s);
    s->ranks = ranks;
    return make_model(like, &divided_items, s);
}

static void in_order(const sr_item_table *table, const sr_real *rows_of_part, size_t width, sr_real *ordered)
{
    const scattered *s = table->memory;
    for (size_t row = 0; row < table->rows; ++row)
        memcpy(ordered + (size_t)s->ids[row] * width, rows_of_part + row * width, width * sizeof(sr_real));
}

void scattered_values(const sr_item_table *table, item_part part, sr_real *values)
{
    in_order(table, ((const scattered *)table->memory)->values[part], table->parts[part].width, values);
}

void scattered_gradients(const sr_item_table *table, item_part part, sr_real *gradients)
{
    in_order(table, ((const scattered *)table->memory)->gradients[part], table->parts[part].width, gradients);
}

void scattered_set(sr_item_table *table, item_part part, size_t id, size_t column, sr_real value)
{
    scattered *s = table->memory;
    s->values[part][(size_t)s->row_of[id] * table->parts[part].width + column] = value;
}
