/* Results as rows of named numbers, from which the CSV and the JSON are made. A number that is not known is NAN: empty in CSV,
 * null in JSON. */
#ifndef SRTRAIN_SCALING_ROWS_H
#define SRTRAIN_SCALING_ROWS_H

#include "srtrain/status.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { ROW_VALUES = 24 };

typedef struct {
    const char *kind; /* "strong" or "weak" */
    double values[ROW_VALUES];
} result_row;

/* Writes rows below a line with "kind" and `names` [count]. */
sr_status rows_write_csv(const char *directory, const char *file_name, const char *const *names, size_t count,
                         const result_row *rows, size_t row_count, sr_error *error);

/* Adds an array of objects; false when memory runs out. */
bool rows_add_json(cJSON *object, const char *name, const char *const *names, size_t count, const result_row *rows,
                   size_t row_count);

typedef struct {
    double median, minimum, maximum;
} spread;

/* Sorts the values, of which there is at least one. */
spread spread_of(double *values, size_t count);

/* Opens DIRECTORY/NAME for writing, and closes it, with an error if anything could not be written. */
sr_status open_result(const char *directory, const char *name, FILE **file, sr_error *error);
sr_status close_result(const char *directory, const char *name, FILE *file, sr_error *error);

#endif
