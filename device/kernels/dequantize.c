// int8 to float32: (q - zero_point) * scale, in integers.
// host/wingbeat/reference/dequantize.py defines the result; the two agree bit for bit.
//
// operand 0: input, int8 [n_elements]
// operand 1: output, float32 [n_elements]
#include "kernels/kernel.h"

#define MAX_ELEMENTS (1u << 22)
#define MIN_EXPONENT 27u
#define MAX_EXPONENT 227u
#define MANTISSA_BITS 23
#define HIDDEN_BIT (1u << MANTISSA_BITS)

typedef struct {
    uint32_t n_elements; // 1 to MAX_ELEMENTS
    uint32_t scale;      // bits of a float32
    int8_t zero_point;
    uint8_t reserved[3];
} dequantize_t;

static const dequantize_t *dequantize_of(const wb_call_t *call) {
    return (const dequantize_t *)(const void *)call->params;
}

// Bits of the float32 nearest to size * scale, ties to even. size 1 to 255.
static inline uint32_t product_of(uint32_t size, uint32_t scale) {
    uint32_t product = size * ((scale & (HIDDEN_BIT - 1u)) | HIDDEN_BIT);
    // A product of 32 bits has the exponent of the scale + 8; the hidden bit adds 1.
    uint32_t exponent = (scale >> MANTISSA_BITS) + 7u;
    for (; (product & 0x80000000u) == 0; product <<= 1) {
        exponent--;
    }
    uint32_t mantissa = product >> 8;
    uint32_t up = (product & 0xffu) + (mantissa & 1u) > 0x80u;
    return (exponent << MANTISSA_BITS) + mantissa + up;
}

static void run(const wb_call_t *call) {
    const dequantize_t *dequantize = dequantize_of(call);
    const int8_t *x = (const int8_t *)call->operand[0].data;
    uint32_t *out = (uint32_t *)(void *)call->operand[1].data;
    for (const int8_t *end = x + dequantize->n_elements; x != end; x++, out++) {
        int32_t value = *x - dequantize->zero_point;
        uint32_t sign = (uint32_t)value & 0x80000000u;
        uint32_t size = (uint32_t)(value < 0 ? -value : value);
        *out = size == 0 ? 0 : sign | product_of(size, dequantize->scale);
    }
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const dequantize_t *dequantize = dequantize_of(call);
    if (call->params_size != sizeof(dequantize_t) || dequantize->n_elements == 0 ||
        dequantize->n_elements > MAX_ELEMENTS ||
        dequantize->scale >> MANTISSA_BITS < MIN_EXPONENT ||
        dequantize->scale >> MANTISSA_BITS > MAX_EXPONENT) {
        return WB_BAD_PARAMS;
    }
    const wb_operand_t *x = &call->operand[0];
    const wb_operand_t *out = &call->operand[1];
    if (call->n_inputs != 1 || call->n_operands != 2 || x->typecode != 'b' ||
        out->typecode != 'f' || x->size != dequantize->n_elements ||
        out->size != 4u * dequantize->n_elements) {
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
