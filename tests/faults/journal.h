/* What has been done to files and has not reached the disk, and how it is lost. All functions are called under one lock, and
 * call the C library past the layer. */
#ifndef SRTRAIN_TESTS_FAULTS_JOURNAL_H
#define SRTRAIN_TESTS_FAULTS_JOURNAL_H

#include <stddef.h>
#include <sys/types.h>

/* `path` is a file (not a directory) in which bytes [offset, offset + length) are about to be written; with `length` 0 all from
 * `offset` on are about to be cut off. */
void journal_write(const char *path, off_t offset, size_t length);

/* A file of which this process has written is on the disk; a directory: its names are. */
void journal_synchronise(const char *path);

/* About names: before a file is made, taken away or renamed (`to` may exist); after a directory was made. */
void journal_create(const char *path);
void journal_remove(const char *path);
void journal_rename(const char *from, const char *to);
void journal_make_directory(const char *path);

/* The last journal_create(), _remove() or _rename() has failed, so that nothing was done. */
void journal_forget_last(void);

/* The power fails: keeps, undoes or tears. */
void journal_lose(unsigned seed);

/* Notes of all processes: a file that they share, made by the first one; what is replaced or removed is kept beside it. Without
 * it a process is by itself, and renames are not undone. */
void journal_share(const char *control_path);

/* Whether the power has failed in any process, and the order that it fails in all. */
int journal_has_failed(void);
void journal_fail(void);

/* This process has begun to work with files; it has lost what it had to lose; whether all have. */
void journal_attach(void);
void journal_detach(void);
int journal_all_detached(void);

#endif
