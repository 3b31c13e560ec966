// int16 to int8 in another quantization.
// host/wingbeat/reference/rescale.py defines the result; the two agree bit for bit.
//
// operand 0: input, int16 [n_elements]
// operand 1: output, int8 [n_elements]; may start where the input starts
#include "kernels/scale.h"

#define MAX_ELEMENTS (1u << 23)
#define MAX_BIAS 32768 // minus the zero point of the input

typedef struct {
    uint32_t n_elements; // 1 to MAX_ELEMENTS
    wb_scale_t scale;
    wb_narrow_t channel;
} rescale_t;

static const rescale_t *rescale_of(const wb_call_t *call) {
    return (const rescale_t *)(const void *)call->params;
}

static void run(const wb_call_t *call) {
    const rescale_t *rescale = rescale_of(call);
    const int16_t *x = (const int16_t *)(const void *)call->operand[0].data;
    int8_t *out = (int8_t *)call->operand[1].data;
    for (const int16_t *end = x + rescale->n_elements; x != end; x++, out++) {
        *out = (int8_t)wb_scaled_narrow(*x, &rescale->channel, &rescale->scale);
    }
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const rescale_t *rescale = rescale_of(call);
    if (call->params_size != sizeof(rescale_t) || rescale->n_elements == 0 ||
        rescale->n_elements > MAX_ELEMENTS || rescale->scale.wide != 0 ||
        rescale->scale.low > rescale->scale.high ||
        (rescale->channel.bias_shift & 0xff) > WB_NARROW_SHIFT_MAX ||
        rescale->channel.bias_shift >> 8 < -MAX_BIAS ||
        rescale->channel.bias_shift >> 8 > MAX_BIAS ||
        rescale->channel.mantissa < WB_MANTISSA_MIN) {
        return WB_BAD_PARAMS;
    }
    const wb_operand_t *x = &call->operand[0];
    const wb_operand_t *out = &call->operand[1];
    if (call->n_inputs != 1 || call->n_operands != 2 || x->typecode != 'h' ||
        out->typecode != 'b' || x->size != 2u * rescale->n_elements ||
        out->size != rescale->n_elements) {
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
