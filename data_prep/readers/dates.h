/* Dates in text fields: ISO 8601, or by a pattern as strptime() has them. */
#ifndef SRTRAIN_DATA_PREP_READERS_DATES_H
#define SRTRAIN_DATA_PREP_READERS_DATES_H

#include "numbers.h"

/* A moment. */
typedef struct {
    int64_t seconds; /* since 1970 in UTC */
    field fraction;  /* digits behind the point, without zeros at the end */
} date_time;

enum { DATE_PATTERN_SIZE = 64 };

/* The date that a text is, and nothing else: by the pattern, or as ISO 8601 has it where the pattern is empty. Without an
 * offset it is in UTC. */
bool date_parse(const char *pattern, field text, date_time *parsed);

/* What is wrong with a pattern, or NULL. */
const char *date_pattern_fault(const char *pattern);

/* The directives of a pattern that stand in no other row, for documentation and messages. */
extern const char date_directives[];

/* What a message says of a text that is no date: by which pattern one of the usual forms would be read; "" for none of them.
 */
enum { DATE_ADVICE_SIZE = 160 };
void date_advise(field text, char advice[DATE_ADVICE_SIZE]);

/* Days from 1970-01-01 to a day of the proleptic Gregorian calendar. */
int64_t date_days(int year, int month, int day);

#endif
