// Puts a value around an int8 tensor of up to three dimensions.
// host/wingbeat/reference/pad.py defines the result; the two agree bit for bit.
//
// operand 0: input, int8 [count]
// operand 1: output, int8 [before + count + after]
#include "kernels/copy.h"

#define DIMENSIONS 3

typedef struct {
    uint16_t count[DIMENSIONS]; // of the input, 1 or more
    uint16_t before[DIMENSIONS];
    uint16_t after[DIMENSIONS];
    int8_t value;
    uint8_t reserved;
} pad_t;

static const pad_t *pad_of(const wb_call_t *call) {
    return (const pad_t *)(const void *)call->params;
}

static uint8_t *fill(uint8_t *out, uint32_t n, uint8_t value) {
    for (uint8_t *end = out + n; out != end; out++) {
        *out = value;
    }
    return out;
}

static void run(const wb_call_t *call) {
    const pad_t *pad = pad_of(call);
    const uint8_t *x = call->operand[0].data;
    uint8_t *out = call->operand[1].data;
    uint8_t value = (uint8_t)pad->value;
    uint32_t row = (uint32_t)pad->before[2] + pad->count[2] + pad->after[2];
    uint32_t plane = row * ((uint32_t)pad->before[1] + pad->count[1] + pad->after[1]);
    out = fill(out, pad->before[0] * plane, value);
    for (uint32_t i = pad->count[0]; i != 0; i--) {
        out = fill(out, pad->before[1] * row, value);
        for (uint32_t j = pad->count[1]; j != 0; j--) {
            out = fill(out, pad->before[2], value);
            wb_copy(out, x, pad->count[2]);
            x += pad->count[2];
            out = fill(out + pad->count[2], pad->after[2], value);
        }
        out = fill(out, pad->after[1] * row, value);
    }
    fill(out, pad->after[0] * plane, value);
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const pad_t *pad = pad_of(call);
    if (call->params_size != sizeof(pad_t)) {
        return WB_BAD_PARAMS;
    }
    uint32_t before = 1, after = 1;
    for (uint32_t i = 0; i < DIMENSIONS; i++) {
        uint32_t whole = (uint32_t)pad->before[i] + pad->count[i] + pad->after[i];
        if (whole > 65535u) {
            return WB_BAD_PARAMS;
        }
        before = wb_times(before, pad->count[i]);
        after = wb_times(after, whole);
    }
    if (before == 0 || after == 0) {
        return WB_BAD_PARAMS;
    }
    if (call->n_inputs != 1 || call->n_operands != 2 || !wb_is_int8(&call->operand[0], before) ||
        !wb_is_int8(&call->operand[1], after)) {
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
