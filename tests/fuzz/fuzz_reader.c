/* The entry of libFuzzer; FUZZ_FORMAT is the raw format that the bytes are read as. */
#include "check_reader.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    const char *wrong = check_reader(FUZZ_FORMAT, bytes, count);
    if (wrong) {
        fprintf(stderr, "does not hold: %s\n", wrong);
        abort();
    }
    return 0;
}
