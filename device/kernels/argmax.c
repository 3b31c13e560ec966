// Where the largest or least of int8 elements is, along a dimension.
// host/wingbeat/reference/argmax.py defines the result; the two agree bit for bit.
//
// operand 0: input, int8 [outer, count, inner]
// operand 1: output, int32 [outer, inner]
#include "kernels/copy.h"

typedef struct {
    uint16_t outer; // 1 or more
    uint16_t count; // 1 or more
    uint16_t inner; // 1 or more
    uint16_t least; // bit 0: the least instead of the largest
} argmax_t;

static const argmax_t *argmax_of(const wb_call_t *call) {
    return (const argmax_t *)(const void *)call->params;
}

// Index of the first of the largest elements, `step` apart; sign -1 turns their order around.
static int32_t index_of(const int8_t *x, uint32_t count, uint32_t step, int32_t sign) {
    int32_t index = 0, largest = *x * sign;
    for (uint32_t i = 1; i < count; i++) {
        x += step;
        int32_t value = *x * sign;
        if (value > largest) {
            largest = value;
            index = (int32_t)i;
        }
    }
    return index;
}

static void run(const wb_call_t *call) {
    const argmax_t *argmax = argmax_of(call);
    const int8_t *x = (const int8_t *)call->operand[0].data;
    int32_t *out = (int32_t *)(void *)call->operand[1].data;
    int32_t sign = argmax->least & 1u ? -1 : 1;
    for (uint32_t i = 0; i < argmax->outer; i++) {
        for (uint32_t j = 0; j < argmax->inner; j++) {
            *out++ = index_of(x + j, argmax->count, argmax->inner, sign);
        }
        x += (uint32_t)argmax->count * argmax->inner;
    }
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const argmax_t *argmax = argmax_of(call);
    if (call->params_size != sizeof(argmax_t)) {
        return WB_BAD_PARAMS;
    }
    uint32_t n_outputs = wb_times(argmax->outer, argmax->inner);
    uint32_t n_inputs = wb_times(n_outputs, argmax->count);
    if (n_inputs == 0) {
        return WB_BAD_PARAMS;
    }
    const wb_operand_t *out = &call->operand[1];
    if (call->n_inputs != 1 || call->n_operands != 2 || !wb_is_int8(&call->operand[0], n_inputs) ||
        out->typecode != 'i' || out->size != 4u * n_outputs) {
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
