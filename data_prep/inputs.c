#include "inputs.h"

#include "base/lines.h"
#include "srtrain/directories.h"
#include "srtrain/memory.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static sr_status add_path(input_list *inputs, const char *path, sr_error *error)
{
    SR_TRY(SR_GROW(&inputs->paths, &inputs->room, inputs->count + 1, "names of files", error));
    SR_TRY(sr_copy_string(&inputs->paths[inputs->count], path, error));
    ++inputs->count;
    return SR_OK;
}

static int is_visible(const struct dirent *entry)
{
    return *entry->d_name != '.';
}

/* By bytes, whatever the locale. */
static int compare_names(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name);
}

/* The files of a directory. What is no file, as a directory in it, is an error: nothing is left out silently. */
static sr_status add_entries(input_list *inputs, const char *directory, struct dirent *const *entries, int count,
                             sr_error *error)
{
    for (int i = 0; i < count; ++i) {
        struct stat information;
        char path[4096];
        const int length = snprintf(path, sizeof path, "%s/%s", directory, entries[i]->d_name);
        if (length >= (int)sizeof path)
            return sr_fail(error, SR_ERROR_RUNTIME, "%s: the name of a file in it is too long", directory);
        if (stat(path, &information) != 0)
            return sr_fail(error, SR_ERROR_RUNTIME, "%s cannot be read: %s", path, strerror(errno));
        if (S_ISDIR(information.st_mode))
            return sr_fail(error, SR_ERROR_USAGE, "--input %s: %s is a directory; only files may be in a directory of input",
                           directory, path);
        SR_TRY(add_path(inputs, path, error));
    }
    return count > 0 ? SR_OK : sr_fail(error, SR_ERROR_DATA, "%s is a directory without files", directory);
}

static sr_status add_directory(input_list *inputs, const char *directory, sr_error *error)
{
    struct dirent **entries;
    const int count = scandir(directory, &entries, is_visible, compare_names);
    if (count < 0)
        return sr_fail(error, SR_ERROR_RUNTIME, "%s cannot be read: %s", directory, strerror(errno));
    const sr_status status = add_entries(inputs, directory, entries, count, error);
    for (int i = 0; i < count; ++i)
        free(entries[i]);
    free(entries);
    return status;
}

static sr_status add_input(input_list *inputs, const char *path, sr_error *error)
{
    struct stat information;
    if (strcmp(path, "-") != 0 && stat(path, &information) == 0 && S_ISDIR(information.st_mode))
        return add_directory(inputs, path, error);
    return add_path(inputs, path, error);
}

static sr_status add_listed(input_list *inputs, const char *list, sr_error *error)
{
    lines *file;
    const char *line;
    SR_TRY(lines_open(&file, list, error));
    sr_status status;
    while ((status = lines_next(file, &line, error)) == SR_OK && line)
        if (*line && (status = add_input(inputs, line, error)) != SR_OK)
            break;
    lines_close(file);
    return status;
}

static sr_status check_standard_input(const input_list *inputs, sr_error *error)
{
    size_t count = 0;
    for (size_t i = 0; i < inputs->count; ++i)
        count += strcmp(inputs->paths[i], "-") == 0;
    return count <= 1 ? SR_OK : sr_fail(error, SR_ERROR_USAGE, "--input: standard input (-) can be read only once");
}

sr_status inputs_collect(input_list *inputs, const sr_text_list *given, const char *list, sr_error *error)
{
    *inputs = (input_list){.count = 0};
    for (size_t i = 0; i < given->count; ++i)
        SR_TRY(add_input(inputs, given->texts[i], error));
    if (list)
        SR_TRY(add_listed(inputs, list, error));
    if (inputs->count == 0)
        return list ? sr_fail(error, SR_ERROR_DATA, "%s names no file", list)
                    : sr_fail(error, SR_ERROR_USAGE, "srprep convert: --input is missing");
    return check_standard_input(inputs, error);
}

void inputs_free(input_list *inputs)
{
    for (size_t i = 0; i < inputs->count; ++i)
        free(inputs->paths[i]);
    free(inputs->paths);
    *inputs = (input_list){.count = 0};
}
