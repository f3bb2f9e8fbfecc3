# MPI, and the parallel HDF5 that was built with it.
#
# SRTRAIN_MPI names a flavour where Debian has several installed side by side; elsewhere a module's mpicc and HDF5_ROOT decide.
# Sets SRTRAIN_MPI_FLAVOUR: openmpi, mpich (MPICH and what comes from it: Intel MPI, MVAPICH, Cray MPICH) or unknown.
set(SRTRAIN_MPI "" CACHE STRING "Flavour of MPI on Debian: openmpi or mpich; empty for what mpicc is")
set_property(CACHE SRTRAIN_MPI PROPERTY STRINGS "" openmpi mpich)
if(SRTRAIN_MPI)
  find_program(MPI_C_COMPILER mpicc.${SRTRAIN_MPI} REQUIRED)
  find_program(MPIEXEC_EXECUTABLE mpiexec.${SRTRAIN_MPI} REQUIRED)
endif()
find_package(MPI REQUIRED COMPONENTS C)

include(CheckSymbolExists)
set(CMAKE_REQUIRED_LIBRARIES MPI::MPI_C)
check_symbol_exists(OPEN_MPI mpi.h SRTRAIN_MPI_IS_OPEN_MPI)
check_symbol_exists(MPICH_VERSION mpi.h SRTRAIN_MPI_IS_MPICH)
unset(CMAKE_REQUIRED_LIBRARIES)
if(SRTRAIN_MPI_IS_OPEN_MPI)
  set(SRTRAIN_MPI_FLAVOUR openmpi)
elseif(SRTRAIN_MPI_IS_MPICH)
  set(SRTRAIN_MPI_FLAVOUR mpich)
else()
  set(SRTRAIN_MPI_FLAVOUR unknown)
endif()

# Debian has a compiler wrapper of HDF5 for each flavour. Where there is none, or HDF5_ROOT says where to look, FindHDF5 decides.
if(NOT HDF5_ROOT AND NOT DEFINED ENV{HDF5_ROOT})
  find_program(HDF5_C_COMPILER_EXECUTABLE h5pcc.${SRTRAIN_MPI_FLAVOUR})
  if(NOT HDF5_C_COMPILER_EXECUTABLE)
    unset(HDF5_C_COMPILER_EXECUTABLE CACHE)
  endif()
endif()
# With a serial HDF5 installed too, find_package picks that one unless it is told otherwise.
set(HDF5_PREFER_PARALLEL TRUE)
find_package(HDF5 REQUIRED COMPONENTS C)
if(NOT HDF5_IS_PARALLEL)
  message(FATAL_ERROR "srtrain needs parallel HDF5, but CMake found a serial one (${HDF5_C_INCLUDE_DIRS}). "
                      "Install libhdf5-openmpi-dev (libhdf5-mpich-dev for MPICH), or set HDF5_ROOT to a parallel build.")
endif()

# A program with an HDF5 of another MPI library loads both of them, and fails in the first parallel file.
set(foreign_openmpi "libmpich\\.so|libmpi\\.so\\.12") # MPICH's, in Debian and elsewhere
set(foreign_mpich "libmpi\\.so\\.(20|40|80)")         # Open MPI's
if(CMAKE_READELF AND DEFINED foreign_${SRTRAIN_MPI_FLAVOUR})
  foreach(library IN LISTS HDF5_C_LIBRARIES)
    if(library MATCHES "/libhdf5[^/]*\\.so")
      execute_process(COMMAND ${CMAKE_READELF} -d ${library} OUTPUT_VARIABLE needed ERROR_QUIET)
      if(needed MATCHES "${foreign_${SRTRAIN_MPI_FLAVOUR}}")
        message(FATAL_ERROR "MPI is ${SRTRAIN_MPI_FLAVOUR} (${MPI_C_LIBRARIES}), but ${library} was built with another one "
                            "(${CMAKE_MATCH_0}). Set HDF5_ROOT to an HDF5 built with it, or SRTRAIN_MPI to the other flavour.")
      endif()
    endif()
  endforeach()
endif()
message(STATUS "MPI: ${SRTRAIN_MPI_FLAVOUR} (${MPI_C_LIBRARIES}), HDF5 ${HDF5_VERSION} (${HDF5_C_LIBRARIES})")
