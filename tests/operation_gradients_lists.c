/* Losses that compare targets with lists of items. */
#include "operation_gradients.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { TARGETS = 5, LISTS = 4, LENGTH = 6, LARGE = 300, LONG_LIST = 2100 };

/* Five targets, three of which share a list; one list serves nobody. The third target has no entry left. Lists name rows
 * several times, and those of targets. */
static const int32_t targets[TARGETS] = {3, 0, 6, 3, 1};
static const int32_t places[LISTS * LENGTH] = {1, 2, 2, 5, 3, 6, 0, 0, 0, 0, 0, 0, 4, 4, 6, 0, 3, 1, 5, 2, 1, 1, 6, 4};
static const size_t first_target[LISTS + 1] = {0, 1, 1, 4, 5};
static const size_t hit_offsets[TARGETS + 1] = {0, 1, 1, 7, 9, 9};
static const uint32_t hits[] = {4, 0, 1, 2, 3, 4, 5, 0, 4};
static const float log_q[LISTS * LENGTH] = {-1, -2, -1.5F, 0.3F, -2, -1, 0, 0, 0,     0,     0,  0,
                                            -3, -1, -0.5F, -1,   -2, -1, 0, 1, -0.2F, -1.3F, -2, -1};
static const float target_log_q[TARGETS] = {-1, -2, -1, -0.5F, -3};
static const double shifts[TARGETS] = {0.2, -1, 0.4, -0.3, 1.2};
static const sr_score_corrections none = {.entries = NULL}, all = {log_q, target_log_q, shifts};

static sr_comparison small_lists(sr_tensor **x, sr_scoring scoring)
{
    return (sr_comparison){.target_table = x[1],
                           .table = x[1],
                           .target_places = targets,
                           .places = places,
                           .lists = LISTS,
                           .length = LENGTH,
                           .first_target = first_target,
                           .hit_offsets = hit_offsets,
                           .hits = hits,
                           .scoring = scoring};
}

static const sr_scoring plain = {1, false}, cool = {0.6, false}, cosines = {0.3, true};

/* Lists for the rows of x, as many as there are: each serves `shared` targets. One entry of every third target is a hit. */
static sr_comparison large_lists(sr_tape *tape, sr_tensor **x, size_t shared, size_t length, sr_scoring scoring)
{
    const size_t n = x[0]->rows, count = (n + shared - 1) / shared;
    int32_t *of_targets = sr_tape_take(tape, n, sizeof *of_targets),
            *of_lists = sr_tape_take(tape, count * length, sizeof(int32_t));
    size_t *first = sr_tape_take(tape, count + 1, sizeof *first), *offsets = sr_tape_take(tape, n + 1, sizeof *offsets);
    uint32_t *found = sr_tape_take(tape, n, sizeof *found);
    assert_true(of_targets && of_lists && first && offsets && found);
    for (size_t i = 0; i < count * length; ++i)
        of_lists[i] = (int32_t)(i * 37 % x[1]->rows);
    for (size_t list = 0; list <= count; ++list)
        first[list] = list < count ? list * shared : n;
    offsets[0] = 0;
    for (size_t i = 0; i < n; ++i) {
        of_targets[i] = (int32_t)(i * 11 % x[1]->rows);
        offsets[i + 1] = offsets[i];
        if (i % 3 == 0)
            found[offsets[i + 1]++] = (uint32_t)(i * 101 % length);
    }
    return (sr_comparison){.target_table = x[1],
                           .table = x[1],
                           .target_places = of_targets,
                           .places = of_lists,
                           .lists = count,
                           .length = length,
                           .first_target = first,
                           .hit_offsets = offsets,
                           .hits = found,
                           .scoring = scoring};
}

static sr_tensor *build_softmax(sr_tape *tape, sr_tensor **x)
{
    const sr_comparison with = small_lists(x, plain);
    return sr_sampled_softmax(tape, x[0], &with, &none, 0.3);
}

static sr_tensor *build_corrected_softmax(sr_tape *tape, sr_tensor **x)
{
    const sr_comparison with = small_lists(x, cool);
    return sr_sampled_softmax(tape, x[0], &with, &all, 0.3);
}

static sr_tensor *build_softmax_of_cosines(sr_tape *tape, sr_tensor **x)
{
    const sr_comparison with = small_lists(x, cosines);
    return sr_sampled_softmax(tape, sr_unit_rows(tape, x[0]), &with, &all, 0.3);
}

static sr_tensor *build_softmax_of_two_tables(sr_tape *tape, sr_tensor **x)
{
    sr_comparison with = small_lists(x, cosines);
    with.target_table = x[2];
    return sr_sampled_softmax(tape, x[0], &with, &none, 0.3);
}

static sr_tensor *build_logistic(sr_tape *tape, sr_tensor **x)
{
    const sr_comparison with = small_lists(x, cool);
    return sr_sampled_logistic(tape, x[0], &with, 0.7, 0.3);
}

static sr_tensor *build_logistic_of_cosines(sr_tape *tape, sr_tensor **x)
{
    const sr_comparison with = small_lists(x, cosines);
    return sr_sampled_logistic(tape, x[0], &with, 0.7, 0.3);
}

static sr_tensor *build_pairs(sr_tape *tape, sr_tensor **x)
{
    const sr_comparison with = small_lists(x, cool);
    return sr_sampled_pairs(tape, x[0], &with, 0.3);
}

static sr_tensor *build_pairs_of_cosines(sr_tape *tape, sr_tensor **x)
{
    const sr_comparison with = small_lists(x, cosines);
    return sr_sampled_pairs(tape, x[0], &with, 0.3);
}

static sr_tensor *build_softmax_over_tiles(sr_tape *tape, sr_tensor **x)
{
    const sr_comparison with = large_lists(tape, x, LARGE, LONG_LIST, plain);
    return sr_sampled_softmax(tape, x[0], &with, &none, 0.3);
}

/* Room for two of the six tiles. A larger sum would leave finite differences too few digits. */
static sr_tensor *build_pairs_that_keep_some_tiles(sr_tape *tape, sr_tensor **x)
{
    sr_tape_set_kept_bytes(tape, 2500000);
    const sr_comparison with = large_lists(tape, x, LARGE, LONG_LIST, cosines);
    return sr_sampled_pairs(tape, x[0], &with, 0.003);
}

static sr_tensor *build_logistic_that_keeps_nothing(sr_tape *tape, sr_tensor **x)
{
    sr_tape_set_kept_bytes(tape, 0);
    const sr_comparison with = large_lists(tape, x, 7, 1000, plain);
    return sr_sampled_logistic(tape, x[0], &with, 0.7, 0.3);
}

/* Lists of one target; they name fewer rows than the table has, so that factors are made one by one. */
static sr_tensor *build_softmax_of_long_single_lists(sr_tape *tape, sr_tensor **x)
{
    sr_tape_set_kept_bytes(tape, 0);
    const sr_comparison with = large_lists(tape, x, 1, 1000, cosines);
    return sr_sampled_softmax(tape, x[0], &with, &none, 0.3);
}

static sr_tensor *build_unit_rows(sr_tape *tape, sr_tensor **x)
{
    return sr_unit_rows(tape, x[0]);
}

/* A catalogue in two slabs. */
static sr_tensor *cross_entropy_of_cosines(sr_tape *tape, sr_tensor **x, const int32_t *of_targets)
{
    sr_slab *slabs = sr_tape_take(tape, 2, sizeof *slabs);
    assert_non_null(slabs);
    slabs[0] = (sr_slab){x[2], {.first = x[1]->rows, .count = x[2]->rows}};
    slabs[1] = (sr_slab){x[1], {.count = x[1]->rows}};
    return sr_slabs_cross_entropy(tape, sr_unit_rows(tape, x[0]), slabs, 2, &(sr_row_targets){of_targets, NULL}, &cosines, 0.3);
}

static sr_tensor *build_cross_entropy_of_cosines(sr_tape *tape, sr_tensor **x)
{
    return cross_entropy_of_cosines(tape, x, targets);
}

static sr_tensor *build_cross_entropy_of_cosines_that_keeps_nothing(sr_tape *tape, sr_tensor **x)
{
    static const int32_t many_targets[LARGE] = {[0] = 6, [1] = 5, [250] = 2000, [299] = 1};
    sr_tape_set_kept_bytes(tape, 0);
    return cross_entropy_of_cosines(tape, x, many_targets);
}

/* Rows with no target, and with the same one twice, over tiles that are kept and others. */
static sr_tensor *build_cross_entropy_of_shared_rows(sr_tape *tape, sr_tensor **x)
{
    static const int32_t items[] = {6, 0, 1200, 1200, 3};
    static const size_t first[] = {0, 1, 1, 4, 5};
    static const sr_scoring products = {.temperature = 0.5};
    sr_slab *slab = sr_tape_take(tape, 1, sizeof *slab);
    assert_non_null(slab);
    *slab = (sr_slab){x[1], {.count = x[1]->rows}};
    sr_tape_set_kept_bytes(tape, 4 * 1000 * sizeof(sr_real));
    return sr_slabs_cross_entropy(tape, x[0], slab, 1, &(sr_row_targets){items, first}, &products, 0.3);
}

static const operation_case cases[] = {
    {"cross entropy of rows with several targets", build_cross_entropy_of_shared_rows, {{4, 3}, {1300, 3}}, true},
    {"unit rows", build_unit_rows, {{5, WIDTH}}, false},
    {"cross entropy of cosines", build_cross_entropy_of_cosines, {{TARGETS, WIDTH}, {ITEMS, WIDTH}, {3, WIDTH}}, false},
    {"cross entropy of cosines that computes slab tiles again",
     build_cross_entropy_of_cosines_that_keeps_nothing,
     {{LARGE, 3}, {1100, 3}, {1000, 3}},
     true},
    {"sampled softmax", build_softmax, {{TARGETS, WIDTH}, {ITEMS, WIDTH}}, false},
    {"sampled softmax with corrections", build_corrected_softmax, {{TARGETS, WIDTH}, {ITEMS, WIDTH}}, false},
    {"sampled softmax of cosines", build_softmax_of_cosines, {{TARGETS, WIDTH}, {ITEMS, WIDTH}}, false},
    {"sampled softmax of cosines in a large table", build_softmax_of_cosines, {{TARGETS, WIDTH}, {40, WIDTH}}, false},
    {"sampled softmax of two tables", build_softmax_of_two_tables, {{TARGETS, WIDTH}, {ITEMS, WIDTH}, {ITEMS, WIDTH}}, false},
    {"sampled logistic loss", build_logistic, {{TARGETS, WIDTH}, {ITEMS, WIDTH}}, false},
    {"sampled logistic loss of cosines", build_logistic_of_cosines, {{TARGETS, WIDTH}, {ITEMS, WIDTH}}, false},
    {"sampled pairs", build_pairs, {{TARGETS, WIDTH}, {ITEMS, WIDTH}}, false},
    {"sampled pairs of cosines", build_pairs_of_cosines, {{TARGETS, WIDTH}, {ITEMS, WIDTH}}, false},
    {"sampled softmax over several tiles", build_softmax_over_tiles, {{LARGE, 2}, {2000, 2}}, true},
    {"sampled pairs that keep some tiles", build_pairs_that_keep_some_tiles, {{LARGE, 3}, {2000, 3}}, true},
    {"sampled logistic loss that keeps no tile", build_logistic_that_keeps_nothing, {{20, 2}, {1500, 2}}, true},
    {"sampled softmax of long lists of one target", build_softmax_of_long_single_lists, {{3, 3}, {3500, 3}}, true},
};

const operation_cases list_cases = {cases, sizeof cases / sizeof *cases};
