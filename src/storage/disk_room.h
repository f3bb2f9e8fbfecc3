/* Room on the disk, taken before HDF5 begins a file: HDF5 1.10 cannot recover from a file that it failed to close (the process
 * crashes at its end), so that a full disk has to be noticed earlier. Local. */
#ifndef SRTRAIN_STORAGE_DISK_ROOM_H
#define SRTRAIN_STORAGE_DISK_ROOM_H

#include "srtrain/status.h"

#include <stdint.h>

/* Takes `size` bytes for a file, which is made if it does not exist; what it holds already counts. SR_ERROR_RUNTIME when it
 * cannot be made or there is no room. */
sr_status disk_room_reserve(const char *path, uint64_t size, sr_error *error);

#endif
