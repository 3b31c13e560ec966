// Logarithm to the base 2 of every element.
// host/wingbeat/reference/log2.py defines the result; the two agree bit for bit.
//
// operand 0: input, int32 [n_elements]
// operand 1: output, int16 [n_elements], in steps of 1/512
#include "kernels/log2.h"
#include "kernels/operands.h"

typedef struct {
    uint16_t n_elements; // 1 or more
    int16_t floor;       // the least result, and that of 0 and below
} log2_t;

static const log2_t *log2_of(const wb_call_t *call) {
    return (const log2_t *)(const void *)call->params;
}

static void run(const wb_call_t *call) {
    const int32_t *x = (const int32_t *)(const void *)call->operand[0].data;
    int16_t *out = (int16_t *)(void *)call->operand[1].data;
    int32_t floor = log2_of(call)->floor;
    for (const int32_t *end = x + log2_of(call)->n_elements; x != end; x++) {
        int32_t log = *x > 0 ? wb_log2_rounded(wb_log2((uint32_t)*x)) : floor;
        *out++ = (int16_t)wb_log2_limited(log, floor);
    }
}

WB_COLD static int32_t check(const wb_call_t *call) {
    if (call->params_size != sizeof(log2_t) || log2_of(call)->n_elements == 0) {
        return WB_BAD_PARAMS;
    }
    uint32_t n = log2_of(call)->n_elements;
    if (call->n_inputs != 1 || call->n_operands != 2 ||
        !wb_is_operand(&call->operand[0], 'i', 4 * n) ||
        !wb_is_operand(&call->operand[1], 'h', 2 * n)) {
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
