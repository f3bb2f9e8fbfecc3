# Toolchain: compiles for 64-bit ARM on another machine, against the libraries of an arm64 root, and runs tests under qemu-user.
#
#   SRTRAIN_ARM64_ROOT       directory with the libraries of a Debian for arm64 (launch/check-emulated.sh makes one)
#   SRTRAIN_ARM64_EMULATOR   command that runs a program of that system; "" for none
#
# Both are cache variables; the environment variable SRTRAIN_ARM64_ROOT serves where the first is not set.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

if(NOT SRTRAIN_ARM64_ROOT)
  set(SRTRAIN_ARM64_ROOT "$ENV{SRTRAIN_ARM64_ROOT}" CACHE PATH "directory with a Debian arm64 system" FORCE)
endif()
if(NOT IS_DIRECTORY "${SRTRAIN_ARM64_ROOT}/usr/lib/aarch64-linux-gnu")
  message(FATAL_ERROR "SRTRAIN_ARM64_ROOT is \"${SRTRAIN_ARM64_ROOT}\", where no libraries of a Debian for arm64 are. "
                      "launch/check-emulated.sh arm64 puts some into a directory.")
endif()
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES SRTRAIN_ARM64_ROOT) # compilations that test something read this file too

set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc CACHE STRING "compiler for 64-bit ARM")
set(CMAKE_SYSROOT ${SRTRAIN_ARM64_ROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${SRTRAIN_ARM64_ROOT})
set(ENV{PKG_CONFIG_LIBDIR} ${SRTRAIN_ARM64_ROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${SRTRAIN_ARM64_ROOT}/usr/share/pkgconfig)

# The compiler wrappers of MPI and HDF5 are programs of the other system, and their names there lead through links that hold in
# it alone: what they would answer is said here.
set(libraries ${SRTRAIN_ARM64_ROOT}/usr/lib/aarch64-linux-gnu)
set(MPI_SKIP_COMPILER_WRAPPER TRUE)
set(MPI_C_HEADER_DIR ${libraries}/openmpi/include CACHE PATH "where mpi.h is")
set(MPI_C_LIB_NAMES mpi CACHE STRING "libraries of MPI")
set(MPI_mpi_LIBRARY ${libraries}/openmpi/lib/libmpi.so CACHE FILEPATH "library of MPI")
set(HDF5_ROOT ${libraries}/hdf5/openmpi CACHE PATH "parallel HDF5")
unset(libraries)

# cpu=max has everything that this qemu knows, 256-bit SVE among it; QEMU_CPU in the environment says otherwise.
set(SRTRAIN_ARM64_EMULATOR qemu-aarch64-static -L ${SRTRAIN_ARM64_ROOT} CACHE STRING "command that runs a program for 64-bit ARM")
set(CMAKE_CROSSCOMPILING_EMULATOR ${SRTRAIN_ARM64_EMULATOR})
