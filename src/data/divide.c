/* Dividing a global batch among ranks by work: longest processing time first (Graham 1969). */
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

static int lighter(load a, load b)
{
    return a.work != b.work ? a.work < b.work : a.rank < b.rank;
}

/* Restores the heap (least load at the root) after its root has grown. */
static void sift_down(load *heap, size_t count)
{
    size_t at = 0;
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; ++child)
            if (lighter(heap[child], heap[least]))
                least = child;
        if (least == at)
            return;
        const load moved = heap[at];
        heap[at] = heap[least];
        heap[least] = moved;
        at = least;
    }
}

sr_status sr_divide_work(const size_t *work, size_t count, size_t ranks, uint32_t *owners, sr_error *error)
{
    piece *pieces;
    load *heap;
    SR_TRY(SR_ALLOCATE(&pieces, count, "dividing a batch", error));
    const sr_status status = SR_ALLOCATE(&heap, ranks, "dividing a batch", error);
    if (status != SR_OK) {
        free(pieces);
        return status;
    }
    for (size_t i = 0; i < count; ++i)
        pieces[i] = (piece){work[i], i};
    for (size_t rank = 0; rank < ranks; ++rank)
        heap[rank] = (load){0, (uint32_t)rank};
    qsort(pieces, count, sizeof *pieces, compare_pieces);
    for (size_t i = 0; i < count; ++i) {
        owners[pieces[i].index] = heap[0].rank;
        heap[0].work += pieces[i].work;
        sift_down(heap, ranks);
    }
    free(heap);
    free(pieces);
    return SR_OK;
}
