/* The configuration of a run: all sections together.
 *
 * Each part is described by its owner (data_settings.h, model_settings.h, training_settings.h, evaluation_settings.h) for the
 * mechanics of config.h. This module puts them together, and knows the rules between parts of different owners. */
#ifndef SRTRAIN_SETTINGS_H
#define SRTRAIN_SETTINGS_H

#include "srtrain/config.h"
#include "srtrain/data_settings.h"
#include "srtrain/evaluation_settings.h"
#include "srtrain/model_settings.h"
#include "srtrain/sampler.h"
#include "srtrain/training_settings.h"

/* Owns nothing; may be copied. */
typedef struct {
    char name[SR_NAME_SIZE]; /* of the run: the configuration file's name without ".yaml"; not a key */
    sr_data_settings data;
    sr_model_settings model;
    sr_training_settings training;
    sr_evaluation_settings evaluation;
    sr_checkpoint_settings checkpoint;
    sr_logging_settings logging;
} sr_settings;

/* The schema of sr_settings. */
void sr_settings_schema(sr_schema *schema);

/* Every default, as the schema states it. */
void sr_settings_default(sr_settings *settings);

/* Reads the YAML file at `path` over the defaults, then applies assignments "section.key=value", then checks: see
 * sr_schema_parse(), whose errors these are. */
sr_status sr_settings_read(sr_settings *settings, const char *path, const char *const *assignments, size_t assignment_count,
                           sr_error *error);

/* The same from YAML text; `name` stands for the file in messages. */
sr_status sr_settings_parse(sr_settings *settings, const char *text, const char *name, const char *const *assignments,
                            size_t assignment_count, sr_error *error);

/* The same from the text that a checkpoint holds: see sr_schema_parse(). */
sr_status sr_settings_parse_stored(sr_settings *settings, const char *text, const char *name, const char *const *assignments,
                                   size_t assignment_count, const sr_stored_reading *stored, sr_error *error);

/* What a training with these settings takes of a data set, and the sampler that draws it: sr_sampler_create(). */
sr_sampling sr_settings_sampling(const sr_settings *settings);
static inline sr_status sr_settings_sampler(sr_sampler **sampler, const sr_dataset *dataset, const sr_settings *settings,
                                            sr_error *error)
{
    const sr_sampling sampling = sr_settings_sampling(settings);
    return sr_sampler_create(sampler, dataset, &sampling, error);
}

/* Changes one setting and checks its value alone, no rule. */
sr_status sr_settings_assign(sr_settings *settings, const char *assignment, sr_error *error);

/* Copies what may differ between a checkpoint and the run that goes on from it; and what a checkpoint does not settle whose
 * parameters no step has trained yet (srtrain import): everything but the model. */
void sr_settings_copy_free(sr_settings *to, const sr_settings *from);
void sr_settings_copy_training(sr_settings *to, const sr_settings *from);

/* Calls `differs` for every key in which two configurations differ: sr_schema_compare(). */
void sr_settings_compare(const sr_settings *left, const sr_settings *right, sr_difference_function differs, void *context);

/* Writes the resolved configuration as YAML that sr_settings_read() reads back to the same settings, each key with its
 * help as a comment if `with_help`. */
sr_status sr_settings_write(const sr_settings *settings, FILE *file, bool with_help, sr_error *error);

/* The same into a string; release with free(). */
sr_status sr_settings_text(const sr_settings *settings, char **text, sr_error *error);

/* Every backbone, calibrator, loss and option with type, range or choices, default and help: `srtrain models` as plain text,
 * docs/configuration.md as Markdown. */
sr_status sr_settings_describe(FILE *file, bool markdown, sr_error *error);

/* The page srtrain-config(5) of the manual, in roff; and lines for the completion of bash: _srtrain_choices[section.key]="..."
 * for every key, with its choices if it has any. */
sr_status sr_settings_manual(FILE *file, const char *version, sr_error *error);
void sr_settings_completion(FILE *file);

/* The name of a choice, as it stands in YAML: sr_settings_choice("training.loss", 1) is "bpr". NULL if there is none. */
const char *sr_settings_choice(const char *path, int value);

#endif
