#include "step/touched_rows.h"

#include "srtrain/memory.h"

#include <stdlib.h>
#include <string.h>

enum { BITS = 64 };

/* Where more than this share of the rows is touched, going through the whole table costs less than picking rows out of it. */
static const double LARGEST_SHARE = 0.3;

struct touched_rows {
    sr_touched_rows found;
    int32_t *rows; /* [most] */
    size_t most, words;
    double sent;     /* bytes */
    uint64_t *marks; /* [words]: one bit a row; 0 between calls */
};

size_t touched_rows_most_of(size_t rows)
{
    return (size_t)(LARGEST_SHARE * (double)rows);
}

static size_t words_of(size_t rows)
{
    return (rows + BITS - 1) / BITS;
}

size_t touched_rows_most(const sr_parameters *parameters, const sr_table_list *tables)
{
    return tables->count > 0 ? touched_rows_most_of(parameters->list[tables->index[0]].shape[0]) : 0;
}

size_t touched_rows_memory(size_t rows)
{
    return words_of(rows) * sizeof(uint64_t) + (touched_rows_most_of(rows) + 1) * sizeof(int32_t);
}

sr_status touched_rows_create(touched_rows **touched, const sr_parameters *parameters, const sr_table_list *tables,
                              sr_error *error)
{
    touched_rows *made;
    *touched = NULL;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "the rows that a step touches", error));
    made->most = touched_rows_most(parameters, tables);
    made->words = words_of(parameters->list[tables->index[0]].shape[0]);
    sr_status status = SR_ALLOCATE_ZERO(&made->marks, made->words, "the rows that a step touches", error);
    if (status == SR_OK)
        status = SR_ALLOCATE(&made->rows, made->most + 1, "the rows that a step touches", error);
    if (status != SR_OK) {
        touched_rows_free(made);
        return status;
    }
    made->found = (sr_touched_rows){.tables = *tables, .rows = made->rows};
    *touched = made;
    return SR_OK;
}

void touched_rows_free(touched_rows *touched)
{
    if (!touched)
        return;
    free(touched->rows);
    free(touched->marks);
    free(touched);
}

static void mark(touched_rows *touched, const int32_t *ids, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        touched->marks[(size_t)ids[i] / BITS] |= (uint64_t)1 << (size_t)ids[i] % BITS;
}

static void mark_batch(touched_rows *touched, const sr_batch *batch)
{
    const sr_item_reads reads = sr_batch_item_reads(batch);
    for (size_t list = 0; list < reads.count; ++list)
        mark(touched, reads.lists[list].ids, reads.lists[list].count);
}

/* Writes the rows that are marked, as far as there is room, and clears the marks; returns how many there were. */
static size_t take_marks(touched_rows *touched)
{
    size_t count = 0;
    for (size_t word = 0; word < touched->words; ++word) {
        for (uint64_t bits = touched->marks[word]; bits; bits &= bits - 1) {
            if (count <= touched->most)
                touched->rows[count] = (int32_t)(word * BITS + (size_t)__builtin_ctzll(bits));
            ++count;
        }
        touched->marks[word] = 0;
    }
    return count;
}

/* Each rank brings the rows of its own batch: one more than there is room for says that there are too many. */
static sr_status join_ranks(touched_rows *touched, sr_parallel *parallel, sr_status status, size_t *count, sr_error *error)
{
    int32_t *all = NULL;
    size_t *offsets = NULL;
    const size_t ranks = (size_t)sr_parallel_size(parallel), mine = *count < touched->most + 1 ? *count : touched->most + 1;
    SR_TRY(sr_parallel_gather_all(parallel, status, touched->rows, mine, sizeof *all, (void **)&all, &offsets, error));
    touched->sent += (double)(mine * sizeof *all) * (sr_parallel_size(sr_parallel_process(parallel)) - 1);
    mark(touched, all, offsets[ranks]);
    *count = take_marks(touched);
    free(all);
    free(offsets);
    return SR_OK;
}

sr_status touched_rows_find(touched_rows *touched, sr_parallel *parallel, sr_status status, const sr_batch *batch,
                            sr_error *error)
{
    size_t count = 0;
    touched->found.every = true; /* after a failure nothing is known */
    touched->found.count = 0;
    if (status == SR_OK) {
        mark_batch(touched, batch);
        count = take_marks(touched);
    }
    if (sr_parallel_size(parallel) > 1)
        status = join_ranks(touched, parallel, status, &count, error);
    SR_TRY(status);
    touched->found.every = count > touched->most;
    touched->found.count = touched->found.every ? 0 : count;
    return SR_OK;
}

double touched_rows_sent(const touched_rows *touched)
{
    return touched->sent;
}

const sr_touched_rows *touched_rows_found(const touched_rows *touched)
{
    return &touched->found;
}
