/* Losses that compare targets with lists of items: their values against plain loops, and what must not change them. */
#include "cpu_level.h"
#include "srtrain/memory.h"
#include "srtrain/operations.h"
#include "srtrain/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { WIDTH = 5, MOST_TARGETS = 270, MOST_ENTRIES = 4200, TABLE = 50, MOST_LISTS = 41, MOST_HITS = 6000 };

typedef enum { SOFTMAX, LOGISTIC, PAIRS, KINDS } loss_kind;

/* n targets in lists of `shared` each, the last one shorter; the list before the last has none. */
typedef struct {
    size_t n, shared, length;
    sr_scoring scoring;
} shape;

static const shape shapes[] = {
    {1, 1, 1, {1, false}},
    {40, 1, 100, {1, false}},
    {40, 1, 100, {0.05, true}},
    {37, 5, 30, {0.5, false}},
    {MOST_TARGETS, MOST_TARGETS, 2000, {0.7, false}},
    {3, 1, 1000, {2, true}},
    {100, 50, 1000, {0.2, true}},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

typedef struct {
    sr_parameters parameters; /* states and a table */
    sr_tape *tape;
    sr_comparison with;
    sr_score_corrections corrections;
    int32_t targets[MOST_TARGETS], places[MOST_ENTRIES];
    size_t first_target[MOST_LISTS + 2], hit_offsets[MOST_TARGETS + 1];
    uint32_t hits[MOST_HITS];
    float entries_log_q[MOST_ENTRIES], targets_log_q[MOST_TARGETS];
    double sums[MOST_TARGETS];
} world;

static sr_random_stream draws(void)
{
    return sr_random_open(3, SR_RANDOM_TEST, 7);
}

static size_t below(uint64_t low, uint64_t high, size_t count)
{
    return (size_t)sr_random_below(draws(), low, high, count);
}

/* The second target has no entry left; the third has all of them; of others some are hits. */
static void draw_hits(world *w, const shape *s)
{
    size_t count = 0;
    for (size_t i = 0; i < s->n; ++i) {
        w->hit_offsets[i] = count;
        for (size_t k = 0; k < s->length; ++k)
            if (i == 1 || (i != 2 && below(i, 100 + k, s->length) < 3)) {
                assert_true(count < MOST_HITS);
                w->hits[count++] = (uint32_t)k;
            }
    }
    w->hit_offsets[s->n] = count;
}

static void draw_lists(world *w, const shape *s)
{
    size_t lists = 0;
    for (size_t first = 0; first < s->n; first += s->shared) {
        if (first + s->shared >= s->n)
            w->first_target[lists++] = first;
        w->first_target[lists++] = first;
    }
    w->first_target[lists] = s->n;
    assert_true(lists * s->length <= MOST_ENTRIES && lists <= MOST_LISTS);
    for (size_t i = 0; i < lists * s->length; ++i) {
        w->places[i] = (int32_t)below(i, 1, TABLE);
        w->entries_log_q[i] = -(float)below(i, 2, 5);
    }
    for (size_t i = 0; i < s->n; ++i) {
        w->targets[i] = (int32_t)below(i, 3, TABLE);
        w->targets_log_q[i] = -(float)below(i, 4, 5);
        w->sums[i] = (double)below(i, 5, 100) / 100 - 0.7;
    }
    w->with = (sr_comparison){.target_places = w->targets,
                              .places = w->places,
                              .lists = lists,
                              .length = s->length,
                              .first_target = w->first_target,
                              .hit_offsets = w->hit_offsets,
                              .hits = w->hits,
                              .scoring = s->scoring};
    w->corrections = (sr_score_corrections){w->entries_log_q, w->targets_log_q, w->sums};
}

static void open_world(world *w, const shape *s)
{
    const size_t states[] = {s->n, WIDTH}, table[] = {TABLE, WIDTH};
    const sr_initial_values normal = {SR_INITIAL_NORMAL, 1};
    sr_parameters_initialise(&w->parameters);
    assert_int_equal(sr_parameters_declare(&w->parameters, "x", states, 2, normal, SR_PARAMETERS_ORDINARY, NULL, NULL), SR_OK);
    assert_int_equal(sr_parameters_declare(&w->parameters, "t", table, 2, normal, SR_PARAMETERS_ORDINARY, NULL, NULL), SR_OK);
    assert_int_equal(sr_parameters_allocate(&w->parameters, NULL), SR_OK);
    sr_parameters_draw(&w->parameters, 17);
    assert_int_equal(sr_tape_create(&w->tape, tested_kernels(), true, NULL), SR_OK);
    draw_lists(w, s);
    draw_hits(w, s);
}

static void close_world(world *w)
{
    sr_tape_free(w->tape);
    sr_parameters_free(&w->parameters);
}

static sr_tensor *loss_of(world *w, loss_kind kind)
{
    sr_tape_reset(w->tape);
    sr_tensor *x = sr_tape_parameter(w->tape, &w->parameters, 0);
    w->with.target_table = w->with.table = sr_tape_parameter(w->tape, &w->parameters, 1);
    if (kind == SOFTMAX)
        return sr_sampled_softmax(w->tape, x, &w->with, &w->corrections, 0.3);
    if (kind == LOGISTIC)
        return sr_sampled_logistic(w->tape, x, &w->with, 0.7, 0.3);
    return sr_sampled_pairs(w->tape, x, &w->with, 0.3);
}

/* ---- plain loops ---- */

static double score(const world *w, size_t target, int32_t place)
{
    const sr_real *x = w->parameters.values + w->parameters.list[0].offset + target * WIDTH;
    const sr_real *row = w->parameters.values + w->parameters.list[1].offset + (size_t)place * WIDTH;
    double product = 0, square = 0;
    for (size_t i = 0; i < WIDTH; ++i) {
        product += x[i] * row[i];
        square += row[i] * row[i];
    }
    return product / (w->with.scoring.unit_rows ? sqrt(square) : 1) / w->with.scoring.temperature;
}

static bool is_hit(const world *w, size_t target, size_t entry)
{
    for (size_t h = w->hit_offsets[target]; h < w->hit_offsets[target + 1]; ++h)
        if (w->hits[h] == entry)
            return true;
    return false;
}

static double softplus(double z)
{
    return (z > 0 ? z : 0) + log1p(exp(-fabs(z)));
}

static double expected_loss(const world *w, loss_kind kind, size_t list, size_t target)
{
    const double own = score(w, target, w->targets[target]);
    double sum = 0;
    for (size_t k = 0; k < w->with.length; ++k) {
        const size_t entry = list * w->with.length + k;
        const double other = score(w, target, w->places[entry]);
        if (is_hit(w, target, k))
            continue;
        if (kind == SOFTMAX)
            sum += exp(other - (double)w->entries_log_q[entry] + w->sums[target] - own + (double)w->targets_log_q[target]);
        else
            sum += softplus(kind == LOGISTIC ? other : other - own);
    }
    if (kind == SOFTMAX)
        return 0.3 * log1p(sum);
    return 0.3 * sum + (kind == LOGISTIC ? 0.7 * softplus(-own) : 0);
}

static void losses_are_those_of_plain_loops(void **state)
{
    (void)state;
    for (size_t s = 0; s < SHAPES; ++s) {
        world w;
        open_world(&w, &shapes[s]);
        for (loss_kind kind = SOFTMAX; kind < KINDS; ++kind) {
            double expected = 0;
            for (size_t list = 0; list < w.with.lists; ++list)
                for (size_t i = w.first_target[list]; i < w.first_target[list + 1]; ++i)
                    expected += expected_loss(&w, kind, list, i);
            const double found = loss_of(&w, kind)->values[0];
            if (!(fabs(found - expected) <= 1e-12 * fabs(expected)))
                fail_msg("shape %zu, kind %d: the loss is %.15g instead of %.15g", s, (int)kind, found, expected);
        }
        close_world(&w);
    }
}

/* ---- what changes nothing ---- */

static void differentiate(world *w, loss_kind kind, size_t kept_bytes, size_t passes)
{
    sr_tape_set_kept_bytes(w->tape, kept_bytes);
    sr_tensor *loss = loss_of(w, kind);
    for (size_t pass = 0; pass < passes; ++pass) {
        memset(w->parameters.gradients, 0, w->parameters.block_size * sizeof(sr_real));
        assert_int_equal(sr_tape_backward(w->tape, loss, SR_PARAMETERS_ORDINARY, NULL), SR_OK);
    }
}

static void what_is_kept_changes_no_bit(void **state)
{
    (void)state;
    static const size_t kept_bytes[] = {0, 5000, 3000000};
    for (size_t s = 0; s < SHAPES; ++s) {
        world w;
        sr_real *expected;
        open_world(&w, &shapes[s]);
        const size_t size = w.parameters.block_size;
        assert_int_equal(SR_ALLOCATE(&expected, size, "gradients", NULL), SR_OK);
        for (loss_kind kind = SOFTMAX; kind < KINDS; ++kind) {
            differentiate(&w, kind, SIZE_MAX, 1);
            memcpy(expected, w.parameters.gradients, size * sizeof *expected);
            for (size_t k = 0; k < sizeof kept_bytes / sizeof *kept_bytes; ++k) {
                differentiate(&w, kind, kept_bytes[k], 1);
                assert_memory_equal(w.parameters.gradients, expected, size * sizeof *expected);
            }
            differentiate(&w, kind, SIZE_MAX, 2);
            assert_memory_equal(w.parameters.gradients, expected, size * sizeof *expected);
        }
        free(expected);
        close_world(&w);
    }
}

static void memory_does_not_grow_with_lists(void **state)
{
    (void)state;
    static const shape small = {MOST_TARGETS, MOST_TARGETS, 1000, {1, false}},
                       large = {MOST_TARGETS, MOST_TARGETS, 2000, {1, false}};
    size_t used[2];
    for (size_t i = 0; i < 2; ++i) {
        world w;
        open_world(&w, i == 0 ? &small : &large);
        sr_tape_set_kept_bytes(w.tape, 0);
        assert_non_null(loss_of(&w, SOFTMAX));
        used[i] = sr_tape_memory(w.tape);
        close_world(&w);
    }
    assert_int_equal(used[0], used[1]);
}

static void a_target_that_is_never_drawn_has_no_loss_where_it_is_corrected(void **state)
{
    (void)state;
    world w;
    open_world(&w, &shapes[3]);
    for (size_t i = 0; i < shapes[3].n; ++i)
        w.targets_log_q[i] = -INFINITY;
    differentiate(&w, SOFTMAX, SIZE_MAX, 1);
    assert_true(loss_of(&w, SOFTMAX)->values[0] == 0);
    for (size_t i = 0; i < w.parameters.block_size; ++i)
        assert_true(w.parameters.gradients[i] == 0);
    close_world(&w);
}

static void short_vectors_are_not_made_longer_than_by_a_constant(void **state)
{
    (void)state;
    world w;
    open_world(&w, &shapes[1]);
    sr_real *values = w.parameters.values + w.parameters.list[0].offset,
            *gradient = w.parameters.gradients + w.parameters.list[0].offset;
    memset(values, 0, WIDTH * sizeof *values);
    values[0] = 3e-9;
    sr_real weights[40 * WIDTH] = {1, 2};
    sr_tensor *unit = sr_unit_rows(w.tape, sr_tape_parameter(w.tape, &w.parameters, 0));
    assert_true(fabs(unit->values[0] - 0.3) < 1e-12);
    assert_int_equal(sr_tape_backward(w.tape, sr_weighted_sum(w.tape, unit, weights), SR_PARAMETERS_ORDINARY, NULL), SR_OK);
    assert_true(gradient[0] == 1e8 && gradient[1] == 2e8 && gradient[2] == 0);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_are_those_of_plain_loops),
        cmocka_unit_test(what_is_kept_changes_no_bit),
        cmocka_unit_test(memory_does_not_grow_with_lists),
        cmocka_unit_test(a_target_that_is_never_drawn_has_no_loss_where_it_is_corrected),
        cmocka_unit_test(short_vectors_are_not_made_longer_than_by_a_constant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
