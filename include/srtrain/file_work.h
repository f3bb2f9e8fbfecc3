/* Work on files that all ranks do together, or wait for: for whoever looks on and has to tell slow from stuck (watchdog.h).
 *
 * A process is at one such work at a time. What begins within another one belongs to that. Begin and end belong to the thread
 * that speaks for the process; steps may be told of by any thread. All of this is local. */
#ifndef SRTRAIN_FILE_WORK_H
#define SRTRAIN_FILE_WORK_H

#include <stdbool.h>
#include <stdint.h>

enum { SR_FILE_WORK_PATH_SIZE = 1024 };

typedef struct {
    bool is_open;
    char path[SR_FILE_WORK_PATH_SIZE]; /* what it is about; cut where it is longer */
    bool writes;                       /* else it reads */
    uint64_t bytes;                    /* to read and to write, by all ranks together */
} sr_file_work;

/* From now on until the end, which is behind the last wait for other ranks. `bytes` may be 0 where they are not known yet. */
void sr_file_work_begin_reading(const char *path, uint64_t bytes);
void sr_file_work_begin_writing(const char *path, uint64_t bytes);
void sr_file_work_end(void);

/* There is more to do than was said. */
void sr_file_work_add(uint64_t bytes);

/* A step was made: a call of the system has come back. */
void sr_file_work_step(void);

/* How many steps were made so far. */
unsigned long sr_file_work_steps(void);

/* What this process is at. */
void sr_file_work_look(sr_file_work *now);

/* The bytes of a file; 0 where it cannot be looked at. */
uint64_t sr_file_work_bytes_of(const char *path);

#endif
