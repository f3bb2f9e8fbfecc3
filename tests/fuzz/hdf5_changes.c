#include "hdf5_changes.h"

#include "storage/hdf5_helpers.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 16, MOST_TEXT = 1 << 11, MOST_RANK = 4 };

/* ---- choosing ---- */

uint8_t choose_byte(choices *c)
{
    if (c->left == 0)
        return 0;
    --c->left;
    return *c->bytes++;
}

static const char *choose_name(choices *c, const char *const *names, size_t count)
{
    return names[choose_byte(c) % count];
}

/* A number: small, at a bound of something, or any. */
static int64_t choose_number(choices *c)
{
    static const int64_t bounds[] = {
        -1,         INT8_MAX,  INT8_MAX + 1,  UINT8_MAX, INT32_MAX,     INT32_MIN,      (int64_t)INT32_MAX + 1,
        UINT32_MAX, INT64_MAX, INT64_MAX - 1, INT64_MIN, INT64_MIN + 1, INT64_MAX / 16, 1 + (1LL << 32),
        1LL << 53,  -2};
    enum { BOUNDS = sizeof bounds / sizeof *bounds };
    const uint8_t first = choose_byte(c);
    uint64_t number = 0;
    if (first < 0xe0)
        return first;
    if (first < 0xe0 + BOUNDS)
        return bounds[first - 0xe0];
    for (unsigned i = 0; i < first % 8 + 1U; ++i)
        number = number << 8 | choose_byte(c);
    return (int64_t)number;
}

static double choose_double(choices *c)
{
    const int64_t number = choose_number(c);
    double result;
    memcpy(&result, &number, sizeof result);
    switch (choose_byte(c) % 8) {
    case 0:
        return result; /* those bits: all that there is, if there are enough bytes */
    case 1:
        return (double)NAN;
    case 2:
        return (double)INFINITY;
    case 3:
        return (double)-INFINITY;
    case 4:
        return -0.0;
    case 5:
        return 1e308 * (double)(number % 3 - 1);
    default:
        return (double)number;
    }
}

/* Types of HDF5: numbers of all kinds, texts, and what our files never have. Closed by the caller. */
static hid_t choose_type(choices *c)
{
    const hid_t numbers[] = {H5T_STD_I32LE, H5T_STD_I64LE, H5T_IEEE_F32LE, H5T_IEEE_F64LE,    H5T_STD_U64LE,  H5T_STD_U8LE,
                             H5T_STD_I8LE,  H5T_STD_I16BE, H5T_STD_I32BE,  H5T_STD_I64BE,     H5T_IEEE_F32BE, H5T_STD_U32LE,
                             H5T_STD_U16LE, H5T_STD_B8LE,  H5T_STD_B64LE,  H5T_NATIVE_LDOUBLE};
    static const size_t sizes[] = {1, 2, 3, 5, 8, 16, 33, 64, 1025, 70000, (size_t)1 << 31, UINT32_MAX};
    enum { NUMBERS = sizeof numbers / sizeof *numbers, SIZES = sizeof sizes / sizeof *sizes };
    const uint8_t kind = choose_byte(c);
    if (kind < 128)
        return H5Tcopy(numbers[kind % NUMBERS]);
    const size_t size = sizes[choose_byte(c) % SIZES];
    hid_t type = -1;
    switch (kind % 8) {
    case 0:
        type = H5Tcopy(H5T_C_S1);
        (void)H5Tset_size(type, H5T_VARIABLE);
        break;
    case 1:
        type = H5Tcreate(H5T_COMPOUND, size < 8 ? 8 : size);
        (void)H5Tinsert(type, "x", 0, H5T_STD_I64LE);
        break;
    case 2:
        type = H5Tenum_create(H5T_STD_I32LE);
        break;
    case 3:
        type = H5Tarray_create2(H5T_STD_I32LE, 1, (const hsize_t[]){size});
        break;
    case 4:
        type = H5Tcreate(H5T_OPAQUE, size);
        break;
    case 5:
        type = H5Tvlen_create(H5T_STD_I32LE);
        break;
    default:
        type = H5Tcopy(H5T_C_S1);
        (void)H5Tset_size(type, size);
        (void)H5Tset_strpad(type, size % 2 ? H5T_STR_NULLPAD : H5T_STR_SPACEPAD);
    }
    return type;
}

/* A shape near that of `old` (which may be none), or any. Closed by the caller; *count is the number of its elements, or what
 * is nearest to it in floating point. */
static hid_t choose_space(choices *c, hid_t old, double *count)
{
    hsize_t sizes[H5S_MAX_RANK] = {0};
    int rank = old >= 0 ? H5Sget_simple_extent_ndims(old) : 0;
    const uint8_t kind = choose_byte(c);
    *count = 1;
    if (kind == 0xff)
        return H5Screate(H5S_NULL);
    if (rank > 0)
        (void)H5Sget_simple_extent_dims(old, sizes, NULL);
    if (rank < 0 || rank > MOST_RANK || kind % 4 == 1)
        rank = choose_byte(c) % (MOST_RANK + 1);
    if (rank > 0 && kind % 4 != 0) {
        const int64_t number = choose_number(c);
        hsize_t *size = &sizes[kind / 4 % rank];
        *size = number >= -2 && number < 0 ? *size + (hsize_t)(number * 2 + 3) : (hsize_t)number; /* one more, or one less */
    }
    for (int i = 0; i < rank; ++i) {
        if (kind % 4 == 1 && sizes[i] == 0)
            sizes[i] = (hsize_t)choose_number(c);
        *count *= (double)sizes[i];
    }
    return rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(rank, sizes, NULL);
}

/* ---- attributes ---- */

static bool make_attribute(hid_t file, const char *object, const char *name, hid_t type, hid_t space, const void *value)
{
    const hid_t attribute = H5Acreate_by_name(file, object, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    const bool made = attribute >= 0 && (!value || H5Awrite(attribute, type, value) >= 0);
    if (attribute >= 0)
        H5Aclose(attribute);
    return made;
}

static void set_integer(hid_t file, const char *object, const char *name, choices *c)
{
    const int64_t value = choose_number(c);
    const hid_t space = H5Screate(H5S_SCALAR);
    (void)make_attribute(file, object, name, value % 7 == 6 ? H5T_NATIVE_UINT64 : H5T_NATIVE_INT64, space, &value);
    H5Sclose(space);
}

static void set_double(hid_t file, const char *object, const char *name, choices *c)
{
    const double value = choose_double(c);
    const hid_t space = H5Screate(H5S_SCALAR);
    (void)make_attribute(file, object, name, H5T_NATIVE_DOUBLE, space, &value);
    H5Sclose(space);
}

/* A text of variable or fixed length: what follows in the choices, over and over. */
static void set_text(hid_t file, const char *object, const char *name, choices *c)
{
    char text[MOST_TEXT + 1] = "", *pointer = text;
    const uint8_t kind = choose_byte(c);
    const size_t given = choose_byte(c) % 32, length = kind % 4 == 3 ? MOST_TEXT : given;
    for (size_t i = 0; i < length; ++i)
        text[i] = i < given ? (char)choose_byte(c) : (given ? text[i - given] : 'x');
    const hid_t space = H5Screate(H5S_SCALAR), type = H5Tcopy(H5T_C_S1);
    const bool variable = kind % 2 == 0;
    (void)H5Tset_size(type, variable ? H5T_VARIABLE : length + 1);
    if (kind & 8)
        (void)H5Tset_cset(type, H5T_CSET_UTF8);
    if (kind & 16)
        (void)H5Tset_strpad(type, H5T_STR_SPACEPAD);
    (void)make_attribute(file, object, name, type, space, kind == 0xff ? NULL : variable ? (void *)&pointer : (void *)text);
    H5Tclose(type);
    H5Sclose(space);
}

/* Any type and shape, without a value of its own. */
static void set_any(hid_t file, const char *object, const char *name, choices *c)
{
    double count;
    const hid_t space = choose_space(c, -1, &count), type = choose_type(c);
    if (space >= 0 && type >= 0 && count * (double)H5Tget_size(type) < MOST_BYTES)
        (void)make_attribute(file, object, name, type, space, NULL);
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
}

static void change_attribute(hid_t file, const change_names *names, choices *c)
{
    const char *object = choose_name(c, names->objects, names->object_count);
    const char *name = choose_name(c, names->attributes, names->attribute_count);
    const uint8_t kind = choose_byte(c);
    if (kind % 8 == 7) {
        (void)H5Arename_by_name(file, object, name, choose_name(c, names->attributes, names->attribute_count), H5P_DEFAULT);
        return;
    }
    if (H5Aexists_by_name(file, object, name, H5P_DEFAULT) > 0)
        (void)H5Adelete_by_name(file, object, name, H5P_DEFAULT);
    if (kind % 8 < 3)
        set_integer(file, object, name, c);
    else if (kind % 8 == 3)
        set_double(file, object, name, c);
    else if (kind % 8 == 4)
        set_text(file, object, name, c);
    else if (kind % 8 == 5)
        set_any(file, object, name, c);
}

void replace_text(hid_t file, const char *object, const char *name, const char *text)
{
    const hid_t space = H5Screate(H5S_SCALAR), type = H5Tcopy(H5T_C_S1);
    (void)H5Tset_size(type, H5T_VARIABLE);
    if (H5Aexists_by_name(file, object, name, H5P_DEFAULT) > 0)
        (void)H5Adelete_by_name(file, object, name, H5P_DEFAULT);
    (void)make_attribute(file, object, name, type, space, &text);
    H5Tclose(type);
    H5Sclose(space);
}

/* ---- links ---- */

static bool exists(hid_t file, const char *name)
{
    return strcmp(name, "/") != 0 && H5Lexists(file, name, H5P_DEFAULT) > 0;
}

/* `name` becomes, or ends to be, something else. */
static void change_link(hid_t file, const change_names *names, choices *c)
{
    const char *name = choose_name(c, names->objects, names->object_count);
    const char *other = choose_name(c, names->objects, names->object_count);
    const uint8_t kind = choose_byte(c) % 8;
    hid_t group = -1;
    if (strcmp(name, "/") == 0)
        return;
    if (kind == 0) {
        if (exists(file, other) && !exists(file, name))
            (void)H5Lmove(file, other, file, name, H5P_DEFAULT, H5P_DEFAULT);
        return;
    }
    if (exists(file, name))
        (void)H5Ldelete(file, name, H5P_DEFAULT);
    switch (kind) {
    case 1:
        (void)H5Lcreate_hard(file, other, file, name, H5P_DEFAULT, H5P_DEFAULT);
        break;
    case 2:
        (void)H5Lcreate_soft(other, file, name, H5P_DEFAULT, H5P_DEFAULT);
        break;
    case 3:
        (void)H5Lcreate_external("nowhere.h5", other, file, name, H5P_DEFAULT, H5P_DEFAULT);
        break;
    case 4:
        group = H5Gcreate2(file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        break;
    default:
        break;
    }
    if (group >= 0)
        H5Gclose(group);
}

/* ---- datasets ---- */

size_t read_raw(hid_t dataset, void *values, size_t room)
{
    const hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
    const hssize_t count = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
    const size_t size = type < 0 ? 0 : H5Tget_size(type);
    const bool plain = type >= 0 && H5Tdetect_class(type, H5T_VLEN) == 0 && H5Tis_variable_str(type) <= 0;
    size_t bytes = 0;
    if (plain && count > 0 && size > 0 && (uint64_t)count <= room / size &&
        H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0)
        bytes = (size_t)count * size;
    if (space >= 0)
        H5Sclose(space);
    if (type >= 0)
        H5Tclose(type);
    return bytes;
}

/* How a new dataset is stored. Large ones get no place in the file until somebody writes to them, which nobody does. */
static hid_t choose_storage(choices *c, hid_t space, bool large)
{
    const uint8_t kind = choose_byte(c);
    const int rank = H5Sget_simple_extent_ndims(space);
    const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    (void)H5Pset_alloc_time(properties, large || kind % 8 == 7 ? H5D_ALLOC_TIME_LATE : H5D_ALLOC_TIME_EARLY);
    if (kind % 8 >= 1 && kind % 8 <= 3 && rank > 0) {
        hsize_t chunk[H5S_MAX_RANK];
        for (int i = 0; i < rank; ++i)
            chunk[i] = 1 + kind % 16U;
        (void)H5Pset_chunk(properties, rank, chunk);
        (void)H5Pset_alloc_time(properties, large ? H5D_ALLOC_TIME_INCR : H5D_ALLOC_TIME_DEFAULT);
        if (kind % 8 > 1)
            (void)H5Pset_deflate(properties, 1);
    } else if (kind % 8 == 4) {
        (void)H5Pset_layout(properties, H5D_COMPACT);
        (void)H5Pset_alloc_time(properties, H5D_ALLOC_TIME_EARLY);
    } else if (kind % 8 == 5 && kind > 128) {
        (void)H5Pset_external(properties, "/dev/null", 0, H5F_UNLIMITED);
        (void)H5Pset_alloc_time(properties, H5D_ALLOC_TIME_LATE);
    }
    return properties;
}

/* The old contents over and over; `values` has room for twice MOST_BYTES. */
static void write_again(hid_t dataset, hid_t type, size_t bytes, char *values, size_t old)
{
    if (H5Tdetect_class(type, H5T_VLEN) != 0 || H5Tis_variable_str(type) > 0 || bytes > MOST_BYTES)
        return;
    for (size_t i = old; i < bytes; ++i)
        values[i] = old ? values[i - old] : 1;
    (void)H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
}

/* A dataset of another type, shape or storage in the place of an old one, or in an empty one. */
static void replace_dataset(hid_t file, const change_names *names, choices *c)
{
    static char values[2 * MOST_BYTES];
    const char *name = choose_name(c, names->objects, names->object_count);
    const hid_t old = exists(file, name) ? H5Dopen2(file, name, H5P_DEFAULT) : -1;
    const hid_t old_space = old >= 0 ? H5Dget_space(old) : -1;
    const size_t old_bytes = old >= 0 ? read_raw(old, values, MOST_BYTES) : 0;
    double count;
    const bool same_type = old >= 0 && choose_byte(c) % 2 == 0;
    const hid_t type = same_type ? H5Dget_type(old) : choose_type(c), space = choose_space(c, old_space, &count);
    const double bytes = type >= 0 ? count * (double)H5Tget_size(type) : 0;
    const hid_t properties = type >= 0 && space >= 0 ? choose_storage(c, space, bytes > MOST_BYTES) : -1;
    if (old_space >= 0)
        H5Sclose(old_space);
    if (old >= 0)
        H5Dclose(old);
    if (exists(file, name))
        (void)H5Ldelete(file, name, H5P_DEFAULT);
    const hid_t dataset = properties >= 0 ? H5Dcreate2(file, name, type, space, H5P_DEFAULT, properties, H5P_DEFAULT) : -1;
    if (dataset >= 0 && bytes <= MOST_BYTES && choose_byte(c) != 0xff)
        write_again(dataset, type, (size_t)bytes, values, old_bytes);
    if (dataset >= 0)
        H5Dclose(dataset);
    if (properties >= 0)
        H5Pclose(properties);
    if (space >= 0)
        H5Sclose(space);
    if (type >= 0)
        H5Tclose(type);
}

static void write_element(hid_t dataset, hid_t type, size_t at, choices *c)
{
    const bool floating = H5Tget_class(type) == H5T_FLOAT;
    const int64_t integer = floating ? 0 : choose_number(c);
    const double number = floating ? choose_double(c) : 0;
    const hid_t space = H5Dget_space(dataset), memory = H5Screate(H5S_SCALAR);
    const hsize_t count = (hsize_t)H5Sget_simple_extent_npoints(space), one = 1;
    const hsize_t place = count ? at % count : 0;
    if (count > 0 && H5Sget_simple_extent_ndims(space) == 1 &&
        H5Sselect_hyperslab(space, H5S_SELECT_SET, &place, NULL, &one, NULL) >= 0)
        (void)H5Dwrite(dataset, floating ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT64, memory, space, H5P_DEFAULT,
                       floating ? (const void *)&number : (const void *)&integer);
    H5Sclose(memory);
    H5Sclose(space);
}

/* One element of a dataset of one dimension, or one byte of any. */
static void change_contents(hid_t file, const change_names *names, choices *c)
{
    static char values[MOST_BYTES];
    const char *name = choose_name(c, names->objects, names->object_count);
    const uint8_t kind = choose_byte(c);
    const size_t at = choose_byte(c);
    const hid_t dataset = exists(file, name) ? H5Dopen2(file, name, H5P_DEFAULT) : -1;
    if (dataset < 0)
        return;
    const hid_t type = H5Dget_type(dataset);
    if (kind % 4 != 0) {
        write_element(dataset, type, at, c);
    } else {
        const size_t bytes = read_raw(dataset, values, sizeof values);
        if (bytes > 0) {
            values[at % bytes] = (char)choose_byte(c);
            (void)H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
        }
    }
    H5Tclose(type);
    H5Dclose(dataset);
}

void change_file(hid_t file, const change_names *names, choices *c)
{
    switch (choose_byte(c) % 8) {
    case 0:
    case 1:
    case 2:
        change_attribute(file, names, c);
        break;
    case 3:
        change_link(file, names, c);
        break;
    case 4:
    case 5:
        replace_dataset(file, names, c);
        break;
    default:
        change_contents(file, names, c);
    }
}

/* ---- all datasets ---- */

typedef struct {
    void (*function)(hid_t dataset, void *context);
    void *context;
} visit;

static herr_t visit_dataset(hid_t file, const char *name, void *context)
{
    const visit *v = context;
    const hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
    if (dataset >= 0) {
        v->function(dataset, v->context);
        H5Dclose(dataset);
    }
    return 0;
}

void for_datasets(hid_t file, void (*function)(hid_t dataset, void *context), void *context)
{
    visit v = {function, context};
    (void)sr_hdf5_visit_datasets(file, visit_dataset, &v);
}
