// A matrix of int16 times each row, plus a bias, scaled down and saturated.
// host/wingbeat/reference/matrix.py defines the result; the two agree bit for bit.
//
// params:    matrix_t, i32 bias[n_outputs], i16 weight[n_outputs][n_inputs], up to a multiple of 4
// operand 0: input, int16 [n_rows][n_inputs]
// operand 1: output, int16 [n_rows][n_outputs]
#include "kernels/dot.h"
#include "kernels/integer.h"
#include "kernels/operands.h"

#define MAX_INPUTS 4096u
#define MAX_OUTPUTS 4096u
#define MAX_SHIFT 31u

typedef struct {
    uint16_t n_inputs; // 1 to MAX_INPUTS
    uint16_t n_outputs; // 1 to MAX_OUTPUTS
    uint16_t n_rows; // 1 or more
    uint8_t shift; // 0 to MAX_SHIFT
    uint8_t reserved; // 0
} matrix_t;

static const matrix_t *matrix_of(const wb_call_t *call) {
    return (const matrix_t *)(const void *)call->params;
}

static void run(const wb_call_t *call) {
    const matrix_t *matrix = matrix_of(call);
    const int32_t *biases = (const int32_t *)(const void *)(matrix + 1);
    const int32_t *biases_end = biases + matrix->n_outputs;
    const int16_t *row = (const int16_t *)(const void *)call->operand[0].data;
    int16_t *out = (int16_t *)(void *)call->operand[1].data;
    for (uint32_t left = matrix->n_rows; left != 0; left--) {
        const int16_t *weight = (const int16_t *)(const void *)biases_end;
        for (const int32_t *bias = biases; bias != biases_end; bias++) {
            uint32_t sum = wb_dot((uint32_t)*bias, row, 1, weight, matrix->n_inputs);
            weight += matrix->n_inputs;
            *out++ = wb_saturated((int32_t)sum >> matrix->shift);
        }
        row += matrix->n_inputs;
    }
}

WB_COLD static int32_t params_are_sound(const wb_call_t *call) {
    const matrix_t *matrix = matrix_of(call);
    if (call->params_size < sizeof(matrix_t) || matrix->n_inputs == 0 ||
        matrix->n_inputs > MAX_INPUTS || matrix->n_outputs == 0 ||
        matrix->n_outputs > MAX_OUTPUTS || matrix->n_rows == 0 || matrix->shift > MAX_SHIFT ||
        matrix->reserved != 0) {
        return 0;
    }
    uint32_t n_weights = (uint32_t)matrix->n_inputs * matrix->n_outputs;
    uint32_t size = (uint32_t)sizeof(matrix_t) + 4u * matrix->n_outputs + 2 * n_weights;
    if (call->params_size != ((size + 3) & ~3u)) {
        return 0;
    }
    return (size & 2) == 0 || (call->params[size] | call->params[size + 1]) == 0;
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const matrix_t *matrix = matrix_of(call);
    if (!params_are_sound(call)) {
        return WB_BAD_PARAMS;
    }
    if (call->n_inputs != 1 || call->n_operands != 2 ||
        !wb_is_operand(&call->operand[0], 'h', 2u * matrix->n_rows * matrix->n_inputs) ||
        !wb_is_operand(&call->operand[1], 'h', 2u * matrix->n_rows * matrix->n_outputs)) {
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
