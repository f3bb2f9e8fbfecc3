/* What srtrain needs of HDF5 for files that one process reads or writes by itself: attributes, checksummed arrays, and errors
 * as text instead of a stack on standard error. */
#ifndef SRTRAIN_STORAGE_HDF5_HELPERS_H
#define SRTRAIN_STORAGE_HDF5_HELPERS_H

#include "srtrain/status.h"
#include "storage/hdf5_file_driver.h"

#include <hdf5.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SR_CHECKSUM_SIZE = 33 }; /* 32 hexadecimal digits and the terminator */
enum { SR_HDF5_RANK_MAXIMUM = 4 };

/* The attribute of a dataset that holds its checksum. */
#define SR_CHECKSUM_ATTRIBUTE "xxh3_128"

typedef struct {
    hid_t id;
    const char *path;     /* for messages; belongs to the caller */
    hdf5_trouble trouble; /* while it is written: then the struct stays where it is until the file is closed */
} sr_hdf5_file;

/* XXH3-128 of `bytes` bytes in canonical form. */
void sr_checksum(const void *data, size_t bytes, char text[SR_CHECKSUM_SIZE]);

/* The same piece by piece: `done` gets each behind its use, unless it is NULL. */
sr_status sr_checksum_in_pieces(const void *data, size_t bytes, void (*done)(const void *piece, size_t bytes),
                                char text[SR_CHECKSUM_SIZE], sr_error *error);

/* Keeps HDF5 from printing its error stack: we turn it into messages. */
void sr_hdf5_silence(void);

/* Fails with "PATH: cannot DO WHAT: REASON", the reason being HDF5's innermost one. */
sr_status sr_hdf5_fail(sr_error *error, sr_status status, const char *path, const char *action, const char *what);

/* Opens for reading (SR_ERROR_DATA if that is impossible) or creates a file, by POSIX calls and without MPI. The bytes of a
 * created file depend on its contents alone (no time stamps), and every object in it is aligned to 64 bytes. */
sr_status sr_hdf5_open(sr_hdf5_file *file, const char *path, sr_error *error);
sr_status sr_hdf5_create(sr_hdf5_file *file, const char *path, sr_error *error);

/* Opens a created file again for more attributes. */
sr_status sr_hdf5_reopen(sr_hdf5_file *file, const char *path, sr_error *error);

/* Closes a file; fails where any write to it has failed. What was written is not on the disk yet: see durable.h and seal.h. */
sr_status sr_hdf5_close(sr_hdf5_file *file, sr_error *error);

/* Scalar attributes of `object` ("/" is the root). Texts are UTF-8 of variable length; a text read is released with free(). */
sr_status sr_hdf5_write_text(const sr_hdf5_file *file, const char *object, const char *name, const char *text, sr_error *error);
sr_status sr_hdf5_write_integer(const sr_hdf5_file *file, const char *object, const char *name, int64_t value, sr_error *error);
sr_status sr_hdf5_read_text(const sr_hdf5_file *file, const char *object, const char *name, char **text, sr_error *error);
sr_status sr_hdf5_read_integer(const sr_hdf5_file *file, const char *object, const char *name, int64_t *value, sr_error *error);

/* Whether all elements of a dataset have a place in the file, as in all files that we write. HDF5 makes up those that have
 * none, however many there may be: reading them would take memory that the size of the file says nothing of. */
bool sr_hdf5_is_stored(hid_t dataset);

/* Calls `visitor` with the path of each dataset below the root of `file`, in the order of names. A negative result of it ends
 * the visit and is returned, as is a failure of HDF5. */
typedef herr_t sr_hdf5_visitor(hid_t file, const char *name, void *context);
herr_t sr_hdf5_visit_datasets(hid_t file, sr_hdf5_visitor *visitor, void *context);

sr_status sr_hdf5_create_group(const sr_hdf5_file *file, const char *name, sr_error *error);

/* Writes a dataset of `rank` dimensions, contiguous and unfiltered, with its checksum. `type` is the type in the file and in
 * memory. */
sr_status sr_hdf5_write_block(const sr_hdf5_file *file, const char *name, hid_t type, const size_t *dimensions, size_t rank,
                              const void *values, sr_error *error);

/* The same with one dimension. */
sr_status sr_hdf5_write_array(const sr_hdf5_file *file, const char *name, hid_t type, size_t count, const void *values,
                              sr_error *error);

/* A dataset of one dimension that is written in pieces, in order, to the same bytes as by sr_hdf5_write_array(). */
typedef struct {
    const sr_hdf5_file *file;
    const char *name; /* belongs to the caller */
    hid_t type, dataset, space;
    size_t element_size, count, written;
    void *checksum;
} sr_hdf5_stream;

/* `type` must live as long as the stream. Ends with sr_hdf5_stream_end() also after a failure. */
sr_status sr_hdf5_stream_begin(sr_hdf5_stream *stream, const sr_hdf5_file *file, const char *name, hid_t type, size_t count,
                               sr_error *error);
sr_status sr_hdf5_stream_append(sr_hdf5_stream *stream, const void *values, size_t count, sr_error *error);

/* With `status` SR_OK all elements must have been written; writes the checksum. Returns the first failure. */
sr_status sr_hdf5_stream_end(sr_hdf5_stream *stream, sr_status status, sr_error *error);

#endif
