// The walk over all trees for Cortex-M0 and M0+. forest.c has the C of it, which defines it.
//
// A node costs 13 cycles on average, 15 with int16 features, 16 with float32 ones of any sign. The
// comparison stands behind each child anew, so that no branch leads back to a common head.
//
//   r0 node, scratch        r4 nodes            r8  end of the roots
//   r1 x, pointer to leaf   r5 thresholds       r9  params + 4: positions to nodes
//   r2 offset of node, exit r6 next root        r12 direct classes; VALUES: end of the sums
//   r3 feature, scratch     r7 sums             lr  full weight
//   On the stack: x, sums.

#if ITEM_SHIFT == 0
#define THRESHOLDS
#define LEAVES \
    "lsls r3, r3, #2\n" \
    "adds r1, r4, r3\n"
#define COMPARE \
    "ldr r0, [r4, r2]\n" \
    "uxtb r3, r0\n" \
    LOAD_8 " r3, [r1, r3]\n" \
    SHIFT_8 " r2, r0, #24\n" \
    "cmp r3, r2\n"
#define CHILD(shift) \
    "lsls r2, r0, #" shift "\n" \
    "bmi 4f\n" \
    "lsrs r2, r2, #24\n" \
    "lsls r2, r2, #2\n"
#define LEFT CHILD("8")
#define RIGHT CHILD("16")
#define LEFT_EXIT
#else
#define LEFT \
    "asrs r2, r0, #24\n" \
    "bmi 6f\n" \
    "lsls r2, r2, #" NODE_SHIFT "\n"
// The offset of the feature, below the right child, has NODE_SHIFT clear bits on top.
#define RIGHT \
    "lsls r2, r0, #8\n" \
    "bmi 4f\n" \
    "lsrs r2, r2, #24 - " NODE_SHIFT "\n"
#define LEFT_EXIT "6: lsls r2, r2, #24\n"
#endif

#if FOREST_DTYPE == FOREST_U8
#define LOAD_8 "ldrb"
#define SHIFT_8 "lsrs"
#define IF_LEFT "bls"
#define IF_RIGHT "bhi"
#else
#define LOAD_8 "ldrsb"
#define SHIFT_8 "asrs"
#define IF_LEFT "ble"
#define IF_RIGHT "bgt"
#endif

#if FOREST_DTYPE == FOREST_I16
#define NODE_SHIFT "2"
#define THRESHOLDS \
    "subs r5, r4, #4\n" \
    "ldrb r5, [r5]\n" \
    "lsls r5, r5, #2\n" \
    "adds r5, r5, r4\n"
#define COMPARE \
    "ldr r0, [r4, r2]\n" \
    "uxth r3, r0\n" \
    "lsrs r2, r2, #1\n" \
    "ldrsh r3, [r1, r3]\n" \
    "ldrsh r2, [r5, r2]\n" \
    "cmp r3, r2\n"
#define LEAVES \
    "adds r3, #1\n" \
    "lsrs r3, r3, #1\n" \
    "lsls r3, r3, #2\n" \
    "adds r1, r5, r3\n"
#elif ITEM_SHIFT == 2
#define NODE_SHIFT "3"
#define THRESHOLDS "adds r5, r4, #4\n"
#define LEAVES \
    "lsls r3, r3, #3\n" \
    "adds r1, r4, r3\n"
#endif
#if FOREST_DTYPE == FOREST_F32
#define COMPARE \
    "ldr r0, [r4, r2]\n" \
    "uxth r3, r0\n" \
    "ldr r3, [r1, r3]\n" \
    "ldr r7, [r5, r2]\n" \
    "asrs r2, r3, #31\n" \
    "lsrs r2, r2, #1\n" \
    "eors r3, r2\n" \
    "cmp r3, r7\n"
#define RESTORE_SUMS "ldr r7, [sp, #4]\n"
#elif FOREST_DTYPE == FOREST_F32_POSITIVE
#define COMPARE \
    "ldr r0, [r4, r2]\n" \
    "uxth r3, r0\n" \
    "ldr r3, [r1, r3]\n" \
    "ldr r2, [r5, r2]\n" \
    "cmp r3, r2\n"
#endif
#ifndef RESTORE_SUMS
#define RESTORE_SUMS
#endif

// With the exit in r2: to the next block if it is a jump, else the leaves of the block into r1.
#define JUMP_OR_LEAF \
    "subs r1, r4, #4\n" \
    "ldrb r0, [r1, #1]\n" \
    "ldrb r3, [r1]\n" \
    "cmp r2, r0\n" \
    "blo 8f\n" \
    "ldrh r3, [r1, #2]\n" \
    "lsls r3, r3, #1\n" \
    "adds r3, r3, r2\n" \
    "subs r3, #128\n" \
    "lsls r3, r3, #1\n" \
    "ldrh r2, [r1, r3]\n" \
    "ldr r1, [sp]\n" \
    "b 7b\n" \
    "8:\n" LEAVES

// Adds one leaf.
#if FOREST_LEAVES == FOREST_VALUES
#if FOREST_DTYPE == FOREST_F32
// The walk needs r7: the sum to add to next is kept on the stack.
#define NEXT_SUM "str r7, [sp, #4]\n"
#else
#define NEXT_SUM
#endif
#define LEAF \
    JUMP_OR_LEAF \
    "lsls r2, r2, #2\n" \
    "ldr r0, [r1, r2]\n" \
    "ldr r3, [r7]\n" \
    "adds r3, r3, r0\n" \
    "stmia r7!, {r3}\n" \
    "cmp r7, r12\n" \
    "bne 11f\n" \
    "mov r7, lr\n" \
    "11:\n" NEXT_SUM \
    "ldr r1, [sp]\n"
#else
#if FOREST_LEAVES == FOREST_WIDE
#define SUM_SHIFT "2"
#define LOAD "ldr"
#define STORE "str"
#else
#define SUM_SHIFT "1"
#define LOAD "ldrh"
#define STORE "strh"
#endif
#define LEAF \
    "cmp r2, r12\n" \
    "bhs 9f\n" \
    "lsls r2, r2, #" SUM_SHIFT "\n" \
    LOAD " r0, [r7, r2]\n" \
    "add r0, lr\n" \
    STORE " r0, [r7, r2]\n" \
    "cmp r6, r8\n" \
    "bne 0b\n" \
    "b 10f\n" \
    "9:\n" JUMP_OR_LEAF \
    "mov r3, r12\n" \
    "subs r2, r2, r3\n" \
    "lsls r2, r2, #1\n" \
    "adds r1, r1, r2\n" \
    RECORD \
    "ldr r1, [sp]\n"
#endif
#if FOREST_LEAVES == FOREST_WIDE
#define RECORD \
    "11: ldrh r2, [r1]\n" \
    "ldrh r0, [r1, #2]\n" \
    "adds r1, #4\n" \
    "lsls r5, r2, #17\n" \
    "lsrs r5, r5, #15\n" \
    "ldr r3, [r7, r5]\n" \
    "adds r3, r3, r0\n" \
    "str r3, [r7, r5]\n" \
    "lsrs r2, r2, #15\n" \
    "beq 11b\n"
#elif FOREST_LEAVES != FOREST_VALUES
#if FOREST_LEAVES == FOREST_TABLE
#define CLASS "lsrs r2, r2, #28\nlsls r2, r2, #1\n"
#define WEIGHT \
    "lsls r4, r4, #1\n" \
    "mov r3, r8\n" \
    "ldrh r4, [r3, r4]\n"
#else
// A weight is below 128, so the bit below the class is clear.
#define CLASS "lsrs r2, r2, #27\n"
#define WEIGHT
#endif
#define RECORD \
    "mov r5, lr\n" \
    "11: ldrh r0, [r1]\n" \
    "adds r1, #2\n" \
    "lsls r2, r0, #20\n" \
    CLASS \
    "uxtb r4, r0\n" \
    WEIGHT \
    "lsrs r0, r0, #12\n" \
    "lsls r0, r0, #1\n" \
    "ldrh r3, [r7, r2]\n" \
    "adds r3, r3, r4\n" \
    "strh r3, [r7, r2]\n" \
    "subs r5, r5, r4\n" \
    "cmp r0, r2\n" \
    "beq 11b\n" \
    "ldrh r3, [r7, r0]\n" \
    "adds r3, r3, r5\n" \
    "strh r3, [r7, r0]\n"
#endif

// Zeroes the sums and adds what all trees give. Sums of uint16 are cleared in pairs: the arena
// pads every tensor to a multiple of 4 bytes.
__attribute__((naked, noinline)) static void add_trees(
    const forest_t *forest __attribute__((unused)), const uint8_t *x __attribute__((unused)),
    sum_t *sums __attribute__((unused)), uintptr_t direct __attribute__((unused))) {
    __asm__(
        "push {r4-r7, lr}\n"
        "mov r4, r8\n"
        "mov r5, r9\n"
        "push {r1, r2, r4, r5}\n"
        "mov r12, r3\n"
        "movs r7, r2\n"
        "ldrh r3, [r0, #2]\n"
        #if FOREST_LEAVES == FOREST_PAIRS || FOREST_LEAVES == FOREST_TABLE
        "adds r3, #1\n"
        "lsrs r3, r3, #1\n"
        #endif
        "movs r4, #0\n"
        "0: stmia r2!, {r4}\n"
        "subs r3, #1\n"
        "bne 0b\n"
        #if FOREST_LEAVES == FOREST_VALUES
        "mov lr, r7\n"
        #else
        "ldrh r3, [r0, #8]\n"
        "mov lr, r3\n"
        #endif
        "adds r3, r0, #4\n"
        "mov r9, r3\n"
        "ldrh r3, [r0, #4]\n"
        "movs r6, r0\n"
        "adds r6, #12\n"
        "lsls r3, r3, #1\n"
        "adds r3, r3, r6\n"
        "mov r8, r3\n"
        "b 1f\n"
        "0: ldrh r2, [r6]\n"
        "adds r6, #2\n"
        "7: lsls r4, r2, #2\n"
        "add r4, r9\n" THRESHOLDS
        "movs r2, #0\n" COMPARE IF_RIGHT " 3f\n"
        "2:\n" LEFT COMPARE IF_LEFT " 2b\n"
        "3:\n" RIGHT COMPARE IF_RIGHT " 3b\n" LEFT COMPARE IF_LEFT " 2b\n"
        RIGHT COMPARE IF_RIGHT " 3b\n"
        "b 2b\n"
        LEFT_EXIT
        "4: lsls r2, r2, #1\n"
        "lsrs r2, r2, #25\n" RESTORE_SUMS LEAF
        "1: cmp r6, r8\n"
        "bne 0b\n"
        "10: pop {r1, r2, r4, r5}\n"
        "mov r8, r4\n"
        "mov r9, r5\n"
        "pop {r4-r7, pc}\n");
}
