#include "scattered_items.h"

#include "model/backbone.h"
#include "srtrain/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { SLABS = 3, OTHERS = SLABS, BLOCKS };

/* Slab s has the ids that leave SLABS - 1 - s when divided by SLABS, in ascending order: of a divided table, those that are
 * this rank's. The last block has what other ranks have, and is no slab. */
typedef struct {
    scattered_ranks *ranks;   /* of a divided table; else NULL */
    size_t count, slab_count; /* blocks with rows, and how many of them are slabs */
    int32_t *ids[BLOCKS];
    sr_row_block blocks[BLOCKS];
    sr_row_block *list[BLOCKS];
    sr_real *sums[BLOCKS][ITEM_PARTS_MAXIMUM]; /* of the touched rows, where rows are not dense */
    int32_t *touched[BLOCKS];
} scattered_rows;

typedef struct {
    scattered_rows *rows;
    bool is_share;    /* they belong to another */
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

static sr_row_block *find(const scattered *s, int32_t id, size_t *place)
{
    for (size_t slab = 0; slab < s->rows->count; ++slab)
        if (sr_row_place(&s->rows->blocks[slab].numbers, id, place))
            return &s->rows->blocks[slab];
    fail_msg("id %d has no row", id);
    return NULL;
}

static sr_real *row_at(sr_real *rows, const sr_row_block *block, size_t part, size_t place)
{
    const sr_parameter *parameter = &block->parameters.list[part];
    return rows + parameter->offset + place * parameter->shape[1];
}

/* The slab that an id is in; OTHERS for one that another rank has. */
static size_t slab_of(const scattered_rows *r, size_t id)
{
    return r->ranks && !r->ranks->own(r->ranks, id) ? (size_t)OTHERS : SLABS - 1 - id % SLABS;
}

/* The ids of a slab, if it has any, become the next block. */
static void make_block(scattered_rows *r, size_t slab, size_t rows)
{
    size_t count = 0;
    int32_t *ids = zeros(rows, sizeof *ids);
    for (size_t id = 0; id < rows; ++id)
        if (slab_of(r, id) == slab)
            ids[count++] = (int32_t)id;
    if (count == 0) {
        free(ids);
        return;
    }
    const size_t block = r->count++;
    r->slab_count += slab != OTHERS;
    r->ids[block] = ids;
    r->touched[block] = zeros(rows, sizeof *r->touched[block]);
    sr_row_block_initialise(&r->blocks[block], (sr_row_numbers){.count = count, .list = ids}, rows);
    r->list[block] = &r->blocks[block];
}

static void make_blocks(scattered_rows *r, size_t rows)
{
    for (size_t slab = 0; slab <= OTHERS; ++slab)
        make_block(r, slab, rows);
}

static void make_room_for_fetched(scattered *s, const sr_item_table *table)
{
    if (s->places)
        return;
    s->places = zeros(table->rows, sizeof *s->places);
    s->fetched = zeros(table->rows, sizeof *s->fetched);
    for (size_t part = 0; part < ITEM_PARTS_MAXIMUM; ++part) {
        const size_t size = table->rows * (table->parts[part].width + 1);
        s->fetched_values[part] = zeros(size, sizeof(sr_real));
        s->fetched_gradients[part] = zeros(size, sizeof(sr_real));
    }
}

static sr_status declare_part(sr_item_table *table, item_part part, double deviation, sr_error *error)
{
    scattered *s = table->memory;
    if (part == ITEM_VECTORS)
        make_blocks(s->rows, table->rows);
    for (size_t slab = 0; slab < s->rows->count; ++slab)
        s->rows->sums[slab][part] = zeros(table->rows * table->parts[part].width, sizeof(sr_real));
    return item_table_declare_in_blocks(table, part, deviation, s->rows->list, s->rows->count, error);
}

static sr_status share(sr_item_table *share, const sr_item_table *table, sr_error *error)
{
    scattered *made = zeros(1, sizeof *made);
    (void)error;
    made->rows = ((const scattered *)table->memory)->rows;
    made->is_share = true;
    share->memory = made;
    return SR_OK;
}

static void free_rows(scattered_rows *r)
{
    for (size_t slab = 0; slab < r->count; ++slab) {
        sr_row_block_free(&r->blocks[slab]);
        free(r->ids[slab]);
        free(r->touched[slab]);
        for (size_t part = 0; part < ITEM_PARTS_MAXIMUM; ++part)
            free(r->sums[slab][part]);
    }
    free(r);
}

static void free_table(sr_item_table *table)
{
    scattered *s = table->memory;
    for (size_t part = 0; part < ITEM_PARTS_MAXIMUM; ++part) {
        free(s->fetched_values[part]);
        free(s->fetched_gradients[part]);
    }
    if (!s->is_share)
        free_rows(s->rows);
    free(s->places);
    free(s->fetched);
    free(s);
}

/* ---- rows by their ids ---- */

static void touch(scattered_rows *r, const sr_row_block *block, size_t place)
{
    const size_t slab = (size_t)(block - r->blocks);
    r->touched[slab][r->blocks[slab].touched.count++] = (int32_t)place;
}

static void fetch_row(scattered *s, const sr_item_table *table, int32_t id)
{
    size_t place;
    if (s->places[id] != -1)
        return;
    s->places[id] = (int32_t)s->fetched_count;
    s->fetched[s->fetched_count++] = id;
    const sr_row_block *block = find(s, id, &place);
    if (!table->dense)
        touch(s->rows, block, place);
}

static void copy_fetched(scattered *s, const sr_item_table *table)
{
    for (size_t i = 0; i < s->fetched_count; ++i)
        for (size_t part = 0; part < table->part_count; ++part) {
            size_t place;
            const size_t width = table->parts[part].width;
            const sr_row_block *block = find(s, s->fetched[i], &place);
            memcpy(s->fetched_values[part] + i * width, row_at(block->parameters.values, block, part, place),
                   width * sizeof(sr_real));
            memset(s->fetched_gradients[part] + i * width, 0, width * sizeof(sr_real));
        }
}

/* What a step asks of blocks whose rows are not dense. */
static void begin_touching(scattered_rows *r, size_t part_count, size_t rows)
{
    for (size_t slab = 0; slab < r->count; ++slab) {
        sr_touched_rows *touched = &r->blocks[slab].touched;
        touched->every = false;
        touched->rows = r->touched[slab];
        touched->count = 0;
        for (size_t part = 0; part < part_count; ++part) {
            touched->gradients[part] = r->sums[slab][part];
            memset(r->sums[slab][part], 0, rows * r->blocks[slab].parameters.list[part].shape[1] * sizeof(sr_real));
        }
    }
}

static sr_status fetch(sr_item_table *table, const sr_item_reads *reads, sr_ranks *ranks, sr_status status, sr_error *error)
{
    scattered *s = table->memory;
    (void)ranks;
    (void)error;
    make_room_for_fetched(s, table);
    for (size_t id = 0; id < table->rows; ++id)
        s->places[id] = -1;
    s->fetched_count = 0;
    if (!table->dense)
        begin_touching(s->rows, table->part_count, table->rows);
    fetch_row(s, table, 0);
    for (size_t list = 0; list < reads->count; ++list)
        for (size_t i = 0; i < reads->lists[list].count; ++i)
            fetch_row(s, table, reads->lists[list].ids[i]);
    for (size_t slab = 0; slab < s->rows->count; ++slab)
        if (s->rows->blocks[slab].settle)
            s->rows->blocks[slab].settle(s->rows->blocks[slab].context, &s->rows->blocks[slab].touched);
    copy_fetched(s, table);
    return status;
}

/* Whoever calls it more often than the others waits for them in vain, or meets them in another collective. */
static sr_status fetch_together(sr_item_table *table, const sr_item_reads *reads, sr_ranks *ranks, sr_status status,
                                sr_error *error)
{
    scattered_ranks *owners = ((const scattered *)table->memory)->rows->ranks;
    if (owners->fails(owners, ranks))
        status = sr_fail(error, SR_ERROR_RUNTIME, "rows are lost");
    SR_TRY(ranks->agree(ranks->context, status, error));
    return fetch(table, reads, ranks, SR_OK, error);
}

static size_t touched_place(const sr_touched_rows *touched, size_t place)
{
    for (size_t i = 0; i < touched->count; ++i)
        if ((size_t)touched->rows[i] == place)
            return i;
    fail_msg("place %zu was not touched", place);
    return 0;
}

static sr_status hand_back(sr_item_table *table, sr_status status, sr_error *error)
{
    scattered *s = table->memory;
    (void)error;
    for (size_t part = 0; part < table->part_count; ++part) {
        const size_t width = table->parts[part].width;
        for (size_t i = 0; i < s->fetched_count; ++i) {
            size_t place;
            const sr_row_block *block = find(s, s->fetched[i], &place);
            sr_real *sum = table->dense ? row_at(block->parameters.gradients, block, part, place)
                                        : block->touched.gradients[part] + touched_place(&block->touched, place) * width;
            for (size_t column = 0; column < width; ++column)
                sum[column] += s->fetched_gradients[part][i * width + column];
        }
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
    return ((const scattered *)table->memory)->rows->slab_count;
}

static sr_row_numbers slab_items(const sr_item_table *table, size_t slab)
{
    return item_table_items_of(table, &((const scattered *)table->memory)->rows->blocks[slab]);
}

static const sr_real *slab_values(const sr_item_table *table, size_t slab, item_part part)
{
    const sr_row_block *block = &((const scattered *)table->memory)->rows->blocks[slab];
    return row_at(block->parameters.values, block, part, 0);
}

static sr_tensor *slab_on_tape(sr_item_table *table, sr_tape *tape, size_t slab, item_part part)
{
    return sr_tape_parameter(tape, &((scattered *)table->memory)->rows->blocks[slab].parameters, part);
}

static size_t bytes(const sr_item_table *table)
{
    return table->rows * item_table_row_bytes(table);
}

#define WHAT_BOTH_DO                                                                                              \
    .declare_part = declare_part, .share = share, .free = free_table, .hand_back = hand_back, .rows = rows,       \
    .slab_count = slab_count, .slab_items = slab_items, .slab_values = slab_values, .slab_on_tape = slab_on_tape, \
    .bytes = bytes

static const item_table_kind scattered_items = {.name = "scattered", .fetch = fetch, WHAT_BOTH_DO};
static const item_table_kind scattered_over_ranks_items = {
    .name = "scattered over ranks", .divided = true, .fetch = fetch_together, WHAT_BOTH_DO};

/* ---- for tests ---- */

static sr_status declare(sr_model **model, const sr_model_settings *settings, size_t items, size_t users,
                         scattered_ranks *ranks, sr_error *error)
{
    scattered *s = zeros(1, sizeof *s);
    s->rows = zeros(1, sizeof *s->rows);
    s->rows->ranks = ranks;
    return model_declare_with(model, settings, items, users, ranks ? &scattered_over_ranks_items : &scattered_items, s, error);
}

sr_status scattered_declare(sr_model **model, const sr_model_settings *settings, size_t items, size_t users, sr_error *error)
{
    return declare(model, settings, items, users, NULL, error);
}

void copy_parameters(sr_model *to_model, sr_model *from_model)
{
    const sr_parameters *from = sr_model_parameters(from_model);
    sr_parameters *to = sr_model_parameters(to_model);
    const sr_item_table *table = sr_model_item_table(to_model);
    assert_int_equal(sr_parameters_allocate(to, NULL), SR_OK);
    assert_int_equal(to->count + table->part_count, from->count);
    for (size_t i = 0; i < to->count; ++i) {
        const size_t same = sr_parameters_find(from, to->list[i].name);
        assert_true(same < from->count && from->list[same].size == to->list[i].size);
        memcpy(to->values + to->list[i].offset, from->values + from->list[same].offset, to->list[i].size * sizeof(sr_real));
    }
    for (size_t part = 0; part < table->part_count; ++part) {
        const sr_parameter *same = &from->list[sr_model_item_table(from_model)->parts[part].parameter];
        assert_string_equal(table->parts[part].name, same->name);
        sr_row_blocks_set(to, part, SIZE_MAX, 0, same->size, from->values + same->offset);
    }
    sr_model_set_step(to_model, sr_model_step(from_model));
}

/* With the values of `like`. */
static sr_model *make_model(sr_model *like, scattered_ranks *ranks)
{
    sr_model *made;
    assert_int_equal(declare(&made, sr_model_configuration(like), like->items, like->users, ranks, NULL), SR_OK);
    copy_parameters(made, like);
    return made;
}

sr_model *scattered_model(sr_model *like)
{
    return make_model(like, NULL);
}

sr_model *scattered_over_ranks(sr_model *like, scattered_ranks *ranks)
{
    return make_model(like, ranks);
}

void scattered_values(const sr_item_table *table, item_part part, sr_real *values)
{
    sr_row_blocks_get(table->parameters, part, SIZE_MAX, 0, table->rows * table->parts[part].width, values);
}

void scattered_gradients(const sr_item_table *table, item_part part, sr_real *gradients)
{
    const scattered *s = table->memory;
    const size_t width = table->parts[part].width;
    memset(gradients, 0, table->rows * width * sizeof *gradients);
    for (size_t slab = 0; slab < s->rows->count; ++slab) {
        const sr_row_block *block = &s->rows->blocks[slab];
        const size_t count = table->dense ? block->numbers.count : block->touched.count;
        for (size_t i = 0; i < count; ++i) {
            const size_t place = table->dense ? i : (size_t)block->touched.rows[i];
            const sr_real *row = table->dense ? row_at(block->parameters.gradients, block, part, place)
                                              : block->touched.gradients[part] + i * width;
            memcpy(gradients + (size_t)sr_row_number(&block->numbers, place) * width, row, width * sizeof *row);
        }
    }
}

void scattered_set(sr_item_table *table, item_part part, size_t id, size_t column, sr_real value)
{
    size_t place;
    const sr_row_block *block = find(table->memory, (int32_t)id, &place);
    row_at(block->parameters.values, block, part, place)[column] = value;
}
