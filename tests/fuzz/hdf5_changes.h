/* Changes to a valid HDF5 file that bytes choose: what a wrong program, or somebody with bad intentions, could have written
 * through HDF5. All of it is valid to HDF5; whether it is to us, is for our readers to say. */
#ifndef SRTRAIN_TESTS_FUZZ_HDF5_CHANGES_H
#define SRTRAIN_TESTS_FUZZ_HDF5_CHANGES_H

#include <hdf5.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes that are left; zeros follow them. */
typedef struct {
    const uint8_t *bytes;
    size_t left;
} choices;

uint8_t choose_byte(choices *c);

/* What is there to be changed. */
typedef struct {
    const char *const *objects; /* absolute paths of groups and datasets */
    const char *const *attributes;
    size_t object_count, attribute_count;
} change_names;

/* Makes one change: an attribute, a link, a dataset or elements of one. What HDF5 refuses, is left as it is. */
void change_file(hid_t file, const change_names *names, choices *c);

/* The bytes of a dataset, in its own type, into `values`; how many, 0 if there are more than `room` or they cannot be read. */
size_t read_raw(hid_t dataset, void *values, size_t room);

/* Calls the function for every dataset of a file. */
void for_datasets(hid_t file, void (*function)(hid_t dataset, void *context), void *context);

/* Replaces a scalar text attribute, of variable length. */
void replace_text(hid_t file, const char *object, const char *name, const char *text);

#endif
