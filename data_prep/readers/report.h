/* What reading raw files came to: counts, and which lines were dropped and why. Plain data, which ranks may send each other. */
#ifndef SRTRAIN_DATA_PREP_REPORT_H
#define SRTRAIN_DATA_PREP_REPORT_H

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
    DROPPED_NA, /* asked for, so that it does not make a line bad */
    DROP_REASONS
} drop_reason;

enum { REPORT_EXAMPLES = 3, REPORT_TEXT_SIZE = 336 };

/* A dropped line. */
typedef struct {
    uint64_t line;                /* counted from 1, within what was read: a file or a part of one */
    uint32_t file;                /* its number among the inputs, from 0 */
    char found[REPORT_TEXT_SIZE]; /* what was found and expected, and the line itself */
} dropped_line;

typedef struct {
    uint64_t lines;   /* data lines read, dropped ones included; without headers */
    uint64_t records; /* interactions handed on */
    uint64_t dropped[DROP_REASONS];
    dropped_line examples[DROP_REASONS][REPORT_EXAMPLES]; /* the first min(dropped, REPORT_EXAMPLES) of each reason */
} parse_report;

/* What a reason means, for tables: "identifier empty or too long". */
const char *drop_reason_text(drop_reason reason);

/* All bad lines: dropped without having been asked to. */
uint64_t parse_report_bad(const parse_report *report);

/* SR_ERROR_DATA when more than 1 % of the lines are bad: the message has all reasons with an example of each. `paths` are those
 * of the input files. */
sr_status parse_report_judge(const parse_report *report, const char *const *paths, sr_error *error);

/* Prints all reasons with their examples; nothing if no line was dropped. */
void parse_report_print(const parse_report *report, const char *const *paths, FILE *file);

/* Counts the line that `file` returned last as dropped; `found` says what was found and what was expected. */
void parse_report_drop(parse_report *report, drop_reason reason, uint32_t file_number, const lines *file, const char *found);

/* Adds a report of what comes later in the input. `lines_before` is added to the line numbers of its examples in the file
 * `file`: the number of lines in front of a part of that file. */
void parse_report_merge(parse_report *report, const parse_report *later, uint32_t file, uint64_t lines_before);

#endif
