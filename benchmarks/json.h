/* What benchmarks write as JSON, and read of each other. */
#ifndef SRTRAIN_BENCHMARKS_JSON_H
#define SRTRAIN_BENCHMARKS_JSON_H

#include "srtrain/status.h"

#include <cjson/cJSON.h>

/* The document in a file; release it with cJSON_Delete(). SR_ERROR_RUNTIME when there is none. */
sr_status json_read(const char *path, cJSON **json, sr_error *error);

/* Writes a document; NULL stands for one that memory was too short for. SR_ERROR_RUNTIME when it cannot be written. */
sr_status json_write(const char *path, const cJSON *document, sr_error *error);

/* A number of an object; 0 where there is none of that name. */
double json_number(const cJSON *object, const char *name);

#endif
