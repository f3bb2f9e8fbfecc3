/* Every kind of mistake in a configuration is refused with a message that says where, what was found and what is allowed. */
#include "config_mistakes.h"
#include "srtrain/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

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
        {PATH "evaluation: {candidates: uniform}\n",
         NULL,
         {"run.yaml:2:26: ", "evaluation.candidates is \"uniform\" (line 2): it must be none, uniform:N or popularity:N"}},
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
        cmocka_unit_test(text_that_is_no_yaml_is_refused_at_its_line),
        cmocka_unit_test(the_missing_path_is_named),
        cmocka_unit_test(assignments_are_named_with_their_mistake),
        cmocka_unit_test(a_text_longer_than_its_field_is_refused),
        cmocka_unit_test(files_that_cannot_be_read_say_why),
        cmocka_unit_test(nothing_is_written_to_the_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
