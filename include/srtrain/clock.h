/* Time. */
#ifndef SRTRAIN_CLOCK_H
#define SRTRAIN_CLOCK_H

/* Seconds on a clock that never goes back; only differences mean something. */
double sr_seconds(void);

/* Seconds since *mark, which moves to now. */
double sr_lap(double *mark);

#endif
