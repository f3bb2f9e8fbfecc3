srtrain_add_test(test_base)
srtrain_add_test(test_random)
srtrain_add_test(test_output_file SOURCES files.c)
srtrain_add_test(test_machine SOURCES files.c)
