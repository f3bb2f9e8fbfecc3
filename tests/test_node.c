/* Processes of a node that share memory and work: each part of it is somebody's, sums are right, and training is that of
 * processes that share nothing, also on several nodes (which are pretended here) and with threads. */
#include "parallel/parallel_internal.h"
#include "small_training.h"
#include "srtrain/node.h"
#include "step/reduction.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { USERS = 70, ITEMS = 90, LENGTH = 14, STEPS = 12, THREADS = 2, SIZE = 10007, OPTIONS = 4 };

static size_t item_of(size_t user, size_t i)
{
    return user * user + 7 * i;
}

static int set_up(void **state)
{
    return shared_dataset_set_up(
        state, &(equal_sequences){.users = USERS, .items = ITEMS, .length = LENGTH, .shards = 1, .item_of = item_of});
}

static int size_of(const shared_dataset *data)
{
    return sr_parallel_size(data->parallel);
}

static void divide_into_nodes(const shared_dataset *data, int processes)
{
    sr_error error = {.message = ""};
    if (parallel_pretend_nodes(data->parallel, processes, &error) != SR_OK)
        fail_msg("%s", error.message);
}

static void sharing_takes_a_node_of_several_processes(void **state)
{
    const shared_dataset *data = *state;
    for (int processes = 1; processes <= size_of(data); ++processes) {
        bool possible;
        divide_into_nodes(data, processes);
        assert_int_equal(sr_node_is_possible(data->parallel, &possible, NULL), SR_OK);
        assert_int_equal(possible, processes > 1);
    }
}

/* Calls `check` with every division into nodes that can share; the last node may be smaller than the others. Five ranks are
 * there for 3 + 2, where one node has a lane of two and one of one. */
static void with_every_node_size(const shared_dataset *data, void (*check)(const shared_dataset *data, int processes))
{
    for (int processes = 2; processes <= size_of(data); ++processes) {
        if (size_of(data) == 5 && processes != 3)
            continue;
        divide_into_nodes(data, processes);
        check(data, processes);
    }
}

static sr_node *make_node(const shared_dataset *data, size_t common, size_t own)
{
    sr_error error = {.message = ""};
    sr_node *node;
    if (sr_node_create(&node, data->parallel, common, own, &error) != SR_OK)
        fail_msg("%s", error.message);
    return node;
}

static void check_memory(const shared_dataset *data, int processes)
{
    sr_node *node = make_node(data, 3 * SIZE, SIZE);
    const size_t own = sr_node_process(node);
    const int nodes = (size_of(data) + processes - 1) / processes, last = size_of(data) - (nodes - 1) * processes;
    const bool speaks = sr_node_speaker(node) == own;
    assert_int_equal(sr_node_processes(node), data->parallel->node_size);
    assert_int_equal(own, data->parallel->rank % processes);
    assert_int_equal(sr_node_has_wide_lanes(node), data->parallel->node_size > last);
    assert_true(speaks || sr_node_has_wide_lanes(node));
    assert_int_equal(sr_parallel_size(sr_node_between(node)), speaks ? nodes : 1);
    assert_int_equal(sr_parallel_rank(sr_node_between(node)), speaks ? data->parallel->rank / processes : 0);
    for (size_t i = 0; i < 3 * SIZE; ++i)
        assert_true(sr_node_common(node)[i] == 0);
    assert_int_equal(sr_node_wait(node, data->parallel, NULL), SR_OK);
    const sr_element_range part = sr_node_process_part(node, (sr_element_range){0, 3 * SIZE}, own);
    const sr_element_range lane = sr_node_lane_part(node, (sr_element_range){0, 3 * SIZE});
    assert_true(part.begin >= lane.begin && part.end <= lane.end);
    for (size_t i = part.begin; i < part.end; ++i)
        sr_node_common(node)[i] += (sr_real)(i % 1000 + 1); /* an element that belongs to two is added to twice */
    for (size_t i = 0; i < SIZE; ++i)
        sr_node_own(node, own)[i] = (sr_real)(own + 1);
    assert_int_equal(sr_node_wait(node, data->parallel, NULL), SR_OK);
    for (size_t i = 0; i < 3 * SIZE; ++i)
        assert_true(sr_node_common(node)[i] == (sr_real)(i % 1000 + 1));
    for (size_t process = 0; process < sr_node_processes(node); ++process)
        for (size_t i = 0; i < SIZE; ++i)
            assert_true(sr_node_own(node, process)[i] == (sr_real)(process + 1));
    assert_int_equal(sr_node_wait(node, data->parallel, NULL), SR_OK);
    sr_node_free(node);
}

static void all_processes_of_a_node_see_its_memory(void **state)
{
    with_every_node_size(*state, check_memory);
}

/* What may be looked at by one thread alone. */
typedef struct {
    size_t part, parts;
    double sums[2];
    sr_status status;
} of_thread;

static double term(size_t worker)
{
    return 1 / ((double)worker + 3);
}

/* In the order of processes, the threads of each in theirs. */
static double sum_in_order(size_t processes)
{
    double sum = 0;
    for (size_t process = 0; process < processes; ++process) {
        double of_process = 0;
        for (size_t thread = 0; thread < THREADS; ++thread)
            of_process += term(process * THREADS + thread);
        sum += of_process;
    }
    return sum;
}

static void check_workers(const shared_dataset *data, int node_size)
{
    of_thread found[THREADS];
    assert_int_equal(sr_parallel_use_threads(data->parallel, THREADS, NULL), SR_OK);
    sr_node *node = make_node(data, 16, 16);
    const size_t process = sr_node_process(node), processes = sr_node_processes(node);
    (void)node_size;
#pragma omp parallel num_threads(THREADS)
    {
        const size_t thread = (size_t)omp_get_thread_num();
        sr_parallel *member = sr_parallel_member(data->parallel, thread);
        of_thread *own = &found[thread];
        sr_node_part(node, member, &own->part, &own->parts);
        own->sums[0] = (double)(process * THREADS + thread) + 1;
        own->sums[1] = term(process * THREADS + thread);
        own->status = sr_node_sum(node, member, own->sums, 2, NULL);
        if (own->status == SR_OK)
            own->status = sr_node_wait(node, member, NULL);
    }
    const double workers = (double)(processes * THREADS);
    for (size_t thread = 0; thread < THREADS; ++thread) {
        assert_int_equal(found[thread].status, SR_OK);
        assert_true(sr_node_has_wide_lanes(node) || found[thread].part == process * THREADS + thread);
        assert_true(sr_node_has_wide_lanes(node) || found[thread].parts == processes * THREADS);
        assert_true(found[thread].sums[0] == workers * (workers + 1) / 2);
        assert_true(found[thread].sums[1] == sum_in_order(processes));
    }
    sr_node_free(node);
    assert_int_equal(sr_parallel_use_threads(data->parallel, 1, NULL), SR_OK);
}

static void the_workers_of_a_node_divide_its_work_and_sum_in_their_order(void **state)
{
    with_every_node_size(*state, check_workers);
}

/* ---- gradients ---- */

static double gradient(int member, size_t element)
{
    return (member + 1) * (double)(element % 17) - 5;
}

/* Each thread with gradients of its own; those of the first one lie in the node. */
static void check_sums(const shared_dataset *data, size_t threads, bool rounded)
{
    sr_parameters parameters[THREADS];
    sr_status statuses[THREADS] = {SR_OK};
    const size_t shape[] = {SIZE};
    assert_int_equal(sr_parallel_use_threads(data->parallel, threads, NULL), SR_OK);
    for (size_t t = 0; t < threads; ++t) {
        sr_parameters_initialise(&parameters[t]);
        assert_int_equal(sr_parameters_declare(&parameters[t], "weight", shape, 1, (sr_initial_values){SR_INITIAL_ZERO, 0},
                                               SR_PARAMETERS_ORDINARY, NULL, NULL),
                         SR_OK);
        assert_int_equal(sr_parameters_allocate(&parameters[t], NULL), SR_OK);
    }
    sr_node *node = make_node(data, parameters[0].block_size, parameters[0].block_size);
    sr_parameters_place(&parameters[0], sr_node_common(node), sr_node_own(node, sr_node_process(node)));
    const sr_reduction_settings settings = {.node = node, .message_bytes = 1, .rounded = rounded, .keeps_rest = rounded};
#pragma omp parallel num_threads((int)threads)
    {
        const size_t thread = (size_t)omp_get_thread_num();
        sr_parallel *member = sr_parallel_member(data->parallel, thread);
        sr_reduction *reduction = NULL;
        sr_status status = sr_reduction_create(&reduction, member, &parameters[thread], &settings, NULL);
        for (size_t i = 0; i < SIZE; ++i)
            parameters[thread].gradients[i] = (sr_real)gradient(sr_parallel_rank(member), i);
        if (status == SR_OK)
            status = sr_reduction_run(reduction, NULL, NULL);
        if (status == SR_OK)
            status = sr_reduction_collect(reduction, NULL, NULL);
        statuses[thread] = status;
        sr_reduction_free(reduction);
    }
    for (size_t i = 0; i < SIZE; ++i) {
        double expected = 0;
        for (int member = 0; member < size_of(data) * (int)threads; ++member)
            expected += gradient(member, i);
        const double found = (double)parameters[0].gradients[i];
        if (fabs(found - expected) > (rounded ? fabs(expected) / 64 + 1 : 0))
            fail_msg("element %zu: %g, expected %g", i, found, expected);
    }
    for (size_t t = 0; t < threads; ++t) {
        assert_int_equal(statuses[t], SR_OK);
        sr_parameters_free(&parameters[t]);
    }
    sr_node_free(node);
    assert_int_equal(sr_parallel_use_threads(data->parallel, 1, NULL), SR_OK);
}

static void check_reductions(const shared_dataset *data, int processes)
{
    (void)processes;
    for (size_t threads = 1; threads <= THREADS; ++threads)
        for (int rounded = 0; rounded < 2; ++rounded)
            check_sums(data, threads, rounded);
}

static void gradients_are_summed_within_nodes_and_between_them(void **state)
{
    with_every_node_size(*state, check_reductions);
}

/* ---- training ---- */

/* What some steps of a training come to. */
typedef struct {
    double losses[STEPS], norms[STEPS];
    uint64_t checksum;
    bool shared;
    char why_not[256];
    char failure[sizeof((sr_error *)0)->message];
} outcome;

static void train(const shared_dataset *data, const char *const options[OPTIONS], size_t threads, bool overflows,
                  outcome *found)
{
    char chosen[32];
    const char *assignments[8 + OPTIONS] = {"data.path=none",        "model.max_length=10",    "model.hidden_size=16",
                                            "model.layers=1",        "training.batch_size=32", "training.learning_rate=0.01",
                                            "training.clip_norm=0.5"};
    size_t count = 7;
    snprintf(chosen, sizeof chosen, "training.threads=%zu", threads);
    assignments[count++] = chosen;
    for (size_t i = 0; i < OPTIONS && options[i]; ++i)
        assignments[count++] = options[i];
    sr_error error = {.message = ""};
    static small_training t;
    *found = (outcome){.shared = false};
    small_training_begin(&t, data, assignments, count, STEPS);
    sr_parameters *parameters = sr_model_parameters(t.model);
    for (size_t i = 0; overflows && i < parameters->list[0].size; ++i)
        parameters->values[parameters->list[0].offset + i] = (sr_real)3e38;
    assert_int_equal(sr_parallel_barrier(data->parallel, NULL), SR_OK);
    found->shared = t.stepper.node != NULL;
    snprintf(found->why_not, sizeof found->why_not, "%s", t.stepper.why_not);
    for (int64_t step = 0; step < STEPS && !*found->failure; ++step) {
        sr_step_result result;
        if (small_training_step(&t, step, &result, &error) != SR_OK) {
            snprintf(found->failure, sizeof found->failure, "%s", error.message);
            break;
        }
        found->losses[step] = sr_step_loss(&result);
        found->norms[step] = result.gradient_norm;
    }
    assert_int_equal(sr_stepper_settle(&t.stepper, NULL), SR_OK);
    found->checksum = sr_parameters_checksum(parameters);
    assert_int_equal(sr_parallel_barrier(data->parallel, NULL), SR_OK);
    small_training_end(&t);
    assert_int_equal(sr_parallel_use_threads(data->parallel, 1, NULL), SR_OK);
}

static void assert_same_on_every_rank(const shared_dataset *data, uint64_t checksum)
{
    int64_t halves[] = {(int64_t)(checksum >> 1), -(int64_t)(checksum >> 1)};
    assert_int_equal(sr_parallel_maximum_int64(data->parallel, halves, 2, NULL), SR_OK);
    assert_true(halves[0] == -halves[1]);
}

static void check_training(const shared_dataset *data, int processes)
{
    /* Of the last one, steps touch less than three tenths of the items, or more. */
    static const char *const variants[][2] = {{"training.loss=cross_entropy", "training.weight_decay=0.01"},
                                              {"calibrators.adversarial.combine=gate", "training.attack_learning_rate_ratio=2"},
                                              {"training.optimizer=lamb", "training.weight_decay=0.01"},
                                              {"training.optimizer=sgd", "training.momentum=0.5"},
                                              {"training.loss=bpr", "training.item_updates=deferred"}};
    const bool uneven = size_of(data) % processes > 0;
    for (size_t v = 0; v < sizeof variants / sizeof *variants; ++v)
        for (size_t threads = 1; threads <= THREADS; ++threads) {
            const bool is_late = strstr(variants[v][1], "deferred") != NULL;
            if (uneven && (threads == 1 || !(v == 0 || is_late)))
                continue;
            const char *const batch = is_late ? "training.batch_size=4" : "training.batch_size=32";
            const char *const alone[OPTIONS] = {variants[v][0], variants[v][1], batch, "training.reduction=blocking"};
            const char *const together[OPTIONS] = {variants[v][0], variants[v][1], batch, "training.reduction=shared"};
            outcome expected, found, again;
            train(data, alone, threads, false, &expected);
            train(data, together, threads, false, &found);
            train(data, together, threads, false, &again);
            assert_false(expected.shared);
            assert_true(found.shared);
            for (size_t step = 0; step < STEPS; ++step) {
                assert_true(fabs(found.losses[step] - expected.losses[step]) < 1e-4 * expected.losses[step]);
                assert_true(fabs(found.norms[step] - expected.norms[step]) < 1e-3 * expected.norms[step]);
            }
            assert_true(is_late || found.losses[STEPS - 1] < found.losses[0]);
            assert_same_on_every_rank(data, found.checksum);
            assert_true(found.checksum == again.checksum);
        }
}

static void training_that_shares_is_training_that_does_not_within_rounding(void **state)
{
    with_every_node_size(*state, check_training);
}

static void check_gradients_that_are_not_finite(const shared_dataset *data, int processes)
{
    static const char *const alone[OPTIONS] = {"training.reduction=blocking"}, *const together[OPTIONS] = {
                                                                                   "training.reduction=shared"};
    outcome expected, found;
    (void)processes;
    train(data, alone, 1, true, &expected);
    train(data, together, 1, true, &found);
    assert_true(found.shared);
    assert_non_null(strstr(expected.failure, "the first parameter whose gradients are not finite"));
    assert_string_equal(found.failure, expected.failure);
}

static void what_is_not_finite_is_named_wherever_its_sums_are(void **state)
{
    with_every_node_size(*state, check_gradients_that_are_not_finite);
}

static void ranks_on_nodes_of_their_own_have_nothing_to_share(void **state)
{
    const shared_dataset *data = *state;
    static const char *const shared[OPTIONS] = {"training.reduction=shared"};
    outcome found;
    divide_into_nodes(data, 1);
    train(data, shared, 1, false, &found);
    assert_false(found.shared);
    assert_string_equal(found.why_not, "");
    assert_string_equal(found.failure, "");
    assert_same_on_every_rank(data, found.checksum);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sharing_takes_a_node_of_several_processes),
        cmocka_unit_test(all_processes_of_a_node_see_its_memory),
        cmocka_unit_test(the_workers_of_a_node_divide_its_work_and_sum_in_their_order),
        cmocka_unit_test(gradients_are_summed_within_nodes_and_between_them),
        cmocka_unit_test(training_that_shares_is_training_that_does_not_within_rounding),
        cmocka_unit_test(what_is_not_finite_is_named_wherever_its_sums_are),
        cmocka_unit_test(ranks_on_nodes_of_their_own_have_nothing_to_share),
    };
    return cmocka_run_group_tests(tests, set_up, shared_dataset_tear_down);
}
