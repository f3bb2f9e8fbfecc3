/* Packing examples into a ragged batch. */
#include "srtrain/batch.h"

#include "base/sizes.h"

/* How these examples are packed. */
typedef struct {
    const sr_packing *needs;
    size_t window;     /* columns of a padded sequence */
    bool shares_empty; /* all empty histories are one sequence */
} packing;

bool sr_shares_empty_histories(const sr_packing *needs)
{
    return !needs->users && !needs->whole_window;
}

static packing plan_packing(const sr_packing *needs, const sr_example *examples, size_t count)
{
    packing plan = {.needs = needs, .window = needs->max_length, .shares_empty = sr_shares_empty_histories(needs)};
    for (size_t e = 0; e < count; ++e)
        if (examples[e].mask_token)
            plan.window = needs->max_length + 1;
    return plan;
}

static size_t used_length(const sr_example *example, size_t longest)
{
    return example->length < longest ? example->length : longest;
}

/* ---- sizes ---- */

/* Tokens of an example that are not padding. */
static size_t filled_length(const packing *plan, const sr_example *example)
{
    return used_length(example, plan->needs->max_length) + (example->mask_token != 0);
}

static bool is_empty(const sr_example *example)
{
    return example->length == 0 && !example->mask_token;
}

/* Whether an example is read from the sequence that empty histories share. */
static bool shares_sequence(const packing *plan, const sr_example *example)
{
    return plan->shares_empty && is_empty(example) && !example->own_sequence;
}

/* Tokens of an example's sequence. */
static size_t sequence_length(const packing *plan, const sr_example *example)
{
    return plan->needs->whole_window || is_empty(example) ? plan->window : filled_length(plan, example);
}

size_t sr_example_work(const sr_example *example, const sr_packing *needs)
{
    enum { FIXED = 4, OF_SHARED = 1 }; /* an example costs about as much as a few tokens, whatever it is scored against */
    const packing plan = plan_packing(needs, example, 1);
    if (shares_sequence(&plan, example))
        return needs->scoring > 0 ? OF_SHARED : FIXED;
    return larger((size_t)FIXED, needs->scoring) + sequence_length(&plan, example);
}

static size_t count_targets(const packing *plan, const sr_example *example)
{
    if (!example->targets)
        return 0;
    if (!plan->needs->every_position)
        return 1;
    size_t count = 0;
    for (size_t i = example->length - used_length(example, plan->needs->max_length); i < example->length; ++i)
        count += example->targets[i] != 0;
    return count;
}

/* The room that a batch takes at most. */
typedef struct {
    size_t sequences, tokens, reads, targets, examples;
    bool have_negatives;
} batch_sizes;

static batch_sizes measure(const packing *plan, const sr_example *examples, size_t count)
{
    batch_sizes sizes = {.examples = count};
    bool has_shared_sequence = false;
    for (size_t e = 0; e < count; ++e) {
        const size_t targets = count_targets(plan, &examples[e]);
        const bool shares = shares_sequence(plan, &examples[e]);
        sizes.targets += targets;
        sizes.have_negatives = sizes.have_negatives || examples[e].negatives;
        if (shares && has_shared_sequence)
            continue;
        has_shared_sequence = has_shared_sequence || shares;
        ++sizes.sequences;
        sizes.tokens += sequence_length(plan, &examples[e]);
        sizes.reads += targets + 1; /* of each target, and of the end */
    }
    return sizes;
}

/* ---- packing ---- */

/* The batch's arrays while they are being filled. */
typedef struct {
    const packing *plan;
    size_t *offsets, *read_offsets, *read_tokens, *target_reads, *example_reads;
    uint32_t *leading, *trailing;
    int32_t *columns, *items, *target_items, *negative_items;
    int32_t *users;              /* NULL unless needed */
    int64_t *times, *next_times; /* NULL unless needed */
    uint64_t *identity;
    size_t sequence, token, read, target;
    int32_t column;    /* of the next token */
    size_t empty_read; /* SIZE_MAX until the shared empty sequence is packed */
} packer;

static void *take(sr_arena *arena, size_t count, size_t size)
{
    return sr_arena_take(arena, count * size);
}

static sr_status take_arrays(packer *pack, const packing *plan, sr_arena *arena, const batch_sizes *sizes, sr_error *error)
{
    const size_t s = sizes->sequences, t = sizes->tokens, n = sizes->targets;
    *pack = (packer){.plan = plan,
                     .offsets = take(arena, s + 1, sizeof *pack->offsets),
                     .read_offsets = take(arena, s + 1, sizeof *pack->read_offsets),
                     .read_tokens = take(arena, sizes->reads, sizeof *pack->read_tokens),
                     .target_reads = take(arena, n, sizeof *pack->target_reads),
                     .example_reads = take(arena, sizes->examples, sizeof *pack->example_reads),
                     .leading = take(arena, s, sizeof *pack->leading),
                     .trailing = take(arena, s, sizeof *pack->trailing),
                     .columns = take(arena, t, sizeof *pack->columns),
                     .items = take(arena, t, sizeof *pack->items),
                     .target_items = take(arena, n, sizeof *pack->target_items),
                     .negative_items = take(arena, n, sizeof *pack->negative_items),
                     .users = plan->needs->users ? take(arena, t, sizeof *pack->users) : NULL,
                     .times = plan->needs->times ? take(arena, t, sizeof *pack->times) : NULL,
                     .next_times = plan->needs->next_times ? take(arena, t, sizeof *pack->next_times) : NULL,
                     .identity = take(arena, s, sizeof *pack->identity),
                     .empty_read = SIZE_MAX};
    if (!pack->offsets || !pack->read_offsets || !pack->read_tokens || !pack->target_reads || !pack->example_reads ||
        !pack->leading || !pack->trailing || !pack->columns || !pack->items || !pack->target_items || !pack->negative_items ||
        !pack->identity || (plan->needs->users && !pack->users) || (plan->needs->times && !pack->times) ||
        (plan->needs->next_times && !pack->next_times))
        return sr_fail_memory(error, (t + n) * sizeof(int32_t), "a batch");
    pack->offsets[0] = 0;
    pack->read_offsets[0] = 0;
    return SR_OK;
}

static size_t add_token(packer *pack, const sr_example *example, int32_t item, int64_t time, int64_t next_time)
{
    pack->items[pack->token] = item;
    pack->columns[pack->token] = pack->column++;
    if (pack->users)
        pack->users[pack->token] = example->user;
    if (pack->times)
        pack->times[pack->token] = time;
    if (pack->next_times)
        pack->next_times[pack->token] = next_time;
    return pack->token++;
}

static void add_padding(packer *pack, const sr_example *example, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        add_token(pack, example, 0, 0, 0);
}

/* The row of the representations that belongs to a token, which is the latest that is read. */
static size_t read_token(packer *pack, size_t token)
{
    if (pack->read > 0 && pack->read_tokens[pack->read - 1] == token)
        return pack->read - 1;
    pack->read_tokens[pack->read] = token;
    return pack->read++;
}

static void add_target(packer *pack, size_t read, const sr_example *example, size_t index)
{
    pack->target_reads[pack->target] = read;
    pack->target_items[pack->target] = example->targets[index];
    pack->negative_items[pack->target] = example->negatives ? example->negatives[index] : 0;
    ++pack->target;
}

/* When the event is that follows item i. */
static int64_t time_after(const sr_example *example, size_t i)
{
    return i + 1 < example->length ? example->times[i + 1] : example->next_time;
}

static void add_items(packer *pack, const sr_example *example)
{
    const bool has_targets = pack->plan->needs->every_position && example->targets;
    for (size_t i = example->length - used_length(example, pack->plan->needs->max_length); i < example->length; ++i) {
        const size_t token = add_token(pack, example, example->items[i], pack->times ? example->times[i] : 0,
                                       pack->next_times ? time_after(example, i) : 0);
        if (has_targets && example->targets[i] != 0)
            add_target(pack, read_token(pack, token), example, i);
    }
}

/* Packs the example's sequence; returns the row of its end, SIZE_MAX when that is not read. */
static size_t pack_sequence(packer *pack, const sr_example *example, uint64_t identity)
{
    const packing *plan = pack->plan;
    const size_t length = sequence_length(plan, example), padding = length - filled_length(plan, example);
    /* An empty history is padding in front of nothing: its slots see each other, and its end is the last of them. */
    const size_t leading = plan->needs->pads_left || is_empty(example) ? padding : 0;
    pack->column = plan->needs->pads_left ? (int32_t)(plan->window - length) : 0;
    add_padding(pack, example, leading);
    add_items(pack, example);
    if (example->mask_token)
        add_token(pack, example, example->mask_token, 0, 0);
    const size_t end = plan->needs->reads_end ? read_token(pack, pack->token - 1) : SIZE_MAX;
    add_padding(pack, example, padding - leading);
    pack->identity[pack->sequence] = identity;
    pack->leading[pack->sequence] = (uint32_t)leading;
    pack->trailing[pack->sequence] = (uint32_t)(padding - leading);
    ++pack->sequence;
    pack->offsets[pack->sequence] = pack->token;
    pack->read_offsets[pack->sequence] = pack->read;
    return end;
}

static void pack_example(packer *pack, const sr_example *example, size_t index)
{
    size_t end;
    if (shares_sequence(pack->plan, example)) {
        if (pack->empty_read == SIZE_MAX)
            pack->empty_read = pack_sequence(pack, example, SR_IDENTITY_EMPTY);
        end = pack->empty_read;
    } else
        end = pack_sequence(pack, example, example->identity);
    pack->example_reads[index] = end;
    if (example->targets && !pack->plan->needs->every_position)
        add_target(pack, end, example, 0);
}

/* Each target's negative as a list of its own. */
static sr_status list_negatives(const packer *pack, sr_arena *arena, const sr_negatives **negatives, sr_error *error)
{
    const size_t targets = pack->target;
    sr_negatives *made = take(arena, 1, sizeof *made);
    size_t *first_target = take(arena, targets + 1, sizeof *first_target);
    if (!made || !first_target)
        return sr_fail_memory(error, (targets + 1) * sizeof *first_target, "the negatives of a batch");
    for (size_t target = 0; target <= targets; ++target)
        first_target[target] = target;
    *made = (sr_negatives){.lists = targets, .length = 1, .items = pack->negative_items, .first_target = first_target};
    *negatives = made;
    return SR_OK;
}

sr_status sr_batch_pack(sr_batch *batch, sr_arena *arena, const sr_packing *needs, const sr_example *examples, size_t count,
                        sr_error *error)
{
    const packing plan = plan_packing(needs, examples, count);
    const batch_sizes sizes = measure(&plan, examples, count);
    packer pack;
    const sr_negatives *negatives = NULL;
    SR_TRY(take_arrays(&pack, &plan, arena, &sizes, error));
    for (size_t e = 0; e < count; ++e)
        pack_example(&pack, &examples[e], e);
    if (sizes.have_negatives)
        SR_TRY(list_negatives(&pack, arena, &negatives, error));
    *batch = (sr_batch){.layout = {.sequences = pack.sequence,
                                   .offsets = pack.offsets,
                                   .leading = pack.leading,
                                   .trailing = pack.trailing,
                                   .columns = pack.columns,
                                   .identity = pack.identity,
                                   .window = plan.window,
                                   .causal = needs->causal},
                        .items = pack.items,
                        .users = pack.users,
                        .times = pack.times,
                        .next_times = pack.next_times,
                        .reads = {.offsets = pack.read_offsets, .tokens = pack.read_tokens},
                        .targets = pack.target,
                        .target_reads = pack.target_reads,
                        .target_items = pack.target_items,
                        .negatives = negatives,
                        .examples = count,
                        .example_reads = needs->reads_end ? pack.example_reads : NULL};
    return SR_OK;
}
