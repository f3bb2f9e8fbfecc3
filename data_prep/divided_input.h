/* Reading the input, divided among ranks. */
#ifndef SRTRAIN_DATA_PREP_DIVIDED_INPUT_H
#define SRTRAIN_DATA_PREP_DIVIDED_INPUT_H

#include "engine/collect.h"
#include "inputs.h"
#include "readers/reader.h"

typedef struct {
    const raw_format *format;
    const reader_options *options;
    const input_list *files;
    const char *after, *before; /* bounds of the time range as in the input; NULL for none */
} input_plan;

/* What all files together came to. */
typedef struct {
    parse_report report;
    reader_facts reading;
    uint64_t *part_starts;   /* interactions in front of each part; release with free() */
    uint64_t *part_lines;    /* lines of its file in front of each part; release with free() */
    const char **part_paths; /* the file of each part; release with free() */
    uint8_t *part_given;     /* the given_part of each part; release with free() */
    uint64_t records;
} input_facts;

void input_facts_free(input_facts *facts);

/* Hands all interactions to the collectors of the ranks, whose filters learn the time range. A plain file whose lines stand for
 * themselves is cut into a part for each rank; any other goes to one rank as a whole, and everything to rank 0 when one of
 * several is standard input. Files must agree in what they hold. Collective. */
sr_status input_read(workplace *place, const input_plan *plan, collector *to, input_facts *facts, sr_error *error);

#endif
