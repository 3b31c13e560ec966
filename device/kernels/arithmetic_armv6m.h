// The short formula's loop for Cortex-M0 and M0+. arithmetic.c has the C of it, which defines it.
//
// 20 cycles an element of a sum, 21 of a product.
//
//   r0 scratch   r4 left      r8 bias     r12 addend
//   r1 x         r5 fast[0]   r9 doubt    lr  row
//   r2 y         r6 fast[1]   r10 range
//   r3 out       r7 scratch   r11 low

#if ARITHMETIC_MUL
#define SHORT_FORMULA \
    "ldrsb r0, [r1, r4]\n" \
    "ldrsb r7, [r2, r4]\n" \
    "adds r0, r0, r6\n" \
    "add r7, r12\n" \
    "muls r0, r7, r0\n" \
    "muls r0, r5, r0\n"
#else
#define SHORT_FORMULA \
    "ldrsb r0, [r1, r4]\n" \
    "ldrsb r7, [r2, r4]\n" \
    "muls r0, r5, r0\n" \
    "muls r7, r6, r7\n" \
    "adds r0, r0, r7\n"
#endif

static void run_quick(const arithmetic_t *by, row_t *row) {
    register const uint32_t *formula __asm__("r0") = &by->bias;
    register row_t *to __asm__("r1") = row;
    __asm__ volatile("mov lr, r1\n"
                     "ldmia r0!, {r2-r6}\n"
                     "mov r8, r2\n"
                     "mov r9, r3\n"
                     "mov r10, r4\n"
                     "mov r11, r5\n"
                     "mov r12, r6\n"
                     "ldmia r0!, {r5, r6}\n"
                     "mov r0, r1\n"
                     "ldmia r0!, {r1-r4}\n"
                     "1:\n" SHORT_FORMULA
                     "add r0, r8\n"
                     "lsls r7, r0, #12\n"
                     "cmp r7, r9\n"
                     "blo 4f\n"
                     "asrs r0, r0, #20\n"
                     "cmp r0, r10\n"
                     "bhi 3f\n"
                     "2:\n"
                     "add r0, r11\n"
                     "strb r0, [r3, r4]\n"
                     "adds r4, #1\n"
                     "bne 1b\n"
                     "b 4f\n"
                     // Beyond the limits: 0 if negative, else the range.
                     "3:\n"
                     "asrs r0, r0, #31\n"
                     "mov r7, r10\n"
                     "bics r7, r0\n"
                     "mov r0, r7\n"
                     "b 2b\n"
                     "4:\n"
                     "mov r0, lr\n"
                     "str r4, [r0, #12]\n"
                     : "+r"(formula), "+r"(to)
                     :
                     : "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12",
                       "lr", "cc", "memory");
}
