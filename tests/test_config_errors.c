/* Every kind of mistake in a configuration is refused with a message that says where, what was found and what is allowed. */
#include "srtrain/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

enum { PARTS = 6 };

typedef struct {
    const char *text;
    const char *assignment;   /* or NULL */
    const char *parts[PARTS]; /* what the message must hold */
} mistake;

static void expect_refusals(const mistake *mistakes, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        const mistake *m = &mistakes[i];
        sr_settings settings;
        sr_error error = {0};
        const sr_status status = sr_settings_parse(&settings, m->text, "run.yaml", &m->assignment, m->assignment != NULL,
                                                   &error);
        if (status != SR_ERROR_USAGE || error.status != SR_ERROR_USAGE)
            fail_msg("status %d instead of a refusal for\n%s%s", (int)status, m->text, m->assignment ? m->assignment : "");
        for (size_t p = 0; p < PARTS && m->parts[p]; ++p)
            if (!strstr(error.message, m->parts[p]))
                fail_msg("\"%s\" is missing in\n%s", m->parts[p], error.message);
    }
}

#define EXPECT_REFUSALS(mistakes) expect_refusals(mistakes, sizeof(mistakes) / sizeof *(mistakes))
#define PATH "data: {path: x}\n"

static void unknown_keys_name_the_nearest_known_one(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {PATH "model:\n  haeds: 2\n",
         NULL,
         {"run.yaml:3:3: error: ", "'model.haeds'", "did you mean 'heads'?", "hidden_size", "\n    haeds: 2\n    ^"}},
        {PATH "trainnig: {}\n", NULL, {"run.yaml:2:1: ", "'trainnig'", "did you mean 'training'?", "logging"}},
        {PATH "training:\n  early_stopping: {patence: 3}\n",
         NULL,
         {"run.yaml:3:20: ", "'training.early_stopping.patence'", "did you mean 'patience'?"}},
        {PATH "model: {epochs: 3}\n", NULL, {"run.yaml:2:9: ", "'model.epochs'", "did you mean 'training.epochs'?"}},
        {PATH "model: {zzzzzzzz: 3}\n", NULL, {"run.yaml:2:9: ", "'model.zzzzzzzz'; known in model: backbone, "}},
        {PATH "calibrators: {spacial: {order: true}}\n",
         NULL,
         {"run.yaml:2:15: ", "calibrator 'spacial', did you mean 'spatial'?", "known are: spatial, refinement, adversarial"}},
        {PATH "calibrators: {frequencies: {}}\n", NULL, {"run.yaml:2:15: ", "'frequencies', did you mean 'frequency'?"}},
        {PATH "calibrators: {refinement: {knid: simple}}\n",
         NULL,
         {"run.yaml:2:28: ", "'calibrators.refinement.knid', did you mean 'kind'?", "kind, source, rank, per_head, value"}},
        {PATH "model: {pvn_weight: 0.3}\n", NULL, {"run.yaml:2:9: ", "did you mean 'training.pvn_weight'?"}},
        {PATH "calibrators: {adversarial: {combin: gate}}\n",
         NULL,
         {"run.yaml:2:29: ", "'calibrators.adversarial.combin'", "did you mean 'combine'?"}},
        {PATH "calibrators: {combine: gate}\n", NULL, {"run.yaml:2:15: ", "did you mean 'calibrators.adversarial.combine'?"}},
        {PATH "calibrators: {adversarial: {order: true}}\n", NULL, {"did you mean 'calibrators.spatial.order'?"}},
        {PATH "model: {? [heads] : 3}\n", NULL, {"run.yaml:2:12: ", "a key of model"}},
    };
    EXPECT_REFUSALS(mistakes);
}

static void duplicate_keys_name_both_lines(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {PATH "model:\n  heads: 2\n  heads: 4\n",
         NULL,
         {"run.yaml:4:3: ", "duplicate key 'model.heads'", "line 3", "    heads: 4\n    ^"}},
        {PATH "data: {path: y}\n", NULL, {"run.yaml:2:1: ", "duplicate key 'data'", "line 1"}},
    };
    EXPECT_REFUSALS(mistakes);
}

static void wrong_types_say_what_was_found_and_what_is_allowed(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {"data: {path: 123}\n", NULL, {"run.yaml:1:14: ", "data.path", "123 (a number)", "a text"}},
        {"data: {path: true}\n", NULL, {"run.yaml:1:14: ", "data.path", "true (a truth value)", "a text"}},
        {"data: {path: ~}\n", NULL, {"run.yaml:1:14: ", "data.path", "nothing", "a text"}},
        {"data: {path: }\n", NULL, {"run.yaml:1:8: ", "data.path is empty", "a text"}},
        {"data: {path: ''}\n", NULL, {"run.yaml:1:14: ", "data.path", "a text of 1 to 1023 bytes"}},
        {"data: {path: [x]}\n", NULL, {"run.yaml:1:15: ", "data.path is [x]", "a text"}},
        {"data: {path: {x: y}}\n", NULL, {"run.yaml:1:15: ", "data.path is a section", "a text"}},
        {"data: {path: \"a\\0b\"}\n", NULL, {"run.yaml:1:14: ", "data.path", "a text"}},
        {"data: {path: x, verify: yes}\n", NULL, {"run.yaml:1:25: ", "data.verify is yes", "true or false"}},
        {"data: {path: x, verify: \"true\"}\n", NULL, {"run.yaml:1:25: ", "true (quoted text)", "true or false"}},
        {"data: {path: x, verify: True}\n", NULL, {"data.verify is True", "true or false"}},
        {PATH "training: {epochs: 1.5}\n",
         NULL,
         {"run.yaml:2:20: ", "training.epochs is 1.5", "a whole number in digits from 0 to 1000000"}},
        {PATH "training: {epochs: 1e3}\n", NULL, {"training.epochs is 1e3", "a whole number in digits"}},
        {PATH "training: {epochs: 010}\n", NULL, {"training.epochs is 010", "a whole number in digits"}},
        {PATH "training: {epochs: 0x10}\n", NULL, {"training.epochs is 0x10", "a whole number in digits"}},
        {PATH "training: {epochs: '3'}\n", NULL, {"run.yaml:2:20: ", "3 (quoted text)", "a whole number"}},
        {PATH "training: {epochs: three}\n", NULL, {"training.epochs is three", "a whole number"}},
        {PATH "training: {learning_rate: fast}\n", NULL, {"run.yaml:2:27: ", "learning_rate is fast", "a number above 0"}},
        {PATH "training: {learning_rate: 0x1p-3}\n", NULL, {"learning_rate is 0x1p-3", "a number"}},
        {PATH "training: {clip_norm: .inf}\n", NULL, {"clip_norm is .inf", "a number"}},
        {PATH "training: {clip_norm: nan}\n", NULL, {"clip_norm is nan", "a number"}},
        {PATH "calibrators: {spatial: true}\n", NULL, {"run.yaml:2:15: ", "calibrators.spatial is true", "a section of keys"}},
        {PATH "calibrators: {spatial: {order: 1}}\n", NULL, {"run.yaml:2:32: ", "spatial.order is 1", "true or false"}},
        {PATH "training: 3\n", NULL, {"run.yaml:2:1: ", "training is 3", "a section of keys"}},
        {PATH "training: [epochs]\n", NULL, {"run.yaml:2:1: ", "training is [epochs]", "a section of keys"}},
        {"- data\n", NULL, {"run.yaml:1:3: ", "the configuration is [data]", "a section of keys"}},
        {"data\n", NULL, {"run.yaml:1:1: ", "the configuration is data", "a section of keys"}},
        {"data: {path: &a x}\nmodel: *a\n", NULL, {"run.yaml:2:", "model is an alias"}},
        {PATH "training: {epochs: !!int 3}\n", NULL, {"training.epochs is a value with a tag"}},
    };
    EXPECT_REFUSALS(mistakes);
}

static void values_out_of_range_name_the_range(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {PATH "model: {layers: 0}\n", NULL, {"run.yaml:2:17: ", "model.layers is 0", "from 1 to 64"}},
        {PATH "model: {heads: 65}\n", NULL, {"model.heads is 65", "from 1 to 64"}},
        {PATH "training: {epochs: -1}\n", NULL, {"training.epochs is -1", "from 0 to 1000000"}},
        {PATH "training: {seed: 9007199254740993}\n", NULL, {"seed is 9007199254740993", "to 9007199254740992"}},
        {PATH "training: {seed: 99999999999999999999}\n", NULL, {"seed is 99999999999999999999"}},
        {PATH "model: {hidden_dropout: 1}\n", NULL, {"hidden_dropout is 1", "a number from 0 to 0.99"}},
        {PATH "training: {learning_rate: 0}\n", NULL, {"learning_rate is 0", "above 0 and up to 1"}},
        {PATH "training: {learning_rate: 1e-60}\n", NULL, {"learning_rate is 1e-60", "above 0"}},
        {PATH "training: {weight_decay: -1e-3}\n", NULL, {"weight_decay is -1e-3", "from 0 to 10"}},
        {PATH "training: {clip_norm: 1e999}\n", NULL, {"clip_norm is 1e999", "from 0"}},
        {PATH "model: {backbone: bert4rec, mask_ratio: 0}\n", NULL, {"mask_ratio is 0", "a number above 0 and below 1"}},
        {PATH "model: {backbone: bert4rec, mask_ratio: 1}\n", NULL, {"mask_ratio is 1", "above 0 and below 1"}},
        {PATH "model: {backbone: bert4rec, mask_ratio: 0.99999999999}\n", NULL, {"mask_ratio is 0.9999", "below 1"}},
        {PATH "model: {backbone: ssept, sse_item_probability: 1}\n", NULL, {"probability is 1", "a number from 0 to below 1"}},
        {PATH "model: {backbone: ssept, sse_user_probability: -0.1}\n", NULL, {"probability is -0.1", "from 0 to below 1"}},
        {PATH "model: {backbone: ssept, user_hidden_size: 0}\n", NULL, {"user_hidden_size is 0", "from 1 to 8191"}},
        {PATH "model: {backbone: tisasrec, time_span: 65536}\n", NULL, {"time_span is 65536", "from 1 to 65535"}},
        {PATH "model: {backbone: tisasrec, time_unit: 0}\n", NULL, {"time_unit is 0", "from 1 to"}},
        {PATH "calibrators: {adversarial: {penalty_weight: -1}}\n", NULL, {"penalty_weight is -1", "from 0 to 1000000"}},
        {PATH "calibrators: {adversarial: {annealing_steps: 0}}\n", NULL, {"annealing_steps is 0", "from 1 to"}},
        {PATH "calibrators: {refinement: {rank: -1}}\n", NULL, {"refinement.rank is -1", "from 0 to 65536"}},
        {PATH "calibrators: {refinement: {rank: 65537}}\n", NULL, {"refinement.rank is 65537", "from 0 to 65536"}},
        {PATH "model: {initializer_mean: 1.5}\n", NULL, {"initializer_mean is 1.5", "a number from -1 to 1"}},
        {PATH "model: {initializer_mean: -1.5}\n", NULL, {"initializer_mean is -1.5", "a number from -1 to 1"}},
        {PATH "training: {pvn_weight: -0.1}\n", "model.backbone=stosa", {"pvn_weight is -0.1", "from 0 to 1000000"}},
        {PATH "calibrators: {adversarial: {}}\ntraining: {attack_learning_rate_ratio: 0}\n",
         NULL,
         {"run.yaml:3:40: ", "attack_learning_rate_ratio is 0", "above 0 and up to 1000"}},
        {PATH "checkpoint: {keep: 1}\n", NULL, {"checkpoint.keep is 1", "from 2 to 1000"}},
        {PATH "evaluation: {top_k: []}\n", NULL, {"top_k is []", "1 to 16 ascending"}},
        {PATH "evaluation: {top_k: 5}\n", NULL, {"run.yaml:2:21: ", "top_k is 5", "a list"}},
        {PATH "evaluation: {top_k: [5, 3]}\n", NULL, {"run.yaml:2:22: ", "top_k is [5, 3]", "ascending"}},
        {PATH "evaluation: {top_k: [5, 5]}\n", NULL, {"top_k is [5, 5]", "ascending"}},
        {PATH "evaluation: {top_k: [5, 1.5]}\n", NULL, {"top_k is [5, 1.5]", "whole numbers"}},
        {PATH "evaluation: {top_k: [5, '7']}\n", NULL, {"top_k is [5, 7]", "whole numbers"}},
        {PATH "evaluation: {top_k: [[5], 7]}\n", NULL, {"top_k is [..., 7]", "whole numbers"}},
        {PATH "evaluation: {top_k: [1001]}\n", NULL, {"top_k is [1001]", "to 1000"}},
        {PATH "evaluation: {top_k: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}\n", NULL, {"top_k is [1, 2, ", "1 to 16"}},
    };
    EXPECT_REFUSALS(mistakes);
}

static void unknown_choices_name_the_known_ones(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {PATH "model: {activation: gleu}\n",
         NULL,
         {"run.yaml:2:21: ", "activation is gleu", "did you mean 'gelu'?", "gelu, relu, swish, tanh, sigmoid, elu"}},
        {PATH "training:\n  loss: cross_entrpy\n",
         NULL,
         {"run.yaml:3:9: ", "loss is cross_entrpy", "did you mean 'cross_entropy'?", "binary_cross_entropy"}},
        {PATH "model: {backbone: bert4rek}\n",
         NULL,
         {"backbone is bert4rek", "did you mean 'bert4rec'?", "one of sasrec, bert4rec, ssept, tisasrec, stosa"}},
        {PATH "model: {mean_update: update}\n", "model.backbone=stosa", {"did you mean 'updated'?", "one of frozen, updated"}},
        {PATH "calibrators: {refinement: {kind: simpel}}\n",
         NULL,
         {"kind is simpel, did you mean 'simple'?", "one of simple, value, additive, stochastic"}},
        {PATH "calibrators: {refinement: {source: weights}}\n", NULL, {"source is weights", "one of probabilities, scores"}},
        {PATH "calibrators: {refinement: {value: true}}\n", NULL, {"value is true (a truth value)", "identity, learned"}},
        {PATH "training: {loss: stosta}\n", NULL, {"did you mean 'stosa'?", "binary_cross_entropy, stosa"}},
        {PATH "calibrators: {adversarial: {renormalize: sum}}\n", NULL, {"renormalize is sum", "one of softmax, none, mass"}},
        {PATH "training: {precision: fp16}\n", NULL, {"precision is fp16", "one of fp32, bf16"}},
        {PATH "evaluation: {history: 1}\n", NULL, {"history is 1 (a number)", "keep, exclude, zero"}},
    };
    EXPECT_REFUSALS(mistakes);
}

static void values_that_do_not_go_together_name_both_keys_and_their_lines(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {PATH "model:\n  hidden_size: 50\n  heads: 3\n",
         NULL,
         {"run.yaml:4:10: ", "model.heads is 3 (line 4)", "model.hidden_size is 50 (line 3)"}},
        {PATH "model: {hidden_size: 63}\n",
         NULL,
         {"run.yaml:2:22: ", "model.heads is 2 (default)", "hidden_size is 63 (line 2)"}},
        {PATH "model: {heads: 2}\n",
         "model.hidden_size=63",
         {"--set model.hidden_size=63: error: ", "heads is 2 (line 2)", "63 (--set)"}},
        {PATH "evaluation: {top_k: [5]}\n",
         NULL,
         {"run.yaml:2:22: ", "metric is \"ndcg@10\" (default)", "top_k is [5] (line 2)", "hr@K"}},
        {PATH "training:\n  early_stopping: {metric: map@10}\n",
         NULL,
         {"run.yaml:3:28: ", "metric is \"map@10\" (line 3)", "mrr@K"}},
        {PATH "training:\n  early_stopping: {metric: ndcg@010}\n", NULL, {"metric is \"ndcg@010\""}},
        {"data: {path: x, samples: window}\ntraining: {objective: all}\n",
         NULL,
         {"run.yaml:2:23: ", "training.objective is all (line 2)", "data.samples is window (line 1)", "prefix"}},
        {"data: {path: x, samples: window}\nmodel: {max_length: 1}\n",
         NULL,
         {"run.yaml:2:21: ", "model.max_length is 1 (line 2)", "data.samples is window (line 1)"}},
        {PATH "training: {learning_rate: 0.5, weight_decay: 2}\n",
         NULL,
         {"run.yaml:2:46: ", "weight_decay is 2 (line 2)", "learning_rate is 0.5 (line 2)"}},
    };
    EXPECT_REFUSALS(mistakes);
}

static void keys_that_have_no_meaning_are_refused_where_they_are_given(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {PATH "model:\n  layers: 2\n  mask_ratio: 0.2\n",
         NULL,
         {"run.yaml:4:15: error: ",
          "model.mask_ratio is given (line 4), but model.backbone sasrec has no use for it; it belongs to bert4rec",
          "\n    mask_ratio: 0.2\n                ^"}},
        {PATH "model: {mask_ratio: 0.3, backbone: bert4rec}\n",
         "model.backbone=ssept",
         {"run.yaml:2:21: ", "mask_ratio is given (line 2), but model.backbone ssept has no use", "belongs to bert4rec"}},
        {PATH, "model.masking=released", {"--set model.masking=released: error: model.masking is given (--set), but"}},
        {PATH "model: {backbone: tisasrec, user_hidden_size: 8}\n", NULL, {"tisasrec has no use for it; it belongs to ssept"}},
        {PATH "model: {sse_user_probability: 0}\n", NULL, {"sse_user_probability is given (line 2)", "belongs to ssept"}},
        {PATH "model: {sse_item_probability: 0}\n", NULL, {"sse_item_probability is given (line 2)", "belongs to ssept"}},
        {PATH "model: {backbone: ssept, time_span: 64}\n", NULL, {"ssept has no use for it; it belongs to tisasrec"}},
        {PATH "model: {time_unit: 1}\n", NULL, {"time_unit is given (line 2)", "belongs to tisasrec"}},
        {PATH "model: {time_dropout: table}\n", NULL, {"time_dropout is given (line 2)", "belongs to tisasrec"}},
        {PATH "model: {mean_update: frozen}\n", NULL, {"mean_update is given (line 2)", "belongs to stosa"}},
        {PATH "model: {backbone: ssept}\ntraining: {pvn_weight: 0.005}\n",
         NULL,
         {"run.yaml:3:24: ", "training.pvn_weight is given (line 3), but training.loss cross_entropy has no use for it",
          "belongs to stosa (training.loss)"}},
        {PATH "model: {backbone: stosa}\ntraining: {pvn_weight: 1}\n",
         NULL,
         {"run.yaml:2:19: ", "training.loss is cross_entropy (default)", "model.backbone is stosa (line 2)", "use loss stosa"}},
        {PATH "training: {loss: bpr}\n",
         "training.pvn_weight=0",
         {"--set training.pvn_weight=0: error: ", "pvn_weight is given (--set), but training.loss bpr"}},
        {PATH "model: {backbone: gru4rec, heads: 2}\n",
         NULL,
         {"run.yaml:2:35: ", "model.heads is given (line 2), but model.backbone gru4rec has no use for it",
          "it belongs to sasrec, bert4rec, ssept, tisasrec, stosa"}},
        {PATH "model: {backbone: fmlprec, heads: 2}\n", NULL, {"model.heads is given", "fmlprec has no use"}},
        {PATH "model: {backbone: fmlprec, attention_dropout: 0}\n", NULL, {"dropout is given", "fmlprec has no use"}},
        {PATH "model: {backbone: gru4rec, inner_size: 8}\n", NULL, {"inner_size is given", "gru4rec has no use"}},
        {PATH "model: {backbone: gru4rec, activation: gelu}\n", NULL, {"activation is given", "gru4rec has no use"}},
        {PATH "model: {backbone: gru4rec, attention_dropout: 0}\n", NULL, {"dropout is given", "gru4rec has no use"}},
        {PATH "model: {backbone: gru4rec, layer_norm_epsilon: 0}\n", NULL, {"epsilon is given", "gru4rec has no use"}},
        {PATH "model: {backbone: gru4rec, positions: none}\n", NULL, {"positions is given", "gru4rec has no use"}},
        {PATH "model: {backbone: caser, layers: 2}\n", NULL, {"model.layers is given", "caser has no use for it"}},
        {PATH "model: {backbone: caser, activation: relu}\n", NULL, {"activation is given", "caser has no use for it"}},
        {PATH "model: {vertical_filters: 4}\n", NULL, {"vertical_filters is given (line 2)", "belongs to caser"}},
        {PATH "model: {horizontal_filters: 4}\n", NULL, {"horizontal_filters is given (line 2)", "belongs to caser"}},
        {PATH, "training.frobenius_penalty=0", {"frobenius_penalty is given (--set)", "belongs to caser"}},
        {PATH, "model.gru_hidden_size=64", {"gru_hidden_size is given (--set)", "belongs to gru4rec"}},
        {PATH "calibrators: {spatial: {}}\ntraining:\n  attack_learning_rate_ratio: 1\n",
         NULL,
         {"run.yaml:4:31: ", "training.attack_learning_rate_ratio is given (line 4), but calibrators.adversarial",
          "not in use"}},
    };
    EXPECT_REFUSALS(mistakes);
}

static void combinations_that_a_model_cannot_train_with_are_refused(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {PATH "model: {backbone: bert4rec}\ntraining: {loss: bpr}\n",
         NULL,
         {"run.yaml:3:18: ", "training.loss is bpr (line 3)", "model.backbone is bert4rec (line 2)", "whole catalogue"}},
        {PATH "training: {loss: binary_cross_entropy}\n",
         "model.backbone=bert4rec",
         {"--set model.backbone=bert4rec: error: training.loss is binary_cross_entropy (line 2)", "whole catalogue"}},
        {PATH "training: {reduction: overlapped, reduction_precision: bf16}\n",
         NULL,
         {"run.yaml:2:56: ", "training.reduction_precision is bf16 (line 2)", "training.reduction is overlapped (line 2)",
          "use reduction shared or blocking"}},
        {PATH "model: {backbone: caser}\ntraining: {objective: all}\n",
         NULL,
         {"run.yaml:3:23: ", "training.objective is all (line 3)", "model.backbone is caser (line 2)",
          "one state of a whole window", "use objective last"}},
        {PATH "training: {objective: all}\n", "model.backbone=caser", {"--set model.backbone=caser: error: ", "one state"}},
        {PATH "model: {backbone: bert4rec, masking: released, max_length: 1}\n",
         NULL,
         {"run.yaml:2:60: ", "model.max_length is 1 (line 2)", "model.masking is released (line 2)",
          "nothing would be learned"}},
        {PATH "model: {backbone: ssept, hidden_size: 32}\n",
         NULL,
         {"run.yaml:2:39: ", "user_hidden_size is 32 (default)", "model.hidden_size is 32 (line 2)", "smaller"}},
        {PATH "model: {backbone: ssept, user_hidden_size: 64}\n", NULL, {"run.yaml:2:44: ", "user_hidden_size is 64 (line 2)"}},
        {PATH "model: {positions: learned, backbone: tisasrec}\n",
         NULL,
         {"run.yaml:2:20: ", "model.positions is learned (line 2)", "model.backbone is tisasrec (line 2)", "of its own"}},
        {PATH "model: {backbone: tisasrec}\n", "model.positions=learned", {"--set model.positions=learned: error: "}},
        {PATH "calibrators: {adversarial: {combine: fixed, renormalize: none, masked_cells: included}}\n"
              "training: {objective: all}\n",
         NULL,
         {"run.yaml:2:78: ", "masked_cells is included (line 2)", "training.objective is all (line 3)",
          "would see the item that it has to predict", "masked_cells excluded, another renormalize, or objective last"}},
        {PATH "calibrators: {frequency: {alpha: 0.5}}\n"
              "training: {objective: all}\n",
         NULL,
         {"run.yaml:2:15: ", "calibrators.frequency is in use (line 2)", "training.objective is all (line 3)",
          "would be shown the item that it has to predict", "objective last"}},
        {PATH "calibrators: {frequency: {window: sequence}}\n",
         "training.objective=all",
         {"--set training.objective=all: error: ", "would be shown"}},
        {PATH "model: {backbone: fmlprec}\n"
              "training: {objective: all}\n",
         NULL,
         {"run.yaml:3:", "training.objective is all (line 3)", "model.backbone is fmlprec (line 2)", "would be shown"}},
        {PATH "model: {backbone: stosa}\n"
              "training: {loss: stosa}\n"
              "calibrators: {frequency: {}}\n",
         NULL,
         {"run.yaml:4:15: ", "calibrators.frequency is in use", "model.backbone is stosa", "stosa's are Gaussians"}},
        {PATH "calibrators: {frequency: {engine: fft}}\n", NULL, {"engine is fft", "auto, fftw, projection"}},
        {PATH "model: {filter_engine: fftw}\n", NULL, {"model.filter_engine is given (line 2)", "belongs to fmlprec, fearec"}},
        {PATH "model: {backbone: tisasrec}\n"
              "calibrators: {adversarial: {combine: fixed, renormalize: none, masked_cells: included}}\n",
         "training.objective=all",
         {"--set training.objective=all: error: ", "would see"}},
        {PATH "calibrators: {adversarial: {}}\n"
              "training: {learning_rate: 0.01, weight_decay: 1, attack_learning_rate_ratio: 100}\n",
         NULL,
         {"run.yaml:3:47: ", "weight_decay is 1 (line 3)", "attack_learning_rate_ratio is 100 (line 3)", "below 1"}},
    };
    EXPECT_REFUSALS(mistakes);
}

static void contrastive_training_is_refused_where_there_is_no_state_of_an_example_to_compare(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {PATH "model: {backbone: bert4rec}\ntraining:\n  contrastive: {}\n",
         NULL,
         {"run.yaml:4:3: ", "training.contrastive is in use (line 4)", "model.backbone is bert4rec (line 2)", "masked items"}},
        {PATH "model: {backbone: stosa}\ntraining: {loss: stosa}\n",
         "training.contrastive.weight=0.1",
         {"--set training.contrastive.weight=0.1: error: ", "contrastive is in use (--set)", "backbone is stosa (line 2)"}},
        {PATH "training: {contrastive: {}, objective: all}\n",
         NULL,
         {"training.contrastive is in use (line 2)", "training.objective is all (line 2)", "use objective last"}},
        {PATH "calibrators: {adversarial: {}}\ntraining: {contrastive: {}}\n",
         NULL,
         {"run.yaml:3:12: ", "training.contrastive is in use (line 3)", "calibrators.adversarial is in use (line 2)"}},
        {PATH "training: {contrastive: {temperature: 0}}\n", NULL, {"run.yaml:2:39: ", "temperature is 0", "above 0"}},
        {PATH "training: {contrastive: {tau: 1}}\n",
         NULL,
         {"run.yaml:2:26: ", "'training.contrastive.tau'", "weight, temperature, spectral_weight"}},
        {PATH "training: {contrastive: true}\n", NULL, {"training.contrastive is true", "a section of keys"}},
    };
    EXPECT_REFUSALS(mistakes);
}

static void windows_that_leave_fearec_no_lags_or_no_frequencies_are_refused(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {PATH "model: {backbone: fearec, max_length: 34}\n",
         NULL,
         {"run.yaml:2:39: ", "model.topk_factor is 10 (default)", "max_length is 34 (line 2)", "is 35, but", "use another"}},
        {PATH "model: {backbone: fearec, max_length: 20}\n", NULL, {"is 29, but the window has 20 lags"}},
        {PATH "model: {backbone: fearec, topk_factor: 0.1}\n",
         NULL,
         {"run.yaml:2:40: ", "topk_factor is 0.1 (line 2)", "is 0, but"}},
        {PATH "model: {backbone: fearec, max_length: 1}\n", NULL, {"is 0, but the window has 1"}},
        {PATH "model: {backbone: fearec, topk_factor: 1, max_length: 6, layers: 5, global_ratio: 0.1}\n",
         NULL,
         {"model.layers is 5 (line 2)", "max_length is 6 (line 2)", "none of the 4 frequencies", "a larger global_ratio"}},
        {PATH "model: {backbone: fearec, global_ratio: 0}\n", NULL, {"global_ratio is 0", "above 0 and up to 1"}},
        {PATH "model: {backbone: fearec, spatial_ratio: 1.1}\n", NULL, {"spatial_ratio is 1.1", "from 0 to 1"}},
        {PATH "model: {global_ratio: 0.6}\n", NULL, {"global_ratio is given (line 2)", "belongs to fearec"}},
        {PATH "model: {spatial_ratio: 0.1}\n", NULL, {"spatial_ratio is given (line 2)", "belongs to fearec"}},
        {PATH "model: {topk_factor: 10}\n", NULL, {"topk_factor is given (line 2)", "belongs to fearec"}},
        {PATH "training: {contrastive: {spectral_weight: 0.1}}\n",
         NULL,
         {"run.yaml:2:43: ", "spectral_weight is given (line 2), but model.backbone sasrec", "belongs to fearec"}},
        {PATH "model: {backbone: fearec}\n",
         "training.contrastive.spectral_weight=-1",
         {"spectral_weight is -1", "from 0 to 1000000"}},
        {PATH "model: {backbone: fearec}\ntraining: {objective: all}\n",
         NULL,
         {"run.yaml:3:", "training.objective is all (line 3)", "model.backbone is fearec (line 2)", "would be shown"}},
        {PATH "model: {backbone: fearec}\ncalibrators: {spatial: {}}\n",
         NULL,
         {"calibrators.spatial is in use (line 3) and model.backbone is fearec (line 2)", "sasrec, bert4rec"}},
    };
    EXPECT_REFUSALS(mistakes);
}

static void stosa_and_its_loss_are_refused_without_each_other(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {PATH "model: {backbone: stosa}\n",
         NULL,
         {"run.yaml:2:19: ", "training.loss is cross_entropy (default) and model.backbone is stosa (line 2)", "use loss stosa",
          "a training.pvn_weight of 0"}},
        {PATH "model: {backbone: stosa}\ntraining: {loss: bpr}\n",
         NULL,
         {"run.yaml:3:18: ", "training.loss is bpr (line 3)", "model.backbone is stosa (line 2)", "use loss stosa"}},
        {PATH "training: {loss: binary_cross_entropy}\n",
         "model.backbone=stosa",
         {"--set model.backbone=stosa: error: training.loss is binary_cross_entropy (line 2)", "backbone is stosa (--set)"}},
        {PATH "training: {loss: stosa}\n",
         NULL,
         {"run.yaml:2:18: ", "training.loss is stosa (line 2) and model.backbone is sasrec (default)",
          "use backbone stosa or another loss"}},
        {PATH "model: {backbone: ssept}\n", "training.loss=stosa", {"--set training.loss=stosa: error: ", "ssept (line 2)"}},
        {PATH "model: {backbone: tisasrec}\n", "training.loss=stosa", {"backbone is tisasrec (line 2)", "no other backbone"}},
        {PATH "model: {backbone: bert4rec}\n", "training.loss=stosa", {"loss is stosa (--set)", "backbone is bert4rec"}},
    };
    EXPECT_REFUSALS(mistakes);
}

static void calibrators_are_refused_on_backbones_without_attention(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {PATH "model: {backbone: gru4rec}\ncalibrators: {spatial: {}}\n",
         NULL,
         {"run.yaml:3:15: error: ", "calibrators.spatial is in use (line 3) and model.backbone is gru4rec (line 2)",
          "stages of attention, which this backbone does not have",
          "use one of sasrec, bert4rec, ssept, tisasrec, stosa, or leave calibrators.spatial out"}},
        {PATH "model: {backbone: fmlprec}\ncalibrators: {frequency: {}}\n",
         NULL,
         {"calibrators.frequency is in use (line 3) and model.backbone is fmlprec (line 2)", "stages of attention"}},
        {PATH "model: {backbone: caser}\ncalibrators: {adversarial: {}}\n", NULL, {"backbone is caser (line 2)", "stages of"}},
        {PATH "calibrators: {refinement: {kind: simple}}\n",
         "model.backbone=gru4rec",
         {"--set model.backbone=gru4rec: error: calibrators.refinement is in use (line 2)"}},
        {PATH "model: {backbone: gru4rec}\n",
         "calibrators.adversarial.combine=gate",
         {"--set calibrators.adversarial.combine=gate: error: calibrators.adversarial is in use (--set)"}},
    };
    EXPECT_REFUSALS(mistakes);
}

#define STOSA PATH "model: {backbone: stosa}\ntraining: {loss: stosa}\n"

static void calibrators_of_dot_products_are_refused_on_stosa_where_they_are_named(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {STOSA "calibrators: {spatial: {}}\n",
         NULL,
         {"run.yaml:4:15: ", "calibrators.spatial is in use (line 4) and model.backbone is stosa (line 2)", "dot products"}},
        {STOSA "calibrators:\n  spatial:\n    order: false\n", NULL, {"run.yaml:5:3: ", "spatial is in use (line 5)"}},
        {STOSA "calibrators:\n  refinement: {}\n  adversarial:\n",
         NULL,
         {"run.yaml:6:3: ", "calibrators.adversarial is in use (line 6) and model.backbone is stosa (line 2)",
          "no calibrator but refinement"}},
        {STOSA,
         "calibrators.adversarial.penalty=all",
         {"--set calibrators.adversarial.penalty=all: error: calibrators.adversarial is in use (--set)"}},
        {STOSA "calibrators: {spatial: {}}\n",
         "calibrators.spatial.order=true",
         {"run.yaml:4:15: ", "calibrators.spatial is in use (line 4)"}},
        {PATH "calibrators: {spatial: {}}\ntraining: {loss: stosa}\n",
         "model.backbone=stosa",
         {"--set model.backbone=stosa: error: calibrators.spatial is in use (line 2) and model.backbone is stosa (--set)"}},
    };
    EXPECT_REFUSALS(mistakes);
}

static void refinements_without_a_meaning_are_refused(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {PATH "calibrators: {refinement: {kind: stochastic}}\n",
         NULL,
         {"run.yaml:2:34: ", "calibrators.refinement.kind is stochastic (line 2) and model.backbone is sasrec (default)",
          "stosa alone", "kind simple, value or additive"}},
        {PATH "model: {backbone: stosa}\ncalibrators: {refinement: {kind: stochastic}}\n",
         "model.backbone=tisasrec",
         {"--set model.backbone=tisasrec: error: calibrators.refinement.kind is stochastic (line 3)", "tisasrec (--set)"}},
        {PATH "model: {backbone: bert4rec}\n",
         "calibrators.refinement.kind=stochastic",
         {"--set calibrators.refinement.kind=stochastic: error: ", "model.backbone is bert4rec (line 2)"}},
        {PATH "calibrators:\n  refinement:\n    value: learned\n",
         NULL,
         {"run.yaml:4:12: ",
          "calibrators.refinement.value is learned (line 4) and calibrators.refinement.kind is simple (default)",
          "use kind value or value identity"}},
        {PATH "calibrators: {refinement: {kind: additive, value: learned}}\n",
         NULL,
         {"run.yaml:2:51: ", "value is learned (line 2)", "kind is additive (line 2)"}},
        {PATH "calibrators: {refinement: {kind: value, value: learned}}\n",
         "calibrators.refinement.kind=simple",
         {"--set calibrators.refinement.kind=simple: error: ", "value is learned (line 2)", "kind is simple (--set)"}},
        {STOSA "calibrators: {refinement: {kind: stochastic, value: learned}}\n", NULL, {"kind is stochastic (line 4)"}},
    };
    EXPECT_REFUSALS(mistakes);
}

static void text_that_is_no_yaml_is_refused_at_its_line(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {"data:\n\tpath: x\n", NULL, {"run.yaml:2:1: error: tab"}},
        {"data: {path: x\nmodel: {}\n", NULL, {"run.yaml:", "error: "}},
        {PATH "}\n", NULL, {"run.yaml:2:1: error: ", "\n  }\n  ^"}},
        {PATH "model: {heads: \xFF}\n", NULL, {"run.yaml:2:16: ", "0xFF is not UTF-8"}},
        {PATH "model:\n  heads: 2\xC0\xAF\n", NULL, {"run.yaml:3:11: ", "0xC0 is not UTF-8"}},
        {PATH "---\nmodel: {heads: 4}\n", NULL, {"run.yaml:3:1: ", "a second document"}},
    };
    EXPECT_REFUSALS(mistakes);
}

static void the_missing_path_is_named(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {"", NULL, {"run.yaml: error: data.path is missing", "--set data.path=..."}},
        {"# nothing\n\n", NULL, {"run.yaml: error: data.path is missing"}},
        {"model: {heads: 4}\n", NULL, {"run.yaml: error: data.path is missing"}},
        {"model: {}\ndata: {verify: true}\n", NULL, {"run.yaml:2:1: error: data.path is missing"}},
    };
    EXPECT_REFUSALS(mistakes);
}

static void assignments_are_named_with_their_mistake(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {PATH, "training.epochs", {"--set training.epochs: error: there is no '='"}},
        {PATH, "=3", {"--set =3: error: there is no key"}},
        {PATH, "training.epoch=3", {"--set training.epoch=3: error: ", "'training.epoch'", "did you mean 'epochs'?"}},
        {PATH, "trainnig.epochs=3", {"--set trainnig.epochs=3: error: ", "did you mean 'training'?"}},
        {PATH, "epochs=3", {"--set epochs=3: error: ", "did you mean 'training.epochs'?"}},
        {PATH,
         "calibrators.attention.alpha=1",
         {"error: unknown calibrator 'attention'; known are: spatial, refinement, adversarial, frequency"}},
        {PATH, "calibrators.spatial.odrer=true", {"error: unknown key 'calibrators.spatial.odrer', did you mean 'order'?"}},
        {PATH, "calibrators.spatial={}", {"error: calibrators.spatial is a section", "calibrators.spatial.KEY=VALUE"}},
        {PATH, "training.early_stopping={metric: hr@5}", {"error: training.early_stopping is a section"}},
        {PATH, "training=3", {"error: training is a section"}},
        {PATH,
         "training.contrastive.weight.x=1",
         {"unknown key 'training.contrastive.weight.x': training.contrastive.weight is a key, below which nothing stands; "
          "write --set training.contrastive.weight=VALUE"}},
        {PATH, "training.epochs.more=3", {"error: unknown key 'training.epochs.more': training.epochs is a key"}},
        {PATH, "training.epochs=", {"--set training.epochs=: error: training.epochs is empty", "a whole number"}},
        {PATH, "training.epochs=many", {"--set training.epochs=many: error: training.epochs is many", "a whole number"}},
        {PATH, "evaluation.top_k=[[5], 10]", {"error: evaluation.top_k is [..., 10]", "a list"}},
        {PATH, "evaluation.top_k=[5", {"--set evaluation.top_k=[5: error: flow sequence"}},
        {PATH, "data.path=x\n---\ny", {"a second document"}},
        {PATH, "data.path=\xFF", {"0xFF is not UTF-8"}},
    };
    EXPECT_REFUSALS(mistakes);
}

static void a_text_longer_than_its_field_is_refused(void **state)
{
    (void)state;
    char assignment[SR_PATH_SIZE + 32] = "data.path=";
    const size_t start = strlen(assignment);
    memset(assignment + start, 'x', SR_PATH_SIZE);
    const mistake mistakes[] = {{PATH, assignment, {"data.path is xxx", "1 to 1023 bytes"}}};
    EXPECT_REFUSALS(mistakes);
    assignment[start + SR_PATH_SIZE - 1] = '\0';
    sr_settings settings;
    sr_error error = {0};
    const char *const assignments[] = {assignment};
    assert_int_equal(sr_settings_parse(&settings, PATH, "run.yaml", assignments, 1, &error), SR_OK);
    assert_int_equal(strlen(settings.data.path), SR_PATH_SIZE - 1);
}

/* ---- files ---- */

static void write_file(const char *path, const char *bytes, size_t count)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}

static void expect_unreadable(const char *path, const char *part)
{
    sr_settings settings;
    sr_error error = {0};
    assert_int_equal(sr_settings_read(&settings, path, NULL, 0, &error), SR_ERROR_USAGE);
    assert_int_equal(strncmp(error.message, path, strlen(path)), 0);
    if (!strstr(error.message, part))
        fail_msg("\"%s\" is missing in\n%s", part, error.message);
}

static void files_that_cannot_be_read_say_why(void **state)
{
    (void)state;
    enum { HUGE = (1 << 20) + 1 };
    char directory[] = "/tmp/srtrain-config-XXXXXX", path[64];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/run.yaml", directory);
    expect_unreadable(path, "No such file");
    expect_unreadable(directory, "Is a directory");
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes to it */
    expect_unreadable(path, "it is a pipe or a device, and each rank reads a regular file");
    assert_int_equal(unlink(path), 0);
    write_file(path, "data: {path: x}\n\0model: {}\n", 27);
    expect_unreadable(path, "a zero byte");
    char *comment = malloc(HUGE);
    assert_non_null(comment);
    memset(comment, '#', HUGE);
    write_file(path, comment, HUGE);
    free(comment);
    expect_unreadable(path, "larger than 1048576 bytes");
    write_file(path, "model:\n  haeds: 2\n", 18);
    expect_unreadable(path, "run.yaml:2:3: error: unknown key 'model.haeds'");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
}

static void nothing_is_written_to_the_terminal(void **state)
{
    (void)state;
    char path[] = "/tmp/srtrain-config-XXXXXX";
    const int file = mkstemp(path), old = dup(STDERR_FILENO);
    assert_true(file >= 0 && old >= 0);
    static const char *const texts[] = {"", "data: [", "data: {path: x, path: y}", "data: \xFF", "model: {haeds: 1}", "- x"};
    assert_true(dup2(file, STDERR_FILENO) >= 0);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i) {
        sr_settings settings;
        sr_error error;
        (void)sr_settings_parse(&settings, texts[i], "run.yaml", NULL, 0, &error);
    }
    fflush(stderr);
    assert_true(dup2(old, STDERR_FILENO) >= 0);
    struct stat status;
    assert_int_equal(fstat(file, &status), 0);
    close(old);
    close(file);
    unlink(path);
    assert_int_equal(status.st_size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_keys_name_the_nearest_known_one),
        cmocka_unit_test(duplicate_keys_name_both_lines),
        cmocka_unit_test(wrong_types_say_what_was_found_and_what_is_allowed),
        cmocka_unit_test(values_out_of_range_name_the_range),
        cmocka_unit_test(unknown_choices_name_the_known_ones),
        cmocka_unit_test(values_that_do_not_go_together_name_both_keys_and_their_lines),
        cmocka_unit_test(keys_that_have_no_meaning_are_refused_where_they_are_given),
        cmocka_unit_test(combinations_that_a_model_cannot_train_with_are_refused),
        cmocka_unit_test(contrastive_training_is_refused_where_there_is_no_state_of_an_example_to_compare),
        cmocka_unit_test(windows_that_leave_fearec_no_lags_or_no_frequencies_are_refused),
        cmocka_unit_test(stosa_and_its_loss_are_refused_without_each_other),
        cmocka_unit_test(calibrators_are_refused_on_backbones_without_attention),
        cmocka_unit_test(calibrators_of_dot_products_are_refused_on_stosa_where_they_are_named),
        cmocka_unit_test(refinements_without_a_meaning_are_refused),
        cmocka_unit_test(text_that_is_no_yaml_is_refused_at_its_line),
        cmocka_unit_test(the_missing_path_is_named),
        cmocka_unit_test(assignments_are_named_with_their_mistake),
        cmocka_unit_test(a_text_longer_than_its_field_is_refused),
        cmocka_unit_test(files_that_cannot_be_read_say_why),
        cmocka_unit_test(nothing_is_written_to_the_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
