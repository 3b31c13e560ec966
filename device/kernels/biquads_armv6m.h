// One section over one channel for Cortex-M0 and M0+: 29 cycles a sample. biquads.c has the C of
// it, which defines it.
//
//   r0 end of the input     r4 y          r8 b0    r12 a2
//   r1 end of the output    r5 s1         r9 b1    lr  bytes from sample to sample
//   r2 offset, negative     r6 s2         r10 b2
//   r3 x                    r7 scratch    r11 a1

#define STEP(fraction, rest) \
    "1: ldrsh r3, [r0, r2]\n" \
    "mov r7, r8\n" \
    "muls r7, r3\n" \
    "adds r5, r5, r7\n" \
    "asrs r4, r5, #" fraction "\n" \
    "lsls r5, r5, #" rest "\n" \
    "lsrs r5, r5, #" rest "\n" \
    "sxth r7, r4\n" \
    "cmp r7, r4\n" \
    "bne 3f\n" \
    "2: strh r7, [r1, r2]\n" \
    "adds r5, r5, r6\n" \
    "mov r7, r9\n" \
    "muls r7, r3\n" \
    "adds r5, r5, r7\n" \
    "mov r7, r11\n" \
    "muls r7, r4\n" \
    "adds r5, r5, r7\n" \
    "mov r6, r10\n" \
    "muls r6, r3\n" \
    "mov r7, r12\n" \
    "muls r7, r4\n" \
    "adds r6, r6, r7\n" \
    "add r2, lr\n" \
    "cmp r2, #0\n" \
    "bmi 1b\n" \
    "b 9f\n" \
    "3: movs r7, #1\n" \
    "lsls r7, r7, #15\n" \
    "cmp r4, #0\n" \
    "bmi 2b\n" \
    "subs r7, #1\n" \
    "b 2b\n"

__attribute__((naked, noinline)) static void filter(const pass_t *pass __attribute__((unused))) {
    __asm__(
        "push {r4-r7, lr}\n"
        "mov r4, r8\n"
        "mov r5, r9\n"
        "mov r6, r10\n"
        "mov r7, r11\n"
        "push {r0, r4-r7}\n"
        "ldr r1, [r0, #16]\n"
        "movs r2, #0\n"
        "ldrsh r3, [r1, r2]\n"
        "mov r8, r3\n"
        "movs r2, #2\n"
        "ldrsh r3, [r1, r2]\n"
        "mov r9, r3\n"
        "movs r2, #4\n"
        "ldrsh r3, [r1, r2]\n"
        "mov r10, r3\n"
        "movs r2, #6\n"
        "ldrsh r3, [r1, r2]\n"
        "mov r11, r3\n"
        "movs r2, #8\n"
        "ldrsh r3, [r1, r2]\n"
        "mov r12, r3\n"
        "ldrh r7, [r1, #10]\n"
        "ldr r2, [r0, #12]\n"
        "mov lr, r2\n"
        "ldr r1, [r0, #20]\n"
        "ldr r5, [r1]\n"
        "ldr r6, [r1, #4]\n"
        "ldr r2, [r0, #8]\n"
        "ldr r1, [r0, #4]\n"
        "ldr r0, [r0]\n"
        "cmp r7, #0\n"
        "beq 8f\n" STEP("12", "20")
        "8:\n" STEP("14", "18")
        "9: pop {r0}\n"
        "ldr r1, [r0, #20]\n"
        "str r5, [r1]\n"
        "str r6, [r1, #4]\n"
        "pop {r4-r7}\n"
        "mov r8, r4\n"
        "mov r9, r5\n"
        "mov r10, r6\n"
        "mov r11, r7\n"
        "pop {r4-r7, pc}\n");
}
