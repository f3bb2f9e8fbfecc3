#include "srtrain/random.h"

#include <Random123/philox.h>
#include <math.h>

static philox4x32_ctr_t philox_block(sr_random_stream stream, uint64_t low, uint64_t high)
{
    const philox4x32_ctr_t counter = {{(uint32_t)low, (uint32_t)(low >> 32), (uint32_t)high, (uint32_t)(high >> 32)}};
    const philox4x32_key_t key = {{stream.key[0], stream.key[1]}};
    return philox4x32(counter, key);
}

sr_random_stream sr_random_fork(sr_random_stream stream, uint64_t index)
{
    /* The upper counter word keeps forks apart from draws, which never reach it. */
    const philox4x32_ctr_t block = philox_block(stream, index, UINT64_MAX);
    return (sr_random_stream){{block.v[0], block.v[1]}};
}

sr_random_stream sr_random_open(uint64_t seed, sr_random_purpose purpose, uint64_t index)
{
    const sr_random_stream root = {{(uint32_t)seed, (uint32_t)(seed >> 32)}};
    return sr_random_fork(sr_random_fork(root, (uint64_t)purpose), index);
}

void sr_random_words(sr_random_stream stream, uint64_t low, uint64_t high, uint32_t words[4])
{
    const philox4x32_ctr_t block = philox_block(stream, low, high);
    for (int i = 0; i < 4; ++i)
        words[i] = block.v[i];
}

static uint64_t word_pair(const philox4x32_ctr_t *block, int first)
{
    return (uint64_t)block->v[first] << 32 | block->v[first + 1];
}

static double unit_interval(uint64_t bits)
{
    return (double)(bits >> 11) * 0x1p-53;
}

double sr_random_uniform(sr_random_stream stream, uint64_t low, uint64_t high)
{
    const philox4x32_ctr_t block = philox_block(stream, low, high);
    return unit_interval(word_pair(&block, 0));
}

/* Multiply-shift on 64 bits: floor(bits * bound / 2^64). */
static uint64_t scale_down(uint64_t bits, uint64_t bound)
{
    const uint64_t bits_high = bits >> 32, bits_low = bits & UINT32_MAX;
    const uint64_t bound_high = bound >> 32, bound_low = bound & UINT32_MAX;
    const uint64_t middle = bits_high * bound_low + (bits_low * bound_low >> 32);
    const uint64_t cross = bits_low * bound_high + (middle & UINT32_MAX);
    return bits_high * bound_high + (middle >> 32) + (cross >> 32);
}

uint64_t sr_random_below(sr_random_stream stream, uint64_t low, uint64_t high, uint64_t bound)
{
    const philox4x32_ctr_t block = philox_block(stream, low, high);
    return scale_down(word_pair(&block, 0), bound);
}

uint64_t sr_random_below_and_uniform(sr_random_stream stream, uint64_t low, uint64_t high, uint64_t bound, double *uniform)
{
    const philox4x32_ctr_t block = philox_block(stream, low, high);
    *uniform = unit_interval(word_pair(&block, 2));
    return scale_down(word_pair(&block, 0), bound);
}

double sr_random_normal(sr_random_stream stream, uint64_t low, uint64_t high)
{
    const philox4x32_ctr_t block = philox_block(stream, low, high);
    const double radius = 1.0 - unit_interval(word_pair(&block, 0)); /* in (0, 1]: its logarithm is finite */
    const double angle = 6.283185307179586476925287 * unit_interval(word_pair(&block, 2));
    return sqrt(-2.0 * log(radius)) * cos(angle);
}

uint64_t sr_random_permutation(sr_random_stream stream, uint64_t index, uint64_t size)
{
    enum { ROUNDS = 6 };
    unsigned half_bits = 1;
    while (half_bits < 32 && (uint64_t)1 << (2 * half_bits) < size)
        ++half_bits;
    const uint64_t half_mask = ((uint64_t)1 << half_bits) - 1;
    /* A Feistel network permutes [0, 4^half_bits), at most four times as many values as wanted; walking the cycle until
     * the value is small enough makes it a permutation of [0, size). */
    do {
        uint64_t left = index >> half_bits, right = index & half_mask;
        for (uint64_t round = 0; round < ROUNDS; ++round) {
            const philox4x32_ctr_t block = philox_block(stream, right, round);
            const uint64_t mixed = left ^ (block.v[0] & half_mask);
            left = right;
            right = mixed;
        }
        index = left << half_bits | right;
    } while (index >= size);
    return index;
}
