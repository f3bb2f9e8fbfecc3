/* Event files of TensorBoard: what lines of metrics.jsonl hold, as scalars "KIND/NAME". Local.
 *
 * A file is a sequence of records: the length of the data (uint64, little-endian), the masked CRC-32C of these eight bytes, the
 * data, and their masked CRC-32C
 * (https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/lib/io/record_writer.cc). The data are messages Event
 * of protocol buffers (event.proto, summary.proto beside that): wall time, step, and either the version, the beginning of a
 * session, or values. */
#ifndef SRTRAIN_RUN_EVENT_FILE_H
#define SRTRAIN_RUN_EVENT_FILE_H

#include "srtrain/status.h"

#include <cjson/cJSON.h>

typedef struct event_file event_file;

/* Makes a file in `directory`, which is made if need be, and writes the lines of the file `metrics` into it. When these are on
 * the disk it gets its name, and files of earlier starts are emptied: the directory holds each step once. A reader that has
 * followed an earlier file takes this one for a restart, and forgets what it has read. Release with event_file_close(). */
sr_status event_file_create(event_file **file, const char *directory, const char *metrics, sr_error *error);
void event_file_close(event_file *file); /* NULL is allowed */

/* One event with the numbers of a line, which go to the file at once. Standard errors and counts of cases are left out; the
 * metrics of a baseline are "test/BASELINE/NAME". */
sr_status event_file_add(event_file *file, const cJSON *line, sr_error *error);

/* Everything so far goes to the disk. */
sr_status event_file_synchronise(event_file *file, sr_error *error);

#endif
