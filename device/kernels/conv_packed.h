// Three pixels at a time, in words of 32 bits: a part of conv.c.
//
// Their patches are packed into pairs of words, x0 + x1 2^21 and x2 + x1 2^11. Two multiplications
// by a weight then do what three would. The sums of a stretch lie within 2^20, so that the three
// can be told apart in the two accumulators.
#define PIXELS 3
#define SHIFT_P 21 // of x1 over x0
#define SHIFT_Q 11 // of x1 over x2

typedef struct {
    uint32_t p; // x0 + x1 << SHIFT_P
    uint32_t q; // x2 + x1 << SHIFT_Q
} pair_t;

// What multiplies a block of channels with the patches of three pixels. conv_armv6m.h knows where
// everything is.
typedef struct {
    pair_t *pairs;
    pair_t *starts; // of the accumulators, one a stretch
    const uint16_t *stretches;
    uint32_t n_stretches;
    const uint8_t *weights; // this and the next three go on to the next block
    const uint8_t *channel; // its wb_narrow_t or wb_wide_t
    int8_t *out;            // of the first pixel
    int32_t to[PIXELS];     // from there to the outputs of the pixels
    int32_t zero_point;
    int32_t low;
    int32_t high;
    uint32_t left; // channels of this block and those behind it
    uint32_t wide; // the sums are not scaled
    int32_t sums[BLOCK * PIXELS];
} block_t;

#if defined(__ARM_ARCH_6M__)
#include "kernels/conv_armv6m.h"
#else
// Packs runs of length inputs of three pixels; returns the sum of the pairs.
static void pack(
    pair_t *pair, const source_t sources[PIXELS], uint32_t length, uint32_t n_runs, pair_t *sum) {
    const int8_t *x0 = sources[0].at, *x1 = sources[1].at, *x2 = sources[2].at;
    pair_t total = {0, 0};
    for (; n_runs != 0; n_runs--) {
        for (uint32_t i = 0; i < length; i++, pair++) {
            uint32_t middle = (uint32_t)x1[i];
            pair->p = (uint32_t)x0[i] + (middle << SHIFT_P);
            pair->q = (uint32_t)x2[i] + (middle << SHIFT_Q);
            total.p += pair->p;
            total.q += pair->q;
        }
        x0 += sources[0].step;
        x1 += sources[1].step;
        x2 += sources[2].step;
    }
    *sum = total;
}

// Takes three sums from two accumulators.
static inline void add_sums(int32_t sums[PIXELS], uint32_t p, uint32_t q) {
    int32_t s0 = (int32_t)(p << (32 - SHIFT_P)) >> (32 - SHIFT_P);
    uint32_t low = p - (uint32_t)s0; // the low bits of s1, in place
    uint32_t rest = q - (low >> (SHIFT_P - SHIFT_Q));
    int32_t s2 = (int32_t)(rest << 10) >> 10;
    sums[0] += s0;
    sums[1] += ((int32_t)(rest - (uint32_t)s2) >> SHIFT_Q) + (int32_t)(low >> SHIFT_P);
    sums[2] += s2;
}

#if defined(__XTENSA__)
// Adds to sums [2][PIXELS] the products of n pairs with two channels.
static WB_APART void add_products_of_two(
    int32_t *sums, const pair_t *start, const pair_t *pair, const uint8_t *weights, uint32_t n) {
    uint32_t p0 = start->p, p1 = p0;
    uint32_t q0 = start->q, q1 = q0;
    uint32_t p, q, weight, product;
    // A loop without overhead, which the compiler does not know.
    __asm__ volatile(
        "loopnez %[n], 0f\n"
        "l32i %[p], %[pair], 0\n"
        "l32i %[q], %[pair], 4\n"
        "addi %[pair], %[pair], 8\n"
        "l8ui %[weight], %[weights], 0\n"
        "mull %[product], %[weight], %[p]\n"
        "add %[p0], %[p0], %[product]\n"
        "mull %[weight], %[weight], %[q]\n"
        "add %[q0], %[q0], %[weight]\n"
        "l8ui %[weight], %[weights], 1\n"
        "addi %[weights], %[weights], 4\n"
        "mull %[p], %[p], %[weight]\n"
        "add %[p1], %[p1], %[p]\n"
        "mull %[q], %[q], %[weight]\n"
        "add %[q1], %[q1], %[q]\n"
        "0:\n"
        : [p0] "+r"(p0), [p1] "+r"(p1), [q0] "+r"(q0), [q1] "+r"(q1), [pair] "+r"(pair),
          [weights] "+r"(weights), [p] "=&r"(p), [q] "=&r"(q), [weight] "=&r"(weight),
          [product] "=&r"(product)
        : [n] "r"(n)
        : "memory");
    add_sums(sums, p0, q0);
    add_sums(sums + PIXELS, p1, q1);
}

static void add_products(
    int32_t *sums, const pair_t *start, const pair_t *pair, const uint8_t *weights, uint32_t n) {
    add_products_of_two(sums, start, pair, weights, n);
    add_products_of_two(sums + 2 * PIXELS, start, pair, weights + 2, n);
}
#else
// Adds to sums [BLOCK][PIXELS] the products of n pairs.
static WB_APART void add_products(
    int32_t *sums, const pair_t *start, const pair_t *pair, const uint8_t *weights, uint32_t n) {
    uint32_t p0 = start->p, p1 = p0, p2 = p0, p3 = p0;
    uint32_t q0 = start->q, q1 = q0, q2 = q0, q3 = q0;
    for (const pair_t *end = pair + n; pair != end; pair++) {
        uint32_t p = pair->p, q = pair->q;
        p0 += weights[0] * p;
        q0 += weights[0] * q;
        p1 += weights[1] * p;
        q1 += weights[1] * q;
        p2 += weights[2] * p;
        q2 += weights[2] * q;
        p3 += weights[3] * p;
        q3 += weights[3] * q;
        weights += BLOCK;
    }
    add_sums(sums, p0, q0);
    add_sums(sums + PIXELS, p1, q1);
    add_sums(sums + 2 * PIXELS, p2, q2);
    add_sums(sums + 3 * PIXELS, p3, q3);
}
#endif

static void store_narrow(block_t *block, const wb_scale_t *scale) {
    const int32_t *sum = block->sums;
    const wb_narrow_t *channel = (const wb_narrow_t *)(const void *)block->channel;
    for (uint32_t i = take_channels(&block->left); i != 0; i--, channel++) {
        block->out[0] = (int8_t)wb_scaled_narrow(*sum++, channel, scale);
        block->out[block->to[1]] = (int8_t)wb_scaled_narrow(*sum++, channel, scale);
        block->out[block->to[2]] = (int8_t)wb_scaled_narrow(*sum++, channel, scale);
        block->out++;
    }
    block->channel = (const uint8_t *)channel;
}

static void multiply_block(block_t *block) {
    const pair_t *pair = block->pairs;
    for (uint32_t i = 0; i < BLOCK * PIXELS; i++) {
        block->sums[i] = 0;
    }
    for (uint32_t i = 0; i < block->n_stretches; i++) {
        uint32_t n = block->stretches[i];
        add_products(block->sums, &block->starts[i], pair, block->weights, n);
        pair += n;
        block->weights += n * BLOCK;
    }
}

// All blocks, scaled and stored; if the scale is wide, the sums of one.
static void multiply(block_t *block, const wb_scale_t *scale) {
    do {
        multiply_block(block);
        if (block->wide) {
            return;
        }
        store_narrow(block, scale);
    } while (block->left != 0);
}
#endif

// What accumulators start from, so that weights that are WEIGHT_OFFSET too large do no harm.
static pair_t start_of(pair_t sum) {
    pair_t start = {0u - sum.p * WEIGHT_OFFSET, 0u - sum.q * WEIGHT_OFFSET};
    return start;
}

static void sum_stretches(const conv_t *conv, const pair_t *pair, pair_t *start) {
    const uint16_t *stretch = stretches_of(conv);
    for (uint32_t i = conv->n_stretches; i != 0; i--) {
        pair_t sum = {0, 0};
        for (uint32_t n = *stretch++; n != 0; n--, pair++) {
            sum.p += pair->p;
            sum.q += pair->q;
        }
        *start++ = start_of(sum);
    }
}

static void start_block(block_t *block, const conv_t *conv, uint32_t *scratch) {
    block->pairs = (pair_t *)(void *)scratch;
    block->starts = block->pairs + patch_of(&conv->window);
    block->stretches = stretches_of(conv);
    block->n_stretches = conv->n_stretches;
}

static void pack_patches(
    const conv_t *conv, const source_t sources[PIXELS], uint32_t length, block_t *block) {
    pair_t sum;
    pack(block->pairs, sources, length, conv->window.kernel_height, &sum);
    *block->starts = start_of(sum);
    if (conv->n_stretches > 1) {
        sum_stretches(conv, block->pairs, block->starts);
    }
}
