/* What reading raw files came to: counts, and which lines were dropped and why. Plain data, which ranks may send each other. */
#ifndef SRTRAIN_DATA_PREP_READERS_REPORT_H
#define SRTRAIN_DATA_PREP_READERS_REPORT_H

#include "base/lines.h"

#include <stdio.h>

typedef enum {
    DROPPED_EMPTY_LINE,
    DROPPED_NULL_BYTE,
    DROPPED_COLUMNS,
    DROPPED_QUOTES,
    DROPPED_IDENTIFIER,
    DROPPED_TIME,
    DROPPED_DECIMALS,
    DROPPED_RATING,
    DROPPED_JSON,
    DROPPED_KEY,
    DROPPED_NA,     /* asked for, as the next one */
    DROPPED_WHERE,  /* of lists and arrays also parts of a line */
    DROPPED_HEADER, /* no interaction, and not meant to be one, as those that follow */
    DROPPED_COMMENT,
    DROPPED_EMPTY_LIST,
    DROPPED_HEADING,
    DROP_REASONS
} drop_reason;

enum { REPORT_EXAMPLES = 3, REPORT_TEXT_SIZE = 560 };

/* A dropped line. */
typedef struct {
    uint64_t line;                /* counted from 1, within what was read: a file or a part of one */
    uint32_t file;                /* its number among the inputs, from 0 */
    char found[REPORT_TEXT_SIZE]; /* what was found and expected, and the line itself */
} dropped_line;

/* How many interactions something holds for, and where the first of them stands: as in dropped_line. */
typedef struct {
    uint64_t count, line;
    uint32_t file;
} noted_records;

typedef struct {
    uint64_t lines;         /* data lines read, dropped ones included; without the headers that files begin with */
    uint64_t records;       /* interactions handed on */
    noted_records spanning; /* those that stand on several lines, in quotes */
    uint64_t continued;     /* their lines behind the first */
    uint64_t longest;       /* the most lines that one of them stands on */
    noted_records marked;   /* those with an identifier that begins with a byte-order mark */
    noted_records foreign;  /* those with an identifier that is not UTF-8 */
    noted_records cut;      /* those whose time stamp lost decimals for which 64 bits have no room */
    uint64_t dropped[DROP_REASONS];
    uint64_t example_count[DROP_REASONS];
    dropped_line examples[DROP_REASONS][REPORT_EXAMPLES]; /* the first records of each reason */
} parse_report;

/* What a reason means, for tables: "identifier empty or too long". */
const char *drop_reason_text(drop_reason reason);

/* Whether a line that is dropped for this reason is a bad one: neither asked for nor none that holds data. */
bool drop_reason_is_bad(drop_reason reason);

/* All bad lines. */
uint64_t parse_report_bad(const parse_report *report);

/* SR_ERROR_DATA when more than 1 % of the lines are bad: the message has all reasons with an example of each. `paths` are those
 * of the input files. */
sr_status parse_report_judge(const parse_report *report, const char *const *paths, sr_error *error);

/* Prints what is worth knowing of the records, and all reasons with their examples; nothing if every line is a record. */
void parse_report_print(const parse_report *report, const char *const *paths, FILE *file);

/* Counts the record that `file` returned last as dropped, with all its lines; `found` says what was found and what was
 * expected. */
void parse_report_drop(parse_report *report, drop_reason reason, uint32_t file_number, const lines *file, size_t record_lines,
                       const char *found);

/* Counts a record for which something holds. */
void parse_report_note(noted_records *noted, uint32_t file_number, uint64_t line);

/* Adds a report of what comes later in the input. `lines_before` is added to the line numbers of its examples in the file
 * `file`: the number of lines in front of a part of that file. */
void parse_report_merge(parse_report *report, const parse_report *later, uint32_t file, uint64_t lines_before);

#endif
