// Skewness, kurtosis and crossings of zero of each channel of a window.
// host/wingbeat/reference/moments.py defines every result; the two agree bit for bit.
//
// params:    u16 n_samples, u8 n_channels, u8 n_stats, u8 id[n_stats], zeros up to a multiple of 4
// operand 0: input, int16 [n_samples][n_channels]
// operand 1: output, int16 [n_channels][n_stats], in the order of id[]
//
// With the sum S of n samples, n x - S is n times the exact deviation. It is scaled by a power of
// two to d, whose largest has 12 bits; then q is d^2 / 2^8, and the sums of q, q d / 2^12 and q^2 / 2^16 each fit 32 bits.
#include "kernels/integer.h"
#include "kernels/number.h"
#include "kernels/operands.h"

enum {
    SKEWNESS,
    KURTOSIS,
    ZERO_CROSSINGS,
    N_IDS,
};

#define MAX_SAMPLES 32767u
#define INT16_LIMIT 32767u
#define DEVIATION_BITS 12
#define LARGEST_DEVIATION 4095u
#define STEP_BITS 8 // results are in steps of 2^-STEP_BITS

typedef struct {
    uint16_t n_samples; // 1 to MAX_SAMPLES
    uint8_t n_channels; // 1 or more
    uint8_t n_stats;    // 1 or more
} moments_t;

typedef struct {
    uint32_t second; // sum of q
    int32_t third;   // sum of q d >> 12
    uint32_t fourth; // sum of q^2 >> 16
} sums_t;

static const moments_t *params_of(const wb_call_t *call) {
    return (const moments_t *)(const void *)call->params;
}

typedef struct {
    int32_t sum;
    int32_t min;
    int32_t max;
    uint32_t crossings;
} scan_t;

static scan_t scan(const int16_t *x, uint32_t n, uint32_t stride) {
    scan_t scan = {0, *x, *x, 0};
    int32_t before = -*x; // negative above 0
    for (; n != 0; n--, x += stride) {
        int32_t sample = *x;
        scan.sum += sample;
        if (sample < scan.min) {
            scan.min = sample;
        }
        if (sample > scan.max) {
            scan.max = sample;
        }
        scan.crossings += (uint32_t)(before ^ -sample) >> 31;
        before = -sample;
    }
    return scan;
}

// d is (factor x - offset) >> shift.
typedef struct {
    int32_t factor;
    int32_t offset;
    uint32_t shift;
} scaling_t;

static scaling_t scaling_of(const scan_t *scan, int32_t n) {
    int32_t above = n * scan->max - scan->sum;
    int32_t below = scan->sum - n * scan->min;
    uint32_t largest = (uint32_t)(above > below ? above : below);
    scaling_t scaling = {n, scan->sum, 0};
    if (largest == 0) {
        return scaling;
    }
    for (; largest >= LARGEST_DEVIATION; largest >>= 1) {
        scaling.shift++;
    }
    if (scaling.shift == 0) {
        for (; 2 * largest < LARGEST_DEVIATION; largest <<= 1) {
            scaling.factor *= 2;
            scaling.offset *= 2;
        }
    }
    return scaling;
}

static sums_t sums_of(const int16_t *x, uint32_t n, uint32_t stride, scaling_t scaling) {
    sums_t sums = {0, 0, 0};
    for (; n != 0; n--, x += stride) {
        int32_t d = (scaling.factor * *x - scaling.offset) >> scaling.shift;
        uint32_t q = ((uint32_t)(d * d) + 0x80) >> 8;
        sums.second += q;
        sums.third += ((int32_t)q * d + 0x800) >> DEVIATION_BITS;
        sums.fourth += (q * q + 0x8000) >> 16;
    }
    return sums;
}

// sqrt(n) m3 / m2^(3/2): the root of its square, which is n third^2 2^16 / second^3.
static int32_t skewness(const sums_t *sums, uint32_t n) {
    uint32_t size = (uint32_t)(sums->third < 0 ? -sums->third : sums->third);
    wb_number_t second = wb_number(sums->second, 0);
    wb_number_t third = wb_number(size, 0);
    wb_number_t top = wb_times(wb_times(third, third), wb_number(n, 2 * STEP_BITS + 16));
    wb_number_t bottom = wb_times(wb_times(second, second), second);
    uint32_t square = wb_floor(wb_over(top, bottom), INT16_LIMIT * INT16_LIMIT);
    int32_t root = (int32_t)wb_square_root(square);
    return sums->third < 0 ? -root : root;
}

// n m4 / m2^2 = n fourth 2^16 / second^2
static int32_t kurtosis(const sums_t *sums, uint32_t n) {
    wb_number_t second = wb_number(sums->second, 0);
    wb_number_t top = wb_times(wb_number(sums->fourth, 0), wb_number(n, STEP_BITS + 16));
    return (int32_t)wb_floor(wb_over(top, wb_times(second, second)), INT16_LIMIT);
}

static void measure(const int16_t *x, uint32_t n, uint32_t stride, int16_t *value) {
    scan_t found = scan(x, n, stride);
    sums_t sums = sums_of(x, n, stride, scaling_of(&found, (int32_t)n));
    value[SKEWNESS] = 0;
    value[KURTOSIS] = 0;
    value[ZERO_CROSSINGS] = (int16_t)found.crossings;
    if (sums.second != 0) {
        value[SKEWNESS] = (int16_t)skewness(&sums, n);
        value[KURTOSIS] = (int16_t)kurtosis(&sums, n);
    }
}

static void run(const wb_call_t *call) {
    const moments_t *params = params_of(call);
    const uint8_t *id = (const uint8_t *)(params + 1);
    const int16_t *x = (const int16_t *)(const void *)call->operand[0].data;
    int16_t *out = (int16_t *)(void *)call->operand[1].data;
    int16_t value[N_IDS];
    for (uint32_t left = params->n_channels; left != 0; left--) {
        measure(x++, params->n_samples, params->n_channels, value);
        for (uint32_t i = 0; i != params->n_stats; i++) {
            *out++ = value[id[i]];
        }
    }
}

WB_COLD static int32_t params_are_sound(const wb_call_t *call) {
    const moments_t *params = params_of(call);
    if (call->params_size < sizeof(moments_t) || params->n_samples == 0 ||
        params->n_samples > MAX_SAMPLES || params->n_channels == 0 || params->n_stats == 0) {
        return 0;
    }
    uint32_t size = sizeof(moments_t) + params->n_stats;
    uint32_t end = (size + 3) & ~3u;
    if (call->params_size != end) {
        return 0;
    }
    for (uint32_t i = sizeof(moments_t); i != end; i++) {
        if (call->params[i] >= (i < size ? N_IDS : 1)) {
            return 0;
        }
    }
    return 1;
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const moments_t *params = params_of(call);
    if (!params_are_sound(call)) {
        return WB_BAD_PARAMS;
    }
    uint32_t n_channels = params->n_channels;
    if (call->n_inputs != 1 || call->n_operands != 2 ||
        !wb_is_operand(&call->operand[0], 'h', 2 * n_channels * params->n_samples) ||
        !wb_is_operand(&call->operand[1], 'h', 2 * n_channels * params->n_stats)) {
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
