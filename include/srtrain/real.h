/* The floating-point type of tensors.
 *
 * Training runs in float. The same sources are compiled a second time with SR_REAL_IS_DOUBLE for the tests, because
 * finite differences need double precision. */
#ifndef SRTRAIN_REAL_H
#define SRTRAIN_REAL_H

#ifdef SR_REAL_IS_DOUBLE
typedef double sr_real;
#else
typedef float sr_real;
#endif

#endif
