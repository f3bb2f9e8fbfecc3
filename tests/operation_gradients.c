#include "operation_gradients.h"

static const size_t layout_offsets[] = {0, 3, 4, 9, 13};
static const uint32_t layout_leading[] = {0, 0, 0, 4}, layout_trailing[] = {0, 0, 0, 0};
static const int32_t layout_columns[] = {0, 1, 2, 0, 0, 1, 2, 3, 4, 0, 1, 2, 3};
static const uint64_t layout_identity[] = {11, 5, 7, 3};
const sr_layout layout = {.sequences = 4,
                          .offsets = layout_offsets,
                          .leading = layout_leading,
                          .trailing = layout_trailing,
                          .columns = layout_columns,
                          .identity = layout_identity,
                          .window = WINDOW,
                          .causal = true};
static const size_t read_offsets[] = {0, 1, 2, 4, 5};
const size_t read_tokens[] = {2, 3, 5, 8, 12};
const sr_rows reads = {.offsets = read_offsets, .tokens = read_tokens};

static const size_t long_offsets[] = {0, 20};
static const uint32_t long_leading[] = {3}, long_trailing[] = {2};
static const int32_t long_columns[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19};
const sr_layout long_layout = {.sequences = 1,
                               .offsets = long_offsets,
                               .leading = long_leading,
                               .trailing = long_trailing,
                               .columns = long_columns,
                               .identity = layout_identity,
                               .window = 20,
                               .causal = true};

static const uint32_t causal_leading[] = {0};
const sr_layout causal_layout = {.sequences = 1,
                                 .offsets = long_offsets,
                                 .leading = causal_leading,
                                 .trailing = long_trailing,
                                 .columns = long_columns,
                                 .identity = layout_identity,
                                 .window = 20,
                                 .causal = true};
static const size_t late_offsets[] = {0, LATE}, late_tokens[] = {7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19};
const sr_rows late_reads = {.offsets = late_offsets, .tokens = late_tokens};

static const size_t padded_offsets[] = {0, 4, 8};
static const uint32_t padded_leading[] = {0, 0}, padded_trailing[] = {1, 2};
static const int32_t padded_columns[] = {0, 1, 2, 3, 0, 1, 2, 3};
const sr_layout padded_layout = {.sequences = 2,
                                 .offsets = padded_offsets,
                                 .leading = padded_leading,
                                 .trailing = padded_trailing,
                                 .columns = padded_columns,
                                 .identity = layout_identity,
                                 .window = 4};

sr_dropout_site half(uint64_t index)
{
    return (sr_dropout_site){sr_random_open(1, SR_RANDOM_TEST, index), 0.5};
}
