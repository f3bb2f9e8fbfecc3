/* Recording and walking the tape; what it promises stands in srtrain/tape.h. */
#include "srtrain/tape.h"

#include "srtrain/memory.h"
#include "tensor/gemm.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct node {
    struct node *previous;
    sr_tensor *output;
    sr_tensor **inputs;
    size_t input_count;
    const sr_operation *operation;
    const void *state;
} node;

/* Numbers that are no tensor, and what made them. */
typedef struct note {
    struct note *previous;
    const void *array;
    const sr_operation *operation;
    const void *state;
} note;

/* The gradient of a tensor that backward has passed: nobody reads it again, so its memory serves the next one of its
 * size. */
typedef struct spare_gradient {
    struct spare_gradient *next;
    size_t elements;
} spare_gradient;

struct sr_tape {
    sr_arena *arena;
    spare_gradient *spare;
    const sr_kernels *kernels;
    const sr_products *products;
    size_t kept_bytes;
    bool recording, keeps_all;
    node *last;
    note *last_note;
    sr_error failure; /* status SR_OK: none */
};

enum {
    FIRST_BLOCK = 16 << 20, /* bytes that the arena asks of the system at first */
    KEPT_BYTES = 32 << 20
};

sr_status sr_tape_create(sr_tape **tape, const sr_kernels *kernels, bool recording, sr_error *error)
{
    SR_TRY(SR_ALLOCATE_ZERO(tape, 1, "a tape", error));
    (*tape)->kernels = kernels;
    (*tape)->products = kernels->products[SR_PRECISION_FP32];
    (*tape)->kept_bytes = KEPT_BYTES;
    (*tape)->recording = recording;
    const sr_status status = sr_arena_create(&(*tape)->arena, FIRST_BLOCK, error);
    if (status != SR_OK) {
        free(*tape);
        *tape = NULL;
    }
    return status;
}

void sr_tape_free(sr_tape *tape)
{
    if (!tape)
        return;
    sr_arena_free(tape->arena);
    free(tape);
}

void sr_tape_set_precision(sr_tape *tape, sr_precision precision)
{
    tape->products = tape->kernels->products[precision];
}

const sr_products *sr_tape_products(const sr_tape *tape)
{
    return tape->products;
}

void sr_tape_set_kept_bytes(sr_tape *tape, size_t bytes)
{
    tape->kept_bytes = bytes;
}

size_t sr_tape_kept_bytes(const sr_tape *tape)
{
    return tape->kept_bytes;
}

void sr_tape_reset(sr_tape *tape)
{
    sr_arena_reset(tape->arena);
    tape->last = NULL;
    tape->last_note = NULL;
    tape->spare = NULL;
    tape->failure.status = SR_OK;
}

sr_status sr_tape_status(const sr_tape *tape, sr_error *error)
{
    if (tape->failure.status != SR_OK && error)
        *error = tape->failure;
    return tape->failure.status;
}

void sr_tape_fail(sr_tape *tape, const sr_error *failure)
{
    if (tape->failure.status == SR_OK)
        tape->failure = *failure;
}

const sr_kernels *sr_tape_kernels(const sr_tape *tape)
{
    return tape->kernels;
}

bool sr_tape_is_recording(const sr_tape *tape)
{
    return tape->recording;
}

size_t sr_tape_memory(const sr_tape *tape)
{
    return sr_arena_used(tape->arena);
}

void *sr_tape_take(sr_tape *tape, size_t count, size_t size)
{
    void *memory = size && count > SIZE_MAX / size ? NULL : sr_arena_take(tape->arena, count * size);
    if (!memory && tape->failure.status == SR_OK)
        sr_fail(&tape->failure, SR_ERROR_RUNTIME,
                "out of memory: %zu elements of %zu bytes for the activations of a step (%zu bytes are in use; a smaller "
                "training.batch_size or more ranks need less)",
                count, size, sr_arena_used(tape->arena));
    return memory;
}

static sr_tensor *new_tensor(sr_tape *tape, sr_real *values, size_t rows, size_t columns)
{
    sr_tensor *tensor = sr_tape_take(tape, 1, sizeof *tensor);
    if (tensor)
        *tensor = (sr_tensor){.values = values, .rows = rows, .columns = columns};
    return tensor;
}

sr_tensor *sr_tape_parameter(sr_tape *tape, sr_parameters *parameters, size_t index)
{
    const sr_parameter *parameter = &parameters->list[index];
    const size_t rows = parameter->rank <= 1 ? 1 : parameter->shape[0];
    sr_tensor *tensor = new_tensor(tape, parameters->values + parameter->offset, rows, parameter->size / rows);
    if (!tensor)
        return NULL;
    if (parameters->gradients) /* not in a share that only computes */
        tensor->gradient = parameters->gradients + parameter->offset;
    tensor->sets = (unsigned)parameter->set;
    return tensor;
}

sr_tensor *sr_tape_leaf(sr_tape *tape, sr_real *values, sr_real *gradient, size_t rows, size_t columns, sr_parameter_set set)
{
    sr_tensor *tensor = new_tensor(tape, values, rows, columns);
    if (!tensor)
        return NULL;
    tensor->gradient = gradient;
    tensor->sets = (unsigned)set;
    return tensor;
}

sr_tensor *sr_tape_constant(sr_tape *tape, sr_real *values, size_t rows, size_t columns)
{
    return new_tensor(tape, values, rows, columns);
}

sr_tensor *sr_tape_record(sr_tape *tape, size_t rows, size_t columns, sr_tensor *const *inputs, size_t input_count,
                          const sr_operation *operation, const void *state)
{
    sr_real *values = sr_tape_take(tape, rows * columns, sizeof *values);
    sr_tensor *output = values ? new_tensor(tape, values, rows, columns) : NULL;
    if (!output)
        return NULL;
    for (size_t i = 0; i < input_count; ++i)
        output->sets |= inputs[i]->sets;
    if (!tape->recording || !(output->sets || tape->keeps_all))
        return output;
    node *entry = sr_tape_take(tape, 1, sizeof *entry);
    sr_tensor **kept_inputs = sr_tape_take(tape, input_count, sizeof(sr_tensor *));
    if (!entry || !kept_inputs)
        return NULL;
    memcpy(kept_inputs, inputs, input_count * sizeof *inputs);
    *entry = (node){.previous = tape->last,
                    .output = output,
                    .inputs = kept_inputs,
                    .input_count = input_count,
                    .operation = operation,
                    .state = state};
    tape->last = entry;
    return output;
}

/* ---- describing ---- */

void sr_tape_keep_all(sr_tape *tape)
{
    tape->keeps_all = true;
}

bool sr_tape_note(sr_tape *tape, const void *array, const sr_operation *operation, const void *state)
{
    if (!tape->keeps_all)
        return true;
    note *entry = sr_tape_take(tape, 1, sizeof *entry);
    if (!entry)
        return false;
    *entry = (note){.previous = tape->last_note, .array = array, .operation = operation, .state = state};
    tape->last_note = entry;
    return true;
}

bool sr_tape_origin(const sr_tape *tape, const void *made, const sr_operation **operation, const void **state)
{
    for (const note *entry = tape->last_note; entry; entry = entry->previous)
        if (entry->array == made) {
            *operation = entry->operation;
            *state = entry->state;
            return true;
        }
    for (const node *entry = tape->last; entry; entry = entry->previous)
        if (entry->output == made) {
            *operation = entry->operation;
            *state = entry->state;
            return true;
        }
    return false;
}

/* ---- backward ---- */

/* Forgets the gradients of an earlier pass, then marks every tensor between the loss and the set. */
static void mark(const sr_tape *tape, sr_tensor *loss, unsigned set)
{
    for (node *entry = tape->last; entry; entry = entry->previous) {
        entry->output->gradient = NULL;
        entry->output->wants_gradient = false;
        for (size_t i = 0; i < entry->input_count; ++i)
            entry->inputs[i]->wants_gradient = false;
    }
    loss->wants_gradient = true;
    for (node *entry = tape->last; entry; entry = entry->previous) {
        if (!entry->output->wants_gradient)
            continue;
        for (size_t i = 0; i < entry->input_count; ++i) {
            sr_tensor *input = entry->inputs[i];
            if (input->sets & set)
                input->wants_gradient = true;
        }
    }
}

/* Memory for a gradient: a spare one of the same size, or new. Bounds the memory of backward by what is alive at a
 * time, and keeps it in the cache. */
static sr_real *take_gradient(sr_tape *tape, size_t elements)
{
    for (spare_gradient **at = &tape->spare; *at; at = &(*at)->next)
        if ((*at)->elements == elements) {
            spare_gradient *found = *at;
            *at = found->next;
            return (sr_real *)(void *)found;
        }
    const size_t least = (sizeof(spare_gradient) + sizeof(sr_real) - 1) / sizeof(sr_real);
    return sr_tape_take(tape, elements > least ? elements : least, sizeof(sr_real));
}

static void return_gradient(sr_tape *tape, sr_tensor *tensor)
{
    spare_gradient *spare = (spare_gradient *)(void *)tensor->gradient;
    *spare = (spare_gradient){.next = tape->spare, .elements = tensor->rows * tensor->columns};
    tape->spare = spare;
    tensor->gradient = NULL;
}

/* Gives every input that wants a gradient one: zeroed, or new where the operation stores it. An input that the
 * operation has twice is stored and added to, so that it is zeroed as well. */
static bool prepare_gradients(sr_tape *tape, const node *entry)
{
    for (size_t i = 0; i < entry->input_count; ++i) {
        sr_tensor *input = entry->inputs[i];
        if (!input->wants_gradient || (input->gradient && !input->gradient_is_new))
            continue;
        const bool is_second = input->gradient_is_new;
        if (!is_second)
            input->gradient = take_gradient(tape, input->rows * input->columns);
        if (!input->gradient)
            return false;
        input->gradient_is_new = entry->operation->stores && !is_second;
        if (!input->gradient_is_new)
            memset(input->gradient, 0, input->rows * input->columns * sizeof *input->gradient);
    }
    return true;
}

static void finish_gradients(const node *entry)
{
    for (size_t i = 0; entry->operation->stores && i < entry->input_count; ++i)
        entry->inputs[i]->gradient_is_new = false;
}

sr_status sr_tape_backward(sr_tape *tape, sr_tensor *loss, sr_parameter_set set, sr_error *error)
{
    SR_TRY(sr_tape_status(tape, error));
    assert(tape->recording && loss && loss->rows == 1 && loss->columns == 1);
    if (!(loss->sets & (unsigned)set))
        return SR_OK;
    sr_real *one = take_gradient(tape, 1);
    if (!one)
        return sr_tape_status(tape, error);
    mark(tape, loss, (unsigned)set);
    *one = 1;
    loss->gradient = one;
    for (node *entry = tape->last; entry; entry = entry->previous) {
        if (!entry->output->wants_gradient)
            continue;
        if (!prepare_gradients(tape, entry))
            break;
        entry->operation->backward(tape, entry->output, entry->state);
        finish_gradients(entry);
        return_gradient(tape, entry->output);
    }
    return sr_tape_status(tape, error);
}
