/* How many operations a core can do at best: what single operations are compared with. */
#ifndef SRTRAIN_BENCHMARKS_PEAK_H
#define SRTRAIN_BENCHMARKS_PEAK_H

#include <stddef.h>

/* Does `rounds` rounds of multiplications and additions in registers, with the vectors of a CPU level (cmake/CpuLevels.cmake);
 * the number of floating-point operations. *sum keeps them from being optimised away. */
typedef double operations_function(size_t rounds, float *sum);

operations_function peak_generic, peak_avx2, peak_avx512, peak_sve256, peak_sve512;

#endif
