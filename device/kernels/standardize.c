// float32 to int8, each element with a centre and a step of its own, in integers.
// host/wingbeat/reference/standardize.py defines the result; the two agree bit for bit.
//
// operand 0: input, float32 [n_elements]
// operand 1: output, int8 [n_elements]; may start where the input starts
#include "kernels/kernel.h"

#define MAX_ELEMENTS 65535u
#define MAX_OFFSET (1 << 29)
#define MIN_MANTISSA (1u << 15)
#define MAX_EXPONENT 500
#define MANTISSA_BITS 23
#define HIDDEN_BIT (1u << MANTISSA_BITS)
#define INFINITY_BITS 0x7f800000u
#define LARGEST ((1 << 30) - 1)
#define NEAREST 2 // shifts by less saturate, shifts by more than 31 give 0

typedef struct {
    int32_t offset;    // in 1/256 of a step of the output
    uint16_t mantissa; // 2^15 or above
    int16_t exponent;
} element_t;

typedef struct {
    uint32_t n_elements;
    // Then the elements.
} standardize_t;

static const standardize_t *standardize_of(const wb_call_t *call) {
    return (const standardize_t *)(const void *)call->params;
}

static const element_t *elements_of(const wb_call_t *call) {
    const void *elements = call->params + sizeof(standardize_t);
    return (const element_t *)elements;
}

// |x| in 1/256 of a step; size: its bits. NaN and what has no hidden bit count as 0.
static inline int32_t share_of(const element_t *element, uint32_t size) {
    if (size < HIDDEN_BIT || size > INFINITY_BITS) {
        return 0;
    }
    int32_t shift = element->exponent - (int32_t)(size >> MANTISSA_BITS);
    if (shift < NEAREST) {
        return LARGEST;
    }
    if (shift > 31) {
        return 0;
    }
    uint32_t mantissa = (size & (HIDDEN_BIT - 1u)) | HIDDEN_BIT;
    uint32_t factor = element->mantissa;
    uint32_t product = (mantissa >> 8) * factor + (((mantissa & 0xffu) * factor) >> 8);
    return (int32_t)(product >> shift);
}

static void run(const wb_call_t *call) {
    const element_t *element = elements_of(call);
    const uint32_t *x = (const uint32_t *)(const void *)call->operand[0].data;
    int8_t *out = (int8_t *)call->operand[1].data;
    const uint32_t *end = x + standardize_of(call)->n_elements;
    for (; x != end; x++, element++, out++) {
        uint32_t bits = *x;
        int32_t share = share_of(element, bits & 0x7fffffffu);
        int32_t sum = (bits >> 31 ? -share : share) + element->offset;
        int32_t value = (sum + 128) >> 8;
        *out = (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
    }
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const wb_operand_t *x = &call->operand[0];
    const wb_operand_t *out = &call->operand[1];
    if (call->params_size < sizeof(standardize_t)) {
        return WB_BAD_PARAMS;
    }
    uint32_t n = standardize_of(call)->n_elements;
    if (n == 0 || n > MAX_ELEMENTS ||
        call->params_size != sizeof(standardize_t) + n * sizeof(element_t)) {
        return WB_BAD_PARAMS;
    }
    const element_t *element = elements_of(call);
    for (uint32_t i = 0; i < n; i++, element++) {
        if (element->offset < -MAX_OFFSET || element->offset > MAX_OFFSET ||
            element->mantissa < MIN_MANTISSA || element->exponent < -MAX_EXPONENT ||
            element->exponent > MAX_EXPONENT) {
            return WB_BAD_PARAMS;
        }
    }
    if (call->n_inputs != 1 || call->n_operands != 2 || x->typecode != 'f' || x->size != 4 * n ||
        out->typecode != 'b' || out->size != n) {
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
