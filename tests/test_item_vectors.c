/* Rows of items that start with vectors from outside: data.item_vectors and model.item_vectors. */
#include "program.h"

#include <hdf5.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* 60 users of items i0 to i19; i19 is in no training part. vectors.tsv has five numbers of each, and of two that nobody has. */
static int set_up(void **state)
{
    const int failed = program_set_up(state);
    program_world *w = *state;
    if (failed)
        return failed;
    program_shell(
        w, 0,
        "awk 'BEGIN { for (u = 0; u < 60; ++u) { line = \"u\" u; for (i = 0; i < 5 + u % 4; ++i) "
        "line = line \" i\" (u * 7 + i * 3) % 19; print line } }' | sed '7s/$/ i19/' >log.txt && "
        "srprep convert --format sequences --input log.txt --output data && "
        "awk 'BEGIN { for (i = 0; i < 22; ++i) { line = \"i\" i \"\\t\" i; for (k = 1; k < 5; ++k) "
        "line = line (k % 2 ? \" \" : \",\") (i * k % 7) / 8 - 0.25; print line } }' >vectors.tsv && "
        "printf 'data: {path: data, item_vectors: vectors.tsv}\\nmodel: {hidden_size: 8, inner_size: 8, max_length: 8, "
        "layers: 1, item_width: 5, item_vectors: frozen}\\ntraining: {epochs: 2, batch_size: 64, threads: 1, "
        "weight_decay: 0.1, learning_rate: 0.01}\\n' >frozen.yaml && "
        "sed 's/item_vectors: frozen/item_vectors: given/; s/0.01}/1.0e-30}/; s/epochs: 2/epochs: 1/' frozen.yaml >given.yaml");
    return 0;
}

/* Fails the test unless the row of each item is the vector that the file has. */
static void assert_rows(const program_world *w, const char *file)
{
    char path[256], names[64][8];
    float rows[64][5];
    memset(names, 0, sizeof names);
    snprintf(path, sizeof path, "%s/%s", w->directory, file);
    const hid_t opened = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    const hid_t table = H5Dopen2(opened, "/parameters/item_embedding.weight", H5P_DEFAULT);
    const hid_t identifiers = H5Dopen2(opened, "/item_names", H5P_DEFAULT), type = H5Tcopy(H5T_C_S1);
    assert_true(opened >= 0 && table >= 0 && identifiers >= 0 && H5Tset_size(type, sizeof *names) >= 0);
    assert_true(H5Dread(table, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, rows) >= 0);
    assert_true(H5Dread(identifiers, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, names) >= 0);
    for (size_t item = 1; item <= 20; ++item) {
        const int i = atoi(names[item - 1] + 1);
        for (int k = 0; k < 5; ++k) {
            const double expected = k == 0 ? i : i * k % 7 / 8.0 - 0.25;
            if (fabs(rows[item][k] - expected) > 1e-6)
                fail_msg("%s: number %d of %s is %g, not %g", file, k, names[item - 1], (double)rows[item][k], expected);
        }
    }
    H5Tclose(type);
    H5Dclose(identifiers);
    H5Dclose(table);
    H5Fclose(opened);
}

static void rows_start_with_the_vectors_of_the_file(void **state)
{
    program_world *w = *state;
    program_shell(w, 0,
                  "srtrain given.yaml --output one && $MPIEXEC 3 srtrain given.yaml --output three && "
                  "$MPIEXEC 2 srtrain given.yaml --output divided --set model.item_table=divided training.threads=2 && "
                  "$MPIEXEC 2 srtrain given.yaml --output private --set training.reduction=blocking");
    assert_says(&w->result, "vectors of 20 of 20 items are from ");
    assert_rows(w, "one/best.h5");
    assert_rows(w, "three/best.h5");
    assert_rows(w, "divided/best.h5");
    assert_rows(w, "private/best.h5");
}

/* Neither gradients nor decay move them, while the map is trained; and the same for any number of ranks and either table. */
static void frozen_rows_stay_and_the_map_is_trained(void **state)
{
    program_world *w = *state;
    char path[256];
    train_line first[64], other[64];
    program_shell(w, 0,
                  "srtrain frozen.yaml --output f1 --set logging.every_steps=1 && "
                  "$MPIEXEC 3 srtrain frozen.yaml --output f3 --set logging.every_steps=1 && "
                  "$MPIEXEC 2 srtrain frozen.yaml --output fd --set logging.every_steps=1 model.item_table=divided");
    static const char *const runs[] = {"f1", "f3", "fd"};
    size_t steps = 0;
    for (size_t i = 0; i < 3; ++i) {
        snprintf(path, sizeof path, "%s/best.h5", runs[i]);
        assert_rows(w, path);
        snprintf(path, sizeof path, "%s/%s/metrics.jsonl", w->directory, runs[i]);
        const size_t count = read_train_lines(path, i == 0 ? first : other, 64);
        assert_true(i == 0 || count == steps);
        steps = count;
        for (size_t s = 0; i > 0 && s < count; ++s)
            assert_true(fabs(other[s].loss - first[s].loss) < 1e-4 * fabs(first[s].loss));
    }
    assert_true(first[steps - 1].loss < first[0].loss);
    snprintf(path, sizeof path, "%s/f1/best.h5", w->directory);
    assert_true(same_parameters(path, path));
}

/* An item of which training has seen nothing is scored by its vector: as its twin is. */
static void an_untouched_item_is_scored_by_its_vector(void **state)
{
    program_world *w = *state;
    program_shell(w, 0,
                  "grep -v '^i19' vectors.tsv >twins.tsv && grep '^i4\t' vectors.tsv | sed 's/^i4/i19/' >>twins.tsv && "
                  "srtrain frozen.yaml --output twins --set data.item_vectors=twins.tsv && "
                  "printf 'someone i1 i2 i3\\n' >history.txt && "
                  "srtrain recommend twins/best.h5 --histories history.txt --top-k 20 --output top.tsv && "
                  "awk '$3 == \"i4\" { print $4 }' top.tsv >four && awk '$3 == \"i19\" { print $4 }' top.tsv >nineteen && "
                  "test -s four && cmp four nineteen");
}

static void a_training_that_begins_with_another_takes_vectors_for_new_items(void **state)
{
    program_world *w = *state;
    program_shell(w, 0,
                  "sed 's/ i5 / i20 /; s/ i6$/ i21/' log.txt >more.txt && "
                  "srprep convert --format sequences --input more.txt --output more && "
                  "srtrain given.yaml --output before && "
                  "$MPIEXEC 2 srtrain given.yaml --from before/best.h5 --output after --set data.path=more");
    assert_says(&w->result, "vectors of 2 of 2 new items are from ");
}

/* The file is read where a training begins, and never again. */
static void whoever_reads_a_checkpoint_needs_no_file(void **state)
{
    program_world *w = *state;
    char whole[256], resumed[256];
    program_shell(
        w, 0,
        "cp vectors.tsv gone.tsv && sed 's/vectors.tsv/gone.tsv/' frozen.yaml >gone.yaml && "
        "srtrain gone.yaml --output whole && srtrain gone.yaml --output parts --set training.epochs=1 && rm gone.tsv && "
        "srtrain gone.yaml --output parts");
    snprintf(whole, sizeof whole, "%s/whole/best.h5", w->directory);
    snprintf(resumed, sizeof resumed, "%s/parts/best.h5", w->directory);
    assert_rows(w, "parts/best.h5");
    assert_true(same_parameters(whole, resumed));
    program_shell(w, 0,
                  "srtrain evaluate parts/best.h5 && srtrain plan gone.yaml --ranks 2 && "
                  "srtrain encode parts/best.h5 --output states.h5 && "
                  "srtrain similar parts/best.h5 --top-k 2 --output near.tsv && "
                  "srtrain export parts/best.h5 --format onnx --output model.onnx && "
                  "srtrain export parts/best.h5 --format safetensors --output model.safetensors && "
                  "grep -q item_adaptor.weight model.safetensors && grep -q item_adaptor.weight model.onnx");
}

/* The line of docs/models.md. */
static void categories_become_vectors(void **state)
{
    program_world *w = *state;
    program_shell(w, 0,
                  "printf 'i1\\tred\\ni2\\tblue,red\\ni3\\tgreen\\n' >categories.tsv && "
                  "sed -n \"/^    awk -F/,/>vectors.tsv$/p\" \"$(dirname \"$BY_RANK\")/../docs/models.md\" | sed "
                  "'s/>vectors/>hot/' >line.sh && "
                  "sh line.sh && printf 'i1\\t1 0 0\\ni2\\t1 1 0\\ni3\\t0 0 1\\n' | cmp - hot.tsv");
    assert_says(&w->result, "3");
}

static void what_is_wrong_is_named(void **state)
{
    program_world *w = *state;
    program_shell(w, 0,
                  "sed '3s/,/,x/' vectors.tsv >letter.tsv; sed '5s/$/ 1/' vectors.tsv >long.tsv; "
                  "(cat vectors.tsv; sed -n 2p vectors.tsv) >twice.tsv; sed 's/^i/j/' vectors.tsv >none.tsv; "
                  "sed '/^i7\t/d' vectors.tsv | gzip >some.tsv.gz");
    program_shell(w, 3, "$MPIEXEC 2 srtrain frozen.yaml --output bad --set data.item_vectors=letter.tsv");
    assert_says(&w->result, "letter.tsv:3: \"x");
    assert_says(&w->result, "is not a number");
    program_shell(w, 3,
                  "$MPIEXEC 2 srtrain frozen.yaml --output bad --set data.item_vectors=long.tsv model.item_table=divided");
    assert_says(&w->result, "long.tsv:5: the vector has 6 numbers, but rows of items have 5 (model.item_width)");
    program_shell(w, 3, "srtrain frozen.yaml --output bad --set data.item_vectors=twice.tsv");
    assert_says(&w->result, "twice.tsv:23: item \"i1\" has a vector already");
    program_shell(w, 3, "srtrain frozen.yaml --output bad --set data.item_vectors=none.tsv");
    assert_says(&w->result, "has a vector of none of the 20 items of ");
    program_shell(w, 1, "srtrain frozen.yaml --output bad --set data.item_vectors=nothing.tsv");
    assert_says(&w->result, "nothing.tsv");
    program_shell(w, 0, "test ! -e bad/checkpoints");
    program_shell(w, 0, "srtrain frozen.yaml --output some --set data.item_vectors=some.tsv.gz training.epochs=1");
    assert_says(&w->result, "vectors of 19 of 20 items are from ");
    assert_says(&w->result, "1 items have no vector in ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_start_with_the_vectors_of_the_file),
        cmocka_unit_test(frozen_rows_stay_and_the_map_is_trained),
        cmocka_unit_test(an_untouched_item_is_scored_by_its_vector),
        cmocka_unit_test(a_training_that_begins_with_another_takes_vectors_for_new_items),
        cmocka_unit_test(whoever_reads_a_checkpoint_needs_no_file),
        cmocka_unit_test(categories_become_vectors),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, set_up, program_tear_down);
}
