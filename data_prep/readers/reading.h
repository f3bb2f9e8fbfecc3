/* What readers share. */
#ifndef SRTRAIN_DATA_PREP_READERS_READING_H
#define SRTRAIN_DATA_PREP_READERS_READING_H

#include "reader.h"

enum { READER_FIELDS = 256, READER_NAME_SIZE = 128, READER_WHERE_VALUES = 64 };

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

/* What --columns says of each role: the column or key of one value, and of a list of them; "" for none. */
typedef struct {
    char one[ROLES][READER_NAME_SIZE], list[ROLES][READER_NAME_SIZE];
} column_texts;

/* What --where says of a column. */
typedef struct {
    char name[READER_NAME_SIZE]; /* of the column or key, or its number */
    field values[READER_WHERE_VALUES];
    size_t count;
    size_t column; /* tables: its number */
} chosen_values;

/* An interaction that waits for the others of its line. */
typedef struct {
    interaction record;
    bool is_cut; /* its time stamp lost decimals that were not asked for */
} grouped_interaction;

typedef struct json_reader json_reader;

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
    chosen_values where[READER_WHERES];
    size_t where_count;
    bool has_keys;           /* JSON: columns are keys */
    size_t columns[ROLES];   /* tables: which column holds what; SIZE_MAX for none */
    size_t lists[ROLES];     /* and which one a list of them */
    size_t column_count;     /* that each line must have, unless it is ragged */
    size_t least_columns;    /* that are read */
    const char *expectation; /* says more about it, in messages */
    const char *delimiter;
    bool splits_at_blanks; /* any number of them delimits */
    quoting quotes;
    json_reader *json;
    char user_of_line[24]; /* with --no-user */
    bool grouping;         /* interactions wait in `group` for the end of their line */
    bool group_is_bad;     /* one of them does not fit */
    grouped_interaction *group;
    size_t group_count, group_room;
    field fields[READER_FIELDS];
    size_t record_lines;             /* how many lines the record in `fields` stands on */
    char reason[READER_REASON_SIZE]; /* what table_fields() says of a record */
    field header[READER_FIELDS];     /* tables: the names in the file's header, if there is one that can be told from data */
    size_t header_count;             /* 0 for none */
    size_t header_user, header_item; /* the columns of users and items, or twice the one that there is */
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

/* Leaves out the line read last, as was asked for or is no fault. */
void reading_leave_out(reading *r, drop_reason reason);

/* Hands on an interaction that is made of these fields, [ROLES], or drops the line; time and rating count as r->has_times and
 * r->has_ratings say. */
sr_status reading_add(reading *r, const field *values, sr_error *error);

/* What is added between these two comes from one line: all of it is handed on, or nothing, when one part of it does not fit.
 * The fields that it is made of must stay until then. */
void reading_begin_group(reading *r);
sr_status reading_end_group(reading *r, sr_error *error);

/* The number of the line read last, as the user of what is on it; files behind the first one have theirs in front. */
field reading_user_of_line(reading *r);

/* Splits a line at each occurrence of r->delimiter into r->fields, of which READER_FIELDS have room; counts all. */
size_t reading_split(reading *r, const char *line, size_t length);

/* Splits "user=A,item=B,time=C,rating=D" of --columns into what stands for each role. defaults [ROLES] are names for those that
 * it leaves out; NULL: users and items are needed. */
sr_status reading_roles(const reader_options *options, bool takes_lists, const char *const *defaults, column_texts *texts,
                        sr_error *error);

/* Splits what --where says of a column. */
sr_status where_parse(const char *text, chosen_values *to, sr_error *error);

/* Whether a value is one of the chosen ones. */
bool where_has(const chosen_values *chosen, field value);

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
 * columns `user` and `item`; one of them is SIZE_MAX if there is no such column. */
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

/* Finds the columns of --where among the `count` names in r->fields; 0: there are none, only numbers. */
sr_status table_find_where(reading *r, size_t count, sr_error *error);

/* The columns of lists, and what else a row has. Call behind table_begin_fixed(). */
void table_set_lists(reading *r, const size_t lists[ROLES]);

sr_status table_read(reading *r, sr_error *error);

/* ---- lists in fields: lists.c ---- */

/* Hands on the interactions of a row: those of the lists, then the one of its single columns. */
sr_status lists_add(reading *r, sr_error *error);

/* ---- lines of words: words.c ---- */

/* Nothing is known of a file beforehand. */
sr_status words_begin(reading *r, sr_error *error);

/* Lines "user item item ...", or with `exactly_one` "user item". */
sr_status words_read(reading *r, bool exactly_one, sr_error *error);

/* ---- lines of JSON: json.c ---- */

/* An object a line, which holds the roles at these keys; "" or NULL for a role that is not there. Keys of objects in it are
 * written with dots between them. With `python` lines are dictionaries as Python writes them. */
sr_status json_begin(reading *r, const char *const keys[ROLES], bool python, sr_error *error);
/* The same where --columns names the keys. */
sr_status json_begin_by_columns(reading *r, bool python, sr_error *error);
sr_status json_read(reading *r, sr_error *error);
void json_end(reading *r);

#endif
