/* Two calibrators that both make the weights of attention: each works, and a model with both is refused.
 *
 * The library's list of calibrators has one row more here (tests/adding.cmake). */
#include "model/calibrator.h"
#include "srtrain/batch.h"
#include "srtrain/settings.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { ITEMS = 9, LENGTH = 4, WIDTH = 8 };

/* ---- a calibrator: the share of the strongest weights grows ---- */

extern const calibrator sharpening_calibrator;

typedef struct {
    double power;
} sharpening_settings;

static const sr_key keys[] = {
    SR_NUMBER("calibrators.sharpening", "power", sharpening_settings, power, 1, 10, "2", "of the weights", .above = true),
};

static sr_status declare_nothing(sr_model *model, size_t layer, sr_error *error)
{
    (void)model;
    (void)layer;
    (void)error;
    return SR_OK;
}

/* softmax(power scores) is the weights to that power, divided by their sum. */
static void calibrate_probabilities(attention_block *block)
{
    const sharpening_settings *settings = component_settings(&block->model->settings, &sharpening_calibrator.component);
    sr_tensor *scores = sr_weighted_add(block->tape, block->scores, settings->power, block->scores, 0);
    block->probabilities = attention_of_queries(block, sr_attention_softmax(block->tape, scores, block->score_map));
}

const calibrator sharpening_calibrator = {
    .component = {.name = "sharpening",
                  .help = "a power of the weights",
                  SR_KEYS(keys),
                  .settings_size = sizeof(sharpening_settings)},
    .declare_parameters = declare_nothing,
    .calibrate_probabilities = calibrate_probabilities,
};

/* ---- models ---- */

static sr_status create(sr_model **model, sr_settings *settings, const char *const *calibrations, sr_error *error)
{
    const char *assignments[8] = {"model.hidden_size=8", "model.inner_size=8", "model.max_length=4",
                                  "model.initializer_range=0.4"};
    size_t count = 4;
    for (; *calibrations; ++calibrations)
        assignments[count++] = *calibrations;
    assert_int_equal(sr_settings_parse(settings, "data: {path: none}\n", "test", assignments, count, NULL), SR_OK);
    return sr_model_create(model, &settings->model, ITEMS, 1, error);
}

/* The state behind the last item of one sequence. */
static void encode(const char *const *calibrations, sr_real state[WIDTH])
{
    static const int32_t items[LENGTH] = {3, 1, 4, 2}, target = 1;
    const sr_example example = {.items = items, .length = LENGTH, .identity = 1, .targets = &target};
    const sr_pass pass = {.training = false};
    sr_settings settings;
    sr_model *model;
    sr_arena *arena;
    sr_tape *tape;
    sr_batch batch;
    sr_encoding encoding;
    assert_int_equal(create(&model, &settings, calibrations, NULL), SR_OK);
    sr_parameters_draw(sr_model_parameters(model), 5);
    assert_int_equal(sr_arena_create(&arena, 1 << 16, NULL), SR_OK);
    assert_int_equal(sr_tape_create(&tape, sr_kernels_choose(NULL), true, NULL), SR_OK);
    assert_int_equal(sr_batch_build(&batch, arena, &settings.model, SR_OBJECTIVE_LAST, false, &example, 1, NULL), SR_OK);
    sr_model_encode(model, tape, &batch, &pass, &encoding);
    assert_int_equal(encoding.representation->rows, 1);
    memcpy(state, encoding.representation->values, WIDTH * sizeof *state);
    sr_model_free(model);
    sr_tape_free(tape);
    sr_arena_free(arena);
}

static void each_works_by_itself_and_beside_others(void **state)
{
    static const char *const chosen[][3] = {{NULL},
                                            {"calibrators.sharpening.power=3"},
                                            {"calibrators.refinement.kind=additive"},
                                            {"calibrators.sharpening.power=3", "calibrators.spatial.order=true"},
                                            {"calibrators.refinement.kind=additive", "calibrators.spatial.order=true"}};
    enum { CHOSEN = sizeof chosen / sizeof *chosen };
    sr_real states[CHOSEN][WIDTH];
    (void)state;
    for (size_t i = 0; i < CHOSEN; ++i) {
        encode(chosen[i], states[i]);
        for (size_t j = 0; j < WIDTH; ++j)
            assert_true(isfinite(states[i][j]));
        for (size_t other = 0; other < i; ++other)
            assert_memory_not_equal(states[i], states[other], sizeof states[i]);
    }
}

static void a_model_with_both_is_refused(void **state)
{
    static const char *const both[] = {"calibrators.refinement.kind=additive", "calibrators.sharpening.power=3", NULL};
    sr_settings settings;
    sr_model *model;
    sr_model_size size;
    sr_error error = {.message = ""};
    (void)state;
    assert_int_equal(create(&model, &settings, both, &error), SR_ERROR_USAGE);
    assert_null(model);
    assert_non_null(strstr(error.message, "calibrators.refinement and calibrators.sharpening cannot be used together"));
    assert_non_null(strstr(error.message, "leave one of the two out"));
    assert_int_equal(sr_model_measure_size(&size, &settings.model, ITEMS, 1, NULL), SR_ERROR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_works_by_itself_and_beside_others),
                                       cmocka_unit_test(a_model_with_both_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
