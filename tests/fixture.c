#include "fixture.h"

#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parity_fixture {
    hid_t file;
    char *path, *name, *configuration, *zero_gradients;
    int64_t items, users, annealing_step;
};

static sr_status read_text(hid_t file, const char *path, const char *attribute, char **text, sr_error *error)
{
    *text = NULL;
    const hid_t id = H5Aopen(file, attribute, H5P_DEFAULT);
    if (id < 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: no attribute \"%s\"", path, attribute);
    const hid_t type = H5Aget_type(id);
    herr_t result = -1;
    if (H5Tis_variable_str(type) > 0) {
        const hid_t memory_type = H5Tcopy(H5T_C_S1);
        char *read = NULL;
        H5Tset_size(memory_type, H5T_VARIABLE);
        H5Tset_cset(memory_type, H5Tget_cset(type));
        result = H5Aread(id, memory_type, &read);
        *text = read ? strdup(read) : strdup("");
        H5free_memory(read);
        H5Tclose(memory_type);
    }
    H5Tclose(type);
    H5Aclose(id);
    return result >= 0 && *text ? SR_OK : sr_fail(error, SR_ERROR_DATA, "%s: attribute \"%s\" is not a text", path, attribute);
}

static bool read_count(hid_t file, const char *object, const char *attribute, int64_t *value)
{
    const hid_t id = H5Aopen_by_name(file, object, attribute, H5P_DEFAULT, H5P_DEFAULT);
    const bool read = id >= 0 && H5Aread(id, H5T_NATIVE_INT64, value) >= 0;
    if (id >= 0)
        H5Aclose(id);
    return read;
}

sr_status fixture_open(parity_fixture **opened, const char *path, sr_error *error)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* our own messages name the file */
    parity_fixture *made = calloc(1, sizeof *made);
    *opened = made;
    if (!made)
        return sr_fail_memory(error, sizeof *made, "a fixture");
    made->path = strdup(path);
    made->file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (made->file < 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: cannot be opened as HDF5", path);
    char *format = NULL;
    SR_TRY(read_text(made->file, path, "format", &format, error));
    const bool known = strcmp(format, "srtrain-parity-1") == 0;
    free(format);
    if (!known)
        return sr_fail(error, SR_ERROR_DATA, "%s: format is not srtrain-parity-1", path);
    SR_TRY(read_text(made->file, path, "name", &made->name, error));
    SR_TRY(read_text(made->file, path, "config", &made->configuration, error));
    SR_TRY(read_text(made->file, path, "zero_gradient_parameters", &made->zero_gradients, error));
    if (!read_count(made->file, "/", "items", &made->items) || !read_count(made->file, "/", "users", &made->users))
        return sr_fail(error, SR_ERROR_DATA, "%s: no attributes \"items\" and \"users\"", path);
    if (!read_count(made->file, "/inputs", "annealing_step", &made->annealing_step))
        made->annealing_step = 0;
    return SR_OK;
}

void fixture_close(parity_fixture *fixture)
{
    if (!fixture)
        return;
    if (fixture->file > 0)
        H5Fclose(fixture->file);
    free(fixture->path);
    free(fixture->name);
    free(fixture->configuration);
    free(fixture->zero_gradients);
    free(fixture);
}

const char *fixture_name(const parity_fixture *fixture)
{
    return fixture->name ? fixture->name : fixture->path;
}

const char *fixture_configuration(const parity_fixture *fixture)
{
    return fixture->configuration;
}

int64_t fixture_items(const parity_fixture *fixture)
{
    return fixture->items;
}

int64_t fixture_users(const parity_fixture *fixture)
{
    return fixture->users;
}

int64_t fixture_annealing_step(const parity_fixture *fixture)
{
    return fixture->annealing_step;
}

bool fixture_has_zero_gradient(const parity_fixture *fixture, const char *parameter)
{
    const size_t length = strlen(parameter);
    for (const char *found = fixture->zero_gradients; (found = strstr(found, parameter)); found += length)
        if ((found == fixture->zero_gradients || found[-1] == ' ') && (found[length] == ' ' || found[length] == '\0'))
            return true;
    return false;
}

bool fixture_has(const parity_fixture *fixture, const char *group, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", group, name);
    return H5Lexists(fixture->file, path, H5P_DEFAULT) > 0;
}

static sr_status read_as(const parity_fixture *fixture, const char *group, const char *name, hid_t type, size_t size,
                         void **values, size_t *count, sr_error *error)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", group, name);
    *values = NULL;
    const hid_t dataset = H5Dopen2(fixture->file, path, H5P_DEFAULT);
    if (dataset < 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: no dataset %s", fixture->path, path);
    const hid_t space = H5Dget_space(dataset);
    const hssize_t points = H5Sget_simple_extent_npoints(space);
    *count = points < 0 ? 0 : (size_t)points;
    *values = malloc((*count ? *count : 1) * size);
    const herr_t result = *values ? H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, *values) : -1;
    H5Sclose(space);
    H5Dclose(dataset);
    if (result >= 0)
        return SR_OK;
    free(*values);
    *values = NULL;
    return sr_fail(error, SR_ERROR_DATA, "%s: dataset %s cannot be read", fixture->path, path);
}

sr_status fixture_read_sized(const parity_fixture *fixture, const char *group, const char *name, size_t count, double **values,
                             sr_error *error)
{
    size_t found;
    void *read;
    SR_TRY(read_as(fixture, group, name, H5T_NATIVE_DOUBLE, sizeof **values, &read, &found, error));
    *values = read;
    if (found == count)
        return SR_OK;
    free(read);
    *values = NULL;
    return sr_fail(error, SR_ERROR_DATA, "%s: dataset %s/%s has %zu elements, expected %zu", fixture->path, group, name, found,
                   count);
}

sr_status fixture_read_integers(const parity_fixture *fixture, const char *group, const char *name, int32_t **values,
                                size_t *count, sr_error *error)
{
    void *read;
    SR_TRY(read_as(fixture, group, name, H5T_NATIVE_INT32, sizeof **values, &read, count, error));
    *values = read;
    return SR_OK;
}

sr_status fixture_read_long_integers(const parity_fixture *fixture, const char *group, const char *name, int64_t **values,
                                     size_t *count, sr_error *error)
{
    void *read;
    SR_TRY(read_as(fixture, group, name, H5T_NATIVE_INT64, sizeof **values, &read, count, error));
    *values = read;
    return SR_OK;
}
