/* Standard input, output and error of a program: there, and written to. Local. */
#ifndef SRTRAIN_STANDARD_STREAMS_H
#define SRTRAIN_STANDARD_STREAMS_H

#include "srtrain/status.h"

/* Gives the numbers of standard streams that are closed (">&-") to files that cannot be used: the next file that the program
 * opens would get such a number, and what is printed would go into it. The first call of a program. */
void sr_standard_streams_reserve(void);

/* Gives standard output its buffer back: whole lines for a terminal, else blocks. MPICH takes it away when MPI starts, and then
 * every number of a table is written by itself, and why one was lost is forgotten. Before anything is printed. */
void sr_standard_output_buffer(void);

/* Ends what was printed to standard output, and returns `status`; where that is SR_OK or SR_HELP_GIVEN and something was lost,
 * SR_ERROR_RUNTIME. After the last line that is printed. */
sr_status sr_standard_output_finish(sr_status status, sr_error *error);

#endif
