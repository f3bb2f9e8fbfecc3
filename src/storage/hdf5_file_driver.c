#include "storage/hdf5_file_driver.h"

#include "srtrain/durable.h"
#include "srtrain/file_work.h"
#include "srtrain/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

/* HDF5 looks at `public` only. */
typedef struct {
    H5FD_t public;
    int descriptor;
    haddr_t end_of_allocated, end_of_file;
    hdf5_trouble *trouble;
} driven_file;

/* What access properties carry. */
typedef struct {
    hdf5_trouble *trouble;
} driver_properties;

static void note(const driven_file *file)
{
    if (file->trouble->cause == 0)
        file->trouble->cause = errno ? errno : EIO;
}

static H5FD_t *open_file(const char *name, unsigned flags, hid_t access_properties, haddr_t largest)
{
    const driver_properties *properties = H5Pget_driver_info(access_properties);
    driven_file *file;
    const int access = flags & H5F_ACC_RDWR ? O_RDWR : O_RDONLY;
    const int way = (flags & H5F_ACC_TRUNC ? O_TRUNC : 0) | (flags & H5F_ACC_CREAT ? O_CREAT : 0) |
                    (flags & H5F_ACC_EXCL ? O_EXCL : 0);
    struct stat found;
    (void)largest;
    if (!properties)
        return NULL;
    if (SR_ALLOCATE_ZERO(&file, 1, "an open file", NULL) != SR_OK) {
        properties->trouble->cause = ENOMEM;
        return NULL;
    }
    file->descriptor = open(name, access | way | O_CLOEXEC, 0666);
    if (file->descriptor < 0 || fstat(file->descriptor, &found) != 0) {
        if (properties->trouble->cause == 0)
            properties->trouble->cause = errno;
        if (file->descriptor >= 0)
            close(file->descriptor);
        free(file);
        return NULL;
    }
    file->end_of_file = (haddr_t)found.st_size;
    file->trouble = properties->trouble;
    return &file->public;
}

static herr_t close_file(H5FD_t *public)
{
    driven_file *file = (driven_file *)public;
    if (close(file->descriptor) != 0)
        note(file);
    free(file);
    return 0;
}

/* As the driver of HDF5 has them on which files are laid out. */
static herr_t query(const H5FD_t *public, unsigned long *flags)
{
    (void)public;
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
    return 0;
}

static haddr_t end_of_allocated(const H5FD_t *public, H5FD_mem_t type)
{
    (void)type;
    return ((const driven_file *)public)->end_of_allocated;
}

static herr_t set_end_of_allocated(H5FD_t *public, H5FD_mem_t type, haddr_t address)
{
    (void)type;
    ((driven_file *)public)->end_of_allocated = address;
    return 0;
}

static haddr_t end_of_file(const H5FD_t *public, H5FD_mem_t type)
{
    (void)type;
    return ((const driven_file *)public)->end_of_file;
}

/* Zeros behind the end of the file. */
static herr_t read_bytes(H5FD_t *public, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t size, void *data)
{
    const driven_file *file = (const driven_file *)public;
    (void)type;
    (void)transfer;
    for (size_t done = 0; done < size;) {
        const ssize_t count = pread(file->descriptor, (char *)data + done, size - done, (off_t)(address + done));
        sr_file_work_step();
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -1;
        if (count == 0) {
            memset((char *)data + done, 0, size - done);
            return 0;
        }
        done += (size_t)count;
    }
    return 0;
}

static herr_t write_bytes(H5FD_t *public, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t size, const void *data)
{
    driven_file *file = (driven_file *)public;
    (void)type;
    (void)transfer;
    if (!sr_durable_write(file->descriptor, data, size, address))
        note(file);
    if (address + size > file->end_of_file)
        file->end_of_file = address + size;
    return 0;
}

static herr_t truncate_file(H5FD_t *public, hid_t transfer, hbool_t closing)
{
    driven_file *file = (driven_file *)public;
    (void)transfer;
    (void)closing;
    if (file->end_of_allocated == file->end_of_file)
        return 0;
    if (ftruncate(file->descriptor, (off_t)file->end_of_allocated) != 0)
        note(file);
    file->end_of_file = file->end_of_allocated;
    return 0;
}

static const H5FD_class_t driver = {
#if H5_VERSION_GE(1, 13, 0)
    .version = H5FD_CLASS_VERSION,
    .value = 7311, /* any that HDF5 keeps for nobody */
#endif
    .name = "srtrain",
    .maxaddr = (haddr_t)INT64_MAX,
    .fc_degree = H5F_CLOSE_WEAK,
    .fapl_size = sizeof(driver_properties),
    .open = open_file,
    .close = close_file,
    .query = query,
    .get_eoa = end_of_allocated,
    .set_eoa = set_end_of_allocated,
    .get_eof = end_of_file,
    .read = read_bytes,
    .write = write_bytes,
    .truncate = truncate_file,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

herr_t hdf5_file_driver_use(hid_t access_properties, hdf5_trouble *trouble)
{
    const driver_properties properties = {trouble};
    const hid_t registered = H5FDregister(&driver);
    if (registered < 0)
        return -1;
    const herr_t used = H5Pset_driver(access_properties, registered, &properties);
    H5FDunregister(registered); /* the properties, and files, keep it */
    return used;
}
