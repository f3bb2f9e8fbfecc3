/* Dividing a global batch among ranks by work: longest processing time first (Graham 1969). */
#include "base/heap.h"
#include "srtrain/memory.h"
#include "srtrain/sampler.h"

#include <stdlib.h>

typedef struct {
    size_t work, index;
} piece;

/* Descending work; equal work in the order given. */
static int compare_pieces(const void *left, const void *right)
{
    const piece *a = left, *b = right;
    if (a->work != b->work)
        return a->work < b->work ? 1 : -1;
    return a->index < b->index ? -1 : a->index > b->index;
}

typedef struct {
    size_t work;
    uint32_t rank;
} load;

static bool is_lighter(const void *context, const void *left, const void *right)
{
    const load *a = left, *b = right;
    (void)context;
    return a->work != b->work ? a->work < b->work : a->rank < b->rank;
}

sr_status sr_divide_work(const size_t *work, size_t count, size_t ranks, uint32_t *owners, sr_error *error)
{
    piece *pieces;
    load *loads;
    SR_TRY(SR_ALLOCATE(&pieces, count, "dividing a batch", error));
    const sr_status status = SR_ALLOCATE(&loads, ranks, "dividing a batch", error);
    if (status != SR_OK) {
        free(pieces);
        return status;
    }
    for (size_t i = 0; i < count; ++i)
        pieces[i] = (piece){work[i], i};
    for (size_t rank = 0; rank < ranks; ++rank)
        loads[rank] = (load){0, (uint32_t)rank};
    const heap lightest = {loads, ranks, sizeof *loads, is_lighter, NULL};
    qsort(pieces, count, sizeof *pieces, compare_pieces);
    for (size_t i = 0; i < count; ++i) {
        owners[pieces[i].index] = loads[0].rank;
        loads[0].work += pieces[i].work;
        heap_settle(&lightest, 0);
    }
    free(loads);
    free(pieces);
    return SR_OK;
}
