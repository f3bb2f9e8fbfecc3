/* Every optimizer: its step against a plain loop in double precision and against the numbers of PyTorch, the same bits however
 * many threads or ranks of a node divide it, and the same bits after its state has been in a checkpoint. */
#include "cpu_level.h"
#include "parallel/parallel_internal.h"
#include "small_training.h"
#include "srtrain/optimizer.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { USERS = 40, ITEMS = 60, LENGTH = 12, OPTIONS = 5, STEPS = 24 };

/* ---- optimizers and their options ---- */

typedef struct {
    const char *options[OPTIONS];
} variant;

static const variant variants[] = {
    {{"training.optimizer=adamw", "training.weight_decay=0.25"}},
    {{"training.optimizer=adam", "training.weight_decay=0.25", "training.adam_beta1=0.8", "training.adam_beta2=0.95"}},
    {{"training.optimizer=sgd"}},
    {{"training.optimizer=sgd", "training.weight_decay=0.25", "training.momentum=0"}},
    {{"training.optimizer=sgd", "training.weight_decay=0.25", "training.nesterov=true", "training.momentum=0.8"}},
    {{"training.optimizer=sgd", "training.weight_decay=0.25", "training.weight_decay_kind=decoupled"}},
    {{"training.optimizer=lamb", "training.weight_decay=0.25"}},
    {{"training.optimizer=lamb", "training.trust_ratio_limit=0.4", "training.adam_epsilon=1e-3"}},
};
enum { VARIANTS = sizeof variants / sizeof *variants };

static sr_settings settings_of(const variant *chosen)
{
    sr_settings settings;
    sr_error error = {.message = ""};
    size_t count = 0;
    while (count < OPTIONS && chosen->options[count])
        ++count;
    if (sr_settings_parse(&settings, "data: {path: x}\n", "test", chosen->options, count, &error) != SR_OK)
        fail_msg("%s", error.message);
    return settings;
}

/* ---- a small block ---- */

enum { ARRAYS = 3 };
static const size_t shapes[ARRAYS][2] = {{7, 11}, {5}, {40, 23}};
static const size_t ranks_of_shapes[ARRAYS] = {2, 1, 2};

static void declare(sr_parameters *parameters)
{
    static const sr_parameter_set sets[ARRAYS] = {SR_PARAMETERS_ORDINARY, SR_PARAMETERS_ORDINARY, SR_PARAMETERS_ATTACK};
    static const char *const names[ARRAYS] = {"table", "bias", "generator"};
    sr_parameters_initialise(parameters);
    for (size_t i = 0; i < ARRAYS; ++i)
        assert_int_equal(sr_parameters_declare(parameters, names[i], shapes[i], ranks_of_shapes[i],
                                               (sr_initial_values){SR_INITIAL_ZERO, 0}, sets[i], NULL, NULL),
                         SR_OK);
}

static double value_at(size_t element)
{
    return 0.05 * (double)((element * 7 + 3) % 31) - 0.7;
}

static double gradient_at(size_t element, int64_t step)
{
    return sin((double)(element % 100) + 1.7 * (double)step) * (element % 3 ? 0.01 : 2);
}

/* Elements of arrays alone: gaps between them stay 0. */
static void set_values(const sr_parameters *parameters)
{
    for (size_t p = 0; p < parameters->count; ++p)
        for (size_t i = parameters->list[p].offset; i < parameters->list[p].offset + parameters->list[p].size; ++i)
            parameters->values[i] = (sr_real)value_at(i);
}

static void set_gradients(const sr_parameters *parameters, int64_t step)
{
    for (size_t p = 0; p < parameters->count; ++p)
        for (size_t i = parameters->list[p].offset; i < parameters->list[p].offset + parameters->list[p].size; ++i)
            parameters->gradients[i] = (sr_real)gradient_at(i, step);
}

static double norm_of_gradients(const sr_parameters *parameters)
{
    return sqrt(sr_gradient_squares(parameters, tested_kernels(), NULL, 0, 1));
}

static const double RATE = 0.05, RATIO = 3; /* of the generators */

/* ---- the definitions, in double precision ---- */

enum { MOST = 1100 };

typedef struct {
    double values[MOST], state[2][MOST], direction[MOST];
} reference;

typedef struct {
    char name[16];
    double beta1, beta2, epsilon, momentum, limit, decay;
    bool nesterov, decoupled;
} definition;

static definition definition_of(const variant *chosen)
{
    definition d = {.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .momentum = 0.9, .limit = 10};
    for (size_t i = 0; i < OPTIONS && chosen->options[i]; ++i) {
        const char *key = chosen->options[i] + strlen("training."), *value = strchr(key, '=') + 1;
        const struct {
            const char *key;
            double *number;
        } numbers[] = {{"adam_beta1=", &d.beta1},  {"adam_beta2=", &d.beta2},        {"adam_epsilon=", &d.epsilon},
                       {"momentum=", &d.momentum}, {"trust_ratio_limit=", &d.limit}, {"weight_decay=", &d.decay}};
        for (size_t n = 0; n < sizeof numbers / sizeof *numbers; ++n)
            if (strncmp(key, numbers[n].key, strlen(numbers[n].key)) == 0)
                *numbers[n].number = atof(value);
        if (strncmp(key, "optimizer=", 10) == 0)
            snprintf(d.name, sizeof d.name, "%s", value);
        d.nesterov = d.nesterov || strcmp(key, "nesterov=true") == 0;
        d.decoupled = d.decoupled || strcmp(key, "weight_decay_kind=decoupled") == 0;
    }
    return d;
}

static void step_of_sgd(reference *r, const definition *d, size_t i, double gradient, double rate)
{
    if (d->decoupled)
        r->values[i] -= rate * d->decay * r->values[i];
    else
        gradient += d->decay * r->values[i];
    r->state[0][i] = d->momentum * r->state[0][i] + gradient;
    r->values[i] -= rate * (d->nesterov ? gradient + d->momentum * r->state[0][i] : r->state[0][i]);
}

/* Corrected means of the gradient and its square: what Adam and LAMB go by. */
static double adaptive(reference *r, const definition *d, size_t i, double gradient, double t)
{
    r->state[0][i] = d->beta1 * r->state[0][i] + (1 - d->beta1) * gradient;
    r->state[1][i] = d->beta2 * r->state[1][i] + (1 - d->beta2) * gradient * gradient;
    return r->state[0][i] / (1 - pow(d->beta1, t)) / (sqrt(r->state[1][i] / (1 - pow(d->beta2, t))) + d->epsilon);
}

static void step_of_adam(reference *r, const definition *d, size_t i, double gradient, double rate, double t)
{
    if (strcmp(d->name, "adamw") == 0)
        r->values[i] -= rate * d->decay * r->values[i];
    else
        gradient += d->decay * r->values[i];
    r->values[i] -= rate * adaptive(r, d, i, gradient, t);
}

static void step_of_lamb(reference *r, const definition *d, const sr_parameter *array, int64_t step, double scale, double rate)
{
    double values = 0, directions = 0;
    for (size_t i = array->offset; i < array->offset + array->size; ++i) {
        r->direction[i] = adaptive(r, d, i, scale * gradient_at(i, step), (double)step + 1) + d->decay * r->values[i];
        values += r->values[i] * r->values[i];
        directions += r->direction[i] * r->direction[i];
    }
    const double ratio = array->rank == 1 ? 1 : fmin(sqrt(values) / sqrt(directions), d->limit);
    for (size_t i = array->offset; i < array->offset + array->size; ++i)
        r->values[i] -= rate * ratio * r->direction[i];
}

static void step_of_reference(reference *r, const definition *d, const sr_parameters *parameters, int64_t step, double scale)
{
    for (size_t p = 0; p < parameters->count; ++p) {
        const sr_parameter *array = &parameters->list[p];
        const double rate = array->set == SR_PARAMETERS_ATTACK ? RATE * RATIO : RATE;
        if (strcmp(d->name, "lamb") == 0)
            step_of_lamb(r, d, array, step, scale, rate);
        for (size_t i = array->offset; strcmp(d->name, "lamb") != 0 && i < array->offset + array->size; ++i) {
            if (strcmp(d->name, "sgd") == 0)
                step_of_sgd(r, d, i, scale * gradient_at(i, step), rate);
            else
                step_of_adam(r, d, i, scale * gradient_at(i, step), rate, (double)step + 1);
        }
    }
}

static void follow(const variant *chosen, double clip)
{
    static reference r;
    const definition d = definition_of(chosen);
    sr_settings settings = settings_of(chosen);
    sr_parameters parameters;
    sr_optimizer optimizer;
    settings.training.clip_norm = clip;
    memset(&r, 0, sizeof r);
    declare(&parameters);
    assert_int_equal(sr_parameters_allocate(&parameters, NULL), SR_OK);
    assert_true(parameters.block_size <= MOST);
    assert_int_equal(sr_optimizer_create(&optimizer, &parameters, &settings.training, NULL), SR_OK);
    optimizer.attack_learning_rate_ratio = RATIO;
    set_values(&parameters);
    for (size_t i = 0; i < parameters.block_size; ++i)
        r.values[i] = (double)parameters.values[i];
    for (int64_t step = 0; step < STEPS; ++step) {
        set_gradients(&parameters, step);
        const double norm = norm_of_gradients(&parameters);
        const sr_update update = {.step = step, .learning_rate = RATE, .gradient_norm = norm, .parts = 1};
        assert_int_equal(sr_optimizer_step(&optimizer, tested_kernels(), &update, NULL), SR_OK);
        step_of_reference(&r, &d, &parameters, step, clip > 0 && norm > clip ? clip / norm : 1);
    }
    for (size_t i = 0; i < parameters.block_size; ++i)
        if (!(fabs((double)parameters.values[i] - r.values[i]) < 2e-5 * (1 + fabs(r.values[i]))))
            fail_msg("%s %s: element %zu is %.9g, not %.9g", chosen->options[0], chosen->options[1] ? chosen->options[1] : "",
                     i, (double)parameters.values[i], r.values[i]);
    sr_optimizer_free(&optimizer);
    sr_parameters_free(&parameters);
}

static void every_optimizer_follows_its_definition(void **state)
{
    (void)state;
    for (size_t v = 0; v < VARIANTS; ++v)
        follow(&variants[v], 0);
}

static void every_optimizer_clips_the_whole_gradient(void **state)
{
    (void)state;
    for (size_t v = 0; v < VARIANTS; ++v)
        follow(&variants[v], 3);
}

/* ---- the numbers of PyTorch ---- */

/* One weight, 1 at first, by the gradients 0.5, -0.25, 1, 0.75 and -0.5 at a learning rate of 0.1, as torch.optim of
 * PyTorch 2.3.1 has it. */
static void numbers_are_those_of_pytorch(void **state)
{
    static const double gradients[] = {0.5, -0.25, 1, 0.75, -0.5};
    static const struct {
        variant chosen;
        double weights[5];
    } known[] = {
        {{{"training.optimizer=adamw", "training.weight_decay=0.25"}},
         {0.875000002, 0.826491299, 0.740017857, 0.644578367, 0.586111726}},
        {{{"training.optimizer=adam", "training.weight_decay=0.25"}},
         {0.900000001, 0.835511727, 0.754950200, 0.667860114, 0.606087860}},
        {{{"training.optimizer=sgd"}}, {0.95, 0.93, 0.812, 0.6308, 0.51772}},
        {{{"training.optimizer=sgd", "training.momentum=0", "training.weight_decay=0.25"}},
         {0.925, 0.926875, 0.803703125, 0.708610547, 0.740895283}},
        {{{"training.optimizer=sgd", "training.momentum=0.8", "training.nesterov=true", "training.weight_decay=0.25"}},
         {0.865, 0.823075, 0.569796625, 0.302994577, 0.237314115}},
    };
    (void)state;
    for (size_t k = 0; k < sizeof known / sizeof *known; ++k) {
        const size_t shape[] = {1};
        const sr_settings settings = settings_of(&known[k].chosen);
        sr_parameters parameters;
        sr_optimizer optimizer;
        sr_parameters_initialise(&parameters);
        assert_int_equal(sr_parameters_declare(&parameters, "w", shape, 1, (sr_initial_values){SR_INITIAL_ZERO, 0},
                                               SR_PARAMETERS_ORDINARY, NULL, NULL),
                         SR_OK);
        assert_int_equal(sr_parameters_allocate(&parameters, NULL), SR_OK);
        assert_int_equal(sr_optimizer_create(&optimizer, &parameters, &settings.training, NULL), SR_OK);
        parameters.values[0] = 1;
        for (int64_t step = 0; step < 5; ++step) {
            const sr_update update = {.step = step, .learning_rate = 0.1, .parts = 1};
            parameters.gradients[0] = (sr_real)gradients[step];
            assert_int_equal(sr_optimizer_step(&optimizer, tested_kernels(), &update, NULL), SR_OK);
            if (!(fabs((double)parameters.values[0] - known[k].weights[step]) < 4e-6)) /* 1 - beta2 is rounded */
                fail_msg("%s, step %lld: %.9g, not %.9g", known[k].chosen.options[0], (long long)step + 1,
                         (double)parameters.values[0], known[k].weights[step]);
        }
        sr_optimizer_free(&optimizer);
        sr_parameters_free(&parameters);
    }
}

/* A matrix [3, 4] of norm 5. The first direction is the sign of the gradient, [1, 1], so that the ratio is 5 / sqrt(2). */
static void lamb_moves_an_array_in_proportion_to_its_size(void **state)
{
    const size_t shape[] = {1, 2};
    const variant chosen = {{"training.optimizer=lamb"}};
    const sr_settings settings = settings_of(&chosen);
    sr_parameters parameters;
    sr_optimizer optimizer;
    (void)state;
    sr_parameters_initialise(&parameters);
    assert_int_equal(sr_parameters_declare(&parameters, "w", shape, 2, (sr_initial_values){SR_INITIAL_ZERO, 0},
                                           SR_PARAMETERS_ORDINARY, NULL, NULL),
                     SR_OK);
    assert_int_equal(sr_parameters_allocate(&parameters, NULL), SR_OK);
    assert_int_equal(sr_optimizer_create(&optimizer, &parameters, &settings.training, NULL), SR_OK);
    parameters.values[0] = 3;
    parameters.values[1] = 4;
    parameters.gradients[0] = (sr_real)0.6;
    parameters.gradients[1] = (sr_real)0.8;
    const sr_update update = {.learning_rate = 0.01, .parts = 1};
    assert_int_equal(sr_optimizer_step(&optimizer, tested_kernels(), &update, NULL), SR_OK);
    assert_true(fabs((double)parameters.values[0] - (3 - 0.05 / sqrt(2))) < 1e-6);
    assert_true(fabs((double)parameters.values[1] - (4 - 0.05 / sqrt(2))) < 1e-6);
    sr_optimizer_free(&optimizer);
    sr_parameters_free(&parameters);
}

/* ---- divided work ---- */

typedef struct {
    sr_parallel *member;
    sr_node *node;
} divided_work;

static sr_status sum_over_parts(void *context, double *values, size_t count, sr_error *error)
{
    const divided_work *work = context;
    if (work->node)
        return sr_node_sum(work->node, work->member, values, count, error);
    sr_parallel_sum_over_threads(work->member, values, count);
    return SR_OK;
}

/* A block in memory of the node, or of its own where there is none, that threads of all processes update together. */
static void take_divided_steps(const shared_dataset *data, sr_node *node, size_t threads, const sr_training_settings *settings,
                               sr_real *values)
{
    sr_parameters parameters;
    sr_optimizer optimizer;
    sr_status statuses[4] = {SR_OK};
    declare(&parameters);
    if (node) {
        sr_real *common = sr_node_common(node);
        sr_parameters_place(&parameters, common, sr_node_own(node, sr_node_process(node)));
        sr_optimizer_place(&optimizer, &parameters, settings, common + parameters.block_size);
    } else {
        assert_int_equal(sr_parameters_allocate(&parameters, NULL), SR_OK);
        assert_int_equal(sr_optimizer_create(&optimizer, &parameters, settings, NULL), SR_OK);
    }
    if (!node || sr_node_process(node) == 0)
        set_values(&parameters);
    if (node)
        assert_int_equal(sr_node_wait(node, data->parallel, NULL), SR_OK);
    for (int64_t step = 0; step < STEPS; ++step) {
        set_gradients(&parameters, step);
#pragma omp parallel num_threads((int)threads)
        {
            const size_t thread = (size_t)omp_get_thread_num();
            divided_work work = {sr_parallel_member(data->parallel, thread), node};
            sr_update update = {
                .step = step, .learning_rate = RATE, .part = thread, .parts = threads, .sum = sum_over_parts, .context = &work};
            if (node)
                sr_node_part(node, work.member, &update.part, &update.parts);
            statuses[thread] = sr_optimizer_step(&optimizer, tested_kernels(), &update, NULL);
            if (node && statuses[thread] == SR_OK)
                statuses[thread] = sr_node_wait(node, work.member, NULL);
        }
        for (size_t thread = 0; thread < threads; ++thread)
            assert_int_equal(statuses[thread], SR_OK);
    }
    memcpy(values, parameters.values, parameters.block_size * sizeof *values);
    sr_optimizer_free(&optimizer);
    sr_parameters_free(&parameters);
}

static void threads_and_nodes_that_divide_a_step_change_no_bit(void **state)
{
    const shared_dataset *data = *state;
    static sr_real alone[MOST], divided[MOST];
    bool possible;
    assert_int_equal(sr_node_is_possible(data->parallel, &possible, NULL), SR_OK);
    assert_int_equal(possible, sr_parallel_size(data->parallel) > 1);
    for (size_t v = 0; v < VARIANTS; ++v) {
        const sr_settings settings = settings_of(&variants[v]);
        memset(alone, 0, sizeof alone);
        memset(divided, 0, sizeof divided);
        take_divided_steps(data, NULL, 1, &settings.training, alone);
        for (size_t threads = 1; threads <= 3; ++threads) {
            sr_node *node = NULL;
            assert_int_equal(sr_parallel_use_threads(data->parallel, threads, NULL), SR_OK);
            if (possible)
                assert_int_equal(sr_node_create(&node, data->parallel, (1 + SR_STATE_BLOCKS_MAXIMUM) * MOST, MOST, NULL),
                                 SR_OK);
            take_divided_steps(data, node, threads, &settings.training, divided);
            assert_memory_equal(divided, alone, sizeof alone);
            sr_node_free(node);
        }
        assert_int_equal(sr_parallel_use_threads(data->parallel, 1, NULL), SR_OK);
    }
}

/* ---- going on from a checkpoint ---- */

static size_t item_of(size_t user, size_t i)
{
    return user * user + 7 * i;
}

static int set_up(void **state)
{
    return shared_dataset_set_up(
        state, &(equal_sequences){.users = USERS, .items = ITEMS, .length = LENGTH, .shards = 1, .item_of = item_of});
}

static void begin(small_training *t, const shared_dataset *data, const variant *chosen, const char *reduction)
{
    const char *assignments[7 + OPTIONS] = {"data.path=none", "model.max_length=8",     "model.hidden_size=16",
                                            "model.layers=1", "training.batch_size=32", "training.learning_rate=0.01",
                                            reduction};
    size_t count = 7;
    for (size_t i = 0; i < OPTIONS && chosen->options[i]; ++i)
        assignments[count++] = chosen->options[i];
    small_training_begin(t, data, assignments, count, STEPS);
}

static void take_steps(small_training *t, int64_t first, int64_t end)
{
    sr_error error = {.message = ""};
    for (int64_t step = first; step < end; ++step) {
        sr_step_result result;
        if (small_training_step(t, step, &result, &error) != SR_OK)
            fail_msg("%s", error.message);
    }
    assert_int_equal(sr_stepper_settle(&t->stepper, NULL), SR_OK);
}

/* Of parameters and state, the latter on the only rank that has it where ranks share. */
static uint64_t checksum_of(const small_training *t)
{
    const sr_parameters *parameters = sr_model_parameters(t->model);
    const sr_state *state = &t->stepper.optimizer.state;
    uint64_t sum = sr_parameters_checksum(parameters);
    for (size_t i = 0; i < state->count; ++i) {
        sr_parameters block = *parameters;
        block.values = state->blocks[i].values;
        sum = sum * 31 + sr_parameters_checksum(&block);
    }
    return sum;
}

static void check_going_on(const shared_dataset *data, const variant *chosen, const char *reduction)
{
    static small_training whole, first, second;
    char path[160];
    snprintf(path, sizeof path, "%s/state.h5", data->directory);
    begin(&whole, data, chosen, reduction);
    take_steps(&whole, 0, STEPS);
    const uint64_t expected = checksum_of(&whole);
    small_training_end(&whole);
    begin(&first, data, chosen, reduction);
    take_steps(&first, 0, STEPS / 2);
    small_training_write(&first, data, path, STEPS / 2);
    small_training_end(&first);
    begin(&second, data, chosen, reduction);
    small_training_read(&second, data, path);
    take_steps(&second, STEPS / 2, STEPS);
    if (checksum_of(&second) != expected)
        fail_msg("%s with %s does not go on where it was", chosen->options[0], reduction);
    small_training_end(&second);
    assert_int_equal(sr_parallel_barrier(data->parallel, NULL), SR_OK);
    if (sr_parallel_rank(data->parallel) == 0)
        assert_int_equal(unlink(path), 0);
}

static void every_optimizer_goes_on_from_its_checkpoint_to_the_bit(void **state)
{
    const shared_dataset *data = *state;
    for (size_t v = 0; v < VARIANTS; ++v)
        check_going_on(data, &variants[v], "training.reduction=blocking");
    for (size_t v = 0; v < VARIANTS && sr_parallel_size(data->parallel) > 1; ++v)
        check_going_on(data, &variants[v], "training.reduction=shared");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_optimizer_follows_its_definition),
        cmocka_unit_test(every_optimizer_clips_the_whole_gradient),
        cmocka_unit_test(numbers_are_those_of_pytorch),
        cmocka_unit_test(lamb_moves_an_array_in_proportion_to_its_size),
        cmocka_unit_test(threads_and_nodes_that_divide_a_step_change_no_bit),
        cmocka_unit_test(every_optimizer_goes_on_from_its_checkpoint_to_the_bit),
    };
    /* A rank whose test fails must take the others with it: they are waiting for its messages. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    return cmocka_run_group_tests(tests, set_up, shared_dataset_tear_down);
}
