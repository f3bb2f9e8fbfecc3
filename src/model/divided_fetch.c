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

#include "model/ranks.h"
#include "srtrain/memory.h"

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

/* ---- which rows ---- */

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
        d->fetchers[i] = (uint32_t)(divided_owner(d, d->ids.list[i]) % d->division.threads);
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
        ++d->counts[divided_owner(d, fetches->list[i])];
    d->sent[0] = 0;
    for (size_t worker = 0; worker < workers; ++worker)
        d->sent[worker + 1] = d->sent[worker] + d->counts[worker];
    memset(d->counts, 0, workers * sizeof *d->counts);
    for (size_t i = 0; i < fetches->count; ++i) {
        const size_t owner = divided_owner(d, fetches->list[i]), place = d->sent[owner] + d->counts[owner]++;
        d->places[i] = (uint32_t)place;
        d->wanted[place] = divided_place(d, fetches->list[i]);
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
        memcpy(d->parts[part].answers.values + i * width, rows + (size_t)d->asked[i] * width, width * sizeof *rows);
}

/* The rows that this worker reads, from those of its process that have fetched them. */
static void copy_read(const divided *d, size_t part, size_t width)
{
    const part_of_fetch *p = &d->parts[part];
    memset(p->read.values, 0, width * sizeof *p->read.values);
    for (size_t i = divided_first_read(d); i < d->ids.count; ++i) {
        const divided *fetcher = d->team[d->fetchers[i]];
        const sr_real *row = fetcher->parts[part].fetched.values + (size_t)fetcher->places[d->read_places[i]] * width;
        memcpy(p->read.values + i * width, row, width * sizeof *row);
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
        SR_TRY(exchange(d, SR_TRAFFIC_ROWS, p->answers.values, d->received, p->fetched.values, d->sent, width * sizeof(sr_real),
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

static void add_row(sr_real *sum, const sr_real *row, size_t width)
{
    for (size_t column = 0; column < width; ++column)
        sum[column] += row[column];
}

/* The gradients of what this worker has fetched, over the threads of its process. */
static void add_up_readers(const divided *d, size_t part, size_t width)
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
}

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
    for (size_t i = 0; i < asked; ++i)
        add_row(sums + (table->dense ? (size_t)d->asked[i] : d->touches[i]) * width, given + i * width, width);
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
                        width * sizeof(sr_real), error));
        add_gradients(table, part);
    }
    return SR_OK;
}
