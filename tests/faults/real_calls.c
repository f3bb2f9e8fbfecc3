#include "real_calls.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

static real_calls calls;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void *find(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    return found;
}

static void find_all(void)
{
    /* POSIX lets a void * be a function. */
    *(void **)&calls.open = find("open");
    *(void **)&calls.openat = find("openat");
    *(void **)&calls.fopen = find("fopen");
    *(void **)&calls.fileno = find("fileno");
    *(void **)&calls.write = find("write");
    *(void **)&calls.pwrite = find("pwrite");
    *(void **)&calls.writev = find("writev");
    *(void **)&calls.pwritev = find("pwritev");
    *(void **)&calls.fallocate = find("fallocate");
    *(void **)&calls.ftruncate = find("ftruncate");
    *(void **)&calls.fsync = find("fsync");
    *(void **)&calls.rename = find("rename");
    *(void **)&calls.unlink = find("unlink");
    *(void **)&calls.unlinkat = find("unlinkat");
    *(void **)&calls.remove = find("remove");
    *(void **)&calls.link = find("link");
    *(void **)&calls.mkdir = find("mkdir");
}

const real_calls *real(void)
{
    (void)pthread_once(&once, find_all);
    return &calls;
}
