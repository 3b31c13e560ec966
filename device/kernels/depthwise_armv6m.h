// The loops of a depthwise convolution for Cortex-M0 and M0+. depthwise.c has the C of them, which
// defines them.

// Members of parts_t.
#define X "#0"
#define FROM "#4"
#define TO_SECOND "#8"
#define TO_THIRD "#12"
#define LIMIT_OF_LINES "#16"
#define LINE "#20"
#define PLACE "#24"
#define INSIDE "#28"
#define LENGTH "#32"
#define REST "#36"
#define N_LINES "#40"
#define FILL "#44"

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
//   r1, r7, r2 inputs of the parts   r6 index            r10 offset of the first part's line
//   r8 end of the packed line        lr parts            On the stack: lines that are left.
__attribute__((naked, noinline)) static void pack(
    const parts_t *parts __attribute__((unused))) {
    __asm__(
        SAVE
        "mov lr, r0\n"
        "ldr r1, [r0, " FROM "]\n"
        "mov r10, r1\n"
        "ldr r1, [r0, " N_LINES "]\n"
        "ldr r0, [r0, " INSIDE "]\n"
        "push {r1}\n"
        "0: mov r3, lr\n"
        "ldr r1, [r3, " PLACE "]\n"
        "mov r9, r1\n"
        "ldr r4, [r3, " LENGTH "]\n"
        "adds r4, r4, r0\n"
        "mov r8, r4\n"
        "ldr r7, [r3, " TO_SECOND "]\n"
        "ldr r2, [r3, " TO_THIRD "]\n"
        "ldr r4, [r3, " LIMIT_OF_LINES "]\n"
        "ldr r5, [r3, " X "]\n"
        "mov r1, r10\n"
        "adds r7, r7, r1\n"
        "adds r2, r2, r1\n"
        "cmp r1, #0\n"
        "blt 3f\n"
        "cmp r2, r4\n"
        "bhs 3f\n"
        "adds r1, r1, r5\n"
        "adds r2, r2, r5\n"
        "adds r7, r7, r5\n"
        "movs r6, #0\n"
        "1:\n" PACK
        "add r6, r9\n"
        "cmp r0, r8\n"
        "bne 1b\n"
        "2: mov r3, lr\n"
        "ldr r4, [r3, " REST "]\n"
        "adds r0, r0, r4\n"
        "ldr r4, [r3, " LINE "]\n"
        "add r10, r4\n"
        "ldr r1, [sp]\n"
        "subs r1, r1, #1\n"
        "str r1, [sp]\n"
        "bne 0b\n"
        "add sp, #4\n"
        RESTORE
        "3: ldr r6, [r3, " FILL "]\n"
        "mov r11, r9\n"
        "mov r12, r9\n"
        "movs r3, #0\n"
        INSIDE_OR_FILL("r1", "r9", "4", "5")
        INSIDE_OR_FILL("r7", "r11", "6", "7")
        INSIDE_OR_FILL("r2", "r12", "8", "9")
        "movs r6, #0\n"
        "10:\n" PACK
        "add r1, r9\n"
        "add r7, r11\n"
        "add r2, r12\n"
        "cmp r0, r8\n"
        "bne 10b\n"
        "b 2b\n");
}

// What `convolve` needs, copied to the stack: where a comment says so, it is kept in a register.
typedef struct {
    int32_t weights[9]; // of a 3 x 3 kernel
    uint32_t coarse;       // the factor's high part
    uint32_t shift;        // | SIGNED, or WIDE_FORM
    uint32_t back;         // 3 x 3: from the last line of taps to the first one of the next place
    uint32_t second;       // bytes from an output of the first part to the one of the second
    uint32_t third;
    uint32_t out_place;
    uint32_t length;      // bytes of a packed line of outputs
    uint32_t fast;        // all ones for a 3 x 3 kernel, else 0
    const uint32_t *at;   // packed
    uint32_t line_bytes;  // packed, from a line of outputs to the next
    uint8_t *out;
    uint32_t out_line;
    uint32_t lines;
    const int32_t *words; // weights of any other kernel
    uint32_t run_bytes;   // of the weights of a run of taps
    uint32_t runs;        // in a group
    uint32_t groups;
    uint32_t last_runs;   // in the last group
    uint32_t run_rest;    // bytes from behind the last tap of a run to the first of the next
    uint32_t place_bytes; // packed
    uint32_t positive;    // added to values of 0 and above, if signed
    uint32_t negative;    // added to the others
    const wb_wide_t *wide;
    const wb_scale_t *scale;
    uint32_t step;   // r8: between runs of a 3 x 3 kernel, else between taps
    uint32_t fine;   // r9: the factor's low part
    uint32_t offset; // r10
    uint32_t range;  // r11: high - low
    uint32_t low;    // r12
} loops_t;

// Its places on the stack, and those behind it.
#define COARSE "#36"
#define SHIFT "#40"
#define BACK "#44"
#define SECOND "#48"
#define THIRD "#52"
#define OUT_PLACE "#56"
#define LENGTH_OF_LINE "#60"
#define FAST "#64"
#define AT "#68"
#define LINE_BYTES "#72"
#define OUT "#76"
#define OUT_LINE "#80"
#define LINES "#84"
#define WORDS_AT "#88"
#define RUN_BYTES "#92"
#define RUNS "#96"
#define GROUPS "#100"
#define LAST_RUNS "#104"
#define RUN_REST "#108"
#define PLACE_BYTES "#112"
#define POSITIVE "#116"
#define NEGATIVE "#120"
#define WIDE_AT "#124"
#define SCALE_AT "#128"
#define IN_REGISTERS "#132" // r8 to r12
#define COPIED "#152"
#define END "#132"         // of a packed line; 0 if not fast
#define GENERAL_END "#136" // the same, but never 0
#define LEFT "#140"        // runs of the group
#define GROUPS_LEFT "#144"
#define START "#148" // of the place
#define SUMS "#152"
#define FRAME "#164"

#define SIGNED 32u
#define WIDE_FORM 64u

// Three outputs in the low bytes of a word.
__attribute__((noinline, used)) static uint32_t scaled_wide(
    int32_t first, int32_t second, int32_t third, const loops_t *loops) {
    uint32_t out = (uint32_t)wb_scaled_wide(third, loops->wide, loops->scale) << 16;
    out |= ((uint32_t)wb_scaled_wide(second, loops->wide, loops->scale) & 0xffu) << 8;
    return out | ((uint32_t)wb_scaled_wide(first, loops->wide, loops->scale) & 0xffu);
}

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

// The output minus its low end, limited to 0 and above; `above` labels where it is too high.
#define LIMIT(sum, above, done) \
    "asrs " sum ", r7\n" \
    "asrs r1, " sum ", #31\n" \
    "bics " sum ", r1\n" \
    "cmp " sum ", r11\n" \
    "bhi " above "f\n" done ": add " sum ", r12\n"
#define CUT(sum, above, done) \
    above ": mov " sum ", r11\n" \
    "b " done "b\n"

// All outputs of a channel. A kernel of 3 x 3 has a loop of its own: 49 cycles for an output.
//
//   r0 packed position            r3, r4, r5 inputs, sums       r8 step     r11 range
//   r1, r2 accumulators, scratch  r6 factor's high part, weights r9 factor   r12 low
//                                 r7 shift, end of weights      r10 offset  lr out
__attribute__((naked, noinline)) static void convolve(
    const loops_t *loops __attribute__((unused))) {
    __asm__(
        SAVE
        "sub sp, " FRAME "\n"
        "mov r1, sp\n"
        "movs r2, r0\n"
        "adds r2, " COPIED "\n"
        "0: ldmia r0!, {r3, r4}\n"
        "stmia r1!, {r3, r4}\n"
        "cmp r0, r2\n"
        "bne 0b\n"
        "add r1, sp, " IN_REGISTERS "\n"
        "ldmia r1!, {r3, r4, r5, r6, r7}\n"
        "mov r8, r3\n"
        "mov r9, r4\n"
        "mov r10, r5\n"
        "mov r11, r6\n"
        "mov r12, r7\n"
        // A line.
        "1: ldr r0, [sp, " AT "]\n"
        "ldr r1, [sp, " LENGTH_OF_LINE "]\n"
        "adds r1, r1, r0\n"
        "str r1, [sp, " GENERAL_END "]\n"
        "ldr r2, [sp, " FAST "]\n"
        "ands r1, r2\n"
        "str r1, [sp, " END "]\n"
        "ldr r1, [sp, " OUT "]\n"
        "mov lr, r1\n"
        "b 5f\n"
        // 3 x 3.
        "2: ldmia r0!, {r1, r2, r3, r4, r5, r6}\n"
        TAP("0", "r1", "r2")
        ADD_TAP("4", "r3", "r4")
        ADD_TAP("8", "r5", "r6")
        "add r0, r8\n"
        ADD_RUN("12", "16", "20")
        "add r0, r8\n"
        ADD_RUN("24", "28", "32")
        "ldr r3, [sp, " BACK "]\n"
        "adds r0, r0, r3\n"
        UNPACK
        "3: ldr r6, [sp, " COARSE "]\n"
        "ldr r7, [sp, " SHIFT "]\n"
        "cmp r7, #32\n"
        "bhs 20f\n"
        SCALE("r3")
        LIMIT("r3", "10", "11")
        SCALE("r4")
        LIMIT("r4", "12", "13")
        SCALE("r5")
        LIMIT("r5", "14", "15")
        "4: mov r2, lr\n"
        "strb r3, [r2]\n"
        "ldr r1, [sp, " SECOND "]\n"
        "strb r4, [r2, r1]\n"
        "ldr r1, [sp, " THIRD "]\n"
        "strb r5, [r2, r1]\n"
        "ldr r1, [sp, " OUT_PLACE "]\n"
        "add lr, r1\n"
        "5: ldr r1, [sp, " END "]\n"
        "cmp r0, r1\n"
        "blo 2b\n"
        "ldr r1, [sp, " GENERAL_END "]\n"
        "cmp r0, r1\n"
        "bne 30f\n"
        // The next line.
        "ldr r1, [sp, " AT "]\n"
        "ldr r2, [sp, " LINE_BYTES "]\n"
        "adds r1, r1, r2\n"
        "str r1, [sp, " AT "]\n"
        "ldr r1, [sp, " OUT "]\n"
        "ldr r2, [sp, " OUT_LINE "]\n"
        "adds r1, r1, r2\n"
        "str r1, [sp, " OUT "]\n"
        "ldr r1, [sp, " LINES "]\n"
        "subs r1, #1\n"
        "str r1, [sp, " LINES "]\n"
        "beq 6f\n"
        "b 1b\n"
        "6: add sp, " FRAME "\n"
        RESTORE
        CUT("r3", "10", "11")
        CUT("r4", "12", "13")
        CUT("r5", "14", "15")
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
        "mov r3, sp\n"
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
        "34: ldmia r0!, {r3, r4}\n"
        "ldmia r6!, {r5}\n"
        "muls r3, r5\n"
        "muls r4, r5\n"
        "adds r1, r1, r3\n"
        "adds r2, r2, r4\n"
        "add r0, r8\n"
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
        "b 3b\n");
}

static void prepare_loops(loops_t *loops, const job_t *job) {
    const axis_t *lines = &job->layer->lines;
    const axis_t *places = &job->layer->places;
    uint32_t line = lines->dilation * job->words * 4; // bytes between lines of taps
    uint32_t tap = places->dilation * POSITION;
    loops->at = job->packed;
    loops->words = job->weights;
    loops->scale = &job->layer->scale;
    loops->second = job->starts[1] * job->out.line;
    loops->third = job->starts[2] * job->out.line;
    loops->place_bytes = places->stride * POSITION;
    loops->length = places->out * loops->place_bytes;
    loops->line_bytes = lines->stride * job->words * 4;
    loops->lines = job->part;
    loops->out_place = job->out.place;
    loops->out_line = job->out.line;
    loops->groups = 1;
    loops->runs = loops->last_runs = lines->kernel;
    loops->run_bytes = places->kernel * 4u;
    while (loops->last_runs > job->layer->group) {
        loops->runs = job->layer->group;
        loops->last_runs -= loops->runs;
        loops->groups++;
    }
    if (job->words == WORDS && loops->groups == 1) {
        // A single place: lines follow each other like places in a line.
        tap = line;
        loops->place_bytes = loops->line_bytes;
        loops->length = loops->lines * loops->line_bytes;
        loops->lines = 1;
        loops->out_place = job->out.line;
        loops->run_bytes = loops->runs * 4;
        loops->last_runs = 1;
    }
    loops->step = tap - POSITION;
    loops->run_rest = line - loops->run_bytes / 4 * tap;
    loops->fast = 0;
    if (loops->last_runs == 3 && loops->groups == 1 && loops->run_bytes == 12 && tap == POSITION) {
        loops->fast = UINT32_MAX;
        loops->step = line - 3 * POSITION;
        loops->back = loops->place_bytes - 2 * line - 3 * POSITION;
    }
}

static void load_channel(loops_t *loops, const job_t *job) {
    const wb_scale_t *scale = &job->layer->scale;
    const short_t *channel = (const short_t *)job->channel;
    for (uint32_t i = 0; loops->fast && i < 9; i++) {
        loops->weights[i] = job->weights[i];
    }
    if (scale->wide == WIDE) {
        loops->wide = (const wb_wide_t *)job->channel;
        loops->shift = WIDE_FORM;
        return;
    }
    uint32_t factor = channel->factor_shift >> 5;
    uint32_t shift = channel->factor_shift & 31;
    uint32_t low = (uint32_t)(int32_t)scale->low << shift;
    loops->fine = factor & 0x1fff;
    loops->coarse = factor >> 13;
    loops->shift = shift;
    loops->low = (uint32_t)(int32_t)scale->low;
    loops->range = (uint32_t)(scale->high - scale->low);
    loops->offset = (uint32_t)channel->offset - low;
    if (scale->low < scale->zero_point) {
        uint32_t zero = zero_of(scale, factor, shift);
        loops->shift |= SIGNED;
        loops->offset = (uint32_t)channel->offset - zero;
        loops->positive = zero - low;
        loops->negative = zero - low - step_of(factor);
    }
}
