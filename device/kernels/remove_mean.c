// Each channel of a window without its mean.
// host/wingbeat/reference/remove_mean.py defines the result; the two agree bit for bit.
//
// operand 0: input, int16 [n_samples][n_channels]
// operand 1: output, int16 [n_samples][n_channels]; may be the input
#include "kernels/integer.h"
#include "kernels/operands.h"

#define MAX_SAMPLES 32767u

typedef struct {
    uint16_t n_samples; // 1 to MAX_SAMPLES
    uint8_t n_channels; // 1 or more
    uint8_t reserved;   // 0
} remove_mean_t;

static const remove_mean_t *params_of(const wb_call_t *call) {
    return (const remove_mean_t *)(const void *)call->params;
}

static int32_t sum_of(const int16_t *x, uint32_t n, uint32_t stride) {
    int32_t sum = 0;
    for (uint32_t left = n; left != 0; left--, x += stride) {
        sum += *x;
    }
    return sum;
}

static void run(const wb_call_t *call) {
    uint32_t n = params_of(call)->n_samples;
    uint32_t stride = params_of(call)->n_channels;
    const int16_t *first = (const int16_t *)(const void *)call->operand[0].data;
    int16_t *out_first = (int16_t *)(void *)call->operand[1].data;
    for (uint32_t channel = 0; channel != stride; channel++) {
        const int16_t *x = first + channel;
        int16_t *out = out_first + channel;
        int32_t mean = wb_rounded_mean(sum_of(x, n, stride), n);
        for (uint32_t left = n; left != 0; left--, x += stride, out += stride) {
            *out = wb_saturated(*x - mean);
        }
    }
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const remove_mean_t *params = params_of(call);
    if (call->params_size != sizeof(remove_mean_t) || params->n_samples == 0 ||
        params->n_samples > MAX_SAMPLES || params->n_channels == 0 || params->reserved != 0) {
        return WB_BAD_PARAMS;
    }
    uint32_t size = 2u * params->n_samples * params->n_channels;
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
