#include "srtrain/negative_settings.h"

bool sr_negatives_are_shared(const sr_negative_settings *settings)
{
    return settings->sharing == SR_SHARING_SLICE || settings->sharing == SR_SHARING_BATCH;
}

bool sr_negatives_come_from_batch(const sr_negative_settings *settings)
{
    return settings->sampling == SR_SAMPLING_BATCH || settings->sampling == SR_SAMPLING_MIXED;
}
