/* Time stamps: from what stands in the raw data to 64-bit integers that keep its order exactly. */
#ifndef SRTRAIN_DATA_PREP_TIMES_H
#define SRTRAIN_DATA_PREP_TIMES_H

#include "numbers.h"
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
    TIME_ISO
} time_unit;

enum { TIME_DECIMALS_MAXIMUM = 18 };

/* How time stamps become integers: the number, or for TIME_ISO the seconds since 1970 in UTC, times 10^decimals. The zero value
 * leaves everything to what the first time stamps are like. */
typedef struct {
    time_unit unit;
    bool has_decimals;
    unsigned decimals;
    bool rounds; /* further decimals are cut off, because they were not asked for or have no room; otherwise they do not fit */
} time_format;

/* What the first time stamps are like. */
typedef struct {
    size_t numbers, dates;
    int decimals, whole_digits; /* the most that a number, or the second of a date, has */
} time_observations;

/* The unit of a name of --time-unit; SR_ERROR_USAGE for any other. */
sr_status time_unit_find(const char *name, time_unit *unit, sr_error *error);
const char *time_unit_name(time_unit unit);

/* Takes note of a time stamp. */
void time_observe(time_observations *seen, field text);

/* Whether nothing is left to be found out. */
bool time_is_resolved(const time_format *format);

/* Settles what is left open by what has been seen. Stays as it is if nothing has been seen. */
void time_resolve(time_format *format, const time_observations *seen);

/* A time stamp as an integer. `format` is resolved. */
number_kind time_parse(const time_format *format, field text, int64_t *time);

/* A time stamp of the data set for people: "2017-10-01 03:00:00" when the unit is known, the number of the raw data
 * otherwise. */
enum { TIME_TEXT_SIZE = 64 };
void time_text(const time_format *format, int64_t time, char text[TIME_TEXT_SIZE]);

#endif
