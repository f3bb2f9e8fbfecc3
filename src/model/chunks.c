/* Cutting a batch into chunks and putting their encodings together; model/chunks.h. */
#include "model/chunks.h"

#include "model/backbone.h"

enum { CHUNK_TOKENS = 2048 };

static size_t tokens_of_a_chunk(const sr_pass *pass)
{
    return pass->chunk_tokens > 0 ? pass->chunk_tokens : CHUNK_TOKENS;
}

static size_t token_count(const sr_batch *batch)
{
    return batch->layout.offsets[batch->layout.sequences];
}

bool encodes_in_chunks(const sr_model *model, const sr_batch *batch, const sr_pass *pass)
{
    const bool sees_all = pass->trace || pass->every_row || pass->noise || model->backbone->sums_in_passes ||
                          model->backbone->at_once;
    return !sees_all && batch->layout.sequences > 1 && token_count(batch) > tokens_of_a_chunk(pass);
}

/* The first sequence behind a chunk that begins with `first`: as many as fit, but at least one. */
static size_t end_of_chunk(const sr_layout *layout, size_t first, size_t tokens)
{
    size_t end = first + 1;
    while (end < layout->sequences && layout->offsets[end + 1] - layout->offsets[first] <= tokens)
        ++end;
    return end;
}

/* values[first .. first + count) less `base`, in memory of the tape. */
static const size_t *rebased(sr_tape *tape, const size_t *values, size_t first, size_t count, size_t base)
{
    size_t *copy = sr_tape_take(tape, count, sizeof *copy);
    for (size_t i = 0; copy && i < count; ++i)
        copy[i] = values[first + i] - base;
    return copy;
}

/* Sequences [first, end) of a batch as a batch without targets; false when memory runs out. */
static bool cut(sr_tape *tape, const sr_batch *batch, size_t first, size_t end, sr_batch *chunk)
{
    const sr_layout *layout = &batch->layout;
    const size_t token = layout->offsets[first], row = batch->reads.offsets[first];
    const size_t rows = batch->reads.offsets[end] - row;
    *chunk = (sr_batch){.layout = *layout,
                        .items = batch->items + token,
                        .users = batch->users ? batch->users + token : NULL,
                        .times = batch->times ? batch->times + token : NULL,
                        .next_times = batch->next_times ? batch->next_times + token : NULL};
    chunk->layout.sequences = end - first;
    chunk->layout.offsets = rebased(tape, layout->offsets, first, end - first + 1, token);
    chunk->layout.leading += first;
    chunk->layout.trailing += first;
    chunk->layout.columns += token;
    chunk->layout.identity += first;
    chunk->reads.offsets = rebased(tape, batch->reads.offsets, first, end - first + 1, row);
    chunk->reads.tokens = rebased(tape, batch->reads.tokens, row, rows, token);
    return chunk->layout.offsets && chunk->reads.offsets && chunk->reads.tokens;
}

/* The masks of one more chunk. */
static void add_masks(sr_tape *tape, sr_encoding *sum, const sr_encoding *part)
{
    for (size_t layer = 0; layer < part->mask_count; ++layer) {
        sum->mask_squares[layer] = sum->mask_squares[layer]
                                       ? sr_weighted_add(tape, sum->mask_squares[layer], 1, part->mask_squares[layer], 1)
                                       : part->mask_squares[layer];
        sum->mask_square_sums[layer] += part->mask_square_sums[layer];
    }
    sum->mask_count = part->mask_count;
}

void encode_chunks(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass, sr_encoding *encoding)
{
    const size_t sequences = batch->layout.sequences;
    sr_tensor **representations = sr_tape_take(tape, sequences, sizeof *representations);
    sr_tensor **attacked = sr_tape_take(tape, sequences, sizeof *attacked);
    if (!representations || !attacked)
        return;
    size_t chunks = 0;
    for (size_t first = 0; first < sequences;) {
        const size_t end = end_of_chunk(&batch->layout, first, tokens_of_a_chunk(pass));
        sr_batch *chunk = sr_tape_take(tape, 1, sizeof *chunk); /* backward reads its layout */
        sr_encoding part = {.representation = NULL};
        if (!chunk || !cut(tape, batch, first, end, chunk))
            return;
        model->backbone->encode(model, tape, chunk, pass, &part);
        add_masks(tape, encoding, &part);
        representations[chunks] = part.representation;
        attacked[chunks++] = part.attacked;
        first = end;
    }
    encoding->representation = sr_stack_rows(tape, representations, chunks);
    if (attacked[0])
        encoding->attacked = sr_stack_rows(tape, attacked, chunks);
}
