/* Defaults, what is read from text and assignments, and which values go together. */
#include "config/schema.h"
#include "model/component.h"
#include "read_settings.h"
#include "step/optimizer_row.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* ---- defaults ---- */

static void defaults_are_the_documented_ones(void **state)
{
    (void)state;
    static const known_setting known[] = {
        {"data.path", "\"\""},
        {"data.samples", "sliding"},
        {"data.verify", "true"},
        {"model.backbone", "sasrec"},
        {"model.layers", "2"},
        {"model.hidden_size", "64"},
        {"model.inner_size", "256"},
        {"model.max_length", "50"},
        {"model.activation", "gelu"},
        {"model.hidden_dropout", "0.5"},
        {"model.initializer_range", "0.02"},
        {"model.initializer_mean", "0"},
        {"model.layer_norm_epsilon", "1.0e-12"},
        {"model.mask_ratio", "0.2"},
        {"model.masking", "at_least_one"},
        {"model.user_hidden_size", "32"},
        {"model.sse_user_probability", "0"},
        {"model.sse_item_probability", "0"},
        {"model.time_span", "256"},
        {"model.time_unit", "1"},
        {"model.mean_update", "frozen"},
        {"model.similarity", "dot"},
        {"training.epochs", "200"},
        {"training.batch_size", "256"},
        {"training.learning_rate", "0.001"},
        {"training.adam_beta2", "0.999"},
        {"training.seed", "42"},
        {"training.attack_learning_rate_ratio", "1"},
        {"training.pvn_weight", "0.005"},
        {"training.temperature", "1"},
        {"training.log_q", "refined"},
        {"training.calibration", "0.75"},
        {"training.early_stopping.metric", "\"ndcg@10\""},
        {"evaluation.top_k", "[1, 3, 5, 10, 20, 50]"},
        {"evaluation.history", "keep"},
        {"checkpoint.keep", "2"},
        {"logging.every_steps", "50"},
        {NULL, NULL},
    };
    sr_settings s;
    sr_settings_default(&s);
    assert_settings(&s, known);
}

static void no_calibrator_is_in_use_by_default_and_each_has_documented_options(void **state)
{
    (void)state;
    static const known_setting known[] = {
        {"calibrators.spatial", "left out"},
        {"calibrators.refinement", "left out"},
        {"calibrators.adversarial", "left out"},
        {"calibrators.frequency", "left out"},
        {"calibrators.spatial.order", "true"},
        {"calibrators.spatial.distance", "true"},
        {"calibrators.spatial.distance_scale", "normal"},
        {"calibrators.refinement.kind", "simple"},
        {"calibrators.refinement.source", "probabilities"},
        {"calibrators.refinement.rank", "0"},
        {"calibrators.refinement.per_head", "false"},
        {"calibrators.refinement.value", "identity"},
        {"calibrators.adversarial.combine", "gate"},
        {"calibrators.adversarial.annealing_steps", "100000"},
        {"calibrators.adversarial.two_level", "true"},
        {"calibrators.adversarial.rich_combine", "fixed"},
        {"calibrators.adversarial.renormalize", "mass"},
        {"calibrators.adversarial.masked_cells", "excluded"},
        {"calibrators.adversarial.penalty", "visible"},
        {"calibrators.adversarial.penalty_weight", "0.03"},
        {NULL, NULL},
    };
    sr_settings s;
    sr_settings_default(&s);
    assert_settings(&s, known);
}

static void contrastive_training_is_in_use_when_it_is_named_with_the_released_weights(void **state)
{
    (void)state;
    sr_settings s;
    sr_settings_default(&s);
    assert_false(s.model.contrastive.in_use);
    assert_true(s.model.contrastive.weight == 0.1 && s.model.contrastive.temperature == 1);
    parse_settings(&s, "data: {path: x}\ntraining: {contrastive: {}}\n", NULL, 0);
    assert_true(s.model.contrastive.in_use);
    parse_settings(&s, "data: {path: x}\ntraining: {contrastive: {weight: 0.2, temperature: 0.5}}\n", NULL, 0);
    assert_true(s.model.contrastive.weight == 0.2 && s.model.contrastive.temperature == 0.5);
    parse_settings(&s, "data: {path: x}\nmodel: {backbone: fearec}\ntraining: {contrastive: {}}\n", NULL, 0);
    assert_setting(&s, "model.global_ratio", "0.6");
    assert_setting(&s, "model.spatial_ratio", "0.1");
    assert_setting(&s, "model.topk_factor", "10");
    assert_setting(&s, "training.contrastive.spectral_weight", "0.1");
    const char *assignment = "training.contrastive.weight=0";
    parse_settings(&s, "data: {path: x}\n", &assignment, 1);
    assert_true(s.model.contrastive.in_use && s.model.contrastive.weight == 0);
}

static void every_default_is_a_value_that_its_key_allows(void **state)
{
    (void)state;
    sr_settings settings;
    sr_schema schema;
    sr_settings_schema(&schema);
    sr_settings_default(&settings);
    for (size_t i = 0; i < schema.key_count; ++i) {
        const sr_key *key = schema.keys[i].key;
        if (!key->standard)
            continue;
        char value[SCHEMA_VALUE_SIZE], quoted[64];
        schema_format(&schema.keys[i], &settings, value, sizeof value);
        snprintf(quoted, sizeof quoted, key->type == SR_KEY_TEXT ? "\"%s\"" : "%s", key->standard);
        if (strcmp(value, quoted) != 0)
            fail_msg("the default of %s.%s is %s, but reads as %s", key->section, key->name, key->standard, value);
    }
}

static bool is_known(const sr_schema *schema, const char *path)
{
    return schema_find_path(schema, path) || schema_find_section(schema, path);
}

static void every_key_stands_in_a_section_and_no_two_are_alike(void **state)
{
    (void)state;
    sr_schema schema;
    sr_settings_schema(&schema);
    assert_false(schema.overflowed);
    for (size_t i = 0; i < schema.key_count; ++i) {
        const sr_schema_key *row = &schema.keys[i];
        assert_non_null(schema_find_section(&schema, row->key->section));
        assert_ptr_equal(schema_find(&schema, row->key->section, row->key->name), row);
        assert_true(!row->scope.holds || is_known(&schema, row->scope.decided_by));
    }
    for (size_t i = 0; i < schema.rule_count; ++i) {
        assert_true(is_known(&schema, schema.rules[i].rule->first));
        assert_true(is_known(&schema, schema.rules[i].rule->second));
    }
}

static void settings_of_all_components_fit_into_the_room_for_them(void **state)
{
    (void)state;
    assert_true(components_fit());
    assert_true(optimizers_fit());
}

static void an_empty_section_and_an_empty_map_keep_the_defaults(void **state)
{
    (void)state;
    sr_settings settings, wanted;
    parse_settings(&settings, "# nothing but the path\ndata: {path: x}\nmodel:\ncalibrators: {}\ntraining: {}\n", NULL, 0);
    sr_settings_default(&wanted);
    strcpy(wanted.data.path, "x");
    assert_equal_settings(&settings, &wanted);
}

static void expect_optimizer(const char *training, const char *name, sr_weight_decay_kind kind)
{
    char text[256];
    sr_settings settings;
    snprintf(text, sizeof text, "data: {path: x}\ntraining: {%s}\n", training);
    parse_settings(&settings, text, NULL, 0);
    assert_int_equal(settings.training.optimizer, sr_optimizer_number(name));
    assert_int_equal(settings.training.weight_decay_kind, kind);
}

/* Configurations from before there were optimizers to choose mean what they meant. */
static void the_optimizer_and_the_kind_of_weight_decay_follow_each_other(void **state)
{
    (void)state;
    expect_optimizer("", "adamw", SR_WEIGHT_DECAY_DECOUPLED);
    expect_optimizer("weight_decay: 0.1", "adamw", SR_WEIGHT_DECAY_DECOUPLED);
    expect_optimizer("weight_decay_kind: decoupled", "adamw", SR_WEIGHT_DECAY_DECOUPLED);
    expect_optimizer("weight_decay_kind: l2", "adam", SR_WEIGHT_DECAY_L2);
    expect_optimizer("optimizer: adam", "adam", SR_WEIGHT_DECAY_L2);
    expect_optimizer("optimizer: sgd", "sgd", SR_WEIGHT_DECAY_L2);
    expect_optimizer("optimizer: sgd, weight_decay_kind: decoupled", "sgd", SR_WEIGHT_DECAY_DECOUPLED);
    expect_optimizer("optimizer: lamb", "lamb", SR_WEIGHT_DECAY_DECOUPLED);
    assert_int_equal(sr_optimizer_number("none"), -1);
}

/* ---- reading ---- */

static void every_type_of_value_is_read(void **state)
{
    (void)state;
    sr_settings s;
    parse_settings(&s,
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
    parse_settings(&s,
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
    parse_settings(&s, "data: {path: x}\ntraining: {epochs: 3}\nmodel: {heads: 3}\n", assignments,
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
    parse_settings(&s, "", assignments, 1);
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
    assert_string_equal(sr_settings_choice("training.loss", sr_loss_number("bpr")), "bpr");
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
        parse_settings(&s, text, &cases[i].assignment, cases[i].assignment != NULL);
        assert_setting(&s, "calibrators.spatial", cases[i].spatial ? "in use" : "left out");
        assert_setting(&s, "calibrators.refinement", cases[i].refinement ? "in use" : "left out");
        assert_setting(&s, "calibrators.adversarial", cases[i].adversarial ? "in use" : "left out");
    }
}

static void options_of_calibrators_are_read(void **state)
{
    (void)state;
    sr_settings s;
    parse_settings(
        &s,
        "data: {path: x}\n"
        "calibrators:\n"
        "  spatial: {order: false, distance_scale: one}\n"
        "  refinement: {kind: value, source: scores, rank: 7, per_head: true, value: learned}\n"
        "  adversarial:\n    combine: annealing\n    annealing_steps: 7\n    two_level: false\n    rich_combine: trainable\n"
        "    renormalize: mass\n    masked_cells: included\n    penalty: all\n    penalty_weight: 0.3\n"
        "training: {attack_learning_rate_ratio: 10}\n",
        NULL, 0);
    static const known_setting known[] = {
        {"calibrators.spatial.order", "false"},           {"calibrators.spatial.distance", "true"},
        {"calibrators.spatial.distance_scale", "one"},    {"calibrators.refinement.kind", "value"},
        {"calibrators.refinement.source", "scores"},      {"calibrators.refinement.rank", "7"},
        {"calibrators.refinement.per_head", "true"},      {"calibrators.refinement.value", "learned"},
        {"calibrators.adversarial.combine", "annealing"}, {"calibrators.adversarial.annealing_steps", "7"},
        {"calibrators.adversarial.two_level", "false"},   {"calibrators.adversarial.rich_combine", "trainable"},
        {"calibrators.adversarial.renormalize", "mass"},  {"calibrators.adversarial.masked_cells", "included"},
        {"calibrators.adversarial.penalty", "all"},       {"calibrators.adversarial.penalty_weight", "0.3"},
        {"training.attack_learning_rate_ratio", "10"},    {NULL, NULL},
    };
    assert_settings(&s, known);
}

static void every_backbone_takes_the_keys_that_all_have_and_its_own(void **state)
{
    (void)state;
    static const struct {
        const char *backbone, *own, *loss;
    } cases[] = {
        {"sasrec", "  backbone: sasrec\n  positions: learned\n", "cross_entropy"},
        {"bert4rec", "  backbone: bert4rec\n  positions: learned\n  mask_ratio: 0.4\n  masking: released\n", "cross_entropy"},
        {"ssept",
         "  backbone: ssept\n  positions: none\n  user_hidden_size: 15\n"
         "  sse_user_probability: 0.92\n  sse_item_probability: 0.1\n",
         "bpr"},
        {"tisasrec", "  backbone: tisasrec\n  positions: none\n  time_span: 64\n  time_unit: 86400\n", "binary_cross_entropy"},
        {"stosa", "  backbone: stosa\n  positions: learned\n  mean_update: updated\n", "stosa\n  pvn_weight: 0.3"},
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
        parse_settings(&s, text, NULL, 0);
        assert_setting(&s, "model.backbone", cases[i].backbone);
        assert_true(s.model.initializer_mean == 0.01);
    }
}

static void options_of_stosa_are_read(void **state)
{
    (void)state;
    sr_settings s;
    parse_settings(&s,
                   "data: {path: x}\nmodel: {backbone: stosa, mean_update: updated, initializer_mean: -0.5}\n"
                   "training: {loss: stosa, pvn_weight: 0.3}\n",
                   NULL, 0);
    assert_setting(&s, "model.mean_update", "updated");
    assert_int_equal(s.model.loss, sr_loss_number("stosa"));
    assert_setting(&s, "training.pvn_weight", "0.3");
    assert_true(s.model.initializer_mean == -0.5);
}

static void backbones_without_attention_take_the_keys_that_they_have(void **state)
{
    (void)state;
    sr_settings s;
    parse_settings(
        &s,
        "data: {path: x}\nmodel: {backbone: gru4rec, layers: 3, hidden_size: 17, max_length: 9, hidden_dropout: 0.1,\n"
        "  initializer_range: 0.1, initializer_mean: 0, padding: left, gru_hidden_size: 20}\ncalibrators: {}\n"
        "training: {loss: bpr, objective: all}\n",
        NULL, 0); /* 17: there are no heads to share it */
    assert_int_equal(s.model.backbone, sr_backbone_number("gru4rec"));
    assert_setting(&s, "model.gru_hidden_size", "20");
    parse_settings(
        &s,
        "data: {path: x, samples: window}\nmodel: {backbone: caser, hidden_size: 17, max_length: 9, hidden_dropout: 0.1,\n"
        "  padding: left, vertical_filters: 5, horizontal_filters: 6}\n"
        "training: {loss: binary_cross_entropy, objective: last, frobenius_penalty: 0.01}\n",
        NULL, 0);
    assert_int_equal(s.model.backbone, sr_backbone_number("caser"));
    assert_setting(&s, "model.vertical_filters", "5");
    assert_setting(&s, "model.horizontal_filters", "6");
    assert_setting(&s, "training.frobenius_penalty", "0.01");
}

static void norms_around_the_layers_follow_the_norms_of_the_layers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool input, final;
    } cases[] = {{"model: {}\n", true, false},
                 {"model: {norm: pre}\n", false, true},
                 {"model: {norm: query}\n", false, true},
                 {"model: {norm: pre, residual: gated}\n", false, false},
                 {"model: {norm: pre, residual: gated, final_norm: true, input_norm: true}\n", true, true},
                 {"model: {norm: post, input_norm: false}\n", false, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        sr_settings settings;
        char text[256];
        snprintf(text, sizeof text, "data: {path: x}\n%s", cases[i].text);
        assert_int_equal(sr_settings_parse(&settings, text, "run.yaml", NULL, 0, NULL), SR_OK);
        assert_int_equal(settings.model.encoder.input_norm, cases[i].input);
        assert_int_equal(settings.model.encoder.final_norm, cases[i].final);
    }
}

static void tisasrec_has_no_learned_positions_by_default(void **state)
{
    (void)state;
    sr_settings s;
    parse_settings(&s, "data: {path: x}\nmodel: {backbone: tisasrec}\n", NULL, 0);
    assert_int_equal(s.model.positions, SR_POSITIONS_NONE);
    parse_settings(&s, "data: {path: x}\nmodel: {backbone: tisasrec, positions: none}\n", NULL, 0);
    assert_int_equal(s.model.positions, SR_POSITIONS_NONE);
    parse_settings(&s, "data: {path: x}\nmodel: {backbone: ssept}\n", NULL, 0);
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
        parse_settings(&s, texts[i], NULL, 0);
    }
}

/* `value: identity` may stand with any kind: it means nothing with most, and changes nothing. */
static void every_kind_of_refinement_is_taken_by_the_backbones_that_have_it(void **state)
{
    (void)state;
    static const char *const kinds[] = {"simple", "value", "additive", "stochastic"};
    static const char *const backbones[] = {"sasrec", "bert4rec", "ssept", "tisasrec", "stosa"};
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; ++kind)
        for (size_t b = 0; b < sizeof backbones / sizeof *backbones; ++b) {
            const bool stosa = strcmp(backbones[b], "stosa") == 0;
            sr_settings s;
            char text[256];
            if (strcmp(kinds[kind], "stochastic") == 0 && !stosa)
                continue;
            snprintf(text, sizeof text,
                     "data: {path: x}\nmodel: {backbone: %s}\n"
                     "calibrators: {refinement: {kind: %s, value: identity}}\ntraining: {loss: %s}\n",
                     backbones[b], kinds[kind], stosa ? "stosa" : "cross_entropy");
            parse_settings(&s, text, NULL, 0);
            assert_setting(&s, "calibrators.refinement", "in use");
            assert_setting(&s, "calibrators.refinement.kind", kinds[kind]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_documented_ones),
        cmocka_unit_test(no_calibrator_is_in_use_by_default_and_each_has_documented_options),
        cmocka_unit_test(contrastive_training_is_in_use_when_it_is_named_with_the_released_weights),
        cmocka_unit_test(every_default_is_a_value_that_its_key_allows),
        cmocka_unit_test(every_key_stands_in_a_section_and_no_two_are_alike),
        cmocka_unit_test(settings_of_all_components_fit_into_the_room_for_them),
        cmocka_unit_test(the_optimizer_and_the_kind_of_weight_decay_follow_each_other),
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
        cmocka_unit_test(norms_around_the_layers_follow_the_norms_of_the_layers),
        cmocka_unit_test(tisasrec_has_no_learned_positions_by_default),
        cmocka_unit_test(combinations_next_to_the_refused_ones_are_allowed),
        cmocka_unit_test(every_kind_of_refinement_is_taken_by_the_backbones_that_have_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
