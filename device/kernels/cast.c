// Widens 8-bit integers to int16.
// host/wingbeat/reference/cast.py defines the result; the two agree bit for bit.
//
// operand 0: input, int8 or uint8 [n_elements]
// operand 1: output, int16 [n_elements]
#include "kernels/kernel.h"

typedef struct {
    uint16_t n_elements; // 1 or more
    uint8_t typecode;    // of the input: 'b' or 'B'
    uint8_t reserved;    // 0
} cast_t;

static const cast_t *cast_of(const wb_call_t *call) {
    return (const cast_t *)(const void *)call->params;
}

static void run(const wb_call_t *call) {
    const uint8_t *x = call->operand[0].data;
    const uint8_t *end = x + cast_of(call)->n_elements;
    int16_t *out = (int16_t *)(void *)call->operand[1].data;
    int32_t sign = cast_of(call)->typecode == 'b' ? 0x80 : 0;
    while (x != end) {
        *out++ = (int16_t)((*x++ ^ sign) - sign);
    }
}

static int32_t check(const wb_call_t *call) {
    const cast_t *cast = cast_of(call);
    const wb_operand_t *x = &call->operand[0];
    const wb_operand_t *out = &call->operand[1];
    if (call->params_size != sizeof(cast_t) || cast->n_elements == 0 ||
        (cast->typecode != 'b' && cast->typecode != 'B') || cast->reserved != 0) {
        return WB_BAD_PARAMS;
    }
    if (call->n_inputs != 1 || call->n_operands != 2 || x->typecode != cast->typecode ||
        x->size != cast->n_elements || out->typecode != 'h' ||
        out->size != 2u * cast->n_elements) {
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
