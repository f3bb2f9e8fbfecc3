/* One owner at a time for a directory: a lock on the file "lock" in it. Local.
 *
 * The lock is one of the operating system (an open file description lock of fcntl), so that it ends with the process that holds
 * it, however that ends, and holds between hosts where the file system has locks: NFS and, mounted with "flock", Lustre among
 * them. The file says who holds it. A run that ends by itself removes the file.
 *
 * On a file system without locks only the file's own words count: they keep out a second process of the same host while the
 * first one lives. Whether a process of another host lives cannot be known; a warning says so. */
#ifndef SRTRAIN_STORAGE_DIRECTORY_LOCK_H
#define SRTRAIN_STORAGE_DIRECTORY_LOCK_H

#include "srtrain/log.h"
#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct directory_lock directory_lock;

typedef struct {
    const char *directory;
    sr_log *log;            /* for warnings; or NULL */
    bool (*must_end)(void); /* whether to give up waiting; or NULL */
    /* For tests: takes the lock of an open file, or says in errno why not; NULL: that of the operating system. */
    int (*take)(int descriptor);
} directory_lock_options;

/* Makes the directory if need be, and becomes its owner. SR_ERROR_USAGE says who is, if that is somebody else. An owner that is
 * about to end is waited for, half a minute at most: one of this host that was killed or has lost its launcher; and two minutes
 * one of another host that belongs to the same job of a batch system, which is a start of that job on a node that was lost. */
sr_status directory_lock_take(directory_lock **lock, const directory_lock_options *options, sr_error *error);

/* The end of ownership. A directory that was made for it and in which nothing else lies is removed again. NULL is none. */
void directory_lock_release(directory_lock *lock);

/* Whether somebody works in a directory: nobody; nobody, but somebody did who could not take leave; or somebody does. `who`, in
 * room for `size` bytes, says who that is. Takes no lock. On a file system without locks an owner of another host counts. */
typedef enum { DIRECTORY_FREE, DIRECTORY_LEFT, DIRECTORY_HELD } directory_owner;
directory_owner directory_lock_look(const char *directory, char *who, size_t size);

#endif
