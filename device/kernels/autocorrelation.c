// The greatest autocorrelation of each channel over a range of lags, and its lag.
// host/wingbeat/reference/autocorrelation.py defines every result; the two agree bit for bit.
//
// operand 0: input, int16 [n_samples][n_channels]
// operand 1: output, int16 [n_channels][2]: autocorrelation in steps of 2^-15, lag
// operand 2: scratch, int16 [n_samples]: deviations, scaled so that the sum of their squares fits
//            31 bits; then by Cauchy and Schwarz every sum of products does, whole or in part
#include "kernels/dot.h"
#include "kernels/operands.h"

#define MAX_SAMPLES 32767u
#define MAX_BITS 15u
#define SUM_BITS 31u
#define ONE_BITS 15u

typedef struct {
    uint16_t n_samples; // 2 to MAX_SAMPLES
    uint8_t n_channels; // 1 or more
    uint8_t reserved;   // 0
    uint16_t first;     // lag: 1 or more
    uint16_t last;      // first to n_samples - 1
} autocorrelation_t;

static const autocorrelation_t *params_of(const wb_call_t *call) {
    return (const autocorrelation_t *)(const void *)call->params;
}

// Deviations are below this: it squared times n is at most 2^SUM_BITS.
static uint32_t limit_of(uint32_t n) {
    uint32_t bits = MAX_BITS;
    while (n > (1u << (SUM_BITS - 2 * bits))) {
        bits--;
    }
    return (1u << bits) - 1;
}

// Scales the deviations of a channel from its mean.
static void scale(const int16_t *x, uint32_t n, uint32_t stride, int16_t *deviation) {
    int32_t sum = 0;
    int32_t min = *x;
    int32_t max = *x;
    const int16_t *sample = x;
    for (uint32_t left = n; left != 0; left--, sample += stride) {
        int32_t value = *sample;
        sum += value;
        min = value < min ? value : min;
        max = value > max ? value : max;
    }
    // n times the deviation, below 2^31.
    int32_t factor = (int32_t)n;
    uint32_t above = (uint32_t)(factor * max - sum);
    uint32_t below = (uint32_t)(sum - factor * min);
    uint32_t largest = above > below ? above : below;
    uint32_t limit = limit_of(n);
    uint32_t shift = 0;
    for (; largest >= limit; largest >>= 1) {
        shift++;
    }
    for (; shift == 0 && largest != 0 && 2 * largest < limit; largest <<= 1) {
        factor *= 2;
        sum *= 2;
    }
    // Half a step more may pass 32 bits, so the last bit is rounded by itself.
    uint32_t rounded = shift != 0;
    shift -= rounded;
    for (; n != 0; n--, x += stride) {
        int32_t value = (factor * *x - sum) >> shift;
        *deviation++ = (int16_t)((value + (int32_t)rounded) >> rounded);
    }
}

// floor(2^15 value / whole) for value <= whole < 2^31, at most 2^15 - 1; 0 of 0.
static uint32_t share_of(uint32_t value, uint32_t whole) {
    uint32_t share = 0;
    if (value >= whole) {
        return whole == 0 ? 0 : (1u << ONE_BITS) - 1;
    }
    for (uint32_t left = ONE_BITS; left != 0; left--) {
        value <<= 1;
        share <<= 1;
        if (value >= whole) {
            value -= whole;
            share++;
        }
    }
    return share;
}

// Sums of products modulo 2^32, of two lags that follow each other.
typedef struct {
    uint32_t at;
    uint32_t behind;
} sums_t;

// x[0] y[0] + x[1] y[1] + ... and x[0] y[1] + x[1] y[2] + ..., each of 2 count products.
#if defined(__ARM_ARCH_6M__)
// 20 cycles for four products: a y is loaded once, and is in r5 and r6 in turn.
//
//   r0 x, r1 y + 1 (their ends)   r2 offset, negative   r3 at, r4 behind   r5, r6 y   r7 x
__attribute__((naked, noinline)) static void add_products(
    sums_t *sums __attribute__((unused)), const int16_t *x __attribute__((unused)),
    const int16_t *y __attribute__((unused)), uint32_t count __attribute__((unused))) {
#define PRODUCTS(y0, y1) \
    "ldrsh r7, [r0, r2]\n" \
    "ldrsh " y1 ", [r1, r2]\n" \
    "muls " y0 ", r7\n" \
    "adds r3, r3, " y0 "\n" \
    "muls r7, " y1 "\n" \
    "adds r4, r4, r7\n" \
    "adds r2, #2\n"
    __asm__(
        "push {r0, r4-r7, lr}\n"
        "movs r4, #0\n"
        "lsls r3, r3, #2\n"
        "beq 2f\n"
        "ldrsh r5, [r2, r4]\n"
        "adds r0, r1, r3\n"
        "adds r1, r2, r3\n"
        "adds r1, #2\n"
        "subs r2, r4, r3\n"
        "movs r3, #0\n"
        "1: " PRODUCTS("r5", "r6") PRODUCTS("r6", "r5") "bne 1b\n"
        "2: pop {r0}\n"
        "stmia r0!, {r3, r4}\n"
        "pop {r4-r7, pc}\n");
#undef PRODUCTS
}
#else
static void add_products(sums_t *sums, const int16_t *x, const int16_t *y, uint32_t count) {
    sums_t found = {0, 0};
    for (const int16_t *end = x + 2 * count; x != end; x++, y++) {
        found.at += (uint32_t)(x[0] * y[0]);
        found.behind += (uint32_t)(x[0] * y[1]);
    }
    *sums = found;
}
#endif

// The sums at lag and, if there are samples for it, at lag + 1.
static sums_t sums_at(const int16_t *deviation, uint32_t n, uint32_t lag) {
    uint32_t both = (n - lag - 1) & ~1u;
    const int16_t *end = deviation + both;
    sums_t sums;
    add_products(&sums, deviation, deviation + lag, both >> 1);
    // At most two products are left.
    sums.at = wb_dot(sums.at, end, 1, end + lag, n - lag - both);
    sums.behind = wb_dot(sums.behind, end, 1, end + lag + 1, n - lag - 1 - both);
    return sums;
}

static void measure(const autocorrelation_t *params, const int16_t *deviation, int16_t *out) {
    uint32_t n = params->n_samples;
    uint32_t found = 0;
    int32_t greatest = 0;
    for (uint32_t lag = params->first; lag <= params->last; lag += 2) {
        sums_t sums = sums_at(deviation, n, lag);
        if (found == 0 || (int32_t)sums.at > greatest) {
            greatest = (int32_t)sums.at;
            found = lag;
        }
        if ((int32_t)sums.behind > greatest && lag != params->last) {
            greatest = (int32_t)sums.behind;
            found = lag + 1;
        }
    }
    uint32_t power = wb_dot(0, deviation, 1, deviation, n);
    uint32_t size = (uint32_t)(greatest < 0 ? -greatest : greatest);
    int32_t share = (int32_t)share_of(size, power);
    out[0] = (int16_t)(greatest < 0 ? -share : share);
    out[1] = (int16_t)found;
}

static void run(const wb_call_t *call) {
    const autocorrelation_t *params = params_of(call);
    const int16_t *x = (const int16_t *)(const void *)call->operand[0].data;
    int16_t *out = (int16_t *)(void *)call->operand[1].data;
    int16_t *deviation = (int16_t *)(void *)call->operand[2].data;
    for (uint32_t left = params->n_channels; left != 0; left--) {
        scale(x++, params->n_samples, params->n_channels, deviation);
        measure(params, deviation, out);
        out += 2;
    }
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const autocorrelation_t *params = params_of(call);
    if (call->params_size != sizeof(autocorrelation_t) || params->n_samples < 2 ||
        params->n_samples > MAX_SAMPLES || params->n_channels == 0 || params->reserved != 0 ||
        params->first == 0 || params->first > params->last ||
        params->last >= params->n_samples) {
        return WB_BAD_PARAMS;
    }
    uint32_t n = params->n_samples;
    if (call->n_inputs != 1 || call->n_operands != 3 ||
        !wb_is_operand(&call->operand[0], 'h', 2 * n * params->n_channels) ||
        !wb_is_operand(&call->operand[1], 'h', 4u * params->n_channels) ||
        !wb_is_operand(&call->operand[2], 'h', 2 * n)) {
        return WB_BAD_OPERANDS;
    }
    return WB_OK;
}

WB_KERNEL int32_t wb_kernel(const wb_call_t *call) {
    if (call->phase == WB_CHECK) {
        return check(call);
    }
    run(call);
    return WB_OK;
}
