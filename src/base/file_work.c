#include "srtrain/file_work.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sr_file_work current;
static unsigned depth; /* works that have begun within each other */
static atomic_ulong steps;

static void begin(const char *path, uint64_t bytes, bool writes)
{
    pthread_mutex_lock(&lock);
    if (depth++ == 0) {
        current = (sr_file_work){.is_open = true, .writes = writes, .bytes = bytes};
        snprintf(current.path, sizeof current.path, "%s", path);
    }
    pthread_mutex_unlock(&lock);
    sr_file_work_step();
}

void sr_file_work_begin_reading(const char *path, uint64_t bytes)
{
    begin(path, bytes, false);
}

void sr_file_work_begin_writing(const char *path, uint64_t bytes)
{
    begin(path, bytes, true);
}

void sr_file_work_end(void)
{
    pthread_mutex_lock(&lock);
    if (depth > 0 && --depth == 0)
        current.is_open = false;
    pthread_mutex_unlock(&lock);
}

void sr_file_work_add(uint64_t bytes)
{
    pthread_mutex_lock(&lock);
    current.bytes += bytes;
    pthread_mutex_unlock(&lock);
}

void sr_file_work_step(void)
{
    atomic_fetch_add_explicit(&steps, 1, memory_order_relaxed);
}

unsigned long sr_file_work_steps(void)
{
    return atomic_load_explicit(&steps, memory_order_relaxed);
}

void sr_file_work_look(sr_file_work *now)
{
    pthread_mutex_lock(&lock);
    *now = current;
    pthread_mutex_unlock(&lock);
}

uint64_t sr_file_work_bytes_of(const char *path)
{
    struct stat found;
    return stat(path, &found) == 0 && found.st_size > 0 ? (uint64_t)found.st_size : 0;
}
