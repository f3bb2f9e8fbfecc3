/* The commands of srtrain: one file each, one row each in the table of main.c. */
#ifndef SRTRAIN_COMMANDS_COMMAND_H
#define SRTRAIN_COMMANDS_COMMAND_H

#include "srtrain/dataset.h"
#include "srtrain/log.h"
#include "srtrain/model.h"
#include "srtrain/parallel.h"
#include "srtrain/status.h"


/* What a command is called with. `parallel` and `log` are NULL for local commands; `log` is NULL on all ranks but 0. arguments[0] is the
 * command's name, for messages. */
typedef struct {
    sr_parallel *parallel;
    sr_log *log;
    int argument_count;
    char **arguments;
} command_context;

typedef sr_status (*command_function)(command_context *context, sr_error *error);

sr_status command_train(command_context *context, sr_error *error);
sr_status command_evaluate(command_context *context, sr_error *error);
sr_status command_recommend(command_context *context, sr_error *error);
sr_status command_models(command_context *context, sr_error *error); /* local */
sr_status command_config(command_context *context, sr_error *error); /* local */

/* ---- options.c: reading the command line ---- */

enum { COMMAND_ASSIGNMENTS_MAXIMUM = 256 };

/* An option "--name VALUE" and where its value goes. */
typedef struct {
    const char *name;    /* without dashes */
    const char **value;  /* NULL for --set, which may be repeated */
} command_option;

/* What was found on a command line. */
typedef struct {
    const char *operand; /* the single argument that is no option: CONFIG.yaml or CHECKPOINT */
    const char *assignments[COMMAND_ASSIGNMENTS_MAXIMUM]; /* of --set */
    size_t assignment_count;
} command_line;

/* Reads the command line. `operand_name` stands for the operand in messages (NULL: the command takes none). SR_ERROR_USAGE for an unknown
 * option (with the nearest known one), a missing value, and a missing or second operand. */
sr_status command_line_read(command_line *line, const command_context *context, const char *operand_name,
                            const command_option *options, size_t option_count, sr_error *error);

/* ---- checkpointed_model.c: what evaluate and recommend start from ---- */

typedef struct {
    sr_settings settings; /* those of the checkpoint, with --set evaluation.* applied */
    sr_dataset *dataset;
    sr_model *model;
} checkpointed_model;

/* Loads the model of a checkpoint and the data set in `data` (NULL: the one it was trained on), which must be that same data. Collective. */
sr_status checkpointed_model_load(checkpointed_model *loaded, sr_parallel *parallel, const char *checkpoint, const char *data,
                                  const command_line *line, sr_error *error);
void checkpointed_model_free(checkpointed_model *loaded);

#endif
