/* From settings and data to what a training will need. */
#include "srtrain/plan.h"

#include "base/sizes.h"
#include "evaluate/list_counts.h"
#include "evaluate/ranker.h"
#include "evaluate/scorer.h"
#include "plan/item_tables.h"
#include "plan/probe.h"
#include "plan/sizes.h"
#include "srtrain/checkpoint.h"
#include "srtrain/operations.h"
#include "srtrain/step.h"

#include <stdlib.h>
#include <string.h>

enum {
    SMALL_CATALOGUE = 256,     /* items and users of the model that parts are computed with */
    PROBE_TOKENS = 8192,       /* the largest part that is computed, in tokens */
    PROBE_OPERATIONS = 200000, /* likewise, in units of 10^5 operations */
    /* So many batches, and examples, are divided to find the largest part. */
    LOOKED_AT_BATCHES = 32,
    LOOKED_AT_EXAMPLES = 1 << 18,
    LIBRARIES = 32 << 20, /* what MPI, HDF5 and BLAS take of a rank after its start (measured with Open MPI 4.1) */
    BLAS_BUFFER = 2 << 20 /* what OpenBLAS's packing buffer of a thread holds when matrices are narrow */
};

/* ---- the largest part ---- */

typedef struct {
    batch_part part;
    size_t load;
} loaded_part;

/* The part with most work of a batch that is divided among `workers`. */
static sr_status busiest_of(const sr_plan_request *request, size_t index, size_t workers, loaded_part *found, double *mean,
                            sr_error *error)
{
    sr_arena *arena;
    SR_TRY(sr_arena_create(&arena, (size_t)1 << 20, error));
    size_t *loads = sr_arena_take(arena, workers * sizeof *loads);
    sr_status status = loads ? sr_sampler_loads(request->sampler, 0, index, workers, arena, loads, error)
                             : sr_fail_memory(error, workers * sizeof *loads, "loads");
    *found = (loaded_part){.part = {.index = index, .workers = workers}};
    *mean = 0;
    for (size_t worker = 0; worker < workers && status == SR_OK; ++worker) {
        *mean += (double)loads[worker] / (double)workers;
        if (loads[worker] > found->load) {
            found->load = loads[worker];
            found->part.worker = worker;
        }
    }
    sr_arena_free(arena);
    return status;
}

/* The same over some batches of the first epoch, of what a worker computes at a time; and how uneven batches are divided among
 * workers on average. */
static sr_status busiest(const sr_plan_request *request, loaded_part *found, double *imbalance, sr_error *error)
{
    const size_t workers = request->ranks * request->threads;
    const size_t parts = workers * sr_micro_batches(&request->settings->training, workers);
    const size_t batch = (size_t)request->settings->training.batch_size;
    size_t count = smaller(sr_sampler_batches(request->sampler), LOOKED_AT_BATCHES);
    count = smaller(count, 1 + LOOKED_AT_EXAMPLES / batch);
    double most = 0, mean = 0;
    *found = (loaded_part){.load = 0};
    for (size_t index = 0; index < count; ++index) {
        loaded_part here;
        double here_mean;
        SR_TRY(busiest_of(request, index, workers, &here, &here_mean, error));
        most += (double)here.load;
        mean += here_mean;
        if (parts > workers)
            SR_TRY(busiest_of(request, index, parts, &here, &here_mean, error));
        if (here.load > found->load || index == 0)
            *found = here;
    }
    *imbalance = mean > 0 ? most / mean : 1;
    return SR_OK;
}

/* ---- tensors ---- */

/* The largest work that may be computed here without delaying anybody. */
static size_t affordable(const probe *p)
{
    const double operations = 6 * (double)sr_model_parameters(p->model)->block_size;
    const double tokens = PROBE_OPERATIONS * 1e5 / operations;
    return tokens < PROBE_TOKENS ? (size_t)tokens : (size_t)PROBE_TOKENS;
}

/* Bytes of tensors that the busiest part takes, without tiles: computed, or where it is too large, by two smaller parts on
 * whose line it lies. */
static sr_status measure_tensors(probe *p, const loaded_part *largest, part_memory *memory, sr_error *error)
{
    const sr_plan_request *request = p->request;
    const size_t room = affordable(p),
                 batch = smaller((size_t)request->settings->training.batch_size, sr_sampler_examples(request->sampler));
    if (largest->load <= room)
        return probe_step(p, &largest->part, memory, error);
    loaded_part parts[2];
    part_memory found[2];
    double mean;
    size_t workers = largest->part.workers * ((largest->load + room) / (room ? room : 1));
    for (size_t i = 0; i < 2; ++i, workers *= 4) {
        SR_TRY(busiest_of(request, largest->part.index, smaller(workers, batch), &parts[i], &mean, error));
        SR_TRY(probe_step(p, &parts[i].part, &found[i], error));
    }
    const double loads[2] = {(double)parts[0].load, (double)parts[1].load};
    const double bytes[2] = {(double)found[0].tape, (double)found[1].tape};
    /* Where parts cannot be made smaller, one example is one part. */
    const bool is_line = loads[0] > 1.5 * loads[1] && bytes[0] > bytes[1];
    const double slope = is_line ? (bytes[0] - bytes[1]) / (loads[0] - loads[1]) : bytes[0] / loads[0];
    const double times = (double)largest->load / loads[0];
    *memory = (part_memory){.tape = (size_t)(bytes[0] + slope * ((double)largest->load - loads[0])),
                            .targets = (size_t)((double)found[0].targets * times + 1),
                            .scorings = found[0].scorings};
    return SR_OK;
}

/* Bytes that a worker's arena takes for its part: cheap enough to be made as it is. */
static sr_status measure_batch(const sr_plan_request *request, const batch_part *part, size_t *bytes, sr_error *error)
{
    sr_arena *arena;
    sr_batch batch;
    sr_totals totals;
    SR_TRY(sr_arena_create(&arena, (size_t)4 << 20, error));
    const sr_status status = sr_sampler_batch(request->sampler, 0, part->index,
                                              (sr_part){.rank = part->worker, .ranks = part->workers}, arena, &batch, &totals,
                                              error);
    *bytes = sr_arena_used(arena);
    sr_arena_free(arena);
    return status;
}

/* ---- evaluation ---- */

/* Of one worker, without what grows with the catalogue. */
static sr_status measure_evaluation(probe *p, size_t *bytes, sr_error *error)
{
    const sr_plan_request *request = p->request;
    const sr_settings *settings = request->settings;
    const size_t batch = (size_t)settings->evaluation.batch_size, count = smaller(batch, planned_users(request));
    const size_t tokens = affordable(p) / (size_t)settings->model.max_length;
    const size_t computed = smaller(count, tokens ? tokens : 1);
    size_t tape = 0;
    SR_TRY(probe_histories(p, computed, &tape, error));
    *bytes = (size_t)((double)tape * (double)count / (double)computed) + batch * (sizeof(scored_history) + sizeof(int32_t));
    return SR_OK;
}

/* ---- bytes that move ---- */

static void plan_reduction(sr_plan *plan, const sr_settings *settings, size_t block)
{
    const sr_model_needs needs = sr_model_needs_of(&settings->model, true);
    plan->message = smaller(SR_MESSAGE_BYTES, block);
    plan->small_sums = needs.masked || needs.couples_batch ? 2 : 1;
    if (needs.sums_in_passes)
        plan->small_sums += (size_t)settings->model.layers;
}

static size_t checkpoint_size(const sr_model_size *size, size_t groups)
{
    enum { HEADER = 16384, OF_ARRAY = 800, BLOCK = 1 << 20 }; /* HDF5's own; a checksum of 16 bytes for each block */
    return HEADER + groups * (size->numbers * sizeof(sr_real) + size->arrays * OF_ARRAY + size->numbers / BLOCK * 16);
}

/* ---- late rows ---- */

/* Steps between two times at which all rows are brought up to date: validations and checkpoints. */
static size_t steps_between_settlings(const sr_plan *plan, const sr_settings *settings)
{
    const size_t validation = (size_t)settings->evaluation.every_epochs * plan->steps_of_epoch;
    const size_t saving = (size_t)settings->checkpoint.every_epochs * plan->steps_of_epoch;
    const size_t every = (size_t)settings->checkpoint.every_steps;
    size_t steps = plan->steps;
    steps = validation > 0 ? smaller(steps, validation) : steps;
    steps = saving > 0 ? smaller(steps, saving) : steps;
    return every > 0 ? smaller(steps, every) : steps;
}

/* The model that parts are computed with has fewer items, but the same tables. */
static size_t late_rows(const sr_plan *plan, const table_facts *facts, probe *p)
{
    if (sr_model_item_tables(p->model).count == 0)
        return 0;
    return sr_stepper_late_memory(p->model, facts->request->settings, facts->rows, facts->missed_steps, plan->ranks,
                                  plan->threads);
}

/* ---- together ---- */

/* What a rank holds whoever has the rows of items; nothing yet of what depends on them. */
static sr_status common_memory(sr_plan *plan, const sr_plan_request *request, probe *p, table_facts *facts, sr_plan_memory *m,
                               part_memory *tensors, sr_error *error)
{
    const size_t threads = request->threads;
    const sr_model_settings *model = &request->settings->model;
    loaded_part largest;
    size_t batch = 0;
    SR_TRY(busiest(request, &largest, &plan->imbalance, error));
    SR_TRY(measure_tensors(p, &largest, tensors, error));
    SR_TRY(measure_batch(request, &largest.part, &batch, error));
    SR_TRY(measure_evaluation(p, &facts->evaluation, error));
    m->program = request->program + LIBRARIES + threads * BLAS_BUFFER;
    m->index = planned_of_users(request, sr_sampler_memory(request->sampler));
    m->draws = planned_of_items(request, sr_sampler_table_bytes(request->sampler));
    m->batches = threads * batch;
    /* Each step places its tensors anew. All steps together touch more pages than any one of them. */
    m->activations = threads * (tensors->tape + tensors->tape / 10);
    if (model->contrastive.in_use) /* the rows of the whole batch for each worker, with logarithms of sums */
        m->exchange = threads * 2 * plan->batch * (sr_model_state_width(model) * sizeof(sr_real) + sizeof(double));
    if (plan->ranks > 1)
        m->exchange += 2 * plan->message;
    if (sr_sampler_gathers_targets(request->sampler, request->ranks * threads))
        m->exchange += threads * plan->batch * (size_t)model->max_length * sizeof(int32_t);
    return SR_OK;
}

static void replicated_memory(const sr_plan *plan, const table_facts *facts, probe *p, const part_memory *tensors,
                              sr_plan_memory *m)
{
    const sr_plan_request *request = facts->request;
    const sr_settings *settings = request->settings;
    const size_t threads = request->threads, blocks = sr_optimizer_blocks(&settings->training);
    const size_t recent = recent_popularity_memory(&settings->evaluation, request->dataset, planned_items(request));
    const bool keeps_rest = settings->training.reduction_precision == SR_PRECISION_BF16 && request->ranks > 1;
    m->parameters = facts->size.block * sizeof(sr_real);
    m->item_table = facts->size.item_table;
    m->gradients = (threads + keeps_rest) * m->parameters;
    m->optimizer = blocks * m->parameters;
    m->tiles = threads * tensors->scorings *
               sr_model_catalogue_memory(&settings->model, tensors->targets, planned_items(request),
                                         sr_training_kept_bytes(&settings->training, threads));
    m->evaluation = threads * evaluation_memory(facts, planned_items(request), 1) +
                    further_metrics_memory(&settings->evaluation, planned_items(request), threads) + recent;
    m->late_rows = late_rows(plan, facts, p);
    m->saving = settings->checkpoint.writing == SR_WRITING_OVERLAPPED ? (1 + blocks) * m->parameters : 0;
    m->shared = m->draws + recent + (request->shares ? m->parameters + m->optimizer : 0);
    sum_up_memory(m);
}

static sr_status plan_tables(sr_plan *plan, const sr_plan_request *request, table_facts *facts, probe *p, sr_error *error)
{
    const sr_settings *settings = request->settings;
    sr_plan_memory *m = &plan->tables[SR_PLAN_REPLICATED].memory;
    part_memory tensors;
    facts->rows = sr_item_table_rows(sr_model_item_table(p->model)) - p->items + plan->items;
    facts->missed_steps = steps_between_settlings(plan, settings);
    facts->message = plan->message;
    facts->picks_rows = settings->training.item_updates == SR_ITEM_UPDATES_DEFERRED &&
                        sr_optimizer_can_be_late(&settings->training) && sr_model_item_tables(p->model).count > 0;
    SR_TRY(batch_reads_find(&facts->reads, request, facts->picks_rows, error));
    SR_TRY(common_memory(plan, request, p, facts, m, &tensors, error));
    facts->scorings = tensors.scorings;
    replicated_memory(plan, facts, p, &tensors, m);
    plan_replicated(plan, facts);
    SR_TRY(plan_divided(plan, facts, error));
    plan->rows_read = facts->reads.ids;
    plan->rows_are_expected = request->imagined.users > 0;
    sr_plan_choose_table(plan, settings->model.item_table, NULL, 0);
    return SR_OK;
}

/* The files of an imagined data set: interactions, and an identifier and a few numbers of each user and item. */
static size_t data_bytes(const sr_plan_request *request)
{
    enum { OF_USER = 32, OF_ITEM = 32 };
    const sr_plan_sizes *sizes = &request->imagined;
    if (sizes->users == 0)
        return sr_dataset_bytes(request->dataset);
    const size_t interaction = sizeof(int32_t) + (sr_dataset_has_times(request->dataset) ? sizeof(int64_t) : 0);
    return (size_t)((double)sizes->users * sizes->mean_length) * interaction + sizes->users * OF_USER + sizes->items * OF_ITEM;
}

/* Identifiers of items that each checkpoint carries, where they are short enough. */
static size_t carried_names(const sr_plan_request *request)
{
    const size_t items = planned_items(request);
    size_t width = sr_dataset_item_name_width(request->dataset);
    if (request->imagined.items > 0)
        for (size_t rest = items, digits = 1; rest > 0; rest /= 10, ++digits)
            width = digits + 1; /* a letter and a number */
    return items * width <= SR_ITEM_NAMES_MAXIMUM ? items * width : 0;
}

sr_status sr_plan_make(sr_plan *plan, const sr_plan_request *request, sr_error *error)
{
    const sr_settings *settings = request->settings;
    const size_t items = planned_items(request), users = planned_users(request);
    const size_t examples = planned_of_users(request, sr_sampler_examples(request->sampler));
    const size_t batch = smaller((size_t)settings->training.batch_size, examples);
    const size_t steps = (examples + batch - 1) / batch;
    table_facts facts = {.request = request};
    probe p;
    SR_TRY(sr_model_check_items(&settings->model, items, error));
    SR_TRY(sr_model_measure_size(&facts.size, &settings->model, items, users, error));
    *plan = (sr_plan){.ranks = request->ranks,
                      .threads = request->threads,
                      .users = users,
                      .items = items,
                      .examples = examples,
                      .batch = batch,
                      .parameters = facts.size.numbers,
                      .steps_of_epoch = steps,
                      .steps = steps * (size_t)settings->training.epochs,
                      .data = data_bytes(request),
                      .checkpoint = checkpoint_size(&facts.size, 1 + sr_optimizer_blocks(&settings->training)) +
                                    carried_names(request),
                      .best = checkpoint_size(&facts.size, 1) + carried_names(request),
                      .checkpoints = (size_t)(settings->checkpoint.keep > 2 ? settings->checkpoint.keep : 2) + 1};
    plan_reduction(plan, settings, facts.size.block * sizeof(sr_real));
    SR_TRY(probe_create(&p, request, SMALL_CATALOGUE, SMALL_CATALOGUE, error));
    const sr_status status = plan_tables(plan, request, &facts, &p, error);
    probe_free(&p);
    return status;
}

void sr_plan_use_rate(sr_plan *plan, double examples_per_second)
{
    plan->step_seconds = (double)plan->batch / examples_per_second;
    plan->compute_seconds = plan->reduction_seconds = 0;
    snprintf(plan->time_source, sizeof plan->time_source, "%.6g examples a second were said", examples_per_second);
}

size_t sr_plan_memory_of_node(const sr_plan *plan, size_t ranks)
{
    return sr_plan_bytes_of_node(&plan->memory, ranks);
}

size_t sr_plan_bytes_of_node(const sr_plan_memory *m, size_t ranks)
{
    const size_t once = m->shared + m->saving; /* one rank alone saves */
    return ranks * (m->total - once) + once;
}

sr_status sr_plan_check_memory(const sr_plan *plan, size_t ranks_of_node, size_t memory, const char *limit, const char *node,
                               bool *tight, sr_error *error)
{
    /* Three quarters of what is estimated count as certain: nobody is refused who may just fit; nor for the copy of the state:
     * where there is no room for it, checkpoints are written without one. */
    const sr_plan_memory *m = &plan->memory;
    const size_t uncertain = (m->total - m->saving - m->certain) / 4 * ranks_of_node,
                 all_ranks = sr_plan_memory_of_node(plan, ranks_of_node), needed = all_ranks - m->saving;
    char each[32], all[32], allowed[32], parameters[32], step[32], evaluation[32];
    *tight = all_ranks > memory;
    if (needed - uncertain <= memory)
        return SR_OK;
    sr_format_bytes((double)(m->total - m->saving), each, sizeof each);
    sr_format_bytes((double)needed, all, sizeof all);
    sr_format_bytes((double)memory, allowed, sizeof allowed);
    sr_format_bytes((double)(m->parameters + m->gradients + m->optimizer), parameters, sizeof parameters);
    sr_format_bytes((double)(m->activations + m->tiles + m->batches), step, sizeof step);
    sr_format_bytes((double)m->evaluation, evaluation, sizeof evaluation);
    return sr_fail(error, SR_ERROR_USAGE,
                   "%zu rank%s on %s need %s (%s each: %s for parameters, gradients and optimizer, %s for a step, %s for "
                   "evaluation), but %s is all that is allowed there (%s): take fewer ranks a node%s, a smaller "
                   "training.batch_size or evaluation.batch_size, or a smaller model",
                   ranks_of_node, ranks_of_node == 1 ? "" : "s", node, all, each, parameters, step, evaluation, allowed, limit,
                   plan->threads > 1 ? " or fewer threads" : "");
}
