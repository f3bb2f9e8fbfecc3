/* A valid HDF5 file of which changed copies are made: what check_checkpoint() and check_dataset() share. */
#ifndef SRTRAIN_TESTS_FUZZ_CHANGED_FILE_H
#define SRTRAIN_TESTS_FUZZ_CHANGED_FILE_H

#include "fuzz/hdf5_changes.h"
#include "srtrain/status.h"

#include <stdbool.h>

/* The bits of the first byte of an input. */
enum { KEEP_CHECKSUMS = 1, KEEP_SUM_OF_ALL = 2, LEAVE_OUT_SEAL = 4 };

/* The whole file without its seal; it lives until the program ends. */
typedef struct {
    char path[128];
    char *bytes;
    size_t size;
} changed_file;

/* A new directory in memory, or in /tmp, that is deleted when the program ends with exit(). A few can be made. */
const char *make_directory(void);

/* Remembers what lies at `path`. False when that cannot be done. */
bool changed_file_load(changed_file *f, const char *path);

/* Writes the original again, and opens it to be changed. */
hid_t changed_file_open(const changed_file *f);

/* Closes it and, unless `options` say otherwise, seals it. */
bool changed_file_close(const changed_file *f, hid_t id, unsigned options);

/* How many objects of HDF5 this process has open. */
size_t open_objects(void);

/* Remembers, in *wrong, the first thing that does not hold. */
void demand(const char **wrong, bool holds, const char *what);

/* Whether a reader has refused as it should: SR_ERROR_DATA, and a message that names the file or directory. */
void demand_refusal(const char **wrong, sr_status status, const sr_error *error, const char *path);

#endif
