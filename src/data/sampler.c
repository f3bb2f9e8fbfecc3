/* Training examples, their order and their division; srtrain/sampler.h says what is promised. */
#include "srtrain/sampler.h"

#include "base/sizes.h"
#include "data/masking.h"
#include "data/pieces.h"
#include "data/sampler_state.h"
#include "srtrain/machine.h"
#include "srtrain/memory.h"
#include "srtrain/random.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

sr_status sr_check_times(const sr_dataset *dataset, bool needed, const char *model, sr_error *error)
{
    if (!needed || sr_dataset_has_times(dataset))
        return SR_OK;
    return sr_fail(error, SR_ERROR_USAGE,
                   "%s has no time stamps, but model.backbone %s needs them: prepare the data from interactions with time "
                   "stamps, or use another backbone (hstu needs none with model.relative_times false)",
                   sr_dataset_directory(dataset), model);
}

/* The first item that the examples of a sequence use. */
static size_t first_item(const sr_sampler *sampler, const sr_sequence *sequence)
{
    return sampler->is.samples == SR_SAMPLES_WINDOW
               ? sequence->train_end - smaller(sequence->train_end, sampler->is.packing.max_length)
               : 0;
}

/* Of prefixes: the length of the shortest that is an example. An empty one has nothing to be masked. */
static size_t shortest_prefix(const sr_sampler *sampler)
{
    return sampler->is.samples == SR_SAMPLES_WINDOW && !sampler->is.masked ? 0 : 1;
}

size_t sampler_examples_of(const void *context, size_t user)
{
    const sr_sampler *sampler = context;
    const sr_sequence sequence = sr_dataset_sequence(sampler->dataset, user);
    if (sampler->is.every_position)
        return sequence.train_end >= (sampler->is.masked ? 1 : 2);
    const size_t items = sequence.train_end - first_item(sampler, &sequence), shortest = shortest_prefix(sampler);
    return items > shortest ? items - shortest : 0;
}

static example_counts counts_of(const sr_sampler *sampler)
{
    return (example_counts){sr_dataset_users(sampler->dataset), sampler_examples_of, sampler};
}

const int32_t *sampler_targets_of_user(const void *context, size_t user, size_t *count)
{
    const sr_sampler *sampler = context;
    const sr_sequence sequence = sr_dataset_sequence(sampler->dataset, user);
    *count = sampler_examples_of(sampler, user);
    return sequence.items + first_item(sampler, &sequence) + shortest_prefix(sampler);
}

static sr_status index_targets(sr_sampler *sampler, sr_error *error)
{
    const target_source source = {sr_dataset_users(sampler->dataset), sampler_targets_of_user, sampler};
    return same_target_index_make(&sampler->same_target, sr_dataset_items(sampler->dataset), sampler->examples, &source, error);
}

/* Whether a data set may not stay in memory beside everything else. */
static bool is_large(const sr_dataset *dataset)
{
    sr_machine machine;
    sr_machine_look(&machine, NULL);
    return sr_dataset_bytes(dataset) > machine.memory / 2;
}

sr_status sr_sampler_create(sr_sampler **sampler, const sr_dataset *dataset, const sr_sampling *sampling, sr_error *error)
{
    *sampler = NULL;
    SR_TRY(sr_check_times(dataset, sampling->packing.times, sampling->model, error));
    sr_sampler *made;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "the sampler", error));
    made->dataset = dataset;
    made->is = *sampling;
    made->is.packing.scoring = (size_t)(sampling->tokens_an_item * (double)sr_dataset_items(dataset));
    made->prefetches = sampling->prefetch == SR_PREFETCH_ALWAYS ||
                       (sampling->prefetch == SR_PREFETCH_AUTO && is_large(dataset));
    if (made->prefetches)
        sr_dataset_expect_random_access(dataset);
    const example_counts counts = counts_of(made);
    sr_status status = example_index_make(&made->index, &counts, error);
    made->examples = made->index.examples;
    if (status == SR_OK && made->examples == 0)
        status = sr_fail(error, SR_ERROR_DATA, "%s holds no training example: every sequence's training part is too short",
                         sr_dataset_directory(dataset));
    if (status == SR_OK && sampling->contrasts)
        status = index_targets(made, error);
    if (status == SR_OK)
        status = sampler_prepare_negatives(made, error);
    if (status != SR_OK) {
        sr_sampler_free(made);
        return status;
    }
    *sampler = made;
    return SR_OK;
}

void sr_sampler_free(sr_sampler *sampler)
{
    if (!sampler)
        return;
    free(sampler->own_table);
    same_target_index_free(&sampler->same_target);
    example_index_free(&sampler->index);
    free(sampler);
}

size_t sr_sampler_memory(const sr_sampler *sampler)
{
    const size_t of_users = example_index_memory(sr_dataset_users(sampler->dataset));
    const bool by_target = sampler->is.contrasts;
    return of_users + (by_target ? same_target_index_memory(sr_dataset_items(sampler->dataset), sampler->examples) : 0);
}

size_t sr_sampler_examples(const sr_sampler *sampler)
{
    return sampler->examples;
}

size_t sr_sampler_batches(const sr_sampler *sampler)
{
    const size_t batch_size = sampler->is.batch_size;
    return (sampler->examples + batch_size - 1) / batch_size;
}

sr_random_stream sampler_stream(const sr_sampler *sampler, sr_random_purpose purpose, size_t epoch)
{
    return sr_random_open(sampler->is.seed, purpose, epoch);
}

sr_example sampler_example(const void *context, size_t number)
{
    const sr_sampler *sampler = context;
    const example_counts counts = counts_of(sampler);
    size_t begin;
    const size_t user = example_index_user(&sampler->index, &counts, number, &begin);
    const sr_sequence sequence = sr_dataset_sequence(sampler->dataset, user);
    const bool all = sampler->is.every_position;
    size_t first = 0, length = sampler->is.masked ? sequence.train_end : sequence.train_end - 1;
    if (!all) {
        first = first_item(sampler, &sequence);
        length = shortest_prefix(sampler) + number - begin;
    }
    const int32_t *items = sequence.items + first;
    return (sr_example){.items = items,
                        .times = sampler->is.packing.times ? sequence.times + first : NULL,
                        .next_time = sampler->is.packing.next_times ? sequence.times[first + length] : 0,
                        .length = length,
                        .user = sampler->is.packing.users ? (int32_t)user + 1 : 0,
                        .identity = number,
                        .targets = sampler->is.masked ? NULL : (all ? items + 1 : items + length)};
}

/* ---- contrastive training ---- */

/* An example as it is packed for a further pass: nothing is predicted, and an empty history has dropout masks of its own like
 * any other, for a row that were the same for several examples would be its own negative. */
static sr_example without_targets(const sr_example *example, uint64_t identity)
{
    sr_example view = *example;
    view.targets = view.negatives = NULL;
    view.own_sequence = true;
    view.identity = identity;
    return view;
}

/* What each example is compared with, as examples of further passes; both NULL without contrastive training. */
typedef struct {
    sr_example *again, *alike;
} views;

static sr_status draw_views(const sr_sampler *sampler, size_t epoch, const sr_example *examples, size_t count, sr_arena *arena,
                            views *drawn, sr_error *error)
{
    *drawn = (views){NULL, NULL};
    if (!sampler->is.contrasts)
        return SR_OK;
    *drawn = (views){sr_arena_take(arena, count * sizeof *drawn->again), sr_arena_take(arena, count * sizeof *drawn->alike)};
    if (!drawn->again || !drawn->alike)
        return sr_fail_memory(error, count * sizeof *examples, "the views of a batch");
    const example_source source = {sampler_example, sampler, sampler->is.packing.max_length};
    const sr_random_stream stream = sampler_stream(sampler, SR_RANDOM_SAME_TARGET, epoch);
    for (size_t e = 0; e < count; ++e) {
        const uint64_t identity = examples[e].identity;
        const sr_example alike = same_target_draw(&sampler->same_target, &source, stream, (size_t)identity);
        drawn->again[e] = without_targets(&examples[e], identity);
        drawn->alike[e] = without_targets(&alike, identity);
    }
    return SR_OK;
}

static sr_status build_view(const sr_sampler *sampler, const sr_example *examples, size_t count, sr_arena *arena,
                            const sr_batch **view, sr_error *error)
{
    sr_batch *made = sr_arena_take(arena, sizeof *made);
    if (!made)
        return sr_fail_memory(error, sizeof *made, "a view of a batch");
    *view = made;
    return sr_batch_pack(made, arena, &sampler->is.packing, examples, count, error);
}

/* ---- who computes which examples ---- */

/* Ranks that divide a slice of the global batch among themselves, and draw nothing but that slice: on many ranks, drawing and
 * dividing the whole batch would take longer than computing a part of it, and slices of many examples are even enough. */
typedef struct {
    size_t first_rank, ranks;
    size_t first, count; /* examples of the epoch */
} rank_group;

/* Drawing takes time in proportion to the ranks of a group, whatever the batch; slices differ by the inverse square root of
 * their examples. Between these bounds both cost a few per cent of a small model's step. */
size_t sampler_groups(const sr_sampler *sampler, size_t ranks)
{
    enum { FEWEST_RANKS = 16, MOST_RANKS = 64, EXAMPLES_OF_A_SLICE = 1024 };
    if (sampler->is.sums_over_batch)
        return 1;
    const size_t enough = EXAMPLES_OF_A_SLICE * ranks / sampler->is.batch_size;
    const size_t of_a_group = enough < FEWEST_RANKS ? FEWEST_RANKS : smaller(enough, MOST_RANKS);
    return (ranks + of_a_group - 1) / of_a_group;
}

size_t sampler_batch_end(const sr_sampler *sampler, size_t index)
{
    const size_t batch_size = sampler->is.batch_size;
    return smaller((index + 1) * batch_size, sampler->examples);
}

static rank_group group_at(const sr_sampler *sampler, size_t index, size_t group, size_t ranks)
{
    const size_t groups = sampler_groups(sampler, ranks), first = index * sampler->is.batch_size;
    const size_t count = sampler_batch_end(sampler, index) - first;
    const size_t first_rank = group * ranks / groups, end_rank = (group + 1) * ranks / groups;
    const size_t begin = count * first_rank / ranks, end = count * end_rank / ranks;
    assert(first < sampler->examples);
    return (rank_group){.first_rank = first_rank, .ranks = end_rank - first_rank, .first = first + begin, .count = end - begin};
}

static rank_group group_of_rank(const sr_sampler *sampler, size_t index, size_t rank, size_t ranks)
{
    size_t group = 0;
    rank_group found = group_at(sampler, index, group, ranks);
    while (rank >= found.first_rank + found.ranks)
        found = group_at(sampler, index, ++group, ranks);
    return found;
}

/* A group's slice of a global batch and who computes which of it; everything in an arena. Owners are counted from the first
 * rank of the group. */
typedef struct {
    sr_example *examples; /* [count] */
    size_t count;
    views drawn;
    work_pieces pieces;
} division;

static sr_status make_pieces(const sr_sampler *sampler, division *slice, size_t ranks, sr_arena *arena, sr_error *error)
{
    const sr_packing *packing = &sampler->is.packing;
    /* Where something sums over sequences, the one that empty histories share is one on all ranks together. */
    const empty_histories empty = {.share = sr_shares_empty_histories(packing) && !slice->drawn.again,
                                   .are_one_piece = sampler->is.sums_over_batch,
                                   .sequence = packing->max_length + packing->scoring};
    size_t *work = sr_arena_take(arena, slice->count * sizeof *work);
    if (!work)
        return sr_fail_memory(error, slice->count * sizeof *work, "dividing a batch");
    for (size_t e = 0; e < slice->count; ++e) {
        work[e] = sr_example_work(&slice->examples[e], packing);
        if (slice->drawn.again) /* these weigh more: every one has sequences of its own */
            work[e] += sr_example_work(&slice->drawn.again[e], packing) + sr_example_work(&slice->drawn.alike[e], packing);
    }
    return work_pieces_make(&slice->pieces, slice->examples, work, slice->count, &empty, ranks, arena, error);
}

static sr_status divide_slice(const sr_sampler *sampler, size_t epoch, const rank_group *group, sr_arena *arena, division *made,
                              sr_error *error)
{
    const sr_random_stream order = sampler_stream(sampler, SR_RANDOM_SAMPLE_ORDER, epoch);
    *made = (division){.examples = sr_arena_take(arena, group->count * sizeof *made->examples), .count = group->count};
    if (!made->examples)
        return sr_fail_memory(error, group->count * sizeof *made->examples, "a batch");
    for (size_t e = 0; e < group->count; ++e)
        made->examples[e] = sampler_example(sampler, sr_random_permutation(order, group->first + e, sampler->examples));
    SR_TRY(draw_views(sampler, epoch, made->examples, made->count, arena, &made->drawn, error));
    return make_pieces(sampler, made, group->ranks, arena, error);
}

sr_status sr_sampler_loads(const sr_sampler *sampler, size_t epoch, size_t index, size_t ranks, sr_arena *arena, size_t *loads,
                           sr_error *error)
{
    memset(loads, 0, ranks * sizeof *loads);
    for (size_t g = 0; g < sampler_groups(sampler, ranks); ++g) {
        const rank_group group = group_at(sampler, index, g, ranks);
        division slice;
        SR_TRY(divide_slice(sampler, epoch, &group, arena, &slice, error));
        for (size_t piece = 0; piece < slice.pieces.count; ++piece)
            loads[group.first_rank + slice.pieces.owners[piece]] += slice.pieces.work[piece];
    }
    return SR_OK;
}

/* ---- batches ---- */

/* What this rank alone has to know of its examples: masks, drawn anew in every epoch. */
static sr_status complete_example(const sr_sampler *sampler, size_t epoch, sr_example *example, sr_arena *arena,
                                  sr_error *error)
{
    const int32_t mask_token = (int32_t)sr_dataset_items(sampler->dataset) + 1;
    if (!sampler->is.masked)
        return SR_OK;
    return mask_items(&sampler->is, sampler_stream(sampler, SR_RANDOM_MASKING, epoch), mask_token, example, arena, error);
}

bool sr_sampler_sums_targets(const sr_sampler *sampler, size_t ranks)
{
    return sampler->is.masked || (sampler->is.every_position && sampler_groups(sampler, ranks) > 1);
}

sr_status sr_sampler_batch(const sr_sampler *sampler, size_t epoch, size_t index, sr_part part, sr_arena *arena,
                           sr_batch *batch, sr_totals *totals, sr_error *error)
{
    const rank_group group = group_of_rank(sampler, index, part.rank, part.ranks);
    division slice;
    SR_TRY(divide_slice(sampler, epoch, &group, arena, &slice, error));
    sr_example *examples = slice.examples;
    views drawn = slice.drawn;
    sampled_part sampled = {epoch, index, NULL, 0};
    size_t mine = 0, slice_targets = 0;
    if (sampler->is.negatives) {
        sampled.examples = sr_arena_take(arena, slice.count * sizeof *sampled.examples);
        if (!sampled.examples)
            return sr_fail_memory(error, slice.count * sizeof *sampled.examples, "a batch");
    }
    for (size_t e = 0; e < slice.count; ++e) {
        size_t targets;
        sampler_targets_of_example(sampler, &examples[e], &targets);
        slice_targets += targets;
        if (group.first_rank + slice.pieces.owners[slice.pieces.of_example[e]] != part.rank)
            continue;
        const sr_example history = examples[e];
        examples[mine] = history;
        SR_TRY(complete_example(sampler, epoch, &examples[mine], arena, error));
        if (sampled.examples)
            sampled.examples[sampled.count++] = (negatives_example){
                .history = history,
                .example = examples[mine],
                .number = group.first + e - index * sampler->is.batch_size,
            };
        if (drawn.again) {
            drawn.again[mine] = drawn.again[e];
            drawn.alike[mine] = drawn.alike[e];
        }
        ++mine;
    }
    SR_TRY(sr_batch_pack(batch, arena, &sampler->is.packing, examples, mine, error));
    if (sampled.examples)
        SR_TRY(sampler_add_negatives(sampler, &sampled, &part, arena, batch, error));
    totals->examples = sampler_batch_end(sampler, index) - index * sampler->is.batch_size;
    totals->targets = totals->examples;
    if (sr_sampler_sums_targets(sampler, part.ranks))
        totals->targets = batch->targets;
    else if (sampler->is.every_position)
        totals->targets = slice_targets;
    if (!drawn.again)
        return SR_OK;
    SR_TRY(build_view(sampler, drawn.again, mine, arena, &batch->again, error));
    return build_view(sampler, drawn.alike, mine, arena, &batch->alike, error);
}

void sr_sampler_prefetch(const sr_sampler *sampler, size_t epoch, size_t index, size_t rank, size_t ranks)
{
    if (!sampler->prefetches || index >= sr_sampler_batches(sampler))
        return;
    const rank_group group = group_of_rank(sampler, index, rank, ranks);
    const sr_random_stream order = sampler_stream(sampler, SR_RANDOM_SAMPLE_ORDER, epoch);
    const size_t window = sampler->is.packing.max_length;
    for (size_t e = rank - group.first_rank; e < group.count; e += group.ranks) {
        const sr_example example = sampler_example(sampler, sr_random_permutation(order, group.first + e, sampler->examples));
        const size_t count = smaller(example.length, window);
        sr_dataset_prefetch(sampler->dataset, example.items + example.length - count, count + 1); /* with the target */
    }
}
