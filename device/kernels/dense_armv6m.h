// All blocks of a dense layer for Cortex-M0 and M0+. dense.c has the C of it, which defines it.
//
// Four inputs and two blocks side by side, 32 products, take 87 cycles: 12 to load the weights, 8
// to load and split the inputs, 64 for the products, 3 for the loop. A block alone: 16 in 49.
//
//   r0 weights       r5, r6 words of weights     r8, r9, r10    sums A, R, T of the first block
//   r1 inputs        r7 end of the inputs        r11, r12, lr   of the second
//   r2 four inputs      that are loaded as words
//   r3 one input     r4 product
//   On the stack: work_t.

typedef struct {
    const int8_t *x;
    const int8_t *end;
    const uint32_t *weights; // of the block that is next
    const uint8_t *channels; // of the scale, likewise
    uint8_t *out;
    uint8_t *out_end;
    int32_t offset; // to be added to each sum
    int32_t zero;   // 2 * (zero point - low) + 1
    int32_t low;
    uint32_t range;    // high - low
    uint32_t flags;    // WIDE, ALONE
    uint32_t sums_end; // offset in work_t
    // What follows is the code's own.
    const int8_t *limit;
    uint32_t later;
    int32_t sums[2 * CHANNELS];
} work_t;

#define WORK_X 0
#define WORK_END 4
#define WORK_WEIGHTS 8
#define WORK_CHANNELS 12
#define WORK_OUT 16
#define WORK_OUT_END 20
#define WORK_OFFSET 24
#define WORK_FLAGS 40
#define WORK_SUMS_END 44
#define WORK_LIMIT 48 // end of the segment
#define WORK_LATER 52 // 0 in the first segment
#define WORK_SUMS 56
#define WORK_SIZE 88

#define WIDE 1u  // the form of the scale
#define ALONE 2u // the block has no neighbour

// The outputs of one or two blocks; work is the one on the stack.
__attribute__((noinline, used)) static void scale_wide(work_t *work) {
    wb_scale_t scale;
    scale.low = (int8_t)work->low;
    scale.high = (int8_t)(work->low + (int32_t)work->range);
    scale.zero_point = (int8_t)((work->zero >> 1) + work->low);
    for (uint32_t i = 0; i < 2 * CHANNELS && work->out != work->out_end; i++) {
        const void *channel = work->channels;
        int32_t sum = work->sums[i] + work->offset;
        *work->out++ = (uint8_t)wb_scaled_wide(sum, (const wb_wide_t *)channel, &scale);
        work->channels += sizeof(wb_wide_t);
    }
}

#define TEXT(x) #x
#define OFFSET_TEXT(x) TEXT(x)
#define AT(field) "[sp, #" OFFSET_TEXT(WORK_##field) "]"

// One word of weights, which is lost, times the input in r3.
#define MULTIPLY(word, all, swapped, top) \
    "rev16 r4, " word "\n" \
    "muls r4, r3\n" \
    "add " swapped ", r4\n" \
    "lsrs r4, " word ", #16\n" \
    "muls r4, r3\n" \
    "add " top ", r4\n" \
    "muls " word ", r3\n" \
    "add " all ", " word "\n"
#define MULTIPLY_FIRST(word) MULTIPLY(word, "r8", "r9", "r10")
#define MULTIPLY_PAIR \
    "ldmia r0!, {r5, r6}\n" MULTIPLY_FIRST("r5") MULTIPLY("r6", "r11", "r12", "lr")

// One of the four inputs in r2, into r3.
#define INPUT_0 "sxtb r3, r2\n"
#define INPUT_1 "lsls r3, r2, #16\nasrs r3, r3, #24\n"
#define INPUT_2 "lsls r3, r2, #8\nasrs r3, r3, #24\n"
#define INPUT_3 "asrs r3, r2, #24\n"

// The four sums of r8, r9, r10 into r3, r4, r5, r6. Clobbers r2, r7.
#define UNPACK \
    "mov r2, r8\n" \
    "mov r7, r9\n" \
    "mov r5, r10\n" \
    "lsls r3, r5, #16\n" \
    "subs r2, r2, r3\n" /* s0 + 2^8 s1 */ \
    "lsls r3, r5, #24\n" \
    "subs r7, r7, r3\n" \
    "lsls r3, r2, #8\n" \
    "subs r7, r7, r3\n" /* s1 + 2^16 (s3 - s1) */ \
    "uxth r4, r7\n"     /* low half of s1 */ \
    "lsrs r7, r7, #16\n" \
    "adds r7, r7, r4\n" /* low half of s3, plus the high half of s1 */ \
    "lsls r3, r4, #8\n" \
    "subs r2, r2, r3\n" \
    "lsls r3, r2, #8\n" \
    "asrs r3, r3, #8\n" /* s0 */ \
    "subs r2, r2, r3\n" \
    "asrs r6, r2, #24\n" /* high half of s1 */ \
    "asrs r2, r2, #8\n" \
    "adds r4, r4, r2\n" /* s1 */ \
    "subs r6, r7, r6\n" \
    "uxth r6, r6\n" /* low half of s3 */ \
    "lsls r2, r6, #8\n" \
    "subs r2, r5, r2\n" \
    "lsls r5, r2, #8\n" \
    "asrs r5, r5, #8\n" /* s2 */ \
    "subs r2, r2, r5\n" \
    "asrs r2, r2, #8\n" \
    "adds r6, r6, r2\n" /* s3 */

// Outputs from the sums at r1, channels at r0, to r7, as wb_scaled_narrow; lr: end of the outputs.
#define SCALE_NARROW \
    "ldmia r1!, {r2}\n" \
    "ldmia r0!, {r3, r4}\n" \
    "add r2, r8\n" \
    "asrs r5, r3, #8\n" \
    "adds r2, r2, r5\n" \
    "lsls r5, r4, #21\n" \
    "lsrs r5, r5, #21\n" \
    "muls r5, r2\n" \
    "asrs r5, r5, #11\n" \
    "lsls r6, r4, #10\n" \
    "lsrs r6, r6, #21\n" \
    "muls r6, r2\n" \
    "adds r6, r6, r5\n" \
    "asrs r6, r6, #11\n" \
    "lsrs r4, r4, #22\n" \
    "muls r4, r2\n" \
    "adds r4, r4, r6\n" \
    "add r4, r12\n" \
    "asrs r4, r4, #9\n" \
    "asrs r2, r2, #31\n" \
    "adds r4, r4, r2\n" \
    "uxtb r3, r3\n" \
    "asrs r4, r3\n" \
    "add r4, r9\n" \
    "asrs r4, r4, #1\n" \
    "cmp r4, r11\n" \
    "bhi 9f\n" \
    "8: add r4, r10\n" \
    "strb r4, [r7]\n" \
    "adds r7, #1\n"

__attribute__((naked, noinline)) static void run_blocks(
    const work_t *work __attribute__((unused))) {
    __asm__(
        "push {r4-r7, lr}\n"
        "mov r4, r8\n"
        "mov r5, r9\n"
        "mov r6, r10\n"
        "mov r7, r11\n"
        "push {r4-r7}\n"
        "sub sp, #" OFFSET_TEXT(WORK_SIZE) "\n"
        "mov r1, sp\n"
        "ldmia r0!, {r2-r7}\n"
        "stmia r1!, {r2-r7}\n"
        "ldmia r0!, {r2-r7}\n"
        "stmia r1!, {r2-r7}\n"
        "0: ldr r0, " AT(WEIGHTS) "\n"
        "ldr r1, " AT(X) "\n"
        "movs r6, #0\n"
        // A segment: up to 256 inputs. r6: 0 in the first.
        "1: str r6, " AT(LATER) "\n"
        "ldr r4, " AT(END) "\n"
        "subs r3, r4, r1\n"
        "lsrs r3, r3, #8\n"
        "beq 2f\n"
        "movs r4, #255\n"
        "adds r4, #1\n"
        "adds r4, r4, r1\n"
        "2: str r4, " AT(LIMIT) "\n"
        "movs r7, r1\n"
        "lsls r3, r1, #30\n"
        "bne 2f\n"
        "lsrs r7, r4, #2\n"
        "lsls r7, r7, #2\n"
        "2: movs r3, #0\n"
        "mov r8, r3\n"
        "mov r9, r3\n"
        "mov r10, r3\n"
        "mov r11, r3\n"
        "mov r12, r3\n"
        "mov lr, r3\n"
        "ldr r3, " AT(FLAGS) "\n"
        "lsls r3, r3, #30\n"
        "bpl 3f\n"
        "b 4f\n"
        // Two blocks.
        "2: ldmia r1!, {r2}\n"
        "20:\n"
        INPUT_0 MULTIPLY_PAIR INPUT_1 MULTIPLY_PAIR INPUT_2 MULTIPLY_PAIR INPUT_3 MULTIPLY_PAIR
        "3: cmp r1, r7\n"
        "bne 2b\n"
        "b 5f\n"
        // One block.
        "2: ldmia r1!, {r2}\n"
        "21: ldmia r0!, {r5, r6}\n"
        INPUT_0 MULTIPLY_FIRST("r5") INPUT_1 MULTIPLY_FIRST("r6")
        "ldmia r0!, {r5, r6}\n"
        INPUT_2 MULTIPLY_FIRST("r5") INPUT_3 MULTIPLY_FIRST("r6")
        "4: cmp r1, r7\n"
        "bne 2b\n"
        // The inputs that cannot be loaded as words: up to four bytes to r2, and zeros.
        "5: ldr r4, " AT(LIMIT) "\n"
        "cmp r1, r4\n"
        "beq 6f\n"
        "movs r2, #0\n"
        "movs r3, #0\n"
        "2: ldrb r5, [r1]\n"
        "adds r1, #1\n"
        "lsls r5, r3\n"
        "orrs r2, r5\n"
        "adds r3, #8\n"
        "cmp r1, r4\n"
        "beq 2f\n"
        "cmp r3, #32\n"
        "bne 2b\n"
        "2: movs r7, r1\n"
        "ldr r3, " AT(FLAGS) "\n"
        "lsls r3, r3, #30\n"
        "bmi 21b\n"
        "b 20b\n"
        // The sums of the segment.
        "6: str r0, " AT(WEIGHTS) "\n"
        "movs r0, r1\n"
        "add r1, sp, #" OFFSET_TEXT(WORK_SUMS) "\n"
        "2:\n" UNPACK
        "ldr r2, " AT(LATER) "\n"
        "cmp r2, #0\n"
        "bne 7f\n"
        "30: stmia r1!, {r3-r6}\n"
        "mov r8, r11\n"
        "mov r9, r12\n"
        "mov r10, lr\n"
        "ldr r2, " AT(SUMS_END) "\n"
        "add r2, sp\n"
        "cmp r1, r2\n"
        "bne 2b\n"
        "movs r1, r0\n"
        "movs r6, #1\n"
        "ldr r0, " AT(WEIGHTS) "\n"
        "ldr r4, " AT(END) "\n"
        "cmp r1, r4\n"
        "beq 2f\n"
        "b 1b\n"
        // The outputs.
        "2:\n"
        "ldr r3, " AT(FLAGS) "\n"
        "lsrs r3, r3, #1\n"
        "bcs 4f\n"
        "add r1, sp, #" OFFSET_TEXT(WORK_OFFSET) "\n"
        "ldmia r1!, {r2-r5}\n"
        "mov r8, r2\n"
        "mov r9, r3\n"
        "mov r10, r4\n"
        "mov r11, r5\n"
        "movs r2, #1\n"
        "lsls r2, r2, #8\n"
        "mov r12, r2\n"
        "ldr r0, " AT(CHANNELS) "\n"
        "ldr r7, " AT(OUT) "\n"
        "ldr r2, " AT(OUT_END) "\n"
        "subs r3, r2, r7\n"
        "cmp r3, #8\n"
        "bls 2f\n"
        "movs r2, r7\n"
        "adds r2, #8\n"
        "2: mov lr, r2\n"
        "add r1, sp, #" OFFSET_TEXT(WORK_SUMS) "\n"
        "2:\n" SCALE_NARROW
        "cmp r7, lr\n"
        "bne 2b\n"
        "str r0, " AT(CHANNELS) "\n"
        "str r7, " AT(OUT) "\n"
        "3: ldr r2, " AT(OUT_END) "\n"
        "cmp r7, r2\n"
        "beq 2f\n"
        "b 0b\n"
        "2: add sp, #" OFFSET_TEXT(WORK_SIZE) "\n"
        "pop {r4-r7}\n"
        "mov r8, r4\n"
        "mov r9, r5\n"
        "mov r10, r6\n"
        "mov r11, r7\n"
        "pop {r4-r7, pc}\n"
        "4: mov r0, sp\n"
        "bl scale_wide\n"
        "ldr r7, " AT(OUT) "\n"
        "b 3b\n"
        // Adds the sums of the segments before.
        "7: ldr r2, [r1]\n"
        "adds r3, r3, r2\n"
        "ldr r2, [r1, #4]\n"
        "adds r4, r4, r2\n"
        "ldr r2, [r1, #8]\n"
        "adds r5, r5, r2\n"
        "ldr r2, [r1, #12]\n"
        "adds r6, r6, r2\n"
        "b 30b\n"
        // Below the limits, or above.
        "9: asrs r4, r4, #31\n"
        "mvns r4, r4\n"
        "mov r3, r11\n"
        "ands r4, r3\n"
        "b 8b\n");
}

static void run_layer(const dense_t *dense, const int8_t *x, int32_t offset, uint8_t *out) {
    const wb_scale_t *scale = &dense->scale;
    uint32_t paired = n_blocks(dense) / 2 * 2 * CHANNELS;
    work_t work;
    work.x = x;
    work.end = x + dense->n_inputs;
    work.weights = weights_of(dense);
    work.channels = (const uint8_t *)(scale + 1);
    work.out = out;
    work.offset = offset;
    work.zero = 2 * (scale->zero_point - scale->low) + 1;
    work.low = scale->low;
    work.range = (uint32_t)(scale->high - scale->low);
    if (paired != 0) {
        work.out_end = out + (paired < dense->n_outputs ? paired : dense->n_outputs);
        work.flags = scale->wide;
        work.sums_end = WORK_SUMS + 8 * CHANNELS;
        run_blocks(&work);
    }
    if (paired < dense->n_outputs) {
        uint32_t channel = scale->wide ? sizeof(wb_wide_t) : sizeof(wb_narrow_t);
        work.weights += paired / CHANNELS * n_stored(dense);
        work.channels += paired * channel;
        work.out += paired;
        work.out_end = out + dense->n_outputs;
        work.flags = scale->wide | ALONE;
        work.sums_end = WORK_SUMS + 4 * CHANNELS;
        run_blocks(&work);
    }
}
