// The loops of a depthwise convolution for Cortex-M0 and M0+. depthwise.c has the C of them, which
// defines them.

// Members of parts_t.
#define X "#0"
#define FROM "#4"
#define TO_SECOND "#8"
#define TO_THIRD "#12"
#define LIMIT "#16"
#define LINE "#20"
#define PLACE "#24"
#define PACKED "#28"
#define LENGTH "#32"
#define REST "#36"
#define FILL "#40"
#define LINE_REST "#44"
#define PITCH "#48"
#define PACKED_END "#52"

#define SAVE \
    "push {r4-r7, lr}\n" \
    "mov r4, r8\n" \
    "mov r5, r9\n" \
    "mov r6, r10\n" \
    "mov r7, r11\n" \
    "push {r4-r7}\n"
#define RESTORE \
    "pop {r4-r7}\n" \
    "mov r8, r4\n" \
    "mov r9, r5\n" \
    "mov r10, r6\n" \
    "mov r11, r7\n" \
    "pop {r4-r7, pc}\n"

// A position of the three parts, packed.
#define PACK \
    "ldrsb r3, [r1, r6]\n" \
    "ldrsb r4, [r7, r6]\n" \
    "ldrsb r5, [r2, r6]\n" \
    "lsls r4, r4, #11\n" \
    "adds r5, r5, r4\n" \
    "lsls r4, r4, #10\n" \
    "adds r4, r4, r3\n" \
    "stmia r0!, {r4, r5}\n"

// The offset of a part's line: to its address, or to the padding with steps of r3 = 0.
#define INSIDE_OR_FILL(part, step, inside, done) \
    "cmp " part ", r4\n" \
    "blo " inside "f\n" \
    "mov " part ", r6\n" \
    "mov " step ", r3\n" \
    "b " done "f\n" inside ": adds " part ", " part ", r5\n" done ":\n"

// Packs a channel: 17 cycles a position where all three parts lie in the input, else 20.
//
//   r0 next packed position          r3-r5 inputs        r9, r11, r12 steps of the parts
//   r1, r7, r2 inputs of the parts   r6 index            r10 end, behind the last line
//   r8 end of the packed line        lr parts            On the stack: offset of the first
//                                                        part's line.
__attribute__((naked, noinline)) static void pack(
    const parts_t *parts __attribute__((unused))) {
    __asm__(
        SAVE
        "mov lr, r0\n"
        "ldr r1, [r0, " FROM "]\n"
        "push {r1}\n"
        "ldr r1, [r0, " PACKED_END "]\n"
        "mov r10, r1\n"
        "ldr r0, [r0, " PACKED "]\n"
        "0: mov r3, lr\n"
        "ldr r1, [r3, " PLACE "]\n"
        "mov r9, r1\n"
        "ldr r4, [r3, " LENGTH "]\n"
        "adds r4, r4, r0\n"
        "mov r8, r4\n"
        "ldr r7, [r3, " TO_SECOND "]\n"
        "ldr r2, [r3, " TO_THIRD "]\n"
        "ldr r4, [r3, " LIMIT "]\n"
        "ldr r5, [r3, " X "]\n"
        "ldr r1, [sp]\n"
        "adds r7, r7, r1\n"
        "adds r2, r2, r1\n"
        "cmp r1, r4\n"
        "bhs 4f\n"
        "cmp r2, r4\n"
        "bhs 4f\n"
        // Lines where the three parts lie in the input; r12: what is left of the third.
        "subs r4, r4, r2\n"
        "mov r12, r4\n"
        "adds r1, r1, r5\n"
        "adds r2, r2, r5\n"
        "adds r7, r7, r5\n"
        "movs r6, #0\n"
        "b 2f\n"
        "1: ldr r4, [r3, " REST "]\n"
        "adds r0, r0, r4\n"
        "ldr r4, [r3, " PITCH "]\n"
        "add r8, r4\n"
        "2:\n" PACK
        "add r6, r9\n"
        "cmp r0, r8\n"
        "bne 2b\n"
        "cmp r0, r10\n"
        "beq 7f\n"
        "mov r3, lr\n"
        "ldr r4, [r3, " LINE_REST "]\n"
        "adds r6, r6, r4\n"
        "cmp r6, r12\n"
        "blo 1b\n"
        "ldr r4, [sp]\n"
        "adds r6, r6, r4\n"
        // The next line.
        "3: str r6, [sp]\n"
        "ldr r4, [r3, " REST "]\n"
        "adds r0, r0, r4\n"
        "b 0b\n"
        // A line where a part lies outside.
        "4: ldr r6, [r3, " FILL "]\n"
        "mov r11, r9\n"
        "mov r12, r9\n"
        "movs r3, #0\n"
        INSIDE_OR_FILL("r1", "r9", "10", "11")
        INSIDE_OR_FILL("r7", "r11", "12", "13")
        INSIDE_OR_FILL("r2", "r12", "14", "15")
        "movs r6, #0\n"
        "5:\n" PACK
        "add r1, r9\n"
        "add r7, r11\n"
        "add r2, r12\n"
        "cmp r0, r8\n"
        "bne 5b\n"
        "cmp r0, r10\n"
        "beq 7f\n"
        "mov r3, lr\n"
        "ldr r4, [r3, " LINE "]\n"
        "ldr r6, [sp]\n"
        "adds r6, r6, r4\n"
        "b 3b\n"
        "7: add sp, #4\n"
        RESTORE);
}

// Places of loops_t on the stack, and those behind it.
#define COARSE "#36"
#define SHIFT "#40"
#define SECOND "#44"
#define THIRD "#48"
#define OUT_PLACE "#52"
#define LAST "#56"
#define LINE_BYTES "#60"
#define TO_NEXT_LINE "#64"
#define OUT_REST "#68"
#if defined(DEPTHWISE_3X3)
#define COPIED "#72"
#define FRAME "#76"
#else
#define BACK "#72"
#define END "#76"
#define ANY "#80"
#define WORDS_AT "#84"
#define RUN_BYTES "#88"
#define RUNS "#92"
#define GROUPS "#96"
#define LAST_RUNS "#100"
#define SKIPPED "#104"
#define RUN_REST "#108"
#define PLACE_BYTES "#112"
#define POSITIVE "#116"
#define COPIED "#120"
#define NEGATIVE "#120"
#define LEFT "#124"        // runs of the group
#define GROUPS_LEFT "#128"
#define START "#132"       // of the place
#define SUMS "#136"
#define LOOPS "#148"
#define FRAME "#156"
#endif

#if !defined(DEPTHWISE_3X3)

// Three outputs in the low bytes of a word.
__attribute__((cold, noinline, used)) static uint32_t scaled_wide(
    int32_t first, int32_t second, int32_t third, const loops_t *loops) {
    const int32_t sums[PARTS] = {third, second, first};
    uint32_t out = 0;
    for (uint32_t i = 0; i < PARTS; i++) {
        out = (out << 8) | ((uint32_t)wb_scaled_wide(sums[i], loops->wide, loops->scale) & 0xffu);
    }
    return out;
}

#endif

// A weight times two words.
#define TAP(weight, x, y) \
    "ldr r7, [sp, #" weight "]\n" \
    "muls " x ", r7\n" \
    "muls " y ", r7\n"
#define ADD_TAP(weight, x, y) \
    TAP(weight, x, y) \
    "adds r1, r1, " x "\n" \
    "adds r2, r2, " y "\n"
#define ADD_RUN(w0, w1, w2) \
    "ldmia r0!, {r3, r4, r5, r6}\n" \
    ADD_TAP(w0, "r3", "r4") \
    ADD_TAP(w1, "r5", "r6") \
    "ldmia r0!, {r3, r4}\n" \
    ADD_TAP(w2, "r3", "r4")

// The next tap of any kernel: 10 cycles, 14 bytes.
#define ANY_TAP \
    "ldmia r0!, {r3, r4}\n" \
    "ldmia r6!, {r5}\n" \
    "muls r3, r5\n" \
    "muls r4, r5\n" \
    "adds r1, r1, r3\n" \
    "adds r2, r2, r4\n" \
    "add r0, r8\n"
#define ANY_TAP_BYTES 14u

// The sums of accumulators r1, r2: into r3, r4, r5.
#define UNPACK \
    "lsls r3, r1, #11\n" \
    "asrs r3, r3, #11\n" \
    "subs r1, r1, r3\n" \
    "lsrs r4, r1, #10\n" \
    "subs r2, r2, r4\n" \
    "lsls r5, r2, #10\n" \
    "asrs r5, r5, #10\n" \
    "subs r2, r2, r5\n" \
    "asrs r2, r2, #11\n" \
    "lsrs r1, r1, #21\n" \
    "adds r4, r1, r2\n"

// floor(sum * factor / 2^13) + offset.
#define SCALE(sum) \
    "mov r1, r9\n" \
    "muls r1, " sum "\n" \
    "asrs r1, r1, #13\n" \
    "muls " sum ", r6\n" \
    "adds " sum ", " sum ", r1\n" \
    "add " sum ", r10\n"

// The output, limited; `above` labels where it is too high.
#if defined(DEPTHWISE_3X3)
#define LIMITED(sum, above, done) \
    "cmp " sum ", #255\n" \
    "bhi " above "f\n" done ": subs " sum ", #128\n"
#define CUT(sum, above, done) \
    above ": movs " sum ", #255\n" \
    "b " done "b\n"
#else
#define LIMITED(sum, above, done) \
    "cmp " sum ", r11\n" \
    "bhi " above "f\n" done ": add " sum ", r12\n"
#define CUT(sum, above, done) \
    above ": mov " sum ", r11\n" \
    "b " done "b\n"
#endif
#define OUTPUT(sum, above, done) \
    "asrs " sum ", r7\n" \
    "asrs r1, " sum ", #31\n" \
    "bics " sum ", r1\n" LIMITED(sum, above, done)

// All outputs of a channel. A kernel of 3 x 3 has a loop of its own: 49 cycles for an output.
//
//   r0 packed position            r6 factor's high part, weights   r8  step
//   r1, r2 accumulators, scratch  r7 shift, end of weights         r9  factor's low part
//   r3, r4, r5 inputs, sums       lr out                           r10 offset
//   r11, r12 DEPTHWISE_3X3: way to the next place, and end of the line; else range and low
__attribute__((naked, noinline)) static void convolve(
    const loops_t *loops __attribute__((unused))) {
    __asm__(
        SAVE
        "sub sp, " FRAME "\n"
        #if !defined(DEPTHWISE_3X3)
        "str r0, [sp, " LOOPS "]\n"
        #endif
        "mov r1, sp\n"
        "add r2, sp, " COPIED "\n"
        "mov r8, r2\n"
        "0: ldmia r0!, {r2, r3, r4, r5, r6, r7}\n"
        "stmia r1!, {r2, r3, r4, r5, r6, r7}\n"
        "cmp r1, r8\n"
        "bne 0b\n"
        #if !defined(DEPTHWISE_3X3)
        "ldmia r0!, {r2}\n"
        "str r2, [sp, " NEGATIVE "]\n"
        #endif
        "ldmia r0!, {r1, r2, r3, r4, r5, r6, r7}\n"
        "mov r8, r1\n"
        "mov r9, r2\n"
        "mov r10, r3\n"
        "mov r11, r4\n"
        "mov r12, r5\n"
        "movs r0, r6\n"
        "mov lr, r7\n"
        #if !defined(DEPTHWISE_3X3)
        "b 5f\n"
        #endif
        // 3 x 3.
        "2: ldmia r0!, {r1, r2, r3, r4, r5, r6}\n"
        TAP("0", "r1", "r2")
        ADD_TAP("4", "r3", "r4")
        ADD_TAP("8", "r5", "r6")
        "add r0, r8\n"
        ADD_RUN("12", "16", "20")
        "add r0, r8\n"
        ADD_RUN("24", "28", "32")
        #if defined(DEPTHWISE_3X3)
        "add r0, r11\n"
        #else
        "ldr r3, [sp, " BACK "]\n"
        "adds r0, r0, r3\n"
        #endif
        UNPACK
        "3: ldr r6, [sp, " COARSE "]\n"
        "ldr r7, [sp, " SHIFT "]\n"
        #if !defined(DEPTHWISE_3X3)
        "cmp r7, #32\n"
        "bhs 20f\n"
        #endif
        SCALE("r3")
        OUTPUT("r3", "10", "11")
        SCALE("r4")
        OUTPUT("r4", "12", "13")
        SCALE("r5")
        OUTPUT("r5", "14", "15")
        "4: mov r2, lr\n"
        "strb r3, [r2]\n"
        "ldr r1, [sp, " SECOND "]\n"
        "strb r4, [r2, r1]\n"
        "ldr r1, [sp, " THIRD "]\n"
        "strb r5, [r2, r1]\n"
        "ldr r1, [sp, " OUT_PLACE "]\n"
        "add lr, r1\n"
        // The next line.
        #if defined(DEPTHWISE_3X3)
        "cmp r0, r12\n"
        "bne 2b\n"
        "ldr r2, [sp, " LAST "]\n"
        "cmp r2, r12\n"
        "beq 8f\n"
        #else
        "5: ldr r1, [sp, " END "]\n"
        "cmp r0, r1\n"
        "blo 2b\n"
        "cmp r1, #0\n"
        "bne 6f\n"
        "ldr r1, [sp, " ANY "]\n"
        "cmp r0, r1\n"
        "bne 30f\n"
        "6: ldr r2, [sp, " LAST "]\n"
        "cmp r1, r2\n"
        "beq 8f\n"
        #endif
        "ldr r2, [sp, " TO_NEXT_LINE "]\n"
        "adds r0, r0, r2\n"
        "ldr r2, [sp, " OUT_REST "]\n"
        "add lr, r2\n"
        "ldr r2, [sp, " LINE_BYTES "]\n"
        #if defined(DEPTHWISE_3X3)
        "add r12, r2\n"
        #else
        "adds r1, r1, r2\n"
        "ldr r2, [sp, " END "]\n"
        "cmp r2, #0\n"
        "beq 7f\n"
        "str r1, [sp, " END "]\n"
        #endif
        "b 2b\n"
        "8: add sp, " FRAME "\n"
        RESTORE
        CUT("r3", "10", "11")
        CUT("r4", "12", "13")
        CUT("r5", "14", "15")
        #if !defined(DEPTHWISE_3X3)
        "7: str r1, [sp, " ANY "]\n"
        "b 30f\n"
        // Signed: the sums take turns in r3.
        "20: subs r7, #32\n"
        "cmp r7, #32\n"
        "beq 25f\n"
        "movs r2, #3\n"
        "21:\n" SCALE("r3")
        "ldr r1, [sp, " POSITIVE "]\n"
        "cmp r3, #0\n"
        "bge 22f\n"
        "ldr r1, [sp, " NEGATIVE "]\n"
        "22: adds r3, r3, r1\n"
        "asrs r3, r7\n"
        "asrs r1, r3, #31\n"
        "bics r3, r1\n"
        "cmp r3, r11\n"
        "bls 23f\n"
        "mov r3, r11\n"
        "23: mov r1, r12\n"
        "adds r1, r1, r3\n"
        "movs r3, r4\n"
        "movs r4, r5\n"
        "movs r5, r1\n"
        "subs r2, #1\n"
        "bne 21b\n"
        "b 4b\n"
        // Wide.
        "25: movs r6, r0\n"
        "mov r7, lr\n"
        "movs r0, r3\n"
        "movs r1, r4\n"
        "movs r2, r5\n"
        "ldr r3, [sp, " LOOPS "]\n"
        "bl scaled_wide\n"
        "mov lr, r7\n"
        "movs r3, r0\n"
        "lsrs r4, r0, #8\n"
        "lsrs r5, r0, #16\n"
        "movs r0, r6\n"
        "b 4b\n"
        // Any kernel.
        "30: str r0, [sp, " START "]\n"
        "ldr r6, [sp, " WORDS_AT "]\n"
        "ldr r3, [sp, " GROUPS "]\n"
        "31: str r3, [sp, " GROUPS_LEFT "]\n"
        "ldr r4, [sp, " RUNS "]\n"
        "cmp r3, #1\n"
        "bne 32f\n"
        "ldr r4, [sp, " LAST_RUNS "]\n"
        "32: movs r1, #0\n"
        "movs r2, #0\n"
        "33: str r4, [sp, " LEFT "]\n"
        "ldr r7, [sp, " RUN_BYTES "]\n"
        "adds r7, r7, r6\n"
        "ldr r3, [sp, " SKIPPED "]\n"
        "add pc, r3\n"
        "nop\n"
        "34:\n" ANY_TAP ANY_TAP ANY_TAP ANY_TAP
        "cmp r6, r7\n"
        "bne 34b\n"
        "ldr r3, [sp, " RUN_REST "]\n"
        "adds r0, r0, r3\n"
        "ldr r4, [sp, " LEFT "]\n"
        "subs r4, #1\n"
        "bne 33b\n"
        UNPACK
        // Several groups: their sums.
        "ldr r1, [sp, " GROUPS "]\n"
        "cmp r1, #1\n"
        "beq 37f\n"
        "ldr r2, [sp, " GROUPS_LEFT "]\n"
        "add r7, sp, " SUMS "\n"
        "cmp r1, r2\n"
        "beq 35f\n"
        "ldr r1, [r7]\n"
        "adds r3, r3, r1\n"
        "ldr r1, [r7, #4]\n"
        "adds r4, r4, r1\n"
        "ldr r1, [r7, #8]\n"
        "adds r5, r5, r1\n"
        "35: stmia r7!, {r3, r4, r5}\n"
        "subs r3, r2, #1\n"
        "bne 31b\n"
        "subs r7, #12\n"
        "ldmia r7!, {r3, r4, r5}\n"
        "37: ldr r0, [sp, " START "]\n"
        "ldr r1, [sp, " PLACE_BYTES "]\n"
        "adds r0, r0, r1\n"
        "b 3b\n"
        #endif
    );
}
