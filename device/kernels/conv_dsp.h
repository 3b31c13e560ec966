// Four pixels at a time, two products an instruction, for Cortex-M4 and M33: a part of conv.c.
//
// Patches are packed as int16, two inputs to a word. conv_packed.h has the C that defines the
// result; there are no stretches here, since sums have 32 bits.
#define PIXELS 4

// What multiplies a block of channels with the patches of four pixels. add_products() knows where
// everything up to sums is.
typedef struct {
    uint32_t *words;        // packed inputs [pair][PIXELS]
    const uint32_t *words_end;
    const uint8_t *weights; // this and the next two go on to the next block
    int32_t start[PIXELS];  // of the sums, since weights are WEIGHT_OFFSET too large
    int32_t sums[BLOCK * PIXELS];
    uint32_t n_inputs;      // of a patch
    const uint8_t *channel; // its wb_narrow_t or wb_wide_t
    int8_t *out;            // of the first pixel
    int32_t to[PIXELS];     // from there to the outputs of the pixels
    int32_t zero_point;
    int32_t low;
    int32_t high;
    uint32_t left; // channels of this block and those behind it
    uint32_t wide; // the sums are not scaled
} block_t;

static void start_block(block_t *block, const conv_t *conv, uint32_t *scratch) {
    block->words = scratch;
    block->n_inputs = patch_of(&conv->window);
    block->words_end = scratch + (block->n_inputs + 1) / 2 * PIXELS;
}

static inline uint32_t pair_of(const int8_t *x) {
    return (uint32_t)(uint16_t)x[0] | (uint32_t)x[1] << 16;
}

// Adds to a sum the two halves of a word.
static inline int32_t add_halves(uint32_t word, int32_t sum) {
    __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(word), "r"(0x10001));
    return sum;
}

// Packs n inputs, a multiple of 4, from an aligned address.
static WB_APART int32_t pack_words(uint32_t *to, const int8_t *x, uint32_t n, int32_t sum) {
    const uint32_t *from = (const uint32_t *)(const void *)x;
    for (const uint32_t *end = from + n / 4; from != end; to += 2 * PIXELS) {
        uint32_t even, odd, first, second;
        __asm__("sxtb16 %0, %2\n"
                "sxtb16 %1, %2, ror #8\n"
                : "=&r"(even), "=r"(odd)
                : "r"(*from++));
        __asm__("pkhbt %0, %2, %3, lsl #16\n"
                "pkhtb %1, %3, %2, asr #16\n"
                : "=&r"(first), "=r"(second)
                : "r"(even), "r"(odd));
        sum = add_halves(first, add_halves(second, sum));
        to[0] = first;
        to[PIXELS] = second;
    }
    return sum;
}

// Packs one patch; returns the sum of its inputs.
static WB_APART int32_t pack_patch(
    uint32_t *to, const source_t *source, uint32_t length, uint32_t n_runs) {
    const int8_t *x = source->at;
    int32_t sum = 0;
    uint32_t is_odd = 0;
    for (; n_runs != 0; n_runs--, x += source->step - length) {
        const int8_t *end = x + length;
        if ((((uintptr_t)x | length) & 3u) == 0) {
            sum = pack_words(to, x, length, sum);
            to += length / 2 * PIXELS;
            x = end;
            continue;
        }
        if (is_odd) {
            sum += *x;
            *to = (*to & 0xffffu) | (uint32_t)*x++ << 16;
            to += PIXELS;
            is_odd = 0;
        }
        for (; end - x >= 2; x += 2, to += PIXELS) {
            *to = pair_of(x);
            sum = add_halves(*to, sum);
        }
        if (x != end) {
            sum += *x;
            *to = (uint32_t)(uint16_t)*x++; // no further input may come
            is_odd = 1;
        }
    }
    return sum;
}

static void pack_patches(
    const conv_t *conv, const source_t sources[PIXELS], uint32_t length, block_t *block) {
    for (uint32_t pixel = 0; pixel < PIXELS; pixel++) {
        uint32_t *to = block->words + pixel;
        int32_t sum = pack_patch(to, &sources[pixel], length, conv->window.kernel_height);
        block->start[pixel] = -WEIGHT_OFFSET * sum;
    }
}

// Two inputs of two channels (even or odd ones) of four pixels: 15 instructions for 16 products.
#define PAIR(rotated) \
    "ldrd r2, r3, [r1], #8\n" \
    "uxtb16 r2, r2" rotated "\n" \
    "uxtb16 r3, r3" rotated "\n" \
    "pkhbt r12, r2, r3, lsl #16\n" \
    "pkhtb r3, r3, r2, asr #16\n" \
    "ldrd r2, lr, [r0], #8\n" \
    "smlad r4, r12, r2, r4\n" \
    "smlad r5, r12, lr, r5\n" \
    "smlad r8, r3, r2, r8\n" \
    "smlad r9, r3, lr, r9\n" \
    "ldrd r2, lr, [r0], #8\n" \
    "smlad r6, r12, r2, r6\n" \
    "smlad r7, r12, lr, r7\n" \
    "smlad r10, r3, r2, r10\n" \
    "smlad r11, r3, lr, r11\n"

// All inputs of two channels. The loop takes four pairs: the first time it is entered behind those
// that are not there.
#define CHANNELS(rotated, label, first, second) \
    "ldr r12, [sp]\n" \
    "ldm r12!, {r0, r2}\n" \
    "ldm r12!, {r1}\n" \
    "ldm r12, {r4-r7}\n" \
    "subs r3, r0, r2\n" \
    "ubfx r3, r3, #4, #2\n" \
    "movs r2, #" PAIR_SIZE "\n" \
    "muls r3, r2, r3\n" \
    "adr.w r2, " label "f\n" \
    "add r2, r2, r3\n" \
    "mov r8, r4\n" \
    "mov r9, r5\n" \
    "mov r10, r6\n" \
    "mov r11, r7\n" \
    "mov pc, r2\n" \
    ".p2align 2\n" label ":\n" \
    PAIR(rotated) PAIR(rotated) PAIR(rotated) PAIR(rotated) \
    "ldr r2, [sp, #4]\n" \
    "cmp r0, r2\n" \
    "bne " label "b\n" \
    "ldr r2, [sp]\n" \
    "add r3, r2, #" first "\n" \
    "stm r3, {r4-r7}\n" \
    "add r3, r2, #" second "\n" \
    "stm r3, {r8-r11}\n"

#define PAIR_SIZE "60" // bytes of PAIR

// The sums of a block.
__attribute__((naked, noinline)) static void add_products(block_t *block __attribute__((unused))) {
    __asm__(
        "push {r4-r11, lr}\n"
        "sub sp, #12\n"
        "ldr r1, [r0, #4]\n"
        "strd r0, r1, [sp]\n"
        CHANNELS("", "1", "28", "60")
        CHANNELS(", ror #8", "2", "44", "76")
        "add sp, #12\n"
        "pop {r4-r11, pc}\n");
}

// floor((a * b + 2^31) / 2^32)
static inline int32_t rounded_high_product(int32_t a, int32_t b) {
    int32_t product;
    __asm__("smmulr %0, %1, %2" : "=r"(product) : "r"(a), "r"(b));
    return product;
}

// wb_scaled_narrow() but for the limits: those of int8.
static inline int32_t scaled(int32_t sum, const wb_narrow_t *channel, int32_t zero_point) {
    uint32_t bias = (uint32_t)(channel->bias_shift >> 8) * 2;
    int32_t value = rounded_high_product((int32_t)(bias + (uint32_t)sum * 2), channel->mantissa);
    value = ((value + (value >> 31)) >> (channel->bias_shift & 0xff)) + zero_point;
    __asm__("ssat %0, #8, %0, asr #1" : "+r"(value));
    return value;
}

// zero_point: twice that of the output, and 1.
static WB_APART void store_unlimited(
    const block_t *block, const wb_narrow_t *channel, uint32_t n, int32_t zero_point) {
    const int32_t *sum = block->sums;
    int8_t *out0 = block->out, *out1 = out0 + block->to[1];
    int8_t *out2 = out0 + block->to[2], *out3 = out0 + block->to[3];
    for (const wb_narrow_t *end = channel + n; channel != end; channel++, sum += PIXELS) {
        wb_narrow_t numbers = *channel;
        *out0++ = (int8_t)scaled(sum[0], &numbers, zero_point);
        *out1++ = (int8_t)scaled(sum[1], &numbers, zero_point);
        *out2++ = (int8_t)scaled(sum[2], &numbers, zero_point);
        *out3++ = (int8_t)scaled(sum[3], &numbers, zero_point);
    }
}

static WB_APART void store_limited(
    const block_t *block, const wb_narrow_t *channel, uint32_t n, const wb_scale_t *scale) {
    const int32_t *sum = block->sums;
    int8_t *out = block->out;
    for (const wb_narrow_t *end = channel + n; channel != end; channel++, out++) {
        for (uint32_t pixel = 0; pixel < PIXELS; pixel++) {
            int32_t value = scaled(*sum++, channel, 2 * scale->zero_point + 1);
            out[block->to[pixel]] = (int8_t)wb_limited(value, scale);
        }
    }
}

static void store_narrow(block_t *block, const wb_scale_t *scale) {
    const wb_narrow_t *channel = (const wb_narrow_t *)(const void *)block->channel;
    uint32_t n = take_channels(&block->left);
    if (scale->low == INT8_MIN && scale->high == INT8_MAX) {
        store_unlimited(block, channel, n, 2 * scale->zero_point + 1);
    } else {
        store_limited(block, channel, n, scale);
    }
    block->out += n;
    block->channel = (const uint8_t *)(channel + n);
}

// All blocks, scaled and stored; if the scale is wide, the sums of one.
static void multiply(block_t *block, const wb_scale_t *scale) {
    do {
        add_products(block);
        block->weights += block->n_inputs * BLOCK;
        if (block->wide) {
            return;
        }
        store_narrow(block, scale);
    } while (block->left != 0);
}
