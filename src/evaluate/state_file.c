#include "evaluate/state_file.h"

#include "srtrain/memory.h"
#include "srtrain/output_file.h"
#include "storage/disk_room.h"
#include "storage/hdf5_helpers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Values of a dataset, in a file without a name until their number is known. */
typedef struct {
    const char *name;
    FILE *values;
    size_t row; /* bytes of a row */
} spool;

struct state_file {
    sr_output_file output; /* HDF5 writes to its place by itself */
    spool users, states;
    size_t count, width;
};

sr_status state_file_check_path(const char *path, sr_error *error)
{
    const size_t length = strlen(path);
    return length > 3 && strcmp(path + length - 3, ".h5") == 0
               ? SR_OK
               : sr_fail(error, SR_ERROR_USAGE, "--output %s: the name must end in .h5", path);
}

static sr_status open_spool(const state_file *file, spool *s, sr_error *error)
{
    char *path;
    if (asprintf(&path, "%s-%s", file->output.place, s->name) < 0)
        return sr_fail_memory(error, strlen(file->output.place), "a file name");
    s->values = fopen(path, "w+b");
    const sr_status status = s->values && remove(path) == 0
                                 ? SR_OK
                                 : sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", path, strerror(errno));
    free(path);
    return status;
}

sr_status state_file_open(state_file **file, const char *path, size_t longest_user, sr_error *error)
{
    state_file *made;
    *file = NULL;
    SR_TRY(state_file_check_path(path, error));
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "a file of states", error));
    made->users = (spool){.name = "user", .row = longest_user ? longest_user : 1};
    made->states = (spool){.name = "states"};
    sr_status status = sr_output_file_open(&made->output, path, error);
    if (status == SR_OK)
        status = open_spool(made, &made->users, error);
    if (status == SR_OK)
        status = open_spool(made, &made->states, error);
    if (status != SR_OK)
        return state_file_close(made, status, &(size_t){0}, error);
    *file = made;
    return SR_OK;
}

sr_status state_file_add(void *context, const char *user, size_t user_length, const sr_real *state, size_t width,
                         sr_error *error)
{
    state_file *file = context;
    FILE *users = file->users.values, *states = file->states.values;
    fwrite(user, 1, user_length, users);
    for (size_t i = user_length; i < file->users.row; ++i)
        putc(0, users);
    fwrite(state, sizeof *state, width, states);
    file->width = width;
    file->states.row = width * sizeof *state;
    ++file->count;
    return ferror(users) || ferror(states)
               ? sr_fail(error, SR_ERROR_RUNTIME, "cannot write what %s is made of: %s", file->output.path, strerror(errno))
               : SR_OK;
}

static sr_status write_spool(const state_file *file, const sr_hdf5_file *to, const spool *s, hid_t type, size_t rank,
                             sr_error *error)
{
    const size_t dimensions[] = {file->count, file->width}, bytes = file->count * s->row;
    const char nothing = 0;
    const void *values = &nothing;
    if (type < 0)
        return sr_hdf5_fail(error, SR_ERROR_RUNTIME, to->path, "make a type for dataset", s->name);
    if (bytes)
        values = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fileno(s->values), 0);
    if (values == MAP_FAILED)
        return sr_fail(error, SR_ERROR_RUNTIME, "cannot read what %s is made of: %s", file->output.path, strerror(errno));
    const sr_status status = sr_hdf5_write_block(to, s->name, type, dimensions, rank, values, error);
    if (bytes)
        (void)munmap((void *)values, bytes);
    return status;
}

static sr_status write_datasets(const state_file *file, const sr_hdf5_file *to, sr_error *error)
{
    hid_t names = H5Tcopy(H5T_C_S1);
    if (names >= 0 && (H5Tset_size(names, file->users.row) < 0 || H5Tset_strpad(names, H5T_STR_NULLPAD) < 0)) {
        H5Tclose(names);
        names = -1;
    }
    sr_status status = write_spool(file, to, &file->users, names, 1, error);
    if (status == SR_OK)
        status = write_spool(file, to, &file->states, H5T_IEEE_F32LE, 2, error);
    if (names >= 0)
        H5Tclose(names);
    return status;
}

static sr_status write_file(const state_file *file, sr_error *error)
{
    enum { METADATA = 1 << 16 }; /* generously */
    sr_hdf5_file to;
    if (fflush(file->users.values) != 0 || fflush(file->states.values) != 0)
        return sr_fail(error, SR_ERROR_RUNTIME, "cannot write what %s is made of: %s", file->output.path, strerror(errno));
    SR_TRY(disk_room_reserve(file->output.place, METADATA + file->count * (file->users.row + file->states.row), error));
    SR_TRY(sr_hdf5_create(&to, file->output.place, error));
    const sr_status status = write_datasets(file, &to, error);
    const sr_status closed = sr_hdf5_close(&to, status == SR_OK ? error : NULL);
    return status == SR_OK ? closed : status;
}

sr_status state_file_close(state_file *file, sr_status status, size_t *users, sr_error *error)
{
    *users = file->count;
    if (status == SR_OK)
        status = write_file(file, error);
    if (file->users.values)
        fclose(file->users.values);
    if (file->states.values)
        fclose(file->states.values);
    status = sr_output_file_close(&file->output, status, error);
    free(file);
    return status;
}
