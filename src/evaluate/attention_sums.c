#include "evaluate/attention_sums.h"

#include <math.h>

/* Hands out `count` doubles of a block; with a NULL block it only counts. */
static double *take(double *block, size_t *used, size_t count)
{
    double *taken = block ? block + *used : NULL;
    *used += count;
    return taken;
}

static attention_sums divide(double *block, size_t layers, size_t heads, size_t length, size_t *used)
{
    attention_sums sums = {.layers = layers, .heads = heads, .length = length};
    *used = 0;
    for (int stage = 0; stage < SR_CALIBRATION_STAGES; ++stage) {
        sums.cells[stage] = take(block, used, layers * heads * length * length);
        sums.keys[stage] = take(block, used, layers * heads);
        sums.row_sums[stage] = take(block, used, layers * heads);
        sums.visible[stage] = take(block, used, layers);
    }
    sums.counts = take(block, used, ATTENTION_COUNTS);
    return sums;
}

size_t attention_sums_size(size_t layers, size_t heads, size_t length)
{
    size_t used;
    (void)divide(NULL, layers, heads, length, &used);
    return used;
}

attention_sums attention_sums_view(double *block, size_t layers, size_t heads, size_t length)
{
    size_t used;
    return divide(block, layers, heads, length, &used);
}

double effective_keys(const sr_real *weights, size_t count)
{
    double sum = 0, entropy = 0;
    for (size_t i = 0; i < count; ++i)
        sum += fabs((double)weights[i]);
    if (!(sum > 0))
        return 0;
    for (size_t i = 0; i < count; ++i) {
        const double share = fabs((double)weights[i]) / sum;
        entropy -= share > 0 ? share * log(share) : 0;
    }
    return exp(entropy);
}

const sr_tensor *traced_weights(const sr_trace *trace, size_t layer, sr_calibration_stage stage, const sr_attention_map **map)
{
    const bool after = stage == SR_AFTER_CALIBRATION;
    *map = after ? trace->attention_maps[layer] : trace->maps[layer];
    return after ? trace->attention[layer] : trace->uncalibrated[layer];
}

/* Where row `token` (of all tokens) of a head begins, and which keys of the sequence count in it. */
static const sr_real *row_of(const sr_tensor *weights, const sr_attention_map *map, size_t s, size_t head, size_t token,
                             size_t *begin, size_t *end)
{
    const size_t first_query = map->queries->offsets[s], queries = map->queries->offsets[s + 1] - first_query;
    const size_t keys = map->keys->offsets[s + 1] - map->keys->offsets[s];
    const size_t query = token - map->queries->tokens[first_query];
    sr_visible_keys(map, s, first_query + query, begin, end);
    return weights->values + map->offsets[s] + (head * queries + query) * keys;
}

void add_attention_between(const sr_tensor *weights, const sr_attention_map *map, size_t s, size_t head, size_t first, size_t n,
                           double *cells)
{
    const size_t first_key = map->keys->tokens[map->keys->offsets[s]];
    for (size_t i = 0; i < n; ++i) {
        size_t begin, end;
        const sr_real *row = row_of(weights, map, s, head, first + i, &begin, &end);
        for (size_t key = begin; key < end; ++key)
            if (first_key + key >= first && first_key + key < first + n)
                cells[i * n + first_key + key - first] += (double)row[key];
    }
}

static void add_rows_read(const attention_sums *sums, const sr_trace *trace, size_t layer, sr_calibration_stage stage,
                          const sr_rows *reads)
{
    const sr_attention_map *map;
    const sr_tensor *weights = traced_weights(trace, layer, stage, &map);
    for (size_t s = 0; s < map->layout->sequences; ++s)
        for (size_t read = reads->offsets[s]; read < reads->offsets[s + 1]; ++read) {
            size_t begin = 0, end = 0;
            for (size_t head = 0; head < sums->heads; ++head) {
                const sr_real *row = row_of(weights, map, s, head, reads->tokens[read], &begin, &end);
                sums->keys[stage][layer * sums->heads + head] += effective_keys(row + begin, end - begin);
                for (size_t key = begin; key < end; ++key)
                    sums->row_sums[stage][layer * sums->heads + head] += (double)row[key];
            }
            sums->visible[stage][layer] += (double)(end - begin);
        }
}

static size_t items_of(const sr_layout *layout, size_t s)
{
    return layout->offsets[s + 1] - layout->offsets[s] - layout->leading[s] - layout->trailing[s];
}

static void add_cells(const attention_sums *sums, const sr_trace *trace, size_t layer, sr_calibration_stage stage)
{
    const sr_attention_map *map;
    const sr_tensor *weights = traced_weights(trace, layer, stage, &map);
    const sr_layout *layout = map->layout;
    for (size_t s = 0; s < layout->sequences; ++s)
        for (size_t head = 0; items_of(layout, s) == sums->length && head < sums->heads; ++head)
            add_attention_between(weights, map, s, head, layout->offsets[s] + layout->leading[s], sums->length,
                                  sums->cells[stage] + (layer * sums->heads + head) * sums->length * sums->length);
}

void attention_sums_add(const attention_sums *sums, const sr_trace *trace, const sr_rows *reads)
{
    if (sums->layers == 0)
        return;
    const sr_layout *layout = trace->maps[0]->layout;
    for (size_t layer = 0; layer < sums->layers; ++layer)
        for (int stage = 0; stage < SR_CALIBRATION_STAGES; ++stage) {
            add_rows_read(sums, trace, layer, (sr_calibration_stage)stage, reads);
            add_cells(sums, trace, layer, (sr_calibration_stage)stage);
        }
    sums->counts[ATTENTION_ROWS_READ] += (double)sr_rows_count(reads, layout);
    for (size_t s = 0; s < layout->sequences; ++s)
        sums->counts[ATTENTION_SEQUENCES] += items_of(layout, s) == sums->length;
}
