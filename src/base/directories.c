#include "srtrain/directories.h"

#include "srtrain/durable.h"
#include "srtrain/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static sr_status make_directory(const char *path, sr_error *error)
{
    if (mkdir(path, 0777) == 0)
        return sr_durable_synchronise_parent(path, error);
    if (errno == EEXIST)
        return SR_OK;
    return sr_fail(error, SR_ERROR_RUNTIME, "cannot make directory %s: %s", path, strerror(errno));
}

sr_status sr_make_parent_directories(const char *path, sr_error *error)
{
    char *partial;
    SR_TRY(sr_copy_string(&partial, path, error));
    sr_status status = SR_OK;
    char *slash = *partial ? strchr(partial + 1, '/') : NULL;
    for (; slash && status == SR_OK; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        status = make_directory(partial, error);
        *slash = '/';
    }
    free(partial);
    return status;
}

sr_status sr_make_directories(const char *path, sr_error *error)
{
    SR_TRY(sr_make_parent_directories(path, error));
    return make_directory(path, error);
}

void sr_make_path_absolute(char *path, size_t size)
{
    char *here = *path && *path != '/' ? getcwd(NULL, 0) : NULL, *whole = NULL;
    const char *below = path;
    while (strncmp(below, "./", 2) == 0)
        below += 2 + strspn(below + 2, "/");
    if (here && *here == '/' && asprintf(&whole, "%s%s%s", here, here[1] ? "/" : "", below) >= 0 && strlen(whole) < size)
        strcpy(path, whole);
    free(whole);
    free(here);
}
