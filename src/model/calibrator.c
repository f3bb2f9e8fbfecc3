/* The table of calibrators: one row each, in the order in which they act. */
#include "model/calibrator.h"

const calibrator *const calibrators[] = {
    &spatial_calibrator,
    &refinement_calibrator,
    &adversarial_calibrator,
    &frequency_calibrator,
};
const size_t calibrator_count = sizeof calibrators / sizeof *calibrators;

padding_use calibrators_padding(const sr_model_settings *settings, bool training)
{
    padding_use most = PADDING_UNUSED;
    for (size_t i = 0; i < calibrator_count; ++i)
        if (calibrators[i]->in_use(settings) && calibrators[i]->padding) {
            const padding_use use = calibrators[i]->padding(settings, training);
            most = use > most ? use : most;
        }
    return most;
}

bool calibrators_score_every_query(const sr_model_settings *settings)
{
    for (size_t i = 0; i < calibrator_count; ++i)
        if (calibrators[i]->scores_every_query && calibrators[i]->in_use(settings))
            return true;
    return false;
}

bool calibrators_read_rows_of_padding(const sr_model_settings *settings, bool training)
{
    for (size_t i = 0; i < calibrator_count; ++i)
        if (calibrators[i]->reads_rows_of_padding && calibrators[i]->in_use(settings) &&
            calibrators[i]->reads_rows_of_padding(settings, training))
            return true;
    return false;
}
