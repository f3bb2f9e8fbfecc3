/* Deferred updates of item tables change no result, whatever the backbone, the loss and the number of ranks and threads. */
#include "optional.h"
#include "small_training.h"
#include "step/item_rows.h"

#include <malloc.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { USERS = 60, ITEMS = 6000, LENGTH = 14, STEPS = 24, OPTIONS = 8 };

static size_t item_of(size_t user, size_t i)
{
    return user * user * 31 + 701 * i + i * i / 3;
}

static int64_t time_of(size_t user, size_t i)
{
    (void)user;
    return (int64_t)(i * i);
}

static int set_up(void **state)
{
    return shared_dataset_set_up(
        state, &(equal_sequences){
                   .users = USERS, .items = ITEMS, .length = LENGTH, .shards = 1, .item_of = item_of, .time_of = time_of});
}

static void train(const shared_dataset *data, small_training *t, const char *updates, size_t most_missed,
                  const char *const options[OPTIONS])
{
    char choice[64];
    const char *assignments[OPTIONS + 8] = {
        "data.path=none",         "model.max_length=10",         "model.hidden_size=12",
        "training.batch_size=30", "training.learning_rate=0.01", "training.adam_epsilon=1e-5"};
    size_t count = 6;
    snprintf(choice, sizeof choice, "training.item_updates=%s", updates);
    assignments[count++] = choice;
    for (size_t i = 0; i < OPTIONS && options[i]; ++i)
        assignments[count++] = options[i];
    sr_error error = {.message = ""};
    small_training_begin(t, data, assignments, count, STEPS);
    item_rows_remember_at_most(&t->stepper, most_missed);
    for (int64_t step = 0; step < STEPS; ++step) {
        sr_step_result result;
        if (small_training_step(t, step, &result, &error) != SR_OK)
            fail_msg("%s", error.message);
    }
}

static double largest_difference(const sr_real *left, const sr_real *right, size_t size)
{
    double largest = 0;
    for (size_t i = 0; i < size; ++i) {
        const double difference = fabs((double)left[i] - (double)right[i]);
        largest = difference > largest || isnan(difference) ? difference : largest;
    }
    return largest;
}

/* Row `row` of the item table, by its first number. */
static double value_of(small_training *t, size_t row)
{
    const sr_parameters *parameters = sr_model_parameters(t->model);
    return (double)parameters->values[row * parameters->list[0].shape[1]];
}

static void check_equal(const shared_dataset *data, size_t most_missed, const char *const options[OPTIONS])
{
    static small_training dense, deferred;
    train(data, &dense, "every_step", STEPS, options);
    train(data, &deferred, "deferred", most_missed, options);
    assert_false(sr_optimizer_picks_rows(&dense.stepper.optimizer));
    assert_true(sr_optimizer_picks_rows(&deferred.stepper.optimizer));
    assert_int_equal(deferred.stepper.node != NULL, dense.stepper.node != NULL);
    const size_t size = sr_model_parameters(dense.model)->block_size;
    sr_real *const values = sr_model_parameters(deferred.model)->values;
    const double late = largest_difference(values, sr_model_parameters(dense.model)->values, size);
    assert_int_equal(sr_stepper_settle(&deferred.stepper, NULL), SR_OK);
    const double settled = largest_difference(values, sr_model_parameters(dense.model)->values, size);
    if (!(late > 1e-2) || !(settled < 1e-3))
        fail_msg("%s %s: late rows differ by %g, settled ones by %g", options[0], options[1] ? options[1] : "", late, settled);
    const sr_state *late_state = &deferred.stepper.optimizer.state, *state = &dense.stepper.optimizer.state;
    assert_true(largest_difference(late_state->blocks[0].values, state->blocks[0].values, size) < 1e-4);
    int64_t bounds[2] = {(int64_t)(sr_parameters_checksum(sr_model_parameters(deferred.model)) >> 1)};
    bounds[1] = -bounds[0];
    assert_int_equal(sr_parallel_maximum_int64(data->parallel, bounds, 2, NULL), SR_OK);
    assert_true(bounds[0] == -bounds[1]); /* every rank has the same bits */
    /* That of padding has no gradient: it stays, or decays in one product or in one for each step. */
    const double rounding = dense.settings.training.weight_decay > 0 ? 1e-6 * fabs(value_of(&dense, 0)) : 0;
    assert_true(fabs(value_of(&deferred, 0) - value_of(&dense, 0)) <= rounding);
    small_training_end(&dense);
    small_training_end(&deferred);
}

/* Bytes that malloc() has handed out. */
static double held(void)
{
    const struct mallinfo2 all = mallinfo2();
    return (double)all.uordblks + (double)all.hblkhd;
}

static double held_by_training(const shared_dataset *data, const char *updates, const char *const options[OPTIONS],
                               size_t *planned)
{
    static small_training t;
    const double before = held();
    train(data, &t, updates, STEPS, options);
    const double after = held();
    *planned = sr_stepper_late_memory(t.model, &t.settings, ITEMS + 1, STEPS, (size_t)sr_parallel_size(data->parallel),
                                      t.stepper.threads);
    small_training_end(&t);
    return after - before;
}

static void what_late_rows_take_is_known_before(void **state)
{
#ifdef __SANITIZE_ADDRESS__
    const bool is_counted = false; /* malloc() is another one */
#else
    const bool is_counted = true;
#endif
    static const char *const cases[][OPTIONS] = {
        {"training.loss=bpr", "training.reduction=blocking", "model.hidden_size=32"},
        {"training.loss=bpr", "training.reduction=blocking", "model.hidden_size=32", "training.threads=2"},
        {"training.loss=stosa", "training.reduction=blocking", "model.backbone=stosa", "model.hidden_size=32"},
    };
    if (!is_counted)
        skip_because("AddressSanitizer's malloc() does not count");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        size_t planned, none;
        (void)held_by_training(*state, "deferred", cases[i], &planned); /* libraries keep something the first time */
        const double dense = held_by_training(*state, "every_step", cases[i], &none);
        const double more = held_by_training(*state, "deferred", cases[i], &planned) - dense;
        assert_int_equal(none, 0);
        if ((double)planned < 0.8 * more || (double)planned > 1.3 * more)
            fail_msg("case %zu: %zu bytes were planned, %.0f are held", i, planned, more);
    }
}

static void deferred_rows_change_no_result(void **state)
{
    static const char *const cases[][OPTIONS] = {
        {"training.loss=binary_cross_entropy", "training.objective=all"},
        {"training.loss=bpr", "training.objective=all", "training.weight_decay=0.1", "training.clip_norm=0.1"},
        {"training.loss=bpr", "training.reduction=blocking"},
        {"training.loss=stosa", "model.backbone=stosa", "training.objective=all", "model.hidden_dropout=0"},
        {"training.loss=bpr", "model.backbone=gru4rec"},
        {"training.loss=bpr", "model.backbone=tisasrec", "training.objective=all"},
        {"training.loss=bpr", "model.backbone=ssept", "model.user_hidden_size=4", "model.sse_item_probability=0"},
        {"training.loss=bpr", "training.contrastive.weight=0.1"},
        {"training.loss=bpr", "model.backbone=fearec", "model.topk_factor=2", "training.contrastive.weight=0.1"},
        {"training.loss=binary_cross_entropy", "training.objective=all", "calibrators.spatial.order=true",
         "calibrators.adversarial.combine=gate"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i)
        check_equal(*state, STEPS, cases[i]);
}

static void deferred_rows_change_no_result_with_threads(void **state)
{
    static const char *const with_threads[OPTIONS] = {"training.loss=bpr", "training.objective=all", "training.threads=3"};
    check_equal(*state, STEPS, with_threads);
}

/* Two times on the way, and some steps are missed since. */
static void all_rows_catch_up_before_too_many_steps_are_remembered(void **state)
{
    static const char *const cases[][OPTIONS] = {
        {"training.loss=bpr", "training.objective=all", "training.weight_decay=0.1"},
        {"training.loss=bpr", "training.reduction=blocking"},
        {"training.loss=bpr", "training.threads=2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i)
        check_equal(*state, 9, cases[i]);
}

static void nothing_is_deferred_where_every_row_has_a_gradient(void **state)
{
    static const char *const cases[][OPTIONS] = {
        {"training.loss=cross_entropy"},
        {"training.loss=bpr", "model.backbone=caser"},
        {"training.loss=bpr", "model.backbone=ssept", "model.user_hidden_size=4", "model.sse_item_probability=0.1"},
        {"training.loss=bpr", "training.weight_decay=0.1", "training.weight_decay_kind=l2"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        static small_training t;
        train(*state, &t, "deferred", STEPS, cases[i]);
        assert_false(sr_optimizer_picks_rows(&t.stepper.optimizer));
        small_training_end(&t);
    }
}

int main(int argument_count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_late_rows_take_is_known_before),
        cmocka_unit_test(deferred_rows_change_no_result),
        cmocka_unit_test(deferred_rows_change_no_result_with_threads),
        cmocka_unit_test(all_rows_catch_up_before_too_many_steps_are_remembered),
        cmocka_unit_test(nothing_is_deferred_where_every_row_has_a_gradient),
    };
    /* A rank whose test fails must take the others with it: they are waiting for its messages. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    return run_chosen_tests(argument_count, arguments, tests, sizeof tests / sizeof *tests, set_up, shared_dataset_tear_down);
}
