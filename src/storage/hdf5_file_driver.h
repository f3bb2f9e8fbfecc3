/* How HDF5 writes a file of ours: by a driver under which no write ever fails for HDF5.
 *
 * HDF5 does not get over a write that fails while it flushes or closes a file: 1.10 keeps the identifier of a file that is
 * gone, and crashes when the process ends. So the driver keeps the first failure to itself and goes on, and whoever has written
 * asks for it. */
#ifndef SRTRAIN_STORAGE_HDF5_FILE_DRIVER_H
#define SRTRAIN_STORAGE_HDF5_FILE_DRIVER_H

#include <hdf5.h>

/* What has gone wrong with a file. */
typedef struct {
    int cause; /* errno of the first write that failed; 0: none */
} hdf5_trouble;

/* Files that are opened with these access properties are written by the driver. *trouble must stay where it is until the file
 * is closed. Negative, as HDF5 says it, when that fails. */
herr_t hdf5_file_driver_use(hid_t access_properties, hdf5_trouble *trouble);

#endif
