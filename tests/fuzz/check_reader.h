/* Reads any bytes as a raw file and checks what must hold for all. Shared by the fuzzer and the test of its seeds. */
#ifndef SRTRAIN_TESTS_FUZZ_CHECK_READER_H
#define SRTRAIN_TESTS_FUZZ_CHECK_READER_H

#include <stddef.h>

/* NULL, or what does not hold. */
const char *check_reader(const char *format, const void *bytes, size_t count);

#endif
