/* Packing examples into a ragged batch. */
#include "srtrain/batch.h"

#include <string.h>

static size_t used_length(const sr_example *example, const sr_model_settings *model)
{
    const size_t longest = (size_t)model->max_length;
    return example->length < longest ? example->length : longest;
}

size_t sr_example_work(const sr_example *example, const sr_model_settings *model)
{
    enum { FIXED = 4 }; /* scoring against the catalogue costs about as much as a few tokens */
    return FIXED + used_length(example, model);
}

/* Sizes of a batch before it is packed. */
typedef struct {
    size_t sequences, tokens, reads, targets;
    bool has_empty, has_negatives;
} batch_sizes;

static size_t count_targets(const sr_example *example, size_t length, sr_objective objective)
{
    if (!example->targets)
        return 0;
    if (objective == SR_OBJECTIVE_LAST)
        return 1;
    size_t count = 0;
    for (size_t i = example->length - length; i < example->length; ++i)
        count += example->targets[i] != 0;
    return count;
}

static batch_sizes measure(const sr_model_settings *model, sr_objective objective, const sr_example *examples, size_t count)
{
    batch_sizes sizes = {0};
    for (size_t e = 0; e < count; ++e) {
        const size_t length = used_length(&examples[e], model);
        const size_t targets = count_targets(&examples[e], length, objective);
        sizes.targets += targets;
        sizes.has_negatives = sizes.has_negatives || examples[e].negatives;
        if (length == 0) {
            sizes.has_empty = true;
            continue;
        }
        ++sizes.sequences;
        sizes.tokens += length;
        sizes.reads += targets > 0 && objective == SR_OBJECTIVE_ALL ? targets + 1 : 1;
    }
    if (sizes.has_empty) {
        ++sizes.sequences;
        sizes.tokens += (size_t)model->max_length;
        ++sizes.reads;
    }
    return sizes;
}

/* The batch's arrays while they are being filled. */
typedef struct {
    size_t *offsets, *read_offsets, *read_tokens, *target_reads, *example_reads;
    uint32_t *leading, *trailing;
    int32_t *columns, *items, *target_items, *negative_items;
    uint64_t *identity;
    size_t sequence, token, read, target;
    size_t empty_read; /* SIZE_MAX until the shared empty sequence is packed */
} packer;

static void *take(sr_arena *arena, size_t count, size_t size)
{
    return sr_arena_take(arena, count * size);
}

static sr_status take_arrays(packer *pack, sr_arena *arena, const batch_sizes *sizes, size_t examples, sr_error *error)
{
    const size_t s = sizes->sequences, t = sizes->tokens, n = sizes->targets;
    *pack = (packer){.offsets = take(arena, s + 1, sizeof *pack->offsets),
                     .read_offsets = take(arena, s + 1, sizeof *pack->read_offsets),
                     .read_tokens = take(arena, sizes->reads, sizeof *pack->read_tokens),
                     .target_reads = take(arena, n, sizeof *pack->target_reads),
                     .example_reads = take(arena, examples, sizeof *pack->example_reads),
                     .leading = take(arena, s, sizeof *pack->leading),
                     .trailing = take(arena, s, sizeof *pack->trailing),
                     .columns = take(arena, t, sizeof *pack->columns),
                     .items = take(arena, t, sizeof *pack->items),
                     .target_items = take(arena, n, sizeof *pack->target_items),
                     .negative_items = take(arena, n, sizeof *pack->negative_items),
                     .identity = take(arena, s, sizeof *pack->identity),
                     .empty_read = SIZE_MAX};
    if (!pack->offsets || !pack->read_offsets || !pack->read_tokens || !pack->target_reads || !pack->example_reads ||
        !pack->leading || !pack->trailing || !pack->columns || !pack->items || !pack->target_items || !pack->negative_items ||
        !pack->identity)
        return sr_fail_memory(error, (t + n) * sizeof(int32_t), "a batch");
    pack->offsets[0] = 0;
    pack->read_offsets[0] = 0;
    return SR_OK;
}

static size_t add_read(packer *pack, size_t token)
{
    pack->read_tokens[pack->read] = token;
    return pack->read++;
}

static void add_target(packer *pack, size_t read, int32_t item, const int32_t *negative)
{
    pack->target_reads[pack->target] = read;
    pack->target_items[pack->target] = item;
    pack->negative_items[pack->target] = negative ? *negative : 0;
    ++pack->target;
}

static void end_sequence(packer *pack, uint64_t identity, uint32_t leading)
{
    pack->identity[pack->sequence] = identity;
    pack->leading[pack->sequence] = leading;
    pack->trailing[pack->sequence] = 0;
    ++pack->sequence;
    pack->offsets[pack->sequence] = pack->token;
    pack->read_offsets[pack->sequence] = pack->read;
}

static void pack_empty(packer *pack, const sr_model_settings *model, const sr_example *example, size_t index)
{
    if (pack->empty_read == SIZE_MAX) {
        for (int32_t column = 0; column < model->max_length; ++column) {
            pack->items[pack->token] = 0;
            pack->columns[pack->token++] = column;
        }
        pack->empty_read = add_read(pack, pack->token - 1);
        end_sequence(pack, SR_IDENTITY_EMPTY, (uint32_t)model->max_length);
    }
    pack->example_reads[index] = pack->empty_read;
    if (example->targets)
        add_target(pack, pack->empty_read, example->targets[0], example->negatives);
}

static void pack_example(packer *pack, const sr_model_settings *model, sr_objective objective, const sr_example *example,
                         size_t index)
{
    const size_t length = used_length(example, model), skipped = example->length - length;
    const size_t first_column = model->padding == SR_PADDING_LEFT ? (size_t)model->max_length - length : 0;
    const bool all = example->targets && objective == SR_OBJECTIVE_ALL;
    size_t read = SIZE_MAX;
    for (size_t i = 0; i < length; ++i) {
        const size_t token = pack->token++;
        pack->items[token] = example->items[skipped + i];
        pack->columns[token] = (int32_t)(first_column + i);
        const bool has_target = all && example->targets[skipped + i] != 0;
        if (!has_target && i + 1 < length)
            continue;
        read = add_read(pack, token);
        if (has_target)
            add_target(pack, read, example->targets[skipped + i], example->negatives ? &example->negatives[skipped + i] : NULL);
    }
    if (example->targets && !all)
        add_target(pack, read, example->targets[0], example->negatives);
    pack->example_reads[index] = read;
    end_sequence(pack, example->identity, 0);
}

sr_status sr_batch_build(sr_batch *batch, sr_arena *arena, const sr_model_settings *model, sr_objective objective,
                         const sr_example *examples, size_t count, sr_error *error)
{
    const batch_sizes sizes = measure(model, objective, examples, count);
    packer pack;
    SR_TRY(take_arrays(&pack, arena, &sizes, count, error));
    for (size_t e = 0; e < count; ++e) {
        if (examples[e].length == 0)
            pack_empty(&pack, model, &examples[e], e);
        else
            pack_example(&pack, model, objective, &examples[e], e);
    }
    *batch = (sr_batch){.layout = {.sequences = pack.sequence,
                                   .offsets = pack.offsets,
                                   .leading = pack.leading,
                                   .trailing = pack.trailing,
                                   .columns = pack.columns,
                                   .identity = pack.identity,
                                   .causal = true},
                        .items = pack.items,
                        .reads = {.offsets = pack.read_offsets, .tokens = pack.read_tokens},
                        .targets = pack.target,
                        .target_reads = pack.target_reads,
                        .target_items = pack.target_items,
                        .negative_items = sizes.has_negatives ? pack.negative_items : NULL,
                        .examples = count,
                        .example_reads = pack.example_reads};
    return SR_OK;
}
