/* Attention without maps against the operations that hold them: values, gradients and what dropout drops. */
#include "cpu_level.h"
#include "srtrain/operations.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { HEADS = 2, WIDTH = 12, INPUTS = 3, MOST_SEQUENCES = 4, MOST_TOKENS = 700 };

/* Sequences of these lengths, with so much padding in front and behind. */
typedef struct {
    const char *name;
    size_t sequences, lengths[MOST_SEQUENCES];
    uint32_t leading[MOST_SEQUENCES], trailing[MOST_SEQUENCES];
    bool causal, whole;
    size_t first_read; /* queries are the tokens of each sequence from here on */
    bool skips;        /* of these, every third is no query */
} attention_case;

static const attention_case cases[] = {
    {"one tile", 1, {40}, {0}, {0}, true, false, 0, false},
    {"several tiles of queries and of keys", 1, {600}, {0}, {0}, true, false, 0, false},
    {"sequences of all lengths", 4, {300, 1, 97, 257}, {0}, {0}, true, false, 0, false},
    {"padding in front and behind", 2, {310, 280}, {120, 0}, {0, 90}, true, false, 0, false},
    {"a history without items", 2, {280, 30}, {280, 0}, {0}, true, false, 0, false},
    {"both directions", 2, {270, 50}, {0}, {20, 0}, false, false, 0, false},
    {"every cell", 1, {300}, {10}, {0}, true, true, 0, false},
    {"late rows", 2, {400, 150}, {0}, {0}, true, false, 140, false},
    {"some rows, and a sequence without any", 3, {290, 50, 300}, {0}, {0}, true, false, 60, true},
};

typedef struct {
    sr_parameters parameters;
    sr_tape *tape;
    size_t offsets[MOST_SEQUENCES + 1], query_offsets[MOST_SEQUENCES + 1], query_tokens[MOST_TOKENS];
    int32_t columns[MOST_TOKENS];
    uint64_t identity[MOST_SEQUENCES];
    sr_layout layout;
    sr_rows queries;
} world;

static void lay_out(world *w, const attention_case *c)
{
    size_t query = 0;
    w->offsets[0] = w->query_offsets[0] = 0;
    for (size_t s = 0; s < c->sequences; ++s) {
        w->identity[s] = 5 + 7 * s;
        for (size_t i = 0; i < c->lengths[s]; ++i) {
            w->columns[w->offsets[s] + i] = (int32_t)i;
            if (i >= c->first_read && (!c->skips || i % 3))
                w->query_tokens[query++] = w->offsets[s] + i;
        }
        w->offsets[s + 1] = w->offsets[s] + c->lengths[s];
        w->query_offsets[s + 1] = query;
    }
    w->layout = (sr_layout){.sequences = c->sequences,
                            .offsets = w->offsets,
                            .leading = c->leading,
                            .trailing = c->trailing,
                            .columns = w->columns,
                            .identity = w->identity,
                            .window = MOST_TOKENS,
                            .causal = c->causal};
    w->queries = (sr_rows){.offsets = w->query_offsets, .tokens = w->query_tokens};
}

static void begin(world *w, const attention_case *c)
{
    static const char *const names[INPUTS] = {"query", "key", "value"};
    lay_out(w, c);
    const size_t tokens = w->offsets[c->sequences], queries = w->query_offsets[c->sequences];
    sr_parameters_initialise(&w->parameters);
    for (size_t i = 0; i < INPUTS; ++i) {
        const size_t shape[] = {i == 0 ? queries : tokens, WIDTH};
        assert_int_equal(sr_parameters_declare(&w->parameters, names[i], shape, 2, (sr_initial_values){SR_INITIAL_NORMAL, 1.5},
                                               SR_PARAMETERS_ORDINARY, NULL, NULL),
                         SR_OK);
    }
    assert_int_equal(sr_parameters_allocate(&w->parameters, NULL), SR_OK);
    sr_parameters_draw(&w->parameters, 3);
    assert_int_equal(sr_tape_create(&w->tape, tested_kernels(), true, NULL), SR_OK);
}

static void end(world *w)
{
    sr_tape_free(w->tape);
    sr_parameters_free(&w->parameters);
}

/* The context, and in the parameters' gradients those of a random weighted sum of it. */
static sr_tensor *attend(world *w, const attention_case *c, bool fused, double dropped)
{
    sr_tape *tape = w->tape;
    sr_tensor *x[INPUTS];
    const double scale = 0.6;
    const sr_dropout_site site = {sr_random_open(1, SR_RANDOM_TEST, 4), dropped};
    for (size_t i = 0; i < INPUTS; ++i)
        x[i] = sr_tape_parameter(tape, &w->parameters, i);
    const sr_attention_map *map = sr_attention_map_make(tape, &w->layout, &w->queries, sr_rows_all(tape, &w->layout), HEADS);
    if (c->whole)
        map = sr_attention_map_whole(tape, map);
    sr_tensor *context;
    if (fused) {
        context = sr_fused_attention(tape, &(sr_attention_inputs){x[0], x[1], x[2]}, map, scale, &site);
    } else {
        sr_tensor *weights = sr_attention_softmax(tape, sr_attention_scores(tape, x[0], x[1], map, scale), map);
        context = sr_attention_context(tape, sr_attention_dropout(tape, weights, map, &site), x[2], map);
    }
    assert_non_null(context);
    sr_real *factors = sr_tape_take(tape, context->rows * WIDTH, sizeof *factors);
    for (size_t i = 0; i < context->rows * WIDTH; ++i)
        factors[i] = (sr_real)sr_random_normal(sr_random_open(3, SR_RANDOM_TEST, 0), i, 0);
    memset(w->parameters.gradients, 0, w->parameters.block_size * sizeof *w->parameters.gradients);
    assert_int_equal(sr_tape_backward(tape, sr_weighted_sum(tape, context, factors), SR_PARAMETERS_ORDINARY, NULL), SR_OK);
    return context;
}

static void compare(const char *name, const char *what, const sr_real *found, const sr_real *expected, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        if (!(fabs((double)found[i] - (double)expected[i]) <= 1e-11 * (1 + fabs((double)expected[i]))))
            fail_msg("%s: element %zu of the %s is %.12g instead of %.12g", name, i, what, (double)found[i],
                     (double)expected[i]);
}

static void fused_attention_equals_that_of_maps(void **state)
{
    const attention_case *c = *state;
    static world w;
    begin(&w, c);
    for (int drops = 0; drops < 2; ++drops) {
        sr_tape_reset(w.tape);
        const sr_tensor *expected = attend(&w, c, false, drops ? 0.3 : 0);
        sr_real *gradients = calloc(w.parameters.block_size, sizeof *gradients);
        assert_non_null(gradients);
        memcpy(gradients, w.parameters.gradients, w.parameters.block_size * sizeof *gradients);
        const sr_tensor *found = attend(&w, c, true, drops ? 0.3 : 0);
        compare(c->name, "context", found->values, expected->values, found->rows * WIDTH);
        compare(c->name, "gradients", w.parameters.gradients, gradients, w.parameters.block_size);
        free(gradients);
    }
    end(&w);
}

/* Its bytes on a tape for a sequence of so many tokens. */
static size_t memory_of(size_t tokens)
{
    static world w;
    const attention_case c = {.sequences = 1, .lengths = {tokens}, .causal = true};
    begin(&w, &c);
    attend(&w, &c, true, 0.3);
    const size_t bytes = sr_tape_memory(w.tape);
    end(&w);
    return bytes;
}

/* Beyond the tiles, which are as large for both. */
static void memory_grows_with_the_length_and_not_with_its_square(void **state)
{
    (void)state;
    const size_t short_one = memory_of(300), middle = memory_of(500), long_one = memory_of(700);
    assert_in_range(long_one - middle, 1, (middle - short_one) * 11 / 10);
}

int main(void)
{
    enum { CASES = sizeof cases / sizeof *cases };
    struct CMUnitTest tests[CASES + 1] = {[CASES] = cmocka_unit_test(memory_grows_with_the_length_and_not_with_its_square)};
    for (size_t i = 0; i < CASES; ++i)
        tests[i] = (struct CMUnitTest){.name = cases[i].name,
                                       .test_func = fused_attention_equals_that_of_maps,
                                       .initial_state = (void *)(uintptr_t)&cases[i]};
    return cmocka_run_group_tests_name("fused attention equals that of maps", tests, NULL, NULL);
}
