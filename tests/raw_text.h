/* Raw text in any format, read as srprep reads it. */
#ifndef SRTRAIN_TESTS_RAW_TEXT_H
#define SRTRAIN_TESTS_RAW_TEXT_H

#include "readers/reader.h"

/* An interaction that is expected. */
typedef struct {
    const char *user, *item;
    int64_t time;
    float rating;
} raw_row;

/* What a reader has handed on. */
typedef struct {
    size_t count;
    struct {
        char user[64], item[64];
        interaction record;
    } rows[64];
} raw_rows;

/* A sink: `context` is raw_rows, which have room. */
sr_status raw_collect(void *context, const interaction *record, sr_error *error);

/* No options. */
extern const reader_options raw_default;

/* Reads a text from the file DIRECTORY/raw. `report` and `facts` begin empty. */
sr_status raw_read(const char *directory, const char *format, const reader_options *options, const char *text, raw_rows *all,
                   parse_report *report, reader_facts *facts, sr_error *error);

/* Fails the test unless a text holds these interactions and nothing that does not fit. */
void assert_rows(const char *directory, const char *format, const reader_options *options, const char *text,
                 const raw_row *rows, size_t count);

/* Fails the test unless the strict reading of a text ends with this status and a message with these words. */
void assert_bad(const char *directory, const char *format, const reader_options *options, const char *text, sr_status status,
                const char *says);

#endif
