// Moving elements: what the kernels that only copy have in common.
#ifndef WINGBEAT_COPY_H
#define WINGBEAT_COPY_H

#include "kernels/kernel.h"

#define WB_MAX_ELEMENTS (1u << 24)

// Copies n bytes to a place that does not overlap, by words where both places and n allow it.
static __attribute__((noinline, unused)) void wb_copy(
    uint8_t *out, const uint8_t *x, uint32_t n) {
    const uint8_t *end = x + n;
    if ((((uintptr_t)out | (uintptr_t)x) & 3u) == 0) {
        const uint32_t *from = (const uint32_t *)(const void *)x;
        uint32_t *to = (uint32_t *)(void *)out;
        for (; n >= 16u; n -= 16u, from += 4, to += 4) {
            uint32_t first = from[0], second = from[1], third = from[2], fourth = from[3];
            to[0] = first;
            to[1] = second;
            to[2] = third;
            to[3] = fourth;
        }
        x = (const uint8_t *)from;
        out = (uint8_t *)to;
    }
    while (x != end) {
        *out++ = *x++;
    }
}

// size * count, or 0 if one of them is 0 or the product exceeds WB_MAX_ELEMENTS. size at most
// WB_MAX_ELEMENTS, count at most 65535.
static inline uint32_t wb_times(uint32_t size, uint32_t count) {
    if ((size >> 12) * count > WB_MAX_ELEMENTS >> 12 || size * count > WB_MAX_ELEMENTS) {
        return 0;
    }
    return size * count;
}

static inline int32_t wb_is_int8(const wb_operand_t *operand, uint32_t n) {
    return operand->typecode == 'b' && operand->size == n;
}

#endif
