/* What benchmarks write as JSON. */
#ifndef SRTRAIN_BENCHMARKS_JSON_H
#define SRTRAIN_BENCHMARKS_JSON_H

#include "srtrain/status.h"

#include <cjson/cJSON.h>

/* Writes a document; NULL stands for one that memory was too short for. SR_ERROR_RUNTIME when it cannot be written. */
sr_status json_write(const char *path, const cJSON *document, sr_error *error);

#endif
