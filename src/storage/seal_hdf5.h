/* Seals (seal.h) of HDF5 files. Local. */
#ifndef SRTRAIN_STORAGE_SEAL_HDF5_H
#define SRTRAIN_STORAGE_SEAL_HDF5_H

#include "storage/hdf5_helpers.h"

#define SR_SEALED_ATTRIBUTE "sealed" /* int64 1 in the root of a file that ends in a seal */

/* seal_append() for an HDF5 file that no process has open; its arrays are all its contiguous datasets, whose checksums are
 * somebody else's task. */
sr_status seal_append_to_hdf5(const char *path, sr_error *error);

/* After seal_check(), when HDF5 has opened the file: SR_ERROR_DATA if the file should end in a seal and, by `sealed`, does not.
 */
sr_status seal_check_presence(const sr_hdf5_file *file, bool sealed, sr_error *error);

#endif
