#include "scaling/project.h"

#include "srtrain/clock.h"
#include "srtrain/memory.h"
#include "srtrain/model.h"
#include "srtrain/parallel.h"
#include "srtrain/settings.h"

#include <math.h>
#include <stdlib.h>

const char *const projection_names[PROJECTION_COLUMNS] = {"ranks",
                                                          "nodes",
                                                          "global_batch",
                                                          "load_imbalance",
                                                          "data_ms",
                                                          "compute_ms",
                                                          "waiting_ms",
                                                          "summing_ms",
                                                          "summing_halving_ms",
                                                          "summing_ring_ms",
                                                          "step_ms",
                                                          "examples_per_second",
                                                          "efficiency",
                                                          "measured_step_ms",
                                                          "measured_compute_ms",
                                                          "measured_summing_ms",
                                                          "relative_error"};

/* Compute time of one rank by the load of that of its threads that has most, ascending. */
typedef struct {
    double loads[64], milliseconds[64];
    size_t count;
} compute_curve;

typedef struct {
    const scaling_options *options;
    const measurements *measured;
    const sr_dataset *dataset;
    sr_settings settings; /* with the batch size in question */
    sr_arena *arena;
    compute_curve curve;
    projection *made;
} projector;

const char *projection_refusal(const scaling_options *options)
{
    return options->settings.model.contrastive.in_use ? "contrastive training compares every example with the whole global "
                                                        "batch, so that compute times on one rank say "
                                                        "nothing about many: there is no projection"
                                                      : NULL;
}

/* ---- batches ---- */

/* `visit` is called for each of some global batches of `batch` examples. */
typedef sr_status (*batch_visitor)(projector *p, const sr_sampler *sampler, size_t epoch, size_t index, void *context,
                                   sr_error *error);

static sr_status for_batches(projector *p, size_t batch, size_t first, size_t count, batch_visitor visit, void *context,
                             sr_error *error)
{
    sr_sampler *sampler;
    p->settings.training.batch_size = (int64_t)batch;
    SR_TRY(sr_settings_sampler(&sampler, p->dataset, &p->settings, error));
    const size_t batches = sr_sampler_batches(sampler);
    sr_status status = SR_OK;
    for (size_t i = first; i < first + count && status == SR_OK; ++i) {
        sr_arena_reset(p->arena);
        status = visit(p, sampler, i / batches, i % batches, context, error);
    }
    sr_sampler_free(sampler);
    return status;
}

/* ---- compute by load ---- */

typedef struct {
    double *loads;
    size_t count;
} load_list;

static double largest(const size_t *loads, size_t count)
{
    size_t most = 0;
    for (size_t i = 0; i < count; ++i)
        most = loads[i] > most ? loads[i] : most;
    return (double)most;
}

static sr_status note_load(projector *p, const sr_sampler *sampler, size_t epoch, size_t index, void *context, sr_error *error)
{
    load_list *list = context;
    const size_t threads = p->options->launcher.threads;
    size_t *loads = sr_arena_take(p->arena, threads * sizeof *loads);
    if (!loads)
        return sr_fail_memory(error, threads * sizeof *loads, "loads");
    SR_TRY(sr_sampler_loads(sampler, epoch, index, threads, p->arena, loads, error));
    list->loads[list->count++] = largest(loads, threads);
    return SR_OK;
}

static void add_point(compute_curve *curve, double load, double milliseconds)
{
    size_t at = curve->count;
    while (at > 0 && curve->loads[at - 1] >= load)
        --at;
    if ((at < curve->count && curve->loads[at] == load) || curve->count == sizeof curve->loads / sizeof *curve->loads)
        return; /* a batch larger than the epoch: the same examples */
    for (size_t i = curve->count++; i > at; --i) {
        curve->loads[i] = curve->loads[i - 1];
        curve->milliseconds[i] = curve->milliseconds[i - 1];
    }
    curve->loads[at] = load;
    curve->milliseconds[at] = milliseconds;
}

/* The median load, of the thread that has most, of the batches that benchmark_step measured, which leaves out ten, and the
 * median time that it measured. */
static sr_status make_curve(projector *p, sr_error *error)
{
    enum { WARM_UP = 10 };
    double *loads;
    SR_TRY(SR_ALLOCATE(&loads, p->options->steps, "loads", error));
    sr_status status = SR_OK;
    for (size_t i = 0; i < p->measured->run_count && status == SR_OK; ++i) {
        const measured_run *run = &p->measured->runs[i];
        load_list list = {loads, 0};
        if (run->ranks > 1)
            continue;
        status = for_batches(p, run->batch, WARM_UP, p->options->steps, note_load, &list, error);
        if (status == SR_OK)
            add_point(&p->curve, spread_of(loads, list.count).median, run->figures[OF_BUSY].median);
    }
    free(loads);
    make_ascending(p->curve.milliseconds, p->curve.count); /* a rank with more to do is not faster: that was noise */
    return status;
}

static double compute_time(const projector *p, double load)
{
    return interpolate(p->curve.loads, p->curve.milliseconds, p->curve.count, load);
}

/* ---- division ---- */

/* Sums over batches. */
typedef struct {
    size_t members, batches; /* threads of all ranks, each of which has a part of its own */
    size_t *loads;           /* [members] */
    double imbalance, compute, mean_compute, data;
} division_cost;

static sr_status note_division(projector *p, const sr_sampler *sampler, size_t epoch, size_t index, void *context,
                               sr_error *error)
{
    division_cost *cost = context;
    SR_TRY(sr_sampler_loads(sampler, epoch, index, cost->members, p->arena, cost->loads, error));
    const double most = largest(cost->loads, cost->members), members = (double)cost->members;
    double sum = 0, mean_compute = 0;
    for (size_t i = 0; i < cost->members; ++i) {
        sum += (double)cost->loads[i];
        mean_compute += compute_time(p, (double)cost->loads[i]) / members;
    }
    cost->imbalance += most * members / sum;
    cost->compute += compute_time(p, most);
    cost->mean_compute += mean_compute;
    sr_arena_reset(p->arena);
    sr_batch batch;
    size_t targets, examples;
    const double start = sr_seconds();
    SR_TRY(sr_sampler_batch(sampler, epoch, index, 0, cost->members, p->arena, &batch, &targets, &examples, error));
    cost->data += 1e3 * (sr_seconds() - start);
    ++cost->batches;
    return SR_OK;
}

/* Over whole batches: the last one of an epoch may be smaller. */
static sr_status measure_division(projector *p, size_t batch, division_cost *cost, sr_error *error)
{
    enum { BATCHES = 8 };
    const size_t whole = p->made->examples / batch;
    SR_TRY(SR_ALLOCATE(&cost->loads, cost->members, "loads", error));
    /* Once without counting: memory is touched for the first time. */
    sr_status status = for_batches(p, batch, 0, 1, note_division, cost, error);
    *cost = (division_cost){.members = cost->members, .loads = cost->loads};
    if (status == SR_OK)
        status = for_batches(p, batch, 0, whole < BATCHES ? whole : BATCHES, note_division, cost, error);
    free(cost->loads);
    return status;
}

/* ---- rows ---- */

static double summing(const projection *made, const network_model *network, network_algorithm algorithm, size_t ranks)
{
    if (ranks == 1)
        return 0;
    return 1e3 * (network_reduction(network, algorithm, ranks, made->bytes, made->message) +
                  (double)made->small_sums * network_small_sum(network, ranks));
}

static void add_measured(const measured_run *run, double *v)
{
    v[MEASURED_STEP] = v[MEASURED_COMPUTE] = v[MEASURED_SUMMING] = v[RELATIVE_ERROR] = (double)NAN;
    if (!run)
        return;
    v[MEASURED_STEP] = run->figures[OF_STEP].median;
    v[MEASURED_COMPUTE] = run->figures[OF_BUSY].median;
    v[MEASURED_SUMMING] = run->figures[OF_SUMMING].median;
    v[RELATIVE_ERROR] = v[PROJECTED_STEP] / v[MEASURED_STEP] - 1;
}

/* Efficiency against the smallest count that was measured. */
static double efficiency(const projector *p, bool weak, size_t ranks, double step)
{
    const size_t least = p->options->ranks.values[0];
    const measured_run *base = find_run(p->measured, least, weak ? least * p->options->batch_of_rank : p->options->batch);
    const double ratio = base->figures[OF_STEP].median / step;
    return weak ? ratio : ratio * (double)least / (double)ranks;
}

static sr_status add_row(projector *p, bool weak, size_t ranks, bool was_measured, sr_error *error)
{
    projection *made = p->made;
    const size_t batch = weak ? ranks * p->options->batch_of_rank : p->options->batch;
    const network_model *network = was_measured ? &made->measured_network : &made->network;
    division_cost cost = {.members = ranks * p->options->launcher.threads};
    SR_TRY(measure_division(p, batch, &cost, error));
    const double batches = (double)cost.batches;
    result_row *row = &made->rows[made->row_count++];
    double *v = row->values;
    row->kind = weak ? "weak" : "strong";
    v[PROJECTED_RANKS] = (double)ranks;
    v[PROJECTED_NODES] = (double)network_nodes(network, ranks);
    v[PROJECTED_BATCH] = (double)batch;
    v[PROJECTED_IMBALANCE] = cost.imbalance / batches;
    v[PROJECTED_DATA] = cost.data / batches;
    v[PROJECTED_COMPUTE] = cost.compute / batches;
    v[PROJECTED_WAITING] = (cost.compute - cost.mean_compute) / batches;
    v[PROJECTED_HALVING] = summing(made, network, NETWORK_HALVING, ranks);
    v[PROJECTED_RING] = summing(made, network, NETWORK_RING, ranks);
    v[PROJECTED_SUMMING] = v[p->options->algorithm == NETWORK_RING ? PROJECTED_RING : PROJECTED_HALVING];
    v[PROJECTED_STEP] = v[PROJECTED_DATA] + v[PROJECTED_COMPUTE] + v[PROJECTED_SUMMING];
    v[PROJECTED_RATE] = 1e3 * (double)batch / v[PROJECTED_STEP];
    v[PROJECTED_EFFICIENCY] = efficiency(p, weak, ranks, v[PROJECTED_STEP]);
    add_measured(was_measured ? find_run(p->measured, ranks, batch) : NULL, v);
    return SR_OK;
}

static sr_status add_rows(projector *p, bool weak, sr_error *error)
{
    const scaling_options *o = p->options;
    for (size_t i = 0; i < o->ranks.count; ++i)
        SR_TRY(add_row(p, weak, o->ranks.values[i], true, error));
    for (size_t i = 0; i < o->projected.count; ++i) {
        if (weak && o->projected.values[i] * o->batch_of_rank > p->made->examples) {
            p->made->refused = o->projected.values[i];
            break;
        }
        SR_TRY(add_row(p, weak, o->projected.values[i], false, error));
    }
    return SR_OK;
}

/* ---- the network ---- */

/* Sums of few numbers that a step waits for: the loss; what couples the examples; FEARec's sums in every layer. */
static size_t small_sums(const sr_model_settings *model)
{
    const sr_model_needs needs = sr_model_needs_of(model, true);
    const size_t coupled = needs.masked || needs.couples_batch ? 1 : 0;
    return 1 + coupled + (needs.sums_in_passes ? (size_t)model->layers : 0);
}

/* What was not given is taken from the smallest number of ranks that was measured on one node. */
static void describe_network(const scaling_options *o, const measurements *measured, projection *made)
{
    static const double latency = 0.5e-6, bandwidth = 5e9; /* of a node, where nothing is known */
    network_model fitted = {.node_latency = latency, .node_bandwidth = bandwidth};
    made->node_source = "assumed, as no reduction on several ranks of one node was measured";
    for (size_t i = 0; i < measured->reduction_count; ++i) {
        const measured_reduction *r = &measured->reductions[i];
        const measured_run *run = find_run(measured, r->ranks, o->batch);
        if (run->nodes > 1 || r->plain <= 0)
            continue;
        network_fit_node(&fitted, o->algorithm, r->ranks, 1e-3 * r->small_sum, 1e-3 * r->plain, r->bytes);
        made->node_source = "from the fastest plain all-reduce and the fastest small sum that benchmark_reduction saw on the "
                            "smallest number of ranks above 1";
        break;
    }
    made->network = o->network;
    if (made->network.node_latency > 0 && made->network.node_bandwidth > 0)
        made->node_source = "given";
    if (made->network.node_latency <= 0)
        made->network.node_latency = fitted.node_latency;
    if (made->network.node_bandwidth <= 0)
        made->network.node_bandwidth = fitted.node_bandwidth;
    made->measured_network = made->network;
    made->measured_network.ranks_of_node = 1;
    for (size_t i = 0; i < measured->run_count; ++i)
        if ((double)made->measured_network.ranks_of_node < measured->runs[i].ranks_of_node)
            made->measured_network.ranks_of_node = (size_t)measured->runs[i].ranks_of_node;
}

/* ---- all ---- */

static sr_status project_all(projector *p, sr_error *error)
{
    sr_sampler *sampler;
    SR_TRY(sr_settings_sampler(&sampler, p->dataset, &p->settings, error));
    p->made->examples = sr_sampler_examples(sampler);
    sr_sampler_free(sampler);
    SR_TRY(make_curve(p, error));
    SR_TRY(add_rows(p, false, error));
    return add_rows(p, true, error);
}

sr_status project(const scaling_options *options, const measurements *measured, projection *made, sr_error *error)
{
    *made = (projection){.bytes = measured->runs[0].bytes_reduced,
                         .message = SR_MESSAGE_BYTES,
                         .small_sums = small_sums(&options->settings.model)};
    describe_network(options, measured, made);
    projector *p;
    sr_dataset *dataset;
    SR_TRY(SR_ALLOCATE_ZERO(&p, 1, "a projection", error));
    *p = (projector){.options = options, .measured = measured, .settings = options->settings, .made = made};
    sr_status status = sr_dataset_open(&dataset, options->settings.data.path, error);
    if (status == SR_OK) {
        p->dataset = dataset;
        status = sr_arena_create(&p->arena, (size_t)4 << 20, error);
        if (status == SR_OK)
            status = project_all(p, error);
        sr_arena_free(p->arena);
        sr_dataset_close(dataset);
    }
    free(p);
    return status;
}
