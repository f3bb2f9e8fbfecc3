/* The first half of the engine: interactions come in one by one in the order of the input, and leave as sorted runs.
 *
 * As long as they fit, interactions and identifiers stay in memory. When they do not, or when there are several ranks, what is
 * in memory becomes a run: its identifiers in the order of their hashes, its interactions by (user, time, order), both in
 * temporary files. Hashes decide which rank goes on with an identifier, so that a run consists of one part for each rank. */
#ifndef SRTRAIN_DATA_PREP_ENGINE_COLLECT_H
#define SRTRAIN_DATA_PREP_ENGINE_COLLECT_H

#include "engine/item_list.h"
#include "interaction.h"

/* One interaction on its way through the engine. */
typedef struct {
    uint32_t user, item; /* numbers of identifiers: within the run at first, later of all */
    int64_t time;   /* with one line a user: the number of its part in the upper bits, of its line there in the lower ones */
    uint64_t order; /* of the input: the number of its part in the upper bits, its place there in the lower ones */
} event;

enum { ORDER_PART_SHIFT = 40 };

/* Which interactions come in at all. */
typedef struct {
    bool has_min_rating, has_after, has_before;
    double min_rating;
    int64_t after, before;     /* after <= time < before */
    const name_table *items;   /* only these; NULL: all */
    const item_list *too_long; /* only these, which gathering sees to; NULL: all */
} entry_filter;

/* Where the part of a run for each rank begins in the files of the rank that wrote it: counted in identifiers, bytes, events.
 */
typedef struct {
    uint64_t users, user_bytes, items, item_bytes, events;
} run_bounds;

typedef struct {
    workplace *place;
    entry_filter filter;
    bool one_line_a_user;
    name_table users, items;
    event *events;
    size_t count, room;
    uint64_t next_order;
    uint64_t low_rating, out_of_time, not_listed, kept; /* counts */
    int64_t first_time, last_time;                      /* of all that were kept */
    bool spilled;
    store run_events, run_users, run_items;
    store_writer event_writer, user_writer, item_writer;
    uint64_t written_users, written_items, written_events;
    run_bounds *bounds; /* [runs, ranks + 1] */
    size_t runs;
} collector;

/* `filter` is copied. With `one_line_a_user` an event's time says which line it comes from. Release with collector_free().
 * Local. */
sr_status collector_create(collector *c, workplace *place, bool one_line_a_user, const entry_filter *filter, sr_error *error);
void collector_free(collector *c);

/* What follows belongs to part `part` of the input, which comes behind all parts with lower numbers. Local. */
void collector_begin_part(collector *c, uint64_t part);

/* The number of interactions of the part, dropped ones included. Local. */
uint64_t collector_part_size(const collector *c);

/* Adds one; its line tells the lines of a part apart. Local. */
sr_status collector_add(collector *c, const interaction *added, sr_error *error);

/* After the last one: with one rank whose input has fitted into memory, and without a long list of items, sorts it there;
 * otherwise writes the last run. Local,
 * but with several ranks the directory for temporary files must have been made. */
sr_status collector_finish(collector *c, sr_error *error);

#endif
