/* What ranks send each other in steps is what plans say, kind by kind. */
#include "rank_counts.h"
#include "small_training.h"
#include "srtrain/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { STEPS = 10, MOST_OPTIONS = 32 };

/* A plan must be that near to what was sent. */
static const double TOLERANCE = 0.1;

#define BASE                                                                                              \
    "data.path=none model.hidden_size=16 model.inner_size=16 model.max_length=10 training.batch_size=64 " \
    "training.reduction=blocking "

/* Ranks, then a digit of threads each. */
typedef struct {
    const char *workers, *options;
    sr_plan_table_kind table;
} variant;

static const variant variants[] = {
    {"21 41 22", "training.loss=bpr", SR_PLAN_DIVIDED},
    {"21 41", "training.loss=sampled_softmax training.negatives=16 training.negative_sharing=slice", SR_PLAN_DIVIDED},
    /* Threads read the same lists, which come to their process once. */
    {"22 24", "training.loss=sampled_softmax training.negatives=64 training.negative_sharing=batch", SR_PLAN_DIVIDED},
    {"22", "training.loss=cross_entropy training.reduction_precision=bf16", SR_PLAN_DIVIDED},
    {"21 22", "training.loss=bpr training.row_precision=bf16", SR_PLAN_DIVIDED},
    {"31", "training.loss=bpr training.contrastive.weight=0.1 data.samples=window", SR_PLAN_DIVIDED},
    {"21", "training.loss=bpr training.item_updates=deferred", SR_PLAN_REPLICATED},
    {"21", "training.loss=bpr training.item_updates=deferred training.batch_size=2", SR_PLAN_REPLICATED},
};

static void begin(small_training *t, const shared_dataset *data, const variant *v, size_t threads)
{
    char text[2048], more[64];
    const char *assignments[MOST_OPTIONS];
    size_t count = 0;
    snprintf(text, sizeof text, "%s%s", BASE, v->options);
    for (char *rest = text, *one; (one = strtok_r(rest, " ", &rest)) != NULL;) {
        assert_true(count < MOST_OPTIONS - 2);
        assignments[count++] = one;
    }
    snprintf(more, sizeof more, "training.threads=%zu", threads);
    assignments[count++] = more;
    assignments[count++] = v->table == SR_PLAN_DIVIDED ? "model.item_table=divided" : "model.item_table=replicated";
    small_training_begin(t, data, assignments, count, STEPS);
}

/* What a rank sends in a step, on average over ranks and steps. */
static sr_traffic measured(const shared_dataset *data, small_training *t)
{
    sr_error error = {.message = ""};
    for (int64_t step = 0; step < STEPS; ++step) {
        sr_step_result result;
        if (small_training_step(t, step, &result, &error) != SR_OK)
            fail_msg("%s", error.message);
    }
    sr_traffic traffic = sr_stepper_traffic(&t->stepper);
    assert_int_equal(sr_parallel_sum_double(data->parallel, traffic.bytes, SR_TRAFFICS, &error), SR_OK);
    for (size_t kind = 0; kind < SR_TRAFFICS; ++kind)
        traffic.bytes[kind] /= (double)STEPS * sr_parallel_size(data->parallel);
    return traffic;
}

static sr_plan planned(const shared_dataset *data, const small_training *t, size_t threads)
{
    const size_t ranks = (size_t)sr_parallel_size(data->parallel);
    const sr_plan_request request = {.settings = &t->settings,
                                     .dataset = data->dataset,
                                     .sampler = t->sampler,
                                     .kernels = t->stepper.kernels,
                                     .ranks = ranks,
                                     .threads = threads,
                                     .network = {SR_PLAN_NETWORK_LATENCY, SR_PLAN_NETWORK_BANDWIDTH, ranks}};
    sr_error error = {.message = ""};
    sr_plan plan;
    if (sr_plan_make(&plan, &request, &error) != SR_OK)
        fail_msg("%s", error.message);
    return plan;
}

static void compare(const shared_dataset *data, const variant *v, size_t threads)
{
    small_training t;
    begin(&t, data, v, threads);
    const sr_plan plan = planned(data, &t, threads);
    const sr_traffic found = measured(data, &t);
    small_training_end(&t);
    assert_int_equal(plan.table, v->table);
    assert_true(sr_traffic_total(&found) > 0);
    for (size_t kind = 0; kind < SR_TRAFFICS; ++kind) {
        const double expected = plan.tables[v->table].traffic.bytes[kind];
        if (!(fabs(found.bytes[kind] - expected) <= TOLERANCE * found.bytes[kind]))
            fail_msg("%s on %d ranks of %zu threads: %s: %.0f bytes a step planned, %.0f sent", v->options,
                     sr_parallel_size(data->parallel), threads, sr_traffic_name((sr_traffic_kind)kind), expected,
                     found.bytes[kind]);
    }
}

static void ranks_send_what_was_planned(void **state)
{
    const rank_counts *counts = *state;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; ++i)
        for (const char *at = variants[i].workers; *at; at += at[2] ? 3 : 2) {
            shared_dataset data;
            if (rank_counts_take_part(counts, at[0] - '0', &data))
                compare(&data, &variants[i], (size_t)(at[1] - '0'));
            rank_counts_wait(counts);
        }
}

static int set_up(void **state)
{
    return rank_counts_set_up(state, write_short_histories);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ranks_send_what_was_planned)};
    /* A rank that fails an assertion ends the whole job: the others would wait for it for ever. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    return cmocka_run_group_tests(tests, set_up, rank_counts_tear_down);
}
