#include "step/nonfinite.h"

#include "srtrain/row_blocks.h"

#include <math.h>
#include <stdio.h>

static bool is_finite(const sr_real *values, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        if (!isfinite(values[i]))
            return false;
    return true;
}

/* The first parameter with an element of `block` (its values, or gradients) that is not finite; NULL if there is none. */
static const char *first_bad_parameter(const sr_parameters *parameters, const sr_real *block)
{
    for (size_t i = 0; i < parameters->count; ++i)
        if (!is_finite(block + parameters->list[i].offset, parameters->list[i].size))
            return parameters->list[i].name;
    return NULL;
}

/* Gradients of part `part` in a block: of all its rows, or of those that have some. */
static bool has_finite_gradients(const sr_row_block *block, size_t part)
{
    const sr_parameters *own = &block->parameters;
    if (block->dense)
        return is_finite(own->gradients + own->list[part].offset, own->list[part].size);
    return is_finite(block->touched.gradients[part], block->touched.count * own->list[part].shape[1]);
}

void nonfinite_look_at_rows(const sr_parameters *parameters, int64_t facts[NONFINITE_FACTS])
{
    for (size_t i = 0; i < NONFINITE_FACTS; ++i)
        facts[i] = 0;
    for (size_t b = 0; b < parameters->row_block_count; ++b) {
        const sr_row_block *block = parameters->row_blocks[b];
        const sr_parameters *own = &block->parameters;
        for (size_t part = 0; part < own->count; ++part) {
            facts[part] |= !is_finite(own->values + own->list[part].offset, own->list[part].size);
            facts[SR_TABLES_MAXIMUM + part] |= !has_finite_gradients(block, part);
        }
    }
}

/* The first part of the table that the facts tell of; NULL: none. */
static const char *first_bad_rows(const sr_parameters *parameters, const int64_t facts[SR_TABLES_MAXIMUM])
{
    for (size_t part = 0; part < SR_TABLES_MAXIMUM; ++part)
        if (facts[part] > 0)
            return parameters->row_blocks[0]->parameters.list[part].name;
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

void nonfinite_describe(const sr_parameters *parameters, const int64_t facts[NONFINITE_FACTS], const sr_step_result *result,
                        char *text, size_t size)
{
    const sr_term *term = bad_term(result);
    const char *of_values = first_bad_parameter(parameters, parameters->values);
    const char *of_gradients = first_bad_parameter(parameters, parameters->gradients);
    of_values = of_values ? of_values : first_bad_rows(parameters, facts);
    of_gradients = of_gradients ? of_gradients : first_bad_rows(parameters, facts + SR_TABLES_MAXIMUM);
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
