/* Graphs: what stands in them, of every kind of model; and their files, read as any reader of Protocol Buffers reads
 * them. */
#include "model_world.h"

#include "srtrain/kernels.h"
#include "storage/onnx_file.h"

#include "cpu_level.h"
#include "files.h"

#include <stdio.h>
#include <string.h>

/* ---- models ---- */

static bool has_value(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; ++i)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* Every node reads what stands before it, and no name stands for two values. */
static void check_order(const sr_graph *graph)
{
    enum { MOST = 4096 };
    static const char *names[MOST];
    const sr_graph_content content = sr_graph_read(graph);
    size_t count = 0;
    for (size_t i = 0; i < content.input_count; ++i)
        names[count++] = content.inputs[i].name;
    for (size_t i = 0; i < content.initializer_count; ++i)
        names[count++] = content.initializers[i].name;
    for (size_t i = 0; i < content.step_count; ++i) {
        const sr_graph_step *step = &content.steps[i];
        for (size_t k = 0; k < step->input_count; ++k)
            assert_true(has_value(names, count, sr_graph_value_name(graph, step->inputs[k])));
        for (size_t k = 0; k < step->outputs; ++k) {
            const char *name = sr_graph_value_name(graph, step->first_output + (sr_graph_value)k);
            assert_false(has_value(names, count, name));
            assert_true(count < MOST);
            names[count++] = name;
        }
    }
    for (size_t i = 0; i < content.output_count; ++i)
        assert_true(has_value(names, count, content.outputs[i].name));
}

/* Parameters stand in the graph under their names, and with their numbers. */
static void check_parameters(const sr_graph *graph, sr_model *model)
{
    const sr_parameters *parameters = sr_model_parameters(model);
    const sr_graph_content content = sr_graph_read(graph);
    size_t found = 0;
    for (size_t i = 0; i < content.initializer_count; ++i)
        for (size_t k = 0; k < parameters->count; ++k) {
            const sr_parameter *parameter = &parameters->list[k];
            if (strcmp(parameter->name, content.initializers[i].name) != 0)
                continue;
            assert_int_equal(content.initializers[i].rank, parameter->rank);
            assert_memory_equal(content.initializers[i].sizes, parameter->shape, parameter->rank * sizeof(size_t));
            assert_ptr_equal(content.initializers[i].data, parameters->values + parameter->offset);
            ++found;
        }
    assert_true(found > 0);
}

static void graphs_of_all_models_are_in_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < variant_count; ++i) {
        world w;
        sr_graph *graph;
        sr_error error = {.message = ""};
        create_world(&w, &variants[i]);
        assert_int_equal(sr_graph_create(&graph, NULL), SR_OK);
        if (sr_model_describe(w.model, tested_kernels(), graph, &error) != SR_OK)
            fail_msg("%s: %s", variants[i].name, error.message);
        const sr_graph_content content = sr_graph_read(graph);
        assert_string_equal(content.inputs[0].name, "items");
        assert_int_equal(content.inputs[0].shape.sizes[1], w.settings.model.max_length);
        assert_string_equal(content.outputs[0].name, "states");
        assert_string_equal(content.outputs[1].name, "scores");
        assert_int_equal(content.outputs[1].shape.sizes[1], ITEMS + 1);
        check_order(graph);
        check_parameters(graph, w.model);
        sr_graph_free(graph);
        free_world(&w);
    }
}

/* ---- graphs ---- */

static void what_reads_no_value_is_none(void **state)
{
    (void)state;
    sr_graph *graph;
    const sr_error failure = {.status = SR_ERROR_USAGE, .message = "of the first"}, second = {.status = SR_ERROR_DATA};
    sr_error found = {.message = ""};
    assert_int_equal(sr_graph_create(&graph, NULL), SR_OK);
    assert_int_equal(SR_GRAPH(graph, "Add", sr_graph_number(graph, 1), 0), 0);
    assert_int_equal(sr_graph_status(graph, NULL), SR_OK);
    sr_graph_fail(graph, &failure);
    sr_graph_fail(graph, &second);
    assert_int_equal(sr_graph_status(graph, &found), SR_ERROR_USAGE);
    assert_string_equal(found.message, "of the first");
    sr_graph_free(graph);
}

static void equal_numbers_are_stored_once(void **state)
{
    (void)state;
    sr_graph *graph;
    assert_int_equal(sr_graph_create(&graph, NULL), SR_OK);
    assert_int_equal(sr_graph_number(graph, 2), sr_graph_number(graph, 2));
    assert_int_equal(sr_graph_integer(graph, 2), sr_graph_integer(graph, 2));
    assert_int_not_equal(sr_graph_number(graph, 2), sr_graph_integer(graph, 2));
    assert_int_not_equal(sr_graph_integer(graph, 2), sr_graph_list(graph, (const int64_t[]){2}, 1));
    assert_int_equal(sr_graph_read(graph).initializer_count, 3);
    sr_graph_free(graph);
}

/* ---- files ---- */

/* A field of a message: its number, and its bytes or its number. */
typedef struct {
    uint64_t field, number;
    const uint8_t *bytes;
    size_t size;
} wire_field;

typedef struct {
    const uint8_t *at, *end;
} wire_reader;

static uint64_t read_varint(wire_reader *from)
{
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        assert_true(from->at < from->end && shift < 64);
        value |= (uint64_t)(*from->at & 127) << shift;
        if (!(*from->at++ & 128))
            return value;
    }
}

static bool read_field(wire_reader *from, wire_field *field)
{
    if (from->at == from->end)
        return false;
    const uint64_t tag = read_varint(from);
    *field = (wire_field){.field = tag >> 3};
    switch (tag & 7) {
    case 0:
        field->number = read_varint(from);
        return true;
    case 2:
        field->size = read_varint(from);
        break;
    case 5:
        field->size = 4;
        break;
    default:
        fail_msg("a field of kind %u", (unsigned)(tag & 7));
    }
    assert_true(field->size <= (size_t)(from->end - from->at));
    field->bytes = from->at;
    from->at += field->size;
    return true;
}

/* The `which`-th field with this number in a message; fails where there is none. */
static wire_field field_of(wire_reader message, uint64_t number, size_t which)
{
    wire_field field;
    while (read_field(&message, &field))
        if (field.field == number && which-- == 0)
            return field;
    fail_msg("no field %llu", (unsigned long long)number);
    return field;
}

static size_t count_fields(wire_reader message, uint64_t number)
{
    wire_field field;
    size_t count = 0;
    while (read_field(&message, &field))
        count += field.field == number;
    return count;
}

static wire_reader message_of(wire_field field)
{
    return (wire_reader){field.bytes, field.bytes + field.size};
}

static void assert_text(wire_field field, const char *text)
{
    assert_int_equal(field.size, strlen(text));
    assert_memory_equal(field.bytes, text, field.size);
}

/* y = 2 x w, Softmax over its last axis; w takes 2 KiB. */
static sr_graph *make_graph(const float *w)
{
    sr_graph *graph;
    const sr_graph_shape shape = {.rank = 2, .sizes = {-1, 16}, .names = {"batch"}}, of_w = {.rank = 2, .sizes = {16, 32}},
                         out = {.rank = 2, .sizes = {-1, 32}, .names = {"batch"}};
    assert_int_equal(sr_graph_create(&graph, NULL), SR_OK);
    const sr_graph_value x = sr_graph_input(graph, "x", SR_GRAPH_FLOAT, &shape);
    const sr_graph_value product = SR_GRAPH(graph, "MatMul", sr_graph_scaled(graph, x, 2),
                                            sr_graph_array(graph, "w", &of_w, w));
    sr_graph_output(graph, SR_GRAPH_WITH(graph, "Softmax", "axis", -1, product), "y", SR_GRAPH_FLOAT, &out);
    return graph;
}

enum { GRAPH = 7, NODE = 1, INITIALIZER = 5, INPUT = 11, OUTPUT = 12 };

typedef struct {
    uint8_t bytes[8192];
    size_t size;
} whole_file;

static void read_file(const char *path, whole_file *file)
{
    FILE *stream = fopen(path, "rb");
    assert_non_null(stream);
    file->size = fread(file->bytes, 1, sizeof file->bytes, stream);
    assert_true(file->size < sizeof file->bytes);
    fclose(stream);
}

static wire_reader write_and_read(const sr_graph *graph, const char *path, uint64_t inside, bool is_beside, whole_file *file)
{
    static const char *const metadata[] = {"padding", "left", NULL};
    bool beside;
    assert_int_equal(onnx_write(path, graph, metadata, inside, &beside, NULL), SR_OK);
    assert_int_equal(beside, is_beside);
    read_file(path, file);
    return (wire_reader){file->bytes, file->bytes + file->size};
}

static void a_file_has_what_stands_in_the_graph(void **state)
{
    const char *directory = *state;
    float w[16 * 32];
    char path[FILES_PATH_SIZE];
    for (size_t i = 0; i < 16 * 32; ++i)
        w[i] = (float)i / 7;
    sr_graph *graph = make_graph(w);
    whole_file file;
    files_path(path, directory, "model.onnx");
    const wire_reader model = write_and_read(graph, path, ONNX_LARGEST, false, &file);
    assert_int_equal(field_of(model, 1, 0).number, 8);
    assert_text(field_of(message_of(field_of(model, 14, 0)), 1, 0), "padding");
    assert_int_equal(field_of(message_of(field_of(model, 8, 0)), 2, 0).number, SR_GRAPH_OPERATOR_SET);
    const wire_reader inner = message_of(field_of(model, GRAPH, 0));
    assert_int_equal(count_fields(inner, NODE), 3);
    const wire_reader softmax = message_of(field_of(inner, NODE, 2));
    assert_text(field_of(softmax, 4, 0), "Softmax");
    assert_text(field_of(softmax, 2, 0), "y");
    const wire_reader axis = message_of(field_of(softmax, 5, 0));
    assert_text(field_of(axis, 1, 0), "axis");
    assert_int_equal((int64_t)field_of(axis, 3, 0).number, -1);
    assert_int_equal(count_fields(inner, INITIALIZER), 2);
    const wire_reader array = message_of(field_of(inner, INITIALIZER, 1));
    assert_text(field_of(array, 8, 0), "w");
    assert_int_equal(field_of(array, 1, 1).number, 32);
    assert_int_equal(field_of(array, 9, 0).size, sizeof w);
    assert_memory_equal(field_of(array, 9, 0).bytes, w, sizeof w);
    assert_text(field_of(message_of(field_of(inner, INPUT, 0)), 1, 0), "x");
    assert_text(field_of(message_of(field_of(inner, OUTPUT, 0)), 1, 0), "y");
    sr_graph_free(graph);
}

static void large_arrays_lie_beside_the_file(void **state)
{
    const char *directory = *state;
    float w[16 * 32] = {1, 2, 3};
    char path[FILES_PATH_SIZE];
    sr_graph *graph = make_graph(w);
    whole_file file;
    files_path(path, directory, "parted.onnx");
    const wire_reader model = write_and_read(graph, path, 2000, true, &file);
    const wire_reader inner = message_of(field_of(model, GRAPH, 0));
    const wire_reader array = message_of(field_of(inner, INITIALIZER, 1));
    assert_int_equal(count_fields(array, 9), 0);
    assert_int_equal(field_of(array, 14, 0).number, 1);
    assert_text(field_of(message_of(field_of(array, 13, 0)), 2, 0), "parted.onnx.data");
    assert_text(field_of(message_of(field_of(array, 13, 2)), 2, 0), "2048");
    files_path(path, directory, "parted.onnx.data");
    read_file(path, &file);
    assert_int_equal(file.size, sizeof w);
    assert_memory_equal(file.bytes, w, sizeof w);
    sr_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(graphs_of_all_models_are_in_order), cmocka_unit_test(what_reads_no_value_is_none),
        cmocka_unit_test(equal_numbers_are_stored_once),     cmocka_unit_test(a_file_has_what_stands_in_the_graph),
        cmocka_unit_test(large_arrays_lie_beside_the_file),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
