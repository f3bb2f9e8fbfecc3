/* The tape: operations are computed as they are recorded, and backward walks the record in reverse.
 *
 * A tensor is a matrix [rows, columns] in row-major order. Ragged attention maps are tensors with one column whose
 * cells an sr_attention_map describes (srtrain/ragged.h). Tensors and everything the operations save live in the
 * tape's arena until sr_tape_reset(); parameters live in the blocks of sr_parameters.
 *
 * Failure is sticky: an operation that runs out of memory returns NULL, an operation that is given NULL returns NULL,
 * and the tape remembers the message. So a model is written as plain mathematics and checked once, by
 * sr_tape_status() or by sr_tape_backward(). Shapes that do not fit are programming errors and are asserted. */
#ifndef SRTRAIN_TAPE_H
#define SRTRAIN_TAPE_H

#include "srtrain/arithmetic.h"
#include "srtrain/graph.h"
#include "srtrain/parameters.h"
#include "srtrain/real.h"
#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct sr_kernels sr_kernels;   /* srtrain/kernels.h */
typedef struct sr_products sr_products; /* tensor/gemm.h */
typedef struct sr_tape sr_tape;
struct sr_description; /* tensor/description.h */

typedef struct sr_tensor {
    sr_real *values;   /* [rows, columns] */
    sr_real *gradient; /* [rows, columns]; while an operation's backward runs, non-NULL for its output and for every input that
                        * `wants_gradient` */
    size_t rows, columns;
    unsigned sets;        /* the parameter sets (bits of sr_parameter_set) that lie behind this tensor */
    bool wants_gradient;  /* during backward: lies between the loss and the parameters asked for */
    bool gradient_is_new; /* while the backward of an operation that stores gradients runs: nothing stands there yet */
} sr_tensor;

/* `kernels` are the loops to compute with; `recording` false makes a tape that only computes (evaluation): operations
 * then save nothing for backward. Release with sr_tape_free(). */
sr_status sr_tape_create(sr_tape **tape, const sr_kernels *kernels, bool recording, sr_error *error);
void sr_tape_free(sr_tape *tape); /* NULL is allowed */

/* The precision of matrix products from now on; fp32 at first. Linear maps, attention and the losses over the
 * catalogue follow it, forward and backward; all else is computed in sr_real. */
void sr_tape_set_precision(sr_tape *tape, sr_precision precision);
const sr_products *sr_tape_products(const sr_tape *tape);

/* How many bytes each loss over the catalogue may keep from forward to backward, which computes the rest again: time
 * against memory, the same bits. 32 MiB at first. */
void sr_tape_set_kept_bytes(sr_tape *tape, size_t bytes);
size_t sr_tape_kept_bytes(const sr_tape *tape);

/* Forgets all operations and tensors; memory is kept for the next step. */
void sr_tape_reset(sr_tape *tape);

/* SR_OK, or the first failure since the last reset. */
sr_status sr_tape_status(const sr_tape *tape, sr_error *error);

/* Makes the tape fail, unless it has failed already: for operations whose preparation fails. */
void sr_tape_fail(sr_tape *tape, const sr_error *failure);

const sr_kernels *sr_tape_kernels(const sr_tape *tape);
bool sr_tape_is_recording(const sr_tape *tape);

/* Bytes in use since the last reset. */
size_t sr_tape_memory(const sr_tape *tape);

/* ---- leaves ---- */

/* The parameter with this index as a tensor: a vector [n] becomes [1, n]; [a, b, c] becomes [a, b * c]. */
sr_tensor *sr_tape_parameter(sr_tape *tape, sr_parameters *parameters, size_t index);

/* Numbers of the caller that are trained, but are no parameter of sr_parameters: backward adds to `gradient`, which
 * the caller clears. Both [rows, columns]; they must outlive the tape's use of them. */
sr_tensor *sr_tape_leaf(sr_tape *tape, sr_real *values, sr_real *gradient, size_t rows, size_t columns, sr_parameter_set set);

/* A tensor without gradient over memory of the caller, which must outlive the tape's use of it. */
sr_tensor *sr_tape_constant(sr_tape *tape, sr_real *values, size_t rows, size_t columns);

/* ---- for operations ---- */

/* Uninitialised memory that lives until the next reset; NULL (and a sticky failure) when there is none. */
void *sr_tape_take(sr_tape *tape, size_t count, size_t size);

/* Adds the gradient of `output` times the local derivative to the gradients of those inputs that want one. */
typedef void (*sr_backward_function)(sr_tape *tape, const sr_tensor *output, const void *state);

/* Adds what computes `output` to a graph for other programs (tensor/description.h), and returns its value there. */
typedef sr_graph_value (*sr_describe_function)(struct sr_description *to, const sr_tensor *output, const void *state);

/* What an operation is: one row beside its functions. */
typedef struct sr_operation {
    const char *name; /* in graphs and messages */
    sr_backward_function backward;
    /* Its backward knows new gradients: where `gradient_is_new` is set it stores all of the gradient instead of adding to
     * it. Without this new gradients are zeroed before backward is called. */
    bool stores;
    sr_describe_function describe; /* NULL: other programs cannot compute it */
} sr_operation;

/* A new tensor [rows, columns] that depends on `inputs` (`input_count` of them; the array may be temporary). values
 * are uninitialised. The operation's functions get `state`, which must live in the arena. On a tape that does not
 * record, nothing but the tensor is made. */
sr_tensor *sr_tape_record(sr_tape *tape, size_t rows, size_t columns, sr_tensor *const *inputs, size_t input_count,
                          const sr_operation *operation, const void *state);

/* For the backward of operations that store. The factor by which a product keeps what stands in the gradient: 0 where
 * it is new. */
static inline sr_real sr_gradient_kept(const sr_tensor *tensor)
{
    return tensor->gradient_is_new ? 0 : 1;
}

/* Zeroes elements [first, first + count) of a gradient if it is new. Done piece by piece, right before they are added
 * to, it costs no way to memory. */
static inline void sr_gradient_begin(const sr_tensor *tensor, size_t first, size_t count)
{
    if (tensor->gradient_is_new)
        memset(tensor->gradient + first, 0, count * sizeof *tensor->gradient);
}

/* ---- describing ---- */

/* From now on also records operations without parameters behind them, so that all can be described. */
void sr_tape_keep_all(sr_tape *tape);

/* Says how numbers that are no tensor (ids, buckets, chosen lags) follow from the inputs of a pass: `operation`
 * describes them, with an output of NULL. For arrays that differ from batch to batch and that other operations read.
 * False, and a sticky failure of the tape, when memory runs out. */
bool sr_tape_note(sr_tape *tape, const void *array, const sr_operation *operation, const void *state);

/* What made a tensor, or the numbers of a note: false where nothing on the tape did. */
bool sr_tape_origin(const sr_tape *tape, const void *made, const sr_operation **operation, const void **state);

/* ---- backward ---- */

/* Adds d loss / d parameter to the gradient block for every parameter in `set`, computing only what leads to that set.
 * `loss` is [1, 1]. May be called several times on one tape, for different losses and sets. */
sr_status sr_tape_backward(sr_tape *tape, sr_tensor *loss, sr_parameter_set set, sr_error *error);

#endif
