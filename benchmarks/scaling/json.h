/* What other benchmarks have written as JSON. */
#ifndef SRTRAIN_BENCHMARKS_SCALING_JSON_H
#define SRTRAIN_BENCHMARKS_SCALING_JSON_H

#include "srtrain/status.h"

#include <cjson/cJSON.h>

/* The document in a file; release it with cJSON_Delete(). SR_ERROR_RUNTIME when there is none. */
sr_status json_read(const char *path, cJSON **json, sr_error *error);

/* A number of an object; 0 where there is none of that name. */
double json_number(const cJSON *object, const char *name);

#endif
