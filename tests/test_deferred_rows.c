/* Rows that take the steps they have missed all at once are where they would be otherwise: in double precision, and, as
 * test_deferred_rows_single, in single. */
#include "cpu_level.h"
#include "srtrain/optimizer.h"
#include "srtrain/settings.h"
#include "srtrain/random.h"
#include "step/optimizers/moments.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { ROWS = 48, WIDTH = 20, OTHERS = 37 };

/* An optimizer with two tables between other parameters. */
typedef struct {
    sr_parameters parameters;
    sr_optimizer optimizer;
    sr_table_list tables;
} subject;

static sr_training_settings default_settings(void)
{
    sr_settings settings;
    sr_settings_default(&settings);
    return settings.training;
}

static moments_settings *moments_in(sr_training_settings *settings)
{
    return (moments_settings *)moments_of(settings);
}

static void make(subject *s, const sr_training_settings *settings, bool deferred)
{
    static const size_t others[] = {OTHERS}, table[] = {ROWS, WIDTH};
    static const char *const names[] = {"first", "items", "middle", "more", "last"};
    sr_parameters_initialise(&s->parameters);
    for (size_t i = 0; i < 5; ++i)
        assert_int_equal(sr_parameters_declare(&s->parameters, names[i], i % 2 ? table : others, i % 2 ? 2 : 1,
                                               (sr_initial_values){SR_INITIAL_NORMAL, 0.05}, SR_PARAMETERS_ORDINARY, NULL,
                                               NULL),
                         SR_OK);
    s->tables = (sr_table_list){.index = {1, 3}, .count = 2};
    assert_int_equal(sr_parameters_allocate(&s->parameters, NULL), SR_OK);
    sr_parameters_draw(&s->parameters, 7);
    assert_int_equal(sr_optimizer_create(&s->optimizer, &s->parameters, settings, NULL), SR_OK);
    if (deferred)
        assert_int_equal(sr_optimizer_pick_rows(&s->optimizer, &s->tables, NULL, NULL), SR_OK);
}

static void release(subject *s)
{
    sr_optimizer_free(&s->optimizer);
    sr_parameters_free(&s->parameters);
}

/* Row 0 never has a gradient, some do in every step, others after a hundred steps and more. */
static size_t draw_rows(int64_t step, int32_t rows[ROWS])
{
    size_t count = 0;
    const sr_random_stream stream = sr_random_open(3, SR_RANDOM_TEST, (uint64_t)step);
    for (int32_t row = 1; row < ROWS; ++row)
        if (sr_random_uniform(stream, (uint64_t)row, 0) < pow(0.85, row))
            rows[count++] = row;
    return count;
}

/* Of sizes that differ by ten orders of magnitude between columns, so that epsilon is nothing for some and all for others. */
static sr_real gradient_at(int64_t step, size_t element, size_t column)
{
    const sr_random_stream stream = sr_random_open(5, SR_RANDOM_TEST, (uint64_t)step);
    return (sr_real)(pow(10, -(double)(column % 11)) * (sr_random_normal(stream, element, 0) + 0.5));
}

static void set_gradients(subject *s, int64_t step, const sr_touched_rows *touched)
{
    memset(s->parameters.gradients, 0, s->parameters.block_size * sizeof(sr_real));
    for (size_t p = 0; p < 5; p += 2)
        for (size_t i = 0; i < OTHERS; ++i)
            s->parameters.gradients[s->parameters.list[p].offset + i] = gradient_at(step, 100 * p + i, i);
    for (size_t t = 0; t < 2; ++t)
        for (size_t i = 0; i < touched->count; ++i)
            for (size_t column = 0; column < WIDTH; ++column) {
                const size_t element = (size_t)touched->rows[i] * WIDTH + column;
                s->parameters.gradients[s->parameters.list[s->tables.index[t]].offset + element] = gradient_at(
                    step, 1000 * (t + 1) + element, column);
            }
}

/* One step with a learning rate that rises at first and falls later. */
static void take_step(subject *s, int64_t step, const sr_touched_rows *touched, size_t parts)
{
    const sr_kernels *kernels = tested_kernels();
    const double rate = 0.01 * (step < 50 ? (double)(step + 1) / 50 : 1 - (double)step / 2000);
    const bool defers = sr_optimizer_picks_rows(&s->optimizer);
    assert_int_equal(sr_optimizer_reserve(&s->optimizer, NULL), SR_OK);
    for (size_t part = 0; part < parts; ++part)
        sr_optimizer_settle_rows(&s->optimizer, kernels, touched, part, parts);
    set_gradients(s, step, touched);
    double squares = 0;
    for (size_t part = 0; part < parts; ++part)
        squares += sr_gradient_squares(&s->parameters, kernels, defers ? touched : NULL, part, parts);
    for (size_t part = 0; part < parts; ++part) {
        const sr_update update = {.step = step,
                                  .learning_rate = rate,
                                  .gradient_norm = sqrt(squares),
                                  .touched = defers ? touched : NULL,
                                  .part = part,
                                  .parts = parts};
        assert_int_equal(sr_optimizer_step(&s->optimizer, kernels, &update, NULL), SR_OK);
    }
    for (size_t part = 0; part < parts && touched->every; ++part)
        sr_optimizer_forget_rows(&s->optimizer, part, parts);
    sr_optimizer_note(&s->optimizer, step, rate, touched);
}

static void settle(subject *s)
{
    const sr_touched_rows all = {.tables = s->tables, .every = true};
    sr_optimizer_settle_rows(&s->optimizer, tested_kernels(), &all, 0, 1);
    sr_optimizer_forget_rows(&s->optimizer, 0, 1);
    sr_optimizer_forget(&s->optimizer);
}

static double largest_difference(const sr_real *left, const sr_real *right, size_t count, double relative)
{
    double largest = 0;
    for (size_t i = 0; i < count; ++i) {
        const double scale = relative > 0 ? relative + fabs((double)right[i]) : 1;
        const double difference = fabs((double)left[i] - (double)right[i]) / scale;
        largest = difference > largest || isnan(difference) ? difference : largest;
    }
    return largest;
}

/* Values are of the size 0.1; each of the hundreds of steps that are compared rounds them. */
static void expect_equal(const subject *left, const subject *right, int64_t step)
{
    const double tolerance = sizeof(sr_real) == sizeof(float) ? 1e-5 : 1e-13;
    const size_t size = left->parameters.block_size;
    const double values = largest_difference(left->parameters.values, right->parameters.values, size, 0);
    const double first = largest_difference(left->optimizer.state.blocks[0].values, right->optimizer.state.blocks[0].values,
                                            size, 1e-20);
    const double second = largest_difference(left->optimizer.state.blocks[1].values, right->optimizer.state.blocks[1].values,
                                             size, 1e-30);
    const double moments = sizeof(sr_real) == sizeof(float) ? 5e-3 : 1e-10;
    if (!(values < tolerance) || !(first < moments) || !(second < moments))
        fail_msg("after step %lld values differ by %g, moments by %g and %g", (long long)step, values, first, second);
}

static void follow(const sr_training_settings *settings)
{
    enum { STEPS = 900, CHECK = 150 };
    subject dense, deferred;
    make(&dense, settings, false);
    make(&deferred, settings, true);
    assert_true(sr_optimizer_picks_rows(&deferred.optimizer));
    double most = 0;
    for (int64_t step = 0; step < STEPS; ++step) {
        int32_t rows[ROWS];
        sr_touched_rows touched = {.tables = dense.tables, .rows = rows, .count = draw_rows(step, rows)};
        touched.every = step % 400 == 399; /* now and then a step treats all rows, most of which have no gradient */
        take_step(&dense, step, &touched, 1);
        take_step(&deferred, step, &touched, 1);
        const size_t row = dense.parameters.list[1].offset + 30 * WIDTH;
        const double late = largest_difference(deferred.parameters.values + row, dense.parameters.values + row, WIDTH, 0);
        most = late > most ? late : most;
        if (step % CHECK == CHECK - 1) {
            settle(&deferred);
            expect_equal(&deferred, &dense, step);
        }
    }
    if (moments_of(settings)->beta1 > 0)
        assert_true(most > 1e-3); /* rows were late, by far more than is allowed in the end */
    release(&dense);
    release(&deferred);
}

static void late_rows_arrive_where_they_would_be(void **state)
{
    (void)state;
    const sr_training_settings settings = default_settings();
    follow(&settings);
}

static void late_rows_decay_as_well(void **state)
{
    (void)state;
    sr_training_settings settings = default_settings();
    settings.weight_decay = 0.3;
    settings.clip_norm = 0.5;
    follow(&settings);
}

static void late_rows_follow_other_rates_of_fading(void **state)
{
    (void)state;
    sr_training_settings settings = default_settings();
    moments_in(&settings)->beta1 = 0.98;
    moments_in(&settings)->beta2 = 0.99;
    follow(&settings);
    moments_in(&settings)->beta1 = 0;
    moments_in(&settings)->beta2 = 0.9999;
    moments_in(&settings)->epsilon = 1e-4;
    follow(&settings);
}

/* The square of a huge gradient. Such an element stays where it is, late or not. */
static void late_rows_bear_a_moment_that_has_overflowed(void **state)
{
    enum { FIRST_LATE = 400, STEPS = 420, ROW = 5 };
    const sr_training_settings settings = default_settings();
    int32_t rows[] = {ROW};
    subject subjects[2];
    (void)state;
    for (size_t i = 0; i < 2; ++i) {
        subject *s = &subjects[i];
        make(s, &settings, i == 1);
        const size_t begin = s->parameters.list[1].offset + ROW * WIDTH;
        for (int64_t step = 0; step < STEPS; ++step) {
            const sr_touched_rows touched = {.tables = s->tables, .rows = rows, .count = step < FIRST_LATE};
            if (step == FIRST_LATE)
                s->optimizer.state.blocks[1].values[begin + 3] = INFINITY;
            take_step(s, step, &touched, 1);
        }
        settle(s);
        assert_true(isfinite(s->parameters.values[begin + 3]));
    }
    assert_true(largest_difference(subjects[1].parameters.values, subjects[0].parameters.values,
                                   subjects[0].parameters.block_size, 0) < 1e-5);
    for (size_t i = 0; i < 2; ++i)
        release(&subjects[i]);
}

static void dividing_rows_among_threads_changes_no_bit(void **state)
{
    (void)state;
    const sr_training_settings settings = default_settings();
    subject subjects[2];
    for (size_t i = 0; i < 2; ++i) {
        make(&subjects[i], &settings, true);
        for (int64_t step = 0; step < 100; ++step) {
            int32_t rows[ROWS];
            const sr_touched_rows touched = {.tables = subjects[i].tables, .rows = rows, .count = draw_rows(step, rows)};
            take_step(&subjects[i], step, &touched, 1 + 2 * i);
        }
        settle(&subjects[i]);
    }
    assert_memory_equal(subjects[0].parameters.values, subjects[1].parameters.values,
                        subjects[0].parameters.block_size * sizeof(sr_real));
    for (size_t i = 0; i < 2; ++i)
        release(&subjects[i]);
}

static void rows_are_not_deferred_where_that_would_change_results(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; ++kind) {
        sr_training_settings settings = default_settings();
        subject s;
        if (kind == 0) {
            settings.optimizer = sr_optimizer_number("adam");
            settings.weight_decay = 0.1;
            settings.weight_decay_kind = SR_WEIGHT_DECAY_L2;
        } else if (kind == 1) {
            moments_in(&settings)->epsilon = 0;
        } else {
            moments_in(&settings)->beta1 = 0.999;
        }
        make(&s, &settings, true);
        assert_false(sr_optimizer_picks_rows(&s.optimizer));
        release(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(late_rows_arrive_where_they_would_be),
        cmocka_unit_test(late_rows_decay_as_well),
        cmocka_unit_test(late_rows_follow_other_rates_of_fading),
        cmocka_unit_test(late_rows_bear_a_moment_that_has_overflowed),
        cmocka_unit_test(dividing_rows_among_threads_changes_no_bit),
        cmocka_unit_test(rows_are_not_deferred_where_that_would_change_results),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
