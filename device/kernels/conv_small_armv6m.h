// The loops of conv_small.c for Cortex-M0 and M0+; the C there defines them.

#include "kernels/conv_products_armv6m.h"

// Members of map_t and of wb_window_t.
#define SMALL "#0"
#define X "#4"
#define STEP "#8"
#define SUM_P "#36"
#define SUM_Q "#40"
#define LAST_CORNER "#28"
#define FIRST_CORNER "#12"
#define IN_HEIGHT "#0"
#define IN_WIDTH "#2"
#define IN_CHANNELS "#4"
#define PADDING "#22"

// 21 cycles for three inputs, and about 150 a call.
//
// While it looks for the sources, the last one first, and pushes them:
//   r0 map   r1 row   r2 column   r3 small   r4 corner   r12 first pair
// While it packs:
//   r0 next pair   r4, r5, r6 next inputs   r8, r9, r10 steps   lr end
//   r2 0           r1, r3, r7 inputs        r11, r12 sums
#define P_N "[sp, #60]" // then the map
#define P_MAP "[sp, #36]" // once the sources are popped
__attribute__((naked, noinline)) static void pack_at(
    map_t *map __attribute__((unused)), int32_t row __attribute__((unused)),
    int32_t column __attribute__((unused)), pair_t *pair __attribute__((unused)),
    uint32_t n __attribute__((unused))) {
    __asm__(
        "push {r4-r7, lr}\n"
        "mov r4, r8\n"
        "mov r5, r9\n"
        "mov r6, r10\n"
        "mov r7, r11\n"
        "push {r4-r7}\n"
        "mov r12, r3\n"
        "ldr r3, [r0, " SMALL "]\n"
        "movs r4, r0\n"
        "adds r4, " LAST_CORNER "\n"
        "1: ldr r5, [r4]\n"
        "adds r5, r5, r1\n"
        "ldr r6, [r4, #4]\n"
        "adds r6, r6, r2\n"
        "ldrh r7, [r3, " IN_HEIGHT "]\n"
        "cmp r5, r7\n"
        "bhs 2f\n"
        "ldrh r7, [r3, " IN_WIDTH "]\n"
        "cmp r6, r7\n"
        "bhs 2f\n"
        "muls r5, r7\n"
        "adds r5, r5, r6\n"
        "ldrh r7, [r3, " IN_CHANNELS "]\n"
        "muls r5, r7\n"
        "ldr r7, [r0, " X "]\n"
        "adds r5, r5, r7\n"
        "ldr r6, [r0, " STEP "]\n"
        "b 3f\n"
        "2: movs r5, r3\n"
        "adds r5, " PADDING "\n"
        "movs r6, #0\n"
        "3: push {r5, r6}\n"
        "subs r4, #8\n"
        "subs r7, r4, r0\n"
        "cmp r7, " FIRST_CORNER "\n"
        "bhs 1b\n"
        "ldr r2, " P_N "\n"
        "str r0, " P_N "\n"
        "lsls r2, r2, #3\n"
        "add r2, r12\n"
        "mov lr, r2\n"
        "ldr r7, [r0, " SUM_P "]\n"
        "mov r11, r7\n"
        "ldr r7, [r0, " SUM_Q "]\n"
        "mov r0, r12\n"
        "mov r12, r7\n"
        "pop {r4-r7}\n"
        "mov r8, r5\n"
        "mov r9, r7\n"
        "movs r5, r6\n"
        "pop {r6, r7}\n"
        "mov r10, r7\n"
        "movs r2, #0\n"
        "4: ldrsb r1, [r4, r2]\n"
        "add r4, r8\n"
        "ldrsb r3, [r5, r2]\n"
        "add r5, r9\n"
        "ldrsb r7, [r6, r2]\n"
        "add r6, r10\n"
        "lsls r3, r3, #11\n"
        "adds r7, r7, r3\n"
        "lsls r3, r3, #10\n"
        "adds r1, r1, r3\n"
        "stmia r0!, {r1, r7}\n"
        "add r11, r1\n"
        "add r12, r7\n"
        "cmp r0, lr\n"
        "bne 4b\n"
        "ldr r3, " P_MAP "\n"
        "mov r1, r11\n"
        "str r1, [r3, " SUM_P "]\n"
        "mov r1, r12\n"
        "str r1, [r3, " SUM_Q "]\n"
        "pop {r4-r7}\n"
        "mov r8, r4\n"
        "mov r9, r5\n"
        "mov r10, r6\n"
        "mov r11, r7\n"
        "pop {r4-r7, pc}\n");
}

// Members of work_t.
#define PAIRS "#0"
#define WEIGHTS "#4"
#define CHANNEL "#8"
#define OUT "#12"
#define LEFT "#16"
#define OUT_STEP "#20"
#define CHANNEL_STEP "#24"
#define SHIFT "#28"
#define ZERO_POINT "#32"
#define TO_SECOND "#40"
#define TO_THIRD "#44"
#define START_P "#48"
#define START_Q "#52"
#define END "#56"
#define TAPS "#60"
#define TAPS_WIDTH "#64"
#define ROW_REST "#68"
#define PLACE "#72"

// One tap of a depthwise output; equal behind the last one.
#define TAP \
    "ldmia r0!, {r2, r3}\n" \
    "ldrsb r4, [r1, r5]\n" \
    "muls r2, r4\n" \
    "adds r6, r6, r2\n" \
    "muls r3, r4\n" \
    "adds r7, r7, r3\n" \
    "adds r5, #1\n"

// An output from the sum and bias in r6, to r4.
//
//   r1, r2, r3 parts of the mantissa   r5 shift + 1   r7 value   r0 work
#define OUTPUT(label) \
    "movs r7, r1\n" \
    "muls r7, r6\n" \
    "asrs r7, r7, #7\n" \
    "movs r4, r2\n" \
    "muls r4, r6\n" \
    "adds r7, r7, r4\n" \
    "asrs r7, r7, #11\n" \
    "movs r4, r3\n" \
    "muls r4, r6\n" \
    "adds r7, r7, r4\n" \
    "asrs r6, r6, #31\n" \
    "asrs r7, r7, #9\n" \
    "adcs r7, r6\n" \
    "asrs r7, r5\n" \
    "mov r4, r9\n" \
    "adcs r7, r4\n" \
    "sxtb r4, r7\n" \
    "cmp r4, r7\n" \
    "beq " label "f\n" \
    "asrs r4, r7, #31\n" \
    "movs r7, #127\n" \
    "eors r4, r7\n" label ":\n"

// `left` times three outputs. 2.65 cycles a product over all channels, 3.7 depthwise with rows of
// three taps, else 4.4 and more; and 60 an output.
//
// On the stack:
#define S_WORK "[sp]"
#define S_NEXT "[sp, #4]"  // accumulators that wait
#define S_WAITING "#8"     // where they are
#define S_END "#40"
#define S_SIZE "#40"
__attribute__((naked, noinline)) static void multiply(work_t *work __attribute__((unused))) {
    __asm__(
        "push {r4-r7, lr}\n"
        "mov r4, r8\n"
        "mov r5, r9\n"
        "mov r6, r10\n"
        "mov r7, r11\n"
        "push {r4-r7}\n"
        "sub sp, " S_SIZE "\n"
        "str r0, " S_WORK "\n"
        "1: ldr r5, [r0, " TAPS "]\n"
        "cmp r5, #0\n"
        "beq 2f\n"
        // Depthwise: an output. r0 next pair, r1 end of the weights, r5 the next, from there.
        "ldr r1, [r0, " WEIGHTS "]\n"
        "adds r1, r1, r5\n"
        "rsbs r5, r5, #0\n"
        "ldr r2, [r0, " ROW_REST "]\n"
        "mov r9, r2\n"
        "ldr r4, [r0, " TAPS_WIDTH "]\n"
        "ldr r3, [r0, " PAIRS "]\n"
        "ldr r2, [r0, " PLACE "]\n"
        "adds r2, r2, r3\n"
        "str r2, [r0, " PAIRS "]\n"
        "movs r0, r3\n"
        "movs r6, #0\n"
        "movs r7, #0\n"
        "cmp r4, #3\n"
        "beq 10f\n"
        "mov r8, r4\n"
        "adds r4, r4, r5\n"
        "mov r10, r4\n"
        "6:\n"
        TAP
        "cmp r5, r10\n"
        "bne 6b\n"
        "add r0, r9\n"
        "add r10, r8\n"
        "cmp r5, #0\n"
        "bne 6b\n"
        "b 11f\n"
        // Rows of three.
        "10:\n"
        TAP TAP TAP
        "add r0, r9\n"
        "bne 10b\n"
        "11:\n"
        "ldr r0, " S_WORK "\n"
        "bl 8f\n"
        "bne 1b\n"
        "7: add sp, " S_SIZE "\n"
        "pop {r4-r7}\n"
        "mov r8, r4\n"
        "mov r9, r5\n"
        "mov r10, r6\n"
        "mov r11, r7\n"
        "pop {r4-r7, pc}\n"
        // Over all channels: a block of them.
        "2: ldr r6, [r0, " START_P "]\n"
        "ldr r7, [r0, " START_Q "]\n"
        "mov r8, r6\n"
        "mov r9, r7\n"
        "mov r10, r6\n"
        "mov r11, r7\n"
        "mov r12, r6\n"
        "mov lr, r7\n"
        "ldr r1, [r0, " END "]\n"
        "str r1, " S_NEXT "\n"
        "ldr r1, [r0, " WEIGHTS "]\n"
        "ldr r0, [r0, " PAIRS "]\n"
        "3:\n"
        INPUT("0", "1", "2", "3")
        INPUT("4", "5", "6", "7")
        INPUT("8", "9", "10", "11")
        INPUT("12", "13", "14", "15")
        "adds r1, #16\n"
        "ldr r4, " S_NEXT "\n"
        "cmp r0, r4\n"
        "bne 3b\n"
        "add r0, sp, " S_WAITING "\n"
        "stmia r0!, {r6, r7}\n"
        "mov r2, r8\n"
        "mov r3, r9\n"
        "mov r4, r10\n"
        "mov r5, r11\n"
        "mov r6, r12\n"
        "mov r7, lr\n"
        "stmia r0!, {r2-r7}\n"
        "ldr r0, " S_WORK "\n"
        "str r1, [r0, " WEIGHTS "]\n"
        "add r1, sp, " S_WAITING "\n"
        "4: ldmia r1!, {r6, r7}\n"
        "str r1, " S_NEXT "\n"
        "bl 8f\n"
        "bne 5f\n"
        "b 7b\n"
        "5: ldr r1, " S_NEXT "\n"
        "add r2, sp, " S_END "\n"
        "cmp r1, r2\n"
        "bne 4b\n"
        "b 2b\n"
        // Three outputs from the accumulators r6 and r7, with work in r0: store() in conv_small.c.
        // Keeps r0 and lr; equal if no more are left.
        "8: lsls r1, r6, #11\n"
        "asrs r1, r1, #11\n"
        "subs r6, r6, r1\n"
        "lsrs r6, r6, #10\n"
        "subs r7, r7, r6\n"
        "lsls r3, r7, #10\n"
        "asrs r3, r3, #10\n"
        "subs r7, r7, r3\n"
        "asrs r2, r7, #11\n"
        "lsrs r6, r6, #11\n"
        "adds r2, r2, r6\n"
        "ldr r7, [r0, " CHANNEL "]\n"
        "ldr r4, [r0, " CHANNEL_STEP "]\n"
        "adds r4, r4, r7\n"
        "str r4, [r0, " CHANNEL "]\n"
        "ldrh r4, [r7]\n"
        "ldrh r5, [r7, #2]\n"
        "ldrh r7, [r7, #4]\n"
        "lsls r7, r7, #16\n"
        "orrs r7, r5\n"
        "lsls r5, r7, #26\n"
        "asrs r5, r5, #29\n"
        "lsls r5, r5, #16\n"
        "adds r4, r4, r5\n"
        "adds r6, r1, r4\n"
        "adds r2, r2, r4\n"
        "mov r10, r2\n"
        "adds r3, r3, r4\n"
        "mov r11, r3\n"
        "lsls r1, r7, #19\n"
        "lsrs r1, r1, #25\n"
        "lsls r2, r7, #8\n"
        "lsrs r2, r2, #21\n"
        "lsrs r3, r7, #24\n"
        "adds r3, #128\n"
        "adds r3, #128\n"
        "movs r5, #7\n"
        "ands r5, r7\n"
        "ldr r4, [r0, " SHIFT "]\n"
        "adds r5, r5, r4\n"
        "ldr r4, [r0, " ZERO_POINT "]\n"
        "mov r9, r4\n"
        OUTPUT("9")
        "ldr r7, [r0, " OUT "]\n"
        "strb r4, [r7]\n"
        "mov r6, r10\n"
        OUTPUT("9")
        "ldr r7, [r0, " OUT "]\n"
        "ldr r6, [r0, " TO_SECOND "]\n"
        "strb r4, [r7, r6]\n"
        "mov r6, r11\n"
        OUTPUT("9")
        "ldr r7, [r0, " OUT "]\n"
        "ldr r6, [r0, " TO_THIRD "]\n"
        "strb r4, [r7, r6]\n"
        "ldr r6, [r0, " OUT_STEP "]\n"
        "adds r7, r7, r6\n"
        "str r7, [r0, " OUT "]\n"
        "ldr r6, [r0, " LEFT "]\n"
        "subs r6, #1\n"
        "str r6, [r0, " LEFT "]\n"
        "bx lr\n");
}
