/* Everything that srprep convert is asked for. */
#ifndef SRTRAIN_DATA_PREP_CONVERSION_H
#define SRTRAIN_DATA_PREP_CONVERSION_H

#include "engine/engine.h"
#include "inputs.h"
#include "reading_options.h"

typedef struct {
    reading_request reading;
    input_request request;
    input_list inputs;
    const char *output, *split_text, *gap_text;
    const char *temporary, *item_list, *report, *after, *before;
    uint64_t shards, memory;
    user_rules rules;
    entry_filter entry;
    split_rule split;
    bool has_split;
    int duplicates, cold; /* a deduplication, a cold_rule */
} conversion;

/* Reads the command line, and checks what can be checked before the input is read. c is zero. */
sr_status conversion_read_options(int argument_count, char **arguments, conversion *c, sr_error *error);

/* How the data set was made, as JSON: nothing that does not change it, as memory or the number of ranks. Release with
 * cJSON_free(); NULL if memory is short. */
char *conversion_describe(const conversion *c, const reader_facts *facts);

#endif
