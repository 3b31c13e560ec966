// Any function from a byte to a byte, from a table of its 256 results.
// host/wingbeat/reference/lookup.py defines the result; the two agree bit for bit.
//
// operand 0: input, int8 or uint8 [n_elements]
// operand 1: output, int8 or uint8 [n_elements]; may be the input
#include "kernels/kernel.h"

#define MAX_ELEMENTS (1u << 24)

typedef struct {
    uint8_t table[256];  // in the order of the input's byte
    uint32_t n_elements; // 1 to MAX_ELEMENTS
    uint8_t typecode;    // of the input: 'b' or 'B'
    uint8_t output_typecode;
    uint8_t reserved[2];
} lookup_t;

static const lookup_t *lookup_of(const wb_call_t *call) {
    return (const lookup_t *)(const void *)call->params;
}

static void run(const wb_call_t *call) {
    const uint8_t *table = lookup_of(call)->table;
    const uint8_t *x = call->operand[0].data;
    uint8_t *out = call->operand[1].data;
    uint32_t n = lookup_of(call)->n_elements;
    const uint8_t *end = x + (n & ~7u);
    // Eight at a time, one after the other, since output and input may be the same.
    for (; x != end; x += 8, out += 8) {
        out[0] = table[x[0]];
        out[1] = table[x[1]];
        out[2] = table[x[2]];
        out[3] = table[x[3]];
        out[4] = table[x[4]];
        out[5] = table[x[5]];
        out[6] = table[x[6]];
        out[7] = table[x[7]];
    }
    for (end += n & 7u; x != end; x++, out++) {
        *out = table[*x];
    }
}

static int32_t is_byte(uint32_t typecode) { return typecode == 'b' || typecode == 'B'; }

WB_COLD static int32_t check(const wb_call_t *call) {
    const lookup_t *lookup = lookup_of(call);
    const wb_operand_t *x = &call->operand[0];
    const wb_operand_t *out = &call->operand[1];
    if (call->params_size != sizeof(lookup_t) || lookup->n_elements == 0 ||
        lookup->n_elements > MAX_ELEMENTS || !is_byte(lookup->typecode) ||
        !is_byte(lookup->output_typecode)) {
        return WB_BAD_PARAMS;
    }
    if (call->n_inputs != 1 || call->n_operands != 2 || x->typecode != lookup->typecode ||
        out->typecode != lookup->output_typecode || x->size != lookup->n_elements ||
        out->size != lookup->n_elements) {
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
