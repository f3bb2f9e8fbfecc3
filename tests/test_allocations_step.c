/* Training steps for which memory does not suffice: whichever allocation fails, on whichever rank, the step fails with a
 * message on all of them, nothing is lost, and the same step taken again is as good as the first. */
#include "failing_allocations.h"
#include "small_training.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { USERS = 14, ITEMS = 20, LENGTH = 9, OPTIONS = 8 };

static size_t item_of(size_t user, size_t i)
{
    return user * user + 7 * i + i * i / 3;
}

static int64_t time_of(size_t user, size_t i)
{
    return (int64_t)(user + i * i);
}

static int set_up(void **state)
{
    setenv("CMOCKA_TEST_ABORT", "1", 0); /* a rank that fails ends the whole job */
    return shared_dataset_set_up(
        state, &(equal_sequences){
                   .users = USERS, .items = ITEMS, .length = LENGTH, .shards = 1, .item_of = item_of, .time_of = time_of});
}

typedef struct {
    const shared_dataset *data;
    const char *const *options;
    sr_settings settings;
    small_training training;
} trained;

static size_t settings_of(const char *const options[OPTIONS], const char **assignments)
{
    static const char *const common[] = {"data.path=none",      "data.samples=sliding",   "model.max_length=6",
                                         "model.hidden_size=4", "training.batch_size=12", "training.epochs=1"};
    size_t count = 0;
    for (; count < sizeof common / sizeof *common; ++count)
        assignments[count] = common[count];
    for (size_t i = 0; i < OPTIONS && options[i]; ++i)
        assignments[count++] = options[i];
    return count;
}

/* ---- everything that a step needs, made and given back ---- */

static sr_status declare_model(const trained *t, sr_model **model, sr_error *error)
{
    const sr_parallel *parallel = t->data->parallel;
    const sr_item_division division = {.rank = (size_t)sr_parallel_rank(parallel),
                                       .ranks = (size_t)sr_parallel_size(parallel),
                                       .threads = sr_parallel_threads(parallel),
                                       .popularity = sr_dataset_popularity(t->data->dataset)};
    return t->settings.model.item_table == SR_ITEM_TABLE_DIVIDED
               ? sr_model_declare_divided(model, &t->settings.model, ITEMS, USERS, &division, error)
               : sr_model_declare(model, &t->settings.model, ITEMS, USERS, error);
}

static sr_status make_and_step(void *context, uint64_t *result, sr_error *error)
{
    trained *t = context;
    sr_sampler *sampler = NULL;
    sr_model *model = NULL;
    sr_stepper stepper = {.parallel = NULL};
    sr_step_result step;
    const bool votes[SR_VOTES] = {false};
    sr_parallel *parallel = t->data->parallel;
    sr_status status = sr_settings_sampler(&sampler, t->data->dataset, &t->settings, error);
    if (status == SR_OK)
        status = declare_model(t, &model, error);
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK)
        status = sr_stepper_create(&stepper, parallel, &t->settings, sr_kernels_choose(NULL), sampler, model, 4, error);
    if (status == SR_OK) {
        status = sr_train_step(&stepper, 0, 0, 0, votes, &step, error);
        if (status == SR_OK) {
            const double loss = sr_step_loss(&step);
            *result = add_to_result(sr_parameters_checksum(sr_model_parameters(model)), &loss, sizeof loss);
        }
        sr_stepper_free(&stepper);
    }
    sr_model_free(model);
    sr_sampler_free(sampler);
    return status;
}

/* Every place has its turn (failing_allocations.h). Of the other allocations more have theirs where ranks or threads do
 * something together that they do in no other step. */
static size_t stride_of(const sr_settings *settings, int ranks)
{
    const sr_model_needs needs = sr_model_needs_of(&settings->model, true);
    bool plain = settings->model.backbone == sr_backbone_number("sasrec") && !settings->model.contrastive.in_use;
    for (size_t i = 0; i < SR_CALIBRATORS_MAXIMUM; ++i)
        plain = plain && !settings->model.calibrators[i];
    const bool sums = needs.sums_in_passes || needs.masked || settings->model.contrastive.in_use || needs.couples_batch;
    if (ranks == 1)
        return 13;
    return plain || sums ? 17 : 53;
}

static void try_all(void **state, const char *name, const char *const options[OPTIONS])
{
    trained t = {.data = *state};
    const char *assignments[16 + OPTIONS];
    sr_error error;
    const size_t count = settings_of(options, assignments);
    if (sr_settings_parse(&t.settings, "data:\n", "test", assignments, count, &error) != SR_OK)
        fail_msg("%s", error.message);
    const int64_t threads = t.settings.training.threads;
    assert_int_equal(sr_parallel_use_threads(t.data->parallel, threads ? (size_t)threads : 1, &error), SR_OK);
    const size_t stride = stride_of(&t.settings, sr_parallel_size(t.data->parallel));
    every_allocation_may_fail(t.data->parallel,
                              &(allocation_trial){.name = name, .run = make_and_step, .context = &t, .stride = stride});
}

/* One function a model, so that the test says which one it is. */
#define OF(name, ...)                                                     \
    static void name(void **state)                                        \
    {                                                                     \
        try_all(state, #name, (const char *const[OPTIONS]){__VA_ARGS__}); \
    }

OF(of_sasrec, "training.reduction=blocking")
OF(of_ranks_that_share_parameters, "training.reduction=shared")
OF(of_threads, "training.reduction=blocking", "training.threads=2")
OF(of_threads_that_share_parameters, "training.threads=2")
OF(of_rounded_reduction, "training.reduction=blocking", "training.reduction_precision=bf16")
OF(of_rounded_reduction_by_threads, "training.reduction=blocking", "training.reduction_precision=bf16", "training.threads=2")
OF(of_deferred_rows, "training.item_updates=deferred", "training.loss=bpr", "training.learning_rate=0.01")
OF(of_deferred_rows_by_threads, "training.item_updates=deferred", "training.loss=binary_cross_entropy", "training.threads=2")
OF(of_a_divided_table, "model.item_table=divided", "training.loss=bpr")
OF(of_cross_entropy_over_a_divided_table, "model.item_table=divided")
OF(of_threads_that_divide_a_table, "model.item_table=divided", "training.threads=2")
OF(of_contrastive_training, "training.contrastive.weight=0.1")
OF(of_contrastive_training_by_threads, "training.contrastive.weight=0.1", "training.threads=2")
OF(of_adversarial_training, "calibrators.adversarial.combine=gate")
OF(of_adversarial_training_by_threads, "calibrators.adversarial.combine=gate", "training.threads=2")
OF(of_annealed_adversarial_training, "calibrators.adversarial.combine=annealing",
   "calibrators.adversarial.rich_combine=trainable")
OF(of_fearec, "model.backbone=fearec", "model.topk_factor=2")
OF(of_fearec_by_threads, "model.backbone=fearec", "model.topk_factor=2", "training.threads=2")
OF(of_contrastive_fearec, "model.backbone=fearec", "model.topk_factor=2", "training.contrastive.weight=0.1")
OF(of_bert4rec, "model.backbone=bert4rec")
OF(of_bert4rec_with_every_target, "model.backbone=bert4rec", "training.objective=all", "model.masking=released")
OF(of_ssept, "model.backbone=ssept", "model.user_hidden_size=2", "model.sse_item_probability=0.2",
   "model.sse_user_probability=0.2")
OF(of_tisasrec, "model.backbone=tisasrec", "model.time_span=16")
OF(of_stosa, "model.backbone=stosa", "training.loss=stosa")
OF(of_stosa_with_updated_means, "model.backbone=stosa", "model.mean_update=updated", "training.loss=stosa")
OF(of_fmlprec, "model.backbone=fmlprec")
OF(of_fmlprec_by_fftw, "model.backbone=fmlprec", "model.max_length=150")
OF(of_gru4rec, "model.backbone=gru4rec", "model.gru_hidden_size=4")
OF(of_caser, "model.backbone=caser", "training.loss=binary_cross_entropy")
OF(of_lists_of_negatives, "training.loss=sampled_softmax", "training.negatives=9", "training.negative_sampling=mixed",
   "training.objective=all", "training.history_hits=mask", "training.item_updates=deferred")
OF(of_negatives_by_popularity, "training.loss=sampled_softmax", "training.negatives=5", "training.negative_sampling=popularity",
   "training.negative_sharing=example", "training.history_hits=redraw")
OF(of_every_target, "training.objective=all", "training.loss=bpr")
OF(of_spatial_calibration, "calibrators.spatial.order=true")
OF(of_refinement, "calibrators.refinement.kind=value", "calibrators.refinement.rank=2")
OF(of_additive_refinement, "calibrators.refinement.kind=additive", "calibrators.refinement.per_head=true")
OF(of_stochastic_refinement, "model.backbone=stosa", "training.loss=stosa", "calibrators.refinement.kind=stochastic")
OF(of_bsarec, "calibrators.frequency.alpha=0.7")
OF(of_bsarec_over_sequences, "calibrators.frequency.window=sequence")
OF(of_products_in_bf16, "training.precision=bf16", "model.padding=left", "training.clip_norm=1")

int main(int argument_count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_sasrec),
        cmocka_unit_test(of_ranks_that_share_parameters),
        cmocka_unit_test(of_threads),
        cmocka_unit_test(of_threads_that_share_parameters),
        cmocka_unit_test(of_rounded_reduction),
        cmocka_unit_test(of_rounded_reduction_by_threads),
        cmocka_unit_test(of_deferred_rows),
        cmocka_unit_test(of_deferred_rows_by_threads),
        cmocka_unit_test(of_a_divided_table),
        cmocka_unit_test(of_cross_entropy_over_a_divided_table),
        cmocka_unit_test(of_threads_that_divide_a_table),
        cmocka_unit_test(of_contrastive_training),
        cmocka_unit_test(of_contrastive_training_by_threads),
        cmocka_unit_test(of_adversarial_training),
        cmocka_unit_test(of_adversarial_training_by_threads),
        cmocka_unit_test(of_annealed_adversarial_training),
        cmocka_unit_test(of_fearec),
        cmocka_unit_test(of_fearec_by_threads),
        cmocka_unit_test(of_contrastive_fearec),
        cmocka_unit_test(of_bert4rec),
        cmocka_unit_test(of_bert4rec_with_every_target),
        cmocka_unit_test(of_ssept),
        cmocka_unit_test(of_tisasrec),
        cmocka_unit_test(of_stosa),
        cmocka_unit_test(of_stosa_with_updated_means),
        cmocka_unit_test(of_fmlprec),
        cmocka_unit_test(of_fmlprec_by_fftw),
        cmocka_unit_test(of_gru4rec),
        cmocka_unit_test(of_caser),
        cmocka_unit_test(of_lists_of_negatives),
        cmocka_unit_test(of_negatives_by_popularity),
        cmocka_unit_test(of_every_target),
        cmocka_unit_test(of_spatial_calibration),
        cmocka_unit_test(of_refinement),
        cmocka_unit_test(of_additive_refinement),
        cmocka_unit_test(of_stochastic_refinement),
        cmocka_unit_test(of_bsarec),
        cmocka_unit_test(of_bsarec_over_sequences),
        cmocka_unit_test(of_products_in_bf16),
    };
    if (argument_count > 1) /* a pattern: only these */
        cmocka_set_test_filter(arguments[1]);
    return cmocka_run_group_tests_name("every allocation may fail in a step", tests, set_up, shared_dataset_tear_down);
}
