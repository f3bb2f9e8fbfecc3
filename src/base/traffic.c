#include "srtrain/traffic.h"

#include <stddef.h>

static const struct {
    const char *name, *words;
} kinds[SR_TRAFFICS] = {
    [SR_TRAFFIC_GRADIENTS] = {"gradients", "gradients, summed"},
    [SR_TRAFFIC_IDS] = {"ids", "ids of items"},
    [SR_TRAFFIC_ROWS] = {"rows", "rows of items, fetched"},
    [SR_TRAFFIC_ROW_GRADIENTS] = {"row_gradients", "gradients of rows, returned"},
    [SR_TRAFFIC_STATES] = {"states", "states, compared elsewhere"},
};

const char *sr_traffic_name(sr_traffic_kind kind)
{
    return kinds[kind].name;
}

const char *sr_traffic_words(sr_traffic_kind kind)
{
    return kinds[kind].words;
}

void sr_traffic_add(sr_traffic *to, const sr_traffic *more)
{
    for (size_t kind = 0; kind < SR_TRAFFICS; ++kind)
        to->bytes[kind] += more->bytes[kind];
}

double sr_traffic_total(const sr_traffic *traffic)
{
    double total = 0;
    for (size_t kind = 0; kind < SR_TRAFFICS; ++kind)
        total += traffic->bytes[kind];
    return total;
}
