/* srtrain train --from: a training on other data begins with the rows that an earlier one has learned, by identifier. */
#include "program.h"

#include <hdf5.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* old.txt has 60 users of items i0 to i19. new.txt has other users among them, no i3 any more, and items n0 to n2, and its
 * items come in another order. `still` is old.yaml with steps that change nothing. */
static int set_up(void **state)
{
    const int failed = program_set_up(state);
    program_world *w = *state;
    if (failed)
        return failed;
    program_shell(
        w, 0,
        "awk 'BEGIN { for (u = 0; u < 60; ++u) { line = \"u\" u; for (i = 0; i < 5 + u % 4; ++i) "
        "line = line \" i\" (u * 7 + i * 3) % 20; print line } }' >old.txt && "
        "sed '1,9d; s/ i3 / n0 /g; s/ i3$/ n0/; 12s/$/ n1 n2/' old.txt | sort -R --random-source=old.txt >new.txt && "
        "printf 'v1 i5 n1 n2 i7\\nv2 n2 n0 i1 i2\\n' >>new.txt && "
        "for name in old new; do srprep convert --format sequences --input $name.txt --output $name || exit 1; done && "
        "printf 'data: {path: old}\\nmodel: {hidden_size: 8, inner_size: 8, max_length: 8, layers: 1, hidden_dropout: 0, "
        "attention_dropout: 0}\\ntraining: {epochs: 3, batch_size: 4096, threads: 1, learning_rate: 0.01}\\n"
        "logging: {every_steps: 1}\\n' >old.yaml && "
        "sed 's/path: old/path: new/; s/epochs: 3/epochs: 1/; s/0.01}/1.0e-30}/' old.yaml >still.yaml && "
        "srtrain old.yaml --output old-run && cp old-run/checkpoints/step-0000000003.h5 old.h5");
    return 0;
}

/* ---- rows ---- */

/* A table of a checkpoint with the identifiers of its rows, from row 1 on. */
typedef struct {
    size_t rows, width, names, name_width;
    float *values;
    char *identifiers;
} named_table;

static void *read_set(hid_t file, const char *name, hid_t type, size_t size, hsize_t extent[2])
{
    const hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
    assert_true(set >= 0);
    const hid_t space = H5Dget_space(set), stored = H5Dget_type(set);
    extent[1] = 1;
    assert_true(H5Sget_simple_extent_dims(space, extent, NULL) >= 1);
    if (size == 0) {
        size = H5Tget_size(stored);
        type = stored;
    }
    void *values = calloc(extent[0] * extent[1], size);
    assert_non_null(values);
    assert_true(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    if (type == stored)
        extent[1] = size;
    H5Tclose(stored);
    H5Sclose(space);
    H5Dclose(set);
    return values;
}

static void read_table(const program_world *w, const char *file, const char *table, const char *names, named_table *t)
{
    char path[256];
    hsize_t extent[2];
    snprintf(path, sizeof path, "%s/%s", w->directory, file);
    const hid_t opened = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_true(opened >= 0);
    t->values = read_set(opened, table, H5T_NATIVE_FLOAT, sizeof *t->values, extent);
    t->rows = extent[0];
    t->width = extent[1];
    t->identifiers = read_set(opened, names, -1, 0, extent);
    t->names = extent[0];
    t->name_width = extent[1];
    H5Fclose(opened);
}

static void free_table(named_table *t)
{
    free(t->values);
    free(t->identifiers);
}

/* The row of an identifier; 0: it has none. */
static size_t row_of(const named_table *t, const char *identifier)
{
    for (size_t i = 0; i < t->names; ++i)
        if (strncmp(t->identifiers + i * t->name_width, identifier, t->name_width) == 0)
            return i + 1;
    return 0;
}

static bool is_same_row(const named_table *left, size_t left_row, const named_table *right, size_t right_row)
{
    return memcmp(left->values + left_row * left->width, right->values + right_row * right->width,
                  left->width * sizeof(float)) == 0;
}

/* Fails the test unless the rows of `now` that `before` has are the same, and padding; and `fresh` others are like no row. */
static void assert_rows_taken(const named_table *before, const named_table *now, size_t fresh)
{
    size_t others = 0;
    assert_true(is_same_row(before, 0, now, 0));
    for (size_t row = 1; row <= now->names; ++row) {
        char identifier[32];
        snprintf(identifier, sizeof identifier, "%.*s", (int)now->name_width, now->identifiers + (row - 1) * now->name_width);
        const size_t old = row_of(before, identifier);
        if (old && !is_same_row(before, old, now, row))
            fail_msg("the row of %s is another one", identifier);
        for (size_t other = 0; !old && other < before->rows; ++other)
            assert_false(is_same_row(before, other, now, row));
        others += old == 0;
    }
    assert_int_equal(others, fresh);
}

static const char item_table[] = "/parameters/item_embedding.weight", item_names[] = "/item_names";

static void rows_go_where_their_identifiers_are(void **state)
{
    program_world *w = *state;
    static const char *const commands[] = {
        "srtrain still.yaml --from old.h5 --output one", "$MPIEXEC 3 srtrain still.yaml --from old.h5 --output three",
        "$MPIEXEC 2 srtrain still.yaml --from old.h5 --output divided --set model.item_table=divided",
        "srtrain still.yaml --from old.h5 --output threads --set model.item_table=divided training.threads=2",
        "$MPIEXEC 2 srtrain still.yaml --from old.h5 --output private --set training.reduction=blocking"};
    static const char *const files[] = {"one/best.h5", "three/best.h5", "divided/best.h5", "threads/best.h5",
                                        "private/best.h5"};
    named_table before, first;
    read_table(w, "old.h5", item_table, item_names, &before);
    for (size_t i = 0; i < sizeof files / sizeof *files; ++i) {
        named_table now;
        program_shell(w, 0, commands[i]);
        assert_says(&w->result, "items by their identifiers: 19 kept, 3 new (training.new_rows drawn), 1 dropped");
        assert_says(&w->result, "beginning with old.h5, trained for 3 steps; the state of its optimizer goes on");
        read_table(w, files[i], item_table, item_names, &now);
        assert_rows_taken(&before, &now, 3);
        if (i == 0)
            first = now;
        else
            assert_memory_equal(first.values, now.values, first.rows * first.width * sizeof(float));
        if (i > 0)
            free_table(&now);
    }
    program_shell(
        w, 0,
        "grep -h '\"kind\":\"from\"' */metrics.jsonl | sed 's/,\"unix_seconds[^}]*//' | sort | uniq -c | tee lines && test "
        "$(wc -l <lines) = 1 && "
        "grep -q '5 .*\"checkpoint\":\"old.h5\",\"earlier_steps\":3,\"optimizer_steps\":3,"
        "\"items\":{\"kept\":19,\"new\":3,\"dropped\":1}}' lines");
    free_table(&first);
    free_table(&before);
}

static void new_rows_may_be_the_mean_of_the_old_ones(void **state)
{
    program_world *w = *state;
    named_table before, now;
    program_shell(w, 0, "$MPIEXEC 2 srtrain still.yaml --from old.h5 --output mean --set training.new_rows=mean");
    program_shell(w, 0,
                  "$MPIEXEC 3 srtrain still.yaml --from old.h5 --output divided-mean --set training.new_rows=mean "
                  "model.item_table=divided");
    read_table(w, "old.h5", item_table, item_names, &before);
    for (int divided = 0; divided < 2; ++divided) {
        read_table(w, divided ? "divided-mean/best.h5" : "mean/best.h5", item_table, item_names, &now);
        for (size_t column = 0; column < now.width; ++column) {
            double sum = 0;
            for (size_t row = 1; row <= before.names; ++row)
                sum += before.values[row * before.width + column];
            for (int n = 0; n < 3; ++n) {
                const char name[] = {'n', (char)('0' + n), '\0'};
                const size_t row = row_of(&now, name);
                assert_int_not_equal(row, 0);
                assert_true(fabs(now.values[row * now.width + column] - sum / (double)before.names) < 1e-6);
            }
        }
        free_table(&now);
    }
    free_table(&before);
}

/* A row behind the items (BERT4Rec's mask token), tables of two parts, and rows of users. */
static void other_rows_are_taken_too(void **state)
{
    program_world *w = *state;
    named_table before, now;
    program_shell(
        w, 0,
        "for name in bert4rec stosa ssept; do more=; test $name = ssept && more=model.user_hidden_size=4; "
        "test $name = stosa && more='training.loss=stosa model.activation=elu'; "
        "srtrain old.yaml --output old-$name --set model.backbone=$name training.epochs=1 $more && "
        "$MPIEXEC 2 srtrain still.yaml --from old-$name/best.h5 --output new-$name --set model.backbone=$name $more || exit 1; "
        "done");
    assert_says(&w->result, "users by their identifiers: 51 kept, 2 new (training.new_rows drawn), 9 dropped");
    read_table(w, "old-bert4rec/best.h5", item_table, item_names, &before);
    read_table(w, "new-bert4rec/best.h5", item_table, item_names, &now);
    assert_int_equal(now.rows, now.names + 2);
    assert_true(is_same_row(&before, before.rows - 1, &now, now.rows - 1));
    assert_rows_taken(&before, &now, 3);
    free_table(&before);
    free_table(&now);
    static const char *const parts[] = {"/parameters/item_mean_embedding.weight",
                                        "/parameters/item_covariance_embedding.weight"};
    for (int part = 0; part < 2; ++part) {
        read_table(w, "old-stosa/best.h5", parts[part], item_names, &before);
        read_table(w, "new-stosa/best.h5", parts[part], item_names, &now);
        assert_rows_taken(&before, &now, 3);
        free_table(&before);
        free_table(&now);
    }
    read_table(w, "old-ssept/best.h5", "/parameters/user_embedding.weight", "/user_names", &before);
    read_table(w, "new-ssept/best.h5", "/parameters/user_embedding.weight", "/user_names", &now);
    assert_rows_taken(&before, &now, 2);
    free_table(&before);
    free_table(&now);
}

/* ---- steps ---- */

/* On the same data, where an epoch is one step over all examples, a training goes on as if it had never ended: so the moments
 * and the number of their steps are what they were, though steps begin anew. */
static void the_optimizer_goes_on_where_it_was(void **state)
{
    program_world *w = *state;
    train_line whole[6], rest[3];
    char path[256];
    program_shell(w, 0,
                  "srtrain old.yaml --output whole --set training.epochs=6 && "
                  "srtrain old.yaml --from old.h5 --output rest && "
                  "srtrain old.yaml --from rest/checkpoints/step-0000000003.h5 --output rest-of-rest");
    assert_says(&w->result, "trained for 6 steps; the state of its optimizer goes on");
    snprintf(path, sizeof path, "%s/whole/metrics.jsonl", w->directory);
    assert_int_equal(read_train_lines(path, whole, 6), 6);
    snprintf(path, sizeof path, "%s/rest/metrics.jsonl", w->directory);
    assert_int_equal(read_train_lines(path, rest, 3), 3);
    for (size_t i = 0; i < 3; ++i)
        if (fabs(rest[i].loss - whole[3 + i].loss) > 1e-5)
            fail_msg("step %zu has the loss %.9g, not %.9g", i + 1, rest[i].loss, whole[3 + i].loss);
}

static void an_optimizer_without_state_or_of_another_kind_begins_anew(void **state)
{
    program_world *w = *state;
    program_shell(w, 0, "srtrain still.yaml --from old-run/best.h5 --output no-state");
    assert_says(&w->result, "it has no state of an optimizer, which begins anew");
    program_shell(w, 0, "srtrain still.yaml --from old.h5 --output sgd --set training.optimizer=sgd");
    assert_says(&w->result, "its optimizer was another one, and begins anew");
    program_shell(w, 0, "grep -q '\"earlier_steps\":3,\"optimizer_steps\":0,' sgd/metrics.jsonl");
}

/* What has been stopped, or killed before its first checkpoint, is begun or gone on with by the same command, to the bit. */
static void a_training_that_was_interrupted_goes_on(void **state)
{
    program_world *w = *state;
    program_shell(
        w, 0,
        "set -e; train='srtrain old.yaml --from old.h5 --set data.path=new training.batch_size=32 training.epochs='; "
        "$MPIEXEC 2 ${train}4 --output unbroken; "
        "$MPIEXEC 2 ${train}2 --output broken; rm broken/checkpoints/*; "      /* as one that never got there */
        "$MPIEXEC 2 ${train}1 --output broken; cp old.h5 away.h5; rm old.h5; " /* what it began with may be gone then */
        "$MPIEXEC 2 ${train}4 --output broken; mv away.h5 old.h5; "
        "test $(grep -c '\"kind\":\"from\"' broken/metrics.jsonl) = 1; "
        "for name in unbroken broken; do grep '\"kind\":\"train\"' $name/metrics.jsonl | cut -d, -f1-5 >$name.lines; done; "
        "cmp unbroken.lines broken.lines");
    assert_says(&w->result, "going on from broken/checkpoints/step-");
    char left[256], right[256];
    snprintf(left, sizeof left, "%s/unbroken/best.h5", w->directory);
    snprintf(right, sizeof right, "%s/broken/best.h5", w->directory);
    assert_true(same_parameters(left, right));
    program_shell(w, 75,
                  "srtrain old.yaml --from old.h5 --output stopped --set data.path=new training.epochs=1000 --until-epoch 3");
    program_shell(w, 0,
                  "srtrain old.yaml --from old.h5 --output stopped --set data.path=new training.epochs=1000 "
                  "training.early_stopping.patience=1");
    assert_says(&w->result, "going on from stopped/checkpoints/step-");
}

/* ---- what is refused ---- */

static void what_does_not_fit_is_refused_by_name(void **state)
{
    program_world *w = *state;
    program_shell(w, 3, "$MPIEXEC 2 srtrain still.yaml --from old.h5 --output bad --set model.hidden_size=16 model.layers=2");
    assert_says(&w->result, "item_embedding.weight is [21, 8], expected [21, 16]");
    assert_says(&w->result, "missing: layers.1.");
    assert_says(&w->result, "model.hidden_size was 8, now it is 16");
    assert_says(&w->result, "Give it those of the checkpoint, or train from the beginning, without --from");
    program_shell(w, 3, "srtrain still.yaml --from old.h5 --output bad --set model.backbone=bert4rec");
    assert_says(&w->result, "model.backbone was sasrec, now it is bert4rec: its parameters belong to another model");
    program_shell(w, 3, "srtrain still.yaml --from nothing.h5 --output bad");
    assert_says(&w->result, "--from nothing.h5: No such file or directory");
    program_shell(w, 3, "srtrain still.yaml --from old.txt --output bad");
    program_shell(w, 2, "srtrain still.yaml --from old.h5 --resume old.h5 --output bad");
    assert_says(&w->result, "--from begins a new training");
    program_shell(
        w, 0, "sed 's/i/j/g; s/n/m/g' new.txt >none.txt && srprep convert --format sequences --input none.txt --output none");
    program_shell(w, 3,
                  "$MPIEXEC 2 srtrain still.yaml --from old.h5 --output bad --set data.path=none model.item_table=divided");
    assert_says(&w->result, "knows none of the 22 items of ");
    program_shell(w, 3,
                  "srtrain import old.h5 --config old.yaml --items 20 --output imported.h5 && "
                  "srtrain still.yaml --from imported.h5 --output bad");
    assert_says(&w->result, "imported.h5 was imported without a data set");
    program_shell(w, 0, "test ! -e bad/checkpoints");
    program_shell(w, 2, "srtrain old.yaml --from old.h5 --output old-run");
    assert_says(&w->result, "old-run/checkpoints holds checkpoints of a run that did not begin with --from old.h5");
}

static void a_model_with_the_same_shapes_and_other_settings_is_told_of(void **state)
{
    program_world *w = *state;
    program_shell(w, 0, "srtrain still.yaml --from old.h5 --output heads --set model.heads=4");
    assert_says(&w->result, "was trained as another model, whose parameters have the same shapes: model.heads was ");
}

/* Messages of what goes another way say that this one exists. */
static void going_on_with_other_data_names_this_way(void **state)
{
    program_world *w = *state;
    program_shell(w, 3, "srtrain still.yaml --resume old.h5 --output bad");
    assert_says(&w->result, "--from old.h5");
    program_shell(w, 3, "srtrain old.yaml --resume old-run/best.h5 --output bad");
    assert_says(&w->result, "--from begins a new training");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_go_where_their_identifiers_are),
        cmocka_unit_test(new_rows_may_be_the_mean_of_the_old_ones),
        cmocka_unit_test(other_rows_are_taken_too),
        cmocka_unit_test(the_optimizer_goes_on_where_it_was),
        cmocka_unit_test(an_optimizer_without_state_or_of_another_kind_begins_anew),
        cmocka_unit_test(a_training_that_was_interrupted_goes_on),
        cmocka_unit_test(what_does_not_fit_is_refused_by_name),
        cmocka_unit_test(a_model_with_the_same_shapes_and_other_settings_is_told_of),
        cmocka_unit_test(going_on_with_other_data_names_this_way),
    };
    return cmocka_run_group_tests(tests, set_up, program_tear_down);
}
