/* Settings that do not go together are refused with a message that names both and their lines. */
#include "config_mistakes.h"
#include "srtrain/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

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
        {PATH "training: {batch_size: 1024, learning_rate: 0.1, batch_scaling: square_root, weight_decay: 6, base_batch_size: "
              "256}\n",
         NULL,
         {"weight_decay is 6 (line 2)", "must be below 1"}},
        {PATH "training: {batch_scaling: linear}\n",
         NULL,
         {"batch_scaling is linear (line 2)", "base_batch_size is 0", "give both, or none"}},
        {PATH "training: {base_batch_size: 128}\n", NULL, {"base_batch_size is 128 (line 2)", "give both, or none"}},
        {PATH "training: {warmup_steps: 5, warmup_epochs: 0.5}\n",
         NULL,
         {"warmup_epochs is 0.5 (line 2)", "warmup_steps is 5 (line 2)", "leave one of them out"}},
        {PATH "model: {backbone: stosa, similarity: cosine}\ntraining: {loss: stosa}\n",
         NULL,
         {"run.yaml:2:38: ", "similarity is cosine (line 2)", "backbone is stosa (line 2)", "have no direction"}},
        {PATH "model: {backbone: bert4rec, similarity: cosine}\n",
         NULL,
         {"similarity is cosine (line 2)", "backbone is bert4rec (line 2)", "masked items are found by dot products"}},
        {PATH "model: {backbone: bert4rec}\ntraining: {loss: sampled_softmax}\n",
         NULL,
         {"loss is sampled_softmax (line 3)", "backbone is bert4rec (line 2)", "use cross_entropy"}},
        {PATH "training: {loss: gbce, negatives: 0, negative_sampling: batch}\n",
         NULL,
         {"negatives is 0 (line 2)", "loss is gbce (line 2)", "calibrated for a number of negatives"}},
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
        {PATH "model: {time_unit: 1}\n", NULL, {"time_unit is given (line 2)", "belongs to tisasrec, hstu"}},
        {PATH "model: {mean_update: frozen}\n", NULL, {"mean_update is given (line 2)", "belongs to stosa"}},
        {PATH "model: {backbone: ssept}\ntraining: {pvn_weight: 0.005}\n",
         NULL,
         {"run.yaml:3:24: ", "training.pvn_weight is given (line 3), but training.loss cross_entropy has no use for it",
          "belongs to stosa (training.loss)"}},
        {PATH "model: {backbone: stosa}\ntraining: {pvn_weight: 1}\n",
         NULL,
         {"run.yaml:2:19: ", "training.loss is cross_entropy (default)", "model.backbone is stosa (line 2)", "use loss stosa"}},
        {PATH "model: {backbone: stosa}\ntraining: {loss: stosa, temperature: 2}\n",
         NULL,
         {"training.temperature is given (line 3), but training.loss stosa has no use for it", "gbce (training.loss)"}},
        {PATH "model: {backbone: stosa, similarity: dot}\ntraining: {loss: stosa}\n",
         NULL,
         {"model.similarity is given (line 2), but model.backbone stosa has no use for it"}},
        {PATH "training: {loss: gbce, log_q: none}\n",
         NULL,
         {"training.log_q is given (line 2), but training.loss gbce has no use", "belongs to sampled_softmax"}},
        {PATH "training: {loss: bpr, calibration: 1}\n", NULL, {"loss bpr has no use for it", "belongs to gbce"}},
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

static void optimizers_are_refused_what_they_cannot_do(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {PATH "training: {optimizer: adan}\n",
         NULL,
         {"run.yaml:2:23: ", "optimizer is adan", "one of adamw, adam, sgd, lamb", "did you mean 'adam'"}},
        {PATH "training: {optimizer: adamw, weight_decay_kind: l2}\n",
         NULL,
         {"training.weight_decay_kind is l2 (line 2)", "optimizer is adamw (line 2)", "use optimizer adam"}},
        {PATH "training: {optimizer: adam, weight_decay_kind: decoupled}\n",
         NULL,
         {"training.weight_decay_kind is decoupled (line 2)", "optimizer is adam (line 2)", "use optimizer adamw"}},
        {PATH "training: {optimizer: lamb, weight_decay_kind: l2}\n",
         NULL,
         {"training.weight_decay_kind is l2 (line 2)", "optimizer is lamb (line 2)", "use decoupled"}},
        {PATH "training: {optimizer: sgd, adam_beta1: 0.9}\n",
         NULL,
         {"adam_beta1 is given (line 2)", "training.optimizer sgd has no use", "belongs to adamw, adam, lamb"}},
        {PATH "training: {momentum: 0.9}\n", NULL, {"momentum is given (line 2)", "adamw has no use", "belongs to sgd"}},
        {PATH "training: {optimizer: sgd, momentum: 1}\n", NULL, {"momentum is 1", "from 0 to below 1"}},
        {PATH "training: {optimizer: sgd, momentum: 0, nesterov: true}\n",
         NULL,
         {"training.nesterov is true (line 2)", "training.momentum is 0 (line 2)", "looks ahead by the momentum"}},
        {PATH "training: {optimizer: adam, trust_ratio_limit: 2}\n", NULL, {"trust_ratio_limit is given", "belongs to lamb"}},
        {PATH "training: {optimizer: sgd, loss: bpr}\n",
         "training.item_updates=deferred",
         {"--set training.item_updates=deferred: error: ", "optimizer is sgd (line 2)", "the momentum of a row goes on",
          "use item_updates every_step, or optimizer adamw or adam"}},
        {PATH "training: {optimizer: lamb, loss: bpr, item_updates: deferred}\n",
         NULL,
         {"training.item_updates is deferred (line 2)", "optimizer is lamb (line 2)", "depends on the whole table"}},
        {PATH "model: {item_table: replicated}\ntraining: {row_precision: bf16}\n",
         NULL,
         {"training.row_precision is bf16 (line 3)", "item_table is replicated (line 2)",
          "only rows of a divided table travel"}},
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

static void options_of_transformers_are_refused_where_they_make_no_sense(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {PATH "model: {residual: gated}\n",
         NULL,
         {"run.yaml:2:19: ", "model.residual is gated (line 2)", "model.norm is post (default)", "use norm pre"}},
        {PATH "model: {residual: gated}\n", "model.norm=query", {"--set model.norm=query: error: ", "nobody has published"}},
        {PATH "model: {backbone: bert4rec, output_embedding: separate}\n",
         NULL,
         {"model.output_embedding is separate (line 2)", "backbone is bert4rec (line 2)", "mask token", "use shared"}},
        {PATH "model: {norm: query}\ncalibrators: {frequency: {}}\n",
         NULL,
         {"calibrators.frequency is in use (line 3)", "model.norm is query (line 2)", "use norm post or pre"}},
        {PATH "model: {backbone: stosa, norm: pre}\ntraining: {loss: stosa}\n",
         NULL,
         {"model.norm is given (line 2), but model.backbone stosa has no use for it; it belongs to sasrec, bert4rec, ssept, "
          "tisasrec"}},
        {PATH "model: {backbone: gru4rec}\n",
         "model.initializer=glorot",
         {"initializer is given (--set)", "gru4rec has no use"}},
        {PATH "model: {item_width: 8, output_embedding: separate}\n",
         NULL,
         {"model.item_width is 8 (line 2)", "output_embedding is separate (line 2)", "use shared, or item_width 0"}},
        {PATH "model: {item_width: 8, similarity: cosine}\n",
         NULL,
         {"model.item_width is 8 (line 2)", "use dot, or item_width 0"}},
        {PATH "model: {item_vectors: frozen, backbone: bert4rec}\n", "data.item_vectors=x", {"mask token", "use given"}},
        {PATH "model: {item_vectors: given, output_embedding: separate}\n", "data.item_vectors=x", {"use shared, or drawn"}},
        {PATH "model: {item_vectors: given}\n", NULL, {"model.item_vectors is given (line 2)", "name it, or use drawn"}},
        {PATH, "data.item_vectors=x", {"nothing would read the file"}},
        {PATH "model: {inner_dropout: 1}\n", NULL, {"inner_dropout is 1", "from 0 to 0.99"}},
    };
    EXPECT_REFUSALS(mistakes);
}

#define WITH_HSTU PATH "model: {backbone: hstu}\n"

static void hstu_takes_no_calibrator_and_no_key_of_feed_forward_layers(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {WITH_HSTU "calibrators: {spatial: {}}\n",
         NULL,
         {"run.yaml:3:15: ", "calibrators.spatial is in use (line 3)", "backbone is hstu (line 2)", "inside of hstu's SiLU"}},
        {WITH_HSTU "calibrators: {adversarial: {}}\n", NULL, {"backbone is hstu (line 2)", "mass may divide by 0"}},
        {WITH_HSTU "calibrators: {refinement: {}}\n", NULL, {"backbone is hstu (line 2)", "the place of hstu's pointwise one"}},
        {WITH_HSTU "calibrators: {frequency: {}}\n", NULL, {"backbone is hstu (line 2)", "a norm of its own"}},
        {PATH "model: {backbone: hstu, inner_size: 8}\n", NULL, {"inner_size is given (line 2)", "hstu has no use for it"}},
        {PATH "model: {backbone: hstu, activation: relu}\n", NULL, {"activation is given", "hstu has no use for it"}},
        {PATH "model: {backbone: hstu, attention_dropout: 0.1}\n", NULL, {"attention_dropout is given", "hstu has no use"}},
        {PATH "model: {backbone: hstu, norm: pre}\n", NULL, {"model.norm is given", "hstu has no use for it"}},
        {PATH "model: {backbone: hstu, heads: 3}\n",
         NULL,
         {"model.heads is 3 (line 2)", "hidden_size is 64 (default)", "give both sizes, or other heads"}},
        {PATH "model: {backbone: hstu, heads: 3, query_size: 5}\n", NULL, {"give both sizes"}},
        {PATH "model: {backbone: hstu, time_buckets: 0}\n", NULL, {"time_buckets is 0", "from 1 to 1024"}},
        {PATH "model: {query_size: 8}\n", NULL, {"query_size is given (line 2)", "belongs to hstu"}},
        {PATH "model: {time_query: own}\n", NULL, {"time_query is given (line 2)", "belongs to hstu"}},
    };
    EXPECT_REFUSALS(mistakes);
}

/* Its rules must say why of every calibrator that there is. */
static void hstu_refuses_every_calibrator(void **state)
{
    (void)state;
    sr_schema schema;
    size_t refused = 0;
    sr_settings_schema(&schema);
    for (size_t i = 0; i < schema.section_count; ++i) {
        const char *path = schema.sections[i].path;
        if (strncmp(path, "calibrators.", strlen("calibrators.")) != 0)
            continue;
        sr_settings settings;
        sr_error error = {.message = ""};
        char text[256];
        snprintf(text, sizeof text, WITH_HSTU "calibrators: {%s: {}}\n", path + strlen("calibrators."));
        assert_int_equal(sr_settings_parse(&settings, text, "run.yaml", NULL, 0, &error), SR_ERROR_USAGE);
        assert_non_null(strstr(error.message, "softmax"));
        ++refused;
    }
    assert_true(refused >= 4);
}

static void hstu_is_read_with_any_heads_and_has_defaults_of_its_own(void **state)
{
    (void)state;
    sr_settings settings;
    const char *text = PATH "model: {backbone: hstu, heads: 3, query_size: 5, value_size: 7}\n";
    assert_int_equal(sr_settings_parse(&settings, text, "run.yaml", NULL, 0, NULL), SR_OK);
    assert_true(settings.model.layer_norm_epsilon == 1e-6);
    assert_int_equal(settings.model.encoder.embedding_scale, SR_EMBEDDING_SCALE_SQRT);
    text = PATH "model: {backbone: hstu, layer_norm_epsilon: 1.0e-5, embedding_scale: one}\n";
    assert_int_equal(sr_settings_parse(&settings, text, "run.yaml", NULL, 0, NULL), SR_OK);
    assert_true(settings.model.layer_norm_epsilon == 1e-5);
    assert_int_equal(settings.model.encoder.embedding_scale, SR_EMBEDDING_SCALE_ONE);
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

static void parts_of_a_batch_are_refused_where_something_needs_all_of_it(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {PATH "training: {micro_batch: 8}\nmodel: {item_table: divided}\n",
         NULL,
         {"training.micro_batch is 8 (line 2) and model.item_table is divided (line 3)", "item_table replicated"}},
        {PATH "training: {micro_batch: 8, contrastive: {weight: 0.1}}\n",
         NULL,
         {"training.micro_batch is 8 (line 2)", "training.contrastive", "micro_batch 0"}},
        {PATH "training: {micro_batch: 8}\nmodel: {backbone: fearec}\n",
         NULL,
         {"training.micro_batch is 8 (line 2) and model.backbone is fearec (line 3)", "micro_batch 0"}},
        {PATH "training: {micro_batch: 8}\ncalibrators: {adversarial: {combine: gate}}\n",
         NULL,
         {"training.micro_batch is 8 (line 2)", "calibrators.adversarial", "norm over the masks of the whole batch"}},
    };
    EXPECT_REFUSALS(mistakes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_that_do_not_go_together_name_both_keys_and_their_lines),
        cmocka_unit_test(keys_that_have_no_meaning_are_refused_where_they_are_given),
        cmocka_unit_test(combinations_that_a_model_cannot_train_with_are_refused),
        cmocka_unit_test(optimizers_are_refused_what_they_cannot_do),
        cmocka_unit_test(contrastive_training_is_refused_where_there_is_no_state_of_an_example_to_compare),
        cmocka_unit_test(windows_that_leave_fearec_no_lags_or_no_frequencies_are_refused),
        cmocka_unit_test(stosa_and_its_loss_are_refused_without_each_other),
        cmocka_unit_test(hstu_takes_no_calibrator_and_no_key_of_feed_forward_layers),
        cmocka_unit_test(hstu_refuses_every_calibrator),
        cmocka_unit_test(hstu_is_read_with_any_heads_and_has_defaults_of_its_own),
        cmocka_unit_test(options_of_transformers_are_refused_where_they_make_no_sense),
        cmocka_unit_test(calibrators_are_refused_on_backbones_without_attention),
        cmocka_unit_test(calibrators_of_dot_products_are_refused_on_stosa_where_they_are_named),
        cmocka_unit_test(refinements_without_a_meaning_are_refused),
        cmocka_unit_test(parts_of_a_batch_are_refused_where_something_needs_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
