/* The configurations that parity fixtures hold, and what a build says of them. */
#ifndef SRTRAIN_TESTS_FIXTURE_CONFIGURATION_H
#define SRTRAIN_TESTS_FIXTURE_CONFIGURATION_H

#include "fixture.h"

/* Fixtures name heads, inner_size and the like for models without such parts, too, where srtrain refuses them: the fixture's
 * configuration without them, to be released with free(). */
sr_status fixture_configuration_of_backbone(const parity_fixture *fixture, char **text, sr_error *error);

/* Whether a configuration was refused for a key or a choice that this build does not have, as its own message says. Anything
 * else that is wrong with a fixture is a failure. */
bool fixture_finding_is_unknown(const sr_error *error);

/* The first words of such a message: "unknown key 'model.norm'". */
void fixture_shorten_finding(const sr_error *error, char *text, size_t size);

#endif
