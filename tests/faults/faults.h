/* A layer under the file calls of a process: it lets one fail, or takes the power away.
 *
 * Linked into a test program, or loaded before another program's libraries (LD_PRELOAD), it stands in front of the file calls
 * of the C library, of streams too. It looks at files below one directory only. What a file call has done since the last sync
 * of its file, or of its directory, is noted. When the power fails, each of these notes is kept, undone or torn at random, and
 * the process ends as by SIGKILL; so do all other processes that share the same control file.
 *
 * Each process is taken for a node of its own: a sync brings to the disk what the same process has written into the file, while
 * names of files belong to all: the sync of a directory counts for every process. Names are undone from the last one back to a
 * random one, as journals of file systems do it. */
#ifndef SRTRAIN_TESTS_FAULTS_H
#define SRTRAIN_TESTS_FAULTS_H

#include <stdbool.h>

typedef enum {
    FAULT_NONE,  /* also the kind of calls that never fail by themselves: cutting off and taking away */
    FAULT_WRITE, /* of bytes, and of the room for them */
    FAULT_SHORT, /* of bytes, of which only half are taken: no error */
    FAULT_SYNC,
    FAULT_NAME, /* making or renaming a file or directory */
    FAULT_POWER /* at any call */
} fault_kind;

typedef struct {
    fault_kind kind;
    long at;       /* the number of the call, from 1, among those of its kind */
    int cause;     /* errno */
    bool lasting;  /* all later calls of its kind fail, too */
    unsigned seed; /* of what is lost with the power */
} fault;

/* From now on files below `directory` are looked at, and calls are counted from 1 again. NULL: none. The directory exists. */
void faults_watch(const char *directory);

/* Arms a fault, and counts calls from 1 again. */
void faults_arm(const fault *wanted);

/* Calls of a kind since then; of all kinds with FAULT_POWER. */
long faults_count(fault_kind kind);

#endif
