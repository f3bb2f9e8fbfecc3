#include "evaluate/state_sums.h"

#include "tensor/symmetric.h"

#include <math.h>
#include <string.h>

/* A state of length 0 has no direction: it counts as orthogonal to every other. */
enum { LAST_STATES, LAST_DIRECTIONS, SEQUENCES_WITH_PAIRS, POSITION_COSINES, HIGH_FREQUENCY_SHARES, SCALARS };

size_t state_sums_size(size_t width)
{
    return width * width + width + SCALARS;
}

state_sums state_sums_view(double *block, size_t width)
{
    return (state_sums){width, block, block + width * width, block + width * width + width};
}

void state_sums_add_last(const state_sums *sums, const double *states, size_t count)
{
    const size_t width = sums->width;
    sr_gram_accumulate(sums->gram, states, count, width);
    for (size_t row = 0; row < count; ++row) {
        const double *state = states + row * width;
        double square = 0;
        for (size_t i = 0; i < width; ++i)
            square += state[i] * state[i];
        sums->scalars[LAST_STATES] += 1;
        if (!(square > 0))
            continue;
        sums->scalars[LAST_DIRECTIONS] += 1;
        for (size_t i = 0; i < width; ++i)
            sums->directions[i] += state[i] / sqrt(square);
    }
}

/* The mean of u_i u_j over pairs i != j of n vectors, `directions` of them of length 1 and the others 0, from |sum_i u_i|^2. */
static double mean_cosine(double square_of_sum, double directions, double n)
{
    return n > 1 ? (square_of_sum - directions) / (n * (n - 1)) : (double)NAN;
}

void state_sums_add_sequence(const state_sums *sums, const sr_real *states, size_t items, double *scratch)
{
    if (items < 2)
        return;
    const size_t width = sums->width;
    double *sum = scratch, *directions = scratch + width; /* of x and of x / |x| over positions */
    double energy = 0, directed = 0, square_of_sum = 0, square_of_directions = 0;
    memset(scratch, 0, 2 * width * sizeof *scratch);
    for (size_t row = 0; row < items; ++row) {
        const sr_real *state = states + row * width;
        double square = 0;
        for (size_t i = 0; i < width; ++i)
            square += (double)state[i] * (double)state[i];
        const double inverse = square > 0 ? 1 / sqrt(square) : 0;
        energy += square;
        directed += square > 0;
        for (size_t i = 0; i < width; ++i) {
            sum[i] += (double)state[i];
            directions[i] += inverse * (double)state[i];
        }
    }
    for (size_t i = 0; i < width; ++i) {
        square_of_sum += sum[i] * sum[i];
        square_of_directions += directions[i] * directions[i];
    }
    sums->scalars[SEQUENCES_WITH_PAIRS] += 1;
    sums->scalars[POSITION_COSINES] += mean_cosine(square_of_directions, directed, (double)items);
    /* |P x|^2 = items |mean|^2 */
    sums->scalars[HIGH_FREQUENCY_SHARES] += energy > 0 ? fmax(0, 1 - square_of_sum / (double)items / energy) : 0;
}

static double square_of(const double *vector, size_t size)
{
    double sum = 0;
    for (size_t i = 0; i < size; ++i)
        sum += vector[i] * vector[i];
    return sum;
}

static double mean(double sum, double count)
{
    return count > 0 ? sum / count : (double)NAN;
}

/* From the eigenvalues of the Gram matrix, ascending, to singular values, descending. Rounding may leave an eigenvalue below 0.
 */
static void singular_values_of(double *values, size_t count)
{
    for (size_t i = 0; i < count - i; ++i) {
        const double smaller = sqrt(fmax(0, values[i])), larger = sqrt(fmax(0, values[count - 1 - i]));
        values[i] = larger;
        values[count - 1 - i] = smaller;
    }
}

/* exp(-sum p ln p), p the values divided by their sum. */
static double effective_number(const double *values, size_t count)
{
    double sum = 0, entropy = 0;
    for (size_t i = 0; i < count; ++i)
        sum += values[i];
    for (size_t i = 0; i < count; ++i)
        if (values[i] > 0)
            entropy -= values[i] / sum * log(values[i] / sum);
    return sum > 0 ? exp(entropy) : 0;
}

sr_status state_sums_finish(const state_sums *sums, double *singular_values, state_numbers *numbers, sr_error *error)
{
    const size_t width = sums->width;
    SR_TRY(sr_symmetric_eigenvalues(sums->gram, width, singular_values, error));
    singular_values_of(singular_values, width);
    const double count = sums->scalars[LAST_STATES], pairs = sums->scalars[SEQUENCES_WITH_PAIRS];
    const double square = square_of(sums->directions, width), directions = sums->scalars[LAST_DIRECTIONS];
    *numbers = (state_numbers){.effective_rank = effective_number(singular_values, width),
                               .cosine = mean_cosine(square, directions, count),
                               .published_cosine = mean(square - directions, count * count),
                               .position_cosine = mean(sums->scalars[POSITION_COSINES], pairs),
                               .high_frequency_share = mean(sums->scalars[HIGH_FREQUENCY_SHARES], pairs),
                               .sequences_with_pairs = pairs};
    return SR_OK;
}
