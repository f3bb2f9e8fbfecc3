/* At the start of a run: does it fit, and were ranks started as they should be? Every rank says what it sees, rank 0 judges. */
#include "plan/preflight.h"

#include "srtrain/memory.h"
#include "tensor/gemm.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

/* All ranks of one node. */
typedef struct {
    const char *host;
    size_t ranks;
    cpu_set_t cores;    /* of any of its ranks */
    bool all_the_same;  /* every rank may run on all of these */
    sr_machine machine; /* the least */
} node_view;

static void warn(sr_preflight *made, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void warn(sr_preflight *made, const char *format, ...)
{
    va_list list;
    if (made->warning_count == SR_PREFLIGHT_WARNINGS)
        return;
    va_start(list, format);
    vsnprintf(made->warnings[made->warning_count++], sizeof made->warnings[0], format, list);
    va_end(list);
}

static void look(const sr_parallel *parallel, rank_view *view)
{
    memset(view, 0, sizeof *view);
    snprintf(view->host, sizeof view->host, "%s", sr_parallel_host(parallel));
    if (sched_getaffinity(0, sizeof view->cores, &view->cores) != 0)
        CPU_SET(0, &view->cores);
    sr_machine_look(&view->machine, NULL);
}

static int by_host(const void *left, const void *right)
{
    return strcmp(((const rank_view *)left)->host, ((const rank_view *)right)->host);
}

/* The node of views[first] and of those after it with the same host. */
static node_view node_at(const rank_view *views, size_t first, size_t count)
{
    node_view node = {.host = views[first].host, .machine = views[first].machine, .all_the_same = true};
    CPU_ZERO(&node.cores);
    for (size_t i = first; i < count && strcmp(views[i].host, node.host) == 0; ++i) {
        ++node.ranks;
        CPU_OR(&node.cores, &node.cores, &views[i].cores);
        node.all_the_same = node.all_the_same && CPU_EQUAL(&views[i].cores, &views[first].cores);
        if (views[i].machine.memory < node.machine.memory)
            node.machine = views[i].machine;
    }
    return node;
}

/* How often each warning would have to be said: one node is named for all. */
typedef struct {
    size_t crowded, unbound, tight;
} oddities;

static sr_status judge_node(sr_preflight *made, const node_view *node, oddities *found, sr_error *error)
{
    const sr_plan *plan = &made->plan;
    const size_t cores = (size_t)CPU_COUNT(&node->cores), threads = node->ranks * plan->threads;
    bool tight;
    SR_TRY(sr_plan_check_memory(plan, node->ranks, node->machine.memory, node->machine.limit, node->host, &tight, error));
    if (tight && found->tight++ == 0) {
        char need[32], allowed[32];
        sr_format_bytes((double)sr_plan_memory_of_node(plan, node->ranks), need, sizeof need);
        sr_format_bytes((double)node->machine.memory, allowed, sizeof allowed);
        warn(made, "memory is tight on %s: its ranks may need %s of %s (%s)", node->host, need, allowed, node->machine.limit);
    }
    if (threads > cores && found->crowded++ == 0)
        warn(made, "%zu rank%s of %zu thread%s share %zu core%s on %s: start at most as many as there are cores", node->ranks,
             node->ranks == 1 ? "" : "s", plan->threads, plan->threads == 1 ? "" : "s", cores, cores == 1 ? "" : "s",
             node->host);
    if (threads <= cores && node->ranks > 1 && node->all_the_same && cores > plan->threads && found->unbound++ == 0)
        warn(made,
             "the ranks on %s are not bound to cores: every one may run on all %zu; bind them (mpirun --bind-to core, srun "
             "--cpu-bind=cores)",
             node->host, cores);
    return SR_OK;
}

static void judge_disk(sr_preflight *made, const char *directory)
{
    char path[4096];
    struct statvfs system;
    const double wanted = (double)(made->plan.checkpoints * made->plan.checkpoint + made->plan.best);
    snprintf(path, sizeof path, "%s", directory);
    /* The directory may not be there yet: one above it is. */
    while (statvfs(path, &system) != 0) {
        char *slash = strrchr(path, '/');
        if (!slash || slash == path)
            snprintf(path, sizeof path, "%s", slash ? "/" : ".");
        else
            *slash = '\0';
        if (strcmp(path, ".") == 0 || strcmp(path, "/") == 0) {
            if (statvfs(path, &system) != 0)
                return;
            break;
        }
    }
    const double room = (double)system.f_bavail * (double)system.f_frsize;
    if (room >= wanted)
        return;
    char need[32], left[32];
    sr_format_bytes(wanted, need, sizeof need);
    sr_format_bytes(room, left, sizeof left);
    warn(made, "checkpoints may need %s, but only %s is free at %s", need, left, path);
}

static void judge_libraries(sr_preflight *made)
{
    const int threads = sr_blas_threads();
    if (threads > 1)
        warn(made,
             "BLAS uses %d threads a call (OPENBLAS_NUM_THREADS): parallelism comes from ranks and from training.threads, and "
             "these only take each other's cores; unset it or set it to 1",
             threads);
}

static sr_status choose_table(sr_preflight *made, sr_item_table_choice choice, const rank_view *views, size_t count,
                              sr_error *error)
{
    sr_plan_room *rooms;
    node_view *nodes;
    size_t found = 0;
    SR_TRY(SR_ALLOCATE(&nodes, count, "the nodes of a run", error));
    sr_status status = SR_ALLOCATE(&rooms, count, "the nodes of a run", error);
    for (size_t first = 0; status == SR_OK && first < count; first += nodes[found++].ranks) {
        nodes[found] = node_at(views, first, count);
        rooms[found] = (sr_plan_room){.ranks = nodes[found].ranks,
                                      .memory = nodes[found].machine.memory,
                                      .limit = nodes[found].machine.limit,
                                      .node = nodes[found].host};
    }
    if (status == SR_OK)
        sr_plan_choose_table(&made->plan, choice, rooms, found);
    free(nodes);
    free(rooms);
    return status;
}

sr_status preflight_judge(sr_preflight *made, sr_item_table_choice choice, rank_view *views, size_t count,
                          const char *directory, sr_error *error)
{
    oddities found = {0};
    qsort(views, count, sizeof *views, by_host);
    SR_TRY(choose_table(made, choice, views, count, error));
    for (size_t first = 0; first < count;) {
        const node_view node = node_at(views, first, count);
        SR_TRY(judge_node(made, &node, &found, error));
        first += node.ranks;
    }
    judge_disk(made, directory);
    judge_libraries(made);
    return SR_OK;
}

sr_status sr_preflight_run(sr_parallel *parallel, const sr_plan_request *request, const char *directory, sr_preflight *made,
                           sr_error *error)
{
    rank_view mine;
    void *views = NULL;
    size_t *offsets = NULL;
    *made = (sr_preflight){.warning_count = 0};
    look(parallel, &mine);
    sr_status status = sr_parallel_rank(parallel) == 0 ? sr_plan_make(&made->plan, request, error) : SR_OK;
    SR_TRY(sr_parallel_agree(parallel, status, error));
    SR_TRY(sr_parallel_gather(parallel, &mine, sizeof mine, &views, &offsets, error));
    sr_error verdict = {.status = SR_OK};
    if (sr_parallel_rank(parallel) == 0)
        (void)preflight_judge(made, request->settings->model.item_table, views, (size_t)sr_parallel_size(parallel), directory,
                              &verdict);
    free(views);
    free(offsets);
    SR_TRY(sr_parallel_broadcast(parallel, &made->plan, sizeof made->plan, error));
    /* It is about all ranks: as the failure of rank 0 it would have that rank's name in front. */
    SR_TRY(sr_parallel_broadcast(parallel, &verdict, sizeof verdict, error));
    if (verdict.status != SR_OK && error)
        *error = verdict;
    return verdict.status;
}

void sr_preflight_log(const sr_preflight *made, sr_log *log)
{
    sr_plan_log(&made->plan, log);
    for (size_t i = 0; i < made->warning_count; ++i)
        sr_log_warning(log, "%s", made->warnings[i]);
}
