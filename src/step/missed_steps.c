#include "step/missed_steps.h"

#include "srtrain/memory.h"

#include <math.h>
#include <stdlib.h>

enum { POWERS = SR_ADAM_POWERS + 2 }; /* with 0 and 1 */

/* Of what follows the horizon, or the eighth power: a share of the sum that is below rounding. */
#ifdef SR_REAL_IS_DOUBLE
static const double NEGLIGIBLE_REST = 1e-18, NEGLIGIBLE_POWER = 1e-15;
#else
static const double NEGLIGIBLE_REST = 1e-10, NEGLIGIBLE_POWER = 1e-7;
#endif

typedef struct {
    double step_size, correction;
    double log_decay; /* of the product of 1 - decay over all steps up to this one */
} step_taken;

/* Sums over a gap's terms, with decay up to the last of them. */
typedef struct {
    double scale, root, moments[SR_ADAM_POWERS];
    bool summed; /* term by term */
} gap_sums;

struct missed_steps {
    double beta1, root_of_beta2, epsilon;
    size_t horizon;
    step_taken *taken;
    gap_sums *recent;   /* [horizon + 1]: of the last k steps */
    gap_sums *complete; /* [count - horizon]: of the first `horizon` steps from each step on */
    size_t count, capacity;
};

static double horizon_of(double beta1)
{
    return beta1 > 0 ? ceil(log(NEGLIGIBLE_REST) / log(beta1)) : 1;
}

bool missed_steps_possible(double beta1)
{
    return horizon_of(beta1) <= MISSED_STEPS_HORIZON;
}

sr_status missed_steps_create(missed_steps **missed, double beta1, double beta2, double epsilon, sr_error *error)
{
    SR_TRY(SR_ALLOCATE_ZERO(missed, 1, "the steps that rows have missed", error));
    (*missed)->beta1 = beta1;
    (*missed)->root_of_beta2 = sqrt(beta2);
    (*missed)->epsilon = epsilon;
    (*missed)->horizon = (size_t)horizon_of(beta1);
    const sr_status status = SR_ALLOCATE_ZERO(&(*missed)->recent, (*missed)->horizon + 1, "the steps that rows have missed",
                                              error);
    if (status != SR_OK) {
        missed_steps_free(*missed);
        *missed = NULL;
    }
    return status;
}

void missed_steps_free(missed_steps *missed)
{
    if (!missed)
        return;
    free(missed->taken);
    free(missed->recent);
    free(missed->complete);
    free(missed);
}

enum { FIRST_CAPACITY = 1024 };

size_t missed_steps_memory(size_t steps)
{
    size_t capacity = FIRST_CAPACITY;
    while (capacity < steps)
        capacity *= 2;
    return capacity * (sizeof(step_taken) + sizeof(gap_sums));
}

sr_status missed_steps_reserve(missed_steps *missed, sr_error *error)
{
    if (missed->count < missed->capacity)
        return SR_OK;
    const size_t capacity = missed->capacity ? 2 * missed->capacity : FIRST_CAPACITY;
    const char *what = "the steps that rows have missed";
    SR_TRY(sr_reallocate((void **)&missed->taken, capacity, sizeof *missed->taken, what, error));
    SR_TRY(sr_reallocate((void **)&missed->complete, capacity, sizeof *missed->complete, what, error));
    missed->capacity = capacity;
    return SR_OK;
}

size_t missed_steps_taken(const missed_steps *missed)
{
    return missed->count;
}

/* Central moments about the mean, relative to it, of sums[p] = sum factor_j root_j^p. */
static gap_sums central(const double sums[POWERS])
{
    static const double binomials[POWERS][POWERS] = {{1},
                                                     {1, 1},
                                                     {1, 2, 1},
                                                     {1, 3, 3, 1},
                                                     {1, 4, 6, 4, 1},
                                                     {1, 5, 10, 10, 5, 1},
                                                     {1, 6, 15, 20, 15, 6, 1},
                                                     {1, 7, 21, 35, 35, 21, 7, 1},
                                                     {1, 8, 28, 56, 70, 56, 28, 8, 1}};
    gap_sums gap = {.scale = sums[0]};
    if (!(sums[0] > 0))
        return gap; /* a learning rate of 0: nothing moves */
    double relative[POWERS], power = sums[0];
    gap.root = sums[1] / sums[0];
    for (size_t p = 0; p < POWERS; ++p, power *= gap.root)
        relative[p] = sums[p] / power;
    for (size_t p = 2; p < POWERS; ++p) {
        double moment = 0;
        for (size_t i = 0; i <= p; ++i)
            moment += ((p - i) % 2 ? -1 : 1) * binomials[p][i] * relative[i];
        gap.moments[p - 2] = moment;
    }
    gap.summed = !(fabs(gap.moments[SR_ADAM_POWERS - 1]) < NEGLIGIBLE_POWER);
    return gap;
}

static double decay_between(const missed_steps *missed, size_t begin, size_t end)
{
    return begin < end ? exp(missed->taken[end - 1].log_decay - (begin > 0 ? missed->taken[begin - 1].log_decay : 0)) : 1;
}

/* From the last step backwards: a step in front of the others is their new first one, which makes each of theirs one later. */
static void sum_recent(missed_steps *missed)
{
    double sums[POWERS] = {0};
    const size_t longest = missed->count < missed->horizon ? missed->count : missed->horizon;
    for (size_t k = 1; k <= longest; ++k) {
        const size_t index = missed->count - k;
        const step_taken *step = &missed->taken[index];
        double later = missed->beta1, root = 1;
        double factor = missed->beta1 * step->step_size * decay_between(missed, index + 1, missed->count);
        for (size_t p = 0; p < POWERS; ++p) {
            sums[p] = later * sums[p] + factor * root;
            later *= missed->root_of_beta2;
            root *= missed->root_of_beta2 * step->correction;
        }
        missed->recent[k] = central(sums);
    }
}

void missed_steps_take(missed_steps *missed, double step_size, double second_correction, double decay)
{
    const double before = missed->count > 0 ? missed->taken[missed->count - 1].log_decay : 0;
    missed->taken[missed->count++] = (step_taken){step_size, second_correction, before + log1p(-decay)};
    sum_recent(missed);
    if (missed->count >= missed->horizon)
        missed->complete[missed->count - missed->horizon] = missed->recent[missed->horizon];
}

void missed_steps_forget(missed_steps *missed)
{
    missed->count = 0;
}

/* Terms of steps [first, end). */
static size_t write_terms(const missed_steps *missed, size_t first, size_t end, sr_real *factors, sr_real *roots)
{
    double power = 1, root = 1;
    for (size_t i = first; i < end; ++i) {
        power *= missed->beta1;
        root *= missed->root_of_beta2;
        factors[i - first] = (sr_real)(missed->taken[i].step_size * power * decay_between(missed, i + 1, missed->count));
        roots[i - first] = (sr_real)(root * missed->taken[i].correction);
    }
    return end - first;
}

size_t missed_steps_gap(const missed_steps *missed, size_t first, sr_adam_gap *gap, sr_real *factors, sr_real *roots)
{
    const size_t length = missed->count - first, terms = length < missed->horizon ? length : missed->horizon;
    const gap_sums *sums = length > missed->horizon ? &missed->complete[first] : &missed->recent[length];
    *gap = (sr_adam_gap){.first_factor = (sr_real)pow(missed->beta1, (double)length),
                         .second_factor = (sr_real)pow(missed->root_of_beta2, 2 * (double)length),
                         .value_factor = (sr_real)decay_between(missed, first, missed->count),
                         .scale = (sr_real)(sums->scale * decay_between(missed, first + terms, missed->count)),
                         .root = (sr_real)sums->root,
                         .epsilon = (sr_real)missed->epsilon};
    for (size_t p = 0; p < SR_ADAM_POWERS; ++p)
        gap->moments[p] = (sr_real)sums->moments[p];
    return sums->summed ? write_terms(missed, first, first + terms, factors, roots) : 0;
}
