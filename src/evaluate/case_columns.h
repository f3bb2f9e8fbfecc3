/* What a file of cases says of each: lines of a TSV file, or elements of datasets of an HDF5 file; docs/formats.md describes
 * both. Local. */
#ifndef SRTRAIN_EVALUATE_CASE_COLUMNS_H
#define SRTRAIN_EVALUATE_CASE_COLUMNS_H

#include "evaluate/case_spools.h"
#include "srtrain/dataset.h"

#include <hdf5.h>

typedef enum {
    CASE_USER,
    CASE_TARGET,
    CASE_RANK,
    CASE_SCORE,
    CASE_LENGTH,
    CASE_POPULARITY,
    CASE_REPEAT,
    CASE_TOP,
    CASE_COLUMNS
} case_column;

/* The column of the best items is there if there are any (`top_k`), and has that many elements a case. */
const char *case_column_name(case_column column);
size_t case_column_elements(case_column column, size_t top_k);

/* Bytes of an element, and its type in HDF5, closed by the caller; negative after a failure. */
size_t case_column_size(case_column column, const sr_dataset *dataset);
hid_t case_column_type(case_column column, const sr_dataset *dataset);

/* The elements of `count` records of `record_bytes` each. */
void case_column_fill(case_column column, const sr_dataset *dataset, const case_spools *layout, const char *records,
                      size_t count, char *elements);

/* The header line, and the line of a case. */
void case_header_write(FILE *file, size_t top_k);
void case_line_write(FILE *file, const sr_dataset *dataset, const case_record *record, size_t top_k);

#endif
