/* Raw formats: one file each in this folder, one row each in the table of reader.c. Readers know nothing of how interactions
 * are stored: they hand each one to a sink. */
#ifndef SRTRAIN_DATA_PREP_READER_H
#define SRTRAIN_DATA_PREP_READER_H

#include "report.h"

/* Options of the format csv; convert refuses them with any other. */
typedef struct {
    const char *columns;   /* "user=0,item=1,time=3,rating=2", numbers from 0 or names of the header */
    const char *delimiter; /* one or more characters; NULL: "," */
    bool header;           /* each file starts with a line of column names */
} reader_options;

/* One interaction. The identifiers are bytes without terminator, of 1 to LINES_IDENTIFIER_MAXIMUM bytes and without null bytes,
 * valid during the call. */
typedef struct {
    const char *user, *item;
    size_t user_length, item_length;
    int64_t time;  /* in the unit of the raw data; 0 without time stamps */
    float rating;  /* 0 without ratings */
    uint64_t line; /* where it stands, from 1, within the file or the part of it; several of a line in format `sequences` */
    uint32_t file; /* the number given for the file */
} reader_record;

/* Takes the interactions in the order of the input. Failing ends the reading with the same status. */
typedef struct {
    sr_status (*add)(void *context, const reader_record *record, sr_error *error);
    void *context;
} reader_sink;

/* What a file turned out to hold. */
typedef struct {
    bool has_times, has_ratings;
    uint64_t lines; /* all lines of the file or of the part, headers included */
} reader_facts;

/* A file, or a part of one: the lines that start at byte `begin` or later and before `end` (0 and UINT64_MAX for all). Each
 * part knows the columns, from the header of the file; the header is a line of the first part. */
typedef struct {
    const char *path;
    uint32_t number; /* goes into records and reports */
    uint64_t begin, end;
} reader_part;

typedef struct reading reading;

typedef struct {
    const char *name;
    const char *help;
    sr_status (*begin)(reading *r, sr_error *error);   /* reads the header and sets columns and facts; once a file */
    sr_status (*records)(reading *r, sr_error *error); /* reads all lines that follow */
    bool one_line_a_user;                              /* a user's interactions stand on one line; the sink has to see to it */
    bool divisible;                                    /* each line stands for itself, so that a file may be read in parts */
} reader;

extern const reader readers[];
extern const size_t reader_count;

const reader *reader_find(const char *name);

/* Reads a file, or a part of one. Lines that do not fit are dropped and counted in `report`, or with `strict` are
 * SR_ERROR_DATA. */
sr_status reader_read(const reader *format, const reader_options *options, const reader_part *part, bool strict,
                      const reader_sink *sink, parse_report *report, reader_facts *facts, sr_error *error);

/* The bytes of a file that may be read in parts, or 0: the format or the file does not allow it. */
sr_status reader_divisible_size(const reader *format, const char *path, uint64_t *size, sr_error *error);

#endif
