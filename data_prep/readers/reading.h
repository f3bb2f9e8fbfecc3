/* What readers share. */
#ifndef SRTRAIN_DATA_PREP_READERS_READING_H
#define SRTRAIN_DATA_PREP_READERS_READING_H

#include "reader.h"

enum { READER_FIELDS = 256 };

/* What an interaction is made of. */
typedef enum { USER, ITEM, TIME, RATING, ROLES } role;
extern const char *const role_names[ROLES];

/* How quotes are read. */
typedef enum {
    QUOTES_NONE,       /* characters like any other */
    QUOTES_ON_A_LINE,  /* a quoted field ends on its line */
    QUOTES_WITH_DOUBT, /* it may hold line ends, unless the lines that it holds are records themselves */
    QUOTES_OVER_LINES  /* it may hold line ends, whatever they look like */
} quoting;

enum { READER_REASON_SIZE = 320 };

/* One file while it is read. */
struct reading {
    const reader_options *options;
    const reader_sink *sink;
    parse_report *report;
    uint32_t file_number;
    lines *file;
    bool has_times, has_ratings, is_empty; /* set by `begin` */
    char lacks[ROLES][READER_LACK_SIZE];   /* set by `begin`: why a role has no column, as in reader_facts */
    time_format times;
    bool times_unknown; /* nobody has seen a time stamp that is one */
    bool observing;     /* nothing is handed on or counted: only time stamps are looked at */
    time_observations seen;
    field na_values[READER_NA_VALUES];
    size_t na_count;
    size_t columns[ROLES];   /* tables: which column holds what; SIZE_MAX for none */
    size_t column_count;     /* that each line must have */
    const char *expectation; /* says more about it, in messages */
    const char *delimiter;
    quoting quotes;
    char keys[ROLES][64]; /* JSON: the name of each key; "" for none */
    field fields[READER_FIELDS];
    size_t record_lines;             /* how many lines the record in `fields` stands on */
    char reason[READER_REASON_SIZE]; /* what table_fields() says of a record */
    field header[READER_FIELDS];     /* tables: the names in the file's header, if there is one that can be told from data */
    size_t header_count;             /* 0 for none */
    char *header_text;               /* holds them */
    bool header_begins[256];         /* the bytes that a name of the header may begin with, when it stands again */
    bool header_is_typed;            /* names come with types, as "user_id:token", which `header` has not */
    char *scratch;                   /* a copy of a record, to take quotes off */
    size_t scratch_room;
};

/* The next data line, or NULL at the end. Lines with null bytes are dropped. */
sr_status reading_line(reading *r, const char **line, size_t *length, sr_error *error);

/* Hands each data line to `add`, which is null-terminated. */
typedef sr_status line_function(reading *r, const char *line, size_t length, sr_error *error);
sr_status reading_lines(reading *r, line_function *add, sr_error *error);

/* The header line of a file; NULL, with r->is_empty set, if the file is empty. */
sr_status reading_header(reading *r, const char **line, size_t *length, sr_error *error);

/* Drops the line read last, or fails if the reading is strict. */
sr_status reading_drop(reading *r, drop_reason reason, sr_error *error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Whether a value stands for a missing one. */
bool reading_is_na(const reading *r, field value);

/* Hands on an interaction that is made of these fields, [ROLES], or drops the line; time and rating count as r->has_times and
 * r->has_ratings say. */
sr_status reading_add(reading *r, const field *values, sr_error *error);

/* Splits a line at each occurrence of r->delimiter into r->fields, of which READER_FIELDS have room; counts all. */
size_t reading_split(reading *r, const char *line, size_t length);

/* Splits the options "user=A,item=B,time=C,rating=D" of --columns into what stands for each role, "" for none. */
sr_status reading_roles(const reader_options *options, char texts[ROLES][64], sr_error *error);

/* The number of the column called `name` among the `count` names in r->fields, or SIZE_MAX. */
size_t reading_find_column(const reading *r, size_t count, const char *name);

/* What a message says behind a name that is not among `names`: the nearest one, unless it is one of the others that are
 * `wanted` ([ROLES], of which some may be NULL), and which there are. */
enum { NAMES_SIZE = 400 };
void reading_describe_names(const char *name, const char *const *wanted, const field *names, size_t count,
                            char text[NAMES_SIZE]);

/* SR_ERROR_DATA: the header, whose `count` names are in r->fields, has no column for a role, which wanted[role] names. */
sr_status reading_fail_column(const reading *r, size_t count, const char *const wanted[ROLES], role missing, sr_error *error);

/* Remembers that the header has no column for a role that may be missing. */
void reading_lacks_column(reading *r, size_t count, const char *const wanted[ROLES], role missing);

/* Keeps the `count` names in r->fields for recognising the header where it stands again. Those of users and items are in the
 * columns `user` and `item`. */
sr_status reading_keep_header(reading *r, size_t count, size_t user, size_t item, sr_error *error);

/* Takes the type off a name: "user_id:token" becomes "user_id". */
field reading_without_type(field name);

/* ---- tables: table.c ---- */

/* Puts the fields of the record that begins with `line` into r->fields: a line, or several where quoted fields hold line ends;
 * r->record_lines says how many. *wrong says what is wrong with its quotes, or is NULL; only the first line is used up then. */
sr_status table_fields(reading *r, const char *line, size_t length, size_t *count, const char **wrong, sr_error *error);

/* A table without header, with `count` columns that `expectation` names. */
void table_begin_fixed(reading *r, const char *delimiter, quoting quotes, const size_t columns[ROLES], size_t count,
                       const char *expectation);

/* A table whose header has columns of these names; the columns of users and items must be there. */
sr_status table_begin_named(reading *r, const char *delimiter, quoting quotes, const char *const names[ROLES], sr_error *error);

/* The same where the `count` names of the header are in r->fields, and delimiter and quotes are set. */
sr_status table_begin_header(reading *r, const char *const names[ROLES], size_t count, sr_error *error);

sr_status table_read(reading *r, sr_error *error);

/* ---- lines of words: words.c ---- */

/* Nothing is known of a file beforehand. */
sr_status words_begin(reading *r, sr_error *error);

/* Lines "user item item ...", or with `exactly_one` "user item". */
sr_status words_read(reading *r, bool exactly_one, sr_error *error);

/* ---- lines of JSON: json.c ---- */

/* An object a line, which holds the roles at these keys; "" for a role that is not there. */
void json_begin(reading *r, const char *const keys[ROLES]);
sr_status json_read(reading *r, sr_error *error);

#endif
