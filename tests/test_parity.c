/* The parity program itself: it finds what is wrong, and tells what is wrong from what this build does not know. */
#include "program.h"

#include <hdf5.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

typedef program_world world;

enum { PATH_SIZE = 512 };

static void own_fixture(const char *name, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s/%s.h5", SRTRAIN_OWN_FIXTURE_DIRECTORY, name);
}

/* A copy that a test may change. */
static hid_t open_copy(const world *w, const char *name, char path[PATH_SIZE])
{
    char original[PATH_SIZE], command[3 * PATH_SIZE];
    own_fixture(name, original);
    snprintf(path, PATH_SIZE, "%s/%s.h5", w->directory, name);
    snprintf(command, sizeof command, "cp %s %s && chmod u+w %s", original, path, path);
    assert_int_equal(system(command), 0);
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(file >= 0);
    return file;
}

/* The copy's configuration with the first `from` replaced by `to`. */
static void change_configuration(const world *w, const char *name, const char *from, const char *to, char path[PATH_SIZE])
{
    const hid_t file = open_copy(w, name, path), type = H5Tcopy(H5T_C_S1), attribute = H5Aopen(file, "config", H5P_DEFAULT);
    assert_true(attribute >= 0 && H5Tset_size(type, H5T_VARIABLE) >= 0 && H5Tset_cset(type, H5T_CSET_UTF8) >= 0);
    char *text = NULL, changed[4096];
    assert_true(H5Aread(attribute, type, &text) >= 0);
    const char *found = strstr(text, from);
    assert_non_null(found);
    snprintf(changed, sizeof changed, "%.*s%s%s", (int)(found - text), text, to, found + strlen(from));
    H5free_memory(text);
    const char *value = changed;
    assert_true(H5Awrite(attribute, type, &value) >= 0);
    assert_true(H5Aclose(attribute) >= 0 && H5Tclose(type) >= 0 && H5Fclose(file) >= 0);
}

/* Multiplies a data set of the copy by 1.01. */
static void change_values(const world *w, const char *name, const char *dataset, char path[PATH_SIZE])
{
    static double values[4096];
    const hid_t file = open_copy(w, name, path), set = H5Dopen2(file, dataset, H5P_DEFAULT);
    assert_true(set >= 0);
    const hid_t space = H5Dget_space(set);
    const hssize_t count = H5Sget_simple_extent_npoints(space);
    assert_true(count > 0 && count <= (hssize_t)(sizeof values / sizeof *values));
    assert_true(H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    for (hssize_t i = 0; i < count; ++i)
        values[i] *= 1.01;
    assert_true(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    assert_true(H5Sclose(space) >= 0 && H5Dclose(set) >= 0 && H5Fclose(file) >= 0);
}

static void a_fixture_that_agrees_passes(void **state)
{
    world *w = *state;
    char path[PATH_SIZE];
    own_fixture("sasrec-bpr", path);
    run_built(&w->result, "tests/parity", "%s %s", path, path);
    assert_code(&w->result, 0);
    assert_says(&w->result, "PASS sasrec-bpr output=");
    assert_says(&w->result, "2 of 2 fixtures compared: 2 pass, 0 fail; 0 not known to this build");
}

static void a_value_that_differs_fails(void **state)
{
    static const struct {
        const char *name, *dataset;
    } cases[] = {
        {"sasrec-bpr", "/expected/scores"},
        {"sasrec-bpr", "/expected/loss.bpr"},
        {"sasrec-bpr", "/expected/gradients/item_embedding.weight"},
        {"caser-plain", "/expected/loss.frobenius_penalty"},
        {"caser-plain", "/expected/loss.total"},
        {"duorec-right_padded", "/expected/loss.contrastive"},
        {"duorec-right_padded", "/expected/loss.total"},
        {"fearec-released", "/expected/loss.contrastive"},
        {"fearec-released", "/expected/loss.spectral"},
        {"fearec-released", "/expected/loss.total"},
    };
    world *w = *state;
    char path[PATH_SIZE], says[128];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        change_values(w, cases[i].name, cases[i].dataset, path);
        run_built(&w->result, "tests/parity", "%s", path);
        if (w->result.code != 1)
            fail_msg("%s with another %s: exit code %d, %s", cases[i].name, cases[i].dataset, w->result.code, w->result.output);
        snprintf(says, sizeof says, "FAIL %s output=", cases[i].name);
        assert_says(&w->result, says);
        assert_says(&w->result, "1 of 1 fixtures compared: 0 pass, 1 fail; 0 not known to this build");
    }
}

static void a_key_or_choice_that_does_not_exist_is_not_known(void **state)
{
    static const struct {
        const char *from, *to, *finding;
    } cases[] = {
        {"  layers: 2\n", "  layers: 2\n  no_such_key: 1\n", "unknown key 'model.no_such_key'"},
        {"  layers: 2\n", "  layers: 2\n  layer: 1\n", "unknown key 'model.layer'"}, /* which has a hint */
        {"backbone: sasrec", "backbone: newrec", "model.backbone is newrec"},
        {"loss: bpr", "loss: newloss", "training.loss is newloss"},
        {"calibrators: {}", "calibrators: {none_such: {}}", "unknown calibrator 'none_such'"},
    };
    world *w = *state;
    char good[PATH_SIZE], path[PATH_SIZE], says[256];
    own_fixture("sasrec-all_positions_loss", good);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        change_configuration(w, "sasrec-bpr", cases[i].from, cases[i].to, path);
        snprintf(says, sizeof says, "not known to this build: sasrec-bpr: %s\n", cases[i].finding);
        run_built(&w->result, "tests/parity", "%s %s", path, good);
        assert_code(&w->result, 0);
        assert_says(&w->result, says);
        assert_says(&w->result, "1 of 2 fixtures compared: 1 pass, 0 fail; 1 not known to this build");
        run_built(&w->result, "tests/parity", "%s", path); /* nothing was compared */
        assert_code(&w->result, 1);
        assert_says(&w->result, "0 of 1 fixtures compared");
        run_built(&w->result, "tests/parity", "--all-known %s %s", path, good);
        assert_code(&w->result, 1);
        assert_says(&w->result, "FAIL sasrec-bpr: ");
        assert_says(&w->result, cases[i].finding);
    }
}

static void what_else_is_wrong_with_a_fixture_fails(void **state)
{
    static const struct {
        const char *from, *to, *says;
    } cases[] = {
        {"  layers: 2\n", "  layers: 0\n", "model.layers is 0"},
        {"  heads: 2\n", "  heads: 3\n", "heads"},
        {"  hidden_size: 16\n", "  hidden_size: 8\n", "elements, expected"},
        {"loss: bpr", "loss: cross_entropy", "no dataset /expected/loss.cross_entropy"},
        {"model:", "model: [", "FAIL sasrec-bpr: "},
    };
    world *w = *state;
    char good[PATH_SIZE], path[PATH_SIZE];
    own_fixture("sasrec-all_positions_loss", good);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        change_configuration(w, "sasrec-bpr", cases[i].from, cases[i].to, path);
        run_built(&w->result, "tests/parity", "%s %s", path, good);
        assert_code(&w->result, 1);
        assert_says(&w->result, "FAIL sasrec-bpr: ");
        assert_says(&w->result, cases[i].says);
        assert_says(&w->result, "2 of 2 fixtures compared: 1 pass, 1 fail; 0 not known to this build");
    }
    run_built(&w->result, "tests/parity", "%s/missing.h5", w->directory);
    assert_code(&w->result, 1);
    assert_says(&w->result, "cannot be opened as HDF5");
    run_built(&w->result, "tests/parity", "--all");
    assert_code(&w->result, 2);
    assert_says(&w->result, "usage: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fixture_that_agrees_passes),
        cmocka_unit_test(a_value_that_differs_fails),
        cmocka_unit_test(a_key_or_choice_that_does_not_exist_is_not_known),
        cmocka_unit_test(what_else_is_wrong_with_a_fixture_fails),
    };
    return cmocka_run_group_tests(tests, program_set_up, program_tear_down);
}
