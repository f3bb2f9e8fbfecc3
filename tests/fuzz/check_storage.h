/* What the readers of checkpoints and of data sets promise, for files that HDF5 can read and whose seals fit: bytes choose how
 * a valid file is changed. The first byte says what is put in order again afterwards, as a clever program would: the checksums
 * of arrays, the one over everything, the seal; the others are a list of changes (hdf5_changes.h). */
#ifndef SRTRAIN_TESTS_FUZZ_CHECK_STORAGE_H
#define SRTRAIN_TESTS_FUZZ_CHECK_STORAGE_H

#include <stddef.h>

/* Changes a checkpoint and reads it in every way that we have: it is refused with a message that names the file, or what it
 * says is within its bounds; and nothing of HDF5 stays open. Returns NULL, or what does not hold. */
const char *check_checkpoint(const char *format, const void *bytes, size_t count);

/* The same with a data set of two shards. What is accepted is walked through, and measured as by `srprep info`. */
const char *check_dataset(const char *format, const void *bytes, size_t count);

#endif
