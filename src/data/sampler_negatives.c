/* Sampled negatives of the sampler: the table of draws, targets of a global batch, and lists of a part. */
#include "base/sizes.h"
#include "data/sampler_state.h"

#include <assert.h>
#include <string.h>

/* ---- the table of draws ---- */

static shares_request shares_request_of(const sr_sampler *sampler)
{
    return (shares_request){.settings = &sampler->is.sampled,
                            .items = sr_dataset_items(sampler->dataset),
                            .occurrences = sr_dataset_popularity(sampler->dataset),
                            .counts_targets = sampler->is.reads_shares};
}

size_t sr_sampler_table_bytes(const sr_sampler *sampler)
{
    const shares_request request = shares_request_of(sampler);
    return sampler->is.negatives ? item_shares_bytes(&request) : 0;
}

const int32_t *sampler_targets_of_example(const sr_sampler *sampler, const sr_example *example, size_t *count)
{
    *count = sampler->is.every_position ? smaller(example->length, sampler->is.packing.max_length) : 1;
    return example->targets + (sampler->is.every_position ? example->length - *count : 0);
}

void sr_sampler_add_to_table(const sr_sampler *sampler, void *table, size_t rank, size_t ranks)
{
    const shares_request request = shares_request_of(sampler);
    const size_t users = sr_dataset_users(sampler->dataset);
    if (sampler->is.sampled.sampling == SR_SAMPLING_POPULARITY) {
        if (rank == 0)
            item_shares_compute(&request, table);
        return;
    }
    for (size_t user = users * rank / ranks; user < users * (rank + 1) / ranks; ++user) {
        size_t count = 0;
        const sr_sequence sequence = sr_dataset_sequence(sampler->dataset, user);
        const sr_example whole = {.length = sequence.train_end - 1, .targets = sequence.items + 1};
        const int32_t *targets = NULL;
        if (!sampler->is.every_position)
            targets = sampler_targets_of_user(sampler, user, &count);
        else if (sampler_examples_of(sampler, user) > 0)
            targets = sampler_targets_of_example(sampler, &whole, &count);
        item_shares_count(&request, table, targets, count);
    }
}

void sr_sampler_use_table(sr_sampler *sampler, void *table)
{
    const shares_request request = shares_request_of(sampler);
    item_shares_read(&sampler->shares, &request, table);
}

static sr_status make_own_table(sr_sampler *sampler, sr_error *error)
{
    const size_t words = sr_sampler_table_bytes(sampler) / sizeof(int64_t);
    int64_t *table;
    if (words == 0)
        return SR_OK;
    SR_TRY(SR_ALLOCATE_ZERO(&table, words, "the table of sampled negatives", error));
    sampler->own_table = table;
    sr_sampler_add_to_table(sampler, table, 0, 1);
    sr_sampler_use_table(sampler, table);
    return SR_OK;
}

/* How many items can be drawn; of those that occur, two are counted. */
static size_t items_to_draw(const sr_sampler *sampler)
{
    const size_t items = sr_dataset_items(sampler->dataset);
    const int64_t *occurrences = sr_dataset_popularity(sampler->dataset);
    const sr_negative_settings *sampled = &sampler->is.sampled;
    if (sampled->sampling == SR_SAMPLING_UNIFORM || sampled->sampling == SR_SAMPLING_MIXED ||
        (sampled->sampling == SR_SAMPLING_POPULARITY && sampled->popularity_exponent == 0))
        return items;
    size_t count = 0;
    for (size_t item = 1; item <= items && count < 2; ++item)
        count += occurrences[item] > 0;
    return count;
}

sr_status sampler_prepare_negatives(sr_sampler *sampler, sr_error *error)
{
    const shares_request request = shares_request_of(sampler);
    if (!sampler->is.negatives)
        return SR_OK;
    if (items_to_draw(sampler) < 2)
        return sr_fail(error, SR_ERROR_DATA,
                       "%s has one item that could be sampled, so that no target has a negative: training.loss compares each "
                       "target with sampled items; use data of at least two items, or loss cross_entropy",
                       sr_dataset_directory(sampler->dataset));
    sampler->shares = item_shares_of(&request);
    return sampler->is.shares_table ? SR_OK : make_own_table(sampler, error);
}

/* ---- the targets of a global batch ---- */

static bool draws_from_batch(const sr_sampler *sampler)
{
    return sampler->is.negatives && sr_negatives_come_from_batch(&sampler->is.sampled);
}

bool sr_sampler_gathers_targets(const sr_sampler *sampler, size_t ranks)
{
    return draws_from_batch(sampler) && sampler_groups(sampler, ranks) > 1;
}

sr_status sr_sampler_targets(const sr_sampler *sampler, size_t epoch, size_t index, sr_part part, sr_arena *arena,
                             sr_batch_targets *targets, sr_error *error)
{
    assert(!sampler->is.masked); /* whose targets are drawn */
    const sr_random_stream order = sampler_stream(sampler, SR_RANDOM_SAMPLE_ORDER, epoch);
    const size_t begin = index * sampler->is.batch_size, count = sampler_batch_end(sampler, index) - begin;
    const size_t first = begin + count * part.rank / part.ranks, end = begin + count * (part.rank + 1) / part.ranks;
    const size_t most = (end - first) * (sampler->is.every_position ? sampler->is.packing.max_length : 1);
    int32_t *items = sr_arena_take(arena, most * sizeof *items);
    if (!items)
        return sr_fail_memory(error, most * sizeof *items, "the targets of a batch");
    *targets = (sr_batch_targets){.items = items};
    for (size_t e = first; e < end; ++e) {
        const sr_example example = sampler_example(sampler, sr_random_permutation(order, e, sampler->examples));
        size_t more;
        const int32_t *own = sampler_targets_of_example(sampler, &example, &more);
        memcpy(items + targets->count, own, more * sizeof *items);
        targets->count += more;
    }
    return SR_OK;
}

/* ---- the part of a rank ---- */

sr_status sampler_add_negatives(const sr_sampler *sampler, const sampled_part *sampled, const sr_part *part, sr_arena *arena,
                                sr_batch *batch, sr_error *error)
{
    const size_t number = sampled->epoch * sr_sampler_batches(sampler) + sampled->index;
    sr_batch_targets targets = {NULL, 0};
    if (part->targets)
        targets = *part->targets;
    else if (draws_from_batch(sampler))
        SR_TRY(sr_sampler_targets(sampler, sampled->epoch, sampled->index, (sr_part){.ranks = 1}, arena, &targets, error));
    const negatives_request request = {.settings = &sampler->is.sampled,
                                       .shares = &sampler->shares,
                                       .wants_shares = sampler->is.reads_shares,
                                       .own = sampler_stream(sampler, SR_RANDOM_NEGATIVES, sampled->epoch),
                                       .shared = sampler_stream(sampler, SR_RANDOM_SHARED_NEGATIVES, number),
                                       .packing = &sampler->is.packing,
                                       .examples = sampled->examples,
                                       .count = sampled->count,
                                       .batch_targets = targets.items,
                                       .batch_target_count = targets.count};
    return negatives_make(&request, batch, arena, &batch->negatives, error);
}
