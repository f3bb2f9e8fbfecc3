/* Who owns which row; srtrain/row_placement.h says what is promised. */
#include "srtrain/row_placement.h"

#include "base/heap.h"
#include "base/id_map.h"
#include "base/sizes.h"
#include "srtrain/memory.h"

#include <stdlib.h>

/* A process asks for a row once in a step, however often it reads it. So the number of those who ask grows ever more slowly
 * with the number of reads. A row that one of so many reads is of is asked for half as often as one that is read always. */
enum { READS_OF_A_PROCESS = 256 };

/* A place is named by the row whose turn it is there. */
struct sr_row_placement {
    size_t rows, owners;
    id_map seen;         /* rows that may have changed places: popular ones and whose places they took */
    int32_t *place_of;   /* [seen]: where each of them stands */
    int32_t last;        /* the largest of them; -1: there are none */
    sr_moved_row *moved; /* those that stand elsewhere, owner after owner, ascending */
    size_t *begins;      /* [owners + 1]: those of owner w are moved[begins[w]], .. */
};

typedef struct {
    int64_t reads;
    int32_t row;
} popular_row;

/* What is known while rows change places. */
typedef struct {
    popular_row *popular; /* [count], the most popular first */
    size_t count;
    double reads;    /* of all rows */
    double *loads;   /* [owners] */
    int32_t *row_at; /* [seen]: which row stands in the place of each, */
    bool *stays;     /* [seen]: and whether it stays there */
} placing;

/* ---- the most popular rows ---- */

static bool is_more_popular(const popular_row *left, const popular_row *right)
{
    return left->reads != right->reads ? left->reads > right->reads : left->row < right->row;
}

static int compare_popular(const void *left, const void *right)
{
    return is_more_popular(left, right) ? -1 : 1;
}

/* The least popular one of the heap is the first to go. */
static bool goes_before(const void *context, const void *left, const void *right)
{
    (void)context;
    return is_more_popular(right, left);
}

static void find_popular(placing *p, const sr_placement_request *request)
{
    const heap best = {p->popular, p->count, sizeof *p->popular, goes_before, NULL};
    for (size_t row = 0; row < request->counted; ++row) {
        const popular_row one = {request->popularity[row], (int32_t)row};
        p->reads += (double)one.reads;
        if (row < p->count) {
            p->popular[row] = one;
            if (row + 1 == p->count)
                heap_build(&best);
        } else if (is_more_popular(&one, &p->popular[0])) {
            p->popular[0] = one;
            heap_settle(&best, 0);
        }
    }
    qsort(p->popular, p->count, sizeof *p->popular, compare_popular);
}

/* ---- changing places ---- */

/* The entry of a row, which may be seen for the first time. */
static size_t see(sr_row_placement *placement, placing *p, int32_t row)
{
    const size_t before = placement->seen.count, entry = id_map_add(&placement->seen, row);
    if (entry == before) {
        placement->place_of[entry] = p->row_at[entry] = row;
        placement->last = row > placement->last ? row : placement->last;
        p->stays[entry] = false;
    }
    return entry;
}

static bool is_taken(const sr_row_placement *placement, const placing *p, size_t place)
{
    const size_t entry = id_map_find(&placement->seen, (int32_t)place);
    return entry != SIZE_MAX && p->stays[entry];
}

/* The place in the group of a row whose owner is asked least so far. One is free: there are as many as rows. */
static int32_t best_place(const sr_row_placement *placement, const placing *p, int32_t row)
{
    const size_t owners = placement->owners, first = (size_t)row / owners * owners;
    size_t best = SIZE_MAX;
    for (size_t owner = 0; owner < owners && first + owner < placement->rows; ++owner)
        if ((best == SIZE_MAX || p->loads[owner] < p->loads[best]) && !is_taken(placement, p, first + owner))
            best = owner;
    return (int32_t)(first + best);
}

/* How often processes ask for a row, in proportion; by operations that give the same bits on every machine. */
static double load_of(const placing *p, int64_t reads)
{
    return (double)reads / ((double)reads + p->reads / READS_OF_A_PROCESS);
}

static void place_popular(sr_row_placement *placement, placing *p)
{
    for (size_t i = 0; i < p->count && p->popular[i].reads > 0; ++i) {
        const int32_t row = p->popular[i].row, place = best_place(placement, p, row);
        const size_t own = see(placement, p, row), there = see(placement, p, place);
        const int32_t left = placement->place_of[own], other = p->row_at[there];
        placement->place_of[see(placement, p, other)] = left;
        p->row_at[see(placement, p, left)] = other;
        placement->place_of[own] = place;
        p->row_at[there] = row;
        p->stays[there] = true;
        p->loads[(size_t)place % placement->owners] += load_of(p, p->popular[i].reads);
    }
}

static int compare_moved(const void *left, const void *right)
{
    const sr_moved_row *a = left, *b = right;
    return (a->regular > b->regular) - (a->regular < b->regular);
}

/* Lists the rows that stand elsewhere. */
static void list_moved(sr_row_placement *placement, const placing *p)
{
    const size_t owners = placement->owners;
    size_t *begins = placement->begins;
    for (size_t i = 0; i < placement->seen.count; ++i)
        begins[(size_t)placement->seen.list[i] % owners] += p->row_at[i] != placement->seen.list[i];
    for (size_t owner = 0; owner < owners; ++owner)
        begins[owner + 1] += begins[owner]; /* where those of an owner end, and soon begin */
    for (size_t i = 0; i < placement->seen.count; ++i) {
        const int32_t regular = placement->seen.list[i];
        if (p->row_at[i] != regular)
            placement->moved[--begins[(size_t)regular % owners]] = (sr_moved_row){regular, p->row_at[i]};
    }
    for (size_t owner = 0; owner < owners; ++owner)
        qsort(placement->moved + begins[owner], begins[owner + 1] - begins[owner], sizeof *placement->moved, compare_moved);
}

static sr_status place_rows(sr_row_placement *placement, placing *p, const sr_placement_request *request, sr_error *error)
{
    const size_t most = 2 * p->count; /* a popular row and another one */
    SR_TRY(SR_ALLOCATE(&placement->place_of, most, "popular rows", error));
    SR_TRY(SR_ALLOCATE(&placement->moved, most, "popular rows", error));
    SR_TRY(id_map_clear(&placement->seen, most, error));
    SR_TRY(SR_ALLOCATE(&p->popular, p->count, "popular rows", error));
    SR_TRY(SR_ALLOCATE_ZERO(&p->loads, placement->owners, "owners of rows", error));
    SR_TRY(SR_ALLOCATE(&p->row_at, most, "popular rows", error));
    SR_TRY(SR_ALLOCATE(&p->stays, most, "popular rows", error));
    find_popular(p, request);
    place_popular(placement, p);
    list_moved(placement, p);
    return SR_OK;
}

/* ---- the face ---- */

sr_status sr_row_placement_create(sr_row_placement **placement, const sr_placement_request *request, sr_error *error)
{
    sr_row_placement *made;
    placing p = {.count = request->popularity && request->owners > 1 ? smaller(SR_PLACED_ROWS, request->counted) : 0};
    *placement = NULL;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "owners of rows", error));
    made->rows = request->rows;
    made->owners = request->owners;
    made->last = -1;
    sr_status status = SR_ALLOCATE_ZERO(&made->begins, request->owners + 1, "owners of rows", error);
    if (status == SR_OK && p.count > 0)
        status = place_rows(made, &p, request, error);
    free(p.popular);
    free(p.loads);
    free(p.row_at);
    free(p.stays);
    if (status == SR_OK)
        *placement = made;
    else
        sr_row_placement_free(made);
    return status;
}

void sr_row_placement_free(sr_row_placement *placement)
{
    if (!placement)
        return;
    id_map_free(&placement->seen);
    free(placement->place_of);
    free(placement->moved);
    free(placement->begins);
    free(placement);
}

size_t sr_row_placement_owners(const sr_row_placement *placement)
{
    return placement->owners;
}

size_t sr_row_placement_owner(const sr_row_placement *placement, int32_t row)
{
    const size_t entry = row <= placement->last ? id_map_find(&placement->seen, row) : SIZE_MAX;
    const uint32_t place = (uint32_t)(entry == SIZE_MAX ? row : placement->place_of[entry]);
    return place % (uint32_t)placement->owners;
}

size_t sr_row_placement_place(const sr_row_placement *placement, int32_t row)
{
    return (uint32_t)row / (uint32_t)placement->owners;
}

sr_row_numbers sr_row_placement_rows(const sr_row_placement *placement, size_t owner)
{
    const size_t *begins = placement->begins, owners = placement->owners;
    return (sr_row_numbers){.count = (placement->rows - owner + owners - 1) / owners,
                            .first = owner,
                            .step = owners,
                            .moved = placement->moved ? placement->moved + begins[owner] : NULL,
                            .moved_count = begins[owner + 1] - begins[owner]};
}
