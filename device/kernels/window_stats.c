// Statistics of each channel of a window of int16 samples, exact in integers.
// host/wingbeat/reference/window_stats.py defines every result; the two agree bit for bit.
//
// params:    u16 n_samples, u8 n_channels, u8 n_stats, u8 id[n_stats], zeros up to a multiple of 4
// operand 0: input, int16 [n_samples][n_channels]
// operand 1: output, int16 [n_channels][n_stats], in the order of id[]
//
// 32 bits are enough for all of it. With the sum S and the sum of squares Q of n samples:
//   m = floor(S / n + 1/2)          the mean
//   r = S - n m                     |r| <= n / 2
//   C = Q - m (S + r)               the sum of (x - m)^2, which is Q - 2 m S + n m^2
// and (n Q - S^2) / n^2, the variance, is (C - r^2 / n) / n. Only Q and C exceed 32 bits. They are
// kept as high 2^16 + low, and divided by n in two steps of 16 bits.

#include "kernels/integer.h"

enum {
    MEAN,
    STD,
    MIN,
    MAX,
    RMS,
    MEAN_CROSSINGS,
    PEAK_TO_PEAK,
    N_IDS,
};

#define OF(id) (1u << (id)) // the set with one id in it
#define SQUARES (OF(STD) | OF(RMS))

#define MAX_SAMPLES 32767u
#define INT16_LIMIT 32767u
#define HEADER_SIZE 4u // bytes of params before id[]

#define INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))

// One channel of an interleaved window, and what is known of it.
typedef struct {
    const int16_t *first;
    const int16_t *last;
    uint32_t stride; // items from one sample to the next, 1..255
    uint32_t n;      // samples, 1..32767
    int32_t sum;     // |sum| <= 2^30
    int32_t mean;
    int32_t min;
    uint32_t range;  // max - min, 0..65535
    uint32_t high;   // sum of x^2 >> 16, below 2^29
    uint32_t low;    // sum of x^2 & 0xffff, below 2^31
} channel_t;

static uint32_t read_samples(const uint8_t *params) {
    return params[0] | (uint32_t)params[1] << 8;
}

static uint32_t limited(uint32_t value) {
    return value < INT16_LIMIT ? value : INT16_LIMIT;
}

// floor(sqrt((A - c / n) / n)) of A = high 2^16 + low, with c <= n A, c < n^2 and A / n < 2^31.
// A = q n + b gives (A - c / n) / n = q + (b n - c) / n^2, and the last term is between -1 and 1.
NOINLINE uint32_t root_mean(uint32_t high, uint32_t low, uint32_t n, uint32_t c) {
    uint32_t upper = wb_divide(high + (low >> 16), n);
    uint32_t lower = wb_divide((upper & 0xffff0000u) | (low & 0xffff), n);
    uint32_t quotient = upper << 16 | (lower & 0xffff);
    return wb_square_root(quotient - ((lower >> 16) * n < c));
}

// One pass for all that does not need the mean. squares is a constant where this is inlined.
INLINE void scan(channel_t *channel, int squares) {
    const int16_t *x = channel->first;
    const int16_t *last = channel->last;
    uint32_t stride = channel->stride;
    int32_t sample = *x;
    int32_t sum = sample;
    uint32_t square = (uint32_t)(sample * sample);
    uint32_t total = square; // of the squares, modulo 2^32
    uint32_t high = square >> 16;
    int32_t min = sample;
    uint32_t range = 0;
    while (x != last) {
        x += stride;
        sample = *x;
        sum += sample;
        if (squares) {
            square = (uint32_t)(sample * sample);
            total += square;
            high += square >> 16;
        }
        // One unsigned comparison finds a new minimum and a new maximum; most are neither.
        uint32_t above = (uint32_t)(sample - min);
        if (__builtin_expect(above > range, 0)) {
            if (sample < min) {
                range -= above;
                min = sample;
            } else {
                range = above;
            }
        }
    }
    channel->sum = sum;
    channel->min = min;
    channel->range = range;
    if (squares) {
        channel->high = high;
        channel->low = total - (high << 16);
    }
}

NOINLINE void scan_all(channel_t *channel) {
    scan(channel, 1);
}

NOINLINE void scan_without_squares(channel_t *channel) {
    scan(channel, 0);
}

static uint32_t deviation(const channel_t *channel) {
    int32_t mean = channel->mean;
    int32_t rest = channel->sum - (int32_t)channel->n * mean;
    int32_t factor = channel->sum + rest;
    int32_t product = mean * (factor & 0xffff);
    int32_t low = (int32_t)channel->low - (product & 0xffff);
    int32_t high = (int32_t)channel->high - mean * (factor >> 16) - (product >> 16);
    high += low >> 16; // the carry: 0 <= high from here on
    return root_mean((uint32_t)high, (uint32_t)low & 0xffff, channel->n, (uint32_t)(rest * rest));
}

static uint32_t root_mean_square(const channel_t *channel) {
    uint32_t n = channel->n;
    return limited(root_mean(channel->high, channel->low + (n >> 1), n, 0));
}

// How often the signal goes from above the mean to the mean or below, or back.
NOINLINE uint32_t crossings(const channel_t *channel) {
    int32_t mean = channel->mean;
    const int16_t *x = channel->first;
    uint32_t stride = channel->stride;
    const int16_t *last = channel->last;
    uint32_t count = 0;
    int32_t before = mean - *x; // negative above the mean
    while (x != last) {
        x += stride;
        int32_t now = mean - *x;
        count += (uint32_t)(before ^ now) >> 31;
        before = now;
    }
    return count;
}

// Fill value[id] of each wanted id; the others may hold anything.
NOINLINE void measure(channel_t *channel, uint32_t wanted, int16_t *value) {
    if (wanted & SQUARES) {
        scan_all(channel);
    } else {
        scan_without_squares(channel);
    }
    channel->mean = wb_rounded_mean(channel->sum, channel->n);
    value[MEAN] = (int16_t)channel->mean;
    value[MIN] = (int16_t)channel->min;
    value[MAX] = (int16_t)(channel->min + (int32_t)channel->range);
    value[PEAK_TO_PEAK] = (int16_t)limited(channel->range);
    if (wanted & OF(STD)) {
        value[STD] = (int16_t)deviation(channel);
    }
    if (wanted & OF(RMS)) {
        value[RMS] = (int16_t)root_mean_square(channel);
    }
    if (wanted & OF(MEAN_CROSSINGS)) {
        value[MEAN_CROSSINGS] = (int16_t)crossings(channel);
    }
}

static uint32_t set_of(const uint8_t *id, uint32_t n_stats) {
    uint32_t set = 0;
    do {
        set |= OF(*id++);
    } while (--n_stats != 0);
    return set;
}

static void run(const wb_call_t *call) {
    const uint8_t *id = call->params + HEADER_SIZE;
    uint32_t n_stats = call->params[3];
    uint32_t wanted = set_of(id, n_stats);
    int16_t *out = (int16_t *)(void *)call->operand[1].data;
    int16_t value[N_IDS];
    channel_t channel;
    channel.first = (const int16_t *)(const void *)call->operand[0].data;
    channel.n = read_samples(call->params);
    channel.stride = call->params[2];
    channel.last = channel.first + (channel.n - 1) * channel.stride;
    uint32_t left = channel.stride;
    do {
        measure(&channel, wanted, value);
        for (uint32_t i = 0; i != n_stats; ++i) {
            *out++ = value[id[i]];
        }
        ++channel.first;
        ++channel.last;
    } while (--left != 0);
}

// Every id is known, and what follows them is zero.
static int ids_are_valid(const uint8_t *id, uint32_t n_stats, uint32_t n_padded) {
    for (uint32_t i = 0; i < n_padded; ++i) {
        uint32_t limit = i < n_stats ? N_IDS : 1;
        if (id[i] >= limit) {
            return 0;
        }
    }
    return 1;
}

static int is_int16(const wb_operand_t *operand, uint32_t n_items) {
    return operand->typecode == 'h' && operand->size == 2 * n_items;
}

static int32_t check(const wb_call_t *call) {
    const uint8_t *params = call->params;
    if (call->params_size < HEADER_SIZE) {
        return WB_BAD_PARAMS;
    }
    uint32_t n_samples = read_samples(params);
    uint32_t n_channels = params[2];
    uint32_t n_stats = params[3];
    uint32_t n_padded = (n_stats + 3) & ~3u;
    if (n_samples == 0 || n_samples > MAX_SAMPLES || n_channels == 0 || n_stats == 0 ||
        call->params_size != HEADER_SIZE + n_padded ||
        !ids_are_valid(params + HEADER_SIZE, n_stats, n_padded)) {
        return WB_BAD_PARAMS;
    }
    if (call->n_inputs != 1 || call->n_operands != 2 ||
        !is_int16(&call->operand[0], n_samples * n_channels) ||
        !is_int16(&call->operand[1], n_channels * n_stats)) {
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
