/* Graphs of operations that other programs run: what a model computes, as named operations of ONNX (operator set 17)
 * over arrays of numbers. A graph is built node by node and then written (storage/onnx_file.h).
 *
 * A value is an array of the graph: an input, an array of numbers that is stored with it, or what a node computes.
 * Nodes come after those whose values they read. Failure is sticky: a function that is given no value returns none,
 * and the graph remembers the first message. So a graph is built as plain mathematics and checked once, by
 * sr_graph_status(). */
#ifndef SRTRAIN_GRAPH_H
#define SRTRAIN_GRAPH_H

#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sr_graph sr_graph;
typedef uint32_t sr_graph_value; /* 0: none */

enum { SR_GRAPH_OPERATOR_SET = 17, SR_GRAPH_RANK_MAXIMUM = 5, SR_GRAPH_NAME_SIZE = 112 };

/* The numbers are those of ONNX. */
typedef enum { SR_GRAPH_FLOAT = 1, SR_GRAPH_INT64 = 7, SR_GRAPH_BOOL = 9, SR_GRAPH_DOUBLE = 11 } sr_graph_type;

typedef struct {
    size_t rank;
    int64_t sizes[SR_GRAPH_RANK_MAXIMUM];     /* -1: any number, which `names` names */
    const char *names[SR_GRAPH_RANK_MAXIMUM]; /* of sizes that are -1; texts that outlive the graph */
} sr_graph_shape;

/* A number that an operation has beside its inputs. */
typedef struct {
    const char *name;
    enum { SR_GRAPH_NO_MORE, SR_GRAPH_INTEGER, SR_GRAPH_NUMBER, SR_GRAPH_TEXT, SR_GRAPH_INTEGERS } kind;
    int64_t integer;
    double number;
    const char *text; /* outlives the graph */
    int64_t integers[SR_GRAPH_RANK_MAXIMUM];
    size_t count; /* of integers */
} sr_graph_attribute;

enum { SR_GRAPH_ATTRIBUTES_MAXIMUM = 3 };

/* Release with sr_graph_free(). */
sr_status sr_graph_create(sr_graph **graph, sr_error *error);
void sr_graph_free(sr_graph *graph); /* NULL is allowed */

/* SR_OK, or the first failure. */
sr_status sr_graph_status(const sr_graph *graph, sr_error *error);

/* Makes the graph fail, unless it has failed already. */
void sr_graph_fail(sr_graph *graph, const sr_error *failure);

/* What nodes are made for from now on: their values are called "WHAT.N". The text outlives the graph. Returns what it
 * was. */
const char *sr_graph_name_nodes(sr_graph *graph, const char *what);

/* An input of the graph. */
sr_graph_value sr_graph_input(sr_graph *graph, const char *name, sr_graph_type type, const sr_graph_shape *shape);

/* Makes a value an output of the graph, named `name`. */
void sr_graph_output(sr_graph *graph, sr_graph_value value, const char *name, sr_graph_type type, const sr_graph_shape *shape);

/* Numbers that are stored with the graph, in memory of the caller that outlives it: for parameters. */
sr_graph_value sr_graph_array(sr_graph *graph, const char *name, const sr_graph_shape *shape, const float *values);

/* Numbers that are copied, in C order: sizes [rank], whose product is at least 1. */
sr_graph_value sr_graph_floats(sr_graph *graph, const size_t *sizes, size_t rank, const double *values);
sr_graph_value sr_graph_integers(sr_graph *graph, const size_t *sizes, size_t rank, const int64_t *values);

/* Single numbers, of rank 0; equal ones are stored once. */
sr_graph_value sr_graph_number(sr_graph *graph, double value);
sr_graph_value sr_graph_double(sr_graph *graph, double value); /* of type SR_GRAPH_DOUBLE */
sr_graph_value sr_graph_integer(sr_graph *graph, int64_t value);

/* `count` integers, of rank 1; the same. */
sr_graph_value sr_graph_list(sr_graph *graph, const int64_t *values, size_t count);

/* A node: an operation of ONNX over `inputs` [input_count], with attributes that end with one of kind
 * SR_GRAPH_NO_MORE (NULL: none). Returns its first output; the k-th (from 0) of `outputs` is the returned value + k.
 */
sr_graph_value sr_graph_node(sr_graph *graph, const char *operation, const sr_graph_attribute *attributes,
                             const sr_graph_value *inputs, size_t input_count, size_t outputs);

/* ---- the nodes that are used most ---- */

#define SR_GRAPH(graph, operation, ...)                                              \
    sr_graph_node((graph), (operation), NULL, (const sr_graph_value[]){__VA_ARGS__}, \
                  sizeof((const sr_graph_value[]){__VA_ARGS__}) / sizeof(sr_graph_value), 1)

/* The same with one attribute that is an integer. */
#define SR_GRAPH_WITH(graph, operation, attribute, value, ...)                                                      \
    sr_graph_node((graph), (operation),                                                                             \
                  (const sr_graph_attribute[]){{.name = (attribute), .kind = SR_GRAPH_INTEGER, .integer = (value)}, \
                                               {.kind = SR_GRAPH_NO_MORE}},                                         \
                  (const sr_graph_value[]){__VA_ARGS__},                                                            \
                  sizeof((const sr_graph_value[]){__VA_ARGS__}) / sizeof(sr_graph_value), 1)

/* Axis i of the result is axis order[i] of the value. */
sr_graph_value sr_graph_transpose(sr_graph *graph, sr_graph_value value, const int64_t *order, size_t rank);

/* As ONNX has it: 0 keeps a size, one -1 follows from the others. */
sr_graph_value sr_graph_reshape(sr_graph *graph, sr_graph_value value, const int64_t *sizes, size_t rank);

/* A new axis of size 1, or one axis less; `axis` may count from the end, as -1. */
sr_graph_value sr_graph_add_axis(sr_graph *graph, sr_graph_value value, int64_t axis);
sr_graph_value sr_graph_drop_axis(sr_graph *graph, sr_graph_value value, int64_t axis);

/* Sums over the axis, which stays with size 1. */
sr_graph_value sr_graph_sum(sr_graph *graph, sr_graph_value value, int64_t axis);

/* Elements [begin, end) of an axis. */
sr_graph_value sr_graph_slice(sr_graph *graph, sr_graph_value value, int64_t axis, int64_t begin, int64_t end);

/* factor times value. */
sr_graph_value sr_graph_scaled(sr_graph *graph, sr_graph_value value, double factor);

/* ---- reading, for whoever writes it ---- */

typedef struct {
    char name[SR_GRAPH_NAME_SIZE];
    sr_graph_type type;
    sr_graph_shape shape;
} sr_graph_port; /* an input or an output */

typedef struct {
    char name[SR_GRAPH_NAME_SIZE];
    sr_graph_type type;
    size_t rank;
    size_t sizes[SR_GRAPH_RANK_MAXIMUM];
    const void *data; /* little-endian */
    size_t bytes;
} sr_graph_initializer;

typedef struct {
    const char *operation;
    const sr_graph_value *inputs;
    size_t input_count;
    sr_graph_value first_output;
    size_t outputs;
    sr_graph_attribute attributes[SR_GRAPH_ATTRIBUTES_MAXIMUM];
    size_t attribute_count;
} sr_graph_step;

typedef struct {
    const sr_graph_port *inputs, *outputs;
    size_t input_count, output_count;
    const sr_graph_initializer *initializers;
    size_t initializer_count;
    const sr_graph_step *steps; /* in the order in which they can be computed */
    size_t step_count;
} sr_graph_content;

sr_graph_content sr_graph_read(const sr_graph *graph);

/* The name of a value. */
const char *sr_graph_value_name(const sr_graph *graph, sr_graph_value value);

#endif
