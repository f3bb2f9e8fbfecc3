/* The list of calibrators: one row each, in the order in which they act. Numbers are places in it. */
#include "model/calibrator.h"

#include <string.h>

extern const calibrator spatial_calibrator, refinement_calibrator, adversarial_calibrator, frequency_calibrator;

/* clang-format off */
const calibrator *const calibrators[] = {
    &spatial_calibrator,
    &refinement_calibrator,
    &adversarial_calibrator,
    &frequency_calibrator,
};
/* clang-format on */
const size_t calibrator_count = sizeof calibrators / sizeof *calibrators;

int sr_calibrator_number(const char *name)
{
    for (size_t i = 0; i < calibrator_count; ++i)
        if (strcmp(calibrators[i]->component.name, name) == 0)
            return (int)i;
    return -1;
}

sr_status calibrators_check(const sr_model_settings *settings, sr_error *error)
{
    const calibrator *found = NULL;
    for (size_t i = 0; i < calibrator_count; ++i) {
        if (!calibrators[i]->calibrate_probabilities || !calibrates(settings, i))
            continue;
        if (found)
            return sr_fail(error, SR_ERROR_USAGE,
                           "calibrators.%s and calibrators.%s cannot be used together: each makes the attention weights of a "
                           "layer out of the weights of all its queries, which only one can; leave one of the two out",
                           found->component.name, calibrators[i]->component.name);
        found = calibrators[i];
    }
    return SR_OK;
}

padding_use calibrators_padding(const sr_model_settings *settings, bool training)
{
    padding_use most = PADDING_UNUSED;
    for (size_t i = 0; i < calibrator_count; ++i)
        if (calibrates(settings, i) && calibrators[i]->padding) {
            const padding_use use = calibrators[i]->padding(settings, training);
            most = use > most ? use : most;
        }
    return most;
}

bool calibrators_score_every_query(const sr_model_settings *settings)
{
    for (size_t i = 0; i < calibrator_count; ++i)
        if (calibrators[i]->scores_every_query && calibrates(settings, i))
            return true;
    return false;
}

bool calibrators_read_rows_of_padding(const sr_model_settings *settings, bool training)
{
    for (size_t i = 0; i < calibrator_count; ++i)
        if (calibrators[i]->reads_rows_of_padding && calibrates(settings, i) &&
            calibrators[i]->reads_rows_of_padding(settings, training))
            return true;
    return false;
}

const calibrator *calibrators_attacker(const sr_model_settings *settings)
{
    for (size_t i = 0; i < calibrator_count; ++i)
        if (calibrates(settings, i) && calibrators[i]->penalty_weight)
            return calibrators[i];
    return NULL;
}

bool calibrators_couple_batch(const sr_model_settings *settings)
{
    for (size_t i = 0; i < calibrator_count; ++i)
        if (calibrators[i]->couples_batch && calibrates(settings, i))
            return true;
    return false;
}
