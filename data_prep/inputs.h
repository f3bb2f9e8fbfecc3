/* Which files a conversion reads. */
#ifndef SRTRAIN_DATA_PREP_INPUTS_H
#define SRTRAIN_DATA_PREP_INPUTS_H

#include "srtrain/command_line.h"

#include <stddef.h>

typedef struct {
    char **paths;
    size_t count, room;
} input_list;

/* The files of --input, in this order; a directory stands for all files in it, sorted by name, but for hidden ones. Then those
 * that the text file `list` (NULL: none) names, one a line. SR_ERROR_USAGE if there are none, SR_ERROR_RUNTIME for a directory
 * that cannot be read, SR_ERROR_DATA for one without files. Release with inputs_free(), also after a failure. */
sr_status inputs_collect(input_list *inputs, const sr_text_list *given, const char *list, sr_error *error);
void inputs_free(input_list *inputs);

#endif
