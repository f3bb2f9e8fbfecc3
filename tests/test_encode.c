/* srtrain encode: states of histories as a file. */
#include "program.h"

#include <hdf5.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

/* 30 users of 25 items. */
static int set_up(void **state)
{
    const int failed = program_set_up(state);
    program_world *w = *state;
    if (failed)
        return failed;
    program_shell(w, 0,
                  "awk 'BEGIN { for (u = 0; u < 30; ++u) { line = \"user-\" u; for (i = 0; i < 3 + u % 9; ++i) "
                  "line = line \" item-\" (u * 7 + i * 3) % 25; print line } }' >all.txt && "
                  "srprep convert --format sequences --input all.txt --output data && "
                  "printf 'data: {path: data}\\nmodel: {layers: 1, heads: 1, hidden_size: 8, inner_size: 8, max_length: 20}\\n"
                  "training: {epochs: 1, threads: 1}\\n' >run.yaml && srtrain run.yaml --output run");
    return 0;
}

/* 30 names, and as many rows of 8 numbers that are not all alike. */
static void check_file(const program_world *w)
{
    enum { USERS = 30, WIDTH = 8, NAME = 7 };
    char path[256], names[USERS][NAME];
    float states[USERS][WIDTH];
    snprintf(path, sizeof path, "%s/states.h5", w->directory);
    const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_true(file >= 0);
    const hid_t users = H5Dopen(file, "user", H5P_DEFAULT), rows = H5Dopen(file, "states", H5P_DEFAULT);
    const hid_t type = H5Dget_type(users), space = H5Dget_space(rows);
    hsize_t extent[2];
    assert_int_equal(H5Tget_size(type), NAME);
    assert_int_equal(H5Sget_simple_extent_dims(space, extent, NULL), 2);
    assert_int_equal(extent[0], USERS);
    assert_int_equal(extent[1], WIDTH);
    assert_true(H5Dread(users, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, names) >= 0);
    assert_true(H5Dread(rows, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, states) >= 0);
    assert_memory_equal(names[0], "user-0", NAME);
    assert_memory_equal(names[USERS - 1], "user-29", NAME);
    assert_memory_not_equal(states[0], states[USERS - 1], sizeof *states);
    H5Sclose(space);
    H5Tclose(type);
    H5Dclose(users);
    H5Dclose(rows);
    H5Fclose(file);
}

static void states_are_a_row_for_each_user(void **state)
{
    program_world *w = *state;
    program_shell(w, 0, "srtrain encode run/best.h5 --output states.h5");
    assert_says(&w->result, "the states of 30 histories");
    check_file(w);
    program_shell(
        w, 0,
        "for n in 2 3; do $MPIEXEC $n srtrain encode run/best.h5 --output more.h5 && cmp states.h5 more.h5 || exit 1; done");
}

static void histories_of_a_file_need_no_data(void **state)
{
    program_world *w = *state;
    program_shell(w, 0,
                  "srtrain encode run/best.h5 --output states.h5 && mv data away && "
                  "srtrain encode run/best.h5 --histories all.txt --output new.h5 && mv away data && cmp states.h5 new.h5");
    program_shell(w, 0, "echo 'a item-1 nothing' >new.txt && srtrain encode run/best.h5 --histories new.txt --output new.h5");
    assert_says(&w->result,
                "1 interactions in new.txt are with items that the model does not know and are left out: \"nothing\"");
}

static void bad_requests_leave_no_file(void **state)
{
    program_world *w = *state;
    program_shell(w, 2, "srtrain encode run/best.h5 --output states.txt");
    assert_says(&w->result, "--output states.txt: the name must end in .h5");
    program_shell(w, 2, "srtrain encode run/best.h5");
    assert_says(&w->result, "--output is missing");
    program_shell(w, 3, ": >bad.txt; $MPIEXEC 2 srtrain encode run/best.h5 --histories bad.txt --output bad.h5");
    program_shell(w, 0, "! ls | grep -e states.txt -e 'bad.h5'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_are_a_row_for_each_user),
        cmocka_unit_test(histories_of_a_file_need_no_data),
        cmocka_unit_test(bad_requests_leave_no_file),
    };
    return cmocka_run_group_tests(tests, set_up, program_tear_down);
}
