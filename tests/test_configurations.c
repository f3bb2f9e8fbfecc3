/* The configurations that come with srtrain. */
#include "read_settings.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

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
    assert_true(read_configurations(directory) >= 15);
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

/* The hyper-parameters of the release: layers, heads, widths and the weight of the penalty by data set, the rest in common. */
static void configurations_of_ac_tsr_hold_the_released_values(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        known_setting own[6];
    } released[] = {
        {"ac-sasrec-beauty",
         {{"model.layers", "3"},
          {"model.heads", "4"},
          {"model.hidden_size", "64"},
          {"model.inner_size", "128"},
          {"calibrators.adversarial.penalty_weight", "0.03"}}},
        {"ac-sasrec-sports",
         {{"model.layers", "2"},
          {"model.heads", "2"},
          {"model.hidden_size", "128"},
          {"model.inner_size", "64"},
          {"calibrators.adversarial.penalty_weight", "0.3"}}},
        {"ac-sasrec-toys",
         {{"model.layers", "2"},
          {"model.heads", "2"},
          {"model.hidden_size", "128"},
          {"model.inner_size", "64"},
          {"calibrators.adversarial.penalty_weight", "0.3"}}},
        {"ac-sasrec-yelp",
         {{"model.layers", "3"},
          {"model.heads", "8"},
          {"model.hidden_size", "128"},
          {"model.inner_size", "64"},
          {"calibrators.adversarial.penalty_weight", "0.3"}}},
    };
    static const known_setting common[] = {
        {"calibrators.adversarial", "in use"},
        {"calibrators.spatial", "in use"},
        {"calibrators.spatial.order", "true"},
        {"calibrators.spatial.distance", "true"},
        {"calibrators.adversarial.two_level", "true"},
        {"calibrators.adversarial.combine", "gate"},
        {"calibrators.adversarial.renormalize", "softmax"},
        {"calibrators.adversarial.masked_cells", "included"},
        {"calibrators.adversarial.penalty", "all"},
        {"model.positions", "none"},
        {"model.hidden_dropout", "0.5"},
        {"model.attention_dropout", "0.5"},
        {"training.learning_rate", "0.0001"},
        {"training.attack_learning_rate_ratio", "1"},
        {"training.batch_size", "256"},
        {"training.epochs", "400"},
        {"training.seed", "42"},
        {"training.early_stopping.patience", "11"},
        {"training.early_stopping.metric", "\"hr@10\""},
        {"data.samples", "sliding"},
        {"evaluation.history", "keep"},
        {NULL, NULL},
    };
    for (size_t i = 0; i < sizeof released / sizeof *released; ++i) {
        sr_settings s;
        read_paper_configuration(&s, released[i].name);
        assert_settings(&s, released[i].own);
        assert_settings(&s, common);
    }
}

static void the_configuration_of_stosa_holds_the_released_values(void **state)
{
    (void)state;
    static const known_setting released[] = {
        {"model.backbone", "stosa"},
        {"model.layers", "1"},
        {"model.heads", "4"},
        {"model.hidden_size", "64"},
        {"model.inner_size", "256"},
        {"model.max_length", "100"},
        {"model.activation", "elu"},
        {"model.hidden_dropout", "0.3"},
        {"model.attention_dropout", "0"},
        {"model.layer_norm_epsilon", "1.0e-12"},
        {"model.initializer_mean", "0.01"},
        {"model.initializer_range", "0.02"},
        {"model.positions", "learned"},
        {"model.padding", "left"},
        {"model.mean_update", "frozen"},
        {"training.loss", "stosa"},
        {"training.objective", "all"},
        {"training.pvn_weight", "0.005"},
        {"training.learning_rate", "0.001"},
        {"training.weight_decay", "0"},
        {"training.batch_size", "256"},
        {"training.epochs", "500"},
        {"training.early_stopping.patience", "100"},
        {"training.early_stopping.metric", "\"mrr@40\""},
        {"evaluation.history", "exclude"},
        {"calibrators.refinement", "left out"},
        {NULL, NULL},
    };
    sr_settings s;
    read_paper_configuration(&s, "stosa-beauty");
    assert_settings(&s, released);
}

static void configurations_of_refinement_add_it_to_the_backbones_of_its_code_base(void **state)
{
    (void)state;
    static const known_setting sasrec[] = {
        {"calibrators.refinement", "in use"},
        {"model.backbone", "sasrec"},
        {"model.layers", "2"},
        {"model.heads", "2"},
        {"model.hidden_size", "64"},
        {"model.inner_size", "256"},
        {"model.max_length", "50"},
        {"model.hidden_dropout", "0.5"},
        {"model.attention_dropout", "0.5"},
        {"model.padding", "left"},
        {"training.loss", "binary_cross_entropy"},
        {"training.objective", "all"},
        {NULL, NULL},
    };
    sr_settings stosa, s;
    read_paper_configuration(&stosa, "stosa-beauty");
    read_paper_configuration(&s, "awrsr-stosa-beauty");
    assert_setting(&s, "calibrators.refinement", "in use");
    assert_setting(&s, "calibrators.refinement.kind", "stochastic");
    s.model.calibrators[sr_calibrator_number("refinement")] = false;
    assert_equal_settings(&s, &stosa);
    read_paper_configuration(&s, "awrsr-sasrec-beauty");
    assert_settings(&s, sasrec);
}

static void configurations_of_bsarec_hold_the_published_values(void **state)
{
    (void)state;
    static const struct {
        const char *name, *alpha, *learning_rate, *cutoff, *heads;
    } published[] = {{"bsarec-beauty", "0.7", "0.0005", "5", "1"}, {"bsarec-sports", "0.3", "0.001", "5", "4"},
                     {"bsarec-toys", "0.7", "0.001", "3", "1"},    {"bsarec-yelp", "0.7", "0.001", "3", "4"},
                     {"bsarec-lastfm", "0.9", "0.001", "3", "1"},  {"bsarec-ml-1m", "0.3", "0.0005", "9", "4"}};
    static const known_setting common[] = {
        {"calibrators.frequency", "in use"},
        {"calibrators.frequency.window", "padded"},
        {"model.backbone", "sasrec"},
        {"model.layers", "2"},
        {"model.max_length", "50"},
        {"model.padding", "left"},
        {"model.hidden_dropout", "0.5"},
        {"model.attention_dropout", "0.5"},
        {"training.batch_size", "256"},
        {"training.loss", "cross_entropy"},
        {"training.objective", "last"},
        {"training.early_stopping.metric", "\"ndcg@20\""},
        {"training.early_stopping.patience", "10"},
        {"data.samples", "window"},
        {"evaluation.history", "zero"},
        {NULL, NULL},
    };
    for (size_t i = 0; i < sizeof published / sizeof *published; ++i) {
        sr_settings s;
        read_paper_configuration(&s, published[i].name);
        assert_settings(&s, common);
        assert_setting(&s, "calibrators.frequency.alpha", published[i].alpha);
        assert_setting(&s, "calibrators.frequency.cutoff", published[i].cutoff);
        assert_setting(&s, "model.heads", published[i].heads);
        assert_setting(&s, "training.learning_rate", published[i].learning_rate);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_configuration_that_comes_with_srtrain_is_read),
        cmocka_unit_test(configurations_of_ac_tsr_hold_the_released_values),
        cmocka_unit_test(the_configuration_of_stosa_holds_the_released_values),
        cmocka_unit_test(configurations_of_bsarec_hold_the_published_values),
        cmocka_unit_test(configurations_of_refinement_add_it_to_the_backbones_of_its_code_base),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
