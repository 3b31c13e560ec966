// Length of the vector that the axes of each sample are.
// host/wingbeat/reference/magnitude.py defines the result; the two agree bit for bit.
//
// operand 0: input, int16 [n_samples][n_axes]
// operand 1: output, int16 [n_samples]; may be the input
#include "kernels/integer.h"
#include "kernels/operands.h"

#define MAX_AXES 3u // more squares would pass 32 bits
#define INT16_LIMIT 32767u

typedef struct {
    uint16_t n_samples; // 1 or more
    uint8_t n_axes;     // 1 to MAX_AXES
    uint8_t reserved;   // 0
} magnitude_t;

static const magnitude_t *params_of(const wb_call_t *call) {
    return (const magnitude_t *)(const void *)call->params;
}

static void run(const wb_call_t *call) {
    const int16_t *x = (const int16_t *)(const void *)call->operand[0].data;
    int16_t *out = (int16_t *)(void *)call->operand[1].data;
    for (uint32_t left = params_of(call)->n_samples; left != 0; left--) {
        uint32_t sum = 0;
        for (uint32_t axis = params_of(call)->n_axes; axis != 0; axis--, x++) {
            sum += (uint32_t)(*x * *x);
        }
        uint32_t root = wb_square_root(sum);
        *out++ = (int16_t)(root < INT16_LIMIT ? root : INT16_LIMIT);
    }
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const magnitude_t *params = params_of(call);
    if (call->params_size != sizeof(magnitude_t) || params->n_samples == 0 ||
        params->n_axes == 0 || params->n_axes > MAX_AXES || params->reserved != 0) {
        return WB_BAD_PARAMS;
    }
    uint32_t size = 2u * params->n_samples;
    if (call->n_inputs != 1 || call->n_operands != 2 ||
        !wb_is_operand(&call->operand[0], 'h', size * params->n_axes) ||
        !wb_is_operand(&call->operand[1], 'h', size)) {
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
