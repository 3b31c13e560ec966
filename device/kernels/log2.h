// The logarithm to the base 2 in fixed point.
// host/wingbeat/reference/log2.py defines the result; SPEC.md, "Log2", has the formula.
#ifndef WINGBEAT_LOG2_H
#define WINGBEAT_LOG2_H

#include "kernels/kernel.h"

#define WB_LOG2_C0 13856u
#define WB_LOG2_C1 5217u

// log2(value) in steps of 2^-15, for value > 0; within 0.0009 of the exact one.
static inline uint32_t wb_log2(uint32_t value) {
    uint32_t log = 31;
    for (uint32_t step = 16; step != 0; step >>= 1) {
        if (value >> (32 - step) == 0) {
            value <<= step;
            log -= step;
        }
    }
    uint32_t f = (value << 1) >> 17;
    uint32_t curve = WB_LOG2_C0 - (WB_LOG2_C1 * f >> 15);
    uint32_t bend = f * (32768u - f) >> 15;
    return (log << 15) + f + (bend * curve >> 15);
}

// From steps of 2^-15 to the 2^-9 of int16 logarithms, to nearest.
static inline int32_t wb_log2_rounded(uint32_t log) {
    return (int32_t)((log + 32) >> 6);
}

static inline int32_t wb_log2_limited(int32_t log, int32_t floor) {
    return log < floor ? floor : log > 32767 ? 32767 : log;
}

#endif
