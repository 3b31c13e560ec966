// Convolution of an int8 map. host/wingbeat/reference/conv.py defines the result; the two agree
// bit for bit, and SPEC.md has the bytes of the parameters.
//
// operand 0: input, int8 [in_height, in_width, in_channels]
// operand 1: output, int8 [out_height, out_width, out_channels]; may lie over the input where each
//            pixel depends on itself alone and does not grow
// operand 2: scratch, int32: the packed patch, and runs at the edges
//
// A few output pixels at a time: their patches are packed into scratch, and each weight that is
// loaded serves all of them. How, depends on the processor: conv_packed.h or, where a processor
// adds two products of 16 bits at once, conv_dsp.h.
#include "kernels/conv_patch.h"
#include "kernels/scale.h"

#define BLOCK 4 // channels
#define WEIGHT_OFFSET 128
#define COPIES 4 // of patches, in scratch

typedef struct {
    const int8_t *at; // first run of a patch
    uint32_t step;    // from a run to the next one
} source_t;

static const conv_t *conv_of(const wb_call_t *call) {
    return (const conv_t *)(const void *)call->params;
}

// Behind conv_t: uint16_t [n_stretches], padded to 4; then weights, uint8 [block][input][BLOCK]; then
// the scale.
static const uint16_t *stretches_of(const conv_t *conv) {
    return (const uint16_t *)(const void *)(conv + 1);
}

static const uint8_t *weights_of(const conv_t *conv) {
    return (const uint8_t *)(conv + 1) + ((2u * conv->n_stretches + 3u) & ~3u);
}

// Channels of the next block, which are taken from those that are left.
static inline uint32_t take_channels(uint32_t *left) {
    uint32_t n = *left < BLOCK ? *left : BLOCK;
    *left -= n;
    return n;
}

#if defined(__ARM_FEATURE_DSP)
#include "kernels/conv_dsp.h"
#else
#include "kernels/conv_packed.h"
#endif

static WB_COLD void store_wide(block_t *block, const wb_scale_t *scale) {
    const int32_t *sum = block->sums;
    const wb_wide_t *channel = (const wb_wide_t *)(const void *)block->channel;
    for (uint32_t i = take_channels(&block->left); i != 0; i--, channel++) {
        for (uint32_t pixel = 0; pixel < PIXELS; pixel++) {
            block->out[block->to[pixel]] = (int8_t)wb_scaled_wide(*sum++, channel, scale);
        }
        block->out++;
    }
    block->channel = (const uint8_t *)channel;
}

// Packs the patches at some corners.
static WB_APART void gather(
    const map_t *map, const corner_t *corner, block_t *block, int8_t *copy) {
    source_t sources[PIXELS];
    source_t *end = sources + PIXELS;
    for (source_t *source = sources; source != end; source++, corner++) {
        int32_t row = corner->row, column = corner->column;
        if (row >= 0 && column >= 0 && row < map->inside_rows && column < map->inside_columns) {
            uint32_t at = (uint32_t)column * map->conv->window.in_channels;
            source->at = map->x + (uint32_t)row * map->row_size + at;
            source->step = map->step;
        } else {
            copy_patch(map->conv, map->x, corner, copy);
            source->at = copy;
            source->step = map->length;
            copy += map->copy_size;
        }
    }
    pack_patches(map->conv, sources, map->length, block);
}

static const wb_scale_t *scale_of(const conv_t *conv) {
    const wb_window_t *window = &conv->window;
    uint32_t blocks = (window->out_channels + BLOCK - 1u) / BLOCK;
    return (const wb_scale_t *)(const void *)(weights_of(conv) +
                                              blocks * BLOCK * patch_of(window));
}

// All channels of some pixels.
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
    uint32_t *scratch = (uint32_t *)(void *)call->operand[2].data;
    int8_t *copies = (int8_t *)(scratch + 2 * (patch_of(window) + conv->n_stretches));
    map_t map;
    block_t block;
    start_map(&map, conv, &call->operand[0]);
    start_block(&block, conv, scratch);
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
        int32_t to = 0;
        n = left < PIXELS ? left : PIXELS;
        // Past the end, the last pixel is done again.
        for (uint32_t pixel = 0; pixel < PIXELS; pixel++) {
            corners[pixel] = corner;
            block.to[pixel] = to;
            if (pixel + 1 < n) {
                next_corner(window, &corner, &column);
                to += window->out_channels;
            }
        }
        next_corner(window, &corner, &column);
        gather(&map, corners, &block, copies);
        block.out = out;
        multiply_pixels(conv, &block, scale);
        out += n * window->out_channels;
    }
}

static WB_COLD uint32_t scratch_size(const conv_t *conv) {
    const wb_window_t *window = &conv->window;
    uint32_t size = (patch_of(window) + conv->n_stretches) * 8u;
    if (wb_window_overhangs(window) || window->dilation_width != 1) {
        size += COPIES * ((patch_of(window) + 3u) & ~3u);
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
