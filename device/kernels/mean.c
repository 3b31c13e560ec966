// The mean over some axes, int8.
// host/wingbeat/reference/mean.py defines the result; SPEC.md, "Mean", has the bytes.
//
// operand 0: input, int8 [outer, first, middle, second, inner]
// operand 1: output, int8 [outer, middle, inner]
#include "kernels/kernel.h"
#include "kernels/operands.h"
#include "kernels/scale.h"

#define MAX_ELEMENTS 0x3fffffu

typedef struct {
    uint16_t outer; // this and the next four: 1 or more
    uint16_t first;
    uint16_t middle;
    uint16_t second;
    uint16_t inner;
    int8_t zero_point; // of the output
    uint8_t reserved;
    wb_wide_t factor; // its mantissa: 0 to 2^31 - 1
} mean_t;

static const mean_t *mean_of(const wb_call_t *call) {
    return (const mean_t *)(const void *)call->params;
}

// Of `second` neighbours in each of `first` blocks.
static int32_t sum_of(const mean_t *mean, const uint8_t *x) {
    int32_t sum = 0;
    uint32_t step = mean->inner;
    uint32_t block = (uint32_t)mean->middle * mean->second * step;
    for (uint32_t i = 0; i < mean->first; i++) {
        const uint8_t *at = x;
        for (uint32_t k = mean->second; k != 0; k--) {
            sum += *(const int8_t *)at;
            at += step;
        }
        x += block;
    }
    return sum;
}

static void run(const wb_call_t *call) {
    const mean_t *mean = mean_of(call);
    const uint8_t *x = call->operand[0].data;
    uint8_t *out = call->operand[1].data;
    uint32_t line = (uint32_t)mean->second * mean->inner;
    uint32_t rest = (mean->first - 1u) * mean->middle * line;
    wb_scale_t scale = {mean->zero_point, INT8_MIN, INT8_MAX, 1};
    for (uint32_t i = 0; i < mean->outer; i++) {
        for (uint32_t k = 0; k < mean->middle; k++) {
            for (uint32_t c = 0; c < mean->inner; c++) {
                *out++ = (uint8_t)wb_scaled_wide(sum_of(mean, x + c), &mean->factor, &scale);
            }
            x += line;
        }
        x += rest;
    }
}

// left * right, or more than MAX_ELEMENTS if that is; left at most that, right below 2^16.
static uint32_t limited_product(uint32_t left, uint32_t right) {
    uint32_t high = (left >> 11) * right; // below 2^27
    return high > (MAX_ELEMENTS >> 11) ? MAX_ELEMENTS + 1 : left * right;
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const mean_t *mean = mean_of(call);
    if (call->params_size != sizeof(mean_t) || mean->factor.mantissa < 0 ||
        mean->factor.exponent < WB_WIDE_EXPONENT_MIN ||
        mean->factor.exponent > WB_WIDE_EXPONENT_MAX) {
        return WB_BAD_PARAMS;
    }
    uint32_t size = mean->outer;
    for (const uint16_t *each = &mean->first; each <= &mean->inner && size <= MAX_ELEMENTS; each++) {
        size = limited_product(size, *each);
    }
    // A size of 0 makes the product 0.
    if (size - 1 >= MAX_ELEMENTS) {
        return WB_BAD_PARAMS;
    }
    uint32_t out_size = (uint32_t)mean->outer * mean->middle * mean->inner;
    if (call->n_inputs != 1 || call->n_operands != 2 ||
        !wb_is_operand(&call->operand[0], 'b', size) ||
        !wb_is_operand(&call->operand[1], 'b', out_size)) {
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
