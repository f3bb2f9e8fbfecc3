/* The keys of the sections training, checkpoint and logging. */
#include "srtrain/training_settings.h"

#include "step/optimizer_row.h"

#include <math.h>

static const sr_choice decay_choices[] = {{"decoupled", SR_WEIGHT_DECAY_DECOUPLED, "beside the gradient, as AdamW"},
                                          {"l2", SR_WEIGHT_DECAY_L2, "added to the gradient"},
                                          {NULL, 0, NULL}};
static const sr_choice schedule_choices[] = {{"constant", SR_SCHEDULE_CONSTANT, NULL},
                                             {"linear", SR_SCHEDULE_LINEAR, "down to 0 at the last step of the last epoch"},
                                             {"cosine", SR_SCHEDULE_COSINE, "down to 0 at the last step of the last epoch"},
                                             {NULL, 0, NULL}};
static const sr_choice batch_scaling_choices[] = {
    {"none", SR_BATCH_SCALING_NONE, "it is learning_rate"},
    {"square_root", SR_BATCH_SCALING_SQUARE_ROOT,
     "learning_rate times the square root of batch_size / base_batch_size: for adamw, adam and lamb"},
    {"linear", SR_BATCH_SCALING_LINEAR, "learning_rate times batch_size / base_batch_size: for sgd"},
    {NULL, 0, NULL}};
static const sr_choice precision_choices[] = {{"fp32", SR_PRECISION_FP32, "single precision"},
                                              {"bf16", SR_PRECISION_BF16,
                                               "where the processor has AMX, operands of large products (linear maps, "
                                               "attention, scores of the catalogue) are rounded to bf16, sums and all else "
                                               "stay in single precision: faster; elsewhere the same as `fp32`"},
                                              {NULL, 0, NULL}};
static const sr_choice reduction_precision_choices[] = {
    {"fp32", SR_PRECISION_FP32, "as they are"},
    {"bf16", SR_PRECISION_BF16, "rounded, summed in single precision, and what rounding takes is added to the next step's"},
    {NULL, 0, NULL}};
static const sr_choice reduction_choices[] = {
    {"shared", SR_REDUCTION_SHARED,
     "ranks of a node keep one copy of parameters and of the optimizer's state, and each sums and updates its part of them"},
    {"blocking", SR_REDUCTION_BLOCKING, "gradients are reduced after backward"},
    {NULL, 0, NULL}};
static const sr_choice writing_choices[] = {
    {"overlapped", SR_WRITING_OVERLAPPED,
     "a thread of rank 0 writes a copy of the state while training goes on, where rank 0 has memory for it; else, and where "
     "the item table is divided, as blocking"},
    {"blocking", SR_WRITING_BLOCKING, "all ranks write together, and train on when the file is complete"},
    {NULL, 0, NULL}};
static const sr_choice item_updates_choices[] = {{"deferred", SR_ITEM_UPDATES_DEFERRED,
                                                  "when it is read again, all at once: for large catalogues; with a loss "
                                                  "of sampled items, and while few rows have a gradient"},
                                                 {"every_step", SR_ITEM_UPDATES_EVERY_STEP, "in the step"},
                                                 {NULL, 0, NULL}};

static const sr_choice row_optimizer_choices[] = {
    {"exact", SR_ROW_OPTIMIZER_EXACT,
     "moves by what its moments hold: the optimizer that training.optimizer names, to rounding"},
    {"lazy", SR_ROW_OPTIMIZER_LAZY,
     "does not move, and its moments do not fade, nor does it decay: another optimizer, as PyTorch's SparseAdam; cheaper"},
    {NULL, 0, NULL}};

static const sr_choice new_rows_choices[] = {{"drawn", SR_NEW_ROWS_DRAWN, "as at the start of a training"},
                                             {"mean", SR_NEW_ROWS_MEAN, "as the mean of the rows that the checkpoint has"},
                                             {NULL, 0, NULL}};

static const sr_choice row_precision_choices[] = {
    {"fp32", SR_PRECISION_FP32, "as they are"},
    {"bf16", SR_PRECISION_BF16, "rounded to nearest, ties to even: half the bytes; owners keep rows and sums as they are"},
    {NULL, 0, NULL}};

static const sr_key training_keys[] = {
    SR_INTEGER("training", "epochs", sr_training_settings, epochs, 0, 1e6, "200", "passes over the training examples",
               .free_to_change = true),
    SR_INTEGER("training", "batch_size", sr_training_settings, batch_size, 1, 1e8, "256",
               "examples of a global batch, shared by all ranks"),
    SR_INTEGER(
        "training", "micro_batch", sr_training_settings, micro_batch, 0, 1e8, "0",
        "examples that a thread of a rank computes at a time, where its part of the batch is larger: gradients of several "
        "such parts are added up, in the memory of one; 0: the whole part at once",
        .free_to_change = true),
    SR_KEY("training", "optimizer", SR_KEY_CHOICE, sr_training_settings, optimizer, "adamw",
           "how parameters follow gradients; with weight_decay_kind l2 and no optimizer given the default is adam",
           .choice_at = optimizer_choice),
    SR_NUMBER("training", "learning_rate", sr_training_settings, learning_rate, 0, 1, "0.001",
              "of the optimizer, after warm-up", .above = true),
    SR_CHOICE("training", "batch_scaling", sr_training_settings, batch_scaling, batch_scaling_choices, "none",
              "how the learning rate follows the batch size"),
    SR_INTEGER("training", "base_batch_size", sr_training_settings, base_batch_size, 0, 1e8, "0",
               "the batch size that learning_rate was chosen for; 0: none, with batch_scaling none"),
};

/* Behind those of the optimizers. */
static const sr_key more_training_keys[] = {
    SR_NUMBER("training", "weight_decay", sr_training_settings, weight_decay, 0, 10, "0", "strength of weight decay; 0: none"),
    SR_CHOICE("training", "weight_decay_kind", sr_training_settings, weight_decay_kind, decay_choices, "decoupled",
              "how weight decay acts; with optimizer adam or sgd the default is l2"),
    SR_NUMBER("training", "clip_norm", sr_training_settings, clip_norm, 0, 1e9, "0",
              "largest norm of the whole gradient; 0: no clipping"),
    SR_CHOICE("training", "item_updates", sr_training_settings, item_updates, item_updates_choices, "every_step",
              "when an item's row that has no gradient in a step moves by the optimizer's state; the same within rounding",
              .free_to_change = true),
    SR_CHOICE("training", "row_optimizer", sr_training_settings, row_optimizer, row_optimizer_choices, "exact",
              "what an item's row does in a step that gives it no gradient; lazy with an item table that is divided"),
    SR_CHOICE("training", "row_precision", sr_training_settings, row_precision, row_precision_choices, "fp32",
              "how items' rows and their gradients travel between ranks in training; bf16 with an item table that is divided",
              .free_to_change = true),
    SR_CHOICE("training", "new_rows", sr_training_settings, new_rows, new_rows_choices, "drawn",
              "how rows of items and users start that the checkpoint of --from does not have", .free_to_change = true),
    SR_CHOICE("training", "schedule", sr_training_settings, schedule, schedule_choices, "constant",
              "learning rate after warm-up"),
    SR_INTEGER("training", "warmup_steps", sr_training_settings, warmup_steps, 0, 1e9, "0",
               "steps over which the learning rate rises from 0"),
    SR_NUMBER("training", "warmup_epochs", sr_training_settings, warmup_epochs, 0, 1e6, "0",
              "the same in epochs, and parts of one: it stays the same part of a training when the batch size changes"),
    SR_INTEGER("training", "seed", sr_training_settings, seed, 0, 9007199254740992.0, "42", "of every random number"),
    SR_CHOICE("training", "precision", sr_training_settings, precision, precision_choices, "fp32",
              "arithmetic of matrix products"),
    SR_NUMBER(
        "training", "kept_logits_megabytes", sr_training_settings, kept_logits_megabytes, 0, 1048576, "256",
        "logits of loss cross_entropy that a rank keeps from forward to backward, in MiB; the rest is computed again: slower, "
        "the same bits",
        .free_to_change = true),
    SR_INTEGER("training", "threads", sr_training_settings, threads, 0, 1024, "0",
               "threads of each rank, which share its part of a batch; 0: OMP_NUM_THREADS, or as many as the rank has cores to "
               "itself, of all ranks the least",
               .free_to_change = true),
    SR_CHOICE("training", "reduction", sr_training_settings, reduction, reduction_choices, "shared",
              "how gradients are summed over ranks", .free_to_change = true),
    SR_INTEGER("training", "skip_nonfinite_steps", sr_training_settings, skip_nonfinite_steps, 0, 1e6, "0",
               "steps in a row that are skipped when their loss or gradient is not finite; one more ends training, and so does "
               "the first with 0",
               .free_to_change = true),
    SR_INTEGER(
        "training", "compare_ranks_every_steps", sr_training_settings, compare_ranks_every_steps, 0, 1e12, "1000",
        "steps between comparisons of the parameters of all ranks, which must be equal to the bit (rows of a divided item "
        "table, which one rank has, are not compared); 0: only before every checkpoint",
        .free_to_change = true),
    SR_CHOICE("training", "reduction_precision", sr_training_settings, reduction_precision, reduction_precision_choices, "fp32",
              "how gradients travel between ranks"),
    SR_TEXT("training.early_stopping", "metric", sr_training_settings, early_stopping.metric, "ndcg@10",
            "hr@K, ndcg@K or mrr@K on the validation split, K one of evaluation.top_k; the best parameters by it are kept"),
    SR_INTEGER("training.early_stopping", "patience", sr_training_settings, early_stopping.patience, 0, 1e6, "10",
               "validations without a strictly better metric after which training stops; 0: never"),
};

static const sr_gone_key gone_from_training[] = {
    {"training.reduction", "overlapped", .was = "summed gradients over ranks while backward went on, which was slower",
     .now = "they are summed after backward", .instead = "write blocking, or shared", .continued = "blocking"},
    {"training.reduction_bucket_megabytes", .was = "was the size of the messages in which gradients are summed",
     .now = "they have 1 MiB", .instead = "leave it out"},
};

static const sr_key checkpoint_keys[] = {
    SR_INTEGER("checkpoint", "every_epochs", sr_checkpoint_settings, every_epochs, 0, 1e6, "1",
               "epochs between checkpoints; 0: not by epochs"),
    SR_INTEGER("checkpoint", "every_steps", sr_checkpoint_settings, every_steps, 0, 1e12, "0",
               "steps between checkpoints; 0: not by steps"),
    SR_NUMBER("checkpoint", "every_minutes", sr_checkpoint_settings, every_minutes, 0, 1e6, "0",
              "minutes between checkpoints; 0: not by time"),
    SR_INTEGER("checkpoint", "keep", sr_checkpoint_settings, keep, 2, 1000, "2",
               "how many of the newest checkpoints stay on disk"),
    SR_CHOICE("checkpoint", "writing", sr_checkpoint_settings, writing, writing_choices, "overlapped",
              "how a checkpoint is written from which training goes on at once; the last one before the end of the program is "
              "always blocking"),
    SR_NUMBER("checkpoint", "slowest_megabytes_per_second", sr_checkpoint_settings, slowest_megabytes_per_second, 1e-3, 1e6,
              "10",
              "what the file system does for all ranks together when it is slowest: so much longer than --stall-timeout may "
              "ranks be at a checkpoint or at the data set before they count as standing still"),
};

static const sr_key logging_keys[] = {
    SR_INTEGER("logging", "every_steps", sr_logging_settings, every_steps, 1, 1e9, "50",
               "steps between `train` lines in metrics.jsonl"),
    SR_BOOLEAN("logging", "tensorboard", sr_logging_settings, tensorboard, "false",
               "also writes what metrics.jsonl gets as an event file for TensorBoard, into the folder tensorboard of the run"),
};

/* ---- rules ---- */

static bool takes_all(const void *part)
{
    const sr_training_settings *training = part;
    return training->weight_decay_kind == SR_WEIGHT_DECAY_DECOUPLED &&
           sr_full_learning_rate(training) * training->weight_decay >= 1;
}

static bool warms_up_twice(const void *part)
{
    const sr_training_settings *training = part;
    return training->warmup_steps > 0 && training->warmup_epochs > 0;
}

static bool scales_halfway(const void *part)
{
    const sr_training_settings *training = part;
    return (training->batch_scaling == SR_BATCH_SCALING_NONE) != (training->base_batch_size == 0);
}

static const sr_rule rules[] = {
    SR_RULE("training.weight_decay", "training.learning_rate", takes_all,
            "their product is the share of every weight that decoupled decay takes away in a step, and must be below 1"),
    SR_RULE("training.batch_scaling", "training.base_batch_size", scales_halfway,
            "a learning rate follows the batch size from the one that it was chosen for; give both, or none"),
    SR_RULE("training.warmup_epochs", "training.warmup_steps", warms_up_twice,
            "both say how long the learning rate rises; leave one of them out"),
};

double sr_full_learning_rate(const sr_training_settings *settings)
{
    const double ratio = (double)settings->batch_size / (double)settings->base_batch_size;
    switch (settings->batch_scaling) {
    case SR_BATCH_SCALING_SQUARE_ROOT:
        return settings->learning_rate * sqrt(ratio);
    case SR_BATCH_SCALING_LINEAR:
        return settings->learning_rate * ratio;
    case SR_BATCH_SCALING_NONE:
        break;
    }
    return settings->learning_rate;
}

size_t sr_micro_batches(const sr_training_settings *settings, size_t workers)
{
    if (settings->micro_batch == 0)
        return 1;
    const size_t together = workers * (size_t)settings->micro_batch;
    return ((size_t)settings->batch_size + together - 1) / together;
}

/* ---- the schema ---- */

void sr_training_add_section(sr_schema *schema)
{
    sr_schema_add_section(
        schema, &(sr_section){.path = "training", .help = "the objective and its optimisation", .in_use = SR_ALWAYS_IN_USE});
}

void sr_early_stopping_add_section(sr_schema *schema)
{
    sr_schema_add_section(schema, &(sr_section){.path = "training.early_stopping",
                                                .help = "when to stop before the last epoch",
                                                .in_use = SR_ALWAYS_IN_USE,
                                                .free_to_change = true});
}

void sr_training_add_keys(sr_schema *schema, size_t at)
{
    sr_schema_add_group(schema, &(sr_key_group){SR_KEYS(training_keys), .keys_at = at});
    optimizers_add_keys(schema, at);
    sr_schema_add_group(schema, &(sr_key_group){SR_KEYS(more_training_keys), .keys_at = at, SR_RULES(rules), .rules_at = at,
                                                SR_GONE(gone_from_training)});
}

void sr_run_add_sections(sr_schema *schema)
{
    sr_schema_add_section(schema, &(sr_section){.path = "checkpoint",
                                                .help = "when the state is saved",
                                                .in_use = SR_ALWAYS_IN_USE,
                                                .free_to_change = true});
    sr_schema_add_section(
        schema,
        &(sr_section){.path = "logging", .help = "what is reported", .in_use = SR_ALWAYS_IN_USE, .free_to_change = true});
}

void sr_run_add_keys(sr_schema *schema, size_t checkpoint_at, size_t logging_at)
{
    sr_schema_add_group(schema, &(sr_key_group){SR_KEYS(checkpoint_keys), .keys_at = checkpoint_at});
    sr_schema_add_group(schema, &(sr_key_group){SR_KEYS(logging_keys), .keys_at = logging_at});
}
