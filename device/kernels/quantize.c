// float32 to int8: round(x / scale) + zero_point, in integers.
// host/wingbeat/reference/quantize.py defines the result; the two agree bit for bit.
//
// operand 0: input, float32 [n_elements]
// operand 1: output, int8 [n_elements]; may start where the input starts
#include "kernels/kernel.h"

#define MAX_ELEMENTS (1u << 22)
#define MIN_EXPONENT 27u
#define MAX_EXPONENT 227u
#define MIN_RECIPROCAL (1u << 15)
#define MAX_RECIPROCAL (1u << 16)
#define MANTISSA_BITS 23
#define HIDDEN_BIT (1u << MANTISSA_BITS)
#define INFINITY_BITS 0x7f800000u
#define MAX_SHIFT 9

typedef struct {
    uint32_t n_elements; // 1 to MAX_ELEMENTS
    uint32_t scale;      // bits of a float32
    uint32_t reciprocal; // floor(2^39 / mantissa of the scale)
    int8_t zero_point;
    uint8_t reserved[3];
} quantize_t;

static const quantize_t *quantize_of(const wb_call_t *call) {
    return (const quantize_t *)(const void *)call->params;
}

static inline uint32_t mantissa_of(uint32_t bits) {
    return (bits & (HIDDEN_BIT - 1u)) | HIDDEN_BIT;
}

// Whether float32 rounds a doubled quotient of quotient + 1 - missing / divisor up to quotient + 1,
// an odd number: whether missing / divisor is at most half of the last place. missing < 256.
static uint32_t rounds_up(uint32_t quotient, uint32_t missing, uint32_t divisor) {
    uint32_t shift = 24;
    for (quotient++; quotient > 1u; quotient >>= 1) {
        shift--;
    }
    return missing <= divisor >> shift;
}

// floor(2 |x| / scale), or one more: see above. shift 0 to MAX_SHIFT.
static inline uint32_t doubled(
    const quantize_t *quantize, uint32_t divisor, uint32_t mantissa, uint32_t shift) {
    uint32_t quotient = ((mantissa >> 8) * quantize->reciprocal) >> (31u - shift);
    // Below twice the divisor, so 32 bits hold it.
    uint32_t rest = (mantissa << shift) - quotient * divisor;
    if (rest >= divisor) {
        rest -= divisor;
        quotient++;
    }
    uint32_t missing = divisor - rest;
    if (missing < 256u && (quotient & 1u) == 0) {
        quotient += rounds_up(quotient, missing, divisor);
    }
    return quotient;
}

// |x| / scale, rounded, ties up; at most 2^9. size: bits of |x|.
static inline int32_t rounded(const quantize_t *quantize, uint32_t divisor, uint32_t size) {
    int32_t shift = (int32_t)(size >> MANTISSA_BITS);
    shift -= (int32_t)(quantize->scale >> MANTISSA_BITS) - 1;
    if (shift < 0 || size > INFINITY_BITS) {
        return 0;
    }
    if (shift > MAX_SHIFT) {
        return 1 << MAX_SHIFT;
    }
    return (int32_t)((doubled(quantize, divisor, mantissa_of(size), (uint32_t)shift) + 1u) >> 1);
}

static void run(const wb_call_t *call) {
    const quantize_t *quantize = quantize_of(call);
    const uint32_t *x = (const uint32_t *)(const void *)call->operand[0].data;
    int8_t *out = (int8_t *)call->operand[1].data;
    uint32_t divisor = mantissa_of(quantize->scale);
    for (const uint32_t *end = x + quantize->n_elements; x != end; x++, out++) {
        uint32_t bits = *x;
        int32_t value = rounded(quantize, divisor, bits & 0x7fffffffu);
        value = (bits >> 31 ? -value : value) + quantize->zero_point;
        *out = (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
    }
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const quantize_t *quantize = quantize_of(call);
    if (call->params_size != sizeof(quantize_t) || quantize->n_elements == 0 ||
        quantize->n_elements > MAX_ELEMENTS || quantize->scale >> MANTISSA_BITS < MIN_EXPONENT ||
        quantize->scale >> MANTISSA_BITS > MAX_EXPONENT ||
        quantize->reciprocal < MIN_RECIPROCAL || quantize->reciprocal > MAX_RECIPROCAL) {
        return WB_BAD_PARAMS;
    }
    const wb_operand_t *x = &call->operand[0];
    const wb_operand_t *out = &call->operand[1];
    if (call->n_inputs != 1 || call->n_operands != 2 || x->typecode != 'f' ||
        out->typecode != 'b' || x->size != 4u * quantize->n_elements ||
        out->size != quantize->n_elements) {
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
