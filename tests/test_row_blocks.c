/* Training over rows that lie in blocks (srtrain/row_blocks.h), and checkpoints of them. */
#include "model/backbone.h"
#include "scattered_items.h"
#include "small_training.h"
#include "srtrain/checkpoint.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { USERS = 40, ITEMS = 230, LENGTH = 12, STEPS = 12, OPTIONS = 5 };

typedef struct {
    const char *options[OPTIONS];
} variant;

static const variant variants[] = {
    {{"training.loss=bpr"}},
    {{"training.loss=binary_cross_entropy", "training.weight_decay=0.1", "training.clip_norm=0.02"}},
    {{"training.loss=cross_entropy", "training.optimizer=sgd"}},
    {{"training.loss=stosa", "model.backbone=stosa", "model.activation=elu"}},
    {{"training.loss=bpr", "model.backbone=caser", "training.frobenius_penalty=0.1"}},
};
enum { VARIANTS = sizeof variants / sizeof *variants };

static size_t item_of(size_t user, size_t i)
{
    return user * user * 7 + 31 * i + i * i / 3;
}

static int set_up(void **state)
{
    return shared_dataset_set_up(
        state, &(equal_sequences){.users = USERS, .items = ITEMS, .length = LENGTH, .shards = 1, .item_of = item_of});
}

/* With rows in blocks, or among the parameters. */
static void begin(small_training *t, const shared_dataset *data, bool in_blocks, const char *const *options)
{
    const char *assignments[OPTIONS + 8] = {
        "data.path=none",         "model.max_length=8",          "model.hidden_size=8",
        "training.batch_size=16", "training.learning_rate=0.01", "training.adam_epsilon=1e-5"};
    size_t count = 6;
    for (size_t i = 0; i < OPTIONS && options[i]; ++i) {
        if (strcmp(options[i], "training.optimizer=sgd") == 0)
            assignments[5] = "training.momentum=0.8";
        assignments[count++] = options[i];
    }
    small_training_begin_declared(t, in_blocks ? scattered_declare : sr_model_declare, data, assignments, count, STEPS);
}

static void take_steps(small_training *t, int64_t first, int64_t end, double *losses)
{
    sr_error error = {.message = ""};
    for (int64_t step = first; step < end; ++step) {
        sr_step_result result;
        if (small_training_step(t, step, &result, &error) != SR_OK)
            fail_msg("%s", error.message);
        losses[step] = sr_step_loss(&result);
        losses[STEPS + step] = result.gradient_norm;
    }
    assert_int_equal(sr_stepper_settle(&t->stepper, NULL), SR_OK);
}

/* A part of the item table in the order of ids: its values, or a block of the optimizer's state. */
static sr_real *whole_part(const small_training *t, item_part part, size_t state)
{
    const sr_item_table *table = &t->model->item_table;
    const sr_parameters *parameters = sr_model_parameters(t->model);
    const size_t count = table->rows * table->parts[part].width;
    sr_real *values = malloc(count * sizeof *values);
    assert_non_null(values);
    if (parameters->row_block_count > 0) {
        sr_row_blocks_get(parameters, part, state, 0, count, values);
    } else {
        const sr_real *from = state == SIZE_MAX ? parameters->values : t->stepper.optimizer.state.blocks[state].values;
        memcpy(values, from + parameters->list[table->parts[part].parameter].offset, count * sizeof *values);
    }
    return values;
}

static void assert_same_part(const small_training *found, const small_training *expected, size_t part, size_t state,
                             double tolerance)
{
    const sr_item_table *table = &expected->model->item_table;
    sr_real *left = whole_part(found, (item_part)part, state), *right = whole_part(expected, (item_part)part, state);
    for (size_t i = 0; i < table->rows * table->parts[part].width; ++i)
        if (!(fabs((double)left[i] - (double)right[i]) <= tolerance))
            fail_msg("element %zu of part %zu, block %zu, is %g instead of %g", i, part, state, (double)left[i],
                     (double)right[i]);
    free(left);
    free(right);
}

static void assert_same_table(const small_training *found, const small_training *expected, double tolerance)
{
    for (size_t part = 0; part < expected->model->item_table.part_count; ++part) {
        assert_same_part(found, expected, part, SIZE_MAX, tolerance);
        for (size_t state = 0; state < expected->stepper.optimizer.state.count; ++state)
            assert_same_part(found, expected, part, state, tolerance);
    }
}

static void assert_same_losses(const double *found, const double *expected)
{
    for (size_t i = 0; i < (size_t)2 * STEPS; ++i)
        if (!(fabs(found[i] - expected[i]) <= 1e-5 * fabs(expected[i])))
            fail_msg("%s of step %zu is %.9g instead of %.9g", i < STEPS ? "the loss" : "the norm", i % STEPS, found[i],
                     expected[i]);
}

/* Late rows, too, have the values and moments that they have otherwise. */
static void rows_in_blocks_are_trained_like_others(void **state)
{
    for (size_t v = 0; v < VARIANTS; ++v) {
        small_training found, expected;
        double losses[2][2 * STEPS];
        begin(&expected, *state, false, variants[v].options);
        take_steps(&expected, 0, STEPS, losses[0]);
        begin(&found, *state, true, variants[v].options);
        take_steps(&found, 0, STEPS, losses[1]);
        assert_same_losses(losses[1], losses[0]);
        assert_same_table(&found, &expected, 2e-5);
        small_training_end(&found);
        small_training_end(&expected);
    }
}

static void rows_in_blocks_start_with_the_same_bits(void **state)
{
    for (size_t v = 0; v < VARIANTS; ++v) {
        small_training found, expected;
        begin(&expected, *state, false, variants[v].options);
        begin(&found, *state, true, variants[v].options);
        assert_same_table(&found, &expected, 0);
        small_training_end(&found);
        small_training_end(&expected);
    }
}

/* ---- lazy rows ---- */

static bool is_same_row(const sr_real *left, const sr_real *right, size_t row, size_t width)
{
    return memcmp(left + row * width, right + row * width, width * sizeof *left) == 0;
}

static void rows_of_a_lazy_optimizer_rest_without_a_gradient(void **state)
{
    static const variant lazy = {
        {"training.loss=bpr", "model.item_table=divided", "training.row_optimizer=lazy", "training.weight_decay=0.1"}};
    small_training t;
    double losses[2 * STEPS];
    size_t moved = 0;
    begin(&t, *state, true, lazy.options);
    take_steps(&t, 0, STEPS - 1, losses);
    sr_real *before[] = {whole_part(&t, ITEM_VECTORS, SIZE_MAX), whole_part(&t, ITEM_VECTORS, 0)};
    take_steps(&t, STEPS - 1, STEPS, losses);
    sr_real *after[] = {whole_part(&t, ITEM_VECTORS, SIZE_MAX), whole_part(&t, ITEM_VECTORS, 0)};
    for (size_t row = 0; row <= ITEMS; ++row) {
        size_t place;
        const sr_row_block *block = sr_row_blocks_find(sr_model_parameters(t.model), row, &place);
        bool touched = false;
        for (size_t i = 0; i < block->touched.count; ++i)
            touched = touched || (size_t)block->touched.rows[i] == place;
        if (!touched) {
            assert_true(is_same_row(before[0], after[0], row, 8) && is_same_row(before[1], after[1], row, 8));
        } else if (row > 0) {
            assert_false(is_same_row(before[0], after[0], row, 8));
            ++moved;
        }
    }
    assert_in_range(moved, 20, ITEMS - 20);
    for (size_t i = 0; i < 2; ++i) {
        free(before[i]);
        free(after[i]);
    }
    small_training_end(&t);
}

/* ---- checkpoints ---- */

static char *read_whole_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *size = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*size);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    assert_int_equal(fclose(file), 0);
    return bytes;
}

/* What one kind has written the other one reads, and writes again: the same bytes. */
static void check_files(const shared_dataset *data, const variant *chosen, bool first_in_blocks)
{
    small_training first, second;
    double losses[2 * STEPS];
    char paths[2][160];
    for (size_t i = 0; i < 2; ++i)
        snprintf(paths[i], sizeof paths[i], "%s/state-%zu.h5", data->directory, i);
    begin(&first, data, first_in_blocks, chosen->options);
    take_steps(&first, 0, STEPS / 2, losses);
    small_training_write(&first, data, paths[0], STEPS / 2);
    begin(&second, data, !first_in_blocks, chosen->options);
    small_training_read(&second, data, paths[0]);
    assert_same_table(&second, &first, 0);
    small_training_write(&second, data, paths[1], STEPS / 2);
    size_t sizes[2];
    char *bytes[] = {read_whole_file(paths[0], &sizes[0]), read_whole_file(paths[1], &sizes[1])};
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(bytes[0], bytes[1], sizes[0]);
    for (size_t i = 0; i < 2; ++i) {
        free(bytes[i]);
        assert_int_equal(unlink(paths[i]), 0);
    }
    take_steps(&first, STEPS / 2, STEPS, losses);
    take_steps(&second, STEPS / 2, STEPS, losses);
    assert_same_table(&second, &first, 2e-5);
    small_training_end(&second);
    small_training_end(&first);
}

static void checkpoints_are_the_same_wherever_rows_lie(void **state)
{
    for (size_t v = 0; v < VARIANTS; ++v)
        for (int first_in_blocks = 0; first_in_blocks < 2; ++first_in_blocks)
            check_files(*state, &variants[v], first_in_blocks);
}

static void a_damaged_row_is_found(void **state)
{
    const shared_dataset *data = *state;
    small_training t;
    char path[160];
    sr_error error = {.message = ""};
    snprintf(path, sizeof path, "%s/state.h5", data->directory);
    begin(&t, data, true, variants[0].options);
    small_training_write(&t, data, path, STEPS / 2);
    sr_parameters *parameters = sr_model_parameters(t.model);
    sr_real *values = whole_part(&t, ITEM_VECTORS, SIZE_MAX);
    size_t size;
    char *bytes = read_whole_file(path, &size);
    char *found = memmem(bytes, size, values, 64 * sizeof *values); /* nothing else is like it */
    assert_non_null(found);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, found - bytes, SEEK_SET), 0);
    assert_true(fputc(*found ^ 1, file) != EOF && fclose(file) == 0);
    assert_int_equal(sr_checkpoint_read_state(data->parallel, path, parameters, &t.stepper.optimizer.state, &error),
                     SR_ERROR_DATA);
    assert_non_null(strstr(error.message, "the checksum of /parameters/item_embedding.weight, elements from 0 does not fit"));
    assert_int_equal(unlink(path), 0);
    free(bytes);
    free(values);
    small_training_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_in_blocks_start_with_the_same_bits),
        cmocka_unit_test(rows_in_blocks_are_trained_like_others),
        cmocka_unit_test(rows_of_a_lazy_optimizer_rest_without_a_gradient),
        cmocka_unit_test(checkpoints_are_the_same_wherever_rows_lie),
        cmocka_unit_test(a_damaged_row_is_found),
    };
    return cmocka_run_group_tests(tests, set_up, shared_dataset_tear_down);
}
