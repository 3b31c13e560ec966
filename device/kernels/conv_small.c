// Convolutions of int8 maps in little code: over all channels, or depthwise.
// host/wingbeat/reference/small_conv.py defines the result; SPEC.md, "Small conv", has the bytes.
//
// operand 0: input, int8 [in_height, in_width, in_channels]
// operand 1: output, int8 [out_height, out_width, out_channels]; may lie over the input where each
//            pixel depends on itself alone and does not grow, or if the layer is depthwise and both
//            maps are of one size
// operand 2: scratch, int32: pairs
//
// Three outputs at a time, as in conv_packed.h: an input of each is packed into a pair of words,
// x0 + x1 2^21 and x2 + x1 2^11, so that two products by a weight do what three would. Over all
// channels the three are neighbouring pixels, and the pairs are their patches. Depthwise they are
// from three parts of the map, and the pairs are a channel of them.
#include "kernels/conv_window.h"
#include "kernels/kernel.h"
#include "kernels/operands.h"

#define BLOCK 4u // channels whose weights lie together, and inputs of a turn
#define WEIGHT_OFFSET 128u
#define PARTS 3u
#define MAX_PATCH 65535u
#define MAX_SIZE 0xffffu
#define MAX_POSITIONS 0xfffffu
#define MAX_SHIFT 23u // and 7 more make 30

typedef struct {
    wb_window_t window; // dilations are 1
    int8_t padding;     // what lies outside of the map
    uint8_t depthwise;  // 0: over all channels, 1: each by itself
    int8_t zero_point;  // of the output
    uint8_t shift;      // the smallest of the channels
    // uint16_t channels[out_channels][3]: see store(); then weights:
    //   over all channels: uint8 [block][input, a multiple of 4][BLOCK], weight + 128
    //   depthwise: int8 [channel][tap]
} small_t;

#define CHANNEL_SIZE 6u

typedef struct {
    uint32_t p; // x0 + x1 << 21
    uint32_t q; // x2 + x1 << 11
} pair_t;

typedef struct {
    int32_t row;
    int32_t column;
} corner_t;

// What is packed, for three outputs.
typedef struct {
    const small_t *small;
    const int8_t *x;
    uint32_t step; // bytes from an input to the next of the same output
    corner_t corners[PARTS]; // of their windows
    pair_t sum;              // of all that was packed
} map_t;

#define NOWHERE (-0x40000000) // a row that is on no map

// What `multiply` goes on with. conv_small_armv6m.h knows where everything is.
typedef struct {
    pair_t *pairs;
    const uint8_t *weights;
    const uint16_t *channel;
    int8_t *out;
    uint32_t left;         // times three outputs
    uint32_t out_step;     // bytes
    uint32_t channel_step; // bytes
    uint32_t shift;        // the smallest, plus 1
    int32_t zero_point;
    uint32_t to[PARTS]; // from `out` to each of the three
    pair_t start;        // over all channels: of the accumulators
    pair_t *end;         // of the pairs
    uint32_t taps;       // depthwise: of a channel; 0 over all channels
    uint32_t taps_width; // in a row
    uint32_t row_rest;   // bytes from behind a row of taps to the next
    uint32_t place;      // bytes from the first pair of an output to that of the next
} work_t;

#if defined(__ARM_ARCH_6M__)
#include "kernels/conv_small_armv6m.h"
#else
// Packs n inputs of each of the three, 1 or more, from the tap at a row and a column on, and adds up
// the pairs.
static void pack_at(map_t *map, int32_t row, int32_t column, pair_t *pair, uint32_t n) {
    const small_t *small = map->small;
    const wb_window_t *window = &small->window;
    const int8_t *at[PARTS];
    uint32_t steps[PARTS];
    for (uint32_t i = 0; i < PARTS; i++) {
        uint32_t r = (uint32_t)(map->corners[i].row + row);
        uint32_t c = (uint32_t)(map->corners[i].column + column);
        at[i] = &small->padding;
        steps[i] = 0;
        if (r < window->in_height && c < window->in_width) {
            at[i] = map->x + (r * window->in_width + c) * window->in_channels;
            steps[i] = map->step;
        }
    }
    for (; n != 0; n--, pair++) {
        pair->p = (uint32_t)*at[0] + ((uint32_t)*at[1] << 21);
        pair->q = (uint32_t)*at[2] + ((uint32_t)*at[1] << 11);
        map->sum.p += pair->p;
        map->sum.q += pair->q;
        for (uint32_t i = 0; i < PARTS; i++) {
            at[i] += steps[i];
        }
    }
}

static int8_t limited(int32_t value) {
    return (int8_t)(value < INT8_MIN ? INT8_MIN : value > INT8_MAX ? INT8_MAX : value);
}

// The three outputs of two accumulators, by their channel:
//
//   u16 low half of the bias
//   u32 fraction of the mantissa << 6 | high bits of the bias << 3 | shift over the smallest
//
// The sum and the bias, |a| < 2^20, are multiplied by parts of the mantissa of 9, 11 and 7 bits, so
// that each product has 32 bits. Those of a larger sum wrap.
static void store(work_t *work, uint32_t p, uint32_t q) {
    uint32_t sums[PARTS];
    sums[0] = (uint32_t)((int32_t)(p << 11) >> 11);
    uint32_t low = (p - sums[0]) >> 10; // of the second, in place
    uint32_t rest = q - low;
    sums[2] = (uint32_t)((int32_t)(rest << 10) >> 10);
    sums[1] = (uint32_t)((int32_t)(rest - sums[2]) >> 11) + (low >> 11);
    const uint16_t *channel = work->channel;
    uint32_t word = (uint32_t)channel[1] | (uint32_t)channel[2] << 16;
    uint32_t bias = (uint32_t)((int32_t)(word << 26) >> 29) * 65536u + channel[0];
    for (uint32_t i = 0; i < PARTS; i++) {
        uint32_t a = sums[i] + bias;
        int32_t lowest = (int32_t)(a * (word >> 6 & 0x7fu)) >> 7;
        int32_t middle = (int32_t)(a * (word >> 13 & 0x7ffu) + (uint32_t)lowest) >> 11;
        int32_t product = (int32_t)(a * (0x100u + (word >> 24)) + (uint32_t)middle + 0x100u) >> 9;
        // Rounded: ties away from zero, by taking 1 from negative values.
        int32_t scaled = (product + ((int32_t)a >> 31)) >> (work->shift - 1u + (word & 7u));
        work->out[work->to[i]] = limited((scaled + 2 * work->zero_point + 1) >> 1);
    }
    work->channel = (const uint16_t *)(const void *)((const uint8_t *)channel + work->channel_step);
    work->out += work->out_step;
}

static void multiply_taps(work_t *work) {
    do {
        const uint8_t *at = (const uint8_t *)work->pairs;
        const int8_t *weight = (const int8_t *)work->weights;
        uint32_t p = 0, q = 0;
        for (const int8_t *end = weight + work->taps; weight != end; at += work->row_rest) {
            for (uint32_t i = work->taps_width; i != 0; i--, at += sizeof(pair_t)) {
                const pair_t *pair = (const pair_t *)(const void *)at;
                uint32_t factor = (uint32_t)(int32_t)*weight++;
                p += pair->p * factor;
                q += pair->q * factor;
            }
        }
        store(work, p, q);
        work->pairs += work->place / sizeof(pair_t);
    } while (--work->left != 0);
}

static void multiply_block(work_t *work) {
    for (uint32_t i = 0; i < BLOCK && work->left != 0; i++, work->left--) {
        const uint8_t *weight = work->weights + i;
        uint32_t p = work->start.p, q = work->start.q;
        for (const pair_t *pair = work->pairs; pair != work->end; pair++, weight += BLOCK) {
            p += pair->p * *weight;
            q += pair->q * *weight;
        }
        store(work, p, q);
    }
    work->weights += BLOCK * (uint32_t)(work->end - work->pairs);
}

// Makes `left` times three outputs, 1 or more: of channels, or of places of one channel.
static void multiply(work_t *work) {
    if (work->taps != 0) {
        multiply_taps(work);
        return;
    }
    do {
        multiply_block(work);
    } while (work->left != 0);
}
#endif

static const small_t *small_of(const wb_call_t *call) {
    return (const small_t *)(const void *)call->params;
}

// A multiple of BLOCK.
static uint32_t padded(uint32_t n) {
    return (n + BLOCK - 1u) & ~(BLOCK - 1u);
}

static uint32_t patch_of(const wb_window_t *window) {
    return (uint32_t)window->kernel_height * window->kernel_width * window->in_channels;
}

// Positions that a number of neighbouring outputs look at.
static uint32_t reach(uint32_t outputs, uint32_t stride, uint32_t kernel) {
    return (outputs - 1) * stride + kernel;
}

static uint32_t width_of(const wb_window_t *window) {
    return reach(window->out_width, window->stride_width, window->kernel_width);
}

// Rows of the output in a part; the three overlap if need be.
static uint32_t part_of(const wb_window_t *window) {
    return ((window->out_height + PARTS - 1u) * 43691u) >> 17; // a division by 3, below 2^17
}

static uint32_t height_of(const wb_window_t *window) {
    return reach(part_of(window), window->stride_height, window->kernel_height);
}

// Packs the patches of three pixels.
static void gather(map_t *map, work_t *work) {
    const wb_window_t *window = &map->small->window;
    pair_t *pair = work->pairs;
    map->sum.p = 0;
    map->sum.q = 0;
    for (int32_t i = 0; i < window->kernel_height; i++) {
        for (int32_t k = 0; k < window->kernel_width; k++) {
            pack_at(map, i, k, pair, window->in_channels);
            pair += window->in_channels;
        }
    }
    // Weights are WEIGHT_OFFSET too large.
    work->start.p = 0u - map->sum.p * WEIGHT_OFFSET;
    work->start.q = 0u - map->sum.q * WEIGHT_OFFSET;
}

// Three pixels at a time.
static void run_all_channels(map_t *map, work_t *work) {
    const wb_window_t *window = &map->small->window;
    const uint16_t *channel = work->channel;
    const uint8_t *weights = work->weights;
    int8_t *out = work->out;
    corner_t corner = {-(int32_t)window->top, -(int32_t)window->left};
    uint32_t column = 0;
    int32_t left = window->out_height * window->out_width;
    uint32_t to = 0;
    work->end = work->pairs + padded(patch_of(window));
    for (pair_t *pair = work->end; pair != work->pairs;) {
        (--pair)->p = 0; // stays so behind the patch
        pair->q = 0;
    }
    do {
        work->channel = channel;
        work->weights = weights;
        work->left = window->out_channels;
        work->out = out + to;
        uint32_t start = to;
        for (uint32_t i = 0; i < PARTS; i++) {
            map->corners[i] = corner;
            work->to[i] = to - start;
            // Past the end, the last pixel is done again.
            if (--left > 0) {
                to += window->out_channels;
                corner.column += window->stride_width;
                if (++column == window->out_width) {
                    column = 0;
                    corner.column = -(int32_t)window->left;
                    corner.row += window->stride_height;
                }
            }
        }
        gather(map, work);
        multiply(work);
    } while (left > 0);
}

// Three parts of a channel at a time.
static void run_depthwise(map_t *map, work_t *work) {
    const wb_window_t *window = &map->small->window;
    pair_t *pairs = work->pairs;
    int8_t *out = work->out;
    uint32_t rows = part_of(window);
    uint32_t width = width_of(window), height = height_of(window);
    uint32_t line = (uint32_t)window->out_width * window->out_channels;
    uint32_t third = window->out_height - rows;
    uint32_t second = third < rows ? third : rows;
    uint32_t first[PARTS] = {0, second, third};
    for (uint32_t i = 0; i < PARTS; i++) {
        work->to[i] = first[i] * line;
        map->corners[i].row = (int32_t)(first[i] * window->stride_height) - window->top;
        map->corners[i].column = 0;
    }
    // What is beside the map stays.
    pack_at(map, NOWHERE, 0, pairs, height * width);
    int32_t on = (int32_t)width - window->left;
    on = on < window->in_width ? on : window->in_width;
    work->channel_step = 0;
    work->out_step = window->out_channels;
    work->taps_width = window->kernel_width;
    work->taps = (uint32_t)window->kernel_height * window->kernel_width;
    work->row_rest = (width - window->kernel_width) * sizeof(pair_t);
    work->place = window->stride_width * sizeof(pair_t);
    for (uint32_t channel = window->out_channels; channel != 0; channel--) {
        pair_t *pair = pairs + window->left;
        for (int32_t i = 0; on > 0 && i < (int32_t)height; i++) {
            pack_at(map, i, 0, pair, (uint32_t)on);
            pair += width;
        }
        map->x++;
        work->pairs = pairs;
        work->out = out++;
        for (uint32_t i = rows; i != 0; i--) {
            pair_t *next = work->pairs + window->stride_height * width;
            work->left = window->out_width;
            multiply(work);
            work->pairs = next;
        }
        work->weights += work->taps;
        work->channel += CHANNEL_SIZE / 2;
    }
}

static void run(const wb_call_t *call) {
    const small_t *small = small_of(call);
    map_t map;
    work_t work;
    map.small = small;
    map.x = (const int8_t *)call->operand[0].data;
    map.step = small->depthwise ? small->window.in_channels : 1u;
    work.pairs = (pair_t *)(void *)call->operand[2].data;
    work.channel = (const uint16_t *)(small + 1);
    work.weights = (const uint8_t *)(work.channel + small->window.out_channels * CHANNEL_SIZE / 2);
    work.out = (int8_t *)call->operand[1].data;
    work.shift = small->shift + 1u;
    work.zero_point = small->zero_point;
    if (small->depthwise) {
        run_depthwise(&map, &work);
        return;
    }
    work.taps = 0;
    work.out_step = 1;
    work.channel_step = CHANNEL_SIZE;
    run_all_channels(&map, &work);
}

// ---- Check

WB_COLD static int32_t check(const wb_call_t *call) {
    const small_t *small = small_of(call);
    const wb_window_t *window = &small->window;
    if (call->params_size < sizeof(small_t) || !wb_window_is_sound(window) ||
        window->dilation_height != 1 || window->dilation_width != 1 || small->depthwise > 1 ||
        small->shift > MAX_SHIFT) {
        return WB_BAD_PARAMS;
    }
    uint32_t channels = window->out_channels;
    uint32_t patch = patch_of(window);
    uint32_t words = padded(patch);
    uint32_t weights = padded(channels) * words;
    if (small->depthwise) {
        uint32_t height = height_of(window), width = width_of(window);
        words = height * width;
        patch = (uint32_t)window->kernel_height * window->kernel_width;
        weights = channels * patch;
        if (height > MAX_SIZE || width > MAX_SIZE || words > MAX_POSITIONS ||
            channels != window->in_channels) {
            return WB_BAD_PARAMS;
        }
    }
    uint32_t size = (sizeof(small_t) + channels * CHANNEL_SIZE + weights + 3u) & ~3u;
    if (patch > MAX_PATCH || call->params_size != size) {
        return WB_BAD_PARAMS;
    }
    uint32_t inputs = (uint32_t)window->in_height * window->in_width * window->in_channels;
    uint32_t outputs = (uint32_t)window->out_height * window->out_width * channels;
    if (call->n_inputs != 1 || call->n_operands != 3 ||
        !wb_is_operand(&call->operand[0], 'b', inputs) ||
        !wb_is_operand(&call->operand[1], 'b', outputs) ||
        !wb_is_operand(&call->operand[2], 'i', words * sizeof(pair_t))) {
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
