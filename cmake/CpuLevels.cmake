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
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  # generic has NEON: vectors of 128 bits. SVE has a level for each length of vectors: the length decides in which order sums are
  # added up, and equal levels give equal results. The compiler is told the length where types of vectors need it. Plain loops
  # are compiled for any length: told the length, gcc 12 reads the wrong half of sums in double precision over single ones.
  check_c_compiler_flag("-march=armv8.2-a+sve -msve-vector-bits=512" SRTRAIN_COMPILER_HAS_SVE)
  if(SRTRAIN_COMPILER_HAS_SVE)
    foreach(bits 256 512)
      list(APPEND SRTRAIN_CPU_LEVELS sve${bits})
      set(SRTRAIN_CPU_FLAGS_sve${bits} -march=armv8.2-a+sve)
      set(SRTRAIN_VECTOR_FLAGS_sve${bits} -msve-vector-bits=${bits})
    endforeach()
  endif()
endif()

# Sums of products are fused, and in every part of a loop alike. A number else depends on what is computed beside it: scores of an
# item on how the catalogue is divided, a step on how threads divide the parameters.
# gcc 13 and later leave some sums of products unfused where their loop is short (a matter of speed on single processors). Where two
# products are added, clang decides late which of them is rounded, and not alike in the last few rounds of a loop; "on" lets it decide
# by the source. gcc knows no such decision: with it "on" is "off".
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  set(SRTRAIN_FUSED_SUMS -ffp-contract=fast --param=avoid-fma-max-bits=0)
else()
  set(SRTRAIN_FUSED_SUMS -ffp-contract=on)
endif()

# srtrain_add_cpu_level_sources(TARGET DEFINITIONS [VECTORS] FILE...)
# VECTORS: the files have types of vectors and not only loops; their objects are a target of their own.
function(srtrain_add_cpu_level_sources target definitions)
  cmake_parse_arguments(ARG "VECTORS" "" "" ${ARGN})
  foreach(level IN LISTS SRTRAIN_CPU_LEVELS)
    set(object ${target}_${level})
    set(flags ${SRTRAIN_CPU_FLAGS_${level}})
    if(ARG_VECTORS)
      set(object ${target}_vectors_${level})
      list(APPEND flags ${SRTRAIN_VECTOR_FLAGS_${level}})
    endif()
    add_library(${object} OBJECT EXCLUDE_FROM_ALL ${ARG_UNPARSED_ARGUMENTS})
    target_link_libraries(${object} PRIVATE srtrain_options srtrain::mathematics)
    # No -fassociative-math: it would undo the two-part argument reduction of exp(). Reductions are marked in the source instead.
    target_compile_options(${object} PRIVATE ${flags} ${SRTRAIN_FUSED_SUMS} -fopenmp-simd)
    target_compile_definitions(${object} PRIVATE SR_CPU_LEVEL=${level} ${definitions})
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${object}>)
  endforeach()
endfunction()
