/* Bytes that lie in memory or in a temporary file, and reading and writing them in order through small buffers. What the engine
 * sorts goes through these, so that the same code works within any memory. */
#ifndef SRTRAIN_DATA_PREP_ENGINE_STORE_H
#define SRTRAIN_DATA_PREP_ENGINE_STORE_H

#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    char *memory;        /* NULL when the bytes lie in a file */
    int descriptor;      /* -1 in memory */
    uint64_t size, room; /* bytes written, and memory held */
    char *path;          /* of a file; for messages */
} store;

/* An empty store in memory. */
void store_in_memory(store *s);

/* Takes over `size` bytes at `memory`, which malloc() gave. */
void store_adopt(store *s, void *memory, uint64_t size);

/* A new file `directory`/`name`. A `shared` one keeps its name, so that other processes may open it, until somebody removes it;
 * any other loses it at once, so that nothing stays behind whatever happens to the process. */
sr_status store_create(store *s, const char *directory, const char *name, bool shared, sr_error *error);

/* The shared file of another process. Several may write to different places of it. */
sr_status store_open(store *s, const char *directory, const char *name, sr_error *error);

/* Releases memory or file. A store of zero bytes (`= {0}` with descriptor -1) may be released, too. */
void store_close(store *s);

/* Writing beyond the end lengthens the store. SR_ERROR_RUNTIME names the file and the reason, as a full disk. */
sr_status store_write(store *s, uint64_t place, const void *bytes, size_t count, sr_error *error);
sr_status store_read(const store *s, uint64_t place, void *bytes, size_t count, sr_error *error);

/* ---- reading in order ---- */

typedef struct {
    const store *source;
    const char *at, *end;  /* what is at hand */
    uint64_t place, limit; /* of the source: behind what is at hand, and behind the last byte to be read */
    char *buffer;          /* NULL when the source lies in memory */
    size_t buffer_size;
} store_reader;

/* Bytes [begin, end) of a store; `buffer_size` bytes are held for a file. */
sr_status reader_begin(store_reader *r, const store *source, uint64_t begin, uint64_t end, size_t buffer_size, sr_error *error);
void reader_end(store_reader *r);

/* Sees to it that `count` bytes are at hand, all of which must exist. */
sr_status reader_fill(store_reader *r, size_t count, sr_error *error);

static inline bool reader_is_at_end(const store_reader *r)
{
    return r->at == r->end && r->place == r->limit;
}

/* The next `count` bytes; *bytes is valid until the next call. */
static inline sr_status reader_take(store_reader *r, size_t count, const char **bytes, sr_error *error)
{
    if ((size_t)(r->end - r->at) < count)
        SR_TRY(reader_fill(r, count, error));
    *bytes = r->at;
    r->at += count;
    return SR_OK;
}

/* ---- writing in order ---- */

typedef struct {
    store *target;
    uint64_t place; /* in the target, of the first byte of the buffer */
    char *buffer;
    size_t used, buffer_size;
} store_writer;

sr_status writer_begin(store_writer *w, store *target, uint64_t place, size_t buffer_size, sr_error *error);
sr_status writer_flush(store_writer *w, sr_error *error);
sr_status writer_put_long(store_writer *w, const void *bytes, size_t count, sr_error *error);

/* Releases the buffer after having written it, if `status` is SR_OK. Returns the first failure. */
sr_status writer_end(store_writer *w, sr_status status, sr_error *error);

/* Where the next byte goes. */
static inline uint64_t writer_place(const store_writer *w)
{
    return w->place + w->used;
}

static inline sr_status writer_put(store_writer *w, const void *bytes, size_t count, sr_error *error)
{
    if (w->buffer_size - w->used < count)
        return writer_put_long(w, bytes, count, error);
    memcpy(w->buffer + w->used, bytes, count);
    w->used += count;
    return SR_OK;
}

#endif
