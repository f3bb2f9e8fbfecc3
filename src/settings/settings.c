/* All sections together, and the rules between parts of different owners. */
#include "srtrain/settings.h"

#include "srtrain/model.h"
#include "srtrain/optimizer.h"

#include <stdlib.h>
#include <string.h>

/* ---- rules ---- */

static bool wants_prefixes_and_all(const void *part)
{
    const sr_settings *settings = part;
    return settings->data.samples == SR_SAMPLES_WINDOW && settings->model.objective == SR_OBJECTIVE_ALL;
}

static bool lacks_vectors(const void *part)
{
    const sr_settings *settings = part;
    return settings->model.encoder.item_vectors != SR_ITEM_VECTORS_DRAWN && !sr_data_names_vectors(&settings->data);
}

static bool leaves_vectors(const void *part)
{
    const sr_settings *settings = part;
    return settings->model.encoder.item_vectors == SR_ITEM_VECTORS_DRAWN && sr_data_names_vectors(&settings->data);
}

static bool has_no_order(const void *part)
{
    const sr_settings *settings = part;
    return settings->data.samples == SR_SAMPLES_WINDOW && settings->model.max_length < 2;
}

/* Parameters that follow a loss of their own have a learning rate of their own. */
static bool takes_all(const void *part)
{
    const sr_training_settings *training = &((const sr_settings *)part)->training;
    const double ratio = sr_model_learning_rate_ratio(&((const sr_settings *)part)->model, SR_PARAMETERS_ATTACK);
    return training->weight_decay_kind == SR_WEIGHT_DECAY_DECOUPLED &&
           sr_full_learning_rate(training) * ratio * training->weight_decay >= 1;
}

static bool divides(const sr_settings *settings)
{
    return settings->model.item_table == SR_ITEM_TABLE_DIVIDED;
}

static sr_row_stepping stepping_of(const sr_settings *settings)
{
    return sr_optimizer_row_stepping(&settings->training, sr_model_moves_every_item(&settings->model));
}

static bool measures_what_is_divided(const void *part)
{
    return divides(part) && stepping_of(part) == SR_ROWS_ARE_MEASURED;
}

static bool cannot_be_late(const void *part)
{
    return divides(part) && stepping_of(part) == SR_ROWS_CANNOT_BE_LATE;
}

static bool is_lazy_without_division(const void *part)
{
    const sr_settings *settings = part;
    return settings->training.row_optimizer == SR_ROW_OPTIMIZER_LAZY && !divides(settings);
}

static bool is_lazy_without_rest(const void *part)
{
    const sr_settings *settings = part;
    return settings->training.row_optimizer == SR_ROW_OPTIMIZER_LAZY && sr_model_moves_every_item(&settings->model);
}

static bool rounds_what_stays(const void *part)
{
    const sr_settings *settings = part;
    return settings->training.row_precision == SR_PRECISION_BF16 && !divides(settings);
}

static bool has_micro_batches(const sr_settings *settings)
{
    return settings->training.micro_batch > 0;
}

static bool divides_in_micro_batches(const void *part)
{
    const sr_settings *settings = part;
    return has_micro_batches(settings) && divides(settings);
}

static bool contrasts_in_micro_batches(const void *part)
{
    const sr_settings *settings = part;
    return has_micro_batches(settings) && settings->model.contrastive.in_use;
}

static bool chooses_in_micro_batches(const void *part)
{
    const sr_settings *settings = part;
    return has_micro_batches(settings) && sr_model_needs_of(&settings->model, true).sums_in_passes;
}

static bool penalises_in_micro_batches(const void *part)
{
    const sr_settings *settings = part;
    return has_micro_batches(settings) && sr_model_needs_of(&settings->model, true).couples_batch;
}

static bool names_no_metric(const void *part)
{
    static const char *const kinds[] = {"hr", "ndcg", "mrr"};
    const sr_settings *settings = part;
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; ++kind)
        for (size_t k = 0; k < settings->evaluation.top_k_count; ++k) {
            char name[SR_NAME_SIZE];
            snprintf(name, sizeof name, "%s@%lld", kinds[kind], (long long)settings->evaluation.top_k[k]);
            if (strcmp(name, settings->training.early_stopping.metric) == 0)
                return false;
        }
    return true;
}

static const sr_rule rules[] = {
    SR_RULE("training.objective", "data.samples", wants_prefixes_and_all,
            "window makes one example of each prefix of the last max_length items, the empty one included, while all takes "
            "every prefix in one pass over the sequence; use samples sliding or objective last"),
    SR_RULE("model.item_vectors", "data.item_vectors", lacks_vectors,
            "rows of items start with the vectors of a file, which has to be named; name it, or use drawn"),
    SR_RULE("data.item_vectors", "model.item_vectors", leaves_vectors,
            "nothing would read the file; use given or frozen, or leave it out"),
    SR_RULE("model.max_length", "data.samples", has_no_order,
            "a window of one item has the empty prefix as its only example, from which no order can be learned; use a "
            "max_length of at least 2 or samples sliding"),
    SR_RULE("training.weight_decay", "training.attack_learning_rate_ratio", takes_all,
            "their product with training.learning_rate is the share of every weight of the mask generators that decoupled "
            "decay takes away in a step, and must be below 1"),
    SR_RULE(
        "model.item_table", "training.optimizer", measures_what_is_divided,
        "this optimizer measures whole arrays, and no rank has the whole of a table that is divided; use another optimizer, "
        "or item_table replicated"),
    SR_RULE(
        "training.row_optimizer", "training.optimizer", cannot_be_late,
        "with exact, rows of a divided table take the steps late that give them no gradient, which needs optimizer adamw, or "
        "adam without weight decay, and adam_beta1 up to 0.99; use these, row_optimizer lazy, or item_table replicated"),
    SR_RULE("training.row_optimizer", "model.item_table", is_lazy_without_division,
            "only the rows of a divided table are stepped by themselves; use item_table divided, or row_optimizer exact"),
    SR_RULE("training.row_optimizer", "training.loss", is_lazy_without_rest,
            "a step gives every item a gradient where the whole catalogue is compared or all weights are penalised, so that no "
            "row rests; use row_optimizer exact, or a loss of sampled items"),
    SR_RULE(
        "training.row_precision", "model.item_table", rounds_what_stays,
        "only rows of a divided table travel; use item_table divided, or row_precision fp32 (training.reduction_precision is "
        "for the gradients of a replicated one)"),
    SR_RULE("training.micro_batch", "model.item_table", divides_in_micro_batches,
            "ranks fetch the rows of a divided table once for the whole batch; use micro_batch 0, or item_table replicated"),
    SR_RULE("training.micro_batch", "training.contrastive", contrasts_in_micro_batches,
            "contrastive training compares every example with all others of the batch; use micro_batch 0 and more ranks"),
    SR_RULE("training.micro_batch", "model.backbone", chooses_in_micro_batches,
            "this backbone chooses by a mean over the whole batch in every pass; use micro_batch 0 and more ranks"),
    SR_RULE("training.micro_batch", "calibrators.adversarial", penalises_in_micro_batches,
            "the penalty is a norm over the masks of the whole batch; use micro_batch 0 and more ranks"),
    SR_RULE("training.early_stopping.metric", "evaluation.top_k", names_no_metric,
            "the metric must be hr@K, ndcg@K or mrr@K with K one of top_k"),
};

/* ---- the schema ---- */

static const char introduction[] =
    "# Configuration\n\n"
    "This page lists every key of a configuration, and what goes together. [tutorial.md](tutorial.md) shows how one is\n"
    "written. The page comes from the keys and rules in the code. A test fails when the two differ, and says how to write\n"
    "it anew.\n\n"
    "A configuration is YAML with the sections below. Every key but `data.path` has a default, and an empty section keeps\n"
    "its defaults. `srtrain config CONFIG.yaml` prints the resolved configuration, `srtrain models` this page as plain\n"
    "text.\n\n"
    "- A calibrator is in use when its section is named, or when `--set` gives one of its keys; `calibrators: {}` is none.\n"
    "  The same holds for `training.contrastive`.\n"
    "- Keys that belong to some backbones only, or to a calibrator or a loss, are errors without these.\n"
    "- `--set section.key=value` overrides the file; the value is YAML, so that `--set 'evaluation.top_k=[5, 10]'` works.\n"
    "  Several may follow one `--set`; of the same key the last one counts.\n"
    "- Whole numbers are written in digits alone (`1000`, not `1e3`); numbers as `256`, `0.5`, `5.0e-4` or `1e-3`; truth\n"
    "  values are `true` and `false`, never `yes` or `on`. Text that looks like one of these needs quotes: `path: \"2024\"`.\n"
    "  A number that single precision takes for 0 must be written as 0.\n"
    "- An unknown or repeated key, a wrong type, a value out of range, values that do not go together, an alias, a tag or a\n"
    "  second document is an error (exit code 2) before anything is written. It names file, line, key, what was found, what\n"
    "  is allowed and the nearest known name:\n\n"
    "```\n"
    "run.yaml:3:3: error: unknown key 'model.haeds', did you mean 'heads'? known in model: backbone, layers, heads, ...\n"
    "    haeds: 2\n"
    "    ^\n"
    "```\n";

static void settle(void *settings, const sr_given *given)
{
    sr_model_settle(&((sr_settings *)settings)->model, given);
    sr_training_settle(&((sr_settings *)settings)->training, given);
}

void sr_settings_schema(sr_schema *schema)
{
    const size_t model = offsetof(sr_settings, model);
    sr_schema_begin(schema, sizeof(sr_settings));
    schema->introduction = introduction;
    schema->settle = settle;
    sr_data_add_section(schema);
    sr_model_add_sections(schema, model);
    sr_training_add_section(schema);
    sr_objective_add_section(schema, model);
    sr_early_stopping_add_section(schema);
    sr_evaluation_add_section(schema);
    sr_run_add_sections(schema);
    sr_data_add_keys(schema, offsetof(sr_settings, data));
    sr_objective_add_keys(schema, model);
    sr_model_add_keys(schema, model);
    sr_training_add_keys(schema, offsetof(sr_settings, training));
    sr_evaluation_add_keys(schema, offsetof(sr_settings, evaluation));
    sr_run_add_keys(schema, offsetof(sr_settings, checkpoint), offsetof(sr_settings, logging));
    sr_schema_add_group(schema, &(sr_key_group){SR_RULES(rules)});
}

/* ---- reading ---- */

void sr_settings_default(sr_settings *settings)
{
    sr_schema schema;
    sr_settings_schema(&schema);
    sr_schema_defaults(&schema, settings);
}

/* The run's name: the file's, without folders and ".yaml". */
static void name_run(sr_settings *settings, const char *path)
{
    const char *slash = strrchr(path, '/');
    snprintf(settings->name, sizeof settings->name, "%s", slash ? slash + 1 : path);
    char *dot = strrchr(settings->name, '.');
    if (dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0))
        *dot = '\0';
}

sr_status sr_settings_parse(sr_settings *settings, const char *text, const char *name, const char *const *assignments,
                            size_t assignment_count, sr_error *error)
{
    return sr_settings_parse_stored(settings, text, name, assignments, assignment_count, NULL, error);
}

sr_status sr_settings_parse_stored(sr_settings *settings, const char *text, const char *name, const char *const *assignments,
                                   size_t assignment_count, const sr_stored_reading *stored, sr_error *error)
{
    sr_schema schema;
    sr_settings_schema(&schema);
    const sr_status status = sr_schema_parse(&schema, settings, text, name, assignments, assignment_count, stored, error);
    name_run(settings, name);
    return status;
}

sr_status sr_settings_read(sr_settings *settings, const char *path, const char *const *assignments, size_t assignment_count,
                           sr_error *error)
{
    char *text;
    SR_TRY(sr_config_read_file(path, &text, error));
    const sr_status status = sr_settings_parse(settings, text, path, assignments, assignment_count, error);
    free(text);
    return status;
}

sr_status sr_settings_assign(sr_settings *settings, const char *assignment, sr_error *error)
{
    sr_schema schema;
    sr_settings_schema(&schema);
    return sr_schema_assign(&schema, settings, assignment, error);
}

static bool is_free(const sr_section *section, const sr_key *key)
{
    return section->free_to_change || key->free_to_change;
}

void sr_settings_copy_free(sr_settings *to, const sr_settings *from)
{
    sr_schema schema;
    sr_settings_schema(&schema);
    memcpy(to->name, from->name, sizeof to->name);
    sr_schema_copy(&schema, to, from, is_free);
}

static bool is_training(const sr_section *section, const sr_key *key)
{
    (void)key;
    return strcmp(section->path, "data") == 0 || strncmp(section->path, "training", strlen("training")) == 0;
}

void sr_settings_copy_training(sr_settings *to, const sr_settings *from)
{
    sr_schema schema;
    sr_settings_schema(&schema);
    sr_schema_copy(&schema, to, from, is_training);
}

void sr_settings_compare(const sr_settings *left, const sr_settings *right, sr_difference_function differs, void *context)
{
    sr_schema schema;
    sr_settings_schema(&schema);
    sr_schema_compare(&schema, left, right, differs, context);
}

/* ---- what follows from settings ---- */

sr_sampling sr_settings_sampling(const sr_settings *settings)
{
    const sr_model_settings *model = &settings->model;
    const sr_model_needs needs = sr_model_needs_of(model, true);
    return (sr_sampling){.samples = settings->data.samples,
                         .prefetch = settings->data.prefetch,
                         .batch_size = (size_t)settings->training.batch_size,
                         .seed = (uint64_t)settings->training.seed,
                         .every_position = model->objective == SR_OBJECTIVE_ALL,
                         .masked = needs.masked,
                         .mask_ratio = needs.mask_ratio,
                         .masks_at_least_one = needs.masks_at_least_one,
                         .negatives = needs.negatives,
                         .sampled = needs.sampled,
                         .reads_shares = needs.log_q,
                         .contrasts = model->contrastive.in_use,
                         .sums_over_batch = needs.couples_batch || needs.sums_in_passes,
                         .tokens_an_item = sr_model_tokens_an_item(model),
                         .packing = sr_model_packing(model, model->objective, true),
                         .model = sr_model_name(model)};
}

/* ---- writing ---- */

sr_status sr_settings_write(const sr_settings *settings, FILE *file, bool with_help, sr_error *error)
{
    sr_schema schema;
    sr_settings_schema(&schema);
    return sr_schema_write(&schema, settings, file, with_help, error);
}

sr_status sr_settings_text(const sr_settings *settings, char **text, sr_error *error)
{
    sr_schema schema;
    sr_settings_schema(&schema);
    return sr_schema_text(&schema, settings, text, error);
}

sr_status sr_settings_describe(FILE *file, bool markdown, sr_error *error)
{
    sr_schema schema;
    sr_settings_schema(&schema);
    return sr_schema_describe(&schema, file, markdown, error);
}

sr_status sr_settings_manual(FILE *file, const char *version, sr_error *error)
{
    sr_schema schema;
    sr_settings_schema(&schema);
    fprintf(
        file,
        ".TH SRTRAIN\\-CONFIG 5 \"\" \"srtrain %s\" \"File Formats\"\n"
        ".SH NAME\nsrtrain\\-config \\- configurations of srtrain\n"
        ".SH DESCRIPTION\nA configuration is YAML with the sections below. Every key but data.path has a default.\n"
        "A calibrator is in use when its section is named; the same holds for training.contrastive.\n"
        "An unknown or repeated key, a wrong type, a value out of range, or values that do not go together are errors that\n"
        "name file, line and key.\n"
        ".B srtrain config\nprints a configuration with every default written out.\n"
        ".SH KEYS\n",
        version);
    sr_schema_manual(&schema, file);
    fputs(".SH SEE ALSO\n.BR srtrain (1),\n.BR srprep (1)\n", file);
    return fflush(file) != 0 || ferror(file) ? sr_fail(error, SR_ERROR_RUNTIME, "the manual cannot be written") : SR_OK;
}

void sr_settings_completion(FILE *file)
{
    sr_schema schema;
    sr_settings_schema(&schema);
    sr_schema_completion(&schema, file);
}

const char *sr_settings_choice(const char *path, int value)
{
    sr_schema schema;
    sr_settings_schema(&schema);
    return sr_schema_choice(&schema, path, value);
}
