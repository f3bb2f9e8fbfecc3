/* An HDF5 file whose contiguous datasets are used in place: HDF5 says where the bytes are, mmap() brings them into memory. */
#ifndef SRTRAIN_STORAGE_MAPPED_FILE_H
#define SRTRAIN_STORAGE_MAPPED_FILE_H

#include "storage/hdf5_helpers.h"

enum { SR_MAPPED_ARRAYS_MAXIMUM = 8 };

typedef struct {
    const char *name; /* of the dataset; a string constant */
    const void *data; /* in the mapping, or `copy` */
    void *copy;       /* NULL unless the dataset could not be mapped */
    size_t count;
    size_t element_size;
    char checksum[SR_CHECKSUM_SIZE]; /* as the file states it */
} sr_mapped_array;

typedef struct {
    char *path;
    sr_hdf5_file file; /* open until sr_mapped_file_detach() */
    void *map;
    size_t map_bytes;
    size_t array_count;
    sr_mapped_array arrays[SR_MAPPED_ARRAYS_MAXIMUM];
} sr_mapped_file;

/* What the elements of a dataset must be. */
typedef enum { SR_ELEMENT_INT32, SR_ELEMENT_INT64, SR_ELEMENT_TEXT } sr_element;

enum { SR_ANY_COUNT = -1 };

/* Opens `directory`/`name`, after its seal has been checked. The struct must be zero-filled; close it also after a failure. */
sr_status sr_mapped_file_open(sr_mapped_file *mapped, const char *directory, const char *name, sr_error *error);

/* Finds the one-dimensional dataset `name` with `count` elements (or SR_ANY_COUNT) and makes it available. The result lives in
 * `mapped`. Texts are null-padded strings of fixed length: element_size bytes each. */
sr_status sr_mapped_file_array(sr_mapped_file *mapped, const char *name, sr_element element, int64_t count,
                               const sr_mapped_array **array, sr_error *error);

/* Closes the HDF5 file; the arrays stay. */
sr_status sr_mapped_file_detach(sr_mapped_file *mapped, sr_error *error);
void sr_mapped_file_close(sr_mapped_file *mapped);

/* Advice for the operating system: the file is read in random order; `bytes` from `begin` on, an address within an array, will
 * be read soon. Without effect on arrays that could not be mapped. */
void sr_mapped_file_advise_random(const sr_mapped_file *mapped);
void sr_mapped_file_prefetch(const sr_mapped_file *mapped, const void *begin, size_t bytes);

/* Takes what has been read so far out of the memory of this process; it comes back from the file when it is read again. */
void sr_mapped_file_let_go(const sr_mapped_file *mapped);

/* Compares the checksum of every array with what the file states. */
sr_status sr_mapped_file_verify(const sr_mapped_file *mapped, sr_error *error);
sr_status sr_mapped_array_verify(const sr_mapped_array *array, const char *path, sr_error *error);

#endif
