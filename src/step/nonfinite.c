#include "step/nonfinite.h"

#include "srtrain/row_blocks.h"

#include <math.h>
#include <stdio.h>

/* The first parameter with an element of `block` (its values, or gradients) that is not finite; NULL if there is none. */
static const char *first_bad_parameter(const sr_parameters *parameters, const sr_real *block)
{
    for (size_t i = 0; i < parameters->count; ++i)
        for (size_t k = 0; k < parameters->list[i].size; ++k)
            if (!isfinite(block[parameters->list[i].offset + k]))
                return parameters->list[i].name;
    return NULL;
}

/* The same of blocks of rows: of their values, or of the gradients of the rows that have some. */
static const char *first_bad_rows(const sr_parameters *parameters, bool of_gradients)
{
    for (size_t b = 0; b < parameters->row_block_count; ++b) {
        const sr_row_block *block = parameters->row_blocks[b];
        const sr_parameters *own = &block->parameters;
        if (!of_gradients || block->dense) {
            const char *found = first_bad_parameter(own, of_gradients ? own->gradients : own->values);
            if (found)
                return found;
            continue;
        }
        for (size_t i = 0; i < own->count; ++i)
            for (size_t k = 0; k < block->touched.count * own->list[i].shape[1]; ++k)
                if (!isfinite(block->touched.gradients[i][k]))
                    return own->list[i].name;
    }
    return NULL;
}

/* The term that is not finite, or NULL. */
static const sr_term *bad_term(const sr_step_result *result)
{
    for (size_t i = 0; i < result->terms.count; ++i)
        if (!isfinite(result->terms.list[i].value))
            return &result->terms.list[i];
    return NULL;
}

bool nonfinite_is_found(const sr_step_result *result)
{
    return bad_term(result) || !isfinite(result->gradient_norm);
}

void nonfinite_describe(const sr_parameters *parameters, const sr_step_result *result, char *text, size_t size)
{
    const sr_term *term = bad_term(result);
    const char *of_values = first_bad_parameter(parameters, parameters->values);
    const char *of_gradients = first_bad_parameter(parameters, parameters->gradients);
    of_values = of_values ? of_values : first_bad_rows(parameters, false);
    of_gradients = of_gradients ? of_gradients : first_bad_rows(parameters, true);
    const char *parameter = of_values ? of_values : of_gradients;
    char which[SR_PARAMETER_NAME_SIZE + 64] = "its norm overflows";
    if (parameter)
        snprintf(which, sizeof which, "the first parameter whose %s are not finite is %s", of_values ? "values" : "gradients",
                 parameter);
    if (term)
        snprintf(text, size, "the %s is not finite (%g)%s%s", term->words,
                 isnan(term->value) ? (double)NAN : term->value, /* without a sign */
                 parameter ? "; " : "", parameter ? which : "");
    else
        snprintf(text, size, "the gradient is not finite, while the loss is %g; %s", sr_step_loss(result), which);
}
