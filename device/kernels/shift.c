// Divides int32 by a power of two, rounds to nearest and saturates to the output's dtype.
// host/wingbeat/reference/shift.py defines the result; the two agree bit for bit.
//
// operand 0: input, int32 [n_elements]
// operand 1: output, int32 or uint16 [n_elements]
#include "kernels/kernel.h"

#define MAX_SHIFT 30u
#define UINT16_LIMIT 65535

typedef struct {
    uint16_t n_elements; // 1 or more
    uint8_t shift;       // 0 to 30
    uint8_t typecode;    // of the output: 'i' or 'H'
} shift_t;

static const shift_t *shift_of(const wb_call_t *call) {
    return (const shift_t *)(const void *)call->params;
}

// floor(value / 2^shift + 1/2): the last bit that is shifted out decides, so nothing overflows.
static int32_t rounded(int32_t value, uint32_t shift) {
    return shift == 0 ? value : (value >> shift) + ((value >> (shift - 1)) & 1);
}

static uint16_t saturated(int32_t value) {
    return (uint16_t)(value < 0 ? 0 : value > UINT16_LIMIT ? UINT16_LIMIT : value);
}

static void run(const wb_call_t *call) {
    const shift_t *shift = shift_of(call);
    const int32_t *x = (const int32_t *)(const void *)call->operand[0].data;
    uint8_t *out = call->operand[1].data;
    for (const int32_t *end = x + shift->n_elements; x != end; x++) {
        int32_t value = rounded(*x, shift->shift);
        if (shift->typecode == 'H') {
            *(uint16_t *)(void *)out = saturated(value);
            out += sizeof(uint16_t);
        } else {
            *(int32_t *)(void *)out = value;
            out += sizeof(int32_t);
        }
    }
}

static int32_t check(const wb_call_t *call) {
    const shift_t *shift = shift_of(call);
    const wb_operand_t *x = &call->operand[0];
    const wb_operand_t *out = &call->operand[1];
    if (call->params_size != sizeof(shift_t) || shift->n_elements == 0 ||
        shift->shift > MAX_SHIFT || (shift->typecode != 'i' && shift->typecode != 'H')) {
        return WB_BAD_PARAMS;
    }
    uint32_t item = shift->typecode == 'H' ? 2 : 4;
    if (call->n_inputs != 1 || call->n_operands != 2 || x->typecode != 'i' ||
        x->size != 4u * shift->n_elements || out->typecode != shift->typecode ||
        out->size != item * shift->n_elements) {
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
