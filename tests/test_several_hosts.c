/* Trainings on ranks of several hosts, started by hosts.sh, come to what one rank comes to: with every way to draw and to share
 * negatives, with either kind of item table. Evaluation of the same checkpoint is equal to the bit.
 *
 *   test_several_hosts         some cases, on three of four ranks
 *   test_several_hosts all     all of them, all losses and backbones, on two to four ranks; prints the largest differences */
#include "rank_counts.h"
#include "small_training.h"
#include "srtrain/evaluate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { STEPS = 50, MOST_OPTIONS = 32, PATH_SIZE = 128 };

#define BASE                                                                                                  \
    "data.path=none model.hidden_size=8 model.max_length=10 model.hidden_dropout=0.3 training.batch_size=48 " \
    "training.learning_rate=0.003 training.adam_epsilon=1e-5 "
#define ATTENTION "model.inner_size=16 "
#define SAMPLED ATTENTION "training.loss=sampled_softmax training.negatives=16 "
#define ALL_TARGETS "training.objective=all training.batch_size=8 "

static const char *const distributions[] = {"uniform", "popularity", "batch", "mixed"};
static const char *const sharings[] = {"target", "example", "slice training.negative_slice=8", "batch"};
enum { KINDS = 4 };

static const char *const others[] = {
    ATTENTION "training.loss=cross_entropy",
    ATTENTION "training.loss=cross_entropy " ALL_TARGETS,
    ATTENTION "training.loss=gbce training.negatives=16",
    ATTENTION "training.loss=binary_cross_entropy training.negatives=16",
    ATTENTION "training.loss=bpr training.negatives=16",
    ATTENTION "training.loss=bpr",
    ATTENTION "model.similarity=cosine training.temperature=0.2",
    ATTENTION "model.backbone=bert4rec",
    ATTENTION "model.backbone=fearec model.topk_factor=3",
    ATTENTION "model.backbone=fmlprec",
    "model.backbone=hstu " ALL_TARGETS,
    ATTENTION "model.backbone=ssept model.user_hidden_size=4",
    ATTENTION "model.backbone=stosa training.loss=stosa model.activation=elu",
    ATTENTION "model.backbone=tisasrec model.time_unit=3600 model.time_span=64",
    ATTENTION "calibrators.frequency.cutoff=3",
    ATTENTION "calibrators.spatial.order=true calibrators.adversarial.combine=gate model.initializer_range=0.1",
    "model.backbone=gru4rec model.initializer_range=0.1",
    "model.backbone=caser model.initializer_range=0.1",
};

typedef struct {
    double losses[STEPS];
    sr_ranking_metrics metrics;
} outcome;

/* ---- a training ---- */

static void begin(small_training *t, const shared_dataset *data, const char *options, const char *item_table)
{
    char text[1024], table[64];
    const char *assignments[MOST_OPTIONS];
    size_t count = 0;
    snprintf(text, sizeof text, "%s%s", BASE, options);
    snprintf(table, sizeof table, "model.item_table=%s", item_table);
    for (char *rest = text, *one; (one = strtok_r(rest, " ", &rest)) != NULL;) {
        assert_true(count < MOST_OPTIONS - 1);
        assignments[count++] = one;
    }
    assignments[count++] = table;
    small_training_begin(t, data, assignments, count, STEPS);
}

static void evaluate(const small_training *t, const shared_dataset *data, sr_ranking_metrics *metrics)
{
    sr_error error = {.message = ""};
    if (sr_evaluate_model(data->parallel, t->model,
                          &(sr_evaluation){.dataset = data->dataset,
                                           .settings = &t->settings.evaluation,
                                           .split = SR_SPLIT_VALID,
                                           .kernels = t->stepper.kernels},
                          metrics, &error) != SR_OK)
        fail_msg("%s", error.message);
}

/* One rank writes a checkpoint, all others read it: what they evaluate is the same. */
static void train_here(const shared_dataset *data, const char *options, const char *item_table, outcome *found)
{
    char path[PATH_SIZE];
    small_training t;
    sr_error error = {.message = ""};
    begin(&t, data, options, item_table);
    if (sr_parallel_size(data->parallel) > 2) /* two on one host, one or two on the other */
        assert_non_null(t.stepper.node);
    for (int64_t step = 0; step < STEPS; ++step) {
        sr_step_result result;
        if (small_training_step(&t, step, &result, &error) != SR_OK)
            fail_msg("%s: %s", options, error.message);
        found->losses[step] = sr_terms_total(&result.terms, SR_PARAMETERS_EVERY, result.targets);
    }
    assert_int_equal(sr_stepper_settle(&t.stepper, NULL), SR_OK);
    snprintf(path, sizeof path, "%s/checkpoint.h5", data->directory);
    if (sr_parallel_size(data->parallel) == 1)
        small_training_write(&t, data, path, STEPS);
    small_training_read(&t, data, path);
    evaluate(&t, data, &found->metrics);
    small_training_end(&t);
}

/* True on the first rank, which has what was found. */
static bool train(const rank_counts *counts, int ranks, const char *options, const char *item_table, outcome *found)
{
    shared_dataset data;
    bool is_first = false;
    if (rank_counts_take_part(counts, ranks, &data)) {
        train_here(&data, options, item_table, found);
        is_first = sr_parallel_rank(data.parallel) == 0;
    }
    rank_counts_wait(counts);
    return is_first;
}

static double mean_loss(const outcome *found, size_t first)
{
    double sum = 0;
    for (size_t step = first; step < first + 10; ++step)
        sum += found->losses[step];
    return sum / 10;
}

/* The largest relative difference between losses of a step. */
static double largest_difference(const outcome *found, const outcome *expected)
{
    double largest = 0;
    for (size_t step = 0; step < STEPS; ++step) {
        const double difference = fabs(found->losses[step] / expected->losses[step] - 1);
        if (!(difference <= largest))
            largest = difference;
    }
    return largest;
}

/* ---- comparisons ---- */

static const char *const tables[] = {"replicated", "divided"};

/* With so many ranks, a digit each, and both kinds of table. */
static void compare(const rank_counts *counts, const char *options, const char *ranks, bool prints)
{
    static outcome expected, found;
    const bool is_first = train(counts, 1, options, "replicated", &expected);
    if (is_first && !(mean_loss(&expected, STEPS - 10) < mean_loss(&expected, 0) && expected.metrics.cases > 0))
        fail_msg("%s: nothing is learned, loss %g after %g", options, mean_loss(&expected, STEPS - 10),
                 mean_loss(&expected, 0));
    if (is_first && prints)
        printf("%s\n", options);
    for (; *ranks; ++ranks)
        for (size_t kind = 0; kind < 2; ++kind) {
            if (!train(counts, *ranks - '0', options, tables[kind], &found))
                continue;
            const double difference = largest_difference(&found, &expected);
            if (prints)
                printf("    %c ranks, %-10s  %.1e\n", *ranks, tables[kind], difference);
            if (!(difference <= 1e-5))
                fail_msg("%s: %s on %c ranks: losses differ by %.3g", options, tables[kind], *ranks, difference);
            if (memcmp(found.metrics.hr, expected.metrics.hr, sizeof found.metrics.hr) != 0 ||
                memcmp(found.metrics.ndcg, expected.metrics.ndcg, sizeof found.metrics.ndcg) != 0 ||
                found.metrics.cases != expected.metrics.cases)
                fail_msg("%s: %s on %c ranks: NDCG is %.9g instead of %.9g", options, tables[kind], *ranks,
                         found.metrics.ndcg[0], expected.metrics.ndcg[0]);
        }
    if (prints)
        fflush(stdout);
}

static void compare_negatives(const rank_counts *counts, size_t distribution, size_t sharing, const char *more,
                              const char *ranks, bool prints)
{
    char options[512];
    snprintf(options, sizeof options, SAMPLED "training.negative_sampling=%s training.negative_sharing=%s %s",
             distributions[distribution], sharings[sharing], more);
    compare(counts, options, ranks, prints);
}

static void there_are_several_hosts(void **state)
{
    const rank_counts *counts = *state;
    int64_t hosts = sr_parallel_node_rank(counts->all.parallel) == 0;
    assert_int_equal(sr_parallel_sum_int64(counts->all.parallel, &hosts, 1, NULL), SR_OK);
    if (sr_parallel_rank(counts->all.parallel) == 0)
        printf("%d ranks on %lld hosts\n", sr_parallel_size(counts->all.parallel), (long long)hosts);
    assert_true(hosts > 1);
}

static void sampled_losses_do_not_depend_on_hosts(void **state)
{
    for (size_t i = 0; i < KINDS; ++i)
        compare_negatives(*state, i, (i + 2) % KINDS, i % 2 ? ALL_TARGETS : "", "3", false);
}

static void losses_over_the_catalogue_do_not_depend_on_hosts(void **state)
{
    compare(*state, others[0], "3", false);
}

/* ---- all of them ---- */

static void every_distribution_and_sharing_of_negatives(void **state)
{
    for (size_t i = 0; i < KINDS * KINDS; ++i) {
        compare_negatives(*state, i / KINDS, i % KINDS, "", "234", true);
        compare_negatives(*state, i / KINDS, i % KINDS, ALL_TARGETS, "234", true);
    }
}

static void every_loss_and_backbone(void **state)
{
    for (size_t i = 0; i < sizeof others / sizeof *others; ++i)
        compare(*state, others[i], "234", true);
}

static int set_up(void **state)
{
    return rank_counts_set_up(state, write_short_histories);
}

int main(int argument_count, char **arguments)
{
    const struct CMUnitTest some[] = {
        cmocka_unit_test(there_are_several_hosts),
        cmocka_unit_test(sampled_losses_do_not_depend_on_hosts),
        cmocka_unit_test(losses_over_the_catalogue_do_not_depend_on_hosts),
    };
    const struct CMUnitTest all[] = {
        cmocka_unit_test(there_are_several_hosts),
        cmocka_unit_test(every_distribution_and_sharing_of_negatives),
        cmocka_unit_test(every_loss_and_backbone),
    };
    /* A rank that fails an assertion ends the whole job: the others would wait for it for ever. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    if (argument_count == 2 && strcmp(arguments[1], "all") == 0)
        return cmocka_run_group_tests(all, set_up, rank_counts_tear_down);
    return cmocka_run_group_tests(some, set_up, rank_counts_tear_down);
}
