// Puts two or three tensors of one dtype beside each other.
// host/wingbeat/reference/concat.py defines the result; the two agree bit for bit.
//
// operands 0 to n - 1: inputs, int8, int16 or int32 [n_rows, count of the input]
// operand n: output, of the same dtype [n_rows, sum of the counts]; with one row it may start at the
// first input
#include "kernels/copy.h"

#define MAX_INPUTS 3u

typedef struct {
    uint16_t n_rows;            // 1 or more
    uint16_t count[MAX_INPUTS]; // elements of each input in a row; the last one is 0 if there is none
    uint32_t typecode;          // 'b', 'h' or 'i'
} concat_t;

static const concat_t *concat_of(const wb_call_t *call) {
    return (const concat_t *)(const void *)call->params;
}

// Base 2 logarithm of the bytes of an element; more than 2 for a dtype that there is not.
WB_APART static uint32_t shift_of(const concat_t *concat) {
    uint32_t typecode = concat->typecode;
    return typecode == 'b' ? 0u : typecode == 'h' ? 1u : typecode == 'i' ? 2u : 3u;
}

static void run(const wb_call_t *call) {
    const concat_t *concat = concat_of(call);
    uint8_t *out = call->operand[call->n_inputs].data;
    uint32_t shift = shift_of(concat);
    for (uint32_t row = 0; row < concat->n_rows; row++) {
        for (uint32_t i = 0; i < call->n_inputs; i++) {
            uint32_t size = (uint32_t)concat->count[i] << shift;
            const uint8_t *x = call->operand[i].data + row * size;
            if (x != out) {
                wb_copy(out, x, size);
            }
            out += size;
        }
    }
}

WB_COLD static int32_t is_tensor(
    const concat_t *concat, const wb_operand_t *operand, uint32_t size) {
    return operand->typecode == concat->typecode && operand->size == size;
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const concat_t *concat = concat_of(call);
    if (call->params_size != sizeof(concat_t) || shift_of(concat) > 2) {
        return WB_BAD_PARAMS;
    }
    uint32_t n_inputs = concat->count[MAX_INPUTS - 1] == 0 ? 2 : MAX_INPUTS;
    if (call->n_inputs != n_inputs || call->n_operands != n_inputs + 1) {
        return WB_BAD_OPERANDS;
    }
    uint32_t total = 0;
    for (uint32_t i = 0; i < n_inputs; i++) {
        // wb_times is at most 2^24 elements, so the sum of three is below 2^28.
        uint32_t size = wb_times(concat->n_rows, concat->count[i]) << shift_of(concat);
        if (size == 0) {
            return WB_BAD_PARAMS;
        }
        if (!is_tensor(concat, &call->operand[i], size)) {
            return WB_BAD_OPERANDS;
        }
        total += size;
    }
    return is_tensor(concat, &call->operand[n_inputs], total) ? WB_OK : WB_BAD_OPERANDS;
}

WB_KERNEL int32_t wb_kernel(const wb_call_t *call) {
    if (call->phase == WB_CHECK) {
        return check(call);
    }
    run(call);
    return WB_OK;
}
