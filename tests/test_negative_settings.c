/* What the keys of sampled negatives are when they are left out, and what is refused. */
#include "config_mistakes.h"
#include "read_settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { MOST_ASSIGNMENTS = 4, MOST_KNOWN = 6 }; /* ends with NULL */

/* What assignments make of settings that say nothing else. */
typedef struct {
    const char *assignments[MOST_ASSIGNMENTS];
    known_setting known[MOST_KNOWN];
} outcome;

static void check_outcomes(const outcome *outcomes, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        sr_settings settings, again;
        size_t given = 0;
        while (given < MOST_ASSIGNMENTS && outcomes[i].assignments[given])
            ++given;
        parse_settings(&settings, "data: {path: x}\n", outcomes[i].assignments, given);
        assert_settings(&settings, outcomes[i].known);
        /* What is written says everything, and means the same. */
        char *text = text_of_settings(&settings);
        parse_settings(&again, text, NULL, 0);
        assert_equal_settings(&settings, &again);
        free(text);
    }
}

static void losses_have_the_one_negative_that_they_had_until_more_is_said(void **state)
{
    (void)state;
    static const outcome outcomes[] = {
        {{"training.loss=bpr"},
         {{"training.negatives", "1"},
          {"training.negative_sharing", "target"},
          {"training.negative_sampling", "uniform"},
          {"training.target_hits", "redraw"},
          {"training.history_hits", "redraw_all"}}},
        {{"training.loss=binary_cross_entropy", "training.negative_sampling=popularity"},
         {{"training.negatives", "1"}, {"training.negative_sharing", "target"}, {"training.history_hits", "redraw_all"}}},
        {{"training.loss=bpr", "training.negatives=1"},
         {{"training.negatives", "1"},
          {"training.negative_sharing", "slice"},
          {"training.target_hits", "mask"},
          {"training.history_hits", "keep"}}},
        {{"training.loss=bpr", "training.negative_sharing=slice"},
         {{"training.negatives", "1"}, {"training.target_hits", "mask"}, {"training.history_hits", "keep"}}},
        {{"training.loss=bpr", "training.target_hits=keep"},
         {{"training.negative_sharing", "target"}, {"training.target_hits", "keep"}, {"training.history_hits", "keep"}}},
    };
    check_outcomes(outcomes, sizeof outcomes / sizeof *outcomes);
}

static void losses_of_lists_have_256_negatives_a_slice(void **state)
{
    (void)state;
    static const outcome outcomes[] = {
        {{"training.loss=sampled_softmax"},
         {{"training.negatives", "256"},
          {"training.negative_sharing", "slice"},
          {"training.negative_slice", "32"},
          {"training.target_hits", "mask"},
          {"training.history_hits", "keep"}}},
        {{"training.loss=gbce", "training.negative_sharing=target", "training.history_hits=redraw"},
         {{"training.negatives", "256"}, {"training.target_hits", "redraw"}, {"training.history_hits", "redraw"}}},
        {{"training.loss=sampled_softmax", "training.negatives=0", "training.negative_sampling=batch"},
         {{"training.negatives", "0"}, {"training.negative_sharing", "batch"}, {"training.target_hits", "mask"}}},
        {{"training.loss=bpr", "training.negatives=100", "training.history_hits=mask"},
         {{"training.negative_sharing", "slice"}, {"training.target_hits", "mask"}, {"training.history_hits", "mask"}}},
    };
    check_outcomes(outcomes, sizeof outcomes / sizeof *outcomes);
}

#define SOFTMAX PATH "training: {loss: sampled_softmax}\n"

static void negatives_that_cannot_be_sampled_are_refused(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {SOFTMAX, "training.negatives=0", {"negatives is 0 (--set)", "negative_sampling is uniform (default)", "at least 1"}},
        {PATH "training: {loss: sampled_softmax, negatives: 0, negative_sampling: batch}\n",
         "training.negative_sharing=slice",
         {"negatives is 0 (line 2)", "negative_sharing is slice (--set)", "one list"}},
        {SOFTMAX, "training.target_hits=redraw", {"target_hits is redraw (--set)", "negative_sharing is slice (default)"}},
        {SOFTMAX, "training.history_hits=redraw", {"history_hits is redraw (--set)", "negative_sharing is slice (default)"}},
        {SOFTMAX, "training.history_hits=redraw_all", {"history_hits is redraw_all (--set)", "belong to many examples"}},
        {PATH "training: {loss: sampled_softmax, target_hits: keep}\n",
         "training.negative_sampling=batch",
         {"target_hits is keep (line 2)", "negative_sampling is batch (--set)", "use mask"}},
        {PATH "training: {loss: sampled_softmax, target_hits: keep}\n",
         "training.history_hits=mask",
         {"history_hits is mask (--set)", "target_hits is keep (line 2)", "both must say the same"}},
        {SOFTMAX, "training.negatives=100001", {"allowed is a whole number in digits from 0 to 100000"}},
        {SOFTMAX, "training.popularity_exponent=1", {"negative_sampling uniform has no use for it", "popularity"}},
        {SOFTMAX, "training.batch_share=0.1", {"negative_sampling uniform has no use for it", "mixed"}},
        {PATH "training: {loss: sampled_softmax, negative_sharing: batch}\n",
         "training.negative_slice=8",
         {"negative_sharing batch has no use for it", "slice"}},
        {PATH "model: {backbone: stosa}\ntraining: {loss: stosa}\n",
         "training.negatives=2",
         {"loss stosa has no use for it", "bpr, binary_cross_entropy, sampled_softmax, gbce"}},
        {PATH, "training.negatives=2", {"loss cross_entropy has no use for it"}},
        {SOFTMAX "model: {backbone: bert4rec}\n", "training.negative_sampling=mixed", {"bert4rec", "masked items"}},
    };
    EXPECT_REFUSALS(mistakes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_have_the_one_negative_that_they_had_until_more_is_said),
        cmocka_unit_test(losses_of_lists_have_256_negatives_a_slice),
        cmocka_unit_test(negatives_that_cannot_be_sampled_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
