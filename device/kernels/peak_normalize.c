// How far each element of a window is above a depth below its greatest.
// host/wingbeat/reference/peak_normalize.py defines the result; the two agree bit for bit.
//
// operand 0: input, int16 [n_elements]
// operand 1: output, int16 [n_elements], 0 to depth; may be the input
#include "kernels/operands.h"

#define MAX_DEPTH 32767u

typedef struct {
    uint16_t n_elements; // 1 or more
    uint16_t depth;      // 1 to MAX_DEPTH
    int16_t least;       // of what counts as the greatest element
    uint16_t reserved;   // 0
} peak_normalize_t;

static const peak_normalize_t *params_of(const wb_call_t *call) {
    return (const peak_normalize_t *)(const void *)call->params;
}

static int32_t peak_of(const int16_t *x, uint32_t n, int32_t peak) {
    for (const int16_t *end = x + n; x != end; x++) {
        peak = *x > peak ? *x : peak;
    }
    return peak;
}

static void run(const wb_call_t *call) {
    const peak_normalize_t *params = params_of(call);
    const int16_t *x = (const int16_t *)(const void *)call->operand[0].data;
    int16_t *out = (int16_t *)(void *)call->operand[1].data;
    uint32_t n = params->n_elements;
    int32_t zero = peak_of(x, n, params->least) - params->depth;
    for (const int16_t *end = x + n; x != end; x++, out++) {
        int32_t above = *x - zero;
        *out = (int16_t)(above < 0 ? 0 : above);
    }
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const peak_normalize_t *params = params_of(call);
    if (call->params_size != sizeof(peak_normalize_t) || params->n_elements == 0 ||
        params->depth == 0 || params->depth > MAX_DEPTH || params->reserved != 0) {
        return WB_BAD_PARAMS;
    }
    uint32_t size = 2u * params->n_elements;
    if (call->n_inputs != 1 || call->n_operands != 2 ||
        !wb_is_operand(&call->operand[0], 'h', size) ||
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
