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

enum { DEEPEST = 33 }; /* levels of directories */

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

static sr_status add_directory(input_list *inputs, const char *directory, int depth, sr_error *error);

/* What Spark and Hive write beside the files with data. */
static bool is_sign(const char *name)
{
    return *name == '_';
}

/* The files of a directory. A directory in it is gone through if `depth` is above 0, and an error otherwise: nothing is left
 * out silently. */
static sr_status add_entries(input_list *inputs, const char *directory, struct dirent *const *entries, int count, int depth,
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
        if (depth > 0 && is_sign(entries[i]->d_name))
            continue;
        if (!S_ISDIR(information.st_mode))
            SR_TRY(add_path(inputs, path, error));
        else if (depth == 1)
            return sr_fail(error, SR_ERROR_USAGE, "--recursive: %s is too deep: directories may be %d deep", path, DEEPEST);
        else if (depth > 1)
            SR_TRY(add_directory(inputs, path, depth - 1, error));
        else
            return sr_fail(error, SR_ERROR_USAGE,
                           "--input %s: %s is a directory; only files may be in a directory of input, unless --recursive goes "
                           "into all of them",
                           directory, path);
    }
    return SR_OK;
}

static sr_status add_directory(input_list *inputs, const char *directory, int depth, sr_error *error)
{
    struct dirent **entries;
    const int count = scandir(directory, &entries, is_visible, compare_names);
    if (count < 0)
        return sr_fail(error, SR_ERROR_RUNTIME, "%s cannot be read: %s", directory, strerror(errno));
    const sr_status status = add_entries(inputs, directory, entries, count, depth, error);
    for (int i = 0; i < count; ++i)
        free(entries[i]);
    free(entries);
    return status;
}

static sr_status add_input(input_list *inputs, const char *path, bool recursive, sr_error *error)
{
    struct stat information;
    const size_t before = inputs->count;
    if (strcmp(path, "-") == 0 || stat(path, &information) != 0 || !S_ISDIR(information.st_mode))
        return add_path(inputs, path, error);
    SR_TRY(add_directory(inputs, path, recursive ? DEEPEST : 0, error));
    return inputs->count > before ? SR_OK : sr_fail(error, SR_ERROR_DATA, "%s is a directory without files", path);
}

static sr_status add_listed(input_list *inputs, const char *list, bool recursive, sr_error *error)
{
    lines *file;
    const char *line;
    SR_TRY(lines_open(&file, list, error));
    sr_status status;
    while ((status = lines_next(file, &line, error)) == SR_OK && line)
        if (*line && (status = add_input(inputs, line, recursive, error)) != SR_OK)
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

/* The files of --train, --valid and --test. */
static sr_status add_given(input_list *inputs, const input_request *request, sr_error *error)
{
    const sr_text_list *given = request->given;
    if (request->files.count > 0 || request->list)
        return sr_fail(error, SR_ERROR_USAGE, "--input and --input-list have no use beside --train, --valid and --test");
    if (given[GIVEN_TRAIN].count == 0 || given[GIVEN_VALID].count + given[GIVEN_TEST].count == 0)
        return sr_fail(error, SR_ERROR_USAGE, "srprep convert: a split that is given needs --train, and --valid or --test");
    inputs->is_given = true;
    for (size_t part = 0; part < GIVEN_PARTS; ++part) {
        for (size_t i = 0; i < given[part].count; ++i)
            SR_TRY(add_input(inputs, given[part].texts[i], request->recursive, error));
        inputs->given_end[part] = inputs->count;
    }
    return SR_OK;
}

given_part inputs_part(const input_list *inputs, size_t file)
{
    return file < inputs->given_end[GIVEN_TRAIN]   ? GIVEN_TRAIN
           : file < inputs->given_end[GIVEN_VALID] ? GIVEN_VALID
                                                   : GIVEN_TEST;
}

sr_status inputs_collect(input_list *inputs, const input_request *request, sr_error *error)
{
    *inputs = (input_list){.count = 0};
    if (request->given[GIVEN_TRAIN].count + request->given[GIVEN_VALID].count + request->given[GIVEN_TEST].count > 0) {
        SR_TRY(add_given(inputs, request, error));
        return check_standard_input(inputs, error);
    }
    for (size_t i = 0; i < request->files.count; ++i)
        SR_TRY(add_input(inputs, request->files.texts[i], request->recursive, error));
    if (request->list)
        SR_TRY(add_listed(inputs, request->list, request->recursive, error));
    if (inputs->count == 0)
        return request->list ? sr_fail(error, SR_ERROR_DATA, "%s names no file", request->list)
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
