#include "engine/store.h"

#include "srtrain/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void store_in_memory(store *s)
{
    *s = (store){.descriptor = -1};
}

void store_adopt(store *s, void *memory, uint64_t size)
{
    *s = (store){.memory = memory, .size = size, .room = size, .descriptor = -1};
}

static sr_status open_file(store *s, const char *directory, const char *name, int flags, sr_error *error)
{
    *s = (store){.descriptor = -1};
    if (asprintf(&s->path, "%s/%s", directory, name) < 0) {
        s->path = NULL;
        return sr_fail_memory(error, strlen(directory) + strlen(name) + 2, "a file name");
    }
    s->descriptor = open(s->path, O_RDWR | O_CLOEXEC | flags, 0666);
    if (s->descriptor >= 0)
        return SR_OK;
    const sr_status status = sr_fail(error, SR_ERROR_RUNTIME, "cannot open %s: %s", s->path, strerror(errno));
    store_close(s);
    return status;
}

sr_status store_create(store *s, const char *directory, const char *name, bool shared, sr_error *error)
{
    SR_TRY(open_file(s, directory, name, O_CREAT | O_EXCL, error));
    if (!shared)
        (void)unlink(s->path);
    return SR_OK;
}

sr_status store_open(store *s, const char *directory, const char *name, sr_error *error)
{
    SR_TRY(open_file(s, directory, name, 0, error));
    const off_t size = lseek(s->descriptor, 0, SEEK_END);
    s->size = size > 0 ? (uint64_t)size : 0;
    return SR_OK;
}

void store_close(store *s)
{
    free(s->memory);
    if (s->descriptor >= 0)
        close(s->descriptor);
    free(s->path);
    *s = (store){.descriptor = -1};
}

static sr_status grow(store *s, uint64_t size, sr_error *error)
{
    return SR_GROW(&s->memory, &s->room, size, "interactions", error);
}

sr_status store_write(store *s, uint64_t place, const void *bytes, size_t count, sr_error *error)
{
    const uint64_t end = place + count;
    if (s->descriptor < 0) {
        if (end > s->room)
            SR_TRY(grow(s, end, error));
        if (count > 0)
            memmove(s->memory + place, bytes, count);
    }
    const char *at = bytes;
    for (size_t left = s->descriptor < 0 ? 0 : count; left > 0;) {
        const ssize_t written = pwrite(s->descriptor, at, left, (off_t)(end - left));
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return sr_fail(error, SR_ERROR_RUNTIME, "cannot write to the temporary file %s: %s", s->path,
                           written < 0 ? strerror(errno) : "no room");
        at += written;
        left -= (size_t)written;
    }
    s->size = end > s->size ? end : s->size;
    return SR_OK;
}

sr_status store_read(const store *s, uint64_t place, void *bytes, size_t count, sr_error *error)
{
    if (s->descriptor < 0) {
        if (count > 0)
            memcpy(bytes, s->memory + place, count);
        return SR_OK;
    }
    char *at = bytes;
    for (size_t left = count; left > 0;) {
        const ssize_t got = pread(s->descriptor, at, left, (off_t)(place + count - left));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return sr_fail(error, SR_ERROR_RUNTIME, "cannot read the temporary file %s: %s", s->path,
                           got < 0 ? strerror(errno) : "it is shorter than what was written");
        at += got;
        left -= (size_t)got;
    }
    return SR_OK;
}

/* ---- reading in order ---- */

sr_status reader_begin(store_reader *r, const store *source, uint64_t begin, uint64_t end, size_t buffer_size, sr_error *error)
{
    *r = (store_reader){.source = source, .place = begin, .limit = end, .buffer_size = buffer_size};
    if (source->descriptor < 0) {
        r->at = begin < end ? source->memory + begin : NULL;
        r->end = begin < end ? source->memory + end : NULL;
        r->place = end;
        return SR_OK;
    }
    SR_TRY(SR_ALLOCATE(&r->buffer, buffer_size, "a buffer", error));
    r->at = r->end = r->buffer;
    return SR_OK;
}

void reader_end(store_reader *r)
{
    free(r->buffer);
    *r = (store_reader){.buffer = NULL};
}

sr_status reader_fill(store_reader *r, size_t count, sr_error *error)
{
    const size_t left = (size_t)(r->end - r->at);
    if (!r->buffer || count - left > r->limit - r->place)
        return sr_fail(error, SR_ERROR_RUNTIME, "the temporary file %s ends too early", r->source->path ? r->source->path : "");
    char *buffer = r->buffer;
    if (count > r->buffer_size) {
        SR_TRY(SR_ALLOCATE(&buffer, count, "a buffer", error));
        r->buffer_size = count;
    }
    if (left > 0)
        memmove(buffer, r->at, left);
    if (buffer != r->buffer)
        free(r->buffer);
    r->buffer = buffer;
    const size_t room = r->buffer_size - left;
    const size_t wanted = r->limit - r->place < room ? (size_t)(r->limit - r->place) : room;
    r->at = buffer;
    r->end = buffer + left;
    SR_TRY(store_read(r->source, r->place, buffer + left, wanted, error));
    r->place += wanted;
    r->end += wanted;
    return SR_OK;
}

/* ---- writing in order ---- */

sr_status writer_begin(store_writer *w, store *target, uint64_t place, size_t buffer_size, sr_error *error)
{
    *w = (store_writer){.target = target, .place = place, .buffer_size = buffer_size};
    return SR_ALLOCATE(&w->buffer, buffer_size, "a buffer", error);
}

sr_status writer_flush(store_writer *w, sr_error *error)
{
    SR_TRY(store_write(w->target, w->place, w->buffer, w->used, error));
    w->place += w->used;
    w->used = 0;
    return SR_OK;
}

sr_status writer_put_long(store_writer *w, const void *bytes, size_t count, sr_error *error)
{
    SR_TRY(writer_flush(w, error));
    if (count > w->buffer_size) {
        SR_TRY(store_write(w->target, w->place, bytes, count, error));
        w->place += count;
        return SR_OK;
    }
    memcpy(w->buffer, bytes, count);
    w->used = count;
    return SR_OK;
}

sr_status writer_end(store_writer *w, sr_status status, sr_error *error)
{
    if (status == SR_OK && w->used > 0)
        status = writer_flush(w, error);
    free(w->buffer);
    *w = (store_writer){.buffer = NULL};
    return status;
}
