/* A list of the items that are kept, of any length. As long as it is short it is a table, and collecting looks items up there.
 * A longer one becomes sorted runs in a temporary file, which gathering merges with the identifiers of the data. */
#ifndef SRTRAIN_DATA_PREP_ENGINE_ITEM_LIST_H
#define SRTRAIN_DATA_PREP_ENGINE_ITEM_LIST_H

#include "base/names.h"
#include "engine/workplace.h"

/* Identifiers of a run, in the order of name_compare(). */
typedef struct {
    uint64_t begin, end; /* bytes of the file */
    uint64_t count;
} item_list_run;

typedef struct {
    bool is_long;
    name_table table; /* of a short list: all of it, on every rank */
    store file;       /* of a long one: the identifiers that belong to this rank */
    item_list_run *runs;
    size_t count, room;
} item_list;

/* Reads a text file with one identifier a line. A sixteenth of the memory is enough for it. Release with item_list_free(), also
 * after a failure. Collective. */
sr_status item_list_read(item_list *list, workplace *place, const char *path, sr_error *error);
void item_list_free(item_list *list);

#endif
