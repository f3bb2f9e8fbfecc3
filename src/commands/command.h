/* The commands of srtrain: one file command_NAME.c each, one row each in the table of main.c. */
#ifndef SRTRAIN_COMMANDS_COMMAND_H
#define SRTRAIN_COMMANDS_COMMAND_H

#include "srtrain/command_line.h"
#include "srtrain/cpu.h"
#include "srtrain/dataset.h"
#include "srtrain/item_names.h"
#include "srtrain/log.h"
#include "srtrain/model.h"
#include "srtrain/parallel.h"
#include "srtrain/settings.h"
#include "srtrain/status.h"
#include "srtrain/watchdog.h"

/* What a command is called with. `parallel` and `log` are NULL for local commands; `log` is NULL on all ranks but 0.
 * arguments[0] is the command's name, for messages. */
typedef struct {
    sr_parallel *parallel;
    sr_log *log;
    sr_watchdog *watchdog; /* of command_watch(); ends after the command */
    sr_cpu cpu;            /* what the ranks have agreed on; not in local commands */
    double started;        /* when the program began, on the clock of sr_seconds() */
    int argument_count;
    char **arguments;
} command_context;

typedef sr_status (*command_function)(command_context *context, sr_error *error);

sr_status command_train(command_context *context, sr_error *error);
sr_status command_evaluate(command_context *context, sr_error *error);
sr_status command_recommend(command_context *context, sr_error *error);
sr_status command_similar(command_context *context, sr_error *error);
sr_status command_encode(command_context *context, sr_error *error);
sr_status command_export(command_context *context, sr_error *error);
sr_status command_analyze(command_context *context, sr_error *error);
sr_status command_import(command_context *context, sr_error *error);
sr_status command_plan(command_context *context, sr_error *error);    /* local */
sr_status command_compare(command_context *context, sr_error *error); /* local */
sr_status command_report(command_context *context, sr_error *error);  /* local */
sr_status command_models(command_context *context, sr_error *error);  /* local */
sr_status command_config(command_context *context, sr_error *error);  /* local */

/* ---- same_on_ranks.c: ranks that were given different things fail together, with SR_ERROR_USAGE. Collective. ---- */

/* sr_command_line_read() for the command of `context`, and whether all ranks have the same options, but for
 * assignments; with `compares_operand` the same operand, too. Local where the context has no ranks. */
sr_status command_line_read(const command_context *context, const char *operand_name, const char **operand,
                            const sr_option *options, size_t count, bool compares_operand, sr_error *error);

/* The same program, and the same of its commands. */
sr_status command_compare_programs(sr_parallel *parallel, const char *command, sr_error *error);

/* The same configuration; `path` is where this rank has it from. */
sr_status command_compare_settings(sr_parallel *parallel, const char *path, const sr_settings *settings, sr_error *error);

/* ---- stall_timeout.c ---- */

/* The option --stall-timeout; 0 is never. */
sr_option stall_timeout_option(double *seconds);

/* What the arguments of a command will say of it, before they are read: the standard where they say nothing that it
 * could be. */
double stall_timeout_look(int argument_count, char *const *arguments);

/* For commands other than train: from now on this rank is in `phase`, and no rank waits for longer than
 * `stall_seconds`. The ranks' notes are written in the working directory, and only when they stall. Collective. */
sr_status command_watch(command_context *context, double stall_seconds, sr_phase phase, sr_error *error);

/* ---- checkpointed_model.c: what evaluate and recommend start from ---- */

typedef struct {
    sr_settings settings; /* those of the checkpoint, with --set evaluation.* applied */
    sr_dataset *dataset;
    sr_dataset *trained_on;    /* the model's own data set, where its identifiers are needed beside `dataset`; or NULL */
    sr_item_names *item_names; /* those of the model, where `dataset` has others, or where they are asked for; or NULL */
    sr_model *model;
} checkpointed_model;

/* Values of --set, and the names of the keys that the command has a use for, ending with NULL. */
typedef struct {
    sr_text_list assignments;
    const char *const *keys;
    bool takes_other_data; /* a data set that the model was not trained on is read by the identifiers of its items */
    bool needs_item_names; /* `item_names` is to be filled */
    bool whole_table;      /* every rank has the whole item table, however it was trained */
    bool may_lack_data;    /* without --data, `dataset` may stay NULL where the checkpoint carries identifiers */
} evaluation_keys;

/* The option --memory: for identifiers of items that are looked up at a time. `help` says when and how. */
sr_option lookup_memory_option(uint64_t *bytes, const char *help);

/* Loads the model of a checkpoint and the data set in `data` (NULL: the one it was trained on), which must be that
 * same data, unless the command takes other data. Its item table is divided among the threads of all ranks if it was
 * in training (model.item_table), and with auto if it is too large; but not if it has fewer items than there are
 * threads. The context's log is told of settings that the checkpoint has and that are gone. SR_ERROR_USAGE if `set`
 * has another key than those. Collective. */
sr_status checkpointed_model_load(checkpointed_model *loaded, const command_context *context, const char *checkpoint,
                                  const char *data, const evaluation_keys *set, sr_error *error);
void checkpointed_model_free(checkpointed_model *loaded);

/* The option --split: *split becomes SR_SPLIT_VALID or SR_SPLIT_TEST. */
sr_option held_out_option(int *split, const char *help);

#endif
