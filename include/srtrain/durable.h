/* What has reached the disk outlasts a loss of power. A file is on the disk once its contents and its name in its directory
 * are: a file that appears complete or not at all is written under another name, and then renamed by sr_durable_rename().
 *
 * All of this is local. Another node sees what is on the disk as soon as it opens the file. */
#ifndef SRTRAIN_DURABLE_H
#define SRTRAIN_DURABLE_H

#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes all `bytes` of `data` at the place `offset` of an open file. False, with errno, where that fails. */
bool sr_durable_write(int descriptor, const void *data, size_t bytes, uint64_t offset);

/* What this process has written into the file at `path` goes to the disk; for a directory, its list of names. */
sr_status sr_durable_synchronise(const char *path, sr_error *error);

/* The same for the directory that `path` stands in. */
sr_status sr_durable_synchronise_parent(const char *path, sr_error *error);

/* Brings the file or directory `from` to the disk and gives it the name `to` in the same directory, for good. A file of that
 * name is replaced. After a failure `to` is what it was before, or complete. */
sr_status sr_durable_rename(const char *from, const char *to, sr_error *error);

#endif
