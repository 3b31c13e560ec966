// Products of samples and weights, added up.
#ifndef WINGBEAT_DOT_H
#define WINGBEAT_DOT_H

#include "kernels/kernel.h"

// sum + x[0] weight[0] + x[stride] weight[1] + ..., modulo 2^32; count from 0 on.
#if defined(__ARM_ARCH_6M__)
// 8.5 cycles a product.
//
//   r0 sum   r1 x   r2 bytes from x to x   r3 end of the weights   r4 offset, negative   r5 0
__attribute__((naked, noinline)) static uint32_t wb_dot(
    uint32_t sum __attribute__((unused)), const int16_t *x __attribute__((unused)),
    uint32_t stride __attribute__((unused)), const int16_t *weight __attribute__((unused)),
    uint32_t count __attribute__((unused))) {
#define PRODUCT \
    "ldrsh r6, [r1, r5]\n" \
    "adds r1, r1, r2\n" \
    "ldrsh r7, [r3, r4]\n" \
    "muls r6, r7\n" \
    "adds r0, r0, r6\n" \
    "adds r4, #2\n"
    __asm__(
        "push {r4-r7, lr}\n"
        "ldr r4, [sp, #20]\n"
        "lsls r2, r2, #1\n"
        "lsls r4, r4, #1\n"
        "adds r3, r3, r4\n"
        "movs r5, #0\n"
        "subs r4, r5, r4\n"
        "b 2f\n"
        "1: " PRODUCT "2: movs r6, #6\n"
        "tst r4, r6\n"
        "bne 1b\n"
        "cmp r4, #0\n"
        "beq 4f\n"
        "3: " PRODUCT PRODUCT PRODUCT PRODUCT "bne 3b\n"
        "4: pop {r4-r7, pc}\n");
#undef PRODUCT
}
#else
static inline uint32_t wb_dot(
    uint32_t sum, const int16_t *x, uint32_t stride, const int16_t *weight, uint32_t count) {
    for (const int16_t *end = weight + count; weight != end; x += stride) {
        sum += (uint32_t)(*x * *weight++);
    }
    return sum;
}
#endif

#endif
