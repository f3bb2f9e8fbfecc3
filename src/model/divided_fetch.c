/* The rows of a divided item table that a step reads: from their owners, and gradients back to them.
 *
 * The threads of a process fetch together. Each lists the distinct ids that it reads. The row of an id is fetched by the thread
 * that has the number of its owner within the owner's process. So each row comes to a process once, whoever reads it there, and
 * a thread meets only one thread of each other process. All threads then copy the rows that they read. On the way back, the
 * thread that has fetched a row adds up the gradients of its neighbours, in their order, and sends the sum.
 *
 * An owner notes which of its rows anybody fetches, has them brought up to date, and sends them. It adds the gradients of a row
 * in the order of those who fetched it. So a number of ranks and threads always gives the same bits. All of that takes time and
 * memory in proportion to what is read, not to the catalogue. */
#include "model/divided_items.h"

#include "base/sizes.h"
#include "model/ranks.h"
#include "srtrain/memory.h"
#include "tensor/bf16.h"

#include <string.h>

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

/* ---- rows on their way ---- */

/* A number of a row or of its gradient. */
static size_t number_bytes(const divided *d)
{
    return d->rounds ? sizeof(uint16_t) : sizeof(sr_real);
}

static void *row_at(const divided *d, const growing *rows, size_t row, size_t width)
{
    return (char *)rows->values + row * width * number_bytes(d);
}

static void pack_row(const divided *d, void *packed, const sr_real *row, size_t width)
{
    uint16_t *numbers = packed;
    if (!d->rounds)
        memcpy(packed, row, width * sizeof *row);
    else
        for (size_t column = 0; column < width; ++column)
            numbers[column] = (uint16_t)(bf16_bits((float)row[column]) >> 16);
}

static sr_real unpacked(uint16_t number)
{
    const uint32_t bits = (uint32_t)number << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void unpack_row(const divided *d, sr_real *row, const void *packed, size_t width)
{
    const uint16_t *numbers = packed;
    if (!d->rounds)
        memcpy(row, packed, width * sizeof *row);
    else
        for (size_t column = 0; column < width; ++column)
            row[column] = unpacked(numbers[column]);
}

static void add_row(sr_real *sum, const sr_real *row, size_t width)
{
    for (size_t column = 0; column < width; ++column)
        sum[column] += row[column];
}

static void add_packed(const divided *d, sr_real *sum, const void *packed, size_t width)
{
    const uint16_t *numbers = packed;
    if (!d->rounds)
        add_row(sum, packed, width);
    else
        for (size_t column = 0; column < width; ++column)
            sum[column] += unpacked(numbers[column]);
}

/* Rows one after the other, in place: a packed row lies where rows in front of it have been read. */
static void pack_all(const divided *d, growing *rows, size_t count, size_t width)
{
    enum { AT_ONCE = 64 };
    const size_t all = d->rounds ? count * width : 0;
    for (size_t at = 0; at < all; at += AT_ONCE) {
        uint16_t packed[AT_ONCE];
        const size_t some = smaller(all - at, AT_ONCE);
        pack_row(d, packed, rows->values + at, some);
        memcpy((char *)rows->values + at * sizeof *packed, packed, some * sizeof *packed);
    }
}

/* ---- which rows ---- */

/* The worker that these ranks say this is. */
static sr_status find_block(divided *d, sr_ranks *ranks, sr_error *error)
{
    const size_t workers = divided_workers(d), first = d->division.rank * d->division.threads;
    const size_t rank = ranks ? ranks->rank : 0, count = ranks ? ranks->count : 1;
    d->ranks = ranks;
    d->rounds = ranks && ranks->rounds_rows && d->division.ranks > 1; /* within a process nothing travels */
    d->block = NULL;
    if (count != workers || rank < first || rank >= first + d->division.threads)
        return sr_fail(error, SR_ERROR_USAGE,
                       "the item table is divided among %zu workers (ranks times threads), but %zu read it together: "
                       "model.item_table replicated serves any number",
                       workers, count);
    d->thread = rank - first;
    d->block = &d->blocks[d->thread];
    d->team[d->thread] = d;
    return SR_OK;
}

/* What this worker reads. */
static sr_status collect_ids(divided *d, const sr_item_reads *reads, sr_error *error)
{
    size_t most = 1;
    for (size_t list = 0; list < reads->count; ++list)
        most += reads->lists[list].count;
    SR_TRY(SR_GROW(&d->fetchers, &d->fetchers_room, most, "rows of the item table", error));
    SR_TRY(SR_GROW(&d->read_places, &d->read_room, most, "rows of the item table", error));
    SR_TRY(id_map_clear(&d->ids, most, error));
    (void)id_map_add(&d->ids, 0);
    d->reads_padding = false;
    for (size_t list = 0; list < reads->count; ++list)
        for (size_t i = 0; i < reads->lists[list].count; ++i)
            if (id_map_add(&d->ids, reads->lists[list].ids[i]) == 0)
                d->reads_padding = true;
    for (size_t i = 0; i < d->ids.count; ++i)
        d->fetchers[i] = (uint32_t)(sr_row_placement_owner(d->placement, d->ids.list[i]) % d->division.threads);
    return SR_OK;
}

/* What this worker fetches of what all threads of its process read, which are told where it stands. */
static sr_status collect_fetches(divided *d, sr_error *error)
{
    size_t most = 0;
    for (size_t t = 0; t < d->division.threads; ++t)
        for (size_t i = divided_first_read(d->team[t]); i < d->team[t]->ids.count; ++i)
            most += d->team[t]->fetchers[i] == d->thread;
    SR_TRY(id_map_clear(&d->fetches, most, error));
    for (size_t t = 0; t < d->division.threads; ++t) {
        divided *reader = d->team[t];
        for (size_t i = divided_first_read(reader); i < reader->ids.count; ++i)
            if (reader->fetchers[i] == d->thread)
                reader->read_places[i] = (uint32_t)id_map_add(&d->fetches, reader->ids.list[i]);
    }
    SR_TRY(SR_GROW(&d->places, &d->places_room, d->fetches.count, "rows of the item table", error));
    return SR_GROW(&d->wanted, &d->wanted_room, d->fetches.count, "rows of the item table", error);
}

/* Orders what is fetched by owners. */
static void group_by_owner(divided *d)
{
    const size_t workers = divided_workers(d);
    const id_map *fetches = &d->fetches;
    memset(d->counts, 0, workers * sizeof *d->counts);
    for (size_t i = 0; i < fetches->count; ++i)
        ++d->counts[sr_row_placement_owner(d->placement, fetches->list[i])];
    d->sent[0] = 0;
    for (size_t worker = 0; worker < workers; ++worker)
        d->sent[worker + 1] = d->sent[worker] + d->counts[worker];
    memset(d->counts, 0, workers * sizeof *d->counts);
    for (size_t i = 0; i < fetches->count; ++i) {
        const int32_t row = fetches->list[i];
        const size_t owner = sr_row_placement_owner(d->placement, row), place = d->sent[owner] + d->counts[owner]++;
        d->places[i] = (uint32_t)place;
        d->wanted[place] = (int32_t)sr_row_placement_place(d->placement, row);
    }
}

/* Room for all that follows, so that nothing of it can fail on one rank alone. */
static sr_status make_room(const sr_item_table *table, sr_error *error)
{
    divided *d = table->memory;
    const size_t asked = d->received[divided_workers(d)];
    SR_TRY(SR_GROW(&d->asked, &d->asked_room, asked, "rows of the item table", error));
    SR_TRY(SR_GROW(&d->touches, &d->touches_room, asked, "rows of the item table", error));
    SR_TRY(id_map_clear(&d->touched, asked, error));
    for (size_t part = 0; part < table->part_count; ++part) {
        part_of_fetch *p = &d->parts[part];
        const size_t width = table->parts[part].width;
        SR_TRY(divided_grow(&p->read, d->ids.count * width, error));
        SR_TRY(divided_grow(&p->read_gradients, d->ids.count * width, error));
        SR_TRY(divided_grow(&p->fetched, d->fetches.count * width, error));
        SR_TRY(divided_grow(&p->answers, asked * width, error));
        if (!table->dense)
            SR_TRY(divided_grow(&p->gradients, asked * width, error));
    }
    return SR_OK;
}

/* ---- fetching ---- */

/* Which rows are fetched, each once. */
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
        pack_row(d, row_at(d, &d->parts[part].answers, i, width), rows + (size_t)d->asked[i] * width, width);
}

/* The rows that this worker reads, from those of its process that have fetched them. */
static void copy_read(const divided *d, size_t part, size_t width)
{
    const part_of_fetch *p = &d->parts[part];
    memset(p->read.values, 0, width * sizeof *p->read.values);
    for (size_t i = divided_first_read(d); i < d->ids.count; ++i) {
        const divided *fetcher = d->team[d->fetchers[i]];
        const size_t place = fetcher->places[d->read_places[i]];
        unpack_row(d, p->read.values + i * width, row_at(d, &fetcher->parts[part].fetched, place, width), width);
    }
    memset(p->read_gradients.values, 0, d->ids.count * width * sizeof *p->read_gradients.values);
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
        SR_TRY(exchange(d, SR_TRAFFIC_ROWS, p->answers.values, d->received, p->fetched.values, d->sent, width * number_bytes(d),
                        error));
        copy_read(d, part, width);
    }
    return SR_OK;
}

sr_status divided_fetch(sr_item_table *table, const sr_item_reads *reads, sr_ranks *ranks, sr_status status, sr_error *error)
{
    divided *d = table->memory;
    d->failed = true;                                             /* unless it ends well */
    SR_TRY(find_block(d, ranks, status == SR_OK ? error : NULL)); /* the same on every rank */
    if (status == SR_OK)
        status = collect_ids(d, reads, error);
    if (status != SR_OK)
        d->ids.count = 0; /* neighbours look at them all the same */
    ranks_wait_here(d->ranks);
    if (status == SR_OK)
        status = collect_fetches(d, error);
    if (status == SR_OK)
        group_by_owner(d);
    SR_TRY(exchange_counts(d, status, error));
    SR_TRY(divided_agree(d, make_room(table, error), error));
    return answer(table, error);
}

/* ---- handing back ---- */

/* The gradients of what this worker has fetched, over the threads of its process. */
static void add_up_readers(divided *d, size_t part, size_t width)
{
    sr_real *sums = d->parts[part].fetched.values;
    memset(sums, 0, d->fetches.count * width * sizeof *sums);
    for (size_t t = 0; t < d->division.threads; ++t) {
        const divided *reader = d->team[t];
        for (size_t i = divided_first_read(reader); i < reader->ids.count; ++i)
            if (reader->fetchers[i] == d->thread)
                add_row(sums + (size_t)d->places[reader->read_places[i]] * width,
                        reader->parts[part].read_gradients.values + i * width, width);
    }
    pack_all(d, &d->parts[part].fetched, d->fetches.count, width);
}

/* Adds up the gradients of each row in the order of ranks. */
static void add_gradients(const sr_item_table *table, size_t part)
{
    divided *d = table->memory;
    const size_t asked = d->received[divided_workers(d)], width = table->parts[part].width;
    const sr_parameters *own = &d->block->parameters;
    sr_real *sums = table->dense ? own->gradients + own->list[part].offset : d->parts[part].gradients.values;
    if (!table->dense) {
        memset(sums, 0, d->touched.count * width * sizeof *sums);
        d->block->touched.gradients[part] = sums;
    }
    for (size_t i = 0; i < asked; ++i)
        add_packed(d, sums + (table->dense ? (size_t)d->asked[i] : d->touches[i]) * width,
                   row_at(d, &d->parts[part].answers, i, width), width);
}

sr_status divided_hand_back(sr_item_table *table, sr_status status, sr_error *error)
{
    divided *d = table->memory;
    if (d->failed) /* together, and everybody knows */
        return status;
    SR_TRY(divided_agree(d, status, error));
    for (size_t part = 0; part < table->part_count; ++part) {
        const part_of_fetch *p = &d->parts[part];
        const size_t width = table->parts[part].width;
        add_up_readers(d, part, width);
        SR_TRY(exchange(d, SR_TRAFFIC_ROW_GRADIENTS, p->fetched.values, d->sent, p->answers.values, d->received,
                        width * number_bytes(d), error));
        add_gradients(table, part);
    }
    return SR_OK;
}
