/* A part of a step that one process computes alone, for plans: with the whole catalogue, and with a small one that stands for
 * it. */
#include "plan/probe.h"
#include "small_dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { USERS = 40, ITEMS = 60, LENGTH = 12 };

typedef struct {
    char directory[64];
    sr_dataset *dataset;
    sr_settings settings;
    sr_sampler *sampler;
    sr_plan_request request;
} world;

static size_t item_of(size_t user, size_t i)
{
    return user * user + 7 * i + i * i / 3;
}

static int64_t time_of(size_t user, size_t i)
{
    return (int64_t)(100 * user + i * i);
}

static int set_up(void **state)
{
    static world w;
    char path[80];
    sr_error error;
    snprintf(w.directory, sizeof w.directory, "/tmp/srtrain-test-XXXXXX");
    assert_non_null(mkdtemp(w.directory));
    snprintf(path, sizeof path, "%s/data", w.directory);
    small_dataset_write_equal(
        path, &(equal_sequences){
                  .users = USERS, .items = ITEMS, .length = LENGTH, .shards = 1, .item_of = item_of, .time_of = time_of});
    assert_int_equal(sr_dataset_open(&w.dataset, path, &error), SR_OK);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    char command[128];
    sr_dataset_close(w->dataset);
    snprintf(command, sizeof command, "rm -r %s", w->directory);
    return system(command);
}

static void begin(world *w, const char *option)
{
    const char *const assignments[] = {"data.path=none", "model.max_length=8", "model.hidden_size=40", "training.batch_size=32",
                                       option};
    sr_error error = {.message = ""};
    if (sr_settings_parse(&w->settings, "data:\n", "test", assignments, 5, &error) != SR_OK)
        fail_msg("%s", error.message);
    assert_int_equal(sr_settings_sampler(&w->sampler, w->dataset, &w->settings, &error), SR_OK);
    w->request = (sr_plan_request){.settings = &w->settings,
                                   .dataset = w->dataset,
                                   .sampler = w->sampler,
                                   .kernels = sr_kernels_choose(NULL),
                                   .ranks = 1,
                                   .threads = 1};
}

static part_memory step(probe *p, size_t worker, size_t workers)
{
    part_memory memory;
    sr_error error = {.message = ""};
    const batch_part part = {.index = 1, .worker = worker, .workers = workers};
    if (probe_step(p, &part, &memory, &error) != SR_OK)
        fail_msg("%s", error.message);
    return memory;
}

static void create(probe *p, const world *w, size_t items, size_t users)
{
    sr_error error = {.message = ""};
    if (probe_create(p, &w->request, items, users, &error) != SR_OK)
        fail_msg("%s", error.message);
}

static bool has_gradients(const probe *p)
{
    const sr_parameters *parameters = sr_model_parameters(p->model);
    for (size_t i = 0; i < parameters->block_size; ++i)
        if (parameters->gradients[i] != 0)
            return true;
    return false;
}

static void parts_of_members_have_the_targets_of_the_batch_and_less_memory(void **state)
{
    world *w = *state;
    probe p;
    begin(w, "training.epochs=1");
    create(&p, w, ITEMS, USERS);
    const part_memory whole = step(&p, 0, 1), again = step(&p, 0, 1);
    assert_int_equal(whole.targets, 32);
    assert_int_equal(whole.scorings, 1);
    assert_true(whole.tape > 0 && has_gradients(&p));
    assert_memory_equal(&whole, &again, sizeof whole);
    size_t targets = 0;
    for (size_t worker = 0; worker < 4; ++worker) {
        const part_memory part = step(&p, worker, 4);
        targets += part.targets;
        assert_true(part.tape < whole.tape / 2);
    }
    assert_int_equal(targets, 32);
    probe_free(&p);
    sr_sampler_free(w->sampler);
}

/* Items that the small model does not know stand for some that it knows: a batch takes as much memory. */
static void a_small_catalogue_stands_for_the_whole_one(void **state)
{
    world *w = *state;
    static const char *const options[] = {"training.loss=bpr", "model.backbone=bert4rec", "model.backbone=ssept",
                                          "model.backbone=tisasrec", "training.contrastive.weight=0.1"};
    for (size_t i = 0; i < sizeof options / sizeof *options; ++i) {
        probe whole, small;
        begin(w, options[i]);
        create(&whole, w, 1000, 1000);
        create(&small, w, 5, 3);
        assert_int_equal(whole.items, ITEMS);
        assert_int_equal(whole.users, USERS);
        assert_int_equal(small.items, 5);
        assert_int_equal(small.users, 3);
        assert_true(sr_model_parameters(small.model)->block_size < sr_model_parameters(whole.model)->block_size);
        const part_memory expected = step(&whole, 0, 1), found = step(&small, 0, 1);
        assert_true(has_gradients(&small));
        assert_int_equal(found.targets, expected.targets);
        assert_int_equal(found.scorings, expected.scorings);
        if (found.tape > expected.tape * 21 / 20 || found.tape < expected.tape * 19 / 20)
            fail_msg("%s: %zu bytes with a small catalogue, %zu with the whole one", options[i], found.tape, expected.tape);
        probe_free(&small);
        probe_free(&whole);
        sr_sampler_free(w->sampler);
    }
}

static void attacked_rankings_are_scored_too(void **state)
{
    world *w = *state;
    probe p;
    begin(w, "calibrators.adversarial.combine=gate");
    create(&p, w, ITEMS, USERS);
    assert_int_equal(step(&p, 0, 1).scorings, 2);
    probe_free(&p);
    sr_sampler_free(w->sampler);
}

static void more_histories_take_more_memory(void **state)
{
    world *w = *state;
    probe p;
    sr_error error;
    size_t few = 0, many = 0, most = 0;
    begin(w, "training.epochs=1");
    create(&p, w, 7, 7);
    assert_int_equal(probe_histories(&p, 4, &few, &error), SR_OK);
    assert_int_equal(probe_histories(&p, 32, &many, &error), SR_OK);
    assert_int_equal(probe_histories(&p, 2 * USERS, &most, &error), SR_OK); /* more than there are */
    assert_true(few > 0 && many > 4 * few && most > 2 * many);
    probe_free(&p);
    sr_sampler_free(w->sampler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_members_have_the_targets_of_the_batch_and_less_memory),
        cmocka_unit_test(a_small_catalogue_stands_for_the_whole_one),
        cmocka_unit_test(attacked_rankings_are_scored_too),
        cmocka_unit_test(more_histories_take_more_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
