#include "sampled_lists.h"

#include "srtrain/random.h"

#include <math.h>

/* ---- distributions ---- */

static double weight(const listed_target *t, size_t item)
{
    const double exponent = t->sampling->sampled.popularity_exponent;
    const int64_t count = sr_dataset_popularity(t->dataset)[item];
    return exponent == 0 ? 1 : (count > 0 ? pow((double)count, exponent) : 0);
}

static size_t from_batch(const sr_negative_settings *s)
{
    if (s->sampling == SR_SAMPLING_BATCH)
        return (size_t)s->count;
    return s->sampling == SR_SAMPLING_MIXED ? (size_t)(s->batch_share * (double)s->count + 0.5) : 0;
}

double listed_share(const listed_target *t, int32_t item)
{
    const sr_negative_settings *s = &t->sampling->sampled;
    const size_t items = sr_dataset_items(t->dataset);
    double sum = 0;
    if (s->sampling == SR_SAMPLING_BATCH)
        return t->target_shares[item];
    if (s->sampling == SR_SAMPLING_MIXED)
        return ((double)from_batch(s) * t->target_shares[item] + (double)((size_t)s->count - from_batch(s)) / (double)items) /
               (double)s->count;
    if (s->sampling == SR_SAMPLING_UNIFORM)
        return 1 / (double)items;
    for (size_t i = 1; i <= items; ++i)
        sum += weight(t, i);
    return weight(t, (size_t)item) / sum;
}

/* Vose's table with queues as arrays. */
static int32_t draw_by_popularity(const listed_target *t, sr_random_stream stream, uint64_t low, uint64_t high)
{
    enum { MOST_ITEMS = 64 };
    double r[MOST_ITEMS], sum = 0, uniform;
    size_t alias[MOST_ITEMS], small[2 * MOST_ITEMS], large[MOST_ITEMS], smalls = 0, larges = 0, s = 0, g = 0;
    const size_t items = sr_dataset_items(t->dataset);
    for (size_t i = 0; i < items; ++i)
        sum += weight(t, i + 1);
    for (size_t i = 0; i < items; ++i) {
        r[i] = weight(t, i + 1) / sum * (double)items;
        alias[i] = i;
        if (r[i] < 1)
            small[smalls++] = i;
        else
            large[larges++] = i;
    }
    while (s < smalls && g < larges) {
        alias[small[s]] = large[g];
        r[large[g]] -= 1 - r[small[s++]];
        if (r[large[g]] < 1)
            small[smalls++] = large[g++];
    }
    const size_t column = (size_t)sr_random_below_and_uniform(stream, low, high, items, &uniform);
    return 1 + (int32_t)(alias[column] == column || uniform < r[column] ? column : alias[column]);
}

static int32_t draw_at(const listed_target *t, size_t place, uint64_t attempt)
{
    const sr_negative_settings *s = &t->sampling->sampled;
    const bool shared = s->sharing == SR_SHARING_SLICE || s->sharing == SR_SHARING_BATCH;
    sr_random_stream stream = sr_random_open(t->sampling->seed, SR_RANDOM_NEGATIVES, t->epoch);
    uint64_t low = t->identity, high = (uint64_t)(s->sharing == SR_SHARING_TARGET ? t->position : UINT32_MAX) << 32;
    if (shared) {
        stream = sr_random_open(t->sampling->seed, SR_RANDOM_SHARED_NEGATIVES, t->epoch * t->batches + t->index);
        low = s->sharing == SR_SHARING_SLICE ? t->number / (size_t)s->slice : 0;
        high = (uint64_t)place << 32;
    } else if (place > 0) {
        stream = sr_random_fork(stream, place);
    }
    if (place < from_batch(s))
        return t->batch->items[sr_random_below(stream, low, high | attempt, t->batch->count)];
    if (s->sampling == SR_SAMPLING_POPULARITY)
        return draw_by_popularity(t, stream, low, high | attempt);
    return 1 + (int32_t)sr_random_below(stream, low, high | attempt, sr_dataset_items(t->dataset));
}

/* ---- what is excluded ---- */

static bool is_in(const int32_t *items, size_t count, int32_t item)
{
    for (size_t i = 0; i < count; ++i)
        if (items[i] == item)
            return true;
    return false;
}

static bool is_excluded(const listed_target *t, int32_t item)
{
    const sr_negative_settings *s = &t->sampling->sampled;
    const int32_t last = t->of_example[t->example_targets - 1];
    if (s->history_hits == SR_HITS_REDRAW_ALL)
        return item == t->item || is_in(t->history, t->history_length, item) ||
               (s->sharing == SR_SHARING_EXAMPLE && item == last);
    if (s->history_hits != SR_HITS_KEEP)
        return is_in(t->window, t->window_length, item) || item == last;
    if (s->target_hits == SR_HITS_REDRAW && s->sharing == SR_SHARING_EXAMPLE)
        return is_in(t->of_example, t->example_targets, item);
    return s->target_hits != SR_HITS_KEEP && item == t->item;
}

static int32_t draw_entry(const listed_target *t, size_t place)
{
    const sr_negative_settings *s = &t->sampling->sampled;
    const bool all = s->history_hits == SR_HITS_REDRAW_ALL;
    const bool again = all || s->history_hits == SR_HITS_REDRAW || s->target_hits == SR_HITS_REDRAW;
    int32_t item = draw_at(t, place, 0);
    if (all && s->sharing == SR_SHARING_TARGET) {
        for (uint64_t attempt = 0;; ++attempt) {
            item = draw_at(t, place, attempt);
            if (item != t->item && (attempt >= 1000 || !is_in(t->history, t->history_length, item)))
                return item;
        }
    }
    for (uint64_t attempt = 1; again && attempt < 1000 && is_excluded(t, item); ++attempt)
        item = draw_at(t, place, attempt);
    return item;
}

void list_negatives(const listed_target *t, listed_negatives *listed)
{
    const size_t length = t->sampling->sampled.count ? (size_t)t->sampling->sampled.count : t->batch->count;
    *listed = (listed_negatives){.target_log_q = log(listed_share(t, t->item))};
    for (size_t place = 0; place < length; ++place) {
        listed->items[place] = t->sampling->sampled.count ? draw_entry(t, place) : t->batch->items[place];
        listed->log_q[place] = log(listed_share(t, listed->items[place]));
        if (t->sampling->sampled.history_hits != SR_HITS_REDRAW_ALL && is_excluded(t, listed->items[place]))
            listed->hits[listed->hit_count++] = (uint32_t)place;
    }
    for (size_t item = 1; item <= sr_dataset_items(t->dataset); ++item)
        if (is_excluded(t, (int32_t)item))
            listed->excluded_share += listed_share(t, (int32_t)item);
}
