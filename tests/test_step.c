/* Training steps on several ranks. When one of them fails, all must end with its message, and none may wait for it. And what is
 * not finite, or not the same everywhere. */
#include "cpu_level.h"
#include "optional.h"
#include "small_training.h"
#include "run/run_state.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

enum { USERS = 60, ITEMS = 50, LENGTH = 40 };

static size_t item_of(size_t user, size_t i)
{
    return user * user + 7 * i + i * i / 3;
}

static int set_up(void **state)
{
    return shared_dataset_set_up(
        state, &(equal_sequences){.users = USERS, .items = ITEMS, .length = LENGTH, .shards = 1, .item_of = item_of});
}

/* Takes from this process all memory but `room` bytes; returns the limit before. */
static struct rlimit limit_memory(size_t room)
{
    struct rlimit before, limit;
    unsigned long pages;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    limit = before;
    limit.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + room;
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
    return before;
}

#ifdef __SANITIZE_ADDRESS__
static const bool memory_can_be_limited = false; /* its own memory cannot */
#else
static const bool memory_can_be_limited = true;
#endif

/* A step needs some fifty megabytes, which one rank does not have. */
static void check_failing_rank(const shared_dataset *data, const char *option)
{
    const char *const assignments[] = {"data.path=none",
                                       "data.samples=window",
                                       "model.max_length=40",
                                       "model.hidden_size=128",
                                       "training.batch_size=1000",
                                       "training.epochs=1",
                                       option};
    sr_error error = {.message = ""};
    small_training t;
    sr_step_result result;
    if (!memory_can_be_limited)
        skip_because("AddressSanitizer's own memory cannot be limited");
    small_training_begin(&t, data, assignments, sizeof assignments / sizeof *assignments, 2);
    const uint64_t before = sr_parameters_checksum(sr_model_parameters(t.model));
    const int failing = sr_parallel_size(data->parallel) - 1;
    const bool fails = sr_parallel_rank(data->parallel) == failing;
    struct rlimit limit = {0};
    if (fails)
        limit = limit_memory((size_t)16 << 20);
    const sr_status status = small_training_step(&t, 0, &result, &error);
    if (fails)
        assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
    assert_int_equal(status, SR_ERROR_RUNTIME);
    char expected[64];
    snprintf(expected, sizeof expected, sr_parallel_size(data->parallel) > 1 ? "rank %d on " : "memory", failing);
    assert_non_null(strstr(error.message, expected));
    assert_non_null(strstr(error.message, "memory"));
    assert_true(sr_parameters_checksum(sr_model_parameters(t.model)) == before);
    small_training_end(&t);
}

/* The losses of some steps from the same parameters. */
static void losses_of_steps(const shared_dataset *data, const char *option, double *losses, size_t steps)
{
    const char *const assignments[] = {"data.path=none", "model.max_length=40", "training.batch_size=60", option};
    sr_error error = {.message = ""};
    small_training t;
    sr_step_result result;
    small_training_begin(&t, data, assignments, sizeof assignments / sizeof *assignments, (int64_t)steps);
    for (size_t step = 0; step < steps; ++step) {
        if (small_training_step(&t, (int64_t)step, &result, &error) != SR_OK)
            fail_msg("%s", error.message);
        losses[step] = sr_step_loss(&result);
    }
    small_training_end(&t);
}

static void products_of_bf16_change_losses_and_change_them_little(void **state)
{
    enum { STEPS = 30 };
    double full[STEPS], reduced[STEPS];
    losses_of_steps(*state, "training.precision=fp32", full, STEPS);
    losses_of_steps(*state, "training.precision=bf16", reduced, STEPS);
    const bool is_rounded = strcmp(tested_kernels()->level, "amx") == 0; /* else bf16 is computed in fp32 */
    /* A single step may have the same loss by chance. */
    size_t differing = 0;
    assert_true(full[STEPS - 1] < full[0] - 0.02);
    for (size_t step = 0; step < STEPS; ++step) {
        differing += full[step] != reduced[step];
        assert_true(fabs(full[step] - reduced[step]) < 2e-3 * full[step]);
    }
    assert_true((differing > 0) == is_rounded);
}

static void a_rank_without_memory_ends_the_step_on_all(void **state)
{
    check_failing_rank(*state, "training.loss=cross_entropy");
}

static void a_rank_without_memory_ends_a_step_of_contrastive_training_on_all(void **state)
{
    check_failing_rank(*state, "training.contrastive.weight=0.1");
}

static void a_rank_without_memory_ends_a_step_whose_passes_sum_over_ranks_on_all(void **state)
{
    check_failing_rank(*state, "model.backbone=fearec");
}

static void a_rank_without_memory_ends_a_step_with_a_divided_item_table_on_all(void **state)
{
    check_failing_rank(*state, "model.item_table=divided");
}

static void a_rank_without_memory_ends_a_step_of_adversarial_training_on_all(void **state)
{
    check_failing_rank(*state, "calibrators.adversarial.combine=gate");
}

/* ---- what is not finite ---- */

static void begin(const shared_dataset *data, small_training *t, const char *option)
{
    const char *const assignments[] = {"data.path=none",
                                       "model.max_length=10",
                                       "model.hidden_size=8",
                                       "model.inner_size=8",
                                       "training.batch_size=64",
                                       "training.reduction=blocking",
                                       option}; /* each rank has parameters of its own */
    small_training_begin(t, data, assignments, sizeof assignments / sizeof *assignments, 9);
}

static sr_status take_step(small_training *t, int64_t step, sr_step_result *result, sr_error *error)
{
    const bool votes[SR_VOTES] = {[SR_VOTE_SAVE] = step == 1};
    return sr_train_step(&t->stepper, 0, step, step, votes, result, error);
}

static void a_step_that_is_not_finite_is_an_error_that_names_loss_and_parameter(void **state)
{
    small_training t;
    sr_step_result result;
    sr_error error = {.message = ""};
    begin(*state, &t, "training.epochs=1");
    sr_parameters *parameters = sr_model_parameters(t.model);
    parameters->values[parameters->list[3].offset] = NAN;
    const uint64_t before = sr_parameters_checksum(parameters);
    assert_int_equal(take_step(&t, 0, &result, &error), SR_ERROR_RUNTIME);
    assert_non_null(strstr(error.message, "the ranking loss is not finite (nan)"));
    assert_non_null(strstr(error.message, "the first parameter whose values are not finite is "));
    assert_non_null(strstr(error.message, parameters->list[3].name));
    assert_true(sr_parameters_checksum(parameters) == before);
    small_training_end(&t);
}

static void a_step_that_is_not_finite_may_be_skipped(void **state)
{
    small_training t;
    sr_step_result result;
    sr_error error = {.message = ""};
    begin(*state, &t, "training.skip_nonfinite_steps=1");
    sr_parameters *parameters = sr_model_parameters(t.model);
    const sr_real value = parameters->values[parameters->list[3].offset];
    parameters->values[parameters->list[3].offset] = INFINITY;
    const uint64_t before = sr_parameters_checksum(parameters);
    assert_int_equal(take_step(&t, 0, &result, &error), SR_OK);
    assert_true(result.skipped && strstr(result.reason, parameters->list[3].name));
    assert_true(!result.votes[SR_VOTE_SAVE] && !result.votes[SR_VOTE_STOP]);
    assert_true(sr_parameters_checksum(parameters) == before);
    parameters->values[parameters->list[3].offset] = value;
    assert_int_equal(take_step(&t, 1, &result, &error), SR_OK);
    assert_true(!result.skipped && result.votes[SR_VOTE_SAVE] && !result.votes[SR_VOTE_STOP]);
    assert_true(sr_parameters_checksum(parameters) != before);
    small_training_end(&t);
}

/* ---- ranks that have drifted apart ---- */

static void a_rank_with_other_parameters_is_named(void **state)
{
    const shared_dataset *data = *state;
    small_training t;
    sr_error error = {.message = ""};
    begin(data, &t, "training.epochs=1");
    run r = {.parallel = data->parallel, .model = t.model, .progress = {.step = 7}};
    const int ranks = sr_parallel_size(data->parallel), stranger = ranks - 1;
    assert_int_equal(run_compare_ranks(&r, &error), SR_OK);
    sr_parameters *parameters = sr_model_parameters(t.model);
    if (sr_parallel_rank(data->parallel) == stranger)
        parameters->values[parameters->list[0].size - 1] += (sr_real)1e-6;
    assert_int_equal(run_compare_ranks(&r, &error), ranks > 1 ? SR_ERROR_RUNTIME : SR_OK);
    if (ranks > 1) {
        char expected[128];
        snprintf(expected, sizeof expected, "those of %d of %d ranks are equal, rank %d differs", stranger, ranks, stranger);
        assert_non_null(strstr(error.message, "after step 7"));
        assert_non_null(strstr(error.message, expected));
    }
    small_training_end(&t);
}

int main(int argument_count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_of_bf16_change_losses_and_change_them_little),
        cmocka_unit_test(a_rank_without_memory_ends_the_step_on_all),
        cmocka_unit_test(a_rank_without_memory_ends_a_step_of_contrastive_training_on_all),
        cmocka_unit_test(a_rank_without_memory_ends_a_step_whose_passes_sum_over_ranks_on_all),
        cmocka_unit_test(a_rank_without_memory_ends_a_step_with_a_divided_item_table_on_all),
        cmocka_unit_test(a_rank_without_memory_ends_a_step_of_adversarial_training_on_all),
        cmocka_unit_test(a_step_that_is_not_finite_is_an_error_that_names_loss_and_parameter),
        cmocka_unit_test(a_step_that_is_not_finite_may_be_skipped),
        cmocka_unit_test(a_rank_with_other_parameters_is_named),
    };
    /* A rank that fails an assertion ends the whole job: the others would wait for it for ever. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    return run_chosen_tests(argument_count, arguments, tests, sizeof tests / sizeof *tests, set_up, shared_dataset_tear_down);
}
