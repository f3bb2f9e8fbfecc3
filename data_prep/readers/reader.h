/* Raw formats: one file each in formats/, one row each in the list of formats.c. Readers know nothing of how interactions are
 * stored: they hand each one to a sink. */
#ifndef SRTRAIN_DATA_PREP_READERS_READER_H
#define SRTRAIN_DATA_PREP_READERS_READER_H

#include "interaction.h"
#include "report.h"
#include "times.h"

enum { READER_NA_VALUES = 64, READER_WHERES = 16 };

/* What is NULL or false was not asked for. */
typedef struct {
    const char *columns;   /* "user=0,item=1,time=3,rating=2", see docs/data.md; NULL: those that the format knows */
    const char *delimiter; /* format csv: one or more characters; NULL: "," */
    bool header;           /* format csv: each file starts with a line of column names */
    bool no_quotes;        /* format csv: quotes are characters like others */
    bool multiline_quotes; /* format csv: quotes always quote; otherwise what swallows lines is no quoted field */
    bool ragged;  /* format csv: further columns may stand at the end of a line, and those that nobody reads be missing */
    bool no_user; /* each line is a user, who is called by its number */
    bool counted; /* format sequences: a count of the items stands in front of them */
    const char *comment;        /* lines that begin with this are left out */
    const char *list_separator; /* between what lists hold; NULL: blanks */
    const char *const *where;   /* [where_count]: "COLUMN=VALUE,VALUE": only lines with one of the values in each such column */
    size_t where_count;
    const char
        *na_values;    /* values that stand for a missing one, separated by commas; lines with one are dropped. NULL: none */
    time_format times; /* zero: as the first time stamps are */
    bool strict;       /* a line that does not fit is an error */
} reader_options;

/* Takes the interactions in the order of the input. Failing ends the reading with the same status. */
typedef struct {
    sr_status (*add)(void *context, const interaction *record, sr_error *error);
    void *context;
} reader_sink;

enum { READER_LACK_SIZE = 480 };

/* What the files turned out to hold; begins as zero. All files of an input must agree. */
typedef struct {
    bool known; /* a file that is not empty has been seen: the two that follow hold for all */
    bool has_times, has_ratings;
    time_format times;                                             /* resolved once a time stamp has been seen */
    char no_times[READER_LACK_SIZE], no_ratings[READER_LACK_SIZE]; /* why there are none, behind a message; "" for no reason */
} reader_facts;

/* A file, or a part of one: the lines that start at byte `begin` or later and before `end` (0 and UINT64_MAX for all). Each
 * part knows the columns, from the beginning of the file; the header is a line of the first part. */
typedef struct {
    const char *path; /* "-": standard input */
    uint32_t number;  /* goes into records and reports */
    uint64_t begin, end;
    uint64_t lines; /* out: all its lines, headers included */
} reader_part;

typedef struct reading reading;

/* Options that only some formats have a use for; the others belong to all. */
enum {
    TAKES_COLUMNS = 1,
    TAKES_DELIMITER = 2,
    TAKES_HEADER = 4,
    TAKES_QUOTES = 8, /* --no-quotes and --multiline-quotes */
    TAKES_TIMES = 16, /* what says how times are written; without: there are no time stamps, and interactions are in order */
    TAKES_WHERE = 32,
    TAKES_LISTS = 64, /* --list-separator, and items=, times=, ratings= in --columns */
    TAKES_NO_USER = 128,
    TAKES_COUNTED = 256,
    TAKES_COMMENT = 512,
    TAKES_RAGGED = 1024
};

/* What options of a format do not go together: the sentence stands in the message and in docs/raw-formats.md. */
typedef struct {
    bool (*breaks)(const reader_options *options);
    const char *reason;
} raw_format_rule;

/* A raw format. What is left out is NULL, false or 0, which means "no". */
typedef struct {
    const char *name;  /* of --format; its file is formats/NAME.c with _ for - */
    const char *help;  /* what its lines are like, without a full stop */
    const char *note;  /* a sentence more for the documentation, without a full stop; or NULL */
    const char *files; /* what its files are called, as a pattern of the shell, without .gz and .zst; NULL: anything */
    const char *times; /* whether there are time stamps, for the documentation */
    unsigned takes;
    const char *needs_columns; /* --columns is needed, as in this example; NULL: it is not */
    const raw_format_rule *rules;
    size_t rule_count;
    bool (*divisible)(const reader_options *options);  /* whether each line end ends a record; NULL: always */
    sr_status (*begin)(reading *r, sr_error *error);   /* reads the header and sets what is known of the file */
    sr_status (*records)(reading *r, sr_error *error); /* reads all lines that follow */
    bool one_line_a_user;                              /* a user's interactions stand on one line; the sink has to see to it */
} raw_format;

/* ---- the list: formats.c ---- */

extern const raw_format *const raw_formats[];
extern const size_t raw_format_count;

/* The format of this name, or NULL. */
const raw_format *raw_format_find(const char *name);

/* The format whose files are called like this one, or NULL. */
const raw_format *raw_format_of_file(const char *path);

/* SR_ERROR_USAGE for options that the format does not take or needs, or that do not go together. */
sr_status raw_format_check(const raw_format *format, const reader_options *options, sr_error *error);

/* Writes all formats, what they take and what they refuse: as text, or as docs/raw-formats.md. */
void raw_formats_describe(FILE *file, bool markdown);

/* ---- reading: reader.c ---- */

/* Reads a file, or a part of one. Lines that do not fit are dropped and counted in `report`; strictly they are SR_ERROR_DATA.
 * `facts` are those of the files before, and are completed. */
sr_status reader_read(const raw_format *format, const reader_options *options, reader_part *part, const reader_sink *sink,
                      parse_report *report, reader_facts *facts, sr_error *error);

/* Finds out the facts by the beginning of the files, up to the first that is standard input, which is left alone: so that
 * several may read different files, or parts, by the same facts. */
sr_status reader_prepare(const raw_format *format, const reader_options *options, const char *const *paths, size_t count,
                         reader_facts *facts, sr_error *error);

/* The bytes of a file that may be read in parts, or 0: the format or the file does not allow it. */
sr_status reader_divisible_size(const raw_format *format, const reader_options *options, const char *path, uint64_t *size,
                                sr_error *error);

#endif
