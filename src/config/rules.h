/* What single keys cannot show: keys that have no meaning here, and settings that do not go together. */
#ifndef SRTRAIN_CONFIG_RULES_H
#define SRTRAIN_CONFIG_RULES_H

#include "config/place.h"
#include "srtrain/config.h"

/* `places` has one entry for each key of the schema: where it was given, with line -1 and no assignment if it was not;
 * `sections` likewise one for each section. Errors name both settings with their values and where these come from. */
sr_status check_rules(const sr_schema *schema, const void *settings, const place *places, const place *sections,
                      sr_error *error);

#endif
