/* The file of every test case, which all ranks write. Collective unless it says "local". */
#ifndef SRTRAIN_EVALUATE_CASE_FILE_H
#define SRTRAIN_EVALUATE_CASE_FILE_H

#include "evaluate/case_spools.h"
#include "srtrain/evaluate.h"
#include "srtrain/output_file.h"

typedef struct {
    sr_parallel *parallel;
    const sr_dataset *dataset;
    bool is_text;
    sr_output_file output; /* rank 0 */
    char *place;           /* on every rank: where the bytes go until the file has its name */
    case_spools spools;
} case_file;

/* Makes the file under the name that it has until it is complete, so that one that cannot be written is known before the work.
 * Ends with case_file_close(), also after a failure. */
sr_status case_file_open(case_file *file, sr_parallel *parallel, const sr_dataset *dataset, const sr_case_request *request,
                         sr_error *error);

/* `status` is how the work has ended on all ranks. With SR_OK all `cases`, of which there are some, have been added to the
 * spools; they are written, and the file gets its name. Otherwise nothing of it remains. */
sr_status case_file_close(case_file *file, sr_status status, uint64_t cases, sr_error *error);

#endif
