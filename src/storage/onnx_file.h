/* Graphs (srtrain/graph.h) as files of ONNX. Local. */
#ifndef SRTRAIN_STORAGE_ONNX_FILE_H
#define SRTRAIN_STORAGE_ONNX_FILE_H

#include "srtrain/graph.h"
#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A message of Protocol Buffers is no larger than 2 GB; what runs graphs refuses others. */
#define ONNX_LARGEST ((uint64_t)2000000000)

/* Writes `path`, as a file that appears whole. Where the numbers of the graph take more than `inside` bytes, those of
 * larger arrays lie in PATH.data beside it, which appears first. `metadata` are pairs of a name and a text, ending
 * with NULL. *beside says whether there is such a file. The failure of a graph is returned. */
sr_status onnx_write(const char *path, const sr_graph *graph, const char *const *metadata, uint64_t inside, bool *beside,
                     sr_error *error);

#endif
