/* srprep synth as a user runs it: the same data for any number of ranks and any memory, and catalogues of any size. */
#include "program.h"
#include "srtrain/dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

typedef program_world world;

/* With Zipf's law the catalogue has the size that was asked for, whether or not all of it occurs. */
static void the_catalogue_of_zipf_is_whole(world *w)
{
    char path[256];
    sr_dataset *dataset;
    sr_error error;
    size_t length;
    snprintf(path, sizeof path, "%s/once", w->directory);
    assert_int_equal(sr_dataset_open(&dataset, path, &error), SR_OK);
    assert_int_equal(sr_dataset_verify(dataset, 0, 1, &error), SR_OK);
    assert_int_equal(sr_dataset_items(dataset), 200000);
    const int64_t *counts = sr_dataset_item_interactions(dataset);
    size_t missing = 0, most = 1;
    for (size_t item = 1; item <= 200000; ++item) {
        missing += counts[item] == 0;
        most = counts[item] > counts[most] ? item : most;
    }
    assert_true(missing > 150000);
    assert_true(most > 1000); /* popularity does not follow the number */
    assert_memory_equal(sr_dataset_item_name(dataset, 200000, &length), "i199999", 7);
    sr_dataset_close(dataset);
}

static void ranks_do_not_change_synthetic_data(void **state)
{
    world *w = *state;
    const char *d = w->directory;
    const char *const kinds[] = {"--items 700", "--items 200000 --popularity zipf --exponent 1.1"};
    for (size_t kind = 0; kind < 2; ++kind) {
        char synth[256];
        snprintf(synth, sizeof synth, "synth --users 3000 --mean-length 9 --seed 4 --shards 3 %s", kinds[kind]);
        run_srprep(&w->result, "%s --output %s/once", synth, d);
        assert_code(&w->result, 0);
        for (int ranks = 1; ranks <= 3; ++ranks) {
            run_srprep_on(&w->result, ranks, "%s %s --output %s/twice", synth, ranks == 2 ? "--memory 1M" : "", d);
            assert_code(&w->result, 0);
            run_shell(&w->result, d, "diff -r once twice && rm -r twice");
            assert_code(&w->result, 0);
        }
        if (kind == 1)
            the_catalogue_of_zipf_is_whole(w);
        run_shell(&w->result, d, "rm -r once");
    }
    run_srprep(&w->result, "synth --users 10 --items 40000 --mean-length 9 --seed 1 --memory 1M --output %s/large", d);
    assert_code(&w->result, 1);
    assert_says(&w->result, "clusters of 40000 items need 1120000 bytes in every process, allowed are 1048576");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ranks_do_not_change_synthetic_data)};
    return cmocka_run_group_tests(tests, program_set_up, program_tear_down);
}
