/* Raw formats: one file each in this folder, one row each in the table of reader.c. */
#ifndef SRTRAIN_DATA_PREP_READER_H
#define SRTRAIN_DATA_PREP_READER_H

#include "../interactions.h"
#include "base/lines.h"

/* Options of the format csv; convert refuses them with any other. */
typedef struct {
    const char *columns;   /* "user=0,item=1,time=3,rating=2", numbers from 0 or names of the header */
    const char *delimiter; /* one or more characters; NULL: "," */
    bool header;           /* each file starts with a line of column names */
} reader_options;

typedef struct {
    const char *name;
    const char *help;
    /* Adds all interactions of one file, and sets has_times and has_ratings. A line that does not fit is an error. */
    sr_status (*read)(lines *file, const reader_options *options, interactions *all, sr_error *error);
} reader;

extern const reader readers[];
extern const size_t reader_count;

const reader *reader_find(const char *name);

sr_status read_recbole(lines *file, const reader_options *options, interactions *all, sr_error *error);
sr_status read_movielens_100k(lines *file, const reader_options *options, interactions *all, sr_error *error);
sr_status read_sequences(lines *file, const reader_options *options, interactions *all, sr_error *error);
sr_status read_pairs(lines *file, const reader_options *options, interactions *all, sr_error *error);
sr_status read_csv(lines *file, const reader_options *options, interactions *all, sr_error *error);

/* ---- shared by readers ---- */

/* Which column holds what; SIZE_MAX for none. */
typedef struct {
    size_t user, item, time, rating;
} column_choice;

/* Adds the interaction of a line that has been split into `count` fields. `line` is for messages. */
sr_status reader_add_fields(const lines *file, const char *line, char *const *fields, size_t count,
                            const column_choice *columns, interactions *all, sr_error *error);

/* Splits at each occurrence of `delimiter`, in place; at most `room` fields are stored, all are counted. */
size_t reader_split(char *line, const char *delimiter, char **fields, size_t room);

enum { READER_FIELDS = 256 };

#endif
