// Each column of a table times a factor plus an offset, saturated.
// host/wingbeat/reference/affine.py defines the result; the two agree bit for bit.
//
// params:    affine_t, i32 offset[n_columns], i16 factor[n_columns], up to a multiple of 4
// operand 0: input, int16 [n_rows][n_columns]
// operand 1: output, int16, int8 or uint8 [n_rows][n_columns]; may be the input
#include "kernels/integer.h"
#include "kernels/operands.h"

#define MAX_COLUMNS 4096u
#define MAX_SHIFT 31u

typedef struct {
    uint16_t n_rows;    // 1 or more
    uint16_t n_columns; // 1 to MAX_COLUMNS
    uint8_t shift;      // 0 to MAX_SHIFT
    uint8_t typecode;   // of the output: 'h', 'b' or 'B'
    uint16_t reserved;  // 0
} affine_t;

static const affine_t *affine_of(const wb_call_t *call) {
    return (const affine_t *)(const void *)call->params;
}

static int32_t limited(int32_t value, int32_t low, int32_t high) {
    return value < low ? low : value > high ? high : value;
}

// In rising order, so that an output in the input's place never runs ahead of it.
static void run(const wb_call_t *call) {
    const affine_t *affine = affine_of(call);
    const int32_t *offsets = (const int32_t *)(const void *)(affine + 1);
    const int32_t *end = offsets + affine->n_columns;
    const int16_t *x = (const int16_t *)(const void *)call->operand[0].data;
    uint8_t *out = call->operand[1].data;
    uint32_t wide = affine->typecode == 'h';
    int32_t low = wide ? -32768 : affine->typecode == 'b' ? -128 : 0;
    int32_t high = wide ? 32767 : low + 255;
    for (uint32_t left = affine->n_rows; left != 0; left--) {
        const int16_t *factor = (const int16_t *)(const void *)end;
        for (const int32_t *offset = offsets; offset != end; offset++) {
            uint32_t sum = (uint32_t)(*x++ * *factor++) + (uint32_t)*offset;
            int32_t value = limited((int32_t)sum >> affine->shift, low, high);
            if (wide) {
                *(int16_t *)(void *)out = (int16_t)value;
                out += sizeof(int16_t);
            } else {
                *out++ = (uint8_t)value;
            }
        }
    }
}

WB_COLD static int32_t params_are_sound(const wb_call_t *call) {
    const affine_t *affine = affine_of(call);
    if (call->params_size < sizeof(affine_t) || affine->n_rows == 0 || affine->n_columns == 0 ||
        affine->n_columns > MAX_COLUMNS || affine->shift > MAX_SHIFT || affine->reserved != 0 ||
        (affine->typecode != 'h' && affine->typecode != 'b' && affine->typecode != 'B')) {
        return 0;
    }
    uint32_t size = (uint32_t)sizeof(affine_t) + 6u * affine->n_columns;
    if (call->params_size != ((size + 3) & ~3u)) {
        return 0;
    }
    return (size & 2) == 0 || (call->params[size] | call->params[size + 1]) == 0;
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const affine_t *affine = affine_of(call);
    if (!params_are_sound(call)) {
        return WB_BAD_PARAMS;
    }
    uint32_t n = (uint32_t)affine->n_rows * affine->n_columns;
    if (call->n_inputs != 1 || call->n_operands != 2 ||
        !wb_is_operand(&call->operand[0], 'h', 2 * n) ||
        !wb_is_operand(&call->operand[1], affine->typecode, affine->typecode == 'h' ? 2 * n : n)) {
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
