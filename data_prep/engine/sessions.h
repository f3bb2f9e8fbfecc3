/* Cutting users into sessions where they pause. */
#ifndef SRTRAIN_DATA_PREP_ENGINE_SESSIONS_H
#define SRTRAIN_DATA_PREP_ENGINE_SESSIONS_H

#include "engine/gather.h"

/* Cuts the interactions of each user, which are in the order of time, wherever two are more than `gap` apart. A session is a
 * user from then on, called like the user with # and its number from 1 behind. *sessions is how many there are on all ranks.
 * Collective. */
sr_status sessions_cut(workplace *place, gathered *g, int64_t gap, uint64_t *sessions, sr_error *error);

#endif
