#include "fuzz/changed_file.h"

#include "storage/seal_hdf5.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_DIRECTORIES = 4 };

typedef char directory_name[64];

static directory_name directories[MOST_DIRECTORIES];
static size_t directory_count;

static void remove_directory(const char *directory)
{
    DIR *opened = opendir(directory);
    for (const struct dirent *entry; opened && (entry = readdir(opened));) {
        char path[sizeof(directory_name) + sizeof entry->d_name];
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        (void)unlink(path); /* which leaves . and .. alone */
    }
    if (opened)
        closedir(opened);
    (void)rmdir(directory);
}

static void remove_directories(void)
{
    while (directory_count > 0)
        remove_directory(directories[--directory_count]);
}

const char *make_directory(void)
{
    if (directory_count == MOST_DIRECTORIES || (directory_count == 0 && atexit(remove_directories) != 0))
        abort();
    char *directory = directories[directory_count];
    snprintf(directory, sizeof(directory_name), "/dev/shm/srtrain-fuzz-XXXXXX");
    if (!mkdtemp(directory)) {
        snprintf(directory, sizeof(directory_name), "/tmp/srtrain-fuzz-XXXXXX");
        if (!mkdtemp(directory))
            abort();
    }
    ++directory_count;
    return directory;
}

/* A file that HDF5 has opened ends where its objects end: the seal lies behind. */
static bool cut_seal(const char *path)
{
    haddr_t end = 0;
    const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    const bool known = file >= 0 && H5Fget_eoa(file, &end) >= 0;
    if (file >= 0)
        H5Fclose(file);
    return known && truncate(path, (off_t)end) == 0;
}

bool changed_file_load(changed_file *f, const char *path)
{
    snprintf(f->path, sizeof f->path, "%s", path);
    FILE *file = cut_seal(path) ? fopen(path, "rb") : NULL;
    if (!file || fseek(file, 0, SEEK_END) != 0)
        return false;
    f->size = (size_t)ftell(file);
    f->bytes = malloc(f->size);
    rewind(file);
    const bool read = f->bytes && fread(f->bytes, 1, f->size, file) == f->size;
    fclose(file);
    return read;
}

hid_t changed_file_open(const changed_file *f)
{
    FILE *file = fopen(f->path, "wb");
    bool written = file && fwrite(f->bytes, 1, f->size, file) == f->size;
    written = file && fclose(file) == 0 && written;
    return written ? H5Fopen(f->path, H5F_ACC_RDWR, H5P_DEFAULT) : -1;
}

bool changed_file_close(const changed_file *f, hid_t id, unsigned options)
{
    sr_error error;
    return H5Fclose(id) >= 0 && (options & LEAVE_OUT_SEAL || seal_append_to_hdf5(f->path, &error) == SR_OK);
}

size_t open_objects(void)
{
    static const H5I_type_t types[] = {H5I_FILE,    H5I_GROUP, H5I_DATATYPE,   H5I_DATASPACE,
                                       H5I_DATASET, H5I_ATTR,  H5I_GENPROP_LST};
    size_t all = 0;
    for (size_t i = 0; i < sizeof types / sizeof *types; ++i) {
        hsize_t count = 0;
        (void)H5Inmembers(types[i], &count);
        all += count;
    }
    return all;
}

void demand(const char **wrong, bool holds, const char *what)
{
    if (!holds && !*wrong)
        *wrong = what;
}

void demand_refusal(const char **wrong, sr_status status, const sr_error *error, const char *path)
{
    demand(wrong, status == SR_ERROR_DATA, "what is refused is damaged data");
    demand(wrong, error->status == status, "an error has its status");
    demand(wrong, memchr(error->message, '\0', sizeof error->message) != NULL, "a message ends");
    demand(wrong, strstr(error->message, path) != NULL, "a message names the file");
}
