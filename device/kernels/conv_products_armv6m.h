// What both convolutions on Cortex-M0+ multiply with: an input of three pixels, packed into a pair
// of words as reference/conv.py says, times a weight of each of four channels.
//
//   r0  the pairs             r1  weights, a byte of each channel
//   r6, r7  r8, r9  r10, r11  r12, lr   both sums of each channel
//   r2-r5   work

#ifndef WINGBEAT_CONV_PRODUCTS_ARMV6M_H
#define WINGBEAT_CONV_PRODUCTS_ARMV6M_H

// One weight times one pair.
#define PRODUCT(offset, add_p, add_q) \
    "ldrb r4, [r1, #" offset "]\n" \
    "movs r5, r4\n" \
    "muls r5, r2\n" add_p \
    "muls r4, r3\n" add_q

// One input, with the places of its four weights from r1 on.
#define INPUT(o0, o1, o2, o3) \
    "ldmia r0!, {r2, r3}\n" \
    PRODUCT(o0, "adds r6, r6, r5\n", "adds r7, r7, r4\n") \
    PRODUCT(o1, "add r8, r5\n", "add r9, r4\n") \
    PRODUCT(o2, "add r10, r5\n", "add r11, r4\n") \
    "ldrb r4, [r1, #" o3 "]\n" \
    "muls r2, r4\n" \
    "add r12, r2\n" \
    "muls r3, r4\n" \
    "add lr, r3\n"

#endif
