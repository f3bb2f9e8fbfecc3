/* Models over windows so long that attention holds no maps: they compute what they compute with maps, which a trace asks for.
 */
#include "cpu_level.h"
#include "srtrain/model.h"
#include "srtrain/operations.h"
#include "srtrain/settings.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

enum { ITEMS = 30, LENGTH = 400, EXAMPLES = 3 };

static int32_t items[EXAMPLES][LENGTH], targets[EXAMPLES][LENGTH];

static void draw_items(void)
{
    const sr_random_stream stream = sr_random_open(1, SR_RANDOM_TEST, 8);
    for (size_t e = 0; e < EXAMPLES; ++e)
        for (size_t i = 0; i < LENGTH; ++i) {
            items[e][i] = 1 + (int32_t)sr_random_below(stream, e * LENGTH + i, 0, ITEMS);
            targets[e][i] = 1 + (items[e][i] + 1) % ITEMS;
        }
}

static sr_model *model_of(sr_settings *settings, const char *option, const char *objective)
{
    const char *const assignments[] = {"data.path=none",
                                       "model.hidden_size=8",
                                       "model.inner_size=8",
                                       "model.heads=2",
                                       "model.max_length=400",
                                       "model.initializer_range=0.5",
                                       "model.attention_dropout=0.3",
                                       objective,
                                       option};
    sr_model *model;
    sr_error error = {.message = ""};
    if (sr_settings_parse(settings, "data:\n", "test", assignments, sizeof assignments / sizeof *assignments, &error) != SR_OK)
        fail_msg("%s", error.message);
    assert_int_equal(sr_model_create(&model, &settings->model, ITEMS, 0, &error), SR_OK);
    sr_parameters_draw(sr_model_parameters(model), 3);
    return model;
}

/* The largest difference of representations with and without maps, and how much memory each takes. */
static double largest_difference(const char *option, const char *objective, size_t memory[2])
{
    static const size_t lengths[EXAMPLES] = {LENGTH, 300, 20};
    sr_settings settings;
    sr_model *model = model_of(&settings, option, objective);
    sr_arena *arena;
    sr_tape *tapes[2];
    sr_batch batch;
    sr_example examples[EXAMPLES];
    sr_trace trace = {.layers = 0};
    sr_encoding found[2];
    draw_items();
    for (size_t e = 0; e < EXAMPLES; ++e)
        examples[e] = (sr_example){.items = items[e], .targets = targets[e], .length = lengths[e], .identity = e};
    assert_int_equal(sr_arena_create(&arena, 1 << 16, NULL), SR_OK);
    assert_int_equal(sr_batch_build(&batch, arena, &settings.model, settings.model.objective, true, examples, EXAMPLES, NULL),
                     SR_OK);
    for (size_t traced = 0; traced < 2; ++traced) {
        const sr_pass pass = {.training = true, .seed = 3, .step = 4, .trace = traced ? &trace : NULL};
        assert_int_equal(sr_tape_create(&tapes[traced], tested_kernels(), true, NULL), SR_OK);
        sr_model_encode(model, tapes[traced], &batch, &pass, &found[traced]);
        assert_int_equal(sr_tape_status(tapes[traced], NULL), SR_OK);
        memory[traced] = sr_tape_memory(tapes[traced]);
    }
    const sr_tensor *without = found[0].representation, *with = found[1].representation;
    double largest = 0;
    for (size_t i = 0; i < with->rows * with->columns; ++i)
        largest = fmax(largest, fabs((double)with->values[i] - (double)without->values[i]));
    for (size_t traced = 0; traced < 2; ++traced)
        sr_tape_free(tapes[traced]);
    sr_arena_free(arena);
    sr_model_free(model);
    return largest;
}

static void long_sequences_are_encoded_the_same_without_maps(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"model.backbone=sasrec", "training.objective=all"},    {"model.backbone=sasrec", "training.objective=last"},
        {"model.padding=left", "training.objective=all"},       {"model.backbone=bert4rec", "training.objective=all"},
        {"model.backbone=bert4rec", "training.objective=last"}, {"calibrators.frequency.cutoff=3", "training.objective=last"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        size_t memory[2];
        const double difference = largest_difference(cases[i][0], cases[i][1], memory);
        if (!(difference <= 1e-11))
            fail_msg("%s, %s: representations differ by %g", cases[i][0], cases[i][1], difference);
        assert_true(2 * memory[0] < memory[1]);
    }
}

/* Where somebody looks at the maps they are there, and memory is that of a trace but for what that alone keeps. */
static void calibrators_of_maps_find_them_in_long_sequences(void **state)
{
    (void)state;
    size_t memory[2];
    assert_true(largest_difference("calibrators.spatial.order=true", "training.objective=all", memory) <= 1e-11);
    assert_true(2 * memory[0] > memory[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_sequences_are_encoded_the_same_without_maps),
        cmocka_unit_test(calibrators_of_maps_find_them_in_long_sequences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
