/* One training step on all ranks:
 * batch -> encoder -> loss -> gradients -> reduction -> optimizer.
 *
 * A rank may have several threads; each is a worker with its own part of the batch, as if it were a rank of its own. */
#include "srtrain/train.h"

#include "srtrain/clock.h"
#include "srtrain/operations.h"
#include "train/shared_state.h"
#include "train/touched_rows.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t sr_training_kept_bytes(const sr_training_settings *settings, size_t threads)
{
    return (size_t)(settings->kept_logits_megabytes * 0x1p20) / threads;
}

/* How the gradients of this model are reduced. */
static sr_reduction_settings reduction_settings(const sr_stepper *stepper)
{
    const sr_training_settings *training = &stepper->settings->training;
    const sr_table_list tables = stepper->optimizer.tables; /* none unless rows are deferred */
    return (sr_reduction_settings){.node = stepper->node,
                                   .overlapped = training->reduction == SR_REDUCTION_OVERLAPPED,
                                   .bucket_bytes = (size_t)(training->reduction_bucket_megabytes * 0x1p20),
                                   .rounded = training->reduction_precision == SR_PRECISION_BF16,
                                   .keeps_rest = true,
                                   .tables = tables,
                                   .most_rows = touched_rows_most(sr_model_parameters(stepper->model), &tables)};
}

/* Worker 0 works with the model itself, the others with shares of it. */
static sr_status create_worker(sr_stepper *stepper, size_t thread, sr_error *error)
{
    sr_worker *worker = &stepper->workers[thread];
    const sr_reduction_settings reduction = reduction_settings(stepper);
    *worker = (sr_worker){
        .stepper = stepper, .parallel = sr_parallel_member(stepper->parallel, thread), .model = stepper->model};
    if (thread > 0)
        SR_TRY(sr_model_share(&worker->model, stepper->model, true, error));
    SR_TRY(sr_arena_create(&worker->arena, (size_t)4 << 20, error));
    SR_TRY(sr_tape_create(&worker->tape, stepper->kernels, true, error));
    sr_tape_set_precision(worker->tape, stepper->settings->training.precision);
    sr_tape_set_kept_bytes(worker->tape, sr_training_kept_bytes(&stepper->settings->training, stepper->threads));
    if (sr_optimizer_defers(&stepper->optimizer))
        SR_TRY(touched_rows_create(&worker->touched, sr_model_parameters(worker->model), &stepper->optimizer.tables, error));
    return sr_reduction_create(&worker->reduction, worker->parallel, sr_model_parameters(worker->model), &reduction, error);
}

static sr_status create_optimizer(sr_stepper *stepper, sr_error *error)
{
    const sr_training_settings *training = &stepper->settings->training;
    if (stepper->node)
        return SR_OK; /* its moments are those of the node */
    SR_TRY(sr_optimizer_create(&stepper->optimizer, sr_model_parameters(stepper->model), error));
    if (training->item_updates != SR_ITEM_UPDATES_DEFERRED)
        return SR_OK;
    const sr_table_list tables = sr_model_item_tables(stepper->model, training->loss);
    return sr_optimizer_defer(&stepper->optimizer, &tables, training, error);
}

/* Processes of a node draw a part each of what they share: memory that several of them write at once may hold anything. */
static sr_status draw_initial_values(sr_stepper *stepper, sr_error *error)
{
    sr_parameters *parameters = sr_model_parameters(stepper->model);
    const uint64_t seed = (uint64_t)stepper->settings->training.seed;
    const sr_element_range all = {0, parameters->block_size};
#pragma omp parallel num_threads((int)stepper->threads) default(shared)
    {
        size_t part = (size_t)omp_get_thread_num(), parts = stepper->threads;
        if (stepper->node)
            sr_node_part(stepper->node, sr_parallel_member(stepper->parallel, part), &part, &parts);
        sr_parameters_draw_part(parameters, seed, sr_part_of_range(all, part, parts));
    }
    return stepper->node ? sr_node_wait(stepper->node, stepper->parallel, error) : SR_OK;
}

/* Parameters, gradients and moments: in memory of the node, or in that of this process. */
static sr_status take_state(sr_stepper *stepper, sr_error *error)
{
    SR_TRY(shared_state_create(stepper, error));
    if (!stepper->node)
        SR_TRY(sr_parameters_allocate(sr_model_parameters(stepper->model), error));
    SR_TRY(draw_initial_values(stepper, error));
    return create_optimizer(stepper, error);
}

sr_status sr_stepper_create(sr_stepper *stepper, sr_parallel *parallel, const sr_settings *settings, const sr_kernels *kernels,
                            const sr_sampler *sampler, sr_model *model, int64_t total_steps, sr_error *error)
{
    *stepper = (sr_stepper){.parallel = parallel,
                            .settings = settings,
                            .kernels = kernels,
                            .sampler = sampler,
                            .model = model,
                            .total_steps = total_steps,
                            .threads = sr_parallel_threads(parallel)};
    sr_status status = sr_parallel_agree(parallel, take_state(stepper, error), error);
    if (status == SR_OK)
        status = SR_ALLOCATE_ZERO(&stepper->workers, stepper->threads, "the workers of a step", error);
    for (size_t thread = 0; status == SR_OK && thread < stepper->threads; ++thread)
        status = create_worker(stepper, thread, error);
    status = sr_parallel_agree(parallel, status, error);
    if (status != SR_OK)
        sr_stepper_free(stepper);
    return status;
}

void sr_stepper_free(sr_stepper *stepper)
{
    for (size_t thread = 0; stepper->workers && thread < stepper->threads; ++thread) {
        sr_worker *worker = &stepper->workers[thread];
        sr_reduction_free(worker->reduction);
        touched_rows_free(worker->touched);
        sr_tape_free(worker->tape);
        sr_arena_free(worker->arena);
        if (thread > 0)
            sr_model_free(worker->model);
    }
    free(stepper->workers);
    sr_optimizer_free(&stepper->optimizer);
    shared_state_free(stepper);
    *stepper = (sr_stepper){0};
}

size_t sr_stepper_memory(const sr_stepper *stepper)
{
    size_t bytes = 0;
    for (size_t thread = 0; thread < stepper->threads; ++thread)
        bytes += sr_tape_memory(stepper->workers[thread].tape);
    return bytes;
}

/* Ids that the whole batch names, which every thread gathers, unless each brings as many as are told apart. */
static size_t gathered_ids(const sr_settings *settings, size_t most, size_t members)
{
    enum { IDS = 3 }; /* of an item, its target and a negative */
    const size_t named = IDS * (size_t)(settings->training.batch_size * settings->model.max_length);
    return members == 1 ? 0 : named < members * most ? named : members * most;
}

size_t sr_stepper_deferral_memory(sr_model *model, const sr_settings *settings, size_t rows, size_t steps, size_t ranks,
                                  size_t threads)
{
    const sr_training_settings *training = &settings->training;
    const sr_table_list tables = sr_model_item_tables(model, training->loss);
    const size_t late = sr_optimizer_deferral_memory(training, rows, steps);
    if (training->item_updates != SR_ITEM_UPDATES_DEFERRED || tables.count == 0 || late == 0)
        return 0;
    const size_t most = touched_rows_most_of(rows), blocks = training->reduction_precision == SR_PRECISION_BF16 ? 2 : 1;
    size_t width = 0;
    for (size_t i = 0; i < tables.count; ++i)
        width += sr_model_parameters(model)->list[tables.index[i]].shape[1];
    const size_t packed = ranks > 1 ? blocks * most * width * sizeof(sr_real) : 0;
    return late + packed +
           threads * (touched_rows_memory(rows) + gathered_ids(settings, most, ranks * threads) * sizeof(int32_t));
}

/* Seconds since *mark, which moves to now. */
static double lap(double *mark)
{
    const double now = sr_seconds(), seconds = now - *mark;
    *mark = now;
    return seconds;
}

/* What each example is compared with in contrastive training. */
typedef struct {
    /* [examples, width]: states of a second pass over the examples, and of others with the same targets. */
    sr_tensor *again, *alike;
    sr_tensor *again_states, *alike_states; /* [T, width]: of every token, when their spectra are compared; else NULL */
    void *rows;                             /* the values of both on every rank, sr_real; released with free() */
    void *log_sums;                         /* of every rank's rows, double; released with free() */
    sr_contrast batch;                      /* which of them are this rank's */
} contrast;

/* One step's work on this rank. */
typedef struct {
    sr_batch batch;
    contrast contrast;
    sr_encoding encoding;
    double global_targets;                    /* terms of the loss of the global batch */
    double global_squares[SR_LAYERS_MAXIMUM]; /* of the attack masks of the global batch */
} step_work;

static bool is_contrastive(const sr_worker *worker)
{
    return worker->stepper->settings->training.contrastive.in_use;
}

static bool sums_targets(const sr_worker *worker)
{
    return sr_sampler_sums_targets(worker->stepper->sampler, (size_t)sr_parallel_size(worker->parallel));
}

/* The mask penalty is a norm over the whole batch, and how many terms the loss has may be known to nobody before all ranks have
 * drawn their parts: that takes a sum over ranks between forward and backward. */
static bool is_coupled(const sr_worker *worker)
{
    return sums_targets(worker) || worker->stepper->settings->model.calibrators.adversarial.in_use;
}

/* Whether the spectra of further passes are compared (FEARec). */
static bool compares_spectra(const sr_worker *worker)
{
    return is_contrastive(worker) && worker->stepper->settings->model.backbone == SR_BACKBONE_FEAREC &&
           worker->stepper->settings->training.contrastive.spectral_weight > 0;
}

/* Sums over ranks that the model asks for within a pass, which returns nothing: a failure is kept. */
typedef struct {
    sr_parallel *parallel;
    double seconds;
    sr_error failure;
} pass_sums;

static void sum_in_pass(void *context, double *values, size_t count)
{
    pass_sums *sums = context;
    double mark = sr_seconds();
    if (sums->failure.status == SR_OK)
        (void)sr_parallel_sum_double(sums->parallel, values, count, &sums->failure); /* looked at after the pass */
    sums->seconds += lap(&mark);
}

/* The states of a further pass, one row an example; and those of every token, if they are compared. */
static sr_tensor *encode_view(sr_worker *worker, const sr_batch *batch, sr_pass pass, unsigned view, sr_tensor **states)
{
    sr_encoding encoding;
    pass.view = view;
    pass.every_row = compares_spectra(worker);
    sr_model_encode(worker->model, worker->tape, batch, &pass, &encoding);
    *states = encoding.states;
    return sr_select_rows(worker->tape, encoding.representation, batch->example_reads, batch->examples);
}

/* The passes of a step, over whatever is in work->batch. */
static sr_status run_passes(sr_worker *worker, int64_t step, step_work *work, sr_error *error)
{
    contrast *c = &work->contrast;
    pass_sums sums = {.parallel = worker->parallel, .failure = {.status = SR_OK}};
    const sr_pass pass = {.training = true,
                          .seed = (uint64_t)worker->stepper->settings->training.seed,
                          .step = (uint64_t)step,
                          .sum = sum_in_pass,
                          .sum_context = &sums};
    double mark = sr_seconds();
    sr_model_encode(worker->model, worker->tape, &work->batch, &pass, &work->encoding);
    if (is_contrastive(worker)) {
        c->again = encode_view(worker, work->batch.again, pass, 1, &c->again_states);
        c->alike = encode_view(worker, work->batch.alike, pass, 2, &c->alike_states);
    }
    worker->times.forward += lap(&mark) - sums.seconds;
    worker->times.reduction += sums.seconds;
    if (sums.failure.status == SR_OK)
        return sr_tape_status(worker->tape, error);
    if (error)
        *error = sums.failure;
    return sums.failure.status;
}

/* A rank without a batch runs the passes over an empty one where they sum over ranks, so that nobody waits for it in vain. */
static void run_empty_passes(sr_worker *worker, int64_t step)
{
    static const size_t no_offsets[] = {0};
    const sr_model_settings *settings = &worker->stepper->settings->model;
    if (!sr_model_needs_of(settings, true).sums_in_passes)
        return;
    const sr_batch empty = {.layout = {.offsets = no_offsets, .window = (size_t)settings->max_length, .causal = true},
                            .reads = {.offsets = no_offsets}};
    step_work nothing = {.batch = empty};
    nothing.batch.again = nothing.batch.alike = &empty;
    (void)run_passes(worker, step, &nothing, NULL); /* the rank has failed already */
}

/* The rows of the item tables that this step gives a gradient; NULL: any. */
static const sr_touched_rows *touched_by(const sr_worker *worker)
{
    return worker->touched ? touched_rows_found(worker->touched) : NULL;
}

/* Rows that the step reads, and so updates, take the steps that they have missed. A rank that failed takes part; then all fail.
 */
static sr_status prepare_rows(sr_worker *worker, sr_status status, const sr_batch *batch, sr_error *error)
{
    sr_optimizer *optimizer = &worker->stepper->optimizer;
    if (!worker->touched)
        return status;
    double mark = sr_seconds(), unused = 0;
    const size_t thread = sr_parallel_thread(worker->parallel);
    if (status == SR_OK && thread == 0)
        status = sr_optimizer_reserve(optimizer, error);
    SR_TRY(touched_rows_find(worker->touched, worker->parallel, status, batch, error));
    worker->times.reduction += lap(&mark);
    sr_optimizer_catch_up(optimizer, worker->stepper->kernels, touched_by(worker), thread, worker->stepper->threads);
    sr_parallel_sum_over_threads(worker->parallel, &unused, 1); /* nobody reads what another is still updating */
    worker->times.optimizer += lap(&mark);
    return SR_OK;
}

/* This rank's part of the batch through the encoder. */
static sr_status forward(sr_worker *worker, int64_t epoch, int64_t index, int64_t step, step_work *work, sr_step_result *result,
                         sr_error *error)
{
    double mark = sr_seconds();
    size_t targets, examples;
    sr_arena_reset(worker->arena);
    sr_tape_reset(worker->tape);
    sr_status status = sr_sampler_batch(worker->stepper->sampler, (size_t)epoch, (size_t)index,
                                        (size_t)sr_parallel_rank(worker->parallel), (size_t)sr_parallel_size(worker->parallel),
                                        worker->arena, &work->batch, &targets, &examples, error);
    worker->times.data += lap(&mark);
    status = prepare_rows(worker, status, &work->batch, error);
    sr_reduction_begin(worker->reduction, touched_by(worker)); /* a rank that failed takes part in it */
    if (status != SR_OK) {
        run_empty_passes(worker, step);
        return status;
    }
    sr_sampler_prefetch(worker->stepper->sampler, (size_t)epoch, (size_t)index + 1, (size_t)sr_parallel_rank(worker->parallel),
                        (size_t)sr_parallel_size(worker->parallel));
    work->global_targets = (double)targets;
    result->examples = (double)examples;
    return run_passes(worker, step, work, error);
}

/* Sums over ranks what couples the examples of a batch. A rank that failed takes part, so that nobody waits for it in vain;
 * then all fail. */
static sr_status couple(sr_worker *worker, sr_status status, step_work *work, sr_error *error)
{
    double sums[2 + SR_LAYERS_MAXIMUM] = {status != SR_OK, status == SR_OK ? work->global_targets : 0};
    if (status == SR_OK)
        memcpy(sums + 2, work->encoding.mask_square_sums, sizeof work->encoding.mask_square_sums);
    SR_TRY(sr_parallel_sum_double(worker->parallel, sums, sizeof sums / sizeof *sums, error));
    if (sums[0] > 0)
        return sr_parallel_agree(worker->parallel, status, error);
    if (sums_targets(worker))
        work->global_targets = sums[1];
    memcpy(work->global_squares, sums + 2, sizeof work->global_squares);
    return SR_OK;
}

/* The rows of both passes as one block; NULL, and a sticky failure of the tape, when memory runs out or they were not computed.
 */
static sr_real *join_rows(sr_worker *worker, const contrast *c)
{
    const size_t size = c->again->rows * c->again->columns;
    sr_real *joined = sr_tape_take(worker->tape, 2 * size, sizeof *joined);
    if (!joined)
        return NULL;
    memcpy(joined, c->again->values, size * sizeof *joined);
    memcpy(joined + size, c->alike->values, size * sizeof *joined);
    return joined;
}

/* Every rank gets the rows of all: negatives come from the whole global batch. With them it knows the log sums of its own rows,
 * and gets those of the others, so that its part of the loss and the whole gradient of its rows follow without more. A rank
 * that failed takes part; then all fail. */
static sr_status gather_contrast(sr_worker *worker, sr_status status, contrast *c, sr_error *error)
{
    sr_parallel *parallel = worker->parallel;
    const size_t rank = (size_t)sr_parallel_rank(parallel), ranks = (size_t)sr_parallel_size(parallel);
    const size_t width = status == SR_OK ? c->again->columns : 0, mine = status == SR_OK ? 2 * c->again->rows : 0;
    size_t *offsets = NULL, *log_offsets = NULL;
    double mark = sr_seconds();
    const sr_real *joined = status == SR_OK ? join_rows(worker, c) : NULL;
    double *log_sums = status == SR_OK ? sr_tape_take(worker->tape, mine, sizeof *log_sums) : NULL;
    if (status == SR_OK)
        status = sr_tape_status(worker->tape, error);
    SR_TRY(sr_parallel_gather_all(parallel, status, joined, mine, width * sizeof(sr_real), &c->rows, &offsets, error));
    c->batch = (sr_contrast){.rows = c->rows,
                             .count = offsets[ranks],
                             .first = offsets[rank],
                             .pairs = c->again->rows,
                             .temperature = worker->stepper->settings->training.contrastive.temperature};
    free(offsets);
    worker->times.reduction += lap(&mark);
    sr_contrastive_log_sums(worker->tape, &c->batch, width, log_sums);
    status = sr_tape_status(worker->tape, error);
    worker->times.loss += lap(&mark);
    SR_TRY(sr_parallel_gather_all(parallel, status, log_sums, mine, sizeof *log_sums, &c->log_sums, &log_offsets, error));
    free(log_offsets);
    worker->times.reduction += lap(&mark);
    return SR_OK;
}

static void free_contrast(contrast *c)
{
    free(c->rows);
    free(c->log_sums);
}

/* This rank's part of the mean InfoNCE of the global batch. */
static sr_tensor *contrastive_loss(sr_worker *worker, const contrast *c)
{
    return sr_contrastive_loss(worker->tape, c->again, c->alike, &c->batch, c->log_sums, 1 / (double)c->batch.count);
}

/* This rank's part of the mean distance of the spectra of the global batch's states. */
static sr_tensor *spectral_distance(sr_worker *worker, const step_work *work)
{
    const sr_model_settings *settings = &worker->stepper->settings->model;
    const double bins = (double)(settings->max_length / 2 + 1), width = (double)settings->hidden_size;
    const double examples = (double)work->contrast.batch.count / 2;
    return sr_model_spectral_distance(worker->model, worker->tape, work->batch.again, work->contrast.again_states,
                                      work->contrast.alike_states, 1 / (examples * bins * width));
}

/* Losses of this rank's part and their gradients, not yet summed over ranks: those of the global mean loss and, for the mask
 * generators of an adversarial calibrator, those of the attacked loss, both at the same parameters (Zhou et al. 2023). */
static sr_status backward(sr_worker *worker, const step_work *work, sr_step_result *result, sr_error *error)
{
    const sr_loss kind = worker->stepper->settings->training.loss;
    const double targets = work->global_targets, weight = targets > 0 ? 1 / targets : 0;
    const sr_encoding *encoding = &work->encoding;
    double mark = sr_seconds();
    sr_tensor *loss = sr_model_loss(worker->model, worker->tape, &work->batch, encoding->representation, kind, weight);
    sr_tensor *ranking = NULL, *attacked = NULL, *total = loss, *contrastive = NULL, *spectral = NULL;
    if (is_contrastive(worker)) {
        contrastive = contrastive_loss(worker, &work->contrast);
        total = sr_weighted_add(worker->tape, total, 1, contrastive, worker->stepper->settings->training.contrastive.weight);
    }
    if (compares_spectra(worker)) {
        spectral = spectral_distance(worker, work);
        total = sr_weighted_add(worker->tape, total, 1, spectral,
                                worker->stepper->settings->training.contrastive.spectral_weight);
    }
    if (encoding->attacked) {
        ranking = sr_model_loss(worker->model, worker->tape, &work->batch, encoding->attacked, kind, weight);
        attacked = sr_model_attacked_loss(worker->model, worker->tape, encoding, ranking, work->global_squares);
    }
    SR_TRY(sr_tape_status(worker->tape, error));
    worker->times.loss += lap(&mark);
    result->targets = targets;
    result->loss_sum = (double)loss->values[0] * targets;
    result->has_attack = attacked != NULL;
    if (attacked) {
        result->attacked_ranking_sum = (double)ranking->values[0] * targets;
        result->mask_penalty = sr_mask_penalty(work->global_squares, encoding->mask_count);
    }
    result->has_contrast = contrastive != NULL;
    result->contrastive = contrastive ? (double)contrastive->values[0] : 0;
    result->has_spectra = spectral != NULL;
    result->spectral = spectral ? (double)spectral->values[0] : 0;
    const sr_parameter_set followers = attacked ? SR_PARAMETERS_ORDINARY : SR_PARAMETERS_EVERY;
    SR_TRY(sr_tape_backward(worker->tape, total, followers, sr_reduction_ready, worker->reduction, error));
    if (attacked)
        SR_TRY(sr_tape_backward(worker->tape, attacked, SR_PARAMETERS_ATTACK, sr_reduction_ready, worker->reduction, error));
    worker->times.backward += lap(&mark);
    return SR_OK;
}

/* Sums over ranks what the step must know: the loss, whether anybody failed, and the votes. A rank that failed takes part, so
 * that nobody waits for it in vain. */
static sr_status agree_on_step(sr_worker *worker, sr_status status, const bool votes[SR_VOTES], sr_step_result *result,
                               sr_error *error)
{
    enum { PARTS = 5 };
    const bool computed = status == SR_OK;
    double sums[PARTS + SR_VOTES] = {!computed, computed ? result->loss_sum : 0, computed ? result->attacked_ranking_sum : 0,
                                     computed ? result->contrastive : 0, computed ? result->spectral : 0};
    for (size_t i = 0; i < SR_VOTES; ++i)
        sums[PARTS + i] = votes[i];
    SR_TRY(sr_parallel_sum_double(worker->parallel, sums, sizeof sums / sizeof *sums, error));
    if (sums[0] > 0)
        return sr_parallel_agree(worker->parallel, status, error);
    result->loss_sum = sums[1];
    result->attacked_ranking_sum = sums[2];
    result->contrastive = sums[3];
    result->spectral = sums[4];
    for (size_t i = 0; i < SR_VOTES; ++i)
        result->votes[i] = sums[PARTS + i] > 0;
    return SR_OK;
}

/* ---- what is not finite ---- */

/* The first parameter with an element of `block` (its values, or gradients) that is not finite; NULL if there is none. */
static const char *first_bad_parameter(const sr_parameters *parameters, const sr_real *block)
{
    for (size_t i = 0; i < parameters->count; ++i)
        for (size_t k = 0; k < parameters->list[i].size; ++k)
            if (!isfinite(block[parameters->list[i].offset + k]))
                return parameters->list[i].name;
    return NULL;
}

/* The part of the loss that is not finite, or NULL. */
static const char *bad_part(const sr_step_result *result, double *value)
{
    const struct {
        const char *name;
        double value;
    } parts[] = {{"ranking loss", result->loss_sum},
                 {"attacked ranking loss", result->attacked_ranking_sum},
                 {"mask penalty", result->mask_penalty},
                 {"contrastive loss", result->contrastive},
                 {"spectral distance", result->spectral}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; ++i) {
        *value = parts[i].value;
        if (!isfinite(*value))
            return parts[i].name;
    }
    return NULL;
}

static void describe_nonfinite(const sr_parameters *parameters, const sr_step_result *result, char *text, size_t size)
{
    double value;
    const char *part = bad_part(result, &value);
    const char *of_values = first_bad_parameter(parameters, parameters->values);
    const char *of_gradients = first_bad_parameter(parameters, parameters->gradients);
    const char *parameter = of_values ? of_values : of_gradients;
    char which[SR_PARAMETER_NAME_SIZE + 64] = "its norm overflows";
    if (parameter)
        snprintf(which, sizeof which, "the first parameter whose %s are not finite is %s", of_values ? "values" : "gradients",
                 parameter);
    if (part)
        snprintf(text, size, "the %s is not finite (%g)%s%s", part, isnan(value) ? (double)NAN : value, /* without a sign */
                 parameter ? "; " : "", parameter ? which : "");
    else
        snprintf(text, size, "the gradient is not finite, while the loss is %g; %s", result->loss_sum / result->targets, which);
}

/* Decides the same on every rank: losses and the norm of gradients are sums that all of them have. */
static sr_status check_finite(sr_worker *worker, sr_step_result *result, sr_error *error)
{
    double value;
    const sr_parameters *parameters = sr_model_parameters(worker->stepper->model); /* where the sums are */
    result->skipped = bad_part(result, &value) || !isfinite(result->gradient_norm);
    if (!result->skipped)
        return SR_OK;
    SR_TRY(sr_reduction_collect(worker->reduction, error));
    describe_nonfinite(parameters, result, result->reason, sizeof result->reason);
    if (worker->stepper->settings->training.skip_nonfinite_steps > 0)
        return SR_OK;
    return sr_fail(error, SR_ERROR_RUNTIME, "%s", result->reason);
}

/* Everything up to the gradients of the global batch. */
static sr_status compute_gradients(sr_worker *worker, int64_t epoch, int64_t batch, int64_t step, const bool votes[SR_VOTES],
                                   step_work *work, sr_step_result *result, sr_error *error)
{
    sr_status status = forward(worker, epoch, batch, step, work, result, error);
    double mark = sr_seconds();
    if (is_coupled(worker))
        SR_TRY(couple(worker, status, work, error));
    worker->times.reduction += lap(&mark);
    if (is_contrastive(worker))
        SR_TRY(gather_contrast(worker, status, &work->contrast, error));
    if (status == SR_OK)
        status = backward(worker, work, result, error);
    mark = sr_seconds();
    SR_TRY(sr_reduction_finish(worker->reduction, status == SR_OK ? error : NULL));
    SR_TRY(agree_on_step(worker, status, votes, result, error));
    worker->times.reduction += lap(&mark);
    return SR_OK;
}

/* A thread's part of a step. */
typedef struct {
    sr_step_result result;
    sr_status status;
    sr_error error;
} part_of_step;

/* ---- workers that share the parameters ---- */

/* This worker's part of what is done once for each copy of the parameters: those of the process, or of the node, divide it. */
static void part_of(const sr_worker *worker, size_t *part, size_t *parts)
{
    *part = sr_parallel_thread(worker->parallel);
    *parts = worker->stepper->threads;
    if (worker->stepper->node)
        sr_node_part(worker->stepper->node, worker->parallel, part, parts);
}

/* The norm of the summed gradient, each worker a part of it. */
static sr_status gradient_norm(const sr_worker *worker, double *norm, sr_error *error)
{
    const sr_stepper *stepper = worker->stepper;
    size_t part, parts;
    part_of(worker, &part, &parts);
    *norm = sr_gradient_squares(sr_model_parameters(stepper->model), stepper->kernels, touched_by(worker), part, parts);
    if (stepper->node)
        SR_TRY(sr_node_sum(stepper->node, worker->parallel, norm, 1, error));
    else
        sr_parallel_sum_over_threads(worker->parallel, norm, 1);
    *norm = sqrt(*norm);
    return SR_OK;
}

/* Afterwards all of the node read parameters that are up to date; workers of a process wait for each other at the end of the
 * step. */
static sr_status update(sr_worker *worker, int64_t step, const sr_step_result *result, sr_error *error)
{
    sr_stepper *stepper = worker->stepper;
    size_t part, parts;
    part_of(worker, &part, &parts);
    double mark = sr_seconds();
    sr_optimizer_step(&stepper->optimizer, stepper->kernels, &stepper->settings->training, step, result->learning_rate,
                      result->gradient_norm, touched_by(worker), part, parts);
    worker->times.optimizer += lap(&mark);
    const sr_status status = stepper->node ? sr_node_wait(stepper->node, worker->parallel, error) : SR_OK;
    worker->times.reduction += lap(&mark);
    return status;
}

/* What worker `thread` does of a step; all workers of a rank run it at the same time. */
static sr_status work(sr_stepper *stepper, size_t thread, int64_t epoch, int64_t batch, int64_t step,
                      const bool votes[SR_VOTES], sr_step_result *result, sr_error *error)
{
    static const bool no_votes[SR_VOTES] = {false};
    sr_worker *worker = &stepper->workers[thread];
    sr_parameters *parameters = sr_model_parameters(worker->model);
    if (worker->model != stepper->model) /* which the others read now */
        sr_model_set_step(worker->model, sr_model_step(stepper->model));
    sr_parameters_clear_gradients(parameters, touched_by(worker)); /* what the last step left */
    step_work own = {.global_targets = 0};
    const sr_status status = compute_gradients(worker, epoch, batch, step, thread == 0 ? votes : no_votes, &own, result, error);
    free_contrast(&own.contrast);
    if (status != SR_OK)
        return status;
    double mark = sr_seconds();
    SR_TRY(gradient_norm(worker, &result->gradient_norm, error));
    SR_TRY(check_finite(worker, result, error));
    worker->times.optimizer += lap(&mark);
    result->learning_rate = sr_learning_rate(&stepper->settings->training, step, stepper->total_steps);
    return result->skipped ? SR_OK : update(worker, step, result, error);
}

void sr_stepper_settle(sr_stepper *stepper)
{
    const sr_touched_rows all = {.tables = stepper->optimizer.tables, .every = true};
#pragma omp parallel num_threads((int)stepper->threads) default(shared)
    sr_optimizer_catch_up(&stepper->optimizer, stepper->kernels, &all, (size_t)omp_get_thread_num(), stepper->threads);
    sr_optimizer_forget(&stepper->optimizer);
    sr_reduction_forget(stepper->workers[0].reduction);
}

sr_status sr_train_step(sr_stepper *stepper, int64_t epoch, int64_t batch, int64_t step, const bool votes[SR_VOTES],
                        sr_step_result *result, sr_error *error)
{
    part_of_step first = {.status = SR_OK};
#pragma omp parallel num_threads((int)stepper->threads) default(shared)
    {
        part_of_step own = {.status = SR_OK};
        const size_t thread = (size_t)omp_get_thread_num();
        own.status = work(stepper, thread, epoch, batch, step, votes, &own.result, &own.error);
        if (thread == 0)
            first = own;
    }
    if (first.status == SR_OK && !first.result.skipped)
        sr_optimizer_note(&stepper->optimizer, &stepper->settings->training, step, first.result.learning_rate,
                          touched_by(&stepper->workers[0]));
    stepper->times = stepper->workers[0].times;
    *result = first.result;
    if (first.status != SR_OK && error)
        *error = first.error;
    return first.status;
}
