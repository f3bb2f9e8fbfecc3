/* Defaults, overrides, and settings that survive being written and read; the configurations that come with srtrain. */
#include "config/schema.h"
#include "srtrain/random.h"

#include <dirent.h>
#include <math.h>
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
    assert_int_equal(s.model.backbone, SR_BACKBONE_SASREC);
    assert_true(s.model.mask_ratio == 0.2 && s.model.sse_user_probability == 0 && s.model.sse_item_probability == 0);
    assert_int_equal(s.model.masking, SR_MASKING_AT_LEAST_ONE);
    assert_int_equal(s.model.user_hidden_size, 32);
    assert_int_equal(s.model.time_span, 256);
    assert_int_equal(s.model.time_unit, 1);
    assert_int_equal(s.model.time_dropout, SR_TIME_DROPOUT_TABLE);
    assert_true(s.training.attack_learning_rate_ratio == 1);
    assert_true(s.model.initializer_mean == 0 && s.model.pvn_weight == 0.005);
    assert_int_equal(s.model.mean_update, SR_MEAN_FROZEN);
}

static void no_calibrator_is_in_use_by_default_and_each_has_documented_options(void **state)
{
    (void)state;
    sr_settings s;
    sr_settings_default(&s);
    const sr_spatial_settings *spatial = &s.model.calibrators.spatial;
    const sr_refinement_settings *refinement = &s.model.calibrators.refinement;
    const sr_adversarial_settings *adversarial = &s.model.calibrators.adversarial;
    assert_false(spatial->in_use || refinement->in_use || adversarial->in_use);
    assert_true(spatial->order && spatial->distance);
    assert_int_equal(spatial->distance_scale, SR_DISTANCE_SCALE_NORMAL);
    assert_int_equal(refinement->kind, SR_REFINEMENT_SIMPLE);
    assert_int_equal(refinement->source, SR_SOURCE_PROBABILITIES);
    assert_int_equal(refinement->rank, 0);
    assert_false(refinement->per_head);
    assert_int_equal(refinement->value, SR_VALUE_IDENTITY);
    assert_int_equal(adversarial->combine, SR_COMBINE_GATE);
    assert_int_equal(adversarial->annealing_steps, 100000);
    assert_true(adversarial->two_level);
    assert_int_equal(adversarial->rich_combine, SR_RICH_COMBINE_FIXED);
    assert_int_equal(adversarial->renormalize, SR_RENORMALIZE_MASS);
    assert_int_equal(adversarial->masked_cells, SR_MASKED_CELLS_EXCLUDED);
    assert_int_equal(adversarial->penalty, SR_PENALTY_VISIBLE);
    assert_true(adversarial->penalty_weight == 0.03);
}

static void contrastive_training_is_in_use_when_it_is_named_with_the_released_weights(void **state)
{
    (void)state;
    sr_settings s;
    sr_settings_default(&s);
    assert_false(s.training.contrastive.in_use);
    assert_true(s.training.contrastive.weight == 0.1 && s.training.contrastive.temperature == 1);
    parse(&s, "data: {path: x}\ntraining: {contrastive: {}}\n", NULL, 0);
    assert_true(s.training.contrastive.in_use);
    parse(&s, "data: {path: x}\ntraining: {contrastive: {weight: 0.2, temperature: 0.5}}\n", NULL, 0);
    assert_true(s.training.contrastive.weight == 0.2 && s.training.contrastive.temperature == 0.5);
    parse(&s, "data: {path: x}\nmodel: {backbone: fearec}\ntraining: {contrastive: {}}\n", NULL, 0);
    assert_true(s.model.global_ratio == 0.6 && s.model.spatial_ratio == 0.1 && s.model.topk_factor == 10);
    assert_true(s.training.contrastive.spectral_weight == 0.1);
    const char *assignment = "training.contrastive.weight=0";
    parse(&s, "data: {path: x}\n", &assignment, 1);
    assert_true(s.training.contrastive.in_use && s.training.contrastive.weight == 0);
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
        assert_non_null(schema_find_section(schema_rows[i].section));
        assert_true(!schema_rows[i].companion || schema_find_section(schema_rows[i].companion));
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

/* ---- calibrators and backbones ---- */

static void a_calibrator_is_in_use_when_its_section_is_named_or_a_key_of_it_assigned(void **state)
{
    (void)state;
    static const struct {
        const char *text, *assignment;
        bool spatial, refinement, adversarial;
    } cases[] = {
        {"", NULL, false, false, false},
        {"calibrators:", NULL, false, false, false},
        {"calibrators: {}", NULL, false, false, false},
        {"calibrators: {spatial: {}}", NULL, true, false, false},
        {"calibrators:\n  spatial:\n", NULL, true, false, false},
        {"calibrators: {refinement: {}}", NULL, false, true, false},
        {"calibrators: {adversarial: }", NULL, false, false, true},
        {"calibrators: {adversarial: {combine: fixed}}", NULL, false, false, true},
        {"calibrators: {spatial: {order: false}, adversarial: {}}", NULL, true, false, true},
        {"calibrators: {adversarial: {}, refinement: {rank: 3}, spatial: {}}", NULL, true, true, true},
        {"", "calibrators.spatial.order=true", true, false, false},
        {"", "calibrators.refinement.kind=value", false, true, false},
        {"calibrators: {spatial: {}}", "calibrators.adversarial.two_level=false", true, false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        sr_settings s;
        char text[256];
        snprintf(text, sizeof text, "data: {path: x}\n%s\n", cases[i].text);
        parse(&s, text, &cases[i].assignment, cases[i].assignment != NULL);
        const sr_calibrator_settings *read = &s.model.calibrators;
        if (read->spatial.in_use != cases[i].spatial || read->refinement.in_use != cases[i].refinement ||
            read->adversarial.in_use != cases[i].adversarial)
            fail_msg("case %zu: spatial %d, refinement %d, adversarial %d", i, read->spatial.in_use, read->refinement.in_use,
                     read->adversarial.in_use);
    }
}

static void options_of_calibrators_are_read(void **state)
{
    (void)state;
    sr_settings s;
    parse(&s,
          "data: {path: x}\n"
          "calibrators:\n"
          "  spatial: {order: false, distance_scale: one}\n"
          "  refinement: {kind: value, source: scores, rank: 7, per_head: true, value: learned}\n"
          "  adversarial:\n    combine: annealing\n    annealing_steps: 7\n    two_level: false\n    rich_combine: trainable\n"
          "    renormalize: mass\n    masked_cells: included\n    penalty: all\n    penalty_weight: 0.3\n"
          "training: {attack_learning_rate_ratio: 10}\n",
          NULL, 0);
    const sr_spatial_settings *spatial = &s.model.calibrators.spatial;
    const sr_refinement_settings *refinement = &s.model.calibrators.refinement;
    const sr_adversarial_settings *adversarial = &s.model.calibrators.adversarial;
    assert_true(!spatial->order && spatial->distance);
    assert_int_equal(spatial->distance_scale, SR_DISTANCE_SCALE_ONE);
    assert_int_equal(refinement->kind, SR_REFINEMENT_VALUE);
    assert_int_equal(refinement->source, SR_SOURCE_SCORES);
    assert_int_equal(refinement->rank, 7);
    assert_true(refinement->per_head);
    assert_int_equal(refinement->value, SR_VALUE_LEARNED);
    assert_int_equal(adversarial->combine, SR_COMBINE_ANNEALING);
    assert_int_equal(adversarial->annealing_steps, 7);
    assert_false(adversarial->two_level);
    assert_int_equal(adversarial->rich_combine, SR_RICH_COMBINE_TRAINABLE);
    assert_int_equal(adversarial->renormalize, SR_RENORMALIZE_MASS);
    assert_int_equal(adversarial->masked_cells, SR_MASKED_CELLS_INCLUDED);
    assert_int_equal(adversarial->penalty, SR_PENALTY_ALL);
    assert_true(adversarial->penalty_weight == 0.3 && s.training.attack_learning_rate_ratio == 10);
}

static void every_backbone_takes_the_keys_that_all_have_and_its_own(void **state)
{
    (void)state;
    static const struct {
        sr_backbone backbone;
        const char *own, *loss;
    } cases[] = {
        {SR_BACKBONE_SASREC, "  backbone: sasrec\n  positions: learned\n", "cross_entropy"},
        {SR_BACKBONE_BERT4REC, "  backbone: bert4rec\n  positions: learned\n  mask_ratio: 0.4\n  masking: released\n",
         "cross_entropy"},
        {SR_BACKBONE_SSEPT,
         "  backbone: ssept\n  positions: none\n  user_hidden_size: 15\n"
         "  sse_user_probability: 0.92\n  sse_item_probability: 0.1\n",
         "bpr"},
        {SR_BACKBONE_TISASREC,
         "  backbone: tisasrec\n  positions: none\n  time_span: 64\n  time_unit: 86400\n"
         "  time_dropout: cells\n",
         "binary_cross_entropy"},
        {SR_BACKBONE_STOSA, "  backbone: stosa\n  positions: learned\n  mean_update: updated\n", "stosa\n  pvn_weight: 0.3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        sr_settings s;
        char text[1024];
        snprintf(text, sizeof text,
                 "data: {path: x}\nmodel:\n%s  layers: 2\n  heads: 2\n  hidden_size: 16\n  inner_size: 24\n  max_length: 12\n"
                 "  activation: gelu\n  hidden_dropout: 0\n  attention_dropout: 0\n  layer_norm_epsilon: 1.0e-12\n"
                 "  initializer_mean: 0.01\n  padding: right\n"
                 "calibrators: {}\ntraining:\n  loss: %s\n  objective: last\n",
                 cases[i].own, cases[i].loss);
        parse(&s, text, NULL, 0);
        assert_int_equal(s.model.backbone, cases[i].backbone);
        assert_true(s.model.initializer_mean == 0.01);
    }
}

static void options_of_stosa_are_read(void **state)
{
    (void)state;
    sr_settings s;
    parse(&s,
          "data: {path: x}\nmodel: {backbone: stosa, mean_update: updated, initializer_mean: -0.5}\n"
          "training: {loss: stosa, pvn_weight: 0.3}\n",
          NULL, 0);
    assert_int_equal(s.model.mean_update, SR_MEAN_UPDATED);
    assert_int_equal(s.training.loss, SR_LOSS_STOSA);
    assert_true(s.model.pvn_weight == 0.3 && s.model.initializer_mean == -0.5);
}

static void backbones_without_attention_take_the_keys_that_they_have(void **state)
{
    (void)state;
    sr_settings s;
    parse(&s,
          "data: {path: x}\nmodel: {backbone: gru4rec, layers: 3, hidden_size: 17, max_length: 9, hidden_dropout: 0.1,\n"
          "  initializer_range: 0.1, initializer_mean: 0, padding: left, gru_hidden_size: 20}\ncalibrators: {}\n"
          "training: {loss: bpr, objective: all}\n",
          NULL, 0); /* 17: there are no heads to share it */
    assert_int_equal(s.model.backbone, SR_BACKBONE_GRU4REC);
    assert_int_equal(s.model.gru_hidden_size, 20);
    parse(&s,
          "data: {path: x, samples: window}\nmodel: {backbone: caser, hidden_size: 17, max_length: 9, hidden_dropout: 0.1,\n"
          "  padding: left, vertical_filters: 5, horizontal_filters: 6}\n"
          "training: {loss: binary_cross_entropy, objective: last, frobenius_penalty: 0.01}\n",
          NULL, 0);
    assert_int_equal(s.model.backbone, SR_BACKBONE_CASER);
    assert_true(s.model.vertical_filters == 5 && s.model.horizontal_filters == 6 && s.model.frobenius_penalty == 0.01);
}

static void tisasrec_has_no_learned_positions_by_default(void **state)
{
    (void)state;
    sr_settings s;
    parse(&s, "data: {path: x}\nmodel: {backbone: tisasrec}\n", NULL, 0);
    assert_int_equal(s.model.positions, SR_POSITIONS_NONE);
    parse(&s, "data: {path: x}\nmodel: {backbone: tisasrec, positions: none}\n", NULL, 0);
    assert_int_equal(s.model.positions, SR_POSITIONS_NONE);
    parse(&s, "data: {path: x}\nmodel: {backbone: ssept}\n", NULL, 0);
    assert_int_equal(s.model.positions, SR_POSITIONS_LEARNED);
}

static void combinations_next_to_the_refused_ones_are_allowed(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "data: {path: x, samples: window}\nmodel: {backbone: bert4rec}\n",
        "data: {path: x}\nmodel: {backbone: bert4rec}\ntraining: {objective: all}\n",
        "data: {path: x}\nmodel: {backbone: bert4rec, masking: released, max_length: 2}\n",
        "data: {path: x}\nmodel: {backbone: bert4rec, max_length: 1}\n",
        "data: {path: x}\nmodel: {backbone: ssept, user_hidden_size: 63}\n",
        "data: {path: x}\nmodel: {hidden_size: 16}\n", /* not above the default of a key that sasrec does not have */
        "data: {path: x}\ncalibrators: {adversarial: {combine: fixed, renormalize: none, masked_cells: included}}\n",
        "data: {path: x}\ncalibrators: {adversarial: {combine: fixed, renormalize: none, masked_cells: excluded}}\n"
        "training: {objective: all}\n",
        "data: {path: x}\ncalibrators: {adversarial: {combine: fixed, renormalize: softmax, masked_cells: included}}\n"
        "training: {objective: all}\n",
        "data: {path: x}\ncalibrators: {adversarial: {combine: gate, renormalize: none, masked_cells: included}}\n"
        "training: {objective: all}\n",
        "data: {path: x}\nmodel: {backbone: bert4rec}\n"
        "calibrators: {adversarial: {combine: fixed, renormalize: none, masked_cells: included}}\ntraining: {objective: all}\n",
        "data: {path: x}\ncalibrators: {adversarial: {}}\n"
        "training: {learning_rate: 0.01, weight_decay: 1, attack_learning_rate_ratio: 99}\n",
        "data: {path: x}\ncalibrators: {adversarial: {}}\n"
        "training: {learning_rate: 0.01, weight_decay: 1, attack_learning_rate_ratio: 100, weight_decay_kind: l2}\n",
        "data: {path: x}\nmodel: {backbone: stosa}\ntraining: {loss: stosa, objective: last}\n",
        "data: {path: x}\nmodel: {backbone: stosa, positions: none}\n"
        "training: {loss: stosa, objective: all, pvn_weight: 0}\n",
        "data: {path: x, samples: window}\nmodel: {backbone: stosa, padding: left}\ntraining: {loss: stosa}\n",
        "data: {path: x}\ncalibrators: {spatial: {}, refinement: {kind: value, value: learned}, adversarial: {}}\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i) {
        sr_settings s;
        parse(&s, texts[i], NULL, 0);
    }
}

/* `value: identity` may stand with any kind: it means nothing with most, and changes nothing. */
static void every_kind_of_refinement_is_taken_by_the_backbones_that_have_it(void **state)
{
    (void)state;
    static const char *const kinds[] = {"simple", "value", "additive", "stochastic"};
    static const char *const backbones[] = {"sasrec", "bert4rec", "ssept", "tisasrec", "stosa"};
    for (int kind = SR_REFINEMENT_SIMPLE; kind <= SR_REFINEMENT_STOCHASTIC; ++kind)
        for (size_t b = 0; b < sizeof backbones / sizeof *backbones; ++b) {
            const bool stosa = strcmp(backbones[b], "stosa") == 0;
            sr_settings s;
            char text[256];
            if (kind == SR_REFINEMENT_STOCHASTIC && !stosa)
                continue;
            snprintf(text, sizeof text,
                     "data: {path: x}\nmodel: {backbone: %s}\n"
                     "calibrators: {refinement: {kind: %s, value: identity}}\ntraining: {loss: %s}\n",
                     backbones[b], kinds[kind], stosa ? "stosa" : "cross_entropy");
            parse(&s, text, NULL, 0);
            assert_true(s.model.calibrators.refinement.in_use);
            assert_int_equal(s.model.calibrators.refinement.kind, kind);
        }
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

/* Changes drawn values so that they go together. */
static void reconcile(uint64_t trial, sr_settings *settings)
{
    sr_model_settings *model = &settings->model;
    sr_training_settings *training = &settings->training;
    model->hidden_size = model->heads * (2 + (int64_t)draw(trial, 7000, 100));
    model->max_length += model->max_length < 2;
    if (settings->data.samples == SR_SAMPLES_WINDOW)
        training->objective = SR_OBJECTIVE_LAST;
    if (training->objective == SR_OBJECTIVE_ALL && model->calibrators.adversarial.renormalize == SR_RENORMALIZE_NONE)
        model->calibrators.adversarial.masked_cells = SR_MASKED_CELLS_EXCLUDED;
    if (training->contrastive.in_use)
        training->objective = SR_OBJECTIVE_LAST;
    if (training->learning_rate * fmax(1, training->attack_learning_rate_ratio) * training->weight_decay >= 1)
        training->weight_decay_kind = SR_WEIGHT_DECAY_L2;
    if (model->backbone == SR_BACKBONE_BERT4REC)
        training->loss = SR_LOSS_CROSS_ENTROPY;
    if (training->threads > 1 || training->reduction_precision == SR_PRECISION_BF16)
        training->reduction = SR_REDUCTION_BLOCKING;
    if (model->backbone == SR_BACKBONE_SSEPT)
        model->user_hidden_size = 1 + (int64_t)draw(trial, 7001, (uint64_t)model->hidden_size - 1);
    if (model->backbone == SR_BACKBONE_TISASREC)
        model->positions = SR_POSITIONS_NONE;
    if (model->backbone == SR_BACKBONE_FEAREC) {
        model->max_length = 3 + (int64_t)draw(trial, 7002, 100);
        model->topk_factor = 1 + sr_random_uniform(*stream(), trial, 7003);
        model->global_ratio = 1 - sr_random_uniform(*stream(), trial, 7004) / 8;
        model->layers = 1 + (int64_t)draw(trial, 7005, 2);
    }
    if (model->backbone == SR_BACKBONE_FMLPREC || model->backbone == SR_BACKBONE_FEAREC ||
        model->backbone == SR_BACKBONE_CASER ||
        (model->calibrators.frequency.in_use && model->backbone != SR_BACKBONE_BERT4REC))
        training->objective = SR_OBJECTIVE_LAST;
    if (model->backbone == SR_BACKBONE_STOSA)
        training->loss = SR_LOSS_STOSA;
    else if (training->loss == SR_LOSS_STOSA)
        training->loss = SR_LOSS_BPR;
    if (model->backbone != SR_BACKBONE_STOSA && model->calibrators.refinement.kind == SR_REFINEMENT_STOCHASTIC)
        model->calibrators.refinement.kind = SR_REFINEMENT_VALUE;
    if (model->calibrators.refinement.kind != SR_REFINEMENT_VALUE)
        model->calibrators.refinement.value = SR_VALUE_IDENTITY;
}

/* Whether the backbone of these settings can have the calibrator, or whatever else the section is about. */
static bool takes_section(const sr_settings *settings, const schema_section *section)
{
    const bool of_dot_products = strcmp(section->path, "calibrators.spatial") == 0 ||
                                 strcmp(section->path, "calibrators.adversarial") == 0 ||
                                 strcmp(section->path, "calibrators.frequency") == 0;
    if (strcmp(section->path, "training.contrastive") == 0) /* behind the calibrators */
        return settings->model.backbone != SR_BACKBONE_STOSA && settings->model.backbone != SR_BACKBONE_BERT4REC &&
               !settings->model.calibrators.adversarial.in_use;
    return schema_section_fits_backbone(section, settings) &&
           (settings->model.backbone != SR_BACKBONE_STOSA || !of_dot_products);
}

/* Some backbone, some calibrators, and random values of every key that these have. */
static void draw_settings(uint64_t trial, sr_settings *settings)
{
    const schema_row *backbone = schema_find("model", "backbone");
    sr_settings_default(settings);
    draw_row(backbone, trial, (size_t)(backbone - schema_rows), settings);
    for (size_t i = 0; i < schema_section_count; ++i)
        if (draw(trial, 7100 + i, 2) && takes_section(settings, &schema_sections[i]))
            schema_use_section(&schema_sections[i], settings);
    for (size_t i = 0; i < schema_row_count; ++i)
        if (schema_applies(&schema_rows[i], settings))
            draw_row(&schema_rows[i], trial, i, settings);
    draw_top_k(trial, settings);
    reconcile(trial, settings);
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
    for (size_t i = 0; i < schema_section_count; ++i)
        assert_int_equal(schema_section_in_use(&schema_sections[i], left), schema_section_in_use(&schema_sections[i], right));
    assert_int_equal(left->evaluation.top_k_count, right->evaluation.top_k_count);
    assert_memory_equal(left->evaluation.top_k, right->evaluation.top_k, left->evaluation.top_k_count * sizeof(int64_t));
}

static void written_settings_read_back_to_the_bit(void **state)
{
    (void)state;
    enum { TRIALS = 400 };
    for (uint64_t trial = 0; trial < TRIALS; ++trial) {
        sr_settings drawn, read;
        draw_settings(trial, &drawn);
        char *text = text_of(&drawn);
        parse(&read, text, NULL, 0);
        assert_same_fields(&drawn, &read);
        free(text);
    }
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
    parse(&left, "data: {path: a}\n", NULL, 0);
    sr_settings_compare(&left, &left, append_difference, text);
    assert_string_equal(text, "");
    parse(&right, "data: {path: a}\n", changes, sizeof changes / sizeof *changes);
    sr_settings_compare(&left, &right, append_difference, text);
    assert_string_equal(text, "data.path \"a\" \"b\"\n"
                              "model.backbone sasrec tisasrec\n"
                              "model.positions learned none\n"
                              "model.time_span (none) 8\n"
                              "model.time_unit (none) 1\n"
                              "model.time_dropout (none) table\n"
                              "calibrators.spatial (not in use) (in use)\n"
                              "training.learning_rate 0.001 0.5\n"
                              "evaluation.top_k [1, 3, 5, 10, 20, 50] [1, 10]\n");
}

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
         {"  positions: none\n", "  time_span: 256\n", "  time_dropout: table\n"},
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
        {"model: {backbone: fmlprec}", {"  filter_engine: auto\n"}, {"frequency", "mask_ratio"}},
        {"calibrators: {frequency: {}}",
         {"\ncalibrators:\n  frequency:\n    alpha: 0.7\n    cutoff: 5\n    window: padded\n    engine: auto\n"},
         {"spatial", "adversarial", "filter_engine", "{}"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        sr_settings settings;
        char text[128];
        snprintf(text, sizeof text, "data: {path: x}\n%s\n", cases[i].text);
        parse(&settings, text, NULL, 0);
        char *written = text_of(&settings);
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
    parse(&settings, "data: {path: x}\nmodel: {backbone: ssept}\ncalibrators: {spatial: {}, refinement: {}, adversarial: {}}\n",
          NULL, 0);
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    assert_int_equal(sr_settings_write(&settings, file, true, &error), SR_OK);
    assert_int_equal(fclose(file), 0);
    assert_non_null(strstr(text, "one of cross_entropy, bpr, binary_cross_entropy"));
    for (size_t i = 0; i < schema_row_count; ++i)
        if (schema_applies(&schema_rows[i], &settings))
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
    assert_non_null(file);
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
        static const char *const scopes[] = {
            ("is masked; of the masked ones the last int(mask_ratio max_length) are scored, at "
             "least one; bert4rec only"),
            "; ssept only", "; tisasrec only", "; stosa only", "; with calibrators.adversarial only"};
        for (size_t i = 0; i < sizeof scopes / sizeof *scopes; ++i)
            assert_non_null(strstr(text, scopes[i]));
        free(text);
    }
}

/* A "|" would end the cell of a Markdown table, a line end that and a comment. */
static void help_fits_into_a_line_of_a_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < schema_row_count; ++i) {
        assert_null(strpbrk(schema_rows[i].help, "|\n"));
        for (const schema_choice *choice = schema_rows[i].choices; choice && choice->name; ++choice)
            assert_true(!choice->help || !strpbrk(choice->help, "|\n"));
    }
}

/* ---- files ---- */

/* Reads every configuration below a directory; returns how many there are. */
static int read_configurations(const char *directory)
{
    int count = 0;
    char path[4096];
    DIR *listing = opendir(directory);
    assert_non_null(listing);
    for (const struct dirent *entry; (entry = readdir(listing));) {
        struct stat status;
        if (entry->d_name[0] == '.')
            continue;
        assert_true((size_t)snprintf(path, sizeof path, "%s/%s", directory, entry->d_name) < sizeof path);
        assert_int_equal(stat(path, &status), 0);
        if (S_ISDIR(status.st_mode)) {
            count += read_configurations(path);
            continue;
        }
        sr_settings settings;
        sr_error error = {0};
        if (sr_settings_read(&settings, path, NULL, 0, &error) != SR_OK)
            fail_msg("%s", error.message);
        ++count;
    }
    closedir(listing);
    return count;
}

static void every_configuration_that_comes_with_srtrain_is_read(void **state)
{
    (void)state;
    char directory[3072];
    const char *source = getenv("SRTRAIN_SOURCE_DIRECTORY");
    snprintf(directory, sizeof directory, "%s/configs", source ? source : ".");
    assert_true(read_configurations(directory) >= 13);
}

/* The hyper-parameters of the release: layers, heads, widths and the weight of the penalty by data set, the rest in common. */
static void configurations_of_ac_tsr_hold_the_released_values(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t layers, heads, hidden_size, inner_size;
        double penalty_weight;
    } released[] = {{"beauty", 3, 4, 64, 128, 0.03},
                    {"sports", 2, 2, 128, 64, 0.3},
                    {"toys", 2, 2, 128, 64, 0.3},
                    {"yelp", 3, 8, 128, 64, 0.3}};
    const char *source = getenv("SRTRAIN_SOURCE_DIRECTORY");
    for (size_t i = 0; i < sizeof released / sizeof *released; ++i) {
        sr_settings s;
        sr_error error = {0};
        char path[4096];
        snprintf(path, sizeof path, "%s/configs/paper/ac-sasrec-%s.yaml", source ? source : ".", released[i].name);
        if (sr_settings_read(&s, path, NULL, 0, &error) != SR_OK)
            fail_msg("%s", error.message);
        const sr_spatial_settings *spatial = &s.model.calibrators.spatial;
        const sr_adversarial_settings *adversarial = &s.model.calibrators.adversarial;
        assert_int_equal(s.model.layers, released[i].layers);
        assert_int_equal(s.model.heads, released[i].heads);
        assert_int_equal(s.model.hidden_size, released[i].hidden_size);
        assert_int_equal(s.model.inner_size, released[i].inner_size);
        assert_true(adversarial->in_use && adversarial->penalty_weight == released[i].penalty_weight);
        assert_true(spatial->in_use && spatial->order && spatial->distance && adversarial->two_level);
        assert_int_equal(adversarial->combine, SR_COMBINE_GATE);
        assert_int_equal(adversarial->renormalize, SR_RENORMALIZE_SOFTMAX);
        assert_int_equal(adversarial->masked_cells, SR_MASKED_CELLS_INCLUDED);
        assert_int_equal(adversarial->penalty, SR_PENALTY_ALL);
        assert_int_equal(s.model.positions, SR_POSITIONS_NONE);
        assert_true(s.model.hidden_dropout == 0.5 && s.model.attention_dropout == 0.5);
        assert_true(s.training.learning_rate == 1e-4 && s.training.attack_learning_rate_ratio == 1);
        assert_int_equal(s.training.batch_size, 256);
        assert_int_equal(s.training.epochs, 400);
        assert_int_equal(s.training.seed, 42);
        assert_int_equal(s.training.early_stopping.patience, 11);
        assert_string_equal(s.training.early_stopping.metric, "hr@10");
        assert_int_equal(s.data.samples, SR_SAMPLES_SLIDING);
        assert_int_equal(s.evaluation.history, SR_HISTORY_KEEP);
    }
}

static void read_paper_configuration(sr_settings *settings, const char *name)
{
    const char *source = getenv("SRTRAIN_SOURCE_DIRECTORY");
    sr_error error = {0};
    char path[4096];
    snprintf(path, sizeof path, "%s/configs/paper/%s.yaml", source ? source : ".", name);
    if (sr_settings_read(settings, path, NULL, 0, &error) != SR_OK)
        fail_msg("%s", error.message);
}

static void the_configuration_of_stosa_holds_the_released_values(void **state)
{
    (void)state;
    sr_settings s;
    read_paper_configuration(&s, "stosa-beauty");
    assert_int_equal(s.model.backbone, SR_BACKBONE_STOSA);
    assert_int_equal(s.model.layers, 1);
    assert_int_equal(s.model.heads, 4);
    assert_int_equal(s.model.hidden_size, 64);
    assert_int_equal(s.model.inner_size, 256);
    assert_int_equal(s.model.max_length, 100);
    assert_int_equal(s.model.activation, SR_ACTIVATION_ELU);
    assert_true(s.model.hidden_dropout == 0.3 && s.model.attention_dropout == 0);
    assert_true(s.model.layer_norm_epsilon == 1e-12);
    assert_true(s.model.initializer_mean == 0.01 && s.model.initializer_range == 0.02);
    assert_int_equal(s.model.positions, SR_POSITIONS_LEARNED);
    assert_int_equal(s.model.padding, SR_PADDING_LEFT);
    assert_int_equal(s.model.mean_update, SR_MEAN_FROZEN);
    assert_int_equal(s.training.loss, SR_LOSS_STOSA);
    assert_int_equal(s.training.objective, SR_OBJECTIVE_ALL);
    assert_true(s.model.pvn_weight == 0.005 && s.training.learning_rate == 1e-3 && s.training.weight_decay == 0);
    assert_int_equal(s.training.batch_size, 256);
    assert_int_equal(s.training.epochs, 500);
    assert_int_equal(s.training.early_stopping.patience, 100);
    assert_string_equal(s.training.early_stopping.metric, "mrr@40");
    assert_int_equal(s.evaluation.history, SR_HISTORY_EXCLUDE);
    assert_false(s.model.calibrators.refinement.in_use);
}

static void configurations_of_refinement_add_it_to_the_backbones_of_its_code_base(void **state)
{
    (void)state;
    sr_settings stosa, s;
    read_paper_configuration(&stosa, "stosa-beauty");
    read_paper_configuration(&s, "awrsr-stosa-beauty");
    assert_true(s.model.calibrators.refinement.in_use);
    assert_int_equal(s.model.calibrators.refinement.kind, SR_REFINEMENT_STOCHASTIC);
    s.model.calibrators.refinement.in_use = false;
    assert_equal_settings(&s, &stosa);
    read_paper_configuration(&s, "awrsr-sasrec-beauty");
    assert_true(s.model.calibrators.refinement.in_use);
    assert_int_equal(s.model.backbone, SR_BACKBONE_SASREC);
    assert_int_equal(s.model.layers, 2);
    assert_int_equal(s.model.heads, 2);
    assert_int_equal(s.model.hidden_size, 64);
    assert_int_equal(s.model.inner_size, 256);
    assert_int_equal(s.model.max_length, 50);
    assert_true(s.model.hidden_dropout == 0.5 && s.model.attention_dropout == 0.5);
    assert_int_equal(s.model.padding, SR_PADDING_LEFT);
    assert_int_equal(s.training.loss, SR_LOSS_BINARY_CROSS_ENTROPY);
    assert_int_equal(s.training.objective, SR_OBJECTIVE_ALL);
}

static void configurations_of_bsarec_hold_the_published_values(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double alpha, learning_rate;
        int64_t cutoff, heads;
    } published[] = {{"bsarec-beauty", 0.7, 5e-4, 5, 1}, {"bsarec-sports", 0.3, 1e-3, 5, 4}, {"bsarec-toys", 0.7, 1e-3, 3, 1},
                     {"bsarec-yelp", 0.7, 1e-3, 3, 4},   {"bsarec-lastfm", 0.9, 1e-3, 3, 1}, {"bsarec-ml-1m", 0.3, 5e-4, 9, 4}};
    for (size_t i = 0; i < sizeof published / sizeof *published; ++i) {
        sr_settings s;
        read_paper_configuration(&s, published[i].name);
        const sr_frequency_settings *frequency = &s.model.calibrators.frequency;
        assert_true(frequency->in_use && frequency->alpha == published[i].alpha);
        assert_int_equal(frequency->cutoff, published[i].cutoff);
        assert_int_equal(frequency->window, SR_WINDOW_PADDED);
        assert_int_equal(s.model.backbone, SR_BACKBONE_SASREC);
        assert_int_equal(s.model.heads, published[i].heads);
        assert_int_equal(s.model.layers, 2);
        assert_int_equal(s.model.max_length, 50);
        assert_int_equal(s.model.padding, SR_PADDING_LEFT);
        assert_true(s.model.hidden_dropout == 0.5 && s.model.attention_dropout == 0.5);
        assert_true(s.training.learning_rate == published[i].learning_rate);
        assert_int_equal(s.training.batch_size, 256);
        assert_int_equal(s.training.loss, SR_LOSS_CROSS_ENTROPY);
        assert_int_equal(s.training.objective, SR_OBJECTIVE_LAST);
        assert_string_equal(s.training.early_stopping.metric, "ndcg@20");
        assert_int_equal(s.training.early_stopping.patience, 10);
        assert_int_equal(s.data.samples, SR_SAMPLES_WINDOW);
        assert_int_equal(s.evaluation.history, SR_HISTORY_ZERO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_documented_ones),
        cmocka_unit_test(no_calibrator_is_in_use_by_default_and_each_has_documented_options),
        cmocka_unit_test(contrastive_training_is_in_use_when_it_is_named_with_the_released_weights),
        cmocka_unit_test(every_default_is_a_value_that_its_row_allows),
        cmocka_unit_test(every_row_stands_in_a_section_and_no_two_are_alike),
        cmocka_unit_test(an_empty_section_and_an_empty_map_keep_the_defaults),
        cmocka_unit_test(every_type_of_value_is_read),
        cmocka_unit_test(line_ends_of_other_systems_and_a_byte_order_mark_are_read),
        cmocka_unit_test(assignments_override_the_file_and_later_ones_earlier_ones),
        cmocka_unit_test(an_assignment_can_give_the_required_key),
        cmocka_unit_test(the_run_is_named_after_the_file),
        cmocka_unit_test(choices_have_names),
        cmocka_unit_test(a_calibrator_is_in_use_when_its_section_is_named_or_a_key_of_it_assigned),
        cmocka_unit_test(options_of_calibrators_are_read),
        cmocka_unit_test(every_backbone_takes_the_keys_that_all_have_and_its_own),
        cmocka_unit_test(options_of_stosa_are_read),
        cmocka_unit_test(backbones_without_attention_take_the_keys_that_they_have),
        cmocka_unit_test(tisasrec_has_no_learned_positions_by_default),
        cmocka_unit_test(combinations_next_to_the_refused_ones_are_allowed),
        cmocka_unit_test(every_kind_of_refinement_is_taken_by_the_backbones_that_have_it),
        cmocka_unit_test(only_keys_with_a_meaning_are_written),
        cmocka_unit_test(written_settings_read_back_to_the_bit),
        cmocka_unit_test(what_differs_is_told_key_by_key),
        cmocka_unit_test(the_longest_text_reads_back_however_it_is_escaped),
        cmocka_unit_test(help_is_written_as_comments_that_change_nothing),
        cmocka_unit_test(numbers_have_the_fewest_digits_and_a_point_before_an_exponent),
        cmocka_unit_test(a_full_disk_is_noticed),
        cmocka_unit_test(the_description_names_every_key_and_choice),
        cmocka_unit_test(help_fits_into_a_line_of_a_table),
        cmocka_unit_test(every_configuration_that_comes_with_srtrain_is_read),
        cmocka_unit_test(configurations_of_ac_tsr_hold_the_released_values),
        cmocka_unit_test(the_configuration_of_stosa_holds_the_released_values),
        cmocka_unit_test(configurations_of_bsarec_hold_the_published_values),
        cmocka_unit_test(configurations_of_refinement_add_it_to_the_backbones_of_its_code_base),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
