/* Writing the wire format of Protocol Buffers: fields one after the other, each a number, what kind it is, and its
 * content. A message inside another one has its length in front of it: it is counted first, by the same functions
 * over no stream, and then written. So nothing is ever collected in memory. */
#ifndef SRTRAIN_STORAGE_WIRE_H
#define SRTRAIN_STORAGE_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct {
    FILE *stream; /* NULL: bytes are only counted. Whether all was taken is asked when the stream is closed */
    uint64_t bytes;
} wire;

/* Writes the fields of a message. */
typedef void (*wire_function)(wire *to, const void *message);

void wire_integer(wire *to, uint32_t field, int64_t value);
void wire_float(wire *to, uint32_t field, float value);
void wire_double(wire *to, uint32_t field, double value);
void wire_text(wire *to, uint32_t field, const char *text);
void wire_bytes(wire *to, uint32_t field, const void *data, size_t size);
void wire_message(wire *to, uint32_t field, wire_function function, const void *message);

#endif
