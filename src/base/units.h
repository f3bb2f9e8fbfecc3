/* Numbers, sizes and durations as people write them: on command lines and in environments. */
#ifndef SRTRAIN_BASE_UNITS_H
#define SRTRAIN_BASE_UNITS_H

#include <stdbool.h>
#include <stdint.h>

/* What durations look like, for messages. */
#define SR_DURATION_FORM "seconds (3600), a number with s, m, h or d (90m, 1.5h), or a clock (1:30:00, or 1-12:00:00 with days)"

/* Each reads the whole text and nothing else, and leaves *value as it is when it returns false. */

/* "17": digits alone. */
bool sr_read_whole(const char *text, uint64_t *value);

/* "-0.5", "1e-3": a finite decimal number. */
bool sr_read_number(const char *text, double *value);

/* "4096", "512K", "8G": bytes, with powers of 1024 for K, M, G and T. */
bool sr_read_bytes(const char *text, uint64_t *value);

/* "3600", "90m", "1.5h", "2d", "1:30:00" (hours), "30:00" (minutes), "1-12:00:00" (days, as Slurm writes them): seconds, above
 * 0. */
bool sr_read_duration(const char *text, double *value);

/* The whole number that an environment variable begins with, as 4 of "4,2" or of "4(x2)"; 0 where there is none. */
uint64_t sr_number_of_environment(const char *name);

#endif
