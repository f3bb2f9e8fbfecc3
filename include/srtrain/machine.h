/* What this machine, and whoever granted it, allows: memory and cores. All of this is local. */
#ifndef SRTRAIN_MACHINE_H
#define SRTRAIN_MACHINE_H

#include <stddef.h>

enum { SR_LIMIT_NAME_SIZE = 64 };

typedef struct {
    size_t memory;                  /* bytes that all processes of this job may use here: the least of all limits */
    char limit[SR_LIMIT_NAME_SIZE]; /* where that number comes from */
    size_t cores;                   /* that this process may run on */
} sr_machine;

/* Where the system tells what there is. */
typedef struct {
    const char *process;          /* a directory: /proc/self */
    const char *memory;           /* a file: /proc/meminfo */
    const char *groups;           /* control groups of version 2: /sys/fs/cgroup */
    const char *groups_of_memory; /* those of version 1: /sys/fs/cgroup/memory */
} sr_machine_places;

/* Looks at physical memory, the control groups (version 1 and 2) of this process, and what Slurm granted (SLURM_MEM_PER_NODE,
 * SLURM_MEM_PER_CPU). `places` are the usual ones where it is NULL. */
void sr_machine_look(sr_machine *machine, const sr_machine_places *places);

/* Bytes that are still to be had: the least of what the machine has left, of what each limit of a control group leaves beside
 * all that runs in the group, and of what Slurm's leaves beside `processes` processes like this one. Files that the system only
 * keeps until memory is short count as free. SIZE_MAX where nothing tells. */
size_t sr_machine_free_memory(const sr_machine_places *places, size_t processes);

/* Bytes of memory that this process holds now, and held at most; 0 where the system does not tell. */
size_t sr_resident_memory(void);
size_t sr_peak_memory(void);

#endif
