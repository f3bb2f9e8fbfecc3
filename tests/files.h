/* Small files in a directory of the test's own. */
#ifndef SRTRAIN_TESTS_FILES_H
#define SRTRAIN_TESTS_FILES_H

#include <stddef.h>

enum { FILES_PATH_SIZE = 256 };

/* CMocka set-up and tear-down of a group: *state is the path of a fresh directory. */
int files_set_up(void **state);
int files_tear_down(void **state);

/* DIRECTORY/NAME in a buffer of FILES_PATH_SIZE. */
void files_path(char *path, const char *directory, const char *name);

/* Writes a file: bytes as they are, or compressed. */
void files_write(const char *path, const void *bytes, size_t count);
void files_write_text(const char *path, const char *text);
void files_write_gzip(const char *path, const void *bytes, size_t count);
void files_write_zstd(const char *path, const void *bytes, size_t count);

/* How many entries a directory has. */
size_t files_count(const char *directory);

/* Removes a directory with all in it; it may be missing. */
void files_remove(const char *directory);

#endif
