/* How the arrays of a file differ from the parameters of a model: everything is collected, so that one message tells it all. */
#ifndef SRTRAIN_STORAGE_MISMATCHES_H
#define SRTRAIN_STORAGE_MISMATCHES_H

#include "srtrain/parameters.h"
#include "srtrain/status.h"

#include <hdf5.h>
#include <stdbool.h>

typedef struct {
    const sr_parameters *parameters;
    char text[3072]; /* the first of them, a line each; leaves room in an error for what stands around it */
    size_t used, shown;
    size_t count; /* all of them */
} mismatch_list;

/* Adds "WHAT: NAME DETAIL". */
void mismatch_add(mismatch_list *list, const char *what, const char *name, const char *detail);

/* Opens the dataset of `group` that has a parameter's name: *set is closed by the caller, or -1, when it is missing or is no
 * array. Whether it also has the parameter's shape. */
bool mismatch_open(mismatch_list *list, hid_t group, const sr_parameter *parameter, hid_t *set);

/* Adds every name in `group` that no parameter has, with the nearest that one has. SR_ERROR_DATA when the group cannot be
 * listed. */
sr_status mismatch_find_unknown(mismatch_list *list, hid_t group, const char *path, sr_error *error);

/* SR_ERROR_DATA with the list, unless it is empty. */
sr_status mismatch_report(const mismatch_list *list, const char *path, sr_error *error);

#endif
