/* A note of how a command ended, for the script that started it: launchers forget exit codes of ranks that were killed, and
 * MPICH's may then end with 0. The environment variable SRTRAIN_ENDING names the file; without it there is no note. A note that
 * cannot be written is a warning. Local; rank 0 calls them. */
#ifndef SRTRAIN_COMMANDS_ENDING_H
#define SRTRAIN_COMMANDS_ENDING_H

#include "srtrain/status.h"

/* Writes "running": this stays in the file of a command that never comes to its end. */
void ending_expect(void);

/* Writes the exit code. Before MPI ends: until then no rank ends, whose error would have the launcher kill this one. */
void ending_note(sr_status status);

#endif
