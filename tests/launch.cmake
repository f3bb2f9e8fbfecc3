# The scripts of launch/: under programs that stand in for batch systems, and under a real Slurm where one can be started.
add_test(NAME launch_scripts COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/launch.sh ${PROJECT_SOURCE_DIR}/launch)
add_test(NAME launch_scripts.shellcheck COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/launch.sh --shellcheck ${PROJECT_SOURCE_DIR}/launch)
set_tests_properties(launch_scripts launch_scripts.shellcheck PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT ${SRTRAIN_TEST_TIMEOUT})

# It waits for Slurm most of the time.
add_test(NAME slurm_runs_the_shipped_script
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/slurm.sh ${PROJECT_SOURCE_DIR}/launch ${CMAKE_BINARY_DIR}
                 ${MPIEXEC_EXECUTABLE})
set_tests_properties(slurm_runs_the_shipped_script PROPERTIES SKIP_REGULAR_EXPRESSION "skipped: " TIMEOUT ${SRTRAIN_LONG_TEST_TIMEOUT}
                     ENVIRONMENT "${SRTRAIN_TEST_ENVIRONMENT}")

# Manual, completion, installation and the Debian package, from what was built.
add_test(NAME packaging COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/packaging.sh ${PROJECT_SOURCE_DIR} ${CMAKE_BINARY_DIR}
                                ${MPIEXEC_EXECUTABLE} ${SRTRAIN_MPI_FLAVOUR})
set_tests_properties(packaging PROPERTIES SKIP_RETURN_CODE 77 RESOURCE_LOCK packaging TIMEOUT ${SRTRAIN_LONG_TEST_TIMEOUT} ENVIRONMENT "${SRTRAIN_TEST_ENVIRONMENT}")
# Parts that need programs of their own: groff, tclsh, python3, lintian.
foreach(part manual module spack policy)
  add_test(NAME packaging.${part}
           COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/packaging.sh --part ${part} ${PROJECT_SOURCE_DIR} ${CMAKE_BINARY_DIR}
                                ${MPIEXEC_EXECUTABLE} ${SRTRAIN_MPI_FLAVOUR})
  set_tests_properties(packaging.${part} PROPERTIES SKIP_RETURN_CODE 77 RESOURCE_LOCK packaging TIMEOUT ${SRTRAIN_TEST_TIMEOUT}
                       ENVIRONMENT "${SRTRAIN_TEST_ENVIRONMENT}")
endforeach()

# Metrics that go to MLflow or to Weights & Biases.
add_test(NAME test_forward_metrics
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/python.sh ${CMAKE_CURRENT_SOURCE_DIR}/test_forward_metrics.py
                 ${PROJECT_SOURCE_DIR}/launch/forward-metrics.py)
set_tests_properties(test_forward_metrics PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT ${SRTRAIN_TEST_TIMEOUT})
