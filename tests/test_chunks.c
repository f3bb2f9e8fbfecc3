/* When a batch is encoded in chunks of whole sequences: where it is large, and nothing looks at all of it at once. */
#include "model/chunks.h"
#include "srtrain/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static sr_model *model_of(const char *option)
{
    const char *const assignments[] = {"data.path=none", option};
    sr_settings settings;
    sr_model *model;
    sr_error error = {.message = ""};
    if (sr_settings_parse(&settings, "data:\n", "test", assignments, 2, &error) != SR_OK)
        fail_msg("%s", error.message);
    assert_int_equal(sr_model_declare(&model, &settings.model, 20, 20, &error), SR_OK);
    return model;
}

/* Whether a batch of sequences of 3, 4 and 5 tokens is cut in chunks of `tokens`. */
static bool is_cut(const sr_model *model, sr_pass pass, size_t tokens)
{
    static const size_t offsets[] = {0, 3, 7, 12};
    const sr_batch batch = {.layout = {.sequences = 3, .offsets = offsets}};
    pass.chunk_tokens = tokens;
    return encodes_in_chunks(model, &batch, &pass);
}

static void a_batch_is_cut_where_it_is_larger_than_a_chunk(void **state)
{
    (void)state;
    sr_model *model = model_of("model.backbone=sasrec");
    const sr_pass pass = {.training = true};
    assert_false(is_cut(model, pass, 12));
    assert_true(is_cut(model, pass, 11));
    assert_true(is_cut(model, pass, 1));
    assert_false(is_cut(model, pass, 0)); /* that is the usual size, which holds more */
    static const size_t long_offsets[] = {0, 1000, 3000};
    sr_batch batch = {.layout = {.sequences = 2, .offsets = long_offsets}};
    assert_true(encodes_in_chunks(model, &batch, &pass));
    batch.layout.sequences = 1; /* no sequence is cut */
    const sr_pass smallest = {.chunk_tokens = 1};
    assert_false(encodes_in_chunks(model, &batch, &smallest));
    sr_model_free(model);
}

static void a_pass_that_needs_all_tokens_at_once_is_not_cut(void **state)
{
    (void)state;
    sr_model *model = model_of("model.backbone=sasrec");
    sr_trace *trace = (sr_trace *)&model; /* whichever: it is not looked at */
    sr_pass pass = {.trace = trace};
    assert_false(is_cut(model, pass, 1));
    pass = (sr_pass){.every_row = true};
    assert_false(is_cut(model, pass, 1));
    sr_model_free(model);
}

static void backbones_that_work_on_all_sequences_together_are_not_cut(void **state)
{
    (void)state;
    static const char *const together[] = {"model.backbone=fearec", "model.backbone=caser"};
    for (size_t i = 0; i < sizeof together / sizeof *together; ++i) {
        sr_model *model = model_of(together[i]);
        assert_false(is_cut(model, (sr_pass){.training = true}, 1));
        sr_model_free(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_is_cut_where_it_is_larger_than_a_chunk),
        cmocka_unit_test(a_pass_that_needs_all_tokens_at_once_is_not_cut),
        cmocka_unit_test(backbones_that_work_on_all_sequences_together_are_not_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
