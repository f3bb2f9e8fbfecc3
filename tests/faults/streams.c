/* Streams on watched files. The C library writes for its streams by calls of its own, which no layer sees: so those on watched
 * files are made anew, on the layer's calls. */
#include "layer.h"
#include "real_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct own_stream {
    struct own_stream *next;
    FILE *stream;
    int descriptor;
} own_stream;

static own_stream *streams;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static ssize_t read_stream(void *cookie, char *data, size_t size)
{
    return read(((own_stream *)cookie)->descriptor, data, size);
}

static ssize_t write_stream(void *cookie, const char *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        const ssize_t count = write(((own_stream *)cookie)->descriptor, data + done, size - done);
        if (count <= 0)
            return done ? (ssize_t)done : 0; /* what the C library takes for an error */
        done += (size_t)count;
    }
    return (ssize_t)done;
}

static int seek_stream(void *cookie, off64_t *offset, int whence)
{
    const off_t place = lseek(((own_stream *)cookie)->descriptor, *offset, whence);
    *offset = place;
    return place < 0 ? -1 : 0;
}

static int close_stream(void *cookie)
{
    own_stream *own = cookie;
    pthread_mutex_lock(&lock);
    own_stream **place = &streams;
    while (*place != own)
        place = &(*place)->next;
    *place = own->next;
    pthread_mutex_unlock(&lock);
    const int result = close(own->descriptor);
    free(own);
    return result;
}

static int flags_of(const char *mode)
{
    const int access = strchr(mode, '+') ? O_RDWR : mode[0] == 'r' ? O_RDONLY : O_WRONLY;
    const int way = mode[0] == 'w' ? O_CREAT | O_TRUNC : mode[0] == 'a' ? O_CREAT | O_APPEND : 0;
    return access | way | (strchr(mode, 'x') ? O_EXCL : 0) | (strchr(mode, 'e') ? O_CLOEXEC : 0);
}

static FILE *stream_on(int descriptor, const char *mode)
{
    own_stream *own = malloc(sizeof *own);
    const cookie_io_functions_t calls = {read_stream, write_stream, seek_stream, close_stream};
    FILE *stream = own ? fopencookie(own, mode, calls) : NULL;
    if (!stream) {
        free(own);
        return NULL;
    }
    pthread_mutex_lock(&lock);
    *own = (own_stream){.next = streams, .stream = stream, .descriptor = descriptor};
    streams = own;
    pthread_mutex_unlock(&lock);
    return stream;
}

FILE *fopen(const char *name, const char *mode)
{
    char path[PATH_MAX];
    if ((mode[0] == 'r' && !strchr(mode, '+')) || layer_path(AT_FDCWD, name, path) != PATH_WATCHED)
        return real()->fopen(name, mode);
    const int descriptor = open(name, flags_of(mode), 0666);
    FILE *stream = descriptor < 0 ? NULL : stream_on(descriptor, mode);
    if (!stream && descriptor >= 0)
        close(descriptor);
    return stream;
}

FILE *fopen64(const char *name, const char *mode)
{
    return fopen(name, mode);
}

int fileno(FILE *stream)
{
    pthread_mutex_lock(&lock);
    const own_stream *own = streams;
    while (own && own->stream != stream)
        own = own->next;
    const int descriptor = own ? own->descriptor : -1;
    pthread_mutex_unlock(&lock);
    return descriptor >= 0 ? descriptor : real()->fileno(stream);
}

int fileno_unlocked(FILE *stream)
{
    return fileno(stream);
}
