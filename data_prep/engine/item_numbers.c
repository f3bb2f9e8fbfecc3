#include "engine/item_numbers.h"

#include "base/names.h"
#include "srtrain/memory.h"

#include <stdlib.h>

enum { PIECE = 1 << 16, READ_BUFFER = 1 << 16 };

/* The first appearance of an item in the column carries this mark until it has its final number. */
#define FIRST UINT32_C(0x80000000)

/* Items [begin, end) are looked at. */
typedef struct {
    workplace *place;
    const item_column *items;
    store *from, *to; /* the column as it was, with marks, and the column to be: the same where one range has all items */
    uint32_t *table;  /* [range] */
    uint32_t *piece, *written;
    uint64_t range, begin, end;
    uint64_t next; /* the final number of the next item that appears on this rank */
} numbering;

/* ---- passes over the column ---- */

/* Called with each element of a piece; what `written` holds in its place afterwards replaces it. */
typedef void piece_function(numbering *n, size_t count);

static sr_status for_pieces(numbering *n, store *from, store *to, piece_function *function, sr_error *error)
{
    for (uint64_t done = n->items->first; done < n->items->end; done += PIECE) {
        const size_t here = n->items->end - done < PIECE ? (size_t)(n->items->end - done) : (size_t)PIECE;
        const size_t bytes = here * sizeof *n->piece;
        SR_TRY(store_read(from, done * sizeof *n->piece, n->piece, bytes, error));
        if (to == from || n->begin == 0)
            memcpy(n->written, n->piece, bytes);
        else if (to)
            SR_TRY(store_read(to, done * sizeof *n->piece, n->written, bytes, error));
        function(n, here);
        if (to)
            SR_TRY(store_write(to, done * sizeof *n->piece, n->written, bytes, error));
    }
    return SR_OK;
}

/* The place of an element's item in the table, or UINT64_MAX for one of another range. */
static inline uint64_t place_of(const numbering *n, uint32_t element)
{
    const uint64_t item = element & ~FIRST;
    return item >= n->begin && item < n->end ? item - n->begin : UINT64_MAX;
}

static void look_for_items(numbering *n, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        const uint64_t at = place_of(n, n->piece[i]);
        if (at != UINT64_MAX)
            n->table[at] = 1;
    }
}

static void mark_first(numbering *n, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        const uint64_t at = place_of(n, n->piece[i]);
        if (at == UINT64_MAX || !n->table[at])
            continue;
        n->table[at] = 0;
        n->written[i] |= FIRST;
        ++n->next;
    }
}

static void count_first(numbering *n, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        if (!(n->piece[i] & FIRST))
            continue;
        const uint64_t at = place_of(n, n->piece[i]);
        if (at != UINT64_MAX)
            n->table[at] = (uint32_t)n->next;
        ++n->next;
    }
}

static void put_numbers(numbering *n, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        const uint64_t at = place_of(n, n->piece[i]);
        if (at != UINT64_MAX)
            n->written[i] = n->table[at];
    }
}

/* ---- ranges of items ---- */

static void take_range(numbering *n, uint64_t begin)
{
    n->begin = begin;
    n->end = n->items->all_items - begin < n->range ? n->items->all_items : begin + n->range;
}

/* Of the ranks on which an item of the range appears, the first one keeps it in its table. Collective. */
static sr_status keep_own_items(numbering *n, sr_error *error)
{
    const workplace *place = n->place;
    const size_t count = (size_t)(n->end - n->begin);
    const int64_t own = (int64_t)(place->ranks - place->rank);
    int64_t *ranks;
    SR_TRY(SR_PARALLEL_ALLOCATE(place->parallel, &ranks, (size_t)PIECE, "the numbers of items", error));
    sr_status status = SR_OK;
    for (size_t done = 0; done < count && status == SR_OK; done += PIECE) {
        const size_t here = count - done < PIECE ? count - done : (size_t)PIECE;
        for (size_t i = 0; i < here; ++i)
            ranks[i] = n->table[done + i] ? own : 0;
        status = sr_parallel_maximum_int64(place->parallel, ranks, here, error);
        for (size_t i = 0; i < here; ++i)
            n->table[done + i] = ranks[i] == own;
    }
    free(ranks);
    return status;
}

/* Marks the first appearance of each item of the range on the first rank that has it. Collective. */
static sr_status mark_range(numbering *n, sr_error *error)
{
    const size_t count = (size_t)(n->end - n->begin);
    if (n->place->ranks == 1) {
        for (size_t i = 0; i < count; ++i)
            n->table[i] = 1;
    } else {
        memset(n->table, 0, count * sizeof *n->table);
        SR_TRY(sr_parallel_agree(n->place->parallel, for_pieces(n, n->from, NULL, look_for_items, error), error));
        SR_TRY(keep_own_items(n, error));
    }
    return sr_parallel_agree(n->place->parallel, for_pieces(n, n->from, n->from, mark_first, error), error);
}

/* Where the final numbers of this rank's items begin, and how many there are on all ranks. Collective. */
static sr_status share_counts(const numbering *n, uint64_t *first, uint64_t *all, sr_error *error)
{
    const workplace *place = n->place;
    uint64_t *counts;
    SR_TRY(SR_PARALLEL_ALLOCATE(place->parallel, &counts, place->ranks, "the numbers of items", error));
    const sr_status status = workplace_share(place, n->next, counts, error);
    *first = 1;
    *all = 0;
    for (size_t rank = 0; rank < place->ranks && status == SR_OK; ++rank) {
        *first += rank < place->rank ? counts[rank] : 0;
        *all += counts[rank];
    }
    free(counts);
    return status;
}

/* The part of this rank's own items that lies in the range goes behind those of the ranges before it. */
static sr_status keep_numbers(const numbering *n, store *numbers, sr_error *error)
{
    const uint64_t own = n->items->first_item, own_end = own + n->items->own_items;
    const uint64_t begin = own > n->begin ? own : n->begin, end = own_end < n->end ? own_end : n->end;
    return begin < end ? store_write(numbers, (begin - own) * sizeof *n->table, n->table + (begin - n->begin),
                                     (size_t)(end - begin) * sizeof *n->table, error)
                       : SR_OK;
}

static sr_status number_range(numbering *n, uint64_t first, store *numbers, sr_error *error)
{
    const size_t count = (size_t)(n->end - n->begin);
    n->next = first;
    memset(n->table, 0, count * sizeof *n->table);
    SR_TRY(sr_parallel_agree(n->place->parallel, for_pieces(n, n->from, NULL, count_first, error), error));
    SR_TRY(workplace_sum(n->place, n->table, count, error));
    sr_status status = for_pieces(n, n->from, n->to, put_numbers, error);
    if (status == SR_OK)
        status = keep_numbers(n, numbers, error);
    return sr_parallel_agree(n->place->parallel, status, error);
}

static sr_status number_ranges(numbering *n, store *numbers, uint64_t *count, sr_error *error)
{
    const uint64_t all = n->items->all_items;
    uint64_t first;
    for (uint64_t begin = 0; begin < all; begin += n->range) {
        take_range(n, begin);
        SR_TRY(mark_range(n, error));
    }
    SR_TRY(share_counts(n, &first, count, error));
    for (uint64_t begin = 0; begin < all; begin += n->range) {
        take_range(n, begin);
        SR_TRY(number_range(n, first, numbers, error));
    }
    return SR_OK;
}

/* ---- memory and stores ---- */

static sr_status allocate(numbering *n, sr_error *error)
{
    const char *what = "the numbers of items";
    SR_TRY(SR_ALLOCATE(&n->table, (size_t)n->range, what, error));
    SR_TRY(SR_ALLOCATE(&n->piece, (size_t)PIECE, what, error));
    return SR_ALLOCATE(&n->written, (size_t)PIECE, what, error);
}

static sr_status open_numbers(const numbering *n, store *numbers, sr_error *error)
{
    workplace *place = n->place;
    store_in_memory(numbers);
    if (place->ranks == 1 && n->items->own_items * sizeof *n->table <= place->memory / 16)
        return SR_OK;
    return workplace_store(place, numbers, "item-numbers", place->ranks > 1, error);
}

/* A second column, where numbers of one range must not be taken for those of the next one. Collective. */
static sr_status open_second(numbering *n, store *second, sr_error *error)
{
    n->to = n->from = n->items->column;
    if (n->range == n->items->all_items)
        return SR_OK;
    n->to = second;
    return workplace_common_store(n->place, second, "column-numbers", error);
}

sr_status item_numbers_assign(workplace *place, const item_column *items, store *numbers, uint64_t *count, sr_error *error)
{
    numbering n = {.place = place, .items = items};
    store second = {.descriptor = -1};
    SR_TRY(workplace_range(place, sizeof *n.table, items->all_items, &n.range, error));
    sr_status status = allocate(&n, error);
    if (status == SR_OK)
        status = open_numbers(&n, numbers, error);
    status = sr_parallel_agree(place->parallel, status, error);
    if (status == SR_OK)
        status = open_second(&n, &second, error);
    if (status == SR_OK)
        status = number_ranges(&n, numbers, count, error);
    if (status == SR_OK && n.to == &second) {
        store_close(items->column);
        *items->column = second;
        second = (store){.descriptor = -1};
    }
    store_close(&second);
    free(n.table);
    free(n.piece);
    free(n.written);
    return status;
}

/* ---- identifiers ---- */

typedef sr_status name_function(void *context, uint32_t number, const char *bytes, size_t length, sr_error *error);

/* Calls the function for each item that occurs. */
static sr_status for_names(const store *names, const store *numbers, uint64_t count, name_function *function, void *context,
                           sr_error *error)
{
    store_reader name, number;
    sr_status status = reader_begin(&name, names, 0, names->size, READ_BUFFER, error);
    if (status != SR_OK)
        return status;
    status = reader_begin(&number, numbers, 0, count * sizeof(uint32_t), READ_BUFFER, error);
    for (uint64_t i = 0; i < count && status == SR_OK; ++i) {
        const char *bytes;
        uint32_t final;
        status = reader_take(&number, sizeof final, &bytes, error);
        if (status != SR_OK)
            break;
        memcpy(&final, bytes, sizeof final);
        status = reader_take(&name, NAME_HEADER, &bytes, error);
        const size_t length = status == SR_OK ? name_at(bytes).length : 0;
        if (status == SR_OK)
            status = reader_take(&name, length, &bytes, error);
        if (status == SR_OK && final > 0)
            status = function(context, final, bytes, length, error);
    }
    reader_end(&name);
    reader_end(&number);
    return status;
}

static sr_status measure_name(void *context, uint32_t number, const char *bytes, size_t length, sr_error *error)
{
    (void)number;
    (void)bytes;
    (void)error;
    int64_t *width = context;
    *width = (int64_t)length > *width ? (int64_t)length : *width;
    return SR_OK;
}

sr_status item_names_width(const workplace *place, const item_names *items, size_t *width, sr_error *error)
{
    int64_t longest = 1;
    const sr_status status = for_names(items->names, items->numbers, items->own_items, measure_name, &longest, error);
    SR_TRY(sr_parallel_agree(place->parallel, status, error));
    SR_TRY(sr_parallel_maximum_int64(place->parallel, &longest, 1, error));
    *width = (size_t)longest;
    return SR_OK;
}

/* The fields of items [begin, end), counted from 0. */
typedef struct {
    uint64_t begin, end;
    size_t width;
    char *fields;
} name_window;

static sr_status put_name(void *context, uint32_t number, const char *bytes, size_t length, sr_error *error)
{
    (void)error;
    const name_window *window = context;
    const uint64_t item = number - 1;
    if (item < window->begin || item >= window->end)
        return SR_OK;
    char *field = window->fields + (item - window->begin) * window->width;
    memcpy(field, bytes, length);
    memset(field + length, 0, window->width - length);
    return SR_OK;
}

static sr_status take_names_of(const workplace *place, const item_names *items, size_t rank, uint64_t count,
                               name_window *window, sr_error *error)
{
    if (rank == place->rank)
        return for_names(items->names, items->numbers, count, put_name, window, error);
    store names, numbers = {.descriptor = -1};
    sr_status status = workplace_open_store(place, &names, items->names_file, rank, error);
    if (status != SR_OK)
        return status;
    status = workplace_open_store(place, &numbers, "item-numbers", rank, error);
    if (status == SR_OK)
        status = for_names(&names, &numbers, count, put_name, window, error);
    store_close(&names);
    store_close(&numbers);
    return status;
}

/* counts [ranks]: items of each rank. Local. */
static sr_status fill_windows(const workplace *place, const item_names *items, const uint64_t *counts, uint64_t count,
                              size_t width, store *to, sr_error *error)
{
    uint64_t each = place->range ? place->range : place->memory / 8 / width;
    each = each < 1 ? 1 : (each < count ? each : count);
    const uint64_t share = (count + place->ranks - 1) / place->ranks;
    each = each < share ? each : share; /* as many windows as ranks, at least */
    name_window window = {.width = width};
    SR_TRY(SR_ALLOCATE(&window.fields, (size_t)each * width, "identifiers of items", error));
    sr_status status = SR_OK;
    const uint64_t first = share * place->rank, behind = first + share < count ? first + share : count;
    for (uint64_t begin = first; begin < behind && status == SR_OK; begin += each) {
        window.begin = begin;
        window.end = behind - begin < each ? behind : begin + each;
        for (size_t rank = 0; rank < place->ranks && status == SR_OK; ++rank)
            status = take_names_of(place, items, rank, counts[rank], &window, error);
        if (status == SR_OK)
            status = store_write(to, begin * width, window.fields, (size_t)(window.end - begin) * width, error);
    }
    free(window.fields);
    return status;
}

sr_status item_names_write(const workplace *place, const item_names *items, uint64_t count, size_t width, store *to,
                           sr_error *error)
{
    uint64_t *counts;
    SR_TRY(SR_PARALLEL_ALLOCATE(place->parallel, &counts, place->ranks, "identifiers of items", error));
    sr_status status = workplace_share(place, items->own_items, counts, error);
    if (status == SR_OK)
        status = sr_parallel_agree(place->parallel, fill_windows(place, items, counts, count, width, to, error), error);
    free(counts);
    return status;
}
