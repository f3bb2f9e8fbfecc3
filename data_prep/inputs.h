/* Which files a conversion reads. */
#ifndef SRTRAIN_DATA_PREP_INPUTS_H
#define SRTRAIN_DATA_PREP_INPUTS_H

#include "interaction.h"
#include "srtrain/command_line.h"

#include <stddef.h>

typedef struct {
    char **paths;
    size_t count, room;
    bool is_given;                 /* files say what is for training, validation and test: */
    size_t given_end[GIVEN_PARTS]; /* those of each part are in front of its end, and behind that of the one before */
} input_list;

/* What the command line says of them. */
typedef struct {
    sr_text_list files;
    sr_text_list given[GIVEN_PARTS]; /* --train, --valid, --test */
    const char *list;                /* a text file with further names, one a line; NULL: none */
    bool recursive;                  /* directories in directories are gone through as well */
} input_request;

/* The files of --input and of the list, in this order, or those of --train, --valid and --test. A directory stands for all
 * files in it, sorted by name, but for hidden ones. SR_ERROR_USAGE if there are none or both kinds, SR_ERROR_RUNTIME for a
 * directory that cannot be read, SR_ERROR_DATA for one without files. Release with inputs_free(), also after a failure. */
sr_status inputs_collect(input_list *inputs, const input_request *request, sr_error *error);

/* The part that the files of this number are for. */
given_part inputs_part(const input_list *inputs, size_t file);

void inputs_free(input_list *inputs);

#endif
