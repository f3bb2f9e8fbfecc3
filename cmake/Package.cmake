# Help that is written from the tables of options (manual, completion of bash), the environment module, and packages: cpack -G DEB.

# ---- manual and completion ----

find_program(SRTRAIN_GZIP gzip)
set(help_directory ${CMAKE_BINARY_DIR}/help)
file(MAKE_DIRECTORY ${help_directory})
set(help_files "")
# srtrain_help(FILE PROGRAM ARGUMENT...): what a program writes becomes a file.
function(srtrain_help file program)
  string(REPLACE ";" " " arguments "${ARGN}")
  string(REPLACE ";" " " emulator "${CMAKE_CROSSCOMPILING_EMULATOR}")
  add_custom_command(OUTPUT ${help_directory}/${file}
                     COMMAND sh -c "${emulator} $<TARGET_FILE:${program}> ${arguments} > ${help_directory}/${file}.part"
                     COMMAND ${CMAKE_COMMAND} -E rename ${help_directory}/${file}.part ${help_directory}/${file}
                     DEPENDS ${program} VERBATIM)
  set(help_files ${help_files} ${help_directory}/${file} PARENT_SCOPE)
endfunction()
srtrain_help(srtrain.1 srtrain_program --help=man)
srtrain_help(srtrain-config.5 srtrain_program models --man)
srtrain_help(srprep.1 srprep --help=man)
srtrain_help(srtrain.bash srtrain_program --help=completion)
srtrain_help(srprep.bash srprep --help=completion)
# What srtrain-job says of itself.
add_custom_command(OUTPUT ${help_directory}/srtrain-job.1
                   COMMAND sh ${PROJECT_SOURCE_DIR}/packaging/job-manual.sh ${PROJECT_SOURCE_DIR}/launch/srtrain-job
                           ${PROJECT_VERSION} ${help_directory}/srtrain-job.1
                   DEPENDS ${PROJECT_SOURCE_DIR}/launch/srtrain-job ${PROJECT_SOURCE_DIR}/packaging/job-manual.sh VERBATIM)
list(APPEND help_files ${help_directory}/srtrain-job.1)
foreach(page srtrain.1 srtrain-config.5 srprep.1 srtrain-job.1)
  string(REGEX REPLACE ".*\\." "" section ${page})
  if(SRTRAIN_GZIP)
    add_custom_command(OUTPUT ${help_directory}/${page}.gz
                       COMMAND sh -c "${SRTRAIN_GZIP} -9nc ${help_directory}/${page} > ${help_directory}/${page}.gz"
                       DEPENDS ${help_directory}/${page} VERBATIM)
    list(APPEND help_files ${help_directory}/${page}.gz)
    install(FILES ${help_directory}/${page}.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
  else()
    install(FILES ${help_directory}/${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
  endif()
endforeach()
add_custom_target(help_files ALL DEPENDS ${help_files})
foreach(program srtrain srprep)
  install(FILES ${help_directory}/${program}.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME ${program})
endforeach()

# ---- environment module: module use PREFIX/share/srtrain/modulefiles; module load srtrain ----

configure_file(${PROJECT_SOURCE_DIR}/packaging/modulefiles/srtrain.in ${CMAKE_BINARY_DIR}/modulefile @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/modulefile DESTINATION ${CMAKE_INSTALL_DATADIR}/srtrain/modulefiles/srtrain
        RENAME ${PROJECT_VERSION})

# ---- packages ----

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME srtrain)
set(CPACK_PACKAGE_VENDOR "the srtrain project")
set(CPACK_PACKAGE_CONTACT "srtrain maintainers <maintainers@srtrain.example.org>" CACHE STRING "Maintainer of packages")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "trainer of transformer sequential recommenders for clusters")
set(CPACK_PACKAGE_DESCRIPTION
    "srtrain trains next-item models over user histories, data-parallel by MPI, on
plain CPU nodes: SASRec, BERT4Rec and others, with calibrators of
self-attention. srprep turns raw interactions into its data sets.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "openmpi-bin")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "libopenblas0-openmp")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "gnuplot-nox, slurm-client")
# Files that Debian asks of a package.
if(SRTRAIN_GZIP)
  configure_file(${PROJECT_SOURCE_DIR}/packaging/debian/changelog.in ${CMAKE_BINARY_DIR}/debian/changelog @ONLY)
  execute_process(COMMAND sh -c "${SRTRAIN_GZIP} -9nc ${CMAKE_BINARY_DIR}/debian/changelog > ${CMAKE_BINARY_DIR}/debian/changelog.gz")
  install(FILES ${CMAKE_BINARY_DIR}/debian/changelog.gz DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME changelog.gz)
endif()
install(FILES ${PROJECT_SOURCE_DIR}/packaging/debian/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})
include(CPack)
