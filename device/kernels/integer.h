// Division and square root for cores that have neither.
#ifndef WINGBEAT_INTEGER_H
#define WINGBEAT_INTEGER_H

#include "kernels/kernel.h"

#define WB_INTEGER static __attribute__((noinline, unused))

// a / n in the low half and a % n in the high half, for a < 2^16 n and 0 < n < 2^15.
// Shifts a left through the remainder while the quotient comes in from the right.
WB_INTEGER uint32_t wb_divide(uint32_t a, uint32_t n) {
    n <<= 16;
    for (uint32_t left = 16; left != 0; --left) {
        a <<= 1;
        if (a >= n) {
            a = a - n + 1;
        }
    }
    return a;
}

// floor(sqrt(a)), one bit of the result per step.
WB_INTEGER uint32_t wb_square_root(uint32_t a) {
    uint32_t root = 0;
    for (uint32_t bit = 1u << 30; bit != 0; bit >>= 2) {
        uint32_t trial = root + bit;
        root >>= 1;
        if (a >= trial) {
            a -= trial;
            root += bit;
        }
    }
    return root;
}

// floor(sum / n + 1/2) of n samples of int16, 0 < n < 2^15: moved up, so that it has no sign.
static inline int32_t wb_rounded_mean(int32_t sum, uint32_t n) {
    uint32_t positive = (uint32_t)sum + (n << 15);
    return (int32_t)(wb_divide(positive + (n >> 1), n) & 0xffff) - 32768;
}

static inline int16_t wb_saturated(int32_t value) {
    return (int16_t)(value < -32768 ? -32768 : value > 32767 ? 32767 : value);
}

#endif
