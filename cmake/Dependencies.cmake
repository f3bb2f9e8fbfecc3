# Every external library srtrain uses, found here and nowhere else.
#
#   srtrain::mathematics   OpenBLAS (CBLAS and LAPACK) and FFTW3 in single precision
#   srtrain::hdf5          parallel HDF5 (never the serial one)
#   srtrain::mpi           MPI
#   srtrain::text          libfyaml, cJSON
#   srtrain::hash          xxHash
#   srtrain::compression   zlib, zstd
find_package(PkgConfig REQUIRED)

include(MpiAndHdf5)
add_library(srtrain_mpi INTERFACE)
target_link_libraries(srtrain_mpi INTERFACE MPI::MPI_C)
add_library(srtrain::mpi ALIAS srtrain_mpi)
add_library(srtrain_hdf5 INTERFACE)
target_include_directories(srtrain_hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
target_link_libraries(srtrain_hdf5 INTERFACE ${HDF5_C_LIBRARIES} MPI::MPI_C)
add_library(srtrain::hdf5 ALIAS srtrain_hdf5)

find_package(OpenMP REQUIRED COMPONENTS C)

# OpenBLAS is wanted in its OpenMP flavour: parallelism comes from ranks and from our own OpenMP threads, inside which that flavour
# works with one thread a call and with locks. The serial flavour must not be called by two threads at once; srtrain then
# works with one thread a rank. All Debian flavours share one soname, so a site may still switch at run time.
set(SRTRAIN_BLAS "openblas" CACHE STRING "pkg-config module that provides CBLAS")
foreach(flavour openmp serial)
  find_path(SRTRAIN_OPENBLAS_INCLUDE cblas.h PATH_SUFFIXES ${CMAKE_LIBRARY_ARCHITECTURE}/openblas-${flavour}
            PATHS /usr/include NO_DEFAULT_PATH)
  find_library(SRTRAIN_OPENBLAS_LIBRARY openblas PATH_SUFFIXES ${CMAKE_LIBRARY_ARCHITECTURE}/openblas-${flavour}
               PATHS /usr/lib NO_DEFAULT_PATH)
endforeach()
add_library(srtrain_mathematics INTERFACE)
if(SRTRAIN_BLAS STREQUAL "openblas" AND SRTRAIN_OPENBLAS_INCLUDE AND SRTRAIN_OPENBLAS_LIBRARY)
  message(STATUS "CBLAS: ${SRTRAIN_OPENBLAS_LIBRARY}")
  target_include_directories(srtrain_mathematics SYSTEM INTERFACE ${SRTRAIN_OPENBLAS_INCLUDE})
  target_link_libraries(srtrain_mathematics INTERFACE ${SRTRAIN_OPENBLAS_LIBRARY})
else()
  pkg_check_modules(CBLAS REQUIRED IMPORTED_TARGET ${SRTRAIN_BLAS})
  message(STATUS "CBLAS: ${SRTRAIN_BLAS} ${CBLAS_VERSION} (${CBLAS_LINK_LIBRARIES})")
  target_link_libraries(srtrain_mathematics INTERFACE PkgConfig::CBLAS)
endif()
# LAPACK comes with OpenBLAS; where it does not, from a library of its own.
include(CheckFunctionExists)
if(TARGET PkgConfig::CBLAS)
  set(CMAKE_REQUIRED_LIBRARIES PkgConfig::CBLAS)
else()
  set(CMAKE_REQUIRED_LIBRARIES ${SRTRAIN_OPENBLAS_LIBRARY})
endif()
check_function_exists(dsyev_ SRTRAIN_BLAS_HAS_LAPACK)
unset(CMAKE_REQUIRED_LIBRARIES)
if(NOT SRTRAIN_BLAS_HAS_LAPACK)
  pkg_check_modules(LAPACK REQUIRED IMPORTED_TARGET lapack)
  target_link_libraries(srtrain_mathematics INTERFACE PkgConfig::LAPACK)
endif()
pkg_check_modules(FFTW3F REQUIRED IMPORTED_TARGET fftw3f)
target_link_libraries(srtrain_mathematics INTERFACE PkgConfig::FFTW3F m)
add_library(srtrain::mathematics ALIAS srtrain_mathematics)
# Only the tests' build of the models in double precision needs FFTW in double precision.
pkg_check_modules(FFTW3 REQUIRED IMPORTED_TARGET fftw3)

pkg_check_modules(LIBFYAML REQUIRED IMPORTED_TARGET libfyaml)
pkg_check_modules(CJSON REQUIRED IMPORTED_TARGET libcjson)
add_library(srtrain_text INTERFACE)
target_link_libraries(srtrain_text INTERFACE PkgConfig::LIBFYAML PkgConfig::CJSON)
add_library(srtrain::text ALIAS srtrain_text)

pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
add_library(srtrain::hash ALIAS PkgConfig::XXHASH)

find_package(ZLIB REQUIRED)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
add_library(srtrain_compression INTERFACE)
target_link_libraries(srtrain_compression INTERFACE ZLIB::ZLIB PkgConfig::ZSTD)
add_library(srtrain::compression ALIAS srtrain_compression)

# Random123 is headers only.
find_path(RANDOM123_INCLUDE_DIR Random123/philox.h REQUIRED)

if(SRTRAIN_BUILD_TESTS)
  find_package(cmocka REQUIRED)
endif()
