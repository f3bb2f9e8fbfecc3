/* States of histories: what the model makes of each user, round by round over all ranks. */
#include "srtrain/evaluate.h"

#include "evaluate/scorer.h"
#include "evaluate/user_rounds.h"
#include "srtrain/memory.h"

#include <stdlib.h>
#include <string.h>

enum { UNIT_USERS = 256, ROUND_UNITS = 4 }; /* users encoded together, and so many times that between two gathers */

typedef struct {
    scorer scorer;
    user_rounds rounds;
    scored_history *histories; /* [UNIT_USERS] */
    sr_real *states;           /* [room, width]: of this rank's users */
    size_t room;
} user_encoder;

/* The states of this rank's users. */
static sr_status encode_part(user_encoder *e, sr_error *error)
{
    const size_t width = e->scorer.width;
    size_t user = 0, item = 0;
    SR_TRY(SR_GROW(&e->states, &e->room, e->rounds.part_users * width, "states of users", error));
    while (user < e->rounds.part_users) {
        const size_t count = user_rounds_unit(&e->rounds, user, item, e->histories);
        SR_TRY(scorer_encode(&e->scorer, e->histories, count, SR_OK, error));
        memcpy(e->states + user * width, e->scorer.representations, count * width * sizeof *e->states);
        for (size_t i = 0; i < count; ++i)
            item += e->histories[i].length;
        user += count;
    }
    return SR_OK;
}

static sr_status emit_round(const user_encoder *e, const sr_real *gathered, sr_state_function emit, void *context,
                            sr_error *error)
{
    for (size_t user = 0; user < user_rounds_users(&e->rounds); ++user) {
        size_t length;
        const char *name = user_rounds_name(&e->rounds, user, &length);
        SR_TRY(emit(context, name, length, gathered + user * e->scorer.width, e->scorer.width, error));
    }
    return SR_OK;
}

static sr_status encode_rounds(user_encoder *e, sr_parallel *parallel, sr_state_function emit, void *context, sr_error *error)
{
    for (bool more = true;;) {
        void *gathered;
        size_t *offsets;
        SR_TRY(user_rounds_next(&e->rounds, &more, error));
        if (!more)
            return SR_OK;
        SR_TRY(sr_parallel_agree(parallel, encode_part(e, error), error));
        SR_TRY(sr_parallel_gather(parallel, e->states, e->rounds.part_users * e->scorer.width * sizeof *e->states, &gathered,
                                  &offsets, error));
        const sr_status status = gathered ? emit_round(e, gathered, emit, context, error) : SR_OK;
        free(gathered);
        free(offsets);
        SR_TRY(sr_parallel_agree(parallel, status, error));
    }
}

static sr_status prepare(user_encoder *e, sr_parallel *parallel, sr_model *model, const sr_user_source *source,
                         const sr_kernels *kernels, sr_error *error)
{
    SR_TRY(sr_recommend_check(sr_model_configuration(model), source, error));
    SR_TRY(scorer_create(&e->scorer, &(score_source){.model = model}, NULL, parallel, kernels, error));
    if (e->scorer.divided)
        return sr_fail(error, SR_ERROR_USAGE, "states are computed by ranks that have all items each");
    return SR_ALLOCATE(&e->histories, UNIT_USERS, "histories", error);
}

sr_status sr_encode_users(sr_parallel *parallel, sr_model *model, const sr_user_source *source, const sr_kernels *kernels,
                          sr_state_function emit, void *context, sr_error *error)
{
    user_encoder e = {.states = NULL};
    const bool with_times = sr_model_needs_of(sr_model_configuration(model), false).times;
    sr_status status = sr_parallel_agree(parallel, prepare(&e, parallel, model, source, kernels, error), error);
    if (status == SR_OK)
        status = user_rounds_create(&e.rounds, parallel, source, with_times, UNIT_USERS, ROUND_UNITS, error);
    if (status == SR_OK)
        status = encode_rounds(&e, parallel, emit, context, error);
    user_rounds_free(&e.rounds);
    free(e.states);
    free(e.histories);
    scorer_free(&e.scorer);
    return status;
}
