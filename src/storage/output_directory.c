#include "storage/output_directory.h"

#include "srtrain/directories.h"
#include "srtrain/durable.h"
#include "srtrain/memory.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_entry(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

sr_status sr_output_directory_check(const char *path, sr_error *error)
{
    if (!*path)
        return sr_fail(error, SR_ERROR_USAGE, "the name of the output directory is empty");
    DIR *directory = opendir(path);
    if (!directory && errno == ENOENT)
        return SR_OK;
    if (!directory)
        return sr_fail(error, SR_ERROR_USAGE, "%s: cannot become the output directory: %s", path, strerror(errno));
    const struct dirent *entry;
    bool empty = true, has_index = false;
    while ((entry = readdir(directory))) {
        empty = empty && !is_entry(entry);
        has_index = has_index || strcmp(entry->d_name, "index.h5") == 0;
    }
    closedir(directory);
    if (has_index)
        return sr_fail(error, SR_ERROR_USAGE, "%s: already holds a data set; name another directory, or delete it first", path);
    if (!empty)
        return sr_fail(error, SR_ERROR_USAGE, "%s: exists and is not empty; name another directory, or empty it first", path);
    return SR_OK;
}

/* A name that is not in use yet: the number of the process tells runs apart, the attempt tells what a killed one left behind.
 */
static sr_status make_temporary(sr_output_directory *output, sr_error *error)
{
    for (int attempt = 0; attempt < 100; ++attempt) {
        if (asprintf(&output->temporary, "%s.tmp-%ld-%d", output->path, (long)getpid(), attempt) < 0) {
            output->temporary = NULL;
            return sr_fail_memory(error, strlen(output->path) + 32, "a file name");
        }
        if (mkdir(output->temporary, 0777) == 0)
            return SR_OK;
        const int cause = errno;
        if (cause != EEXIST || attempt == 99)
            (void)sr_fail(error, SR_ERROR_RUNTIME, "%s: cannot make the directory: %s", output->temporary, strerror(cause));
        free(output->temporary);
        output->temporary = NULL;
        if (cause != EEXIST)
            break;
    }
    return SR_ERROR_RUNTIME;
}

sr_status sr_output_directory_begin(sr_output_directory *output, const char *path, sr_error *error)
{
    *output = (sr_output_directory){NULL, NULL};
    SR_TRY(sr_output_directory_check(path, error));
    SR_TRY(sr_copy_string(&output->path, path, error));
    for (size_t length = strlen(output->path); length > 1 && output->path[length - 1] == '/'; --length)
        output->path[length - 1] = '\0';
    sr_status status = sr_make_parent_directories(output->path, error);
    if (status == SR_OK)
        status = make_temporary(output, error);
    if (status != SR_OK)
        sr_output_directory_discard(output);
    return status;
}

void sr_output_directory_discard(sr_output_directory *output)
{
    DIR *directory = output->temporary ? opendir(output->temporary) : NULL;
    const struct dirent *entry;
    while (directory && (entry = readdir(directory)))
        if (is_entry(entry))
            (void)unlinkat(dirfd(directory), entry->d_name, 0);
    if (directory)
        closedir(directory);
    if (output->temporary)
        (void)rmdir(output->temporary);
    free(output->temporary);
    free(output->path);
    *output = (sr_output_directory){NULL, NULL};
}

sr_status sr_output_directory_commit(sr_output_directory *output, sr_error *error)
{
    const sr_status status = sr_durable_rename(output->temporary, output->path, error);
    sr_output_directory_discard(output); /* nothing, once it has its name */
    return status;
}
