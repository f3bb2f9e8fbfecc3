/* What readers share. */
#ifndef SRTRAIN_DATA_PREP_READING_H
#define SRTRAIN_DATA_PREP_READING_H

#include "numbers.h"
#include "reader.h"

enum { READER_FIELDS = 256 };

/* Which column holds what; SIZE_MAX for none. */
typedef struct {
    size_t user, item, time, rating;
} column_choice;

/* One file while it is read. */
struct reading {
    lines *file;
    const reader_options *options;
    const reader_sink *sink;
    parse_report *report;
    reader_facts *facts;
    uint32_t file_number;
    bool strict;
    column_choice columns;
    size_t column_count; /* that each line must have; 0: as many as the first */
    field fields[READER_FIELDS];
    char *scratch; /* a copy of a record, to take quotes off */
    size_t scratch_room;
};

/* The next data line, or NULL at the end. Lines with null bytes are dropped. */
sr_status reading_line(reading *r, const char **line, size_t *length, sr_error *error);

/* The header line of a file. */
sr_status reading_header(reading *r, const char **line, size_t *length, sr_error *error);

/* Drops the line read last, or fails if the reading is strict. */
sr_status reading_drop(reading *r, drop_reason reason, sr_error *error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Hands on the interaction whose `count` fields stand in r->fields, or drops the line. */
sr_status reading_add_fields(reading *r, size_t count, sr_error *error);

/* Hands on an interaction; the identifiers are checked, and `*dropped` says whether the line was dropped for them. */
sr_status reading_add(reading *r, field user, field item, int64_t time, float rating, bool *dropped, sr_error *error);

/* Splits a line at each occurrence of `delimiter` into r->fields, of which READER_FIELDS have room; counts all. */
size_t reading_split(reading *r, const char *line, size_t length, const char *delimiter);

/* The functions of the table of formats. */
sr_status begin_sequences(reading *r, sr_error *error);
sr_status read_sequences(reading *r, sr_error *error);
sr_status read_pairs(reading *r, sr_error *error);
sr_status begin_recbole(reading *r, sr_error *error);
sr_status read_recbole(reading *r, sr_error *error);
sr_status begin_movielens_100k(reading *r, sr_error *error);
sr_status read_movielens_100k(reading *r, sr_error *error);
sr_status begin_csv(reading *r, sr_error *error);
sr_status read_csv(reading *r, sr_error *error);

#endif
