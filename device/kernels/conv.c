// Convolution of an int8 map. host/wingbeat/reference/conv.py defines the result; the two agree
// bit for bit, and SPEC.md has the bytes of the parameters.
//
// operand 0: input, int8 [in_height, in_width, in_channels]
// operand 1: output, int8 [out_height, out_width, out_channels]; may lie over the input where each
//            pixel depends on itself alone and does not grow
// operand 2: scratch, int32: the packed patch, and runs at the edges
//
// Three output pixels at a time: their patches are packed into pairs of words, x0 + x1 2^21 and
// x2 + x1 2^11. Two multiplications by a weight then do what three would. The sums of a stretch lie
// within 2^20, so that the three can be told apart in the two accumulators.
#include "kernels/scale.h"
#include "kernels/window.h"

#define PIXELS 3
#define BLOCK 4 // channels
#define WEIGHT_OFFSET 128
#define SHIFT_P 21 // of x1 over x0
#define SHIFT_Q 11 // of x1 over x2
#define MAX_PATCH 65535u

typedef struct {
    wb_window_t window;
    int8_t padding;      // what lies outside of the map
    uint8_t n_stretches; // 1 or more
    // uint16_t stretches[n_stretches], padded to 4; then weights, uint8 [block][input][BLOCK];
    // then the scale
} conv_t;

typedef struct {
    uint32_t p; // x0 + x1 << SHIFT_P
    uint32_t q; // x2 + x1 << SHIFT_Q
} pair_t;

typedef struct {
    const int8_t *at; // first run of a patch
    uint32_t gap;     // from the end of a run to the next one
} source_t;

typedef struct {
    int32_t row; // top left corner of the patch on the map
    int32_t column;
} corner_t;

// What multiplies a block of channels with the patches of three pixels. conv_armv6m.h knows where
// everything is.
typedef struct {
    const pair_t *pairs;
    const pair_t *starts; // of the accumulators, one a stretch
    const uint16_t *stretches;
    uint32_t n_stretches;
    const uint8_t *weights; // this and the next three go on to the next block
    const uint8_t *channel; // its wb_narrow_t or wb_wide_t
    int8_t *out;            // of the first pixel
    int32_t to_second;      // from there to the outputs of the other pixels
    int32_t to_third;
    int32_t zero_point;
    int32_t low;
    int32_t high;
    uint32_t left; // channels of this block and those behind it
    uint32_t wide; // the sums are not scaled
    int32_t sums[BLOCK * PIXELS];
} block_t;

static const conv_t *conv_of(const wb_call_t *call) {
    return (const conv_t *)(const void *)call->params;
}

static const uint16_t *stretches_of(const conv_t *conv) {
    return (const uint16_t *)(const void *)(conv + 1);
}

static const uint8_t *weights_of(const conv_t *conv) {
    return (const uint8_t *)(conv + 1) + ((2u * conv->n_stretches + 3u) & ~3u);
}

static uint32_t patch_of(const wb_window_t *window) {
    return (uint32_t)window->kernel_height * window->kernel_width * window->in_channels;
}

// Channels of the next block, which are taken from those that are left.
static inline uint32_t take_channels(block_t *block) {
    uint32_t n = block->left < BLOCK ? block->left : BLOCK;
    block->left -= n;
    return n;
}

#if defined(__ARM_ARCH_6M__)
#include "kernels/conv_armv6m.h"
#else
// Packs runs of length inputs of three pixels; returns the sum of the pairs.
static void pack(
    pair_t *pair, const source_t sources[PIXELS], uint32_t length, uint32_t n_runs, pair_t *sum) {
    const int8_t *x0 = sources[0].at, *x1 = sources[1].at, *x2 = sources[2].at;
    pair_t total = {0, 0};
    for (; n_runs != 0; n_runs--) {
        for (const int8_t *end = x0 + length; x0 != end; pair++) {
            uint32_t middle = (uint32_t)*x1++;
            pair->p = (uint32_t)*x0++ + (middle << SHIFT_P);
            pair->q = (uint32_t)*x2++ + (middle << SHIFT_Q);
            total.p += pair->p;
            total.q += pair->q;
        }
        x0 += sources[0].gap;
        x1 += sources[1].gap;
        x2 += sources[2].gap;
    }
    *sum = total;
}

// Takes three sums from two accumulators.
static inline void add_sums(int32_t sums[PIXELS], uint32_t p, uint32_t q) {
    int32_t s0 = (int32_t)(p << (32 - SHIFT_P)) >> (32 - SHIFT_P);
    uint32_t low = p - (uint32_t)s0; // the low bits of s1, in place
    uint32_t rest = q - (low >> (SHIFT_P - SHIFT_Q));
    int32_t s2 = (int32_t)(rest << 10) >> 10;
    sums[0] += s0;
    sums[1] += ((int32_t)(rest - (uint32_t)s2) >> SHIFT_Q) + (int32_t)(low >> SHIFT_P);
    sums[2] += s2;
}

// Adds to sums [BLOCK][PIXELS] the products of n pairs.
static void add_products(
    int32_t *sums, const pair_t *start, const pair_t *pair, const uint8_t *weights, uint32_t n) {
    uint32_t p0 = start->p, p1 = p0, p2 = p0, p3 = p0;
    uint32_t q0 = start->q, q1 = q0, q2 = q0, q3 = q0;
    for (const pair_t *end = pair + n; pair != end; pair++) {
        uint32_t p = pair->p, q = pair->q;
        p0 += weights[0] * p;
        q0 += weights[0] * q;
        p1 += weights[1] * p;
        q1 += weights[1] * q;
        p2 += weights[2] * p;
        q2 += weights[2] * q;
        p3 += weights[3] * p;
        q3 += weights[3] * q;
        weights += BLOCK;
    }
    add_sums(sums, p0, q0);
    add_sums(sums + PIXELS, p1, q1);
    add_sums(sums + 2 * PIXELS, p2, q2);
    add_sums(sums + 3 * PIXELS, p3, q3);
}

static void store_narrow(block_t *block, const wb_scale_t *scale) {
    const int32_t *sum = block->sums;
    const wb_narrow_t *channel = (const wb_narrow_t *)(const void *)block->channel;
    for (uint32_t i = take_channels(block); i != 0; i--, channel++) {
        block->out[0] = (int8_t)wb_scaled_narrow(*sum++, channel, scale);
        block->out[block->to_second] = (int8_t)wb_scaled_narrow(*sum++, channel, scale);
        block->out[block->to_third] = (int8_t)wb_scaled_narrow(*sum++, channel, scale);
        block->out++;
    }
    block->channel = (const uint8_t *)channel;
}

static void multiply_block(block_t *block) {
    const pair_t *pair = block->pairs;
    for (uint32_t i = 0; i < BLOCK * PIXELS; i++) {
        block->sums[i] = 0;
    }
    for (uint32_t i = 0; i < block->n_stretches; i++) {
        uint32_t n = block->stretches[i];
        add_products(block->sums, &block->starts[i], pair, block->weights, n);
        pair += n;
        block->weights += n * BLOCK;
    }
}

// All blocks, scaled and stored; if the scale is wide, the sums of one.
static void multiply(block_t *block, const wb_scale_t *scale) {
    do {
        multiply_block(block);
        if (block->wide) {
            return;
        }
        store_narrow(block, scale);
    } while (block->left != 0);
}
#endif

static WB_COLD void store_wide(block_t *block, const wb_scale_t *scale) {
    const int32_t *sum = block->sums;
    const wb_wide_t *channel = (const wb_wide_t *)(const void *)block->channel;
    for (uint32_t i = take_channels(block); i != 0; i--, channel++) {
        for (uint32_t pixel = 0; pixel < PIXELS; pixel++) {
            int32_t to = pixel == 0 ? 0 : pixel == 1 ? block->to_second : block->to_third;
            block->out[to] = (int8_t)wb_scaled_wide(*sum++, channel, scale);
        }
        block->out++;
    }
    block->channel = (const uint8_t *)channel;
}

// What accumulators start from, so that weights that are WEIGHT_OFFSET too large do no harm.
static pair_t start_of(pair_t sum) {
    pair_t start = {0u - sum.p * WEIGHT_OFFSET, 0u - sum.q * WEIGHT_OFFSET};
    return start;
}

static void sum_stretches(const conv_t *conv, const pair_t *pair, pair_t *start) {
    const uint16_t *stretch = stretches_of(conv);
    for (uint32_t i = conv->n_stretches; i != 0; i--) {
        pair_t sum = {0, 0};
        for (uint32_t n = *stretch++; n != 0; n--, pair++) {
            sum.p += pair->p;
            sum.q += pair->q;
        }
        *start++ = start_of(sum);
    }
}

// Taps in front of the map, on it and behind it.
typedef struct {
    int32_t front;
    int32_t on;
    int32_t behind;
} span_t;

static span_t span_of(int32_t first, int32_t size, int32_t taps) {
    int32_t start = first < 0 ? -first : 0;
    int32_t end = size - first;
    start = start < taps ? start : taps;
    end = end < taps ? end : taps;
    end = end > start ? end : start;
    span_t span = {start, end - start, taps - end};
    return span;
}

static inline int8_t *fill(int8_t *to, int32_t n, int8_t padding) {
    for (int8_t *end = to + n; to != end; to++) {
        *to = padding;
    }
    return to;
}

// Copies runs of span->on bytes, each with padding around it. gap: from the end of a run to the
// next one.
static WB_APART int8_t *copy_runs(
    int8_t *to, const int8_t *from, const span_t *span, int32_t gap, int32_t n, int8_t padding) {
    for (; n != 0; n--, from += gap) {
        to = fill(to, span->front, padding);
        for (const int8_t *end = from + span->on; from != end; from++) {
            *to++ = *from;
        }
        to = fill(to, span->behind, padding);
    }
    return to;
}

// Copies what lies under height x width taps that follow each other.
static WB_APART int8_t *copy_taps(
    const conv_t *conv, const int8_t *x, const corner_t *corner, int32_t height, int32_t width,
    int8_t *to) {
    const wb_window_t *window = &conv->window;
    int32_t channels = window->in_channels;
    int32_t length = width * channels;
    span_t rows = span_of(corner->row, window->in_height, height);
    span_t run = span_of(corner->column, window->in_width, width);
    to = fill(to, rows.front * length, conv->padding);
    if (rows.on != 0) {
        int32_t pixel = (corner->row + rows.front) * window->in_width;
        pixel += run.on == 0 ? 0 : corner->column + run.front;
        run.front *= channels;
        run.on *= channels;
        run.behind *= channels;
        int32_t gap = window->in_width * channels - run.on;
        to = copy_runs(to, x + pixel * channels, &run, gap, rows.on, conv->padding);
    }
    return fill(to, rows.behind * length, conv->padding);
}

static WB_APART void copy_patch(
    const conv_t *conv, const int8_t *x, const corner_t *corner, int8_t *to) {
    const wb_window_t *window = &conv->window;
    if (window->dilation_height == 1 && window->dilation_width == 1) {
        copy_taps(conv, x, corner, window->kernel_height, window->kernel_width, to);
        return;
    }
    corner_t tap = *corner;
    for (uint32_t i = window->kernel_height; i != 0; i--) {
        tap.column = corner->column;
        for (uint32_t j = window->kernel_width; j != 0; j--) {
            to = copy_taps(conv, x, &tap, 1, 1, to);
            tap.column += window->dilation_width;
        }
        tap.row += window->dilation_height;
    }
}

static int32_t is_inside(const wb_window_t *window, const corner_t *corner) {
    int32_t bottom = corner->row + (window->kernel_height - 1) * window->dilation_height;
    int32_t right = corner->column + window->kernel_width;
    return corner->row >= 0 && corner->column >= 0 && bottom < window->in_height &&
        right <= window->in_width && window->dilation_width == 1;
}

// Packs the patches at three corners, and finds what the accumulators start from.
static WB_APART void gather(
    const conv_t *conv, const int8_t *x, const corner_t corners[PIXELS], pair_t *pairs) {
    const wb_window_t *window = &conv->window;
    uint32_t patch = patch_of(window);
    uint32_t length = (uint32_t)window->in_channels * window->kernel_width;
    uint32_t row_size = (uint32_t)window->in_channels * window->in_width;
    pair_t *starts = pairs + patch;
    int8_t *copy = (int8_t *)(starts + conv->n_stretches);
    source_t sources[PIXELS];
    for (uint32_t pixel = 0; pixel < PIXELS; pixel++) {
        const corner_t *corner = &corners[pixel];
        if (is_inside(window, corner)) {
            uint32_t at = (uint32_t)corner->row * window->in_width + (uint32_t)corner->column;
            sources[pixel].at = x + at * window->in_channels;
            sources[pixel].gap = row_size * window->dilation_height - length;
        } else {
            copy_patch(conv, x, corner, copy);
            sources[pixel].at = copy;
            sources[pixel].gap = 0;
            copy += (patch + 3u) & ~3u;
        }
    }
    pair_t sum;
    pack(pairs, sources, length, window->kernel_height, &sum);
    *starts = start_of(sum);
    if (conv->n_stretches > 1) {
        sum_stretches(conv, pairs, starts);
    }
}

static void next_corner(const wb_window_t *window, corner_t *corner, uint32_t *column) {
    corner->column += window->stride_width;
    if (++*column == window->out_width) {
        *column = 0;
        corner->column = -(int32_t)window->left;
        corner->row += window->stride_height;
    }
}

static const wb_scale_t *scale_of(const conv_t *conv) {
    const wb_window_t *window = &conv->window;
    uint32_t blocks = (window->out_channels + BLOCK - 1u) / BLOCK;
    return (const wb_scale_t *)(const void *)(weights_of(conv) +
                                              blocks * BLOCK * patch_of(window));
}

// All channels of three pixels.
static void multiply_pixels(const conv_t *conv, block_t *block, const wb_scale_t *scale) {
    block->weights = weights_of(conv);
    block->channel = (const uint8_t *)(scale + 1);
    block->left = conv->window.out_channels;
    while (block->left != 0) {
        multiply(block, scale);
        if (block->wide) {
            store_wide(block, scale);
        }
    }
}

static void run(const wb_call_t *call) {
    const conv_t *conv = conv_of(call);
    const wb_window_t *window = &conv->window;
    const wb_scale_t *scale = scale_of(conv);
    pair_t *pairs = (pair_t *)(void *)call->operand[2].data;
    block_t block;
    block.pairs = pairs;
    block.starts = pairs + patch_of(window);
    block.stretches = stretches_of(conv);
    block.n_stretches = conv->n_stretches;
    block.zero_point = scale->zero_point;
    block.low = scale->low;
    block.high = scale->high;
    block.wide = scale->wide;
    int8_t *out = (int8_t *)call->operand[1].data;
    corner_t corner = {-(int32_t)window->top, -(int32_t)window->left};
    uint32_t column = 0;
    uint32_t n;
    for (uint32_t left = (uint32_t)window->out_height * window->out_width; left != 0; left -= n) {
        corner_t corners[PIXELS];
        n = left < PIXELS ? left : PIXELS;
        // Past the end, the last pixel is done again.
        for (uint32_t pixel = 0; pixel < PIXELS; pixel++) {
            corners[pixel] = corner;
            if (pixel + 1 < n) {
                next_corner(window, &corner, &column);
            }
        }
        next_corner(window, &corner, &column);
        gather(conv, (const int8_t *)call->operand[0].data, corners, pairs);
        block.out = out;
        block.to_second = n > 1 ? window->out_channels : 0;
        block.to_third = n > 2 ? 2 * window->out_channels : block.to_second;
        multiply_pixels(conv, &block, scale);
        out += n * window->out_channels;
    }
}

static WB_COLD uint32_t scratch_size(const conv_t *conv) {
    const wb_window_t *window = &conv->window;
    uint32_t size = (patch_of(window) + conv->n_stretches) * (uint32_t)sizeof(pair_t);
    if (wb_window_overhangs(window) || window->dilation_width != 1) {
        size += PIXELS * ((patch_of(window) + 3u) & ~3u);
    }
    return size;
}

static WB_COLD int32_t params_are_sound(const wb_call_t *call) {
    const conv_t *conv = conv_of(call);
    if (call->params_size < sizeof(conv_t) || !wb_window_is_sound(&conv->window)) {
        return 0;
    }
    const wb_window_t *window = &conv->window;
    uint32_t patch = patch_of(window);
    uint32_t head = (uint32_t)(weights_of(conv) - call->params);
    uint32_t weights = (window->out_channels + BLOCK - 1u) / BLOCK * BLOCK * patch;
    // The order matters: no sum or product above may exceed 32 bits, nor a read the parameters.
    if (patch > MAX_PATCH || call->params_size < head + weights + sizeof(wb_scale_t)) {
        return 0;
    }
    uint32_t left = patch;
    for (uint32_t i = 0; i < conv->n_stretches; i++) {
        uint32_t length = stretches_of(conv)[i];
        if (length - 1u >= left) {
            return 0;
        }
        left -= length;
    }
    const wb_scale_t *scale = scale_of(conv);
    uint32_t size = wb_scale_size(scale, window->out_channels);
    return left == 0 && size != 0 && call->params_size == head + weights + size &&
        wb_scale_is_sound(scale, window->out_channels);
}

static WB_COLD int32_t check(const wb_call_t *call) {
    if (!params_are_sound(call)) {
        return WB_BAD_PARAMS;
    }
    const conv_t *conv = conv_of(call);
    const wb_window_t *window = &conv->window;
    const wb_operand_t *operand = call->operand;
    uint32_t in_pixels = (uint32_t)window->in_height * window->in_width;
    uint32_t out_pixels = (uint32_t)window->out_height * window->out_width;
    if (call->n_inputs != 1 || call->n_operands != 3 || operand[0].typecode != 'b' ||
        operand[1].typecode != 'b' || operand[2].typecode != 'i' ||
        operand[0].size != in_pixels * window->in_channels ||
        operand[1].size != out_pixels * window->out_channels ||
        operand[2].size != scratch_size(conv)) {
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
