# Hot loops are compiled once for each CPU level and chosen at run time by feature flags, so that a binary built on one
# node runs on another. A source file of kernels defines all its functions static and exports one table whose name ends
# in SR_CPU_LEVEL; this function compiles the file for every level the compiler knows.
include(CheckCCompilerFlag)

set(SRTRAIN_CPU_LEVELS generic)
set(SRTRAIN_CPU_FLAGS_generic "")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND SRTRAIN_CPU_LEVELS avx2 avx512)
  set(SRTRAIN_CPU_FLAGS_avx2 -mavx2 -mfma)
  set(SRTRAIN_CPU_FLAGS_avx512 -mavx2 -mfma -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512)
endif()

# srtrain_add_cpu_level_sources(TARGET DEFINITIONS FILE...)
function(srtrain_add_cpu_level_sources target definitions)
  foreach(level IN LISTS SRTRAIN_CPU_LEVELS)
    set(object ${target}_${level})
    add_library(${object} OBJECT ${ARGN})
    target_link_libraries(${object} PRIVATE srtrain_options srtrain::mathematics)
    # No -fassociative-math: it would undo the two-part argument reduction of exp(). Reductions are marked in the source instead.
    target_compile_options(${object} PRIVATE ${SRTRAIN_CPU_FLAGS_${level}} -ffp-contract=fast -fopenmp-simd)
    target_compile_definitions(${object} PRIVATE SR_CPU_LEVEL=${level} ${definitions})
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${object}>)
  endforeach()
endfunction()
