/* Finding rows by their identifiers: those that this process asks for go into a table, and all of the other model are looked up
 * in it. So memory is bounded by the rows that are asked for. */
#include "srtrain/row_moves.h"

#include "base/names.h"
#include "srtrain/memory.h"

#include <stdlib.h>

typedef struct {
    const sr_row_search *search;
    size_t asked; /* rows, of all parts */
    name_table own;
    int32_t *rows; /* [asked]: the row of each number of `own` */
    bool *matched; /* [asked] */
} row_finding;

static sr_status enter_row(row_finding *f, int32_t row, sr_error *error)
{
    const sr_item_names *now = f->search->now;
    const uint32_t next = f->own.count;
    uint32_t number;
    size_t length;
    if (row == 0 || (size_t)row > sr_item_names_count(now))
        return SR_OK;
    const char *name = sr_item_name(now, (size_t)row, &length);
    SR_TRY(names_number(&f->own, name, length, &number, error));
    if (number != next)
        return sr_fail(error, SR_ERROR_DATA, "%s: two rows, %d and %d, have the same identifier \"%.*s\"",
                       sr_item_names_origin(now), f->rows[number], row, (int)length, name);
    f->rows[number] = row;
    return SR_OK;
}

static sr_status enter_rows(row_finding *f, sr_error *error)
{
    for (size_t part = 0; part < f->search->parts; ++part)
        for (size_t place = 0; place < f->search->here[part].count; ++place)
            SR_TRY(enter_row(f, sr_row_number(&f->search->here[part], place), error));
    sr_item_names_let_go(f->search->now);
    return SR_OK;
}

static void add_move(sr_row_moves *moves, size_t from, int32_t to)
{
    moves->list[moves->count++] = (sr_row_move){(int32_t)from, to};
}

static bool asks_for(const row_finding *f, size_t row)
{
    size_t place;
    for (size_t part = 0; part < f->search->parts; ++part)
        if (sr_row_place(&f->search->here[part], (int32_t)row, &place))
            return true;
    return false;
}

static sr_status match(row_finding *f, sr_row_moves *moves, sr_error *error)
{
    const sr_item_names *before = f->search->before;
    const size_t old_count = sr_item_names_count(before), count = sr_item_names_count(f->search->now);
    if (asks_for(f, 0))
        add_move(moves, 0, 0);
    for (size_t old = 1; old <= old_count && f->asked > 0; ++old) {
        size_t length;
        const char *name = sr_item_name(before, old, &length);
        const uint32_t number = names_find(&f->own, name, length);
        if (number == NAMES_NONE)
            continue;
        if (f->matched[number])
            return sr_fail(error, SR_ERROR_DATA, "%s: two rows have the same identifier \"%.*s\"", sr_item_names_origin(before),
                           (int)length, name);
        f->matched[number] = true;
        add_move(moves, old, f->rows[number]);
        ++moves->kept;
    }
    for (size_t i = 1; i <= f->search->more; ++i)
        if (asks_for(f, count + i))
            add_move(moves, old_count + i, (int32_t)(count + i));
    sr_item_names_let_go(before);
    return SR_OK;
}

static void list_fresh(const row_finding *f, sr_row_moves *moves)
{
    for (uint32_t number = 0; number < f->own.count; ++number)
        if (!f->matched[number])
            moves->fresh[moves->fresh_count++] = f->rows[number];
}

static sr_status find(row_finding *f, sr_row_moves *moves, sr_error *error)
{
    SR_TRY(names_create(&f->own, error));
    SR_TRY(SR_ALLOCATE(&f->rows, f->asked, "rows of identifiers", error));
    SR_TRY(SR_ALLOCATE_ZERO(&f->matched, f->asked, "rows of identifiers", error));
    SR_TRY(SR_ALLOCATE(&moves->list, f->asked, "rows that are taken over", error));
    SR_TRY(enter_rows(f, error));
    SR_TRY(match(f, moves, error));
    SR_TRY(SR_ALLOCATE(&moves->fresh, f->own.count - moves->kept, "new rows", error));
    list_fresh(f, moves);
    return SR_OK;
}

sr_status sr_row_moves_find(sr_row_moves *moves, const sr_row_search *search, sr_error *error)
{
    row_finding f = {.search = search};
    *moves = (sr_row_moves){.old_count = sr_item_names_count(search->before)};
    moves->old_rows = 1 + moves->old_count + search->more;
    for (size_t part = 0; part < search->parts; ++part)
        f.asked += search->here[part].count;
    const sr_status status = find(&f, moves, error);
    names_free(&f.own);
    free(f.rows);
    free(f.matched);
    return status;
}

void sr_row_moves_free(sr_row_moves *moves)
{
    free(moves->list);
    free(moves->fresh);
    *moves = (sr_row_moves){.count = 0};
}
