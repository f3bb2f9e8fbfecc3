#include "storage/mismatches.h"

#include "srtrain/memory.h"
#include "storage/hdf5_helpers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mismatch_add(mismatch_list *list, const char *what, const char *name, const char *detail)
{
    ++list->count;
    const size_t room = sizeof list->text - list->used;
    const int length = snprintf(list->text + list->used, room, "\n  %s: %s%s%s", what, name, *detail ? " " : "", detail);
    if (length > 0 && (size_t)length < room) {
        list->used += (size_t)length;
        ++list->shown;
    } else { /* no half lines, and no shorter one behind one that is left out */
        list->text[list->used] = '\0';
        list->used = sizeof list->text - 1;
    }
}

/* "[4, 8]". */
static void print_shape(char *text, size_t size, const hsize_t *shape, size_t rank)
{
    size_t used = 0;
    for (size_t i = 0; i < rank && used < size; ++i)
        used += (size_t)snprintf(text + used, size - used, "%s%llu", i ? ", " : "[", (unsigned long long)shape[i]);
    if (used < size)
        snprintf(text + used, size - used, "%s", rank ? "]" : "a scalar");
}

bool mismatch_open(mismatch_list *list, hid_t group, const sr_parameter *parameter, hid_t *set)
{
    *set = -1;
    if (H5Lexists(group, parameter->name, H5P_DEFAULT) <= 0) {
        mismatch_add(list, "missing", parameter->name, "");
        return false;
    }
    *set = H5Dopen2(group, parameter->name, H5P_DEFAULT);
    const hid_t space = *set >= 0 ? H5Dget_space(*set) : -1;
    hsize_t found[H5S_MAX_RANK], expected[SR_PARAMETER_RANK_MAXIMUM];
    const int rank = space >= 0 ? H5Sget_simple_extent_dims(space, found, NULL) : -1;
    bool fits = rank == (int)parameter->rank;
    for (size_t i = 0; i < parameter->rank; ++i) {
        expected[i] = parameter->shape[i];
        fits = fits && found[i] == expected[i];
    }
    if (rank < 0) {
        mismatch_add(list, "not an array", parameter->name, "");
    } else if (!fits) {
        char is[160], should[160], detail[sizeof is + sizeof should + 32];
        print_shape(is, sizeof is, found, (size_t)rank);
        print_shape(should, sizeof should, expected, parameter->rank);
        snprintf(detail, sizeof detail, "is %s, expected %s", is, should);
        mismatch_add(list, "shape", parameter->name, detail);
    }
    if (space >= 0)
        H5Sclose(space);
    return fits;
}

typedef struct {
    mismatch_list *list;
    const char **names; /* of all parameters */
} unknown_search;

static herr_t check_known(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    (void)group;
    (void)info;
    const unknown_search *search = context;
    const sr_parameters *parameters = search->list->parameters;
    if (sr_parameters_find(parameters, name) != SIZE_MAX)
        return 0;
    const char *nearest = sr_nearest_name(name, search->names, parameters->count);
    char detail[SR_PARAMETER_NAME_SIZE + 32] = "";
    if (nearest)
        snprintf(detail, sizeof detail, "(did you mean %s?)", nearest);
    mismatch_add(search->list, "unknown", name, detail);
    return 0;
}

sr_status mismatch_find_unknown(mismatch_list *list, hid_t group, const char *path, sr_error *error)
{
    unknown_search search = {.list = list};
    SR_TRY(SR_ALLOCATE(&search.names, list->parameters->count, "names of parameters", error));
    for (size_t i = 0; i < list->parameters->count; ++i)
        search.names[i] = list->parameters->list[i].name;
    const herr_t visited = H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, check_known, &search);
    free(search.names);
    return visited >= 0 ? SR_OK : sr_hdf5_fail(error, SR_ERROR_DATA, path, "list", "the parameters");
}

sr_status mismatch_report(const mismatch_list *list, const char *path, sr_error *error)
{
    if (list->count == 0)
        return SR_OK;
    char more[64] = "";
    if (list->shown < list->count)
        snprintf(more, sizeof more, "\n  and %zu more", list->count - list->shown);
    return sr_fail(error, SR_ERROR_DATA, "%s does not fit the model, %zu %s:%.*s%s", path, list->count,
                   list->count == 1 ? "mismatch" : "mismatches", (int)sizeof list->text, list->text, more);
}
