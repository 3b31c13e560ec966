// Softmax of int8 rows, as TFLite Micro computes it.
// host/wingbeat/reference/softmax8.py defines the result; the two agree bit for bit.
//
// operand 0: input, int8 [n_rows, depth]
// operand 1: output, int8 [n_rows, depth]: 256 p - 128; may be the input
#include "kernels/scale.h"

#define MAX_DEPTH 4095u
#define MAX_TABLE 256u
#define ONE 0x7fffffff     // in Q0, where 2^31 is 1
#define SUM_BITS 12u       // bits before the point of a sum
#define OUTPUT_BITS 8u
#define CONSTANT_48_OVER_17 1515870810
#define CONSTANT_MINUS_32_OVER_17 (-1010580540)
#define NEWTON_STEPS 3

typedef struct {
    uint16_t n_rows;  // 1 or more
    uint16_t depth;   // 1 to MAX_DEPTH
    uint16_t entries; // of the table, 1 to MAX_TABLE
    uint16_t reserved;
    int32_t table[]; // exp() of differences 0, 1, ... in Q0: the first is ONE, none is negative
} softmax_t;

typedef struct {
    int32_t reciprocal; // in Q0, of the sum shifted to 1 to 2
    uint32_t shift;     // of its products
} factor_t;

static const softmax_t *softmax_of(const wb_call_t *call) {
    return (const softmax_t *)(const void *)call->params;
}

static inline int32_t power_of(const softmax_t *softmax, int32_t difference) {
    return (uint32_t)difference < softmax->entries ? softmax->table[difference] : 0;
}

// One copy of it: there are five calls.
static __attribute__((noinline)) int32_t high_product(int32_t value, int32_t mantissa) {
    return wb_high_product(value, mantissa);
}

// 1 / (1 + x) in Q0 for x in Q0: Newton's method for 2 / (1 + x) in Q2, where 2^29 is 1.
static int32_t one_over_one_plus(uint32_t x) {
    int32_t half_denominator = (int32_t)((x >> 1) + 0x40000000u);
    int32_t y = CONSTANT_48_OVER_17 + high_product(CONSTANT_MINUS_32_OVER_17, half_denominator);
    for (int32_t i = 0; i < NEWTON_STEPS; i++) {
        int32_t error = 0x20000000 - high_product(half_denominator, y);
        y += high_product(error, y) * 4;
    }
    return y >= 0x40000000 ? ONE : y * 2;
}

// sum: 2^19 to 2^31 - 1.
static factor_t factor_of(uint32_t sum) {
    factor_t factor = {0, 31u + SUM_BITS - OUTPUT_BITS};
    for (; (sum & 0x80000000u) == 0; sum <<= 1) {
        factor.shift--;
    }
    factor.reciprocal = one_over_one_plus(sum - 0x80000000u);
    return factor;
}

static factor_t factor_of_row(const softmax_t *softmax, const int8_t *x, int32_t largest) {
    uint32_t sum = 0;
    for (const int8_t *end = x + softmax->depth; x != end; x++) {
        sum += ((uint32_t)power_of(softmax, largest - *x) + 0x800u) >> SUM_BITS;
    }
    return factor_of(sum);
}

static int32_t largest_of(const int8_t *x, uint32_t n) {
    int32_t largest = *x;
    for (const int8_t *end = x + n; x != end; x++) {
        largest = *x > largest ? *x : largest;
    }
    return largest;
}

static void run_row(const softmax_t *softmax, const int8_t *x, int8_t *out) {
    int32_t largest = largest_of(x, softmax->depth);
    factor_t factor = factor_of_row(softmax, x, largest);
    for (const int8_t *end = x + softmax->depth; x != end; x++, out++) {
        int32_t product = high_product(power_of(softmax, largest - *x), factor.reciprocal);
        // From a shift of 32 on, nothing is left.
        int32_t value = factor.shift > 31 ? 0 : wb_divided_by_power(product, factor.shift);
        *out = (int8_t)(value > 255 ? 127 : value - 128);
    }
}

static void run(const wb_call_t *call) {
    const softmax_t *softmax = softmax_of(call);
    const int8_t *x = (const int8_t *)call->operand[0].data;
    int8_t *out = (int8_t *)call->operand[1].data;
    for (uint32_t row = 0; row < softmax->n_rows; row++) {
        run_row(softmax, x, out);
        x += softmax->depth;
        out += softmax->depth;
    }
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const softmax_t *softmax = softmax_of(call);
    if (call->params_size < sizeof(softmax_t) || softmax->n_rows == 0 || softmax->depth == 0 ||
        softmax->depth > MAX_DEPTH || softmax->entries == 0 || softmax->entries > MAX_TABLE ||
        call->params_size != sizeof(softmax_t) + 4u * softmax->entries ||
        softmax->table[0] != ONE) {
        return WB_BAD_PARAMS;
    }
    for (uint32_t i = 0; i < softmax->entries; i++) {
        if (softmax->table[i] < 0) {
            return WB_BAD_PARAMS;
        }
    }
    uint32_t size = (uint32_t)softmax->n_rows * softmax->depth;
    if (call->n_inputs != 1 || call->n_operands != 2 || call->operand[0].typecode != 'b' ||
        call->operand[1].typecode != 'b' || call->operand[0].size != size ||
        call->operand[1].size != size) {
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
