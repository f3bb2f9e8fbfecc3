# cmake --install: programs, libsrtrain with its headers and pkg-config file, job scripts, configurations and documentation.
install(TARGETS srtrain_program srprep RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${SRTRAIN_EXPORTED_LIBRARY} DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/srtrain DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
# Scripts of jobs; srtrain-job, which they call, has to be in PATH like srtrain.
install(PROGRAMS ${PROJECT_SOURCE_DIR}/launch/srtrain-job DESTINATION ${CMAKE_INSTALL_BINDIR})
foreach(script slurm.sbatch pbs.sh torque.sh lsf.sh mpirun.sh sweep.sh asha.py asha_plan.py)
  install(PROGRAMS ${PROJECT_SOURCE_DIR}/launch/${script} DESTINATION ${CMAKE_INSTALL_DATADIR}/srtrain/launch)
endforeach()
# What draws the pictures of srtrain analyze.
install(DIRECTORY ${PROJECT_SOURCE_DIR}/src/commands/pictures DESTINATION ${CMAKE_INSTALL_DATADIR}/srtrain)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/configs DESTINATION ${CMAKE_INSTALL_DATADIR}/srtrain)
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/CHANGELOG.md
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs DESTINATION ${CMAKE_INSTALL_DOCDIR})

# libsrtrain is static, so that whoever links it needs its libraries too; pkg-config finds those that have a module.
set(SRTRAIN_PC_REQUIRES "hdf5-${SRTRAIN_MPI_FLAVOUR} fftw3f libfyaml libcjson libxxhash zlib libzstd ${SRTRAIN_BLAS}" CACHE STRING
    "pkg-config modules that libsrtrain requires, besides MPI")
set(SRTRAIN_PC_MPI_openmpi ompi-c)
set(SRTRAIN_PC_MPI_mpich mpich)
set(SRTRAIN_PC_MPI "${SRTRAIN_PC_MPI_${SRTRAIN_MPI_FLAVOUR}}" CACHE STRING "pkg-config module of MPI")
configure_file(${PROJECT_SOURCE_DIR}/cmake/srtrain.pc.in ${CMAKE_BINARY_DIR}/srtrain.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/srtrain.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
