srtrain_add_test(test_stored_settings SOURCES small_dataset.c shared_dataset.c)
srtrain_add_test(test_cpu_levels SOURCES small_training.c small_dataset.c shared_dataset.c RANKS 1 2)
srtrain_add_allocation_test(test_allocations_run SOURCES small_dataset.c shared_dataset.c program.c RANKS 1 2)
target_compile_definitions(test_allocations_run PRIVATE MPIEXEC="${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG}")
