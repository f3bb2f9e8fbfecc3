/* The file of an analysis, analysis.h5: docs/analysis.md lists what is in it. Local; for rank 0. */
#ifndef SRTRAIN_EVALUATE_ANALYSIS_FILE_H
#define SRTRAIN_EVALUATE_ANALYSIS_FILE_H

#include "srtrain/analysis.h"

/* Where an analysis comes from. */
typedef struct {
    const char *checkpoint; /* path */
    const char *backbone;
    const char *program_version;
    int64_t step; /* of the model */
} sr_analysis_origin;

/* Writes the file. It is on disk when this succeeds. */
sr_status sr_analysis_write(const char *path, const sr_analysis *analysis, const sr_analysis_origin *origin,
                            const sr_dataset *dataset, sr_error *error);

/* How a token of an example is named: the item's identifier in the raw data, "[mask]" or "[padding]". Not null-terminated:
 * *length bytes. */
const char *sr_analysis_token_name(const sr_dataset *dataset, int32_t item, size_t *length);

#endif
