#include "model_world.h"

#include "config/schema.h"
#include "cpu_level.h"
#include "srtrain/kernels.h"
#include "transforms.h"

#include <math.h>
#include <string.h>

enum { LIST_LENGTH = 4 };

/* Histories of different length; the fourth is longer than the window, the last one is empty. */
const int32_t histories[EXAMPLES][8] = {{3, 1, 4, 1, 5}, {9}, {2, 6}, {5, 3, 5, 8, 9, 7, 9, 3}, {0}};
const size_t lengths[EXAMPLES] = {5, 1, 2, 8, 0};
const int32_t next_items[EXAMPLES][8] = {{1, 4, 1, 5, 9}, {2}, {6, 5}, {3, 5, 8, 9, 7, 9, 3, 2}, {10}};
const int32_t negatives[EXAMPLES][8] = {{7, 7, 8, 2, 6}, {1}, {4, 4}, {1, 1, 2, 2, 4, 4, 6, 6}, {3}};
const int64_t example_times[EXAMPLES][8] = {{10, 11, 11, 40, 90}, {5}, {7, 9}, {1, 2, 3, 5, 8, 13, 21, 34}, {0}};
/* The same histories with masked items (the token ITEMS + 1), and what they hide. */
static const int32_t masked_histories[EXAMPLES][8] = {{3, 12, 4, 1, 12}, {12}, {2, 12}, {5, 3, 12, 12, 9, 7, 9, 12}, {0}};
static const int32_t hidden_items[EXAMPLES][8] = {{0, 1, 0, 0, 5}, {9}, {0, 6}, {0, 0, 5, 8, 0, 0, 0, 3}, {0}};

/* Ends the names of variants that transform by FFTW; windows as short as theirs would take products. */
#define BY_TRANSFORMS ", by transforms"

/* End the names of variants whose batches have lists of negatives, by who has the same list; the others have one item
 * for each target. */
#define EACH_TARGET ", a list for each target"
#define EACH_EXAMPLE ", a list for each example"
#define ONE_LIST ", one list"

const variant variants[] = {
    {"last position", {"model.positions=learned"}},
    {"left padding without positions", {"model.padding=left", "model.positions=none"}},
    {"left padding", {"model.padding=left"}},
    {"all positions", {"training.objective=all"}},
    {"bpr", {"training.loss=bpr"}},
    {"binary cross entropy at all positions", {"training.loss=binary_cross_entropy", "training.objective=all"}},
    {"relu and one layer", {"model.activation=relu", "model.layers=1"}},
    {"bert4rec", {BERT4REC}},
    {"ssept", {SSEPT}},
    {"ssept with shared embeddings", {SSEPT, "model.sse_user_probability=0.5", "model.sse_item_probability=0.5"}},
    {"tisasrec", {TISASREC}},
    {"tisasrec, all positions", {TISASREC, "training.objective=all"}},
    {"spatial", {SPATIAL}},
    {"spatial, padding left, all positions", {SPATIAL, "model.padding=left", "training.objective=all"}},
    {"order alone", {SPATIAL, "calibrators.spatial.distance=false"}},
    {"distance alone", {SPATIAL, "calibrators.spatial.order=false"}},
    {"adversarial alone", {"calibrators.adversarial.combine=gate"}},
    {"sasrec as released", {AC_RELEASED}},
    {"sasrec as released, padding left", {AC_RELEASED, "model.padding=left"}},
    {"sasrec, all positions", {AC, "training.objective=all", "calibrators.adversarial.renormalize=mass"}},
    {"sasrec, all positions, noise on masked cells",
     {AC_RELEASED, "training.objective=all", "calibrators.adversarial.renormalize=none"}},
    {"sasrec, fixed", {AC, "calibrators.adversarial.combine=fixed"}},
    {"sasrec, fixed as released", {AC_RELEASED, "calibrators.adversarial.combine=fixed"}},
    {"sasrec, fixed, masked cells read", {AC_RELEASED, RELEASED_FIXED_NONE}},
    {"sasrec, fixed, masked cells read, padding left", {AC_RELEASED, RELEASED_FIXED_NONE, "model.padding=left"}},
    {"sasrec, fixed, mass", {AC, "calibrators.adversarial.combine=fixed", "calibrators.adversarial.renormalize=mass"}},
    {"sasrec, annealing", {AC, ANNEALING}},
    {"sasrec, trained mix", {AC, ONE_LEVEL, "calibrators.adversarial.rich_combine=trainable"}},
    {"sasrec, fixed mix, bpr", {AC, ONE_LEVEL, "training.loss=bpr"}},
    {"sasrec without penalty", {AC, "calibrators.adversarial.penalty_weight=0"}},
    {"calibrated bert4rec", {AC, BERT4REC}},
    {"calibrated bert4rec as released", {AC_RELEASED, BERT4REC}},
    {"calibrated bert4rec, fixed, masked cells read", {AC_RELEASED, BERT4REC, RELEASED_FIXED_NONE}},
    {"calibrated ssept", {AC, SSEPT, "calibrators.adversarial.renormalize=none"}},
    {"calibrated ssept as released", {AC_RELEASED, SSEPT, "calibrators.adversarial.renormalize=none"}},
    {"calibrated tisasrec", {AC, TISASREC, "calibrators.adversarial.renormalize=none"}},
    {"calibrated tisasrec as released", {AC_RELEASED, TISASREC, "calibrators.adversarial.renormalize=none"}},
    {"calibrated tisasrec, fixed, masked cells read", {AC_RELEASED, TISASREC, RELEASED_FIXED_NONE}},
    {"simple refinement", {REFINEMENT("simple"), "training.loss=binary_cross_entropy", "training.objective=all"}},
    {"simple refinement of scores, padding left",
     {REFINEMENT("simple"), "calibrators.refinement.source=scores", "model.padding=left"}},
    {"additive refinement by head", {REFINEMENT("additive"), "calibrators.refinement.per_head=true", "training.loss=bpr"}},
    {"value refinement", {REFINEMENT("value"), "calibrators.refinement.rank=4"}},
    {"learned value refinement", {REFINEMENT("value"), LEARNED_VALUE, "training.objective=all"}},
    {"refined bert4rec", {BERT4REC, REFINEMENT("value"), LEARNED_VALUE}},
    {"refined ssept", {SSEPT, REFINEMENT("additive")}},
    {"refined tisasrec", {TISASREC, REFINEMENT("simple"), "calibrators.refinement.source=scores"}},
    {"refined and calibrated", {AC, ONE_LEVEL, REFINEMENT("additive")}},
    {"refined and calibrated as released", {AC_RELEASED, REFINEMENT("value"), "calibrators.refinement.source=scores"}},
    {"frequency rescaler", {FREQUENCY, "model.padding=left"}},
    {"frequency rescaler, padding right" BY_TRANSFORMS, {FREQUENCY, "training.loss=bpr"}},
    {"frequency rescaler of each sequence", {FREQUENCY, "calibrators.frequency.window=sequence"}},
    {"frequency rescaler of each sequence, padding left, alone",
     {FREQUENCY, "calibrators.frequency.window=sequence", "calibrators.frequency.alpha=1", "model.padding=left"}},
    {"rescaled and calibrated", {AC, FREQUENCY, "model.padding=left"}},
    {"rescaled, refined and calibrated as released", {AC_RELEASED, FREQUENCY, REFINEMENT("additive")}},
    {"rescaled bert4rec", {BERT4REC, FREQUENCY}},
    {"rescaled ssept", {SSEPT, FREQUENCY}},
    {"rescaled tisasrec", {TISASREC, FREQUENCY, "calibrators.frequency.window=sequence"}},
    {"fmlprec", {FMLPREC, "model.padding=left"}},
    {"fmlprec" BY_TRANSFORMS, {FMLPREC, "model.max_length=7", "training.loss=binary_cross_entropy"}},
    {"stosa", {STOSA}},
    {"stosa with updated means, last position", {STOSA, "model.mean_update=updated", "model.padding=left"}},
    {"stosa, all positions", {STOSA, "model.mean_update=updated", "training.objective=all", "training.pvn_weight=0.5"}},
    {"stochastic refinement", {STOSA, REFINEMENT("stochastic"), "model.mean_update=updated"}},
    {"stochastic refinement of scores by head",
     {STOSA, REFINEMENT("stochastic"), "calibrators.refinement.source=scores", "calibrators.refinement.per_head=true"}},
    {"fearec", {FEAREC}},
    {"fearec with an odd window" BY_TRANSFORMS, {FEAREC, "model.max_length=7", "model.padding=left"}},
    {"fearec in bands that do not overlap, bpr", {FEAREC, "model.global_ratio=0.1", "training.loss=bpr", "model.layers=3"}},
    {"fearec, contrastive with spectra",
     {FEAREC, "model.padding=left", "training.contrastive.weight=0.5", "training.contrastive.spectral_weight=0.4"}},
    {"contrastive", {"training.contrastive.weight=0.5", "training.contrastive.temperature=2"}},
    {"contrastive ssept with shared embeddings",
     {"training.contrastive.weight=0.5", SSEPT, "model.sse_user_probability=0.5", "training.loss=bpr"}},
    {"value refinement of stosa", {STOSA, REFINEMENT("value"), LEARNED_VALUE, "model.padding=left"}},
    {"gru4rec", {GRU4REC}},
    {"gru4rec as released", {GRU4REC, "model.padding=left", "training.loss=bpr"}},
    {"gru4rec, all positions", {GRU4REC, "training.objective=all", "training.loss=binary_cross_entropy", "model.layers=3"}},
    {"gru4rec, all positions, padding left", {GRU4REC, "training.objective=all", "model.padding=left", "model.layers=1"}},
    {"caser", {CASER, "training.frobenius_penalty=0.01"}},
    {"caser as released", {CASER, "model.padding=left", "training.loss=binary_cross_entropy"}},
    {"caser without penalty", {CASER, "model.padding=left", "training.loss=bpr", "training.frobenius_penalty=0"}},
    {"cross entropy of cosines", {COSINE, "model.layers=1", "training.objective=all"}},
    {"bpr of cosines", {COSINE, "model.layers=1", "training.loss=bpr"}},
    {"binary cross entropy at another temperature",
     {"model.layers=1", "training.loss=binary_cross_entropy", "training.temperature=0.7"}},
    {"bpr with lists" EACH_EXAMPLE, {"model.layers=1", "training.loss=bpr", "training.objective=all"}},
    {"binary cross entropy with lists" EACH_TARGET, {"model.layers=1", "training.loss=binary_cross_entropy"}},
    {"gbce" EACH_TARGET, {"model.layers=1", "training.loss=gbce", "training.objective=all"}},
    {"gbce with a penalty" ONE_LIST,
     {CASER, "training.loss=gbce", "training.calibration=0.3", "training.frobenius_penalty=0.1"}},
    {"sampled softmax" EACH_EXAMPLE, {"model.layers=1", SAMPLED, "training.objective=all"}},
    {"sampled softmax without correction" EACH_TARGET, {GRU4REC, SAMPLED, "training.log_q=none"}},
    {"sampled softmax, corrected on both sides" ONE_LIST, {SSEPT, SAMPLED, "training.log_q=all", COSINE}},
    {"sampled softmax, corrected negatives" EACH_TARGET, {"model.layers=1", SAMPLED, "training.log_q=negatives", COSINE}},
    {"sampled softmax of both branches" ONE_LIST, {AC, SAMPLED, "model.layers=1"}},
    {"sampled softmax beside InfoNCE" ONE_LIST, {CONTRASTIVE, SAMPLED, "model.layers=1"}},
    {"hstu", {HSTU, "model.time_unit=2", "model.time_buckets=6", "training.objective=all"}},
    {"hstu with norms, own times, padding left",
     {HSTU, "model.affine_norms=true", "model.time_query=own", "model.query_size=3", "model.value_size=5", "model.padding=left",
      "model.attention_divisor=17", "model.layers=1", "model.time_buckets=6"}},
    {"hstu without biases, of cosines" EACH_TARGET,
     {HSTU, COSINE, SAMPLED, "model.relative_positions=false", "model.relative_times=false", "model.positions=none"}},
    {"norm pre", {PRE, "model.inner_dropout=0.4", "model.embedding_scale=sqrt"}},
    {"norm query as published",
     {QUERY, "model.embedding_scale=sqrt", "model.attention_output=false", "model.padding=left", "training.objective=all"}},
    {"norm query, two tables" EACH_TARGET, {QUERY, SEPARATE, "model.layers=1", "training.loss=gbce"}},
    {"norm post with a final norm, gated",
     {"model.input_norm=false", "model.final_norm=true", "model.feed_forward=gated", "model.layers=1"}},
    {"ligr", {LIGR, "training.objective=all", "model.inner_dropout=0.4"}},
    {"calibrated ligr", {AC_RELEASED, LIGR, ANNEALING, "model.layers=1"}},
    {"norm query, refined and calibrated", {AC_RELEASED, QUERY, REFINEMENT("additive")}},
    {"ligr, rescaled and calibrated, padding left", {AC, LIGR, FREQUENCY, "model.padding=left", "model.layers=1"}},
    {"bert4rec, norm pre", {BERT4REC, PRE, "model.residual=gated", "model.layers=1"}},
    {"ssept, norm query, two tables of cosines",
     {SSEPT, QUERY, SEPARATE, COSINE, "model.embedding_scale=sqrt", "model.layers=1"}},
    {"rows of another width", {ITEM_WIDTH, "training.objective=all", "model.embedding_scale=sqrt"}},
    {"rows of another width, compared with samples" EACH_TARGET, {ITEM_WIDTH, SAMPLED, PRE, "model.layers=1"}},
    {"frozen rows of another width" EACH_TARGET, {ITEM_WIDTH, FROZEN, "training.loss=bpr", "model.layers=1"}},
    {"frozen rows, with calibrators", {FROZEN, AC, "model.layers=1"}},
    {"frozen rows of another width, with calibrators", {ITEM_WIDTH, FROZEN, AC_RELEASED, ANNEALING}},
    {"bert4rec with rows of another width", {BERT4REC, ITEM_WIDTH, "model.layers=1"}},
    {"ssept with rows of another width", {SSEPT, ITEM_WIDTH, "model.layers=1"}},
    {"contrastive with rows of another width", {CONTRASTIVE, ITEM_WIDTH, "model.layers=1"}},
    {"tisasrec, norm query", {TISASREC, QUERY, SEPARATE, "training.loss=bpr", "model.layers=1"}},
};
const size_t variant_count = sizeof variants / sizeof *variants;

/* ---- models ---- */

void open_world(world *w)
{
    w->is_frozen = false;
    assert_int_equal(sr_model_create(&w->model, &w->settings.model, ITEMS, USERS, NULL), SR_OK);
    assert_int_equal(sr_arena_create(&w->arena, 1 << 16, NULL), SR_OK);
    assert_int_equal(sr_tape_create(&w->tape, tested_kernels(), true, NULL), SR_OK);
    assert_int_equal(sr_tape_create(&w->plain_tape, tested_kernels(), false, NULL), SR_OK);
    sr_parameters_draw(sr_model_parameters(w->model), 5);
}

sr_status choose(sr_settings *settings, const char *const *chosen, size_t count, sr_error *error)
{
    enum { MOST = 32 };
    static const struct {
        const char *key, *assignment;
    } sizes[] = {{"hidden_size", "model.hidden_size=8"},
                 {"heads", "model.heads=2"},
                 {"inner_size", "model.inner_size=10"},
                 {"max_length", "model.max_length=6"},
                 {"initializer_range", "model.initializer_range=0.4"},
                 {"user_hidden_size", "model.user_hidden_size=3"},
                 {"gru_hidden_size", "model.gru_hidden_size=5"},
                 {"vertical_filters", "model.vertical_filters=2"},
                 {"horizontal_filters", "model.horizontal_filters=3"}};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    const char *assignments[MOST] = {"data.path=none"};
    size_t used = 1;
    assert_true(1 + count + SIZES <= MOST);
    for (size_t i = 0; i < count && chosen[i]; ++i)
        assignments[used++] = chosen[i];
    (void)sr_settings_parse(settings, "data:\n", "test", assignments, used, NULL); /* for its backbone */
    used = 1;
    sr_schema schema;
    sr_settings_schema(&schema);
    for (size_t i = 0; i < SIZES; ++i)
        if (schema_in_scope(schema_find(&schema, "model", sizes[i].key), settings))
            assignments[used++] = sizes[i].assignment;
    for (size_t i = 0; i < count && chosen[i]; ++i)
        assignments[used++] = chosen[i];
    return sr_settings_parse(settings, "data:\n", "test", assignments, used, error);
}

void create_world(world *w, const variant *v)
{
    w->chunk_tokens = 0;
    w->lists = strstr(v->name, EACH_TARGET)    ? LIST_OF_TARGET
               : strstr(v->name, EACH_EXAMPLE) ? LIST_OF_EXAMPLE
               : strstr(v->name, ONE_LIST)     ? LIST_OF_ALL
                                               : OWN;
    sr_error error = {.message = ""};
    if (choose(&w->settings, v->assignments, sizeof v->assignments / sizeof *v->assignments, &error) != SR_OK)
        fail_msg("%s", error.message);
    open_world(w);
    if (strstr(v->name, BY_TRANSFORMS))
        use_transforms(w->model, SR_FOURIER_FFTW);
}

void free_world(world *w)
{
    sr_model_free(w->model);
    sr_tape_free(w->tape);
    sr_tape_free(w->plain_tape);
    sr_arena_free(w->arena);
}

/* ---- batches ---- */

/* Examples [first, first + count) of `all` for a second pass, and for a third one others: the next example of the
 * list stands for each. */
static void build_views(world *w, const sr_example *examples, size_t all, size_t first, size_t count)
{
    sr_example again[EXAMPLES], alike[EXAMPLES];
    for (size_t i = 0; i < count; ++i) {
        again[i] = examples[first + i];
        alike[i] = examples[(first + i + 1) % all];
        again[i].targets = alike[i].targets = NULL;
        again[i].own_sequence = alike[i].own_sequence = true;
        alike[i].identity = examples[first + i].identity;
    }
    const sr_model_settings *model = &w->settings.model;
    assert_int_equal(sr_batch_build(&w->again, w->arena, model, SR_OBJECTIVE_LAST, true, again, count, NULL), SR_OK);
    assert_int_equal(sr_batch_build(&w->alike, w->arena, model, SR_OBJECTIVE_LAST, true, alike, count, NULL), SR_OK);
    w->batch.again = &w->again;
    w->batch.alike = &w->alike;
}

static size_t targets_of(const world *w, size_t example)
{
    const size_t window = (size_t)w->settings.model.max_length;
    if (w->settings.model.objective == SR_OBJECTIVE_LAST)
        return 1;
    return lengths[example] < window ? lengths[example] : window;
}

static void *take(world *w, size_t count, size_t size)
{
    void *memory = sr_arena_take(w->arena, count * size);
    assert_non_null(memory);
    return memory;
}

/* What lists leave out for each target: itself. Items are drawn with shares that rise with their numbers. */
static void exclude_targets(world *w, sr_negatives *lists)
{
    const size_t n = w->batch.targets, entries = lists->lists * lists->length;
    size_t *offsets = take(w, n + 1, sizeof *offsets), count = 0;
    uint32_t *hits = take(w, n * LIST_LENGTH, sizeof *hits);
    float *log_q = take(w, entries, sizeof *log_q), *target_log_q = take(w, n, sizeof *target_log_q);
    double *excluded = take(w, n, sizeof *excluded);
    const double all = ITEMS * (ITEMS + 1) / 2.0;
    for (size_t i = 0; i < entries; ++i)
        log_q[i] = (float)log(lists->items[i] / all);
    for (size_t list = 0; list < lists->lists; ++list)
        for (size_t target = lists->first_target[list]; target < lists->first_target[list + 1]; ++target) {
            const int32_t item = w->batch.target_items[target];
            offsets[target] = count;
            for (size_t k = 0; k < LIST_LENGTH; ++k)
                if (lists->items[list * LIST_LENGTH + k] == item)
                    hits[count++] = (uint32_t)k;
            target_log_q[target] = (float)log(item / all);
            excluded[target] = item / all;
        }
    offsets[n] = count;
    lists->hit_offsets = offsets;
    lists->hits = hits;
    lists->log_q = log_q;
    lists->target_log_q = target_log_q;
    lists->excluded_share = excluded;
}

/* Lists for the targets of examples [first, first + count). Their items depend on the example and the target alone. */
static void build_lists(world *w, size_t first, size_t count)
{
    const size_t n = w->batch.targets, most = n + count + 1;
    sr_negatives *lists = take(w, 1, sizeof *lists);
    int32_t *items = take(w, most * LIST_LENGTH, sizeof *items);
    size_t *first_target = take(w, most + 1, sizeof *first_target), target = 0, list = 0;
    for (size_t e = first; e < first + count; ++e)
        for (size_t i = 0; i < targets_of(w, e); ++i, ++target) {
            const bool begins = w->lists == LIST_OF_TARGET || (w->lists == LIST_OF_EXAMPLE && i == 0) || target == 0;
            const size_t key = w->lists == LIST_OF_ALL ? 0 : w->lists == LIST_OF_EXAMPLE ? e : 8 * e + i;
            for (size_t k = 0; begins && k < LIST_LENGTH; ++k)
                items[list * LIST_LENGTH + k] = 1 + (int32_t)((key * key + 3 * key + k * (k + 5)) % ITEMS);
            if (begins)
                first_target[list++] = target;
        }
    assert_int_equal(target, n);
    first_target[list] = n;
    *lists = (sr_negatives){.lists = list, .length = LIST_LENGTH, .items = items, .first_target = first_target};
    exclude_targets(w, lists);
    w->batch.negatives = lists;
}

int64_t example_next_time(size_t example)
{
    return 100 + 7 * (int64_t)example;
}

int32_t example_user(size_t example)
{
    return 1 + (int32_t)example % USERS;
}

void build_part(world *w, bool training, size_t first, size_t count)
{
    const bool masked = sr_model_needs_of(&w->settings.model, true).masked;
    const sr_objective objective = masked ? SR_OBJECTIVE_ALL : w->settings.model.objective;
    /* Masked training has no empty example. */
    const size_t all = masked && training ? EXAMPLES - 1 : EXAMPLES, used = first + count < all ? count : all - first;
    sr_example examples[EXAMPLES];
    for (size_t e = 0; e < all; ++e) {
        const size_t target = objective == SR_OBJECTIVE_ALL || lengths[e] == 0 ? 0 : lengths[e] - 1;
        examples[e] = (sr_example){.items = masked && training ? masked_histories[e] : histories[e],
                                   .times = example_times[e],
                                   .next_time = example_next_time(e),
                                   .length = lengths[e],
                                   .user = example_user(e),
                                   .mask_token = training ? 0 : sr_model_mask_token(w->model),
                                   .identity = 100 + e,
                                   .targets = !training ? NULL : (masked ? hidden_items : next_items)[e] + target,
                                   .negatives = training ? negatives[e] + target : NULL};
    }
    assert_int_equal(sr_batch_build(&w->batch, w->arena, &w->settings.model, objective, training, examples + first, used, NULL),
                     SR_OK);
    if (training && w->lists != OWN)
        build_lists(w, first, used);
    if (w->settings.model.contrastive.in_use)
        build_views(w, examples, all, first, used);
}

void build_batch(world *w, bool training, size_t count)
{
    build_part(w, training, 0, count);
}

/* ---- passes ---- */

const sr_tensor *encode(world *w, const sr_batch *batch, const sr_pass *pass)
{
    sr_encoding encoding;
    sr_tape_reset(w->tape);
    sr_model_encode(w->model, w->tape, batch, pass, &encoding);
    assert_non_null(encoding.representation);
    return encoding.representation;
}

static void keep_lags(world *w, const sr_batch *batch, unsigned view)
{
    sr_trace trace = {.layers = 0};
    const sr_pass pass = {.training = true, .seed = 3, .step = 7, .view = view, .trace = &trace};
    const size_t layers = (size_t)w->settings.model.layers;
    encode(w, batch, &pass);
    for (size_t layer = 0; layer < layers; ++layer)
        memcpy(w->lags[view * layers + layer], trace.lags[layer], trace.lag_count * sizeof **w->lags);
}

void freeze_lags(world *w)
{
    if (!sr_model_needs_of(&w->settings.model, true).sums_in_passes)
        return;
    keep_lags(w, &w->batch, 0);
    if (w->settings.model.contrastive.in_use) {
        keep_lags(w, &w->again, 1);
        keep_lags(w, &w->alike, 2);
    }
    w->is_frozen = true;
}

sr_outcome run_objective_on(world *w, sr_tape *tape, sr_ranks *ranks, double targets)
{
    const size_t *lags[VIEWS * MOST_LAYERS];
    for (size_t i = 0; i < VIEWS * MOST_LAYERS; ++i)
        lags[i] = w->lags[i];
    const sr_objective_request request = {.model = w->model,
                                          .tape = tape,
                                          .batch = &w->batch,
                                          .pass = {.training = true,
                                                   .seed = 3,
                                                   .step = 7,
                                                   .ranks = ranks,
                                                   .chunk_tokens = w->chunk_tokens,
                                                   .lags = w->is_frozen ? lags : NULL},
                                          .targets = targets};
    sr_outcome outcome;
    sr_error error = {.message = ""};
    sr_tape_reset(tape);
    if (sr_objective_run(&request, SR_OK, &outcome, &error) != SR_OK)
        fail_msg("%s", error.message);
    return outcome;
}

sr_outcome run_objective(world *w)
{
    return run_objective_on(w, w->tape, NULL, (double)w->batch.targets);
}

double loss_for(world *w, sr_parameter_set set)
{
    const sr_outcome outcome = run_objective_on(w, w->plain_tape, NULL, (double)w->batch.targets);
    return sr_terms_total(&outcome.terms, set, outcome.targets);
}

const sr_term *term_of(const sr_outcome *outcome, const char *name)
{
    for (size_t i = 0; i < outcome->terms.count; ++i)
        if (strcmp(outcome->terms.list[i].name, name) == 0)
            return &outcome->terms.list[i];
    fail_msg("there is no term %s", name);
    return NULL;
}
