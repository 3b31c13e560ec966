// Puts two or three int8 tensors beside each other.
// host/wingbeat/reference/concat.py defines the result; the two agree bit for bit.
//
// operands 0 to n - 1: inputs, int8 [n_rows, count of the input]
// operand n: output, int8 [n_rows, sum of the counts]; with one row it may start at the first input
#include "kernels/copy.h"

#define MAX_INPUTS 3u

typedef struct {
    uint16_t n_rows;            // 1 or more
    uint16_t count[MAX_INPUTS]; // elements of each input in a row; the last one is 0 if there is none
} concat_t;

static const concat_t *concat_of(const wb_call_t *call) {
    return (const concat_t *)(const void *)call->params;
}

static void run(const wb_call_t *call) {
    const concat_t *concat = concat_of(call);
    uint8_t *out = call->operand[call->n_inputs].data;
    for (uint32_t row = 0; row < concat->n_rows; row++) {
        for (uint32_t i = 0; i < call->n_inputs; i++) {
            uint32_t count = concat->count[i];
            const uint8_t *x = call->operand[i].data + row * count;
            if (x != out) {
                wb_copy(out, x, count);
            }
            out += count;
        }
    }
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const concat_t *concat = concat_of(call);
    if (call->params_size != sizeof(concat_t)) {
        return WB_BAD_PARAMS;
    }
    uint32_t n_inputs = concat->count[MAX_INPUTS - 1] == 0 ? 2 : MAX_INPUTS;
    if (call->n_inputs != n_inputs || call->n_operands != n_inputs + 1) {
        return WB_BAD_OPERANDS;
    }
    uint32_t total = 0;
    for (uint32_t i = 0; i < n_inputs; i++) {
        uint32_t size = wb_times(concat->n_rows, concat->count[i]);
        if (size == 0) {
            return WB_BAD_PARAMS;
        }
        if (!wb_is_int8(&call->operand[i], size)) {
            return WB_BAD_OPERANDS;
        }
        total += size;
    }
    return wb_is_int8(&call->operand[n_inputs], total) ? WB_OK : WB_BAD_OPERANDS;
}

WB_KERNEL int32_t wb_kernel(const wb_call_t *call) {
    if (call->phase == WB_CHECK) {
        return check(call);
    }
    run(call);
    return WB_OK;
}
