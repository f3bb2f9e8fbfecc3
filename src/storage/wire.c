#include "storage/wire.h"

#include <string.h>

/* How the content of a field is stored. */
enum { VARINT = 0, FIXED_64 = 1, SIZED = 2, FIXED_32 = 5 };

static void put(wire *to, const void *data, size_t size)
{
    to->bytes += size;
    if (to->stream)
        fwrite(data, 1, size, to->stream);
}

/* Seven bits a byte, the lowest first; all bytes but the last have the highest bit set. */
static void put_varint(wire *to, uint64_t value)
{
    uint8_t bytes[10];
    size_t count = 0;
    do {
        bytes[count] = (uint8_t)(value & 127);
        value >>= 7;
        bytes[count++] |= value ? 128 : 0;
    } while (value);
    put(to, bytes, count);
}

static void put_tag(wire *to, uint32_t field, unsigned kind)
{
    put_varint(to, (uint64_t)field << 3 | kind);
}

void wire_integer(wire *to, uint32_t field, int64_t value)
{
    put_tag(to, field, VARINT);
    put_varint(to, (uint64_t)value);
}

void wire_float(wire *to, uint32_t field, float value)
{
    put_tag(to, field, FIXED_32);
    put(to, &value, sizeof value); /* little-endian, like every machine that srtrain runs on (tensor_files.c) */
}

void wire_double(wire *to, uint32_t field, double value)
{
    put_tag(to, field, FIXED_64);
    put(to, &value, sizeof value);
}

void wire_bytes(wire *to, uint32_t field, const void *data, size_t size)
{
    put_tag(to, field, SIZED);
    put_varint(to, size);
    put(to, data, size);
}

void wire_text(wire *to, uint32_t field, const char *text)
{
    wire_bytes(to, field, text, strlen(text));
}

void wire_message(wire *to, uint32_t field, wire_function function, const void *message)
{
    wire counted = {.stream = NULL};
    function(&counted, message);
    put_tag(to, field, SIZED);
    put_varint(to, counted.bytes);
    if (to->stream)
        function(to, message);
    else
        to->bytes += counted.bytes;
}
