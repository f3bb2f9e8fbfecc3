/* The entry of libFuzzer; FUZZ_CHECK is the function of check_storage.h that the bytes are for. */
#include "check_storage.h"

#include <hdf5.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argument_count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
const char *__lsan_default_suppressions(void);

/* HDF5 1.10 leaks what it has read of an object when the rest is wrong, and Open MPI keeps some memory until the process ends.
 * Objects of HDF5 that we leave open are counted instead (open_objects()). */
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5\nleak:libopen-pal\nleak:libopen-rte\nleak:libmpi\n";
}

/* HDF5 keeps the large blocks that it takes for each open file, instead of giving them to the sanitizer, which gives back new
 * ones: several times as many inputs a second. */
int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    (void)argument_count;
    (void)arguments;
    return H5set_free_list_limits(-1, -1, -1, -1, -1, -1) < 0 ? -1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    const char *wrong = FUZZ_CHECK("", bytes, count);
    if (wrong) {
        fprintf(stderr, "does not hold: %s\n", wrong);
        abort();
    }
    return 0;
}
