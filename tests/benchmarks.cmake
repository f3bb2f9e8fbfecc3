# The PyTorch program that steps are compared with computes what the fixtures say. Skipped without PyTorch or fixtures.
add_test(NAME peers_match_fixtures COMMAND ${PROJECT_SOURCE_DIR}/benchmarks/run.sh peers --check ${SRTRAIN_FIXTURES})
set_tests_properties(peers_match_fixtures PROPERTIES SKIP_REGULAR_EXPRESSION "is missing: apt-get;no fixtures: skipped" TIMEOUT 300
                     ENVIRONMENT "OMP_NUM_THREADS=1;PYTHONDONTWRITEBYTECODE=1")
