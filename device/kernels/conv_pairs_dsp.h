// The loops of conv_pairs.c for Cortex-M4 and M33; the C there defines the result.

// Packs n inputs of each pixel by words; n is a multiple of 4, 4 or more, and the addresses are
// aligned.
__attribute__((naked, noinline)) static uint32_t *pack_words(
    uint32_t *to __attribute__((unused)), const int8_t *const x[PIXELS] __attribute__((unused)),
    uint32_t n __attribute__((unused))) {
    __asm__(
        "push {r4-r11, lr}\n"
        "mov r12, r2\n"
        "ldm r1, {r1, r2, r3, lr}\n"
        "1:\n"
        "ldr r4, [r1], #4\n"
        "ldr r5, [r2], #4\n"
        "ldr r6, [r3], #4\n"
        "ldr r7, [lr], #4\n"
        "sxtb16 r8, r4\n"
        "sxtb16 r9, r5\n"
        "sxtb16 r10, r6\n"
        "sxtb16 r11, r7\n"
        "stm r0!, {r8-r11}\n"
        "sxtb16 r4, r4, ror #8\n"
        "sxtb16 r5, r5, ror #8\n"
        "sxtb16 r6, r6, ror #8\n"
        "sxtb16 r7, r7, ror #8\n"
        "stm r0!, {r4-r7}\n"
        "subs r12, #4\n"
        "bne 1b\n"
        "pop {r4-r11, pc}\n");
}

static inline uint32_t *pack(uint32_t *to, const int8_t *const x[PIXELS], uint32_t n) {
    return ((uintptr_t)x[0] & 3u) == 0 ? pack_words(to, x, n) : pack_bytes(to, x, n);
}

#define PAIRS 16      // of inputs, in a turn of the loop
#define PAIR_BYTES 44 // of code

// n: pixels of which none is there twice. skipped: bytes of code, or less than 0 for one pixel.
static inline void start_block(block_t *block, const layer_t *layer, uint32_t n) {
    uint32_t skipped = (0u - inputs_of(layer) / 2) % PAIRS * PAIR_BYTES;
    block->skipped = n == 1 ? -1 : (int32_t)skipped;
    int32_t is_whole = layer->low == INT8_MIN && layer->high == INT8_MAX;
    block->steps = !is_whole ? NO_STEPS : layer->away ? AWAY_STEPS : PLAIN_STEPS;
}

// Two inputs of two channels of four pixels: 11 instructions for 16 products.
#define PAIR \
    "ldm.w r1!, {r2, r3}\n" \
    "ldm.w r0!, {r12, lr}\n" \
    "smlad r4, r2, r12, r4\n" \
    "smlad r5, r2, lr, r5\n" \
    "smlad r8, r3, r12, r8\n" \
    "smlad r9, r3, lr, r9\n" \
    "ldm.w r0!, {r12, lr}\n" \
    "smlad r6, r2, r12, r6\n" \
    "smlad r7, r2, lr, r7\n" \
    "smlad r10, r3, r12, r10\n" \
    "smlad r11, r3, lr, r11\n"

// The same of one pixel.
#define SINGLE_PAIR \
    "ldm r1!, {r2, r3}\n" \
    "ldr r12, [r0], #16\n" \
    "smlad r4, r2, r12, r4\n" \
    "smlad r8, r3, r12, r8\n"

// The last step of four sums of a channel, not away.
#define LAST_STEP(a, b, c, d) \
    "ldm r1!, {r2, r3, r12}\n" \
    "smmlar " a ", " a ", r2, r3\n" \
    "smmlar " b ", " b ", r2, r3\n" \
    "smmlar " c ", " c ", r2, r3\n" \
    "smmlar " d ", " d ", r2, r3\n" \
    "asr " a ", " a ", r12\n" \
    "asr " b ", " b ", r12\n" \
    "asr " c ", " c ", r12\n" \
    "asr " d ", " d ", r12\n" \
    "ssat " a ", #8, " a "\n" \
    "ssat " b ", #8, " b "\n" \
    "ssat " c ", #8, " c "\n" \
    "ssat " d ", #8, " d "\n"

// The same, away.
#define AWAY_STEP(a, b, c, d) \
    "ldm r1!, {r2, r3, r12}\n" \
    "smmulr " a ", " a ", r2\n" \
    "smmulr " b ", " b ", r2\n" \
    "smmulr " c ", " c ", r2\n" \
    "smmulr " d ", " d ", r2\n" \
    "add " a ", " a ", " a ", asr #31\n" \
    "add " b ", " b ", " b ", asr #31\n" \
    "add " c ", " c ", " c ", asr #31\n" \
    "add " d ", " d ", " d ", asr #31\n" \
    "add " a ", r3\n" \
    "add " b ", r3\n" \
    "add " c ", r3\n" \
    "add " d ", r3\n" \
    "asr " a ", " a ", r12\n" \
    "asr " b ", " b ", r12\n" \
    "asr " c ", " c ", r12\n" \
    "asr " d ", " d ", r12\n" \
    "ssat " a ", #8, " a "\n" \
    "ssat " b ", #8, " b "\n" \
    "ssat " c ", #8, " c "\n" \
    "ssat " d ", #8, " d "\n"

// The sums of a record; or, with last steps, the outputs of all of them.
//
// r0: words, r1: the records, r4 to r7: sums of the first channel, r8 to r11: of the second.
// On the stack: out[PIXELS], words, words_end, where the loop is entered the first time (behind
// what is not there, or that of one pixel), the end of the records, where it goes on behind the
// loop; the block.
__attribute__((naked, noinline)) static void add_products(block_t *block __attribute__((unused))) {
    __asm__(
        "push {r0, r4-r11, lr}\n"
        "sub sp, #36\n"
        "ldr r1, [r0, #36]\n"
        "ldm r0, {r4-r12}\n"
        "adr.w r2, 2f + 1\n" // 1: Thumb
        "adr.w r3, 5f + 1\n"
        "cmp r10, #0\n"
        "add r10, r2\n"
        "it lt\n"
        "movlt r10, r3\n"
        "adr.w r2, 3f + 1\n"
        "adr.w r3, 6f + 1\n"
        "cmp r12, #1\n" // PLAIN_STEPS
        "adr.w r12, 4f + 1\n"
        "it eq\n"
        "moveq r12, r2\n"
        "it hi\n"
        "movhi r12, r3\n"
        "stm sp, {r4-r12}\n"
        "1:\n"
        "ldm r1!, {r4, r8}\n"
        "ldr r0, [sp, #16]\n"
        "mov r5, r4\n"
        "mov r6, r4\n"
        "mov r7, r4\n"
        "mov r9, r8\n"
        "mov r10, r8\n"
        "mov r11, r8\n"
        "ldr pc, [sp, #24]\n"
        ".p2align 2\n"
        "5:\n"
        SINGLE_PAIR SINGLE_PAIR
        "ldr r2, [sp, #20]\n"
        "cmp r0, r2\n"
        "bne 5b\n"
        "mov r5, r4\n"
        "mov r6, r4\n"
        "mov r7, r4\n"
        "mov r9, r8\n"
        "mov r10, r8\n"
        "mov r11, r8\n"
        "ldr pc, [sp, #32]\n"
        ".p2align 2\n"
        "2:\n"
        PAIR PAIR PAIR PAIR PAIR PAIR PAIR PAIR
        PAIR PAIR PAIR PAIR PAIR PAIR PAIR PAIR
        "ldr r2, [sp, #20]\n"
        "cmp r0, r2\n"
        "bne 2b\n"
        "ldr pc, [sp, #32]\n"
        ".p2align 2\n"
        "6:\n"
        AWAY_STEP("r4", "r5", "r6", "r7")
        AWAY_STEP("r8", "r9", "r10", "r11")
        "b 7f\n"
        ".p2align 2\n"
        "3:\n"
        LAST_STEP("r4", "r5", "r6", "r7")
        LAST_STEP("r8", "r9", "r10", "r11")
        "7:\n"
        "ldm sp, {r0, r2, r3, r12}\n"
        "strb r4, [r0], #1\n"
        "strb r8, [r0], #1\n"
        "strb r5, [r2], #1\n"
        "strb r9, [r2], #1\n"
        "strb r6, [r3], #1\n"
        "strb r10, [r3], #1\n"
        "strb r7, [r12], #1\n"
        "strb r11, [r12], #1\n"
        "stm sp, {r0, r2, r3, r12}\n"
        "ldr r2, [sp, #28]\n"
        "cmp r1, r2\n"
        "bne 1b\n"
        ".p2align 2\n"
        "4:\n"
        "ldr r0, [sp, #36]\n"
        "add r0, #36\n"
        "stm r0!, {r1, r4-r11}\n"
        "add sp, #40\n"
        "pop {r4-r11, pc}\n");
}

static inline int32_t rounded_high_product(int32_t a, int32_t b) {
    int32_t product;
    __asm__("smmulr %0, %1, %2" : "=r"(product) : "r"(a), "r"(b));
    return product;
}
