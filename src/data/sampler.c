/* Training examples, their order and their division; srtrain/sampler.h says what is promised. */
#include "srtrain/sampler.h"

#include "srtrain/model.h"
#include "srtrain/random.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct sr_sampler {
    const sr_dataset *dataset;
    const sr_settings *settings;
    size_t *offsets; /* [users + 1]: user u has examples offsets[u] .. offsets[u + 1] */
    size_t examples;
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t examples_of(const sr_settings *settings, const sr_sequence *sequence)
{
    const size_t training = sequence->train_end;
    if (settings->training.objective == SR_OBJECTIVE_ALL)
        return training >= 2;
    if (settings->data.samples == SR_SAMPLES_WINDOW)
        return smaller(training, (size_t)settings->model.max_length);
    return training >= 1 ? training - 1 : 0;
}

sr_status sr_sampler_create(sr_sampler **sampler, const sr_dataset *dataset, const sr_settings *settings, sr_error *error)
{
    *sampler = NULL;
    const size_t users = sr_dataset_users(dataset);
    sr_sampler *made;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "the sampler", error));
    const sr_status status = SR_ALLOCATE(&made->offsets, users + 1, "the index of training examples", error);
    if (status != SR_OK) {
        free(made);
        return status;
    }
    made->dataset = dataset;
    made->settings = settings;
    made->offsets[0] = 0;
    for (size_t user = 0; user < users; ++user) {
        const sr_sequence sequence = sr_dataset_sequence(dataset, user);
        made->offsets[user + 1] = made->offsets[user] + examples_of(settings, &sequence);
    }
    made->examples = made->offsets[users];
    if (made->examples == 0) {
        sr_sampler_free(made);
        return sr_fail(error, SR_ERROR_DATA, "%s holds no training example: every sequence's training part is too short",
                       sr_dataset_directory(dataset));
    }
    *sampler = made;
    return SR_OK;
}

void sr_sampler_free(sr_sampler *sampler)
{
    if (!sampler)
        return;
    free(sampler->offsets);
    free(sampler);
}

size_t sr_sampler_examples(const sr_sampler *sampler)
{
    return sampler->examples;
}

size_t sr_sampler_batches(const sr_sampler *sampler)
{
    const size_t batch_size = (size_t)sampler->settings->training.batch_size;
    return (sampler->examples + batch_size - 1) / batch_size;
}

/* The user whose examples include number `example`. */
static size_t user_of(const sr_sampler *sampler, size_t example)
{
    size_t low = 0, high = sr_dataset_users(sampler->dataset);
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (sampler->offsets[middle] <= example)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static sr_example example_at(const sr_sampler *sampler, size_t number)
{
    const sr_settings *settings = sampler->settings;
    const size_t user = user_of(sampler, number);
    const sr_sequence sequence = sr_dataset_sequence(sampler->dataset, user);
    const size_t prefix = number - sampler->offsets[user]; /* counts the user's examples */
    sr_example example = {.identity = number};
    if (settings->training.objective == SR_OBJECTIVE_ALL) {
        example.items = sequence.items;
        example.length = sequence.train_end - 1;
        example.targets = sequence.items + 1;
    } else if (settings->data.samples == SR_SAMPLES_WINDOW) {
        example.items = sequence.items + sequence.train_end - smaller(sequence.train_end, (size_t)settings->model.max_length);
        example.length = prefix;
        example.targets = example.items + prefix;
    } else {
        example.items = sequence.items;
        example.length = prefix + 1;
        example.targets = sequence.items + prefix + 1;
    }
    return example;
}

/* ---- negatives ---- */

static bool contains(const int32_t *items, size_t count, int32_t item)
{
    for (size_t i = 0; i < count; ++i)
        if (items[i] == item)
            return true;
    return false;
}

/* One uniform item that is not in the example's history and not the target; after many failed attempts (a history that covers
 * nearly the whole catalogue) any item but the target. Redrawn every epoch. */
static int32_t draw_negative(const sr_sampler *sampler, sr_random_stream stream, const sr_example *example, size_t known,
                             size_t position)
{
    enum { ATTEMPTS = 1000 };
    const uint64_t items = sr_dataset_items(sampler->dataset);
    const int32_t target = example->targets[position];
    for (uint64_t attempt = 0;; ++attempt) {
        const int32_t item = 1 + (int32_t)sr_random_below(stream, example->identity, (uint64_t)position << 32 | attempt, items);
        if (item != target && (attempt >= ATTEMPTS || !contains(example->items, known, item)))
            return item;
        if (items == 1)
            return target;
    }
}

static sr_status draw_negatives(const sr_sampler *sampler, size_t epoch, sr_example *example, sr_arena *arena, sr_error *error)
{
    const bool all = sampler->settings->training.objective == SR_OBJECTIVE_ALL;
    const size_t count = all ? example->length : 1;
    int32_t *negatives = sr_arena_take(arena, count * sizeof *negatives);
    if (!negatives)
        return sr_fail_memory(error, count * sizeof *negatives, "sampled negatives");
    const sr_random_stream stream = sr_random_open((uint64_t)sampler->settings->training.seed, SR_RANDOM_NEGATIVES, epoch);
    for (size_t position = 0; position < count; ++position)
        negatives[position] = draw_negative(sampler, stream, example, example->length, position);
    example->negatives = negatives;
    return SR_OK;
}

/* ---- batches ---- */

/* The pieces of work of a global batch: one for each example, except that all empty histories together are one (they share a
 * sequence, so they must share a rank). */
typedef struct {
    size_t count;
    size_t *work;       /* [count] */
    size_t *of_example; /* [examples]: the piece of each example */
    uint32_t *owners;   /* [count] */
} pieces;

static sr_status make_pieces(const sr_sampler *sampler, const sr_example *examples, size_t count, size_t ranks, sr_arena *arena,
                             pieces *made, sr_error *error)
{
    *made = (pieces){.work = sr_arena_take(arena, count * sizeof *made->work),
                     .of_example = sr_arena_take(arena, count * sizeof *made->of_example),
                     .owners = sr_arena_take(arena, count * sizeof *made->owners)};
    if (!made->work || !made->of_example || !made->owners)
        return sr_fail_memory(error, count * sizeof *made->work, "dividing a batch");
    size_t empty_piece = SIZE_MAX;
    for (size_t e = 0; e < count; ++e) {
        const size_t work = sr_example_work(&examples[e], &sampler->settings->model);
        if (examples[e].length == 0 && empty_piece != SIZE_MAX) {
            made->work[empty_piece] += work;
            made->of_example[e] = empty_piece;
            continue;
        }
        made->work[made->count] = work;
        if (examples[e].length == 0) {
            made->work[made->count] += (size_t)sampler->settings->model.max_length;
            empty_piece = made->count;
        }
        made->of_example[e] = made->count++;
    }
    return sr_divide_work(made->work, made->count, ranks, made->owners, error);
}

static size_t targets_of(const sr_sampler *sampler, const sr_example *example)
{
    return sampler->settings->training.objective == SR_OBJECTIVE_ALL
               ? smaller(example->length, (size_t)sampler->settings->model.max_length)
               : 1;
}

sr_status sr_sampler_batch(const sr_sampler *sampler, size_t epoch, size_t index, size_t rank, size_t ranks, sr_arena *arena,
                           sr_batch *batch, size_t *global_targets, size_t *global_examples, sr_error *error)
{
    const sr_settings *settings = sampler->settings;
    const size_t batch_size = (size_t)settings->training.batch_size, first = index * batch_size;
    assert(first < sampler->examples);
    const size_t count = smaller(batch_size, sampler->examples - first);
    const sr_random_stream order = sr_random_open((uint64_t)settings->training.seed, SR_RANDOM_SAMPLE_ORDER, epoch);
    sr_example *examples = sr_arena_take(arena, count * sizeof *examples);
    if (!examples)
        return sr_fail_memory(error, count * sizeof *examples, "a batch");
    *global_targets = 0;
    *global_examples = count;
    for (size_t e = 0; e < count; ++e) {
        examples[e] = example_at(sampler, sr_random_permutation(order, first + e, sampler->examples));
        *global_targets += targets_of(sampler, &examples[e]);
    }
    pieces divided;
    SR_TRY(make_pieces(sampler, examples, count, ranks, arena, &divided, error));
    size_t mine = 0;
    for (size_t e = 0; e < count; ++e) {
        if (divided.owners[divided.of_example[e]] != rank)
            continue;
        examples[mine] = examples[e];
        if (sr_loss_needs_negatives(settings->training.loss))
            SR_TRY(draw_negatives(sampler, epoch, &examples[mine], arena, error));
        ++mine;
    }
    return sr_batch_build(batch, arena, &settings->model, settings->training.objective, examples, mine, error);
}
