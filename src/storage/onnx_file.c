/* Files of ONNX: a ModelProto of Protocol Buffers. The numbers of fields are those of onnx.proto, which never change.
 */
#include "storage/onnx_file.h"

#include "srtrain/memory.h"
#include "srtrain/output_file.h"
#include "storage/wire.h"

#include <stdlib.h>
#include <string.h>

enum {
    IR_VERSION = 8,     /* of the format; that of operator set 17 */
    SMALL_ARRAY = 1024, /* bytes of arrays that stay in the file in any case */
    PAGE = 4096         /* arrays beside the file begin at multiples of it, so that they can be mapped */
};

typedef struct {
    const sr_graph *graph;
    sr_graph_content content;
    const char *const *metadata;
    const char *beside;      /* the name of the file with large arrays, in the same directory; NULL: there is none */
    const uint64_t *offsets; /* [initializers]: where they lie in that file */
} onnx_model;

static bool lies_beside(const onnx_model *model, const sr_graph_initializer *array)
{
    return model->beside && array->bytes >= SMALL_ARRAY;
}

/* ---- entries: pairs of texts ---- */

typedef struct {
    const char *key, *value;
} text_entry;

static void write_entry(wire *to, const void *message)
{
    enum { KEY = 1, VALUE = 2 };
    const text_entry *entry = message;
    wire_text(to, KEY, entry->key);
    wire_text(to, VALUE, entry->value);
}

static void write_number_entry(wire *to, uint32_t field, const char *key, uint64_t number)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    wire_message(to, field, write_entry, &(text_entry){key, text});
}

/* ---- inputs and outputs ---- */

typedef struct {
    int64_t size;
    const char *name;
} dimension;

static void write_dimension(wire *to, const void *message)
{
    enum { DIMENSION_VALUE = 1, DIMENSION_NAME = 2 };
    const dimension *one = message;
    if (one->size < 0)
        wire_text(to, DIMENSION_NAME, one->name);
    else
        wire_integer(to, DIMENSION_VALUE, one->size);
}

static void write_shape(wire *to, const void *message)
{
    enum { DIMENSION = 1 };
    const sr_graph_shape *shape = message;
    for (size_t i = 0; i < shape->rank; ++i)
        wire_message(to, DIMENSION, write_dimension, &(dimension){shape->sizes[i], shape->names[i]});
}

static void write_tensor_type(wire *to, const void *message)
{
    enum { ELEMENT_TYPE = 1, SHAPE = 2 };
    const sr_graph_port *port = message;
    wire_integer(to, ELEMENT_TYPE, port->type);
    wire_message(to, SHAPE, write_shape, &port->shape);
}

static void write_type(wire *to, const void *message)
{
    enum { TENSOR_TYPE = 1 };
    wire_message(to, TENSOR_TYPE, write_tensor_type, message);
}

static void write_port(wire *to, const void *message)
{
    enum { NAME = 1, TYPE = 2 };
    const sr_graph_port *port = message;
    wire_text(to, NAME, port->name);
    wire_message(to, TYPE, write_type, port);
}

/* ---- numbers ---- */

typedef struct {
    const onnx_model *model;
    const sr_graph_initializer *array;
    uint64_t offset;
} stored_array;

static void write_array(wire *to, const void *message)
{
    enum { SIZE = 1, DATA_TYPE = 2, NAME = 8, RAW_DATA = 9, EXTERNAL_DATA = 13, DATA_LOCATION = 14, EXTERNAL = 1 };
    const stored_array *stored = message;
    const sr_graph_initializer *array = stored->array;
    for (size_t i = 0; i < array->rank; ++i)
        wire_integer(to, SIZE, (int64_t)array->sizes[i]);
    wire_integer(to, DATA_TYPE, array->type);
    wire_text(to, NAME, array->name);
    if (!lies_beside(stored->model, array)) {
        wire_bytes(to, RAW_DATA, array->data, array->bytes);
        return;
    }
    wire_message(to, EXTERNAL_DATA, write_entry, &(text_entry){"location", stored->model->beside});
    write_number_entry(to, EXTERNAL_DATA, "offset", stored->offset);
    write_number_entry(to, EXTERNAL_DATA, "length", array->bytes);
    wire_integer(to, DATA_LOCATION, EXTERNAL);
}

/* ---- nodes ---- */

static void write_attribute(wire *to, const void *message)
{
    enum { NAME = 1, FLOAT_VALUE = 2, INTEGER_VALUE = 3, TEXT_VALUE = 4, INTEGER_VALUES = 8, TYPE = 20 };
    enum { TYPE_FLOAT = 1, TYPE_INTEGER = 2, TYPE_TEXT = 3, TYPE_INTEGERS = 7 };
    const sr_graph_attribute *attribute = message;
    wire_text(to, NAME, attribute->name);
    switch (attribute->kind) {
    case SR_GRAPH_INTEGER:
        wire_integer(to, INTEGER_VALUE, attribute->integer);
        wire_integer(to, TYPE, TYPE_INTEGER);
        break;
    case SR_GRAPH_NUMBER:
        wire_float(to, FLOAT_VALUE, (float)attribute->number);
        wire_integer(to, TYPE, TYPE_FLOAT);
        break;
    case SR_GRAPH_TEXT:
        wire_text(to, TEXT_VALUE, attribute->text);
        wire_integer(to, TYPE, TYPE_TEXT);
        break;
    case SR_GRAPH_INTEGERS:
        for (size_t i = 0; i < attribute->count; ++i)
            wire_integer(to, INTEGER_VALUES, attribute->integers[i]);
        wire_integer(to, TYPE, TYPE_INTEGERS);
        break;
    case SR_GRAPH_NO_MORE:
        break;
    }
}

typedef struct {
    const sr_graph *graph;
    const sr_graph_step *step;
} stored_step;

static void write_step(wire *to, const void *message)
{
    enum { INPUT = 1, OUTPUT = 2, NAME = 3, OPERATION = 4, ATTRIBUTE = 5 };
    const stored_step *stored = message;
    const sr_graph_step *step = stored->step;
    for (size_t i = 0; i < step->input_count; ++i)
        wire_text(to, INPUT, sr_graph_value_name(stored->graph, step->inputs[i]));
    for (size_t i = 0; i < step->outputs; ++i)
        wire_text(to, OUTPUT, sr_graph_value_name(stored->graph, step->first_output + (sr_graph_value)i));
    wire_text(to, NAME, sr_graph_value_name(stored->graph, step->first_output));
    wire_text(to, OPERATION, step->operation);
    for (size_t i = 0; i < step->attribute_count; ++i)
        wire_message(to, ATTRIBUTE, write_attribute, &step->attributes[i]);
}

/* ---- the model ---- */

static void write_graph(wire *to, const void *message)
{
    enum { NODE = 1, NAME = 2, INITIALIZER = 5, INPUT = 11, OUTPUT = 12 };
    const onnx_model *model = message;
    const sr_graph_content *content = &model->content;
    for (size_t i = 0; i < content->step_count; ++i)
        wire_message(to, NODE, write_step, &(stored_step){model->graph, &content->steps[i]});
    wire_text(to, NAME, "model");
    for (size_t i = 0; i < content->initializer_count; ++i)
        wire_message(to, INITIALIZER, write_array,
                     &(stored_array){model, &content->initializers[i], model->offsets ? model->offsets[i] : 0});
    for (size_t i = 0; i < content->input_count; ++i)
        wire_message(to, INPUT, write_port, &content->inputs[i]);
    for (size_t i = 0; i < content->output_count; ++i)
        wire_message(to, OUTPUT, write_port, &content->outputs[i]);
}

static void write_operator_set(wire *to, const void *message)
{
    enum { DOMAIN = 1, VERSION = 2 };
    (void)message;
    wire_text(to, DOMAIN, "");
    wire_integer(to, VERSION, SR_GRAPH_OPERATOR_SET);
}

static void write_model(wire *to, const onnx_model *model)
{
    enum { VERSION = 1, PRODUCER = 2, GRAPH = 7, OPERATOR_SET = 8, METADATA = 14 };
    wire_integer(to, VERSION, IR_VERSION);
    wire_text(to, PRODUCER, "srtrain");
    wire_message(to, GRAPH, write_graph, model);
    wire_message(to, OPERATOR_SET, write_operator_set, NULL);
    for (const char *const *pair = model->metadata; *pair; pair += 2)
        wire_message(to, METADATA, write_entry, &(text_entry){pair[0], pair[1]});
}

/* ---- files ---- */

/* Writes the large arrays into the file beside `path`, and where each begins into offsets. */
static sr_status write_beside(const char *path, const onnx_model *model, uint64_t *offsets, sr_error *error)
{
    static const char nothing[PAGE];
    sr_output_file file;
    uint64_t end = 0;
    SR_TRY(sr_output_file_open(&file, path, error));
    for (size_t i = 0; i < model->content.initializer_count; ++i) {
        const sr_graph_initializer *array = &model->content.initializers[i];
        const uint64_t begin = (end + PAGE - 1) / PAGE * PAGE;
        if (!lies_beside(model, array))
            continue;
        fwrite(nothing, 1, begin - end, file.stream);
        fwrite(array->data, 1, array->bytes, file.stream);
        offsets[i] = begin;
        end = begin + array->bytes;
    }
    return sr_output_file_close(&file, SR_OK, error);
}

static sr_status write_file(const char *path, const onnx_model *model, sr_error *error)
{
    sr_output_file file;
    SR_TRY(sr_output_file_open(&file, path, error));
    wire to = {.stream = file.stream};
    write_model(&to, model);
    return sr_output_file_close(&file, SR_OK, error);
}

static sr_status write_both(const char *path, onnx_model *model, sr_error *error)
{
    char *beside = NULL;
    uint64_t *offsets = NULL;
    if (asprintf(&beside, "%s.data", path) < 0)
        return sr_fail_memory(error, strlen(path), "a file name");
    const char *slash = strrchr(beside, '/');
    model->beside = slash ? slash + 1 : beside;
    sr_status status = SR_ALLOCATE_ZERO(&offsets, model->content.initializer_count, "places of arrays", error);
    model->offsets = offsets;
    if (status == SR_OK)
        status = write_beside(beside, model, offsets, error);
    if (status == SR_OK)
        status = write_file(path, model, error);
    free(offsets);
    free(beside);
    return status;
}

sr_status onnx_write(const char *path, const sr_graph *graph, const char *const *metadata, uint64_t inside, bool *beside,
                     sr_error *error)
{
    onnx_model model = {.graph = graph, .content = sr_graph_read(graph), .metadata = metadata};
    uint64_t bytes = 0;
    SR_TRY(sr_graph_status(graph, error));
    for (size_t i = 0; i < model.content.initializer_count; ++i)
        bytes += model.content.initializers[i].bytes;
    *beside = bytes > inside;
    return *beside ? write_both(path, &model, error) : write_file(path, &model, error);
}
