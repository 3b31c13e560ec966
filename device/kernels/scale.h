// From int32 sums to int8: the last step of convolutions and dense layers.
// host/wingbeat/reference/scale.py defines the result; SPEC.md has the bytes.
#ifndef WINGBEAT_SCALE_H
#define WINGBEAT_SCALE_H

#include "kernels/kernel.h"

typedef struct {
    int8_t zero_point; // of the output
    int8_t low;        // limits of the output
    int8_t high;
    uint8_t wide; // 0: narrow channels, 1: wide ones
} wb_scale_t;

// The factor is mantissa * 2^(-shift - 32). |sum + bias| < 2^20, so that three products of the
// parts of the mantissa with it stay within 32 bits.
typedef struct {
    int32_t bias_shift; // bias << 8 | shift, shift 0 to 30
    int32_t mantissa;   // 2^30 to 2^31 - 1
} wb_narrow_t;

// The factor is mantissa * 2^(exponent - 31).
typedef struct {
    int32_t bias;
    int32_t mantissa; // 0, or 2^30 to 2^31 - 1
    int32_t exponent; // -31 to 30
} wb_wide_t;

#define WB_WIDE_EXPONENT_MIN (-31)
#define WB_WIDE_EXPONENT_MAX 30
#define WB_NARROW_SHIFT_MAX 30
#define WB_MANTISSA_MIN 0x40000000

static inline int32_t wb_limited(int32_t value, const wb_scale_t *scale) {
    return value < scale->low ? scale->low : value > scale->high ? scale->high : value;
}

// floor((value * mantissa + 2^30) / 2^31), for any value and mantissa >= 0: from 16-bit parts,
// since a 64-bit product is a library call on a Cortex-M0.
static inline int32_t wb_high_product(int32_t value, int32_t mantissa) {
    uint32_t value_low = (uint32_t)value & 0xffffu;
    uint32_t mantissa_low = (uint32_t)mantissa & 0xffffu;
    int32_t value_high = value >> 16;
    int32_t mantissa_high = mantissa >> 16;
    uint32_t low = value_low * mantissa_low;
    uint32_t cross = value_low * (uint32_t)mantissa_high;
    int32_t signed_cross = value_high * (int32_t)mantissa_low;
    // The product is high * 2^32 + low.
    int32_t high = value_high * mantissa_high + (signed_cross >> 16) + (int32_t)(cross >> 16);
    uint32_t middle = (uint32_t)signed_cross & 0xffffu;
    middle += (cross & 0xffffu) + (low >> 16);
    high += (int32_t)(middle >> 16);
    low = (middle << 16) | (low & 0xffffu);
    uint32_t rounded = low + 0x40000000u;
    high += rounded < low;
    return (int32_t)(((uint32_t)high << 1) | (rounded >> 31));
}

// The product is at most 2^31 / 2^exponent in size, ties away from zero. exponent 0 to 31.
static inline int32_t wb_divided_by_power(int32_t value, uint32_t exponent) {
    uint32_t mask = (1u << exponent) - 1u;
    uint32_t threshold = (mask >> 1) + (value < 0);
    return (value >> exponent) + (((uint32_t)value & mask) > threshold);
}

static inline int32_t wb_scaled_wide(
    int32_t sum, const wb_wide_t *channel, const wb_scale_t *scale) {
    int32_t exponent = channel->exponent;
    uint32_t value = (uint32_t)sum + (uint32_t)channel->bias;
    if (exponent > 0) {
        value <<= exponent;
        exponent = 0;
    }
    int32_t product = wb_high_product((int32_t)value, channel->mantissa);
    int32_t scaled = wb_divided_by_power(product, (uint32_t)-exponent);
    int32_t zero_point = scale->zero_point;
    // Beyond 9 bits the limits decide, and adding cannot overflow.
    scaled = scaled < -512 ? -512 : scaled > 512 ? 512 : scaled;
    return wb_limited(scaled + zero_point, scale);
}

// The same for the narrow form: floor((a * mantissa + 2^30) / 2^31) from parts of 9, 11 and 11
// bits; then ties away from zero by taking 1 from negative values. Products of sums that are too
// large for this form wrap modulo 2^32.
static inline int32_t wb_scaled_narrow(
    int32_t sum, const wb_narrow_t *channel, const wb_scale_t *scale) {
    int32_t value = (int32_t)((uint32_t)sum + (uint32_t)(channel->bias_shift >> 8));
    uint32_t a = (uint32_t)value;
    uint32_t mantissa = (uint32_t)channel->mantissa;
    int32_t lowest = (int32_t)(a * (mantissa & 0x7ffu)) >> 11;
    int32_t middle = (int32_t)(a * ((mantissa >> 11) & 0x7ffu) + (uint32_t)lowest) >> 11;
    int32_t product = (int32_t)(a * (mantissa >> 22) + (uint32_t)middle + 0x100u) >> 9;
    int32_t scaled = (product + (value >> 31)) >> (channel->bias_shift & 0xff);
    return wb_limited((scaled + 2 * scale->zero_point + 1) >> 1, scale);
}

// Bytes of a scale with its channels; 0 if the first word is none. data 4-byte aligned.
static inline uint32_t wb_scale_size(const wb_scale_t *scale, uint32_t channels) {
    if (scale->wide > 1 || scale->low > scale->high) {
        return 0;
    }
    uint32_t channel = scale->wide ? sizeof(wb_wide_t) : sizeof(wb_narrow_t);
    return sizeof(wb_scale_t) + channels * channel;
}

// Whether every channel's numbers are within their limits, as shifts by them must be.
static inline int32_t wb_scale_is_sound(const wb_scale_t *scale, uint32_t channels) {
    const uint8_t *data = (const uint8_t *)(scale + 1);
    for (uint32_t i = 0; i < channels; i++) {
        int32_t mantissa, exponent;
        if (scale->wide) {
            const wb_wide_t *wide = (const wb_wide_t *)(const void *)data + i;
            mantissa = wide->mantissa;
            exponent = wide->exponent;
            if (mantissa == 0) {
                mantissa = WB_MANTISSA_MIN;
            }
            if (exponent < WB_WIDE_EXPONENT_MIN || exponent > WB_WIDE_EXPONENT_MAX) {
                return 0;
            }
        } else {
            const wb_narrow_t *narrow = (const wb_narrow_t *)(const void *)data + i;
            mantissa = narrow->mantissa;
            if ((narrow->bias_shift & 0xff) > WB_NARROW_SHIFT_MAX) {
                return 0;
            }
        }
        if (mantissa < WB_MANTISSA_MIN) {
            return 0;
        }
    }
    return 1;
}

#endif
