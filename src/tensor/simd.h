/* Loops that become vectors of the CPU level that a file is compiled for. */
#ifndef SRTRAIN_TENSOR_SIMD_H
#define SRTRAIN_TENSOR_SIMD_H

#define SIMD _Pragma("omp simd")
#define SIMD_SUM(...) SIMD_TEXT(omp simd reduction(+ : __VA_ARGS__))
#define SIMD_MAXIMUM(name) SIMD_TEXT(omp simd reduction(max : name))
#define SIMD_TEXT(...) _Pragma(#__VA_ARGS__)

#endif
