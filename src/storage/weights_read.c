/* Parameters that were trained elsewhere: datasets with the names and shapes of docs/models.md. Rank 0 reads, everybody gets
 * them. */
#include "srtrain/checkpoint.h"

#include "storage/checkpoint_layout.h"
#include "storage/mismatches.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static const char *name_of_class(H5T_class_t class)
{
    switch (class) {
    case H5T_INTEGER:
        return "integers";
    case H5T_STRING:
        return "texts";
    case H5T_COMPOUND:
        return "compounds";
    case H5T_ENUM:
        return "enumerated values";
    default:
        return "something else";
    }
}

/* Whether a dataset holds floating-point numbers, of any size and byte order: HDF5 converts them. */
static bool check_type(mismatch_list *list, hid_t set, const sr_parameter *parameter)
{
    const hid_t type = H5Dget_type(set);
    const H5T_class_t class = type >= 0 ? H5Tget_class(type) : H5T_NO_CLASS;
    if (class != H5T_FLOAT) {
        char detail[96];
        snprintf(detail, sizeof detail, "holds %s, expected floating-point numbers", name_of_class(class));
        mismatch_add(list, "type", parameter->name, detail);
    }
    if (type >= 0)
        H5Tclose(type);
    return class == H5T_FLOAT;
}

static void check_finite(mismatch_list *list, const sr_parameter *parameter, const sr_real *values)
{
    size_t count = 0, first = 0;
    for (size_t i = 0; i < parameter->size; ++i)
        if (!isfinite(values[i])) {
            first = count ? first : i;
            ++count;
        }
    if (count == 0)
        return;
    char detail[160];
    snprintf(detail, sizeof detail,
             "has %zu of %zu values that are no finite single-precision numbers, the first is element %zu", count,
             parameter->size, first);
    mismatch_add(list, "values", parameter->name, detail);
}

static void read_parameter(mismatch_list *list, hid_t group, const sr_parameter *parameter, sr_real *values)
{
    hid_t set;
    const bool fits = mismatch_open(list, group, parameter, &set);
    if (set < 0)
        return;
    if (check_type(list, set, parameter) && fits) {
        if (H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0) {
            check_finite(list, parameter, values);
        } else {
            sr_error reason;
            (void)sr_hdf5_fail(&reason, SR_ERROR_DATA, "HDF5", "read", "it");
            mismatch_add(list, "damaged", parameter->name, reason.message);
        }
    }
    H5Dclose(set);
}

/* The group of the parameters, or the root if the file has no such group. */
static hid_t open_group(hid_t file)
{
    const hid_t group = H5Lexists(file, CHECKPOINT_PARAMETERS, H5P_DEFAULT) > 0
                            ? H5Gopen2(file, CHECKPOINT_PARAMETERS, H5P_DEFAULT)
                            : -1;
    return group >= 0 ? group : H5Gopen2(file, "/", H5P_DEFAULT);
}

static sr_status read_file(const char *path, sr_parameters *parameters, sr_error *error)
{
    sr_hdf5_file file;
    mismatch_list list = {.parameters = parameters};
    SR_TRY(sr_hdf5_open(&file, path, error));
    const hid_t group = open_group(file.id);
    sr_status status = group >= 0 ? SR_OK : sr_hdf5_fail(error, SR_ERROR_DATA, path, "open", "the group of the parameters");
    for (size_t i = 0; i < parameters->count && status == SR_OK; ++i)
        read_parameter(&list, group, &parameters->list[i], parameters->values + parameters->list[i].offset);
    if (status == SR_OK)
        status = mismatch_find_unknown(&list, group, path, error);
    if (group >= 0)
        H5Gclose(group);
    (void)sr_hdf5_close(&file, NULL); /* it was only read */
    return status == SR_OK ? mismatch_report(&list, path, error) : status;
}

sr_status sr_weights_read(sr_parallel *parallel, const char *path, sr_parameters *parameters, sr_error *error)
{
    const sr_status status = sr_parallel_rank(parallel) == 0 ? read_file(path, parameters, error) : SR_OK;
    SR_TRY(sr_parallel_agree(parallel, status, error));
    return sr_parallel_broadcast(parallel, parameters->values, parameters->block_size * sizeof(sr_real), error);
}
