#include "plan/item_tables.h"

#include "base/sizes.h"
#include "evaluate/ranker.h"
#include "evaluate/score_round.h"
#include "plan/network.h"
#include "plan/sizes.h"
#include "srtrain/operations.h"
#include "srtrain/parallel.h"
#include "srtrain/step.h"
#include "step/touched_rows.h"

/* What a thread reads and writes of memory in a second while it updates rows; as coarse as the network within a node. A thread
 * that has the memory to itself was seen to reach 12e9 to 18e9. Where all cores of a node do so, each has a quarter of that. */
static const double MEMORY_BANDWIDTH = 8e9;

/* States of all workers that are scored together (model/divided_losses.c). */
enum { STATES_OF_A_ROUND = 8192 };

static const sr_training_settings *training_of(const table_facts *f)
{
    return &f->request->settings->training;
}

static double row_bytes(const table_facts *f)
{
    return (double)f->size.item_table / (double)f->rows;
}

/* The share of the bytes of rows that travels. */
static double row_share(const table_facts *f)
{
    return training_of(f)->row_precision == SR_PRECISION_BF16 ? 2.0 / sizeof(sr_real) : 1;
}

static size_t ranks_of_node(const table_facts *f)
{
    return smaller(larger(f->request->network.ranks_of_node, 1), f->request->ranks);
}

/* Bytes of a number of a gradient, when it is summed. */
static double travelling(const table_facts *f)
{
    return training_of(f)->reduction_precision == SR_PRECISION_BF16 ? 2 : sizeof(sr_real);
}

static network_model network_of(const table_facts *f)
{
    /* Within a node as benchmarks/scaling.py has it where nothing was measured. */
    return (network_model){.latency = f->request->network.latency,
                           .bandwidth = f->request->network.bandwidth,
                           .node_latency = 0.5e-6,
                           .node_bandwidth = 5e9,
                           .ranks_of_node = ranks_of_node(f)};
}

/* Of a sum of `bytes` bytes of gradients over all ranks. */
static double reduction_seconds(const table_facts *f, double bytes)
{
    const network_model network = network_of(f);
    const double ratio = travelling(f) / sizeof(sr_real);
    return network_reduction(&network, f->request->ranks, bytes * ratio, (double)f->message * ratio);
}

size_t evaluation_memory(const table_facts *f, size_t items, size_t workers)
{
    const sr_plan_request *request = f->request;
    const sr_settings *settings = request->settings;
    const size_t count = smaller((size_t)settings->evaluation.batch_size, planned_users(request));
    const double length = (double)sr_dataset_interactions(request->dataset) / (double)sr_dataset_users(request->dataset);
    const bool keeps = settings->evaluation.history == SR_HISTORY_KEEP;
    return f->evaluation + score_round_memory(&settings->model,
                                              &(score_round_size){.items = items,
                                                                  .largest_batch = count,
                                                                  .history_items = keeps ? 0 : (size_t)(length * (double)count),
                                                                  .workers = workers});
}

void sum_up_memory(sr_plan_memory *m)
{
    m->certain = m->program + m->parameters + m->gradients + m->optimizer + m->index + m->draws;
    m->total = m->certain + m->batches + m->activations + m->tiles + m->fetched + m->exchange + m->evaluation + m->late_rows +
               m->saving;
}

/* ---- bytes that move ---- */

/* What a rank adds to a sum of `bytes` bytes of gradients: with shared memory, its part of the node's. */
static double summed(const table_facts *f, double bytes)
{
    const size_t inside = ranks_of_node(f);
    if (f->request->ranks == 1 || (f->request->shares && f->request->ranks == inside))
        return 0;
    return bytes / sizeof(sr_real) * travelling(f) / (f->request->shares ? (double)inside : 1);
}

/* `bytes` of each worker that all others get. */
static double gathered(const table_facts *f, double bytes)
{
    return (double)f->request->threads * bytes * (double)(f->request->ranks - 1);
}

/* `bytes` of each worker that it has for all workers together, of which those of its own rank need no message. */
static double exchanged(const table_facts *f, double bytes)
{
    return (double)f->request->threads * bytes * (double)(f->request->ranks - 1) / (double)f->request->ranks;
}

/* States that are compared with those of the whole batch: two for each example, with the logarithms of two sums. */
static double contrasted(const table_facts *f)
{
    const sr_model_settings *model = &f->request->settings->model;
    if (!model->contrastive.in_use)
        return 0;
    const double examples = (double)smaller((size_t)training_of(f)->batch_size, sr_sampler_examples(f->request->sampler));
    return gathered(f, examples / (double)planned_workers(f->request) *
                           (2 * (double)sr_model_state_width(model) * sizeof(sr_real) + 2 * sizeof(double)));
}

static sr_traffic traffic_without_rows(const table_facts *f)
{
    return (sr_traffic){{[SR_TRAFFIC_IDS] = gathered(f, f->reads.drawn / (double)planned_workers(f->request) * sizeof(int32_t)),
                         [SR_TRAFFIC_STATES] = contrasted(f)}};
}

/* ---- time ---- */

/* Of an update of rows that have `bytes` bytes: their gradients are cleared, measured and read, values and state read and
 * written. */
static double update_seconds(const table_facts *f, double bytes)
{
    return bytes * (double)(3 + 2 * (1 + sr_optimizer_blocks(training_of(f)))) / MEMORY_BANDWIDTH;
}

/* ---- replicated ---- */

/* Rows whose gradients are summed and that are stepped. */
static double replicated_rows(const table_facts *f)
{
    if (f->request->settings->model.encoder.item_vectors == SR_ITEM_VECTORS_FROZEN)
        return 0;
    const bool some = f->picks_rows && f->reads.all <= (double)touched_rows_most_of(f->rows);
    return some ? f->reads.all : (double)f->rows;
}

void plan_replicated(sr_plan *plan, const table_facts *f)
{
    sr_plan_table *table = &plan->tables[SR_PLAN_REPLICATED];
    const sr_plan_request *request = f->request;
    const network_model network = network_of(f);
    const double rows = replicated_rows(f) * row_bytes(f), block = (double)f->size.block * sizeof(sr_real);
    const double all = block - (double)f->size.item_table + rows;
    /* One more than there is room for says that there are too many. */
    const double most = (double)touched_rows_most_of(f->rows) + 1, named = f->reads.ids < most ? f->reads.ids : most;
    const double ids = f->picks_rows ? named * sizeof(int32_t) : 0;
    const double steppers = (double)request->threads * (request->shares ? (double)ranks_of_node(f) : 1);
    table->traffic = traffic_without_rows(f);
    table->traffic.bytes[SR_TRAFFIC_GRADIENTS] = summed(f, all);
    table->traffic.bytes[SR_TRAFFIC_IDS] += gathered(f, ids);
    table->reduced = request->ranks > 1 ? (size_t)all : 0;
    table->small_sums = plan->small_sums;
    table->network_seconds = reduction_seconds(f, all) +
                             network_exchange(&network, request->ranks, table->traffic.bytes[SR_TRAFFIC_IDS], 1) +
                             (double)table->small_sums * network_small_sum(&network, request->ranks);
    table->item_seconds = reduction_seconds(f, all) - reduction_seconds(f, all - rows) +
                          network_exchange(&network, request->ranks, gathered(f, ids), 1) + update_seconds(f, rows / steppers);
}

/* ---- divided ---- */

/* Blocks of a process, in bytes. */
typedef struct {
    size_t others; /* all parameters but the rows */
    size_t rows;   /* the values of those that it owns */
} division;

/* Of the first rank, which has most. */
static sr_status measure_division(const sr_plan_request *request, division *found, sr_error *error)
{
    sr_model *model;
    const sr_item_division of = {.rank = 0, .ranks = request->ranks, .threads = request->threads};
    SR_TRY(sr_model_declare_divided(&model, &request->settings->model, planned_items(request), planned_users(request), &of,
                                    error));
    *found = (division){.others = sr_model_parameters(model)->block_size * sizeof(sr_real),
                        .rows = sr_item_table_bytes(sr_model_item_table(model))};
    sr_model_free(model);
    return SR_OK;
}

static bool is_dense(const table_facts *f)
{
    return sr_model_moves_every_item(&f->request->settings->model);
}

/* What one scoring of all targets holds and sends: states are gathered once, and gradients come back. */
static size_t states_memory(const table_facts *f)
{
    const size_t width = sr_model_state_width(&f->request->settings->model) * sizeof(sr_real);
    const size_t targets = (size_t)f->reads.targets;
    return targets * (width + sizeof(int32_t)) + 3 * smaller(targets, STATES_OF_A_ROUND) * width;
}

/* Forward: states and targets go to all ranks, and each worker answers by three numbers about each. Backward: the logarithms of
 * sums go, and each worker answers by a gradient. */
static double states_traffic(const table_facts *f)
{
    const double width = (double)sr_model_state_width(&f->request->settings->model) * sizeof(sr_real);
    const double asked = width + sizeof(int32_t) + sizeof(sr_real), answered = 3 * sizeof(sr_real) + width;
    return (double)f->scorings * (gathered(f, f->reads.targets / (double)planned_workers(f->request) * asked) +
                                  exchanged(f, f->reads.targets * answered));
}

/* Rows that histories which are evaluated at a time have at most. */
static size_t evaluated_rows(const table_facts *f)
{
    const sr_settings *settings = f->request->settings;
    return smaller(f->rows, (size_t)(settings->evaluation.batch_size * settings->model.max_length));
}

static void divide_memory(sr_plan *plan, const table_facts *f, const division *d)
{
    const sr_plan_request *request = f->request;
    const sr_training_settings *training = training_of(f);
    const size_t threads = request->threads, workers = planned_workers(request), blocks = sr_optimizer_blocks(training);
    /* The row of padding is asked for by every process. */
    const double read = f->reads.most, fetched = f->reads.fetched * f->reads.most / f->reads.ids;
    const double asked = fetched + (double)request->ranks, touched = is_dense(f) ? 0 : asked;
    const size_t own_items = planned_items(request) / workers + 1;
    const size_t recent = recent_popularity_memory(&request->settings->evaluation, request->dataset, planned_items(request));
    const bool keeps_rest = training->reduction_precision == SR_PRECISION_BF16 && request->ranks > 1;
    sr_plan_memory *m = &plan->tables[SR_PLAN_DIVIDED].memory;
    *m = plan->tables[SR_PLAN_REPLICATED].memory;
    m->parameters = d->others + d->rows;
    m->item_table = d->rows;
    m->gradients = (threads + keeps_rest) * d->others + (is_dense(f) ? d->rows : 0);
    m->optimizer = blocks * m->parameters;
    m->fetched = (size_t)((double)threads *
                          (row_bytes(f) * (2 * read + fetched + asked + touched) + 28 * (read + fetched + asked)));
    m->tiles = threads * f->scorings *
               sr_model_catalogue_memory(&request->settings->model, (size_t)f->reads.targets / (is_dense(f) ? 1 : workers) + 1,
                                         is_dense(f) ? own_items : smaller((size_t)read, planned_items(request)),
                                         sr_training_kept_bytes(training, threads));
    m->exchange += is_dense(f) ? threads * f->scorings * states_memory(f) : 0;
    if (threads > 1 && request->ranks > 1)
        m->exchange += smaller(SR_PACKED_BYTES, (size_t)(2 * exchanged(f, f->reads.fetched * row_bytes(f))));
    m->evaluation = threads * (evaluation_memory(f, planned_items(request) / request->ranks + 1, workers) +
                               (size_t)(row_bytes(f) * (double)evaluated_rows(f))) +
                    recent;
    m->late_rows = is_dense(f) || training->row_optimizer == SR_ROW_OPTIMIZER_LAZY
                       ? 0
                       : threads * sr_optimizer_late_memory(training, f->rows / workers + 1, f->missed_steps);
    m->saving = 0; /* a copy of the table is what one cannot afford: it is written without */
    m->shared = m->draws + recent + (request->shares ? (1 + blocks) * d->others : 0);
    sum_up_memory(m);
}

static void divide_traffic(sr_plan *plan, const table_facts *f, const division *d)
{
    enum { ALWAYS_MET = 3 }; /* twice for a fetch, once before rows go back */
    const sr_plan_request *request = f->request;
    const size_t workers = planned_workers(request), ranks = request->ranks;
    const network_model network = network_of(f);
    const double rows = f->reads.fetched * row_bytes(f), own = (double)d->rows / (double)request->threads;
    sr_plan_table *table = &plan->tables[SR_PLAN_DIVIDED];
    sr_traffic *traffic = &table->traffic;
    *traffic = traffic_without_rows(f);
    traffic->bytes[SR_TRAFFIC_GRADIENTS] = summed(f, (double)d->others);
    traffic->bytes[SR_TRAFFIC_IDS] += exchanged(f, f->reads.fetched * sizeof(int32_t) + (double)workers * sizeof(size_t));
    traffic->bytes[SR_TRAFFIC_ROWS] = traffic->bytes[SR_TRAFFIC_ROW_GRADIENTS] = exchanged(f, rows * row_share(f));
    const double states = is_dense(f) ? states_traffic(f) : 0;
    traffic->bytes[SR_TRAFFIC_STATES] += states;
    table->reduced = ranks > 1 ? d->others : 0;
    table->small_sums = plan->small_sums + ALWAYS_MET + (is_dense(f) ? f->scorings * 3 : 0);
    const double exchanges = network_exchange(&network, ranks, traffic->bytes[SR_TRAFFIC_IDS], 2) +
                             2 * network_exchange(&network, ranks, traffic->bytes[SR_TRAFFIC_ROWS], 1) +
                             network_exchange(&network, ranks, traffic->bytes[SR_TRAFFIC_STATES], states > 0 ? 3 : 0);
    table->network_seconds = reduction_seconds(f, (double)d->others) + exchanges +
                             (double)table->small_sums * network_small_sum(&network, ranks);
    /* What is copied for an exchange is read and written on both sides. */
    table->item_seconds = exchanges + ALWAYS_MET * network_small_sum(&network, ranks) + 8 * rows / MEMORY_BANDWIDTH +
                          update_seconds(f, is_dense(f) ? own : rows);
}

/* Empty: nothing. */
static const char *what_forbids_division(const table_facts *f)
{
    if (training_of(f)->micro_batch > 0)
        return "training.micro_batch adds up parts of a batch, whose rows a divided table fetches once";
    return sr_row_stepping_reason(sr_optimizer_row_stepping(training_of(f), is_dense(f)));
}

sr_status plan_divided(sr_plan *plan, const table_facts *f, sr_error *error)
{
    division d;
    SR_TRY(measure_division(f->request, &d, error));
    divide_memory(plan, f, &d);
    divide_traffic(plan, f, &d);
    sr_plan_table *table = &plan->tables[SR_PLAN_DIVIDED];
    snprintf(table->why_not, sizeof table->why_not, "%s", what_forbids_division(f));
    return SR_OK;
}
