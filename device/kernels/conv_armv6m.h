// The loops of a convolution for Cortex-M0 and M0+. conv_packed.h has the C of them, which defines them.

#include "kernels/conv_products_armv6m.h"

// Packs runs of length inputs of three pixels; returns the sum of the pairs. 18 cycles an input.
//
//   r0 next pair      r4, r5, r6 ends of the three runs   r8, r9 sums   r10, r11, r12 steps
//   r2 index, -length up to 0                             lr -length
//   On the stack: runs that are left.
__attribute__((naked, noinline)) static void pack(
    pair_t *pair __attribute__((unused)), const source_t sources[PIXELS] __attribute__((unused)),
    uint32_t length __attribute__((unused)), uint32_t n_runs __attribute__((unused)),
    pair_t *sum __attribute__((unused))) {
    __asm__(
        "push {r4-r7, lr}\n"
        "mov r4, r8\n"
        "mov r5, r9\n"
        "mov r6, r10\n"
        "mov r7, r11\n"
        "push {r3-r7}\n"
        "movs r3, #0\n"
        "mov r8, r3\n"
        "mov r9, r3\n"
        "ldmia r1!, {r4, r5, r6, r7}\n"
        "mov r10, r5\n"
        "mov r11, r7\n"
        "movs r5, r6\n"
        "ldmia r1!, {r6, r7}\n"
        "mov r12, r7\n"
        "adds r4, r4, r2\n"
        "adds r5, r5, r2\n"
        "adds r6, r6, r2\n"
        "rsbs r2, r2, #0\n"
        "mov lr, r2\n"
        "0: mov r2, lr\n"
        "1: ldrsb r1, [r4, r2]\n"
        "ldrsb r3, [r5, r2]\n"
        "ldrsb r7, [r6, r2]\n"
        "lsls r3, r3, #11\n"
        "adds r7, r7, r3\n"
        "lsls r3, r3, #10\n"
        "adds r1, r1, r3\n"
        "stmia r0!, {r1, r7}\n"
        "add r8, r1\n"
        "add r9, r7\n"
        "adds r2, #1\n"
        "bne 1b\n"
        "add r4, r10\n"
        "add r5, r11\n"
        "add r6, r12\n"
        "ldr r1, [sp]\n"
        "subs r1, #1\n"
        "str r1, [sp]\n"
        "bne 0b\n"
        "ldr r3, [sp, #40]\n"
        "mov r1, r8\n"
        "mov r2, r9\n"
        "stmia r3!, {r1, r2}\n"
        "pop {r3-r7}\n"
        "mov r8, r4\n"
        "mov r9, r5\n"
        "mov r10, r6\n"
        "mov r11, r7\n"
        "pop {r4-r7, pc}\n");
}

// Members of block_t.
#define PAIRS "#0"
#define STARTS "#4"
#define STRETCHES "#8"
#define N_STRETCHES "#12"
#define WEIGHTS "#16"
#define CHANNEL "#20"
#define OUT "#24"
#define TO_SECOND "#32"
#define TO_THIRD "#36"
#define ZERO_POINT "#40"
#define LOW "#44"
#define HIGH "#48"
#define LEFT "#52"
#define WIDE "#56"
#define SUMS "#60"

#define INPUT_SIZE "48" // bytes of INPUT

// The three sums in two accumulators, to where r4 points.
#define TAKE_SUMS(p, q) \
    "mov r3, " p "\n" \
    "mov r5, " q "\n" \
    "lsls r0, r3, #11\n" \
    "asrs r0, r0, #11\n" \
    "subs r3, r3, r0\n" \
    "lsrs r2, r3, #10\n" \
    "subs r5, r5, r2\n" \
    "lsls r2, r5, #10\n" \
    "asrs r2, r2, #10\n" \
    "subs r5, r5, r2\n" \
    "asrs r5, r5, #11\n" \
    "lsrs r3, r3, #21\n" \
    "adds r1, r5, r3\n" \
    "stmia r4!, {r0, r1, r2}\n"

// The next sum, scaled, into r7. wb_scaled_narrow() says how; two of its roundings are the carry
// of a shift here. `high` labels where a result above the limit is cut, `done` what follows.
#define SCALED(high, done) \
    "ldmia r0!, {r6}\n" \
    "add r6, r11\n" \
    "mov r7, r8\n" \
    "muls r7, r6\n" \
    "asrs r7, r7, #11\n" \
    "mov r3, r9\n" \
    "muls r3, r6\n" \
    "adds r7, r7, r3\n" \
    "asrs r7, r7, #11\n" \
    "mov r3, r10\n" \
    "muls r3, r6\n" \
    "adds r7, r7, r3\n" \
    "asrs r6, r6, #31\n" \
    "asrs r7, r7, #9\n" \
    "adcs r7, r6\n" \
    "asrs r7, r5\n" \
    "adcs r7, r2\n" \
    "cmp r7, r12\n" \
    "bgt " high "f\n" \
    "cmp r7, lr\n" \
    "bge " done "f\n" \
    "mov r7, lr\n" done ":\n"

#define CUT(high, done) \
    high ": mov r7, r12\n" \
    "b " done "b\n"

// All blocks, scaled and stored; if the scale is wide, the sums of one. 2.6 cycles a product, 34 a sum.
//
// While products are added:
//   r0 next pair      r2, r3 pair       r6, r7; r8, r9; r10, r11; r12, lr accumulators
//   r1 next weights   r4, r5 products
// While sums are scaled:
//   r0 next sum       r3, r6, r7 scratch   r8, r9, r10 parts of the mantissa   r12 high
//   r1 next channel   r4 next output       r11 bias                            lr low
//   r2 zero point     r5 shift + 1
// On the stack:
#define S_BLOCK "[sp]"
#define S_END "[sp, #4]"        // of the stretch's pairs
#define S_STRETCH "[sp, #8]"    // the next one
#define S_LEFT "[sp, #12]"      // stretches of the block; 0 if there is but one, and narrow
#define S_START "[sp, #16]"     // the next one
#define S_TARGET "[sp, #20]"    // of a stretch's sums
#define S_ENTRY "[sp, #24]"     // into the loop over the inputs
#define S_SKIP "[sp, #28]"      // bytes of the weights in front of the first
#define S_STEP "[sp, #32]"      // bytes of the stretch's weights
#define S_TO_SECOND "[sp, #36]"
#define S_TO_THIRD "[sp, #40]"
#define S_CHANNELS_END "[sp, #44]"
#define S_MORE "#48"            // sums of a stretch behind the first
#define S_SIZE "#96"
__attribute__((naked, noinline)) static void multiply(
    block_t *block __attribute__((unused)), const wb_scale_t *scale __attribute__((unused))) {
    __asm__(
        "push {r4-r7, lr}\n"
        "mov r4, r8\n"
        "mov r5, r9\n"
        "mov r6, r10\n"
        "mov r7, r11\n"
        "push {r4-r7}\n"
        "sub sp, " S_SIZE "\n"
        "str r0, " S_BLOCK "\n"
        "ldr r1, [r0, " TO_SECOND "]\n"
        "str r1, " S_TO_SECOND "\n"
        "ldr r1, [r0, " TO_THIRD "]\n"
        "str r1, " S_TO_THIRD "\n"
        "movs r1, r0\n"
        "adds r1, " SUMS "\n"
        "str r1, " S_TARGET "\n"
        "ldr r2, [r0, " N_STRETCHES "]\n"
        "ldr r1, [r0, " WIDE "]\n"
        "adds r1, r1, r2\n"
        "cmp r1, #1\n"
        "bne 8f\n"
        "movs r2, #0\n"
        // The first stretch of a block; n_stretches in r2, or 0 for one.
        "8: str r2, " S_LEFT "\n"
        "ldr r1, [r0, " STRETCHES "]\n"
        "str r1, " S_STRETCH "\n"
        "ldr r1, [r0, " STARTS "]\n"
        "str r1, " S_START "\n"
        "ldr r0, [r0, " PAIRS "]\n"
        // A stretch, whose pairs are at r0.
        "9: ldr r2, " S_BLOCK "\n"
        "ldr r5, " S_START "\n"
        "ldmia r5!, {r6, r7}\n"
        "str r5, " S_START "\n"
        "ldr r5, " S_STRETCH "\n"
        "ldrh r4, [r5]\n"
        "adds r5, #2\n"
        "str r5, " S_STRETCH "\n"
        "ldr r1, [r2, " WEIGHTS "]\n"
        "lsls r5, r4, #2\n"
        "str r5, " S_STEP "\n"
        "adds r5, r5, r1\n"
        "str r5, [r2, " WEIGHTS "]\n"
        "lsls r5, r4, #3\n"
        "adds r5, r5, r0\n"
        "str r5, " S_END "\n"
        // The loop takes eight inputs: the first time it is entered behind those that are not there.
        "rsbs r4, r4, #0\n"
        "movs r5, #7\n"
        "ands r4, r5\n"
        "lsls r5, r4, #2\n"
        "str r5, " S_SKIP "\n"
        "subs r1, r1, r5\n"
        "movs r5, #" INPUT_SIZE "\n"
        "muls r4, r5\n"
        "adr r5, 0f\n"
        "adds r4, r4, r5\n"
        "str r4, " S_ENTRY "\n"
        // Pairs at r0, weights at r1, start in r6 and r7, entry in r4.
        "13: mov r8, r6\n"
        "mov r9, r7\n"
        "mov r10, r6\n"
        "mov r11, r7\n"
        "mov r12, r6\n"
        "mov lr, r7\n"
        "mov pc, r4\n"
        ".p2align 2\n"
        "0:\n"
        INPUT("0", "1", "2", "3")
        INPUT("4", "5", "6", "7")
        INPUT("8", "9", "10", "11")
        INPUT("12", "13", "14", "15")
        INPUT("16", "17", "18", "19")
        INPUT("20", "21", "22", "23")
        INPUT("24", "25", "26", "27")
        INPUT("28", "29", "30", "31")
        "adds r1, #32\n"
        "ldr r4, " S_END "\n"
        "cmp r0, r4\n"
        "beq 1f\n"
        "b 0b\n"
        "1:\n"
        "ldr r4, " S_TARGET "\n"
        TAKE_SUMS("r6", "r7")
        TAKE_SUMS("r8", "r9")
        TAKE_SUMS("r10", "r11")
        TAKE_SUMS("r12", "lr")
        "ldr r0, " S_BLOCK "\n"
        "ldr r1, " S_LEFT "\n"
        "cmp r1, #0\n"
        "beq 4f\n"
        // Several stretches: the first one's sums are in their place, the others are added.
        "movs r4, r0\n"
        "adds r4, " SUMS "\n"
        "ldr r3, " S_TARGET "\n"
        "add r5, sp, " S_MORE "\n"
        "str r5, " S_TARGET "\n"
        "cmp r3, r4\n"
        "beq 3f\n"
        "movs r3, #12\n"
        "2: ldmia r5!, {r6}\n"
        "ldr r2, [r4]\n"
        "adds r2, r2, r6\n"
        "stmia r4!, {r2}\n"
        "subs r3, #1\n"
        "bne 2b\n"
        "3: subs r1, #1\n"
        "str r1, " S_LEFT "\n"
        "beq 16f\n"
        "ldr r0, " S_END "\n"
        "b 9b\n"
        "16: ldr r1, [r0, " WIDE "]\n"
        "cmp r1, #0\n"
        "beq 4f\n"
        "b 14f\n"
        "4:\n"
        "ldr r2, [r0, " LOW "]\n"
        "mov lr, r2\n"
        "ldr r2, [r0, " HIGH "]\n"
        "mov r12, r2\n"
        "ldr r2, [r0, " ZERO_POINT "]\n"
        "ldr r1, [r0, " CHANNEL "]\n"
        "ldr r4, [r0, " OUT "]\n"
        "ldr r3, [r0, " LEFT "]\n"
        "movs r5, r3\n"
        "cmp r3, #4\n"
        "bls 11f\n"
        "movs r3, #4\n"
        "11: subs r5, r5, r3\n"
        "str r5, [r0, " LEFT "]\n"
        "adds r5, r4, r3\n"
        "str r5, [r0, " OUT "]\n"
        "lsls r3, r3, #3\n"
        "adds r3, r3, r1\n"
        "str r3, [r0, " CHANNEL "]\n"
        "str r3, " S_CHANNELS_END "\n"
        "adds r0, " SUMS "\n"
        "0: ldmia r1!, {r6, r7}\n"
        "lsls r3, r7, #21\n"
        "lsrs r3, r3, #21\n"
        "mov r8, r3\n"
        "lsls r3, r7, #10\n"
        "lsrs r3, r3, #21\n"
        "mov r9, r3\n"
        "lsrs r3, r7, #22\n"
        "mov r10, r3\n"
        "asrs r3, r6, #8\n"
        "mov r11, r3\n"
        "uxtb r5, r6\n"
        "adds r5, #1\n"
        SCALED("1", "5")
        "strb r7, [r4]\n"
        SCALED("2", "6")
        "ldr r3, " S_TO_SECOND "\n"
        "strb r7, [r4, r3]\n"
        SCALED("3", "7")
        "ldr r3, " S_TO_THIRD "\n"
        "strb r7, [r4, r3]\n"
        "adds r4, #1\n"
        "ldr r3, " S_CHANNELS_END "\n"
        "cmp r1, r3\n"
        "bne 0b\n"
        "ldr r0, " S_BLOCK "\n"
        "ldr r1, [r0, " LEFT "]\n"
        "cmp r1, #0\n"
        "beq 14f\n"
        "ldr r2, [r0, " N_STRETCHES "]\n"
        "cmp r2, #1\n"
        "bne 15f\n"
        // The next block of a single stretch: all is known.
        "ldr r5, [r0, " STARTS "]\n"
        "ldmia r5!, {r6, r7}\n"
        "ldr r1, [r0, " WEIGHTS "]\n"
        "ldr r5, " S_STEP "\n"
        "adds r5, r5, r1\n"
        "str r5, [r0, " WEIGHTS "]\n"
        "ldr r0, [r0, " PAIRS "]\n"
        "ldr r5, " S_SKIP "\n"
        "subs r1, r1, r5\n"
        "ldr r4, " S_ENTRY "\n"
        "b 13b\n"
        "15: movs r3, r0\n"
        "adds r3, " SUMS "\n"
        "str r3, " S_TARGET "\n"
        "b 8b\n"
        "14: add sp, " S_SIZE "\n"
        "pop {r4-r7}\n"
        "mov r8, r4\n"
        "mov r9, r5\n"
        "mov r10, r6\n"
        "mov r11, r7\n"
        "pop {r4-r7, pc}\n"
        CUT("1", "5") CUT("2", "6") CUT("3", "7"));
}
