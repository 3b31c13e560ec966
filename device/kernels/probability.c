// Softmax of fixed-point scores: probabilities of classes.
// host/wingbeat/reference/probability.py defines the result; the two agree bit for bit.
//
// operand 0: scores, int32 [n_scores]; the real score is value / 2^fraction_bits
// operand 1: probabilities in steps of 1/65535, uint16 [n_scores], or [2] for a single score,
//            which stands for the scores 0 and itself
#include "kernels/kernel.h"

#define MAX_SCORES 1024u
#define MAX_FRACTION_BITS 30u

// exp(-x) = 2^-(x log2 e), where the integer bits of the exponent are a shift and the others
// the argument of a polynomial: 2^-f = P0 - f (P1 - f (P2 - f (P3 - f P4))) for 0 <= f < 1.
#define X_BITS 15u // fraction bits of x
#define X_LIMIT 16u // exp(-x) is 0 from here on
#define LOG2_E_BITS 14u
#define LOG2_E_FRACTION 7253u // log2 e - 1
#define F_BITS 13u // fraction bits of the exponent
#define F_MASK ((1u << F_BITS) - 1)
// In units of 2^-18. P0 is a little less than 1, so that a sum of MAX_SCORES has 32 bits.
#define P0 262140u
#define P1 181675u
#define P2 62755u
#define P3 13927u
#define P4 1777u
#define EXTRA_BITS 4u // of an exponential over the polynomial

#define QUOTIENT_BITS 16u

typedef struct {
    uint16_t n_scores; // 1 to MAX_SCORES
    uint8_t fraction_bits;
    uint8_t reserved; // 0
} probability_t;

static const probability_t *probability_of(const wb_call_t *call) {
    return (const probability_t *)(const void *)call->params;
}

// P0 2^4 exp(-distance / 2^fraction_bits), rounded.
static uint32_t exponential(uint32_t distance, uint32_t fraction_bits) {
    if (distance >> fraction_bits >= X_LIMIT) {
        return 0;
    }
    uint32_t x = fraction_bits <= X_BITS ? distance << (X_BITS - fraction_bits)
                                         : distance >> (fraction_bits - X_BITS);
    uint32_t exponent = x + (x * LOG2_E_FRACTION >> LOG2_E_BITS);
    exponent = ((exponent >> (X_BITS - F_BITS - 1)) + 1) >> 1;
    uint32_t f = exponent & F_MASK;
    uint32_t p = P3 - (f * P4 >> F_BITS);
    p = P2 - (f * p >> F_BITS);
    p = P1 - (f * p >> F_BITS);
    p = P0 - (f * p >> F_BITS);
    return ((p << (EXTRA_BITS + 1) >> (exponent >> F_BITS)) + 1) >> 1;
}

// part / whole in units of 2^-16, rounded to nearest, for part < whole.
static uint32_t quotient(uint32_t part, uint32_t whole) {
    uint32_t result = 0;
    for (uint32_t left = QUOTIENT_BITS + 1; left != 0; left--) {
        result <<= 1;
        if (part < whole - part) {
            part <<= 1;
        } else {
            part -= whole - part;
            result++;
        }
    }
    return (result + 1) >> 1;
}

static void run(const wb_call_t *call) {
    const int32_t *scores = (const int32_t *)(const void *)call->operand[0].data;
    uint16_t *out = (uint16_t *)(void *)call->operand[1].data;
    uint32_t fraction_bits = probability_of(call)->fraction_bits;
    uint32_t n = probability_of(call)->n_scores;
    int32_t pair[2];
    if (n == 1) {
        pair[0] = 0;
        pair[1] = *scores;
        scores = pair;
        n = 2;
    }
    const int32_t *end = scores + n;
    int32_t max = *scores;
    for (const int32_t *score = scores; score != end; score++) {
        max = *score > max ? *score : max;
    }
    uint32_t whole = 0;
    for (const int32_t *score = scores; score != end; score++) {
        whole += exponential((uint32_t)max - (uint32_t)*score, fraction_bits);
    }
    // Makes 1 come out as 65535 and not as 65536.
    whole += whole >> QUOTIENT_BITS;
    for (const int32_t *score = scores; score != end; score++) {
        uint32_t part = exponential((uint32_t)max - (uint32_t)*score, fraction_bits);
        *out++ = (uint16_t)quotient(part, whole);
    }
}

static int32_t check(const wb_call_t *call) {
    const probability_t *probability = probability_of(call);
    const wb_operand_t *scores = &call->operand[0];
    const wb_operand_t *out = &call->operand[1];
    if (call->params_size != sizeof(probability_t) || probability->n_scores == 0 ||
        probability->n_scores > MAX_SCORES || probability->fraction_bits > MAX_FRACTION_BITS ||
        probability->reserved != 0) {
        return WB_BAD_PARAMS;
    }
    uint32_t n_outputs = probability->n_scores == 1 ? 2 : probability->n_scores;
    if (call->n_inputs != 1 || call->n_operands != 2 || scores->typecode != 'i' ||
        scores->size != 4u * probability->n_scores || out->typecode != 'H' ||
        out->size != 2 * n_outputs) {
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
