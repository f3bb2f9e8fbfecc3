/* Layers, activations, dropout and losses. */
#include "operation_gradients.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static const int32_t ids[] = {3, 0, 6, 3, 1};
static const size_t selection[] = {4, 0, 0, 2};
static const int32_t many_targets[300] = {[0] = 6, [1] = 5, [250] = 3, [299] = 1};

static sr_tensor *build_linear(sr_tape *tape, sr_tensor **x)
{
    return sr_linear(tape, x[0], x[1], x[2]);
}

static sr_tensor *build_linear_back(sr_tape *tape, sr_tensor **x)
{
    return sr_linear_back(tape, x[0], x[1]);
}

static sr_tensor *build_linear_without_bias(sr_tape *tape, sr_tensor **x)
{
    return sr_linear(tape, x[0], x[1], NULL);
}

static sr_tensor *build_embedding(sr_tape *tape, sr_tensor **x)
{
    return sr_embedding(tape, x[0], ids, 5, false);
}

static sr_tensor *build_select_rows(sr_tape *tape, sr_tensor **x)
{
    return sr_select_rows(tape, x[0], selection, 4);
}

static sr_tensor *build_add(sr_tape *tape, sr_tensor **x)
{
    return sr_add(tape, x[0], x[1]);
}

static sr_tensor *build_add_to_itself(sr_tape *tape, sr_tensor **x)
{
    return sr_add(tape, x[0], x[0]);
}

static sr_tensor *build_multiply(sr_tape *tape, sr_tensor **x)
{
    return sr_multiply(tape, x[0], x[1]);
}

static sr_tensor *build_multiply_by_itself(sr_tape *tape, sr_tensor **x)
{
    return sr_multiply(tape, x[0], x[0]);
}

#define ACTIVATION(name, kind)                                   \
    static sr_tensor *build_##name(sr_tape *tape, sr_tensor **x) \
    {                                                            \
        return sr_activate(tape, x[0], kind);                    \
    }
ACTIVATION(gelu, SR_ACTIVATION_GELU)
ACTIVATION(relu, SR_ACTIVATION_RELU)
ACTIVATION(swish, SR_ACTIVATION_SWISH)
ACTIVATION(tanh, SR_ACTIVATION_TANH)
ACTIVATION(sigmoid, SR_ACTIVATION_SIGMOID)
ACTIVATION(elu, SR_ACTIVATION_ELU)

static sr_tensor *build_weighted_sum(sr_tape *tape, sr_tensor **x)
{
    static const sr_real weights[] = {1, -2, 3, 0.5, 0, 7};
    return sr_weighted_sum(tape, x[0], weights);
}

static sr_tensor *build_layer_norm(sr_tape *tape, sr_tensor **x)
{
    return sr_layer_norm(tape, x[0], x[1], x[2], 1e-12);
}

static sr_tensor *build_plain_layer_norm(sr_tape *tape, sr_tensor **x)
{
    return sr_plain_layer_norm(tape, x[0], 1e-2);
}

static sr_tensor *build_dropout(sr_tape *tape, sr_tensor **x)
{
    const sr_dropout_site site = half(1);
    return sr_dropout(tape, x[0], &layout, NULL, &site);
}

static sr_tensor *build_dropout_of_reads(sr_tape *tape, sr_tensor **x)
{
    const sr_dropout_site site = half(2);
    return sr_dropout(tape, x[0], &layout, read_tokens, &site);
}

static sr_tensor *build_add_dropped(sr_tape *tape, sr_tensor **x)
{
    const sr_dropout_site site = half(5);
    return sr_add_dropped(tape, x[0], x[1], &layout, read_tokens, &site);
}

static sr_tensor *build_add_dropped_nothing(sr_tape *tape, sr_tensor **x)
{
    const sr_dropout_site site = {.probability = 0};
    return sr_add_dropped(tape, x[0], x[1], &layout, read_tokens, &site);
}

static sr_tensor *build_elu_plus_one(sr_tape *tape, sr_tensor **x)
{
    return sr_elu_plus_one(tape, x[0]);
}

static sr_tensor *build_square_root(sr_tape *tape, sr_tensor **x)
{
    return sr_square_root(tape, sr_elu_plus_one(tape, x[0]));
}

static sr_tensor *build_square(sr_tape *tape, sr_tensor **x)
{
    return sr_square(tape, x[0]);
}

static sr_tensor *build_row_distances(sr_tape *tape, sr_tensor **x)
{
    return sr_row_distances(tape, x[0], x[1]);
}

static sr_tensor *build_hinge(sr_tape *tape, sr_tensor **x)
{
    return sr_hinge_loss(tape, x[0], x[1], 0.3);
}

static sr_tensor *build_frobenius_norm(sr_tape *tape, sr_tensor **x)
{
    return sr_frobenius_norm(tape, x[0]);
}

static sr_tensor *build_catalogue_cross_entropy(sr_tape *tape, sr_tensor **x)
{
    return sr_catalogue_cross_entropy(tape, x[0], x[1], ITEMS, ids, 0.3);
}

static sr_tensor *build_large_catalogue_cross_entropy(sr_tape *tape, sr_tensor **x)
{
    return sr_catalogue_cross_entropy(tape, x[0], x[1], x[1]->rows, many_targets, 0.3);
}

static sr_tensor *build_catalogue_cross_entropy_that_keeps_nothing(sr_tape *tape, sr_tensor **x)
{
    sr_tape_set_kept_bytes(tape, 0);
    return build_large_catalogue_cross_entropy(tape, x);
}

/* Room for two of the three tiles of the first rows. */
static sr_tensor *build_catalogue_cross_entropy_that_keeps_some(sr_tape *tape, sr_tensor **x)
{
    sr_tape_set_kept_bytes(tape, 5000000);
    return build_large_catalogue_cross_entropy(tape, x);
}

/* All pairs of a batch on one rank, against the copies that a gathering would make. */
static sr_tensor *build_contrastive(sr_tape *tape, sr_tensor **x)
{
    const size_t pairs = x[0]->rows, width = x[0]->columns;
    sr_real *rows = sr_tape_take(tape, 2 * pairs * width, sizeof *rows);
    double *log_sums = sr_tape_take(tape, 2 * pairs, sizeof *log_sums);
    assert_true(rows && log_sums);
    memcpy(rows, x[0]->values, pairs * width * sizeof *rows);
    memcpy(rows + pairs * width, x[1]->values, pairs * width * sizeof *rows);
    const sr_contrast batch = {.rows = rows, .count = 2 * pairs, .pairs = pairs, .temperature = 0.7};
    assert_true(sr_contrastive_log_sums(tape, &batch, width, log_sums));
    return sr_contrastive_loss(tape, x[0], x[1], &batch, log_sums, 0.3);
}

static sr_tensor *build_item_scores(sr_tape *tape, sr_tensor **x)
{
    return sr_item_scores(tape, x[0], x[1], ids);
}

static sr_tensor *build_bpr(sr_tape *tape, sr_tensor **x)
{
    return sr_bpr_loss(tape, x[0], x[1], 0.3);
}

static sr_tensor *build_binary_cross_entropy(sr_tape *tape, sr_tensor **x)
{
    return sr_binary_cross_entropy(tape, x[0], x[1], 0.3);
}

/* The same `classes` as above, whatever other rows the table has. */
static sr_tensor *build_catalogue_cross_entropy_of_first_rows(sr_tape *tape, sr_tensor **x)
{
    return build_catalogue_cross_entropy(tape, x);
}

static sr_tensor *build_large_catalogue_cross_entropy_of_first_rows(sr_tape *tape, sr_tensor **x)
{
    return sr_catalogue_cross_entropy(tape, x[0], x[1], 1500, many_targets, 0.3);
}

static sr_tensor *build_weighted_add(sr_tape *tape, sr_tensor **x)
{
    return sr_weighted_add(tape, x[0], 0.3, x[1], -1.7);
}

static sr_tensor *build_weighted_add_to_itself(sr_tape *tape, sr_tensor **x)
{
    return sr_weighted_add(tape, x[0], 0.3, x[0], -1.7);
}

static sr_tensor *build_mix(sr_tape *tape, sr_tensor **x)
{
    return sr_mix(tape, x[0], x[1], x[2]);
}

static sr_tensor *build_concatenate_columns(sr_tape *tape, sr_tensor **x)
{
    return sr_concatenate_columns(tape, x[0], x[1]);
}

static sr_tensor *build_concatenate_columns_with_itself(sr_tape *tape, sr_tensor **x)
{
    return sr_concatenate_columns(tape, x[0], x[0]);
}

static sr_tensor *build_select_columns(sr_tape *tape, sr_tensor **x)
{
    return sr_select_columns(tape, x[0], 1, 3);
}

static sr_tensor *build_table_dropout(sr_tape *tape, sr_tensor **x)
{
    const sr_dropout_site site = half(4);
    return sr_table_dropout(tape, x[0], &site);
}

static const operation_case cases[] = {
    {"linear", build_linear, {{5, WIDTH}, {4, WIDTH}, {1, 4}}, false},
    {"linear over more rows than a tile", build_linear_without_bias, {{130, WIDTH}, {4, WIDTH}}, true},
    {"linear without bias", build_linear_without_bias, {{5, WIDTH}, {4, WIDTH}}, false},
    {"linear, back", build_linear_back, {{5, WIDTH}, {WIDTH, 4}}, false},
    {"linear, back, over more rows than a tile", build_linear_back, {{130, WIDTH}, {WIDTH, 4}}, true},
    {"embedding", build_embedding, {{ITEMS, WIDTH}}, false},
    {"select rows", build_select_rows, {{5, WIDTH}}, false},
    {"add", build_add, {{5, WIDTH}, {5, WIDTH}}, false},
    {"add to itself", build_add_to_itself, {{5, WIDTH}}, false},
    {"multiply", build_multiply, {{5, WIDTH}, {5, WIDTH}}, false},
    {"multiply by itself", build_multiply_by_itself, {{5, WIDTH}}, false},
    {"gelu", build_gelu, {{5, WIDTH}}, false},
    {"relu", build_relu, {{5, WIDTH}}, false},
    {"swish", build_swish, {{5, WIDTH}}, false},
    {"tanh", build_tanh, {{5, WIDTH}}, false},
    {"sigmoid", build_sigmoid, {{5, WIDTH}}, false},
    {"elu", build_elu, {{5, WIDTH}}, false},
    {"weighted sum", build_weighted_sum, {{1, 6}}, false},
    {"layer norm", build_layer_norm, {{5, WIDTH}, {1, WIDTH}, {1, WIDTH}}, false},
    {"plain layer norm", build_plain_layer_norm, {{5, WIDTH}}, false},
    {"dropout", build_dropout, {{TOKENS, WIDTH}}, false},
    {"dropout of the rows read", build_dropout_of_reads, {{READS, WIDTH}}, false},
    {"dropout beside a residual", build_add_dropped, {{READS, WIDTH}, {READS, WIDTH}}, false},
    {"dropout of nothing beside a residual", build_add_dropped_nothing, {{READS, WIDTH}, {READS, WIDTH}}, false},
    {"elu plus one", build_elu_plus_one, {{5, WIDTH}}, false},
    {"square root", build_square_root, {{5, WIDTH}}, false},
    {"square", build_square, {{5, WIDTH}}, false},
    {"distances of rows", build_row_distances, {{5, WIDTH}, {5, WIDTH}}, false},
    {"hinge", build_hinge, {{5, 1}, {5, 1}}, false},
    {"frobenius norm", build_frobenius_norm, {{5, WIDTH}}, false},
    {"catalogue cross entropy", build_catalogue_cross_entropy, {{5, WIDTH}, {ITEMS, WIDTH}}, false},
    {"catalogue cross entropy over several tiles", build_large_catalogue_cross_entropy, {{300, 2}, {2100, 2}}, true},
    {"catalogue cross entropy that computes all tiles again",
     build_catalogue_cross_entropy_that_keeps_nothing,
     {{300, 2}, {2100, 2}},
     true},
    {"catalogue cross entropy that computes some tiles again",
     build_catalogue_cross_entropy_that_keeps_some,
     {{300, 2}, {2600, 2}},
     true},
    {"weighted add", build_weighted_add, {{5, WIDTH}, {5, WIDTH}}, false},
    {"weighted add to itself", build_weighted_add_to_itself, {{5, WIDTH}}, false},
    {"mix", build_mix, {{5, WIDTH}, {5, WIDTH}, {1, 1}}, false},
    {"mix of more elements than a piece", build_mix, {{300, WIDTH}, {300, WIDTH}, {1, 1}}, true},
    {"concatenate columns", build_concatenate_columns, {{5, WIDTH}, {5, 2}}, false},
    {"concatenate columns with itself", build_concatenate_columns_with_itself, {{5, WIDTH}}, false},
    {"select columns", build_select_columns, {{5, WIDTH}}, false},
    {"table dropout", build_table_dropout, {{ITEMS, WIDTH}}, false},
    {"catalogue cross entropy of the first rows",
     build_catalogue_cross_entropy_of_first_rows,
     {{5, WIDTH}, {ITEMS + 3, WIDTH}},
     false},
    {"catalogue cross entropy of the first rows over several tiles",
     build_large_catalogue_cross_entropy_of_first_rows,
     {{300, 2}, {2100, 2}},
     true},
    {"contrastive", build_contrastive, {{4, WIDTH}, {4, WIDTH}}, false},
    {"contrastive, one pair", build_contrastive, {{1, WIDTH}, {1, WIDTH}}, false},
    {"contrastive over several tiles", build_contrastive, {{600, 3}, {600, 3}}, true},
    {"item scores", build_item_scores, {{5, WIDTH}, {ITEMS, WIDTH}}, false},
    {"bpr", build_bpr, {{5, 1}, {5, 1}}, false},
    {"binary cross entropy", build_binary_cross_entropy, {{5, 1}, {5, 1}}, false},
};

const operation_cases dense_cases = {cases, sizeof cases / sizeof *cases};
