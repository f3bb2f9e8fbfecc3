/* srtrain analyze end to end: models are trained and analysed on several ranks, and what is written is read again. */
#include "optional.h"
#include "world.h"

#include <hdf5.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { LAYERS = 2, HEADS = 2, LENGTH = 10, BINS = LENGTH / 2 + 1, WIDTH = 16 };

static const char configuration[] = "data: {path: none}\n"
                                    "model: {hidden_size: 16, max_length: 10, initializer_range: 0.2}\n"
                                    "training: {epochs: 2, batch_size: 64, learning_rate: 0.003}\n"
                                    "evaluation: {top_k: [5, 10], batch_size: 32}\n";

static int set_up(void **state)
{
    return world_set_up(state, configuration, "--users 200 --items 90 --mean-length 8 --seed 5 --shards 2");
}

static void train(world *w, const char *run, const char *options)
{
    world_train(w, 0, run, options);
    assert_code(&w->result, 0);
}

#define CALIBRATED "--set calibrators.spatial.order=true --set calibrators.adversarial.combine=gate"

/* ---- the file ---- */

static hid_t open_analysis(const world *w, const char *directory)
{
    char name[96], path[WORLD_PATH_SIZE];
    snprintf(name, sizeof name, "%s/analysis.h5", directory);
    world_path(w, name, path);
    const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_true(file >= 0);
    return file;
}

static bool has(hid_t file, const char *name)
{
    return H5Lexists(file, name, H5P_DEFAULT) > 0;
}

/* The numbers of a dataset that has `count` of them and explains itself; release with free(). */
static double *read_numbers(hid_t file, const char *name, size_t count)
{
    const hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
    if (set < 0)
        fail_msg("there is no %s", name);
    const hid_t space = H5Dget_space(set), properties = H5Dget_create_plist(set);
    assert_int_equal(H5Sget_simple_extent_npoints(space), count);
    assert_int_equal(H5Pget_nfilters(properties), 0); /* readable without plug-ins */
    assert_true(H5Aexists(set, "meaning") > 0 && H5Aexists(set, "dimensions") > 0);
    double *values = calloc(count, sizeof *values);
    assert_true(H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Pclose(properties);
    H5Sclose(space);
    H5Dclose(set);
    return values;
}

static long long read_integer(hid_t file, const char *object, const char *name)
{
    long long value = -1;
    const hid_t attribute = H5Aopen_by_name(file, object, name, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(attribute >= 0 && H5Aread(attribute, H5T_NATIVE_LLONG, &value) >= 0);
    H5Aclose(attribute);
    return value;
}

static void read_text(hid_t file, const char *object, const char *name, char *text, size_t size)
{
    char *read = NULL;
    const hid_t attribute = H5Aopen_by_name(file, object, name, H5P_DEFAULT, H5P_DEFAULT), type = H5Aget_type(attribute);
    assert_true(H5Aread(attribute, type, &read) >= 0);
    snprintf(text, size, "%s", read);
    H5free_memory(read);
    H5Tclose(type);
    H5Aclose(attribute);
}

static const struct {
    const char *name;
    size_t count;
} datasets[] = {
    {"/states/singular_values", (LAYERS + 1) * WIDTH},
    {"/states/relative_singular_values", (LAYERS + 1) * WIDTH},
    {"/states/effective_rank", LAYERS + 1},
    {"/states/cosine", LAYERS + 1},
    {"/states/published_cosine", LAYERS + 1},
    {"/states/position_cosine", LAYERS + 1},
    {"/states/high_frequency_share", LAYERS + 1},
    {"/attention/mean_before", LAYERS *HEADS *LENGTH *LENGTH},
    {"/attention/mean_after", LAYERS *HEADS *LENGTH *LENGTH},
    {"/attention/gain_before", LAYERS *HEADS *BINS},
    {"/attention/gain_after", LAYERS *HEADS *BINS},
    {"/attention/gain_of_mean_before", LAYERS *BINS},
    {"/attention/gain_of_mean_after", LAYERS *BINS},
    {"/attention/spectrum_of_mean_before", LAYERS *LENGTH *LENGTH},
    {"/attention/spectrum_of_mean_after", LAYERS *LENGTH *LENGTH},
    {"/attention/effective_keys_before", LAYERS *HEADS},
    {"/attention/effective_keys_after", LAYERS *HEADS},
    {"/attention/row_sum_before", LAYERS *HEADS},
    {"/attention/row_sum_after", LAYERS *HEADS},
    {"/attention/visible_keys_before", LAYERS},
    {"/attention/visible_keys_after", LAYERS},
};

/* Rounding leaves 1e-7, and its root where a singular value is 0. */
static void assert_same_numbers(hid_t expected, hid_t actual, int ranks)
{
    for (size_t i = 0; i < sizeof datasets / sizeof *datasets; ++i) {
        double *left = read_numbers(expected, datasets[i].name, datasets[i].count);
        double *right = read_numbers(actual, datasets[i].name, datasets[i].count);
        for (size_t k = 0; k < datasets[i].count; ++k)
            if (!(fabs(left[k] - right[k]) <= 1e-6 * fabs(left[k]) + 1e-6 * fabs(left[0])))
                fail_msg("%s[%zu]: %.9g on %d ranks, %.9g on one", datasets[i].name, k, right[k], ranks, left[k]);
        free(left);
        free(right);
    }
}

/* What holds for the numbers of any model whose rows of attention sum to 1. */
static void assert_plausible(hid_t file)
{
    double *gains = read_numbers(file, "/attention/gain_after", LAYERS * HEADS * BINS);
    double *keys = read_numbers(file, "/attention/effective_keys_after", LAYERS * HEADS);
    double *visible = read_numbers(file, "/attention/visible_keys_after", LAYERS);
    double *relative = read_numbers(file, "/states/relative_singular_values", (LAYERS + 1) * WIDTH);
    double *shares = read_numbers(file, "/states/high_frequency_share", LAYERS + 1);
    for (size_t i = 0; i < LAYERS * HEADS; ++i) {
        assert_true(fabs(gains[i * BINS] - 1) < 1e-5); /* the mean stays */
        assert_true(gains[i * BINS + BINS - 1] > 0 && gains[i * BINS + BINS - 1] < 1);
        assert_true(keys[i] > 1 && keys[i] <= visible[i / HEADS] + 1e-6);
    }
    for (size_t layer = 0; layer <= LAYERS; ++layer) {
        assert_true(relative[layer * WIDTH] == 1 && relative[layer * WIDTH + 1] < 1);
        assert_true(shares[layer] > 0 && shares[layer] < 1);
    }
    free(gains);
    free(keys);
    free(visible);
    free(relative);
    free(shares);
}

static bool gnuplot_is_there(void)
{
    return system("gnuplot --version > /dev/null 2>&1") == 0;
}

static bool exists(const world *w, const char *directory, const char *name)
{
    char whole[128], path[WORLD_PATH_SIZE];
    snprintf(whole, sizeof whole, "%s/%s", directory, name);
    world_path(w, whole, path);
    return access(path, F_OK) == 0;
}

/* A picture, its script and its data; without gnuplot, which another test is about, the last two. */
static void assert_picture(const world *w, const char *directory, const char *name, const char *format)
{
    const char *const ends[] = {"gp", "dat", format};
    for (size_t i = 0; i < (gnuplot_is_there() ? 3 : 2); ++i) {
        char file[96];
        snprintf(file, sizeof file, "%s.%s", name, ends[i]);
        if (!exists(w, directory, file))
            fail_msg("there is no %s", file);
    }
    char log[96];
    snprintf(log, sizeof log, "%s.log", name);
    assert_false(exists(w, directory, log));
}

/* Of a picture; release with free(). */
static char *read_picture(const world *w, const char *directory, const char *file)
{
    char name[128], path[WORLD_PATH_SIZE], *text = NULL;
    size_t size = 0;
    snprintf(name, sizeof name, "%s/%s", directory, file);
    world_path(w, name, path);
    FILE *picture = fopen(path, "r");
    assert_non_null(picture);
    assert_true(getdelim(&text, &size, '\0', picture) > 0);
    fclose(picture);
    return text;
}

/* ---- tests ---- */

static void numbers_do_not_depend_on_the_number_of_ranks(void **state)
{
    world *w = *state;
    train(w, "calibrated", CALIBRATED);
    hid_t files[5] = {-1};
    for (int ranks = 1; ranks <= 4; ++ranks) {
        char directory[32];
        snprintf(directory, sizeof directory, "ranks-%d", ranks);
        run_srtrain(&w->result, ranks, "analyze %s/calibrated/best.h5 --data %s --pictures none --output %s/%s", w->directory,
                    w->data, w->directory, directory);
        assert_code(&w->result, 0);
        files[ranks] = open_analysis(w, directory);
        assert_int_equal(read_integer(files[ranks], "/", "sequences") + read_integer(files[ranks], "/", "users_left_out"), 200);
        assert_int_equal(read_integer(files[ranks], "/attention", "items"), LENGTH);
        assert_int_equal(read_integer(files[ranks], "/attention", "items_fill_the_window"), 1);
        assert_true(read_integer(files[ranks], "/attention", "sequences") > 5);
        if (ranks > 1)
            assert_same_numbers(files[1], files[ranks], ranks);
    }
    assert_plausible(files[1]);
    for (int ranks = 1; ranks <= 4; ++ranks)
        H5Fclose(files[ranks]);
}

/* The maps of the users asked for, in their order, by original identifiers. */
static void attention_of_users_is_written_with_the_items_they_chose(void **state)
{
    world *w = *state;
    char user[64];
    train(w, "users", CALIBRATED);
    run_srtrain(&w->result, 3, "analyze %s/users/best.h5 --user u17 --user u3 --split valid", w->directory);
    assert_code(&w->result, 0);
    assert_says(&w->result, "split valid");
    const hid_t file = open_analysis(w, "users/analysis");
    read_text(file, "/examples/1", "user", user, sizeof user);
    assert_string_equal(user, "u17");
    read_text(file, "/examples/2", "user", user, sizeof user);
    assert_string_equal(user, "u3");
    const hid_t items = H5Dopen2(file, "/examples/1/items", H5P_DEFAULT), space = H5Dget_space(items);
    const size_t n = (size_t)H5Sget_simple_extent_npoints(space);
    assert_true(n >= 1 && n <= LENGTH);
    const hid_t type = H5Dget_type(items);
    const size_t size = H5Tget_size(type);
    char *names = calloc(n + 1, size);
    assert_true(H5Dread(items, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, names) >= 0);
    for (size_t i = 0; i < n; ++i)
        assert_int_equal(names[i * size], 'i');
    double *weights = read_numbers(file, "/examples/1/attention_after", LAYERS * HEADS * n * n);
    for (size_t row = 0; row < LAYERS * HEADS * n; ++row) {
        double sum = 0;
        for (size_t column = 0; column < n; ++column) {
            sum += weights[row * n + column];
            assert_true(column <= row % n || weights[row * n + column] == 0);
        }
        assert_true(fabs(sum - 1) < 1e-5);
    }
    free(weights);
    free(names);
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(items);
    assert_false(has(file, "/examples/3"));
    H5Fclose(file);
    assert_picture(w, "users/analysis", "attention-user-1-layer-1", "svg");
    assert_picture(w, "users/analysis", "attention-user-2-layer-2", "svg");
    assert_picture(w, "users/analysis", "singular-values", "svg");
    assert_picture(w, "users/analysis", "layers", "svg");
    assert_picture(w, "users/analysis", "attention-gain", "svg");
    assert_picture(w, "users/analysis", "attention-spectrum", "svg");
    assert_picture(w, "users/analysis", "attended-keys", "svg");
}

static void gnuplot_draws_pictures(void **state)
{
    static const char *const formats[] = {"svg", "png"};
    world *w = *state;
    if (!gnuplot_is_there())
        skip_because("gnuplot is not installed: apt-get install gnuplot-nox");
    train(w, "drawn", "");
    for (size_t i = 0; i < sizeof formats / sizeof *formats; ++i) {
        char directory[32];
        snprintf(directory, sizeof directory, "drawn/%s", formats[i]);
        run_srtrain(&w->result, 0, "analyze %s/drawn/best.h5 --pictures %s --output %s/%s", w->directory, formats[i],
                    w->directory, directory);
        assert_code(&w->result, 0);
        assert_picture(w, directory, "singular-values", formats[i]);
        assert_picture(w, directory, "layers", formats[i]);
    }
}

/* A bitmap within an SVG is blurred by whoever enlarges it. */
static void maps_of_attention_are_drawn_as_shapes(void **state)
{
    world *w = *state;
    if (!gnuplot_is_there())
        skip_because("gnuplot is not installed: apt-get install gnuplot-nox");
    train(w, "sharp", "");
    run_srtrain(&w->result, 0, "analyze %s/sharp/best.h5", w->directory);
    assert_code(&w->result, 0);
    static const char *const pictures[] = {"attention-user-1-layer-1.svg", "attention-spectrum.svg"};
    for (size_t i = 0; i < sizeof pictures / sizeof *pictures; ++i) {
        char *text = read_picture(w, "sharp/analysis", pictures[i]);
        assert_null(strstr(text, "<image"));
        assert_non_null(strstr(text, "before calibration"));
        free(text);
    }
}

/* A program that stands alone, without the rest of srtrain. */
static void without_its_gnuplot_files_numbers_are_written_and_a_message_says_what_is_missing(void **state)
{
    world *w = *state;
    char command[2048];
    train(w, "bare", "");
    snprintf(command, sizeof command,
             "mkdir %s/bin && cp %s/srtrain %s/bin && %s/bin/srtrain analyze %s/bare/best.h5 > %s/said 2>&1; test $? -eq 1 && "
             "grep -q 'no pictures are drawn, as their gnuplot files are neither in %s/bin/../share/srtrain/pictures' %s/said",
             w->directory, getenv("SRTRAIN_BINARY_DIRECTORY"), w->directory, w->directory, w->directory, w->directory,
             w->directory, w->directory);
    assert_int_equal(system(command), 0);
    H5Fclose(open_analysis(w, "bare/analysis"));
    assert_false(exists(w, "bare/analysis", "layers.gp"));
}

/* Every backbone, with what makes sense for it. */
static void every_backbone_is_analysed(void **state)
{
    world *w = *state;
    const struct {
        const char *options, *group, *picture;
        bool attention, tokens;
    } models[] = {
        {"--set model.backbone=bert4rec", NULL, NULL, true, true},
        {"--set model.backbone=ssept --set model.user_hidden_size=4", NULL, NULL, true, true},
        {"--set model.backbone=tisasrec --set model.time_unit=3600 --set model.time_span=64", NULL, NULL, true, true},
        {"--set model.backbone=stosa --set training.loss=stosa --set model.activation=elu", NULL, NULL, true, true},
        {"--set calibrators.frequency.alpha=0.5 --set calibrators.frequency.cutoff=3", "/rescaler", "rescaler-response", true,
         true},
        {"--set model.backbone=fmlprec", "/filter", "filter-response", false, true},
        {"--set model.backbone=gru4rec --set model.gru_hidden_size=12", NULL, NULL, false, true},
        {"--set model.backbone=caser", NULL, NULL, false, false},
        {"--set model.backbone=hstu", NULL, NULL, false, true},
    };
    for (size_t i = 0; i < sizeof models / sizeof *models; ++i) {
        char run[32], directory[64];
        snprintf(run, sizeof run, "backbone-%zu", i);
        snprintf(directory, sizeof directory, "%s/analysis", run);
        train(w, run, models[i].options);
        run_srtrain(&w->result, 2, "analyze %s/%s/best.h5 --pictures png", w->directory, run);
        assert_code(&w->result, 0);
        if (!models[i].attention)
            assert_says(&w->result, "no attention");
        if (!models[i].tokens)
            assert_says(&w->result, "no state for every token");
        const hid_t file = open_analysis(w, directory);
        assert_int_equal(has(file, "/attention"), models[i].attention);
        assert_int_equal(has(file, "/examples"), models[i].attention);
        assert_int_equal(has(file, "/states/position_cosine"), models[i].tokens);
        if (models[i].group)
            assert_true(has(file, models[i].group));
        if (models[i].picture)
            assert_picture(w, directory, models[i].picture, "png");
        assert_picture(w, directory, "layers", "png");
        assert_int_equal(exists(w, directory, "attention-gain.gp"), models[i].attention);
        H5Fclose(file);
    }
}

/* Frequencies 0 and 1 are kept (cutoff 3), the others get the square of the trained root. */
static void a_rescaler_keeps_low_frequencies_and_multiplies_the_others(void **state)
{
    world *w = *state;
    train(w, "rescaled", "--set calibrators.frequency.alpha=0.5 --set calibrators.frequency.cutoff=3");
    run_srtrain(&w->result, 0, "analyze %s/rescaled/best.h5 --pictures none", w->directory);
    assert_code(&w->result, 0);
    const hid_t file = open_analysis(w, "rescaled/analysis");
    double *response = read_numbers(file, "/rescaler/response", LAYERS * BINS * WIDTH);
    double *beta = read_numbers(file, "/rescaler/beta", LAYERS * WIDTH);
    double *quantiles = read_numbers(file, "/rescaler/quantile", LAYERS * BINS * 5);
    char path[WORLD_PATH_SIZE];
    float root[WIDTH];
    world_path(w, "rescaled/best.h5", path);
    const hid_t checkpoint = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    for (size_t layer = 0; layer < LAYERS; ++layer) {
        char name[64];
        snprintf(name, sizeof name, "/parameters/layers.%zu.frequency.sqrt_beta", layer);
        const hid_t set = H5Dopen2(checkpoint, name, H5P_DEFAULT);
        assert_true(H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, root) >= 0);
        H5Dclose(set);
        for (size_t i = 0; i < WIDTH; ++i) {
            assert_true(fabs(beta[layer * WIDTH + i] - (double)root[i] * (double)root[i]) < 1e-9);
            for (size_t bin = 0; bin < BINS; ++bin)
                assert_true(response[(layer * BINS + bin) * WIDTH + i] == (bin < 2 ? 1 : beta[layer * WIDTH + i]));
        }
        for (size_t q = 1; q < 5; ++q)
            assert_true(quantiles[(layer * BINS + 2) * 5 + q] > quantiles[(layer * BINS + 2) * 5 + q - 1]);
    }
    free(response);
    free(beta);
    free(quantiles);
    H5Fclose(checkpoint);
    H5Fclose(file);
}

/* A search path with every program but gnuplot. */
static void without_gnuplot_numbers_are_written_and_a_warning_names_the_package(void **state)
{
    world *w = *state;
    char command[1024], programs[WORLD_PATH_SIZE];
    train(w, "plain", "");
    world_path(w, "programs", programs);
    snprintf(command, sizeof command,
             "mkdir %s && cd %s && (IFS=:; for d in $PATH; do ln -s $d/* . 2> /dev/null; done); rm -f gnuplot*", programs,
             programs);
    assert_int_equal(system(command), 0);
    char *path = strdup(getenv("PATH"));
    assert_non_null(path);
    assert_int_equal(setenv("PATH", programs, 1), 0);
    run_srtrain(&w->result, 0, "analyze %s/plain/best.h5", w->directory);
    assert_int_equal(setenv("PATH", path, 1), 0);
    free(path);
    assert_code(&w->result, 0);
    assert_says(&w->result, "install the package gnuplot-nox");
    H5Fclose(open_analysis(w, "plain/analysis"));
    assert_true(exists(w, "plain/analysis", "layers.gp"));
    assert_false(exists(w, "plain/analysis", "layers.svg"));
}

static void what_cannot_be_analysed_is_refused_before_anything_is_written(void **state)
{
    world *w = *state;
    train(w, "refused", "");
    const struct {
        const char *options, *message;
    } refusals[] = {{"--user nobody", "nobody"},
                    {"--pictures gif", "allowed are svg, png and none"},
                    {"--split train", "allowed are valid and test"},
                    {"--set training.epochs=3", "only these can be set here: evaluation.batch_size"},
                    {"--set evaluation.top_k=[3]", "only these can be set here: evaluation.batch_size"}};
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; ++i) {
        run_srtrain(&w->result, 2, "analyze %s/refused/best.h5 %s", w->directory, refusals[i].options);
        assert_code(&w->result, 2);
        assert_says(&w->result, refusals[i].message);
        assert_false(exists(w, "refused", "analysis"));
    }
    run_srtrain(&w->result, 2, "analyze %s/refused/best.h5 --output %s/refused", w->directory, w->directory);
    assert_code(&w->result, 2);
    assert_says(&w->result, "not empty");
}

int main(int argument_count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_do_not_depend_on_the_number_of_ranks),
        cmocka_unit_test(attention_of_users_is_written_with_the_items_they_chose),
        cmocka_unit_test(gnuplot_draws_pictures),
        cmocka_unit_test(maps_of_attention_are_drawn_as_shapes),
        cmocka_unit_test(without_its_gnuplot_files_numbers_are_written_and_a_message_says_what_is_missing),
        cmocka_unit_test(every_backbone_is_analysed),
        cmocka_unit_test(a_rescaler_keeps_low_frequencies_and_multiplies_the_others),
        cmocka_unit_test(without_gnuplot_numbers_are_written_and_a_warning_names_the_package),
        cmocka_unit_test(what_cannot_be_analysed_is_refused_before_anything_is_written),
    };
    return run_chosen_tests(argument_count, arguments, tests, sizeof tests / sizeof *tests, set_up, world_tear_down);
}
