// Fully connected layer, int8: a dot product for each output, scaled and limited.
// host/wingbeat/reference/dense.py defines the result; SPEC.md, "Dense", has the bytes and shows
// that the packed sums below are exact.
//
// operand 0: input, int8 [n_inputs]
// operand 1: output, int8 [n_outputs]
#include "kernels/kernel.h"
#include "kernels/scale.h"

#define CHANNELS 4u // output channels in a word of weights

// Inputs whose products the packed sums hold: 256 * 255 * 128 is below 2^23.
#define SEGMENT 256u

#define LANE_WORDS 128u // 128 * 2 * 255 is below 2^16

typedef struct {
    uint16_t n_inputs;  // 1 or more
    uint16_t n_outputs; // 1 or more
    wb_scale_t scale;
    // Then the scale's channels, then the weights.
} dense_t;

static const dense_t *dense_of(const wb_call_t *call) {
    return (const dense_t *)(const void *)call->params;
}

static uint32_t n_blocks(const dense_t *dense) {
    return (dense->n_outputs + CHANNELS - 1) / CHANNELS;
}

// Inputs as they are stored: a multiple of 4.
static uint32_t n_stored(const dense_t *dense) {
    return (dense->n_inputs + 3u) & ~3u;
}

static const uint32_t *weights_of(const dense_t *dense) {
    const uint8_t *scale = (const uint8_t *)&dense->scale;
    const void *weights = scale + wb_scale_size(&dense->scale, dense->n_outputs);
    return (const uint32_t *)weights;
}

// The sum of up to LANE_WORDS words of four int8 each: of x + 128, in two lanes of 16 bits.
static int32_t sum_of_words(const uint32_t *words, uint32_t n_words) {
    uint32_t lanes = 0;
    for (const uint32_t *end = words + n_words; words != end; words++) {
        uint32_t word = *words ^ 0x80808080u;
        lanes += (word & 0x00ff00ffu) + ((word >> 8) & 0x00ff00ffu);
    }
    return (int32_t)((lanes & 0xffffu) + (lanes >> 16) - 512u * n_words);
}

// Weights are stored as w + 128: what that adds to each sum, with the other sign.
static int32_t offset_of(const int8_t *x, uint32_t n_inputs) {
    const int8_t *end = x + n_inputs;
    int32_t sum = 0;
    while (x != end) {
        uint32_t n_words = (uint32_t)(end - x) / 4;
        if (((uintptr_t)x & 3) != 0 || n_words == 0) {
            sum += *x++;
        } else {
            n_words = n_words < LANE_WORDS ? n_words : LANE_WORDS;
            sum += sum_of_words((const uint32_t *)(const void *)x, n_words);
            x += 4 * n_words;
        }
    }
    return -128 * sum;
}

#if defined(__ARM_ARCH_6M__)
#include "kernels/dense_armv6m.h"
#else

// Sums of four channels, each within 24 bits, modulo 2^32.
typedef struct {
    uint32_t all; // s0 + 2^8 s1 + 2^16 s2 + 2^24 s3
    uint32_t odd; // s1 + 2^16 s3
    uint32_t top; // s2 + 2^8 s3
} packed_t;

// The machine code of these lines: left alone, gcc moves products of several words past each other
// and runs out of registers.
static inline void multiply(packed_t *sums, uint32_t word, int32_t x) {
#if defined(__arm__)
    uint32_t part;
    __asm__("mla %0, %4, %5, %0\n"
            "and %3, %6, %4, lsr #8\n"
            "mla %1, %3, %5, %1\n"
            "lsrs %3, %4, #16\n"
            "mla %2, %3, %5, %2\n"
            : "+r"(sums->all), "+r"(sums->odd), "+r"(sums->top), "=&r"(part)
            : "r"(word), "r"(x), "r"(0x00ff00ffu)
            : "cc");
#elif defined(__riscv) && __riscv_xlen == 32
    uint32_t part;
    __asm__("mul %3, %4, %5\n"
            "add %0, %0, %3\n"
            "srli %3, %4, 8\n"
            "and %3, %3, %6\n"
            "mul %3, %3, %5\n"
            "add %1, %1, %3\n"
            "srli %3, %4, 16\n"
            "mul %3, %3, %5\n"
            "add %2, %2, %3\n"
            : "+r"(sums->all), "+r"(sums->odd), "+r"(sums->top), "=&r"(part)
            : "r"(word), "r"(x), "r"(0x00ff00ffu));
#elif defined(__XTENSA__)
    uint32_t part;
    __asm__("mull %3, %4, %5\n"
            "add %0, %0, %3\n"
            "srli %3, %4, 8\n"
            "and %3, %3, %6\n"
            "mull %3, %3, %5\n"
            "add %1, %1, %3\n"
            "extui %3, %4, 16, 16\n"
            "mull %3, %3, %5\n"
            "add %2, %2, %3\n"
            : "+r"(sums->all), "+r"(sums->odd), "+r"(sums->top), "=&r"(part)
            : "r"(word), "r"(x), "r"(0x00ff00ffu));
#else
    uint32_t value = (uint32_t)x;
    sums->all += word * value;
    sums->odd += ((word >> 8) & 0x00ff00ffu) * value;
    sums->top += (word >> 16) * value;
#endif
}

static uint32_t signed_byte(uint32_t value) {
    return (uint32_t)(int32_t)(int8_t)(value & 0xffu);
}

// Adds the four sums; their low 16 and high 8 bits are found apart.
__attribute__((noinline)) static void add_unpacked(packed_t packed, int32_t sums[CHANNELS]) {
    uint32_t even = packed.all - (packed.odd << 8); // s0 + 2^16 s2
    uint32_t high0 = signed_byte((even >> 16) - packed.top);
    uint32_t low2 = ((even >> 16) - high0) & 0xffffu;
    uint32_t rest = (packed.top - low2) >> 8; // s3 + 2^8 high2
    uint32_t high1 = signed_byte((packed.odd >> 16) - rest);
    uint32_t low3 = ((packed.odd >> 16) - high1) & 0xffffu;
    uint32_t highs = (rest - low3) >> 8; // high2 + 2^8 high3
    uint32_t high2 = signed_byte(highs);
    uint32_t high3 = signed_byte((highs - high2) >> 8);
    sums[0] += (int32_t)((high0 << 16) + (even & 0xffffu));
    sums[1] += (int32_t)((high1 << 16) + (packed.odd & 0xffffu));
    sums[2] += (int32_t)((high2 << 16) + low2);
    sums[3] += (int32_t)((high3 << 16) + low3);
}

// Two blocks side by side; two inputs at a time.
static void sum_pair(
    const uint32_t *weights, const int8_t *x, uint32_t n_inputs, int32_t sums[2 * CHANNELS]) {
    packed_t first = {0, 0, 0}, second = {0, 0, 0};
    const int8_t *end = x + n_inputs;
    if (n_inputs & 1) {
        multiply(&first, *weights++, *x);
        multiply(&second, *weights++, *x++);
    }
    for (; x != end; x += 2, weights += 4) {
        multiply(&first, weights[0], x[0]);
        multiply(&second, weights[1], x[0]);
        multiply(&first, weights[2], x[1]);
        multiply(&second, weights[3], x[1]);
    }
    add_unpacked(first, sums);
    add_unpacked(second, sums + CHANNELS);
}

static void sum_alone(
    const uint32_t *weights, const int8_t *x, uint32_t n_inputs, int32_t sums[CHANNELS]) {
    packed_t packed = {0, 0, 0};
    for (const int8_t *end = x + n_inputs; x != end; x++) {
        multiply(&packed, *weights++, *x);
    }
    add_unpacked(packed, sums);
}

// The sums of `blocks` blocks, one or two, from all inputs.
static void sum_blocks(
    const dense_t *dense, const uint32_t *weights, uint32_t blocks, const int8_t *x,
    int32_t sums[2 * CHANNELS]) {
    for (uint32_t left = dense->n_inputs; left != 0;) {
        uint32_t n = left < SEGMENT ? left : SEGMENT;
        if (blocks == 1) {
            sum_alone(weights, x, n, sums);
        } else {
            sum_pair(weights, x, n, sums);
        }
        weights += blocks * n;
        x += n;
        left -= n;
    }
}

static void scale_outputs(
    const dense_t *dense, uint32_t first, uint32_t end, const int32_t *sums, uint8_t *out) {
    const wb_scale_t *scale = &dense->scale;
    const void *channels = scale + 1;
    for (uint32_t i = first; i < end; i++, sums++) {
        int32_t value =
            scale->wide ? wb_scaled_wide(*sums, (const wb_wide_t *)channels + i, scale)
                        : wb_scaled_narrow(*sums, (const wb_narrow_t *)channels + i, scale);
        out[i] = (uint8_t)value;
    }
}

static void run_layer(const dense_t *dense, const int8_t *x, int32_t offset, uint8_t *out) {
    const uint32_t *weights = weights_of(dense);
    uint32_t n_outputs = dense->n_outputs;
    for (uint32_t first = 0; first < n_outputs; first += 2 * CHANNELS) {
        int32_t sums[2 * CHANNELS];
        uint32_t left = n_outputs - first;
        for (uint32_t i = 0; i < 2 * CHANNELS; i++) {
            sums[i] = offset;
        }
        uint32_t blocks = left > CHANNELS ? 2 : 1;
        uint32_t end = left > 2 * CHANNELS ? first + 2 * CHANNELS : n_outputs;
        sum_blocks(dense, weights, blocks, x, sums);
        scale_outputs(dense, first, end, sums, out);
        weights += blocks * n_stored(dense);
    }
}

#endif

static void run(const wb_call_t *call) {
    const dense_t *dense = dense_of(call);
    const int8_t *x = (const int8_t *)call->operand[0].data;
    run_layer(dense, x, offset_of(x, dense->n_inputs), call->operand[1].data);
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const dense_t *dense = dense_of(call);
    const wb_operand_t *x = &call->operand[0];
    const wb_operand_t *out = &call->operand[1];
    if (call->params_size < sizeof(dense_t) || dense->n_inputs == 0 || dense->n_outputs == 0) {
        return WB_BAD_PARAMS;
    }
    uint32_t scale_size = wb_scale_size(&dense->scale, dense->n_outputs);
    // At most 2^30 words of weights.
    uint32_t words = 1 + scale_size / 4 + n_blocks(dense) * n_stored(dense);
    if (scale_size == 0 || call->params_size / 4 != words ||
        !wb_scale_is_sound(&dense->scale, dense->n_outputs)) {
        return WB_BAD_PARAMS;
    }
    if (call->n_inputs != 1 || call->n_operands != 2 || x->typecode != 'b' ||
        x->size != dense->n_inputs || out->typecode != 'b' || out->size != dense->n_outputs) {
        return WB_BAD_OPERANDS;
    }
    return WB_OK;
}

WB_KERNEL int32_t wb_kernel(const wb_call_t *call) {
    if (call->phase == WB_CHECK) {
        return check(call);
    }
    run(call);
    return WB_OK;
}
