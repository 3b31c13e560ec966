// A picture with its own mean and deviation, or least and largest value, taken out.
// host/wingbeat/reference/normalise.py defines the result; the two agree bit for bit.
//
// operand 0: input, uint8 [n_elements]
// operand 1: output, int8, uint8 or int16 [n_elements]; may be the input unless it is int16
#include "kernels/integer.h"
#include "kernels/operands.h"

#define MAX_GAIN 32767u

enum { DEVIATION = 0, RANGE = 1 };

typedef struct {
    uint16_t n_elements; // 1 or more
    uint8_t measure;
    uint8_t typecode; // of the output: 'b', 'B' or 'h'
    uint16_t gain;    // 1 to MAX_GAIN
    uint16_t least;   // in 1/256; above twice the gain
    int16_t zero;
    uint16_t reserved; // 0
} normalise_t;

// What is taken off, in steps and 1/256 of a step, and what is divided by, in 1/256.
typedef struct {
    uint32_t middle, rest, spread;
} measured_t;

static const normalise_t *params_of(const wb_call_t *call) {
    return (const normalise_t *)(const void *)call->params;
}

// floor(a 2^bits / n) for 0 < n < 2^16, where that is below 2^32.
static WB_APART uint32_t ratio(uint32_t a, uint32_t n, uint32_t bits) {
    uint32_t quotient = 0;
    uint32_t rest = 0;
    for (uint32_t left = 32u + bits; left != 0; left--) {
        rest = (rest << 1) + (a >> 31);
        a <<= 1;
        quotient <<= 1;
        if (rest >= n) {
            rest -= n;
            quotient++;
        }
    }
    return quotient;
}

static WB_APART measured_t range_of(const uint8_t *x, uint32_t n) {
    uint32_t least = 255, largest = 0;
    for (const uint8_t *end = x + n; x != end; x++) {
        least = *x < least ? *x : least;
        largest = *x > largest ? *x : largest;
    }
    measured_t measured = {least, 0, (largest - least) << 8};
    return measured;
}

static WB_APART measured_t deviation_of(const uint8_t *x, uint32_t n) {
    uint32_t sum = 0, squares = 0; // below 2^24 and 2^32, since n is below 2^16
    for (const uint8_t *end = x + n; x != end; x++) {
        uint32_t value = *x;
        sum += value;
        squares += value * value;
    }
    uint32_t middle = ratio(sum, n, 0);
    uint32_t rest = sum - n * middle;
    // The sum of (x - middle)^2 is below 2^32, so that what its parts lose above does not matter.
    uint32_t about = squares - 2u * middle * sum + n * middle * middle - ratio(rest * rest, n, 0);
    // A variance is at most 127.5^2: below 2^30 in 1/2^16.
    measured_t measured = {middle, ratio(rest, n, 8), wb_square_root(ratio(about, n, 16))};
    return measured;
}

typedef struct {
    uint32_t factor; // 2^16 times steps of the output for a step of the input, below 2^23
    uint32_t offset; // 2^16 times
    int32_t low, high;
} map_t;

// Before `zero` is added, which is already taken off the limits.
static WB_INLINE int32_t mapped(uint32_t x, const map_t *map) {
    int32_t value = (int32_t)(map->factor * x - map->offset) >> 16;
    if (value < map->low) {
        return map->low;
    }
    return value > map->high ? map->high : value;
}

static WB_APART void map_to_bytes(
    const uint8_t *x, uint32_t n, const map_t *given, int32_t zero, uint8_t *out) {
    map_t map = *given;
    for (const uint8_t *end = x + n; x != end; x++, out++) {
        *out = (uint8_t)(mapped(*x, &map) + zero);
    }
}

static WB_APART void map_to_int16(
    const uint8_t *x, uint32_t n, const map_t *given, int32_t zero, int16_t *out) {
    map_t map = *given;
    for (const uint8_t *end = x + n; x != end; x++, out++) {
        *out = (int16_t)(mapped(*x, &map) + zero);
    }
}

static void run(const wb_call_t *call) {
    const normalise_t *params = params_of(call);
    const uint8_t *x = call->operand[0].data;
    uint32_t n = params->n_elements;
    measured_t measured = params->measure == RANGE ? range_of(x, n) : deviation_of(x, n);
    uint32_t spread = measured.spread > params->least ? measured.spread : params->least;
    // Below 2^23, since the spread is above twice the gain; so the products fit int32.
    uint32_t factor = ratio(params->gain, spread, 24);
    uint32_t offset = factor * measured.middle + (factor * measured.rest >> 8) - (1u << 15);
    int32_t zero = params->zero;
    uint32_t typecode = params->typecode;
    int32_t low = typecode == 'B' ? 0 : typecode == 'b' ? -128 : -32768;
    int32_t high = typecode == 'B' ? 255 : typecode == 'b' ? 127 : 32767;
    map_t map = {factor, offset, low - zero, high - zero};
    uint8_t *out = call->operand[1].data;
    if (typecode == 'h') {
        map_to_int16(x, n, &map, zero, (int16_t *)(void *)out);
    } else {
        map_to_bytes(x, n, &map, zero, out);
    }
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const normalise_t *params = params_of(call);
    if (call->params_size != sizeof(normalise_t) || params->n_elements == 0 ||
        params->measure > RANGE || params->gain == 0 || params->gain > MAX_GAIN ||
        params->least <= 2u * params->gain || params->reserved != 0 ||
        (params->typecode != 'b' && params->typecode != 'B' && params->typecode != 'h')) {
        return WB_BAD_PARAMS;
    }
    uint32_t size = params->n_elements;
    if (call->n_inputs != 1 || call->n_operands != 2 ||
        !wb_is_operand(&call->operand[0], 'B', size) ||
        !wb_is_operand(
            &call->operand[1], params->typecode, params->typecode == 'h' ? 2u * size : size)) {
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
