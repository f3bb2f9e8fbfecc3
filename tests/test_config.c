/* Defaults, overrides, and settings that survive being written and read; the configurations that come with srtrain. */
#include "config/schema.h"
#include "srtrain/random.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static const sr_random_stream *stream(void)
{
    static sr_random_stream made;
    made = sr_random_open(7, SR_RANDOM_TEST, 0);
    return &made;
}

static void parse(sr_settings *settings, const char *text, const char *const *assignments, size_t count)
{
    sr_error error = {0};
    if (sr_settings_parse(settings, text, "test.yaml", assignments, count, &error) != SR_OK)
        fail_msg("%s", error.message);
}

static char *text_of(const sr_settings *settings)
{
    char *text;
    sr_error error;
    assert_int_equal(sr_settings_text(settings, &text, &error), SR_OK);
    return text;
}

/* Padding between fields and list elements that are not in use have no meaning: compare what is written. */
static void assert_equal_settings(const sr_settings *left, const sr_settings *right)
{
    char *left_text = text_of(left), *right_text = text_of(right);
    assert_string_equal(left_text, right_text);
    free(left_text);
    free(right_text);
}

/* ---- defaults ---- */

static void defaults_are_the_documented_ones(void **state)
{
    (void)state;
    sr_settings s;
    sr_settings_default(&s);
    assert_string_equal(s.data.path, "");
    assert_int_equal(s.data.samples, SR_SAMPLES_SLIDING);
    assert_true(s.data.verify);
    assert_int_equal(s.model.layers, 2);
    assert_int_equal(s.model.hidden_size, 64);
    assert_int_equal(s.model.inner_size, 256);
    assert_int_equal(s.model.max_length, 50);
    assert_int_equal(s.model.activation, SR_ACTIVATION_GELU);
    assert_true(s.model.hidden_dropout == 0.5 && s.model.attention_dropout == 0.5);
    assert_true(s.model.layer_norm_epsilon == 1e-12 && s.model.initializer_range == 0.02);
    assert_int_equal(s.training.epochs, 200);
    assert_int_equal(s.training.batch_size, 256);
    assert_true(s.training.learning_rate == 1e-3 && s.training.adam_epsilon == 1e-8);
    assert_true(s.training.adam_beta1 == 0.9 && s.training.adam_beta2 == 0.999);
    assert_int_equal(s.training.seed, 42);
    assert_string_equal(s.training.early_stopping.metric, "ndcg@10");
    assert_int_equal(s.training.early_stopping.patience, 10);
    static const int64_t top_k[] = {1, 3, 5, 10, 20, 50};
    assert_int_equal(s.evaluation.top_k_count, sizeof top_k / sizeof *top_k);
    assert_memory_equal(s.evaluation.top_k, top_k, sizeof top_k);
    assert_int_equal(s.evaluation.history, SR_HISTORY_KEEP);
    assert_int_equal(s.checkpoint.keep, 2);
    assert_int_equal(s.logging.every_steps, 50);
}

static void every_default_is_a_value_that_its_row_allows(void **state)
{
    (void)state;
    sr_settings settings;
    sr_settings_default(&settings);
    for (size_t i = 0; i < schema_row_count; ++i) {
        const schema_row *row = &schema_rows[i];
        if (!row->standard)
            continue;
        char value[SCHEMA_VALUE_SIZE], quoted[64];
        schema_format(row, &settings, value, sizeof value);
        snprintf(quoted, sizeof quoted, row->type == SCHEMA_TEXT ? "\"%s\"" : "%s", row->standard);
        if (strcmp(value, quoted) != 0)
            fail_msg("the default of %s.%s is %s, but reads as %s", row->section, row->key, row->standard, value);
    }
}

static void every_row_stands_in_a_section_and_no_two_are_alike(void **state)
{
    (void)state;
    for (size_t i = 0; i < schema_row_count; ++i) {
        assert_true(schema_has_section(schema_rows[i].section));
        assert_ptr_equal(schema_find(schema_rows[i].section, schema_rows[i].key), &schema_rows[i]);
    }
}

static void an_empty_section_and_an_empty_map_keep_the_defaults(void **state)
{
    (void)state;
    sr_settings settings, wanted;
    parse(&settings, "# nothing but the path\ndata: {path: x}\nmodel:\ncalibrators: {}\ntraining: {}\n", NULL, 0);
    sr_settings_default(&wanted);
    strcpy(wanted.data.path, "x");
    assert_equal_settings(&settings, &wanted);
}

/* ---- reading ---- */

static void every_type_of_value_is_read(void **state)
{
    (void)state;
    sr_settings s;
    parse(&s,
          "data: {path: 'a b/c: d', samples: window, verify: false}\n"
          "model:\n  activation: \"relu\"\n  hidden_dropout: 0\n  layer_norm_epsilon: 1e-6\n"
          "training:\n  learning_rate: 5.0e-4\n  clip_norm: 256\n  weight_decay: .5\n  seed: 9007199254740992\n"
          "  early_stopping:\n    metric: hr@7\n"
          "evaluation:\n  top_k:\n    - 2\n    - 7\n",
          NULL, 0);
    assert_string_equal(s.data.path, "a b/c: d");
    assert_int_equal(s.data.samples, SR_SAMPLES_WINDOW);
    assert_false(s.data.verify);
    assert_int_equal(s.model.activation, SR_ACTIVATION_RELU);
    assert_true(s.model.hidden_dropout == 0 && s.model.layer_norm_epsilon == 1e-6);
    assert_true(s.training.learning_rate == 5e-4 && s.training.clip_norm == 256 && s.training.weight_decay == 0.5);
    assert_true(s.training.seed == (int64_t)1 << 53);
    assert_string_equal(s.training.early_stopping.metric, "hr@7");
    assert_int_equal(s.evaluation.top_k_count, 2);
    assert_int_equal(s.evaluation.top_k[1], 7);
}

static void line_ends_of_other_systems_and_a_byte_order_mark_are_read(void **state)
{
    (void)state;
    sr_settings s;
    parse(&s,
          "\xEF\xBB\xBF"
          "data:\r\n  path: d\xC3\xA9j\xC3\xA0\r\nmodel:\r\n  heads: 4\r\n",
          NULL, 0);
    assert_string_equal(s.data.path, "d\xC3\xA9j\xC3\xA0");
    assert_int_equal(s.model.heads, 4);
}

static void assignments_override_the_file_and_later_ones_earlier_ones(void **state)
{
    (void)state;
    const char *const assignments[] = {"data.path=other",         "training.epochs=5",
                                       "training.epochs=6",       "training.early_stopping.metric=mrr@4",
                                       "evaluation.top_k=[4, 8]", "model.heads=8"};
    sr_settings s;
    parse(&s, "data: {path: x}\ntraining: {epochs: 3}\nmodel: {heads: 3}\n", assignments,
          sizeof assignments / sizeof *assignments);
    assert_string_equal(s.data.path, "other");
    assert_int_equal(s.training.epochs, 6);
    assert_string_equal(s.training.early_stopping.metric, "mrr@4");
    assert_int_equal(s.evaluation.top_k_count, 2);
    assert_int_equal(s.model.heads, 8); /* 3 would not divide 64: combinations are checked after the assignments */
}

static void an_assignment_can_give_the_required_key(void **state)
{
    (void)state;
    const char *const assignments[] = {"data.path=x"};
    sr_settings s;
    parse(&s, "", assignments, 1);
    assert_string_equal(s.data.path, "x");
}

static void the_run_is_named_after_the_file(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"configs/synth.yaml", "synth"}, {"a.b.yml", "a.b"}, {"plain", "plain"}, {"x.yaml/best.h5", "best.h5"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        sr_settings s;
        sr_error error = {0};
        assert_int_equal(sr_settings_parse(&s, "data: {path: x}", cases[i][0], NULL, 0, &error), SR_OK);
        assert_string_equal(s.name, cases[i][1]);
    }
}

static void choices_have_names(void **state)
{
    (void)state;
    assert_string_equal(sr_settings_choice("training.loss", SR_LOSS_BPR), "bpr");
    assert_string_equal(sr_settings_choice("evaluation.history", SR_HISTORY_ZERO), "zero");
    assert_null(sr_settings_choice("training.loss", 99));
    assert_null(sr_settings_choice("training.epochs", 0));
    assert_null(sr_settings_choice("training.lost", 0));
}

/* ---- writing ---- */

static uint64_t draw(uint64_t trial, size_t row, uint64_t bound)
{
    return sr_random_below(*stream(), trial, row, bound);
}

static void draw_integer(const schema_row *row, uint64_t trial, size_t index, char *text, size_t size)
{
    const uint64_t range = (uint64_t)(row->maximum - row->minimum) + 1;
    snprintf(text, size, "%lld", (long long)row->minimum + (long long)draw(trial, index, range));
}

/* A number of the row's range with all its digits, of any magnitude. */
static void draw_number(const schema_row *row, uint64_t trial, size_t index, char *text, size_t size)
{
    const double share = sr_random_uniform(*stream(), trial, index);
    const double scale = 1.0 / (double)((uint64_t)1 << draw(trial, index + 1000, 40));
    snprintf(text, size, "%.17g", row->minimum + (row->maximum - row->minimum) * scale * (1 - share));
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

static void draw_row(const schema_row *row, uint64_t trial, size_t index, sr_settings *settings)
{
    char text[128] = "";
    size_t choices = 0;
    if (row->type == SCHEMA_INTEGER_LIST || strcmp(row->key, "metric") == 0)
        return; /* drawn together by draw_top_k() */
    while (row->choices && row->choices[choices].name)
        ++choices;
    if (row->type == SCHEMA_BOOLEAN)
        snprintf(text, sizeof text, "%s", draw(trial, index, 2) ? "true" : "false");
    else if (row->type == SCHEMA_CHOICE)
        snprintf(text, sizeof text, "%s", row->choices[draw(trial, index, choices)].name);
    else if (row->type == SCHEMA_INTEGER)
        draw_integer(row, trial, index, text, sizeof text);
    else if (row->type == SCHEMA_NUMBER)
        draw_number(row, trial, index, text, sizeof text);
    else
        draw_text(trial, index, text, sizeof text);
    const char *const values[] = {text};
    if (!schema_assign(row, settings, values, 1))
        fail_msg("%s.%s refuses %s", row->section, row->key, text);
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

/* Random values of every key, with combinations that go together. */
static void draw_settings(uint64_t trial, sr_settings *settings)
{
    sr_settings_default(settings);
    for (size_t i = 0; i < schema_row_count; ++i)
        draw_row(&schema_rows[i], trial, i, settings);
    draw_top_k(trial, settings);
    settings->model.hidden_size = settings->model.heads * (1 + (int64_t)draw(trial, 7000, 100));
    if (settings->data.samples == SR_SAMPLES_WINDOW) {
        settings->training.objective = SR_OBJECTIVE_LAST;
        settings->model.max_length += settings->model.max_length < 2;
    }
    if (settings->training.learning_rate * settings->training.weight_decay >= 1)
        settings->training.weight_decay_kind = SR_WEIGHT_DECAY_L2;
}

/* Field by field, so that what the writer loses cannot hide in equal texts. */
static void assert_same_fields(const sr_settings *left, const sr_settings *right)
{
    static const size_t sizes[] = {[SCHEMA_BOOLEAN] = sizeof(bool),
                                   [SCHEMA_INTEGER] = sizeof(int64_t),
                                   [SCHEMA_NUMBER] = sizeof(double),
                                   [SCHEMA_CHOICE] = sizeof(int)};
    for (size_t i = 0; i < schema_row_count; ++i) {
        const schema_row *row = &schema_rows[i];
        const char *a = (const char *)left + row->offset, *b = (const char *)right + row->offset;
        if (row->type == SCHEMA_TEXT)
            assert_string_equal(a, b);
        else if (row->type != SCHEMA_INTEGER_LIST)
            assert_memory_equal(a, b, sizes[row->type]);
    }
    assert_int_equal(left->evaluation.top_k_count, right->evaluation.top_k_count);
    assert_memory_equal(left->evaluation.top_k, right->evaluation.top_k, left->evaluation.top_k_count * sizeof(int64_t));
}

static void written_settings_read_back_to_the_bit(void **state)
{
    (void)state;
    enum { TRIALS = 300 };
    for (uint64_t trial = 0; trial < TRIALS; ++trial) {
        sr_settings drawn, read;
        draw_settings(trial, &drawn);
        char *text = text_of(&drawn);
        parse(&read, text, NULL, 0);
        assert_same_fields(&drawn, &read);
        free(text);
    }
}

static void the_longest_text_reads_back_however_it_is_escaped(void **state)
{
    (void)state;
    sr_settings drawn, read;
    sr_settings_default(&drawn);
    memset(drawn.data.path, '\x01', SR_PATH_SIZE - 1);
    char *text = text_of(&drawn);
    parse(&read, text, NULL, 0);
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
    parse(&settings, "data: {path: x}", NULL, 0);
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    assert_int_equal(sr_settings_write(&settings, file, true, &error), SR_OK);
    assert_int_equal(fclose(file), 0);
    assert_non_null(strstr(text, "one of cross_entropy, bpr, binary_cross_entropy"));
    for (size_t i = 0; i < schema_row_count; ++i)
        assert_non_null(strstr(text, schema_rows[i].help));
    parse(&read, text, NULL, 0);
    assert_equal_settings(&settings, &read);
    free(text);
}

static void numbers_have_the_fewest_digits_and_a_point_before_an_exponent(void **state)
{
    (void)state;
    sr_settings settings;
    parse(&settings, "data: {path: x}\ntraining: {learning_rate: 0.1, weight_decay: 3e-7, clip_norm: 1e5}\n", NULL, 0);
    char *text = text_of(&settings);
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
    parse(&settings, "data: {path: x}", NULL, 0);
    FILE *file = fopen("/dev/full", "w");
    if (!file)
        skip();
    assert_int_equal(sr_settings_write(&settings, file, false, &error), SR_ERROR_RUNTIME);
    assert_non_null(strstr(error.message, "No space left"));
    fclose(file);
}

static void the_description_names_every_key_and_choice(void **state)
{
    (void)state;
    for (int markdown = 0; markdown < 2; ++markdown) {
        char *text = NULL;
        size_t size;
        sr_error error;
        FILE *file = open_memstream(&text, &size);
        assert_non_null(file);
        assert_int_equal(sr_settings_describe(file, markdown, &error), SR_OK);
        assert_int_equal(fclose(file), 0);
        for (size_t i = 0; i < schema_row_count; ++i) {
            assert_non_null(strstr(text, schema_rows[i].key));
            for (const schema_choice *choice = schema_rows[i].choices; choice && choice->name; ++choice)
                assert_non_null(strstr(text, choice->name));
        }
        for (size_t i = 0; i < schema_section_count; ++i)
            assert_non_null(strstr(text, schema_sections[i].path));
        free(text);
    }
}

/* ---- files ---- */

static void every_configuration_that_comes_with_srtrain_is_read(void **state)
{
    (void)state;
    char directory[3072], path[4096];
    const char *source = getenv("SRTRAIN_SOURCE_DIRECTORY");
    snprintf(directory, sizeof directory, "%s/configs", source ? source : ".");
    DIR *listing = opendir(directory);
    assert_non_null(listing);
    int count = 0;
    for (const struct dirent *entry; (entry = readdir(listing));) {
        if (entry->d_name[0] == '.')
            continue;
        sr_settings settings;
        sr_error error = {0};
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (sr_settings_read(&settings, path, NULL, 0, &error) != SR_OK)
            fail_msg("%s", error.message);
        ++count;
    }
    closedir(listing);
    assert_true(count >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_documented_ones),
        cmocka_unit_test(every_default_is_a_value_that_its_row_allows),
        cmocka_unit_test(every_row_stands_in_a_section_and_no_two_are_alike),
        cmocka_unit_test(an_empty_section_and_an_empty_map_keep_the_defaults),
        cmocka_unit_test(every_type_of_value_is_read),
        cmocka_unit_test(line_ends_of_other_systems_and_a_byte_order_mark_are_read),
        cmocka_unit_test(assignments_override_the_file_and_later_ones_earlier_ones),
        cmocka_unit_test(an_assignment_can_give_the_required_key),
        cmocka_unit_test(the_run_is_named_after_the_file),
        cmocka_unit_test(choices_have_names),
        cmocka_unit_test(written_settings_read_back_to_the_bit),
        cmocka_unit_test(the_longest_text_reads_back_however_it_is_escaped),
        cmocka_unit_test(help_is_written_as_comments_that_change_nothing),
        cmocka_unit_test(numbers_have_the_fewest_digits_and_a_point_before_an_exponent),
        cmocka_unit_test(a_full_disk_is_noticed),
        cmocka_unit_test(the_description_names_every_key_and_choice),
        cmocka_unit_test(every_configuration_that_comes_with_srtrain_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
