/* Time stamps: from what stands in the raw data to 64-bit integers that keep its order exactly. */
#ifndef SRTRAIN_DATA_PREP_READERS_TIMES_H
#define SRTRAIN_DATA_PREP_READERS_TIMES_H

#include "dates.h"
#include "srtrain/status.h"

/* What time stamps of the raw data are. Numbers without a known unit are TIME_NUMBER. */
typedef enum {
    TIME_AUTO,
    TIME_NONE,
    TIME_NUMBER,
    TIME_SECONDS,
    TIME_MILLISECONDS,
    TIME_MICROSECONDS,
    TIME_NANOSECONDS,
    TIME_ISO /* dates: ISO 8601, or by a pattern */
} time_unit;

enum { TIME_DECIMALS_MAXIMUM = 18 };

/* How time stamps become integers: the number, or for TIME_ISO the seconds since 1970 in UTC, times 10^decimals. The zero value
 * leaves everything to what the first time stamps are like. */
typedef struct {
    time_unit unit;
    bool has_decimals;
    unsigned decimals;
    bool rounds; /* further decimals are cut off, because they were not asked for or have no room; otherwise they do not fit */
    char pattern[DATE_PATTERN_SIZE]; /* of dates; "" for ISO 8601 */
} time_format;

/* What the first time stamps are like. */
typedef struct {
    size_t numbers, dates;
    int decimals;    /* the most that one of them has */
    int64_t largest; /* the largest size of a number, or of the second of a date, without decimals */
} time_observations;

/* The names of --time-unit, by time_unit; ends with NULL. */
extern const char *const time_unit_names[];

/* Takes note of a time stamp. */
void time_observe(const time_format *format, time_observations *seen, field text);

/* Whether nothing is left to be found out. */
bool time_is_resolved(const time_format *format);

/* Settles what is left open by what has been seen. Stays as it is if nothing has been seen. */
void time_resolve(time_format *format, const time_observations *seen);

/* What a text is by itself; dates are those of the format's pattern, if it has one. */
typedef enum { TIME_IS_NEITHER, TIME_IS_NUMBER, TIME_IS_DATE } time_kind;
time_kind time_kind_of(const time_format *format, field text);

/* A time stamp as an integer. `format` is resolved. NUMBER_TOO_FINE: *time lacks decimals, which format->rounds allows. */
number_kind time_parse(const time_format *format, field text, int64_t *time);

/* A bound that is given on the command line, as an integer that divides the time stamps as the bound does: the first that is
 * not before it. It is a time stamp as in the input, or a date as ISO 8601 has it where --time-unit names the unit of numbers
 * or dates have a pattern. SR_ERROR_USAGE says what it is instead, behind `option`. */
sr_status time_read_bound(const time_format *format, field text, const char *option, int64_t *time, sr_error *error);

/* The whole part of a duration in seconds, in the data set's unit: what --session-gap compares with. A number of unknown unit
 * is one of the data set's time stamps. False where there is no room for it. */
bool time_read_gap(const time_format *format, double seconds, int64_t *gap);

/* A time stamp of the data set for people: "2017-10-01 03:00:00" when the unit is known, the number of the raw data
 * otherwise. */
enum { TIME_TEXT_SIZE = 64 };
void time_text(const time_format *format, int64_t time, char text[TIME_TEXT_SIZE]);

#endif
