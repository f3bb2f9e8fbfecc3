/* What single keys cannot show: combinations of values that make no sense together. */
#ifndef SRTRAIN_CONFIG_COMBINATIONS_H
#define SRTRAIN_CONFIG_COMBINATIONS_H

#include "config/place.h"
#include "srtrain/config.h"

/* `places` has one entry for each row of the schema: where its key was given, with line -1 and no assignment if it was not;
 * `sections` likewise one for each section. Errors name both keys with their values and where these come from. */
sr_status check_combinations(const sr_settings *settings, const place *places, const place *sections, sr_error *error);

#endif
