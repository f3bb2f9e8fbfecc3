/* Every operation of the tape against central differences in double precision, by one generic test.
 *
 * A row of the table names an operation, the shapes of its inputs and how to build its output from them. The test makes every
 * input a parameter, draws it, forms a random weighted sum of the output, and compares the gradient of each input element with
 * (f(x + h) - f(x - h)) / 2h. A new operation needs one row. */
#include "srtrain/batch.h"
#include "srtrain/kernels.h"
#include "srtrain/operations.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MOST_INPUTS = 4, WIDTH = 6, HEADS = 2, ITEMS = 7 };

/* A ragged batch with sequences of length 3, 1 and 5 and one of 4 padding tokens that all see each other; the second query set
 * reads some rows only. */
static const size_t layout_offsets[] = {0, 3, 4, 9, 13};
static const uint32_t layout_leading[] = {0, 0, 0, 4}, layout_trailing[] = {0, 0, 0, 0};
static const int32_t layout_columns[] = {0, 1, 2, 0, 0, 1, 2, 3, 4, 0, 1, 2, 3};
static const uint64_t layout_identity[] = {11, 5, 7, 3};
static const sr_layout layout = {.sequences = 4,
                                 .offsets = layout_offsets,
                                 .leading = layout_leading,
                                 .trailing = layout_trailing,
                                 .columns = layout_columns,
                                 .identity = layout_identity,
                                 .causal = true};
static const size_t read_offsets[] = {0, 1, 2, 4, 5}, read_tokens[] = {2, 3, 5, 8, 12};
static const sr_queries reads = {.offsets = read_offsets, .tokens = read_tokens};
/* One long sequence: large enough for the matrix-product path of attention. */
static const size_t long_offsets[] = {0, 20};
static const uint32_t long_leading[] = {3}, long_trailing[] = {2};
static const int32_t long_columns[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19};
static const sr_layout long_layout = {.sequences = 1,
                                      .offsets = long_offsets,
                                      .leading = long_leading,
                                      .trailing = long_trailing,
                                      .columns = long_columns,
                                      .identity = layout_identity,
                                      .causal = true};
enum { TOKENS = 13, READS = 5, CELLS = HEADS * (9 + 1 + 25 + 16), READ_CELLS = HEADS * (3 + 1 + 10 + 4), LONG = 20 };

static const int32_t ids[] = {3, 0, 6, 3, 1};
static const size_t selection[] = {4, 0, 0, 2};
static const int32_t many_targets[300] = {[0] = 6, [1] = 5, [250] = 3, [299] = 1};

typedef sr_tensor *(*build_function)(sr_tape *tape, sr_tensor **x);

static sr_tensor *build_linear(sr_tape *tape, sr_tensor **x)
{
    return sr_linear(tape, x[0], x[1], x[2]);
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

static sr_dropout_site half(uint64_t index)
{
    return (sr_dropout_site){sr_random_open(1, SR_RANDOM_TEST, index), 0.5};
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

static sr_tensor *build_attention_dropout(sr_tape *tape, sr_tensor **x)
{
    const sr_dropout_site site = half(3);
    return sr_attention_dropout(tape, x[0], sr_attention_map_make(tape, &layout, &reads, HEADS), &site);
}

static sr_tensor *build_scores(sr_tape *tape, sr_tensor **x)
{
    const sr_queries *all = sr_queries_all(tape, &layout);
    return sr_attention_scores(tape, x[0], x[1], sr_attention_map_make(tape, &layout, all, HEADS), 0.7);
}

static sr_tensor *build_scores_of_reads(sr_tape *tape, sr_tensor **x)
{
    return sr_attention_scores(tape, x[0], x[1], sr_attention_map_make(tape, &layout, &reads, HEADS), 0.7);
}

static sr_tensor *build_softmax(sr_tape *tape, sr_tensor **x)
{
    return sr_attention_softmax(tape, x[0], sr_attention_map_make(tape, &layout, sr_queries_all(tape, &layout), HEADS));
}

static sr_tensor *attention(sr_tape *tape, sr_tensor **x, const sr_attention_map *map)
{
    sr_tensor *scores = sr_attention_scores(tape, x[0], x[1], map, 0.7);
    return sr_attention_context(tape, sr_attention_softmax(tape, scores, map), x[2], map);
}

static sr_tensor *build_attention(sr_tape *tape, sr_tensor **x)
{
    return attention(tape, x, sr_attention_map_make(tape, &layout, sr_queries_all(tape, &layout), HEADS));
}

static sr_tensor *build_attention_of_reads(sr_tape *tape, sr_tensor **x)
{
    return attention(tape, x, sr_attention_map_make(tape, &layout, &reads, HEADS));
}

static sr_tensor *build_long_attention(sr_tape *tape, sr_tensor **x)
{
    return attention(tape, x, sr_attention_map_make(tape, &long_layout, sr_queries_all(tape, &long_layout), HEADS));
}

static sr_tensor *build_catalogue_cross_entropy(sr_tape *tape, sr_tensor **x)
{
    return sr_catalogue_cross_entropy(tape, x[0], x[1], ids, 0.3);
}

static sr_tensor *build_large_catalogue_cross_entropy(sr_tape *tape, sr_tensor **x)
{
    return sr_catalogue_cross_entropy(tape, x[0], x[1], many_targets, 0.3);
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

typedef struct {
    const char *name;
    build_function build;
    size_t shapes[MOST_INPUTS][2]; /* rows 0: no such input */
    bool sampled;                  /* too many elements: check every 797th only */
} operation_case;

static const operation_case cases[] = {
    {"linear", build_linear, {{5, WIDTH}, {4, WIDTH}, {1, 4}}, false},
    {"linear over more rows than a tile", build_linear_without_bias, {{130, WIDTH}, {4, WIDTH}}, true},
    {"linear without bias", build_linear_without_bias, {{5, WIDTH}, {4, WIDTH}}, false},
    {"embedding", build_embedding, {{ITEMS, WIDTH}}, false},
    {"select rows", build_select_rows, {{5, WIDTH}}, false},
    {"add", build_add, {{5, WIDTH}, {5, WIDTH}}, false},
    {"add to itself", build_add_to_itself, {{5, WIDTH}}, false},
    {"gelu", build_gelu, {{5, WIDTH}}, false},
    {"relu", build_relu, {{5, WIDTH}}, false},
    {"swish", build_swish, {{5, WIDTH}}, false},
    {"tanh", build_tanh, {{5, WIDTH}}, false},
    {"sigmoid", build_sigmoid, {{5, WIDTH}}, false},
    {"elu", build_elu, {{5, WIDTH}}, false},
    {"weighted sum", build_weighted_sum, {{1, 6}}, false},
    {"layer norm", build_layer_norm, {{5, WIDTH}, {1, WIDTH}, {1, WIDTH}}, false},
    {"dropout", build_dropout, {{TOKENS, WIDTH}}, false},
    {"dropout of the rows read", build_dropout_of_reads, {{READS, WIDTH}}, false},
    {"attention dropout", build_attention_dropout, {{READ_CELLS, 1}}, false},
    {"attention scores", build_scores, {{TOKENS, WIDTH}, {TOKENS, WIDTH}}, false},
    {"attention scores of the rows read", build_scores_of_reads, {{READS, WIDTH}, {TOKENS, WIDTH}}, false},
    {"attention softmax", build_softmax, {{CELLS, 1}}, false},
    {"attention", build_attention, {{TOKENS, WIDTH}, {TOKENS, WIDTH}, {TOKENS, WIDTH}}, false},
    {"attention of the rows read", build_attention_of_reads, {{READS, WIDTH}, {TOKENS, WIDTH}, {TOKENS, WIDTH}}, false},
    {"attention by matrix products", build_long_attention, {{LONG, WIDTH}, {LONG, WIDTH}, {LONG, WIDTH}}, false},
    {"catalogue cross entropy", build_catalogue_cross_entropy, {{5, WIDTH}, {ITEMS, WIDTH}}, false},
    {"catalogue cross entropy over several tiles", build_large_catalogue_cross_entropy, {{300, 2}, {2100, 2}}, true},
    {"catalogue cross entropy that recomputes tiles", build_large_catalogue_cross_entropy, {{300, 2}, {16000, 2}}, true},
    {"item scores", build_item_scores, {{5, WIDTH}, {ITEMS, WIDTH}}, false},
    {"bpr", build_bpr, {{5, 1}, {5, 1}}, false},
    {"binary cross entropy", build_binary_cross_entropy, {{5, 1}, {5, 1}}, false},
};

static size_t declare_inputs(const operation_case *row, sr_parameters *parameters)
{
    size_t count = 0;
    for (; count < MOST_INPUTS && row->shapes[count][0]; ++count) {
        char name[32];
        snprintf(name, sizeof name, "input.%zu", count);
        assert_int_equal(sr_parameters_declare(parameters, name, row->shapes[count], 2, SR_INITIAL_NORMAL, 0.8,
                                               SR_PARAMETERS_ORDINARY, NULL, NULL),
                         SR_OK);
    }
    assert_int_equal(sr_parameters_allocate(parameters, NULL), SR_OK);
    sr_parameters_draw(parameters, 17);
    return count;
}

/* The weighted sum of the operation's output, all inputs being parameters. The weights are a function of the element alone. */
static sr_tensor *objective(const operation_case *row, sr_tape *tape, sr_parameters *parameters, size_t inputs)
{
    sr_tensor *x[MOST_INPUTS] = {NULL};
    for (size_t i = 0; i < inputs; ++i)
        x[i] = sr_tape_parameter(tape, parameters, i);
    sr_tensor *out = row->build(tape, x);
    assert_non_null(out);
    sr_real *weights = sr_tape_take(tape, out->rows * out->columns, sizeof *weights);
    const sr_random_stream stream = sr_random_open(3, SR_RANDOM_TEST, 0);
    for (size_t i = 0; i < out->rows * out->columns; ++i)
        weights[i] = sr_random_normal(stream, i, 0);
    return sr_weighted_sum(tape, out, weights);
}

static double value_of(const operation_case *row, sr_tape *tape, sr_parameters *parameters, size_t inputs)
{
    sr_tape_reset(tape);
    return objective(row, tape, parameters, inputs)->values[0];
}

static void operation_agrees_with_finite_differences(void **state)
{
    const operation_case *row = *state;
    sr_parameters parameters;
    sr_tape *tape;
    sr_parameters_initialise(&parameters);
    const size_t inputs = declare_inputs(row, &parameters);
    assert_int_equal(sr_tape_create(&tape, sr_kernels_choose(NULL), true, NULL), SR_OK);
    sr_tensor *loss = objective(row, tape, &parameters, inputs);
    assert_int_equal(sr_tape_backward(tape, loss, SR_PARAMETERS_ORDINARY, NULL, NULL, NULL), SR_OK);
    const double step = 1e-5;
    for (size_t p = 0; p < inputs; ++p) {
        const sr_parameter *parameter = &parameters.list[p];
        for (size_t i = 0; i < parameter->size; i += row->sampled ? 797 : 1) {
            sr_real *element = parameters.values + parameter->offset + i;
            const double original = *element;
            *element = original + step;
            const double above = value_of(row, tape, &parameters, inputs);
            *element = original - step;
            const double below = value_of(row, tape, &parameters, inputs);
            *element = original;
            const double expected = (above - below) / (2 * step), actual = parameters.gradients[parameter->offset + i];
            if (fabs(actual - expected) > 1e-6 * (1 + fabs(expected)))
                fail_msg("%s: gradient of input %zu, element %zu is %.10g, finite differences give %.10g", row->name, p, i,
                         actual, expected);
        }
    }
    sr_tape_free(tape);
    sr_parameters_free(&parameters);
}

int main(void)
{
    enum { COUNT = sizeof cases / sizeof *cases };
    struct CMUnitTest tests[COUNT];
    for (size_t i = 0; i < COUNT; ++i) {
        memset(&tests[i], 0, sizeof tests[i]);
        tests[i].name = cases[i].name;
        tests[i].test_func = operation_agrees_with_finite_differences;
        tests[i].initial_state = (void *)(uintptr_t)&cases[i];
    }
    return cmocka_run_group_tests_name("operations agree with finite differences", tests, NULL, NULL);
}
