/* Settings that survive being written and read; help and documentation. */
#include "config/schema.h"
#include "read_settings.h"
#include "srtrain/random.h"
#include "step/optimizer_row.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const sr_random_stream *stream(void)
{
    static sr_random_stream made;
    made = sr_random_open(7, SR_RANDOM_TEST, 0);
    return &made;
}

/* ---- random settings ---- */

static uint64_t draw(uint64_t trial, size_t row, uint64_t bound)
{
    return sr_random_below(*stream(), trial, row, bound);
}

static void draw_integer(const sr_key *key, uint64_t trial, size_t index, char *text, size_t size)
{
    const uint64_t range = (uint64_t)(key->maximum - key->minimum) + 1;
    snprintf(text, size, "%lld", (long long)key->minimum + (long long)draw(trial, index, range));
}

/* A number of the key's range with all its digits, of any magnitude. */
static void draw_number(const sr_key *key, uint64_t trial, size_t index, char *text, size_t size)
{
    const double share = sr_random_uniform(*stream(), trial, index);
    const double scale = 1.0 / (double)((uint64_t)1 << draw(trial, index + 1000, 40));
    snprintf(text, size, "%.17g", key->minimum + (key->maximum - key->minimum) * scale * (1 - share));
}

static void draw_text(uint64_t trial, size_t index, char *text, size_t size)
{
    static const char *const pieces[] = {"/",    "a",        "\"", "\\", " ", "#",  ": ", "\n",  "\t",
                                         "\x01", "\xC3\xA9", "'",  "{",  "]", "12", "~",  "\x7F"};
    text[0] = '\0';
    const size_t length = 1 + draw(trial, index, 20);
    for (size_t i = 0; i < length; ++i)
        strncat(text, pieces[draw(trial, index + 100 * (i + 1), sizeof pieces / sizeof *pieces)], size - strlen(text) - 1);
}

static void draw_key(const sr_schema_key *row, uint64_t trial, size_t index, sr_settings *settings)
{
    const sr_key *key = row->key;
    char text[128] = "";
    size_t choices = 0;
    if (key->type == SR_KEY_INTEGER_LIST || strcmp(key->name, "metric") == 0)
        return; /* drawn together by draw_top_k() */
    while (schema_choice_at(key, choices).name)
        ++choices;
    if (key->type == SR_KEY_BOOLEAN)
        snprintf(text, sizeof text, "%s", draw(trial, index, 2) ? "true" : "false");
    else if (key->type == SR_KEY_CHOICE)
        snprintf(text, sizeof text, "%s", schema_choice_at(key, draw(trial, index, choices)).name);
    else if (key->type == SR_KEY_INTEGER)
        draw_integer(key, trial, index, text, sizeof text);
    else if (key->type == SR_KEY_NUMBER)
        draw_number(key, trial, index, text, sizeof text);
    else
        draw_text(trial, index, text, sizeof text);
    const char *const values[] = {text};
    if (!schema_assign(row, settings, values, 1))
        fail_msg("%s.%s refuses %s", key->section, key->name, text);
}

static void draw_top_k(uint64_t trial, sr_settings *settings)
{
    sr_evaluation_settings *evaluation = &settings->evaluation;
    evaluation->top_k_count = 1 + draw(trial, 5000, SR_TOP_K_MAXIMUM);
    for (size_t k = 0; k < evaluation->top_k_count; ++k)
        evaluation->top_k[k] = (k ? evaluation->top_k[k - 1] : 0) + 1 + (int64_t)draw(trial, 5001 + k, 60);
    snprintf(settings->training.early_stopping.metric, SR_NAME_SIZE, "ndcg@%lld",
             (long long)evaluation->top_k[draw(trial, 6000, evaluation->top_k_count)]);
}

/* What rules ask of the learning rate: one kind of warm-up, and a batch that it was chosen for where it follows the batch. */
static void settle_learning_rate(uint64_t trial, sr_training_settings *training)
{
    if (draw(trial, 7006, 2) == 0)
        training->warmup_steps = 0;
    else
        training->warmup_epochs = 0;
    training->base_batch_size = training->batch_scaling == SR_BATCH_SCALING_NONE ? 0 : training->batch_size;
}

/* Some backbone, some calibrators, and random values of every key that these have; what the most common rules ask for is seen
 * to, so that many of them break no rule. */
static void draw_settings(const sr_schema *schema, uint64_t trial, sr_settings *settings)
{
    const sr_schema_key *backbone = schema_find(schema, "model", "backbone");
    sr_model_settings *model = &settings->model;
    sr_settings_default(settings);
    draw_key(backbone, trial, (size_t)(backbone - schema->keys), settings);
    for (size_t i = 0; i < schema->section_count; ++i)
        if (draw(trial, 7100 + i, 3) == 0 && schema_section_in_scope(&schema->sections[i], settings))
            schema_use_section(&schema->sections[i], settings);
    for (size_t i = 0; i < schema->key_count; ++i)
        if (schema_applies(schema, &schema->keys[i], settings))
            draw_key(&schema->keys[i], trial, i, settings);
    draw_top_k(trial, settings);
    snprintf(settings->evaluation.candidates, SR_NAME_SIZE, "popularity:%zu", 1 + draw(trial, 7004, 10000));
    model->hidden_size = model->heads * (2 + (int64_t)draw(trial, 7000, 100));
    model->objective = draw(trial, 7001, 4) == 0 ? SR_OBJECTIVE_ALL : SR_OBJECTIVE_LAST;
    if (draw(trial, 7002, 3) > 0) { /* what goes with every way of sharing and sampling negatives */
        model->negatives.target_hits = SR_HITS_MASK;
        model->negatives.history_hits = draw(trial, 7003, 2) ? SR_HITS_KEEP : SR_HITS_MASK;
        model->negatives.count += model->negatives.count == 0;
    }
    if (draw(trial, 7005, 4) > 0)
        settings->training.micro_batch = 0;
    settle_learning_rate(trial, &settings->training);
    if (model->encoder.norm != SR_NORM_PRE)
        model->encoder.residual = SR_RESIDUAL_PLAIN;
    if (model->encoder.item_vectors == SR_ITEM_VECTORS_DRAWN)
        snprintf(settings->data.item_vectors, sizeof settings->data.item_vectors, "none");
    if (draw(trial, 7006, 4) > 0)
        model->encoder.item_width = 0;
    settings->training.weight_decay_kind = optimizer_of(&settings->training)->decay;
    settings->training.weight_decay /= 16;
    if (!optimizer_of(&settings->training)->late)
        settings->training.item_updates = SR_ITEM_UPDATES_EVERY_STEP;
    if (model->item_table != SR_ITEM_TABLE_DIVIDED && draw(trial, 7004, 4) > 0)
        settings->training.row_precision = SR_PRECISION_FP32;
}

static bool breaks_a_rule(const sr_schema *schema, const sr_settings *settings)
{
    for (size_t i = 0; i < schema->rule_count; ++i)
        if (schema_breaks(&schema->rules[i], settings))
            return true;
    return false;
}

/* Field by field, so that what the writer loses cannot hide in equal texts. */
static void assert_same_fields(const sr_schema *schema, const sr_settings *left, const sr_settings *right)
{
    static const size_t sizes[] = {[SR_KEY_BOOLEAN] = sizeof(bool),
                                   [SR_KEY_INTEGER] = sizeof(int64_t),
                                   [SR_KEY_NUMBER] = sizeof(double),
                                   [SR_KEY_CHOICE] = sizeof(int)};
    for (size_t i = 0; i < schema->key_count; ++i) {
        const sr_schema_key *row = &schema->keys[i];
        const char *a = (const char *)left + row->at, *b = (const char *)right + row->at;
        if (!schema_applies(schema, row, left) || row->key->type == SR_KEY_INTEGER_LIST)
            continue;
        if (row->key->type == SR_KEY_TEXT)
            assert_string_equal(a, b);
        else
            assert_memory_equal(a, b, sizes[row->key->type]);
    }
    for (size_t i = 0; i < schema->section_count; ++i)
        assert_int_equal(schema_section_in_use(&schema->sections[i], left), schema_section_in_use(&schema->sections[i], right));
    assert_int_equal(left->evaluation.top_k_count, right->evaluation.top_k_count);
    assert_memory_equal(left->evaluation.top_k, right->evaluation.top_k, left->evaluation.top_k_count * sizeof(int64_t));
}

static void written_settings_read_back_to_the_bit(void **state)
{
    (void)state;
    enum { TRIALS = 2500, LEAST = 150 };
    size_t compared = 0;
    sr_schema schema;
    sr_settings_schema(&schema);
    for (uint64_t trial = 0; trial < TRIALS; ++trial) {
        sr_settings drawn, read;
        draw_settings(&schema, trial, &drawn);
        char *text = text_of_settings(&drawn);
        sr_error error = {0};
        const sr_status status = sr_settings_parse(&read, text, "test.yaml", NULL, 0, &error);
        if (breaks_a_rule(&schema, &drawn)) {
            assert_int_equal(status, SR_ERROR_USAGE);
        } else {
            if (status != SR_OK)
                fail_msg("%s", error.message);
            assert_same_fields(&schema, &drawn, &read);
            ++compared;
        }
        free(text);
    }
    if (compared < LEAST)
        fail_msg("only %zu of %d drawn settings break no rule", compared, TRIALS);
}

static void append_difference(void *context, const char *key, const char *left, const char *right)
{
    char *text = context;
    snprintf(text + strlen(text), 1024 - strlen(text), "%s %s %s\n", key, left, right);
}

static void what_differs_is_told_key_by_key(void **state)
{
    (void)state;
    static const char *const changes[] = {"data.path=b",
                                          "model.backbone=tisasrec",
                                          "model.time_span=8",
                                          "calibrators.spatial.order=true",
                                          "training.learning_rate=0.5",
                                          "evaluation.top_k=[1, 10]"};
    sr_settings left, right;
    char text[1024] = "";
    parse_settings(&left, "data: {path: a}\n", NULL, 0);
    sr_settings_compare(&left, &left, append_difference, text);
    assert_string_equal(text, "");
    parse_settings(&right, "data: {path: a}\n", changes, sizeof changes / sizeof *changes);
    sr_settings_compare(&left, &right, append_difference, text);
    assert_string_equal(text, "data.path \"a\" \"b\"\n"
                              "model.backbone sasrec tisasrec\n"
                              "model.positions learned none\n"
                              "model.time_unit (none) 1\n"
                              "model.time_span (none) 8\n"
                              "calibrators.spatial (not in use) (in use)\n"
                              "training.learning_rate 0.001 0.5\n"
                              "evaluation.top_k [1, 3, 5, 10, 20, 50] [1, 10]\n");
}

/* What may change when a run goes on is copied, and nothing else. */
static void free_settings_are_copied_and_no_others(void **state)
{
    (void)state;
    sr_schema schema;
    sr_settings_schema(&schema);
    for (uint64_t trial = 0; trial < 50; ++trial) {
        sr_settings from, to, before;
        draw_settings(&schema, 2 * trial, &from);
        draw_settings(&schema, 2 * trial + 1, &to);
        before = to;
        sr_settings_copy_free(&to, &from);
        for (size_t i = 0; i < schema.key_count; ++i) {
            const sr_schema_key *row = &schema.keys[i];
            const sr_section *section = schema_find_section(&schema, row->key->section);
            char found[SCHEMA_VALUE_SIZE], wanted[SCHEMA_VALUE_SIZE];
            schema_format(row, &to, found, sizeof found);
            schema_format(row, section->free_to_change || row->key->free_to_change ? &from : &before, wanted, sizeof wanted);
            assert_string_equal(found, wanted);
        }
    }
}

/* ---- writing ---- */

static void only_keys_with_a_meaning_are_written(void **state)
{
    (void)state;
    static const struct {
        const char *text, *written[3], *missing[4];
    } cases[] = {
        {"model: {backbone: sasrec}",
         {"  positions: learned\n", "\ncalibrators: {}\ntraining:\n", "  initializer_mean: 0\n"},
         {"mask_ratio", "user_hidden_size", "contrastive", "attack_learning_rate_ratio"}},
        {"training: {contrastive: {}}",
         {"\n  contrastive:\n    weight: 0.1\n    temperature: 1\n"},
         {"adversarial", "time_span"}},
        {"model: {backbone: ssept}", {"  user_hidden_size: 32\n"}, {"mean_update", "pvn_weight", "stosa"}},
        {"model: {backbone: stosa}\ntraining: {loss: stosa}",
         {"  mean_update: frozen\n", "  loss: stosa\n", "  pvn_weight: 0.005\n"},
         {"mask_ratio", "user_hidden_size", "time_span", "refinement"}},
        {"model: {backbone: gru4rec}",
         {"  gru_hidden_size: 64\n", "  hidden_dropout: 0.5\n", "  padding: right\n"},
         {"heads", "inner_size", "attention_dropout", "positions"}},
        {"model: {backbone: gru4rec}", {"  layers: 2\n"}, {"activation", "layer_norm_epsilon", "frobenius_penalty"}},
        {"model: {backbone: caser}",
         {"  vertical_filters: 4\n", "  horizontal_filters: 8\n", "  frobenius_penalty: 0.0001\n"},
         {"layers", "heads", "gru_hidden_size", "activation"}},
        {"calibrators: {refinement: {}}",
         {"\ncalibrators:\n  refinement:\n    kind: simple\n    source: probabilities\n    rank: 0\n    per_head: false\n"},
         {"spatial", "adversarial", "{}"}},
        {"model: {backbone: bert4rec}",
         {"  mask_ratio: 0.2\n", "  masking: at_least_one\n"},
         {"user_hidden_size", "time_span"}},
        {"model: {backbone: ssept}",
         {"  user_hidden_size: 32\n", "  sse_user_probability: 0\n", "  sse_item_probability: 0\n"},
         {"mask_ratio", "masking", "time_unit"}},
        {"model: {backbone: tisasrec}",
         {"  positions: none\n", "  time_span: 256\n", "  time_unit: 1\n"},
         {"mask_ratio", "sse_user"}},
        {"calibrators: {spatial: {}}",
         {"\ncalibrators:\n  spatial:\n    order: true\n    distance: true\n"},
         {"adversarial", "combine", "attack_learning_rate_ratio", "{}"}},
        {"calibrators: {adversarial: {}}",
         {"\ncalibrators:\n  adversarial:\n    combine: gate\n", "  attack_learning_rate_ratio: 1\n"},
         {"spatial", "distance", "{}"}},
        {"model: {backbone: fearec}\ntraining: {contrastive: {}}",
         {"  global_ratio: 0.6\n  spatial_ratio: 0.1\n  topk_factor: 10\n", "    spectral_weight: 0.1\n"},
         {"mask_ratio"}},
        {"model: {backbone: fmlprec}", {"  padding: right\n"}, {"frequency", "mask_ratio"}},
        {"calibrators: {frequency: {}}",
         {"\ncalibrators:\n  frequency:\n    alpha: 0.7\n    cutoff: 5\n    window: padded\n"},
         {"spatial", "adversarial", "mask_ratio", "{}"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        sr_settings settings;
        char text[128];
        snprintf(text, sizeof text, "data: {path: x}\n%s\n", cases[i].text);
        parse_settings(&settings, text, NULL, 0);
        char *written = text_of_settings(&settings);
        for (size_t p = 0; p < 3 && cases[i].written[p]; ++p)
            if (!strstr(written, cases[i].written[p]))
                fail_msg("\"%s\" is missing in\n%s", cases[i].written[p], written);
        for (size_t p = 0; p < 4 && cases[i].missing[p]; ++p)
            if (strstr(written, cases[i].missing[p]))
                fail_msg("\"%s\" has no place in\n%s", cases[i].missing[p], written);
        free(written);
    }
}

static void the_longest_text_reads_back_however_it_is_escaped(void **state)
{
    (void)state;
    sr_settings drawn, read;
    sr_settings_default(&drawn);
    memset(drawn.data.path, '\x01', SR_PATH_SIZE - 1);
    char *text = text_of_settings(&drawn);
    parse_settings(&read, text, NULL, 0);
    assert_string_equal(read.data.path, drawn.data.path);
    free(text);
}

static void help_is_written_as_comments_that_change_nothing(void **state)
{
    (void)state;
    sr_settings settings, read;
    sr_error error = {0};
    char *text = NULL;
    size_t size;
    parse_settings(&settings,
                   "data: {path: x}\nmodel: {backbone: ssept}\ncalibrators: {spatial: {}, refinement: {}, adversarial: {}}\n",
                   NULL, 0);
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    assert_int_equal(sr_settings_write(&settings, file, true, &error), SR_OK);
    assert_int_equal(fclose(file), 0);
    assert_non_null(strstr(text, "one of cross_entropy, bpr, binary_cross_entropy"));
    sr_schema schema;
    sr_settings_schema(&schema);
    for (size_t i = 0; i < schema.key_count; ++i)
        if (schema_applies(&schema, &schema.keys[i], &settings))
            assert_non_null(strstr(text, schema.keys[i].key->help));
    parse_settings(&read, text, NULL, 0);
    assert_equal_settings(&settings, &read);
    free(text);
}

static void numbers_have_the_fewest_digits_and_a_point_before_an_exponent(void **state)
{
    (void)state;
    sr_settings settings;
    parse_settings(&settings, "data: {path: x}\ntraining: {learning_rate: 0.1, weight_decay: 3e-7, clip_norm: 1e5}\n", NULL, 0);
    char *text = text_of_settings(&settings);
    assert_non_null(strstr(text, "  learning_rate: 0.1\n"));
    assert_non_null(strstr(text, "  weight_decay: 3.0e-07\n"));
    assert_non_null(strstr(text, "  clip_norm: 100000\n"));
    assert_non_null(strstr(text, "  layer_norm_epsilon: 1.0e-12\n"));
    free(text);
}

static void a_full_disk_is_noticed(void **state)
{
    (void)state;
    sr_settings settings;
    sr_error error = {0};
    parse_settings(&settings, "data: {path: x}", NULL, 0);
    FILE *file = fopen("/dev/full", "w");
    assert_non_null(file);
    assert_int_equal(sr_settings_write(&settings, file, false, &error), SR_ERROR_RUNTIME);
    assert_non_null(strstr(error.message, "No space left"));
    fclose(file);
}

/* ---- documentation ---- */

static void the_description_names_every_key_and_choice(void **state)
{
    (void)state;
    sr_schema schema;
    sr_settings_schema(&schema);
    for (int markdown = 0; markdown < 2; ++markdown) {
        char *text = NULL;
        size_t size;
        sr_error error;
        FILE *file = open_memstream(&text, &size);
        assert_non_null(file);
        assert_int_equal(sr_settings_describe(file, markdown, &error), SR_OK);
        assert_int_equal(fclose(file), 0);
        for (size_t i = 0; i < schema.key_count; ++i) {
            assert_non_null(strstr(text, schema.keys[i].key->name));
            for (size_t c = 0; schema_choice_at(schema.keys[i].key, c).name; ++c)
                assert_non_null(strstr(text, schema_choice_at(schema.keys[i].key, c).name));
        }
        for (size_t i = 0; i < schema.section_count; ++i)
            assert_non_null(strstr(text, schema.sections[i].path));
        for (size_t i = 0; markdown && i < schema.rule_count; ++i)
            assert_non_null(strstr(text, schema.rules[i].rule->reason));
        static const char *const scopes[] = {"are scored, at least one; with backbone bert4rec only",
                                             "; with backbone ssept only",
                                             "; with backbone tisasrec only",
                                             "; with loss stosa only",
                                             "; with model.backbone caser only",
                                             "; with calibrators.adversarial only"};
        for (size_t i = 0; i < sizeof scopes / sizeof *scopes; ++i)
            if (!strstr(text, scopes[i]))
                fail_msg("\"%s\" is missing", scopes[i]);
        free(text);
    }
}

/* A "|" would end the cell of a Markdown table, a line end that and a comment. */
static void help_fits_into_a_line_of_a_table(void **state)
{
    (void)state;
    sr_schema schema;
    sr_settings_schema(&schema);
    for (size_t i = 0; i < schema.key_count; ++i) {
        const sr_key *key = schema.keys[i].key;
        assert_null(strpbrk(key->help, "|\n"));
        for (size_t c = 0; schema_choice_at(key, c).name; ++c)
            assert_true(!schema_choice_at(key, c).help || !strpbrk(schema_choice_at(key, c).help, "|\n"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_settings_read_back_to_the_bit),
        cmocka_unit_test(free_settings_are_copied_and_no_others),
        cmocka_unit_test(what_differs_is_told_key_by_key),
        cmocka_unit_test(only_keys_with_a_meaning_are_written),
        cmocka_unit_test(the_longest_text_reads_back_however_it_is_escaped),
        cmocka_unit_test(help_is_written_as_comments_that_change_nothing),
        cmocka_unit_test(numbers_have_the_fewest_digits_and_a_point_before_an_exponent),
        cmocka_unit_test(a_full_disk_is_noticed),
        cmocka_unit_test(the_description_names_every_key_and_choice),
        cmocka_unit_test(help_fits_into_a_line_of_a_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
