#include "data/item_shares.h"

#include <math.h>

/* ---- the table ---- */

/* By popularity: the sum, thresholds, aliases. */
typedef struct {
    double *sum;
    alias_table alias;
} popularity_table;

static popularity_table popularity_at(void *table, size_t items)
{
    double *sum = table, *thresholds = sum + 1;
    return (popularity_table){sum, {.columns = items, .thresholds = thresholds, .aliases = (int32_t *)(thresholds + items)}};
}

static bool counts_targets(const shares_request *request)
{
    return request->counts_targets && sr_negatives_come_from_batch(request->settings);
}

size_t item_shares_bytes(const shares_request *request)
{
    const size_t items = request->items, word = sizeof(int64_t);
    if (request->settings->sampling == SR_SAMPLING_POPULARITY)
        return (sizeof(double) * (1 + items) + sizeof(int32_t) * items + word - 1) / word * word;
    return counts_targets(request) ? word * (1 + items) : 0; /* their sum, and those of each item */
}

static double weight(int64_t occurrences, double exponent)
{
    if (exponent == 0)
        return 1;
    return occurrences > 0 ? pow((double)occurrences, exponent) : 0;
}

/* Compensated (Kahan 1965), so that the sum is as good as its terms however many there are. */
static double sum_weights(const double *weights, size_t count)
{
    double sum = 0, rest = 0;
    for (size_t i = 0; i < count; ++i) {
        const double term = weights[i] - rest, next = sum + term;
        rest = next - sum - term;
        sum = next;
    }
    return sum;
}

void item_shares_compute(const shares_request *request, void *table)
{
    const size_t items = request->items;
    popularity_table made = popularity_at(table, items);
    double *weights = made.alias.thresholds;
    for (size_t i = 0; i < items; ++i)
        weights[i] = weight(request->occurrences[i + 1], request->settings->popularity_exponent);
    *made.sum = sum_weights(weights, items);
    for (size_t i = 0; i < items; ++i)
        weights[i] = weights[i] / *made.sum * (double)items;
    alias_table_build(&made.alias);
}

void item_shares_count(const shares_request *request, void *table, const int32_t *targets, size_t count)
{
    int64_t *counts = table;
    if (!counts_targets(request))
        return;
    for (size_t i = 0; i < count; ++i)
        __atomic_fetch_add(&counts[targets[i]], 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&counts[0], (int64_t)count, __ATOMIC_RELAXED);
}

void item_shares_read(item_shares *shares, const shares_request *request, void *table)
{
    if (request->settings->sampling == SR_SAMPLING_POPULARITY) {
        const popularity_table made = popularity_at(table, request->items);
        shares->sum = *made.sum;
        shares->alias = made.alias;
    } else if (counts_targets(request)) {
        const int64_t *counts = table;
        shares->targets = counts[0];
        shares->target_counts = counts + 1;
    }
}

/* ---- shares ---- */

size_t places_from_batch(const sr_negative_settings *settings, size_t length)
{
    if (settings->sampling == SR_SAMPLING_BATCH)
        return length;
    return settings->sampling == SR_SAMPLING_MIXED ? (size_t)llround(settings->batch_share * (double)length) : 0;
}

item_shares item_shares_of(const shares_request *request)
{
    const sr_negative_settings *settings = request->settings;
    const size_t length = (size_t)settings->count;
    return (item_shares){.sampling = settings->sampling,
                         .items = request->items,
                         .exponent = settings->popularity_exponent,
                         .from_batch = settings->sampling == SR_SAMPLING_MIXED
                                           ? (double)places_from_batch(settings, length) / (double)length
                                           : 1,
                         .occurrences = request->occurrences};
}

double item_share(const item_shares *shares, int32_t item)
{
    const double uniform = 1 / (double)shares->items;
    double of_targets;
    switch (shares->sampling) {
    case SR_SAMPLING_POPULARITY:
        return weight(shares->occurrences[item], shares->exponent) / shares->sum;
    case SR_SAMPLING_BATCH:
    case SR_SAMPLING_MIXED:
        of_targets = (double)shares->target_counts[item - 1] / (double)shares->targets;
        return shares->from_batch * of_targets + (1 - shares->from_batch) * uniform;
    case SR_SAMPLING_UNIFORM:
        break;
    }
    return uniform;
}

double item_log_share(const item_shares *shares, int32_t item)
{
    if (shares->sampling != SR_SAMPLING_POPULARITY || shares->exponent == 0)
        return log(item_share(shares, item));
    return shares->exponent * log((double)shares->occurrences[item]) - log(shares->sum);
}
