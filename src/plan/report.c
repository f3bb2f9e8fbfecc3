/* Plans in words and numbers. */
#include "srtrain/plan.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <string.h>

void sr_format_bytes(double bytes, char *text, size_t size)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    size_t unit = 0;
    while (bytes >= 999.5 && unit + 1 < sizeof units / sizeof *units) {
        bytes /= 1000;
        ++unit;
    }
    snprintf(text, size, unit ? "%.3g %s" : "%.0f %s", bytes, units[unit]);
}

void sr_format_seconds(double seconds, char *text, size_t size)
{
    if (seconds < 1)
        snprintf(text, size, "%.3g ms", 1000 * seconds);
    else if (seconds < 120)
        snprintf(text, size, "%.3g s", seconds);
    else if (seconds < 7200)
        snprintf(text, size, "%.3g min", seconds / 60);
    else if (seconds < 172800)
        snprintf(text, size, "%.3g h", seconds / 3600);
    else
        snprintf(text, size, "%.3g days", seconds / 86400);
}

/* ---- the parts of a rank's memory ---- */

typedef struct {
    const char *name; /* in JSON */
    const char *words;
    size_t offset;
} memory_part;

static const memory_part parts[] = {
    {"program", "program and libraries", offsetof(sr_plan_memory, program)},
    {"parameters", "parameters", offsetof(sr_plan_memory, parameters)},
    {"item_table", "of them, the item table", offsetof(sr_plan_memory, item_table)},
    {"gradients", "gradients (one block a thread)", offsetof(sr_plan_memory, gradients)},
    {"optimizer", "state of the optimizer", offsetof(sr_plan_memory, optimizer)},
    {"index", "index of examples", offsetof(sr_plan_memory, index)},
    {"draws", "table of sampled negatives", offsetof(sr_plan_memory, draws)},
    {"batches", "batches", offsetof(sr_plan_memory, batches)},
    {"activations", "tensors of a step", offsetof(sr_plan_memory, activations)},
    {"tiles", "logits of the catalogue", offsetof(sr_plan_memory, tiles)},
    {"fetched_rows", "rows that a step fetches", offsetof(sr_plan_memory, fetched)},
    {"exchange", "buffers of reductions", offsetof(sr_plan_memory, exchange)},
    {"evaluation", "evaluation", offsetof(sr_plan_memory, evaluation)},
    {"late_rows", "rows that may be late", offsetof(sr_plan_memory, late_rows)},
    {"saving", "copy of the state while it is saved (rank 0)", offsetof(sr_plan_memory, saving)},
    {"total", "together", offsetof(sr_plan_memory, total)},
    {"shared", "of it, once for all ranks of a node", offsetof(sr_plan_memory, shared)},
};
enum { PARTS = sizeof parts / sizeof *parts };

static size_t bytes_of(const sr_plan_memory *memory, const memory_part *part)
{
    size_t bytes;
    memcpy(&bytes, (const char *)memory + part->offset, sizeof bytes);
    return bytes;
}

/* ---- text ---- */

static sr_status check_stream(FILE *file, sr_error *error)
{
    return fflush(file) != 0 || ferror(file)
               ? sr_fail(error, SR_ERROR_RUNTIME, "the plan cannot be written: %s", strerror(errno))
               : SR_OK;
}

static void print_bytes(FILE *file, const char *what, double bytes)
{
    char text[32];
    sr_format_bytes(bytes, text, sizeof text);
    fprintf(file, "  %-36s %s\n", what, text);
}

static void print_times(const sr_plan *plan, FILE *file)
{
    char step[32], epoch[32], all[32];
    if (plan->step_seconds <= 0) {
        fprintf(file, "time: not known (--measure, or --rate EXAMPLES_A_SECOND)\n");
        return;
    }
    sr_format_seconds(plan->step_seconds, step, sizeof step);
    sr_format_seconds(plan->step_seconds * (double)plan->steps_of_epoch, epoch, sizeof epoch);
    sr_format_seconds(plan->step_seconds * (double)plan->steps, all, sizeof all);
    fprintf(file, "time, without validation (%s)\n  %-36s %s\n  %-36s %s\n  %-36s %s\n", plan->time_source, "a step", step,
            "an epoch", epoch, "all epochs", all);
    if (plan->compute_seconds <= 0)
        return;
    sr_format_seconds(plan->compute_seconds, step, sizeof step);
    sr_format_seconds(plan->reduction_seconds, epoch, sizeof epoch);
    fprintf(file, "  %-36s %s, reductions %s\n", "of a step: computing", step, epoch);
}

static const char *const table_names[SR_PLAN_TABLES] = {"replicated", "divided"};

/* The same number of both tables. */
typedef struct {
    const char *words;
    double values[SR_PLAN_TABLES];
} table_row;

static void print_row(FILE *file, table_row row, void (*format)(double, char *, size_t))
{
    char texts[SR_PLAN_TABLES][32];
    for (size_t kind = 0; kind < SR_PLAN_TABLES; ++kind)
        format(row.values[kind], texts[kind], sizeof texts[kind]);
    fprintf(file, "  %-36s %-12s %s\n", row.words, texts[SR_PLAN_REPLICATED], texts[SR_PLAN_DIVIDED]);
}

/* Both kinds side by side. */
static void print_item_tables(const sr_plan *plan, FILE *file)
{
    const sr_plan_table *of = plan->tables;
    fprintf(file, "the item table is %s: %s\n  %-36s %.0f (%s)\n  %-36s %-12s %s\n", table_names[plan->table], plan->why,
            "different rows that a thread reads", plan->rows_read,
            plan->rows_are_expected ? "expected of uniform draws" : "of batches of the data set", "in a step", "replicated",
            "divided");
    print_row(file, (table_row){"memory of a rank", {(double)of[0].memory.total, (double)of[1].memory.total}}, sr_format_bytes);
    print_row(file,
              (table_row){"of it, values of the table", {(double)of[0].memory.item_table, (double)of[1].memory.item_table}},
              sr_format_bytes);
    for (sr_traffic_kind kind = 0; kind < SR_TRAFFICS; ++kind)
        print_row(file, (table_row){sr_traffic_words(kind), {of[0].traffic.bytes[kind], of[1].traffic.bytes[kind]}},
                  sr_format_bytes);
    print_row(file, (table_row){"a rank sends, together", {sr_traffic_total(&of[0].traffic), sr_traffic_total(&of[1].traffic)}},
              sr_format_bytes);
    print_row(file, (table_row){"time of the network, by its model", {of[0].network_seconds, of[1].network_seconds}},
              sr_format_seconds);
    print_row(file, (table_row){"time for rows of items, by the model", {of[0].item_seconds, of[1].item_seconds}},
              sr_format_seconds);
    if (*of[SR_PLAN_DIVIDED].why_not)
        fprintf(file, "  it cannot be divided: %s\n", of[SR_PLAN_DIVIDED].why_not);
}

sr_status sr_plan_print(const sr_plan *plan, FILE *file, sr_error *error)
{
    fprintf(file, "%zu rank%s of %zu thread%s\n", plan->ranks, plan->ranks == 1 ? "" : "s", plan->threads,
            plan->threads == 1 ? "" : "s");
    fprintf(file, "  %-36s %zu\n  %-36s %zu\n  %-36s %zu\n  %-36s %zu\n  %-36s %zu\n  %-36s %.2f\n", "users", plan->users,
            "items", plan->items, "parameters", plan->parameters, "steps an epoch", plan->steps_of_epoch, "steps in all epochs",
            plan->steps, "work of the busiest over the mean", plan->imbalance);
    fprintf(file, "memory of a rank, at most\n");
    for (size_t i = 0; i < PARTS; ++i)
        print_bytes(file, parts[i].words, (double)bytes_of(&plan->memory, &parts[i]));
    fprintf(file, "memory of a node, beside its ranks\n");
    print_bytes(file, "data, mapped; may be dropped", (double)plan->data);
    fprintf(file, "sums over ranks in a step\n");
    print_bytes(file, "gradients", (double)plan->reduced);
    fprintf(file, "  %-36s %zu, and %zu sums of a few numbers\n", "messages", plan->messages, plan->small_sums);
    print_item_tables(plan, file);
    fprintf(file, "files\n");
    print_bytes(file, "a checkpoint", (double)plan->checkpoint);
    print_bytes(file, "best.h5", (double)plan->best);
    print_bytes(file, "all that are kept", (double)(plan->checkpoints * plan->checkpoint + plan->best));
    print_times(plan, file);
    return check_stream(file, error);
}

/* ---- JSON ---- */

static bool add_number(cJSON *object, const char *name, double value)
{
    return cJSON_AddNumberToObject(object, name, value) != NULL;
}

static bool add_memory(cJSON *object, const sr_plan_memory *of)
{
    cJSON *memory = cJSON_AddObjectToObject(object, "rank_memory_bytes");
    bool complete = memory != NULL;
    for (size_t i = 0; i < PARTS && complete; ++i)
        complete = add_number(memory, parts[i].name, (double)bytes_of(of, &parts[i]));
    return complete;
}

static bool add_table(cJSON *object, const sr_plan_table *table, const char *name, size_t ranks_of_node)
{
    cJSON *added = cJSON_AddObjectToObject(object, name);
    bool complete = added && add_memory(added, &table->memory) &&
                    add_number(added, "node_memory_bytes", (double)sr_plan_bytes_of_node(&table->memory, ranks_of_node));
    cJSON *sent = complete ? cJSON_AddObjectToObject(added, "sent_bytes_per_step") : NULL;
    complete = sent != NULL;
    for (sr_traffic_kind kind = 0; kind < SR_TRAFFICS && complete; ++kind)
        complete = add_number(sent, sr_traffic_name(kind), table->traffic.bytes[kind]);
    complete = complete && add_number(sent, "total", sr_traffic_total(&table->traffic)) &&
               add_number(added, "network_seconds", table->network_seconds) &&
               add_number(added, "item_seconds", table->item_seconds);
    if (complete && *table->why_not)
        complete = cJSON_AddStringToObject(added, "impossible", table->why_not) != NULL;
    return complete;
}

static bool add_item_tables(cJSON *root, const sr_plan *plan, size_t ranks_of_node)
{
    cJSON *tables = cJSON_AddObjectToObject(root, "item_table");
    bool complete = tables && cJSON_AddStringToObject(tables, "chosen", table_names[plan->table]) &&
                    cJSON_AddStringToObject(tables, "why", plan->why) &&
                    add_number(tables, "rows_read_by_thread", plan->rows_read) &&
                    cJSON_AddStringToObject(tables, "rows_read_source", plan->rows_are_expected ? "expected" : "batches");
    for (size_t kind = 0; kind < SR_PLAN_TABLES && complete; ++kind)
        complete = add_table(tables, &plan->tables[kind], table_names[kind], ranks_of_node);
    return complete;
}

static cJSON *make_document(const sr_plan *plan, size_t ranks_of_node, const sr_machine *machine)
{
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"ranks", (double)plan->ranks},
                   {"threads", (double)plan->threads},
                   {"ranks_per_node", (double)ranks_of_node},
                   {"users", (double)plan->users},
                   {"items", (double)plan->items},
                   {"examples", (double)plan->examples},
                   {"batch", (double)plan->batch},
                   {"parameters", (double)plan->parameters},
                   {"steps_per_epoch", (double)plan->steps_of_epoch},
                   {"steps", (double)plan->steps},
                   {"load_imbalance", plan->imbalance},
                   {"data_bytes", (double)plan->data},
                   {"reduced_bytes_per_step", (double)plan->reduced},
                   {"messages_per_step", (double)plan->messages},
                   {"small_sums_per_step", (double)plan->small_sums},
                   {"checkpoint_bytes", (double)plan->checkpoint},
                   {"best_bytes", (double)plan->best},
                   {"disk_bytes", (double)(plan->checkpoints * plan->checkpoint + plan->best)},
                   {"node_memory_bytes", (double)sr_plan_memory_of_node(plan, ranks_of_node)},
                   {"node_memory_limit_bytes", (double)machine->memory}};
    cJSON *root = cJSON_CreateObject();
    bool complete = root != NULL;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && complete; ++i)
        complete = add_number(root, numbers[i].name, numbers[i].value);
    complete = complete && cJSON_AddStringToObject(root, "node_memory_limit", machine->limit);
    complete = complete && add_memory(root, &plan->memory) && add_item_tables(root, plan, ranks_of_node);
    if (complete && plan->step_seconds > 0)
        complete = add_number(root, "step_seconds", plan->step_seconds) &&
                   add_number(root, "epoch_seconds", plan->step_seconds * (double)plan->steps_of_epoch) &&
                   add_number(root, "training_seconds", plan->step_seconds * (double)plan->steps) &&
                   cJSON_AddStringToObject(root, "time_source", plan->time_source);
    if (complete && plan->compute_seconds > 0)
        complete = add_number(root, "compute_seconds", plan->compute_seconds) &&
                   add_number(root, "reduction_seconds", plan->reduction_seconds);
    if (complete)
        return root;
    cJSON_Delete(root);
    return NULL;
}

sr_status sr_plan_print_json(const sr_plan *plan, size_t ranks_of_node, const sr_machine *machine, FILE *file, sr_error *error)
{
    cJSON *root = make_document(plan, ranks_of_node, machine);
    char *text = root ? cJSON_Print(root) : NULL;
    cJSON_Delete(root);
    if (!text)
        return sr_fail_memory(error, 1, "the plan as JSON");
    fprintf(file, "%s\n", text);
    cJSON_free(text);
    return check_stream(file, error);
}

/* ---- log ---- */

void sr_plan_log(const sr_plan *plan, sr_log *log)
{
    const sr_plan_memory *m = &plan->memory;
    char shared[80] = "", total[32], model[32], step[32], evaluation[32], program[32], data[32], reduced[32], checkpoint[32],
         disk[32];
    sr_format_bytes((double)m->program, program, sizeof program);
    sr_format_bytes((double)(m->parameters + m->gradients + m->optimizer), model, sizeof model);
    sr_format_bytes((double)(m->index + m->draws + m->batches + m->activations + m->tiles + m->fetched + m->exchange +
                             m->late_rows + m->saving),
                    step, sizeof step);
    sr_format_bytes((double)m->evaluation, evaluation, sizeof evaluation);
    sr_format_bytes((double)plan->data, data, sizeof data);
    sr_format_bytes((double)plan->reduced, reduced, sizeof reduced);
    sr_format_bytes((double)plan->checkpoint, checkpoint, sizeof checkpoint);
    sr_format_bytes((double)(plan->checkpoints * plan->checkpoint + plan->best), disk, sizeof disk);
    if (m->shared > 0) {
        sr_format_bytes((double)m->shared, total, sizeof total);
        snprintf(shared, sizeof shared, ", %s of them once for all ranks of a node", total);
    }
    sr_format_bytes((double)m->total, total, sizeof total);
    sr_log_information(log,
                       "plan: at most %s a rank (program %s; parameters, gradients and optimizer %s%s; a step %s; evaluation "
                       "%s); data of %s mapped",
                       total, program, model, shared, step, evaluation, data);
    sr_log_information(log,
                       "plan: %s in %zu messages reduced a step; %zu steps in all; a checkpoint is %s, all that are kept %s",
                       reduced, plan->messages, plan->steps, checkpoint, disk);
}
