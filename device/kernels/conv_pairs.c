// Convolution of an int8 map with weights of 16 bits, two to a word: twice the size of conv.c's,
// for processors that add two products of 16 bits at once. host/wingbeat/reference/conv_pairs.py
// defines the result; the two agree bit for bit, and SPEC.md has the bytes of the parameters.
//
// operand 0: input, int8 [in_height, in_width, in_channels]
// operand 1: output, int8 [out_height, out_width, out_channels]; may lie over the input where each
//            pixel depends on itself alone and does not grow
// operand 2: scratch, int32: the packed patches, and copies of them
//
// Four output pixels at a time: their patches are packed into scratch as int16, two inputs to a
// word, and each weight that is loaded serves all of them. Of four inputs that follow each other,
// the first and the third share a word, and the other two: so they come out of a word of bytes.
#include "kernels/conv_patch.h"
#include "kernels/kernel.h"
#include "kernels/operands.h"

#define PIXELS 4
#define CHANNELS 2 // of a record

typedef struct {
    conv_t conv;
    uint8_t away; // 1: ties are rounded away from 0
    int8_t low;   // limits of the output
    int8_t high;
    uint8_t reserved; // 0
    // Then records of CHANNELS channels:
    // int32_t bias[CHANNELS]
    // int16_t weights[inputs / 2][CHANNELS][2], the inputs of a patch rounded up to 4
    // last_step_t last_steps[CHANNELS]
} layer_t;

// From a sum to an output.
typedef struct {
    int32_t mantissa;
    int32_t offset;
    int32_t shift; // 0 to 31
} last_step_t;

// What multiplies the patches of four pixels. conv_pairs_dsp.h knows where everything is.
typedef struct {
    int8_t *out[PIXELS]; // the next channel
    const uint32_t *words; // packed inputs [pair][PIXELS]
    const uint32_t *words_end;
    int32_t skipped;    // for conv_pairs_dsp.h
    const uint8_t *end; // of the records
    uint32_t steps;     // last steps that add_products() does, too
    const uint8_t *at;  // the next record, or its last steps
    int32_t sums[CHANNELS * PIXELS];
} block_t;

static const layer_t *layer_of(const wb_call_t *call) {
    return (const layer_t *)(const void *)call->params;
}

// Inputs of a patch as it is packed.
static uint32_t inputs_of(const layer_t *layer) {
    return (patch_of(&layer->conv.window) + 3u) & ~3u;
}

static uint32_t record_size(const layer_t *layer) {
    return CHANNELS * (uint32_t)(sizeof(int32_t) + sizeof(last_step_t)) + 4 * inputs_of(layer);
}

static uint32_t n_records(const layer_t *layer) {
    return layer->conv.window.out_channels / CHANNELS;
}

// Packs n inputs of each pixel, a multiple of 4; returns where the next ones go.
static WB_APART uint32_t *pack_bytes(uint32_t *to, const int8_t *const x[PIXELS], uint32_t n) {
    for (uint32_t i = 0; i != n; i += 4, to += 2 * PIXELS) {
        for (uint32_t pixel = 0; pixel < PIXELS; pixel++) {
            const int8_t *from = x[pixel] + i;
            to[pixel] = (uint32_t)(uint16_t)from[0] | (uint32_t)from[2] << 16;
            to[PIXELS + pixel] = (uint32_t)(uint16_t)from[1] | (uint32_t)from[3] << 16;
        }
    }
    return to;
}

// Which last steps add_products() does.
#define NO_STEPS 0u
#define PLAIN_STEPS 1u // limits of int8, not away
#define AWAY_STEPS 2u  // limits of int8

#if defined(__ARM_FEATURE_DSP)
#include "kernels/conv_pairs_dsp.h"
#else
#define pack pack_bytes

// n: pixels of which none is there twice.
static inline void start_block(block_t *block, const layer_t *layer, uint32_t n) {
    block->steps = NO_STEPS;
    (void)layer;
    (void)n;
}

// The sums of a record.
static WB_APART void add_products(block_t *block) {
    const int32_t *bias = (const int32_t *)(const void *)block->at;
    const int16_t *weight = (const int16_t *)(const void *)(bias + CHANNELS);
    for (uint32_t i = 0; i < CHANNELS * PIXELS; i++) {
        block->sums[i] = bias[i / PIXELS];
    }
    for (const uint32_t *word = block->words; word != block->words_end; word += PIXELS) {
        for (uint32_t i = 0; i < CHANNELS * PIXELS; i++) {
            const int16_t *x = (const int16_t *)(const void *)(word + i % PIXELS);
            const int16_t *w = weight + i / PIXELS * 2;
            uint32_t sum = (uint32_t)block->sums[i] + (uint32_t)(w[0] * x[0]);
            block->sums[i] = (int32_t)(sum + (uint32_t)(w[1] * x[1]));
        }
        weight += CHANNELS * 2;
    }
    block->at = (const uint8_t *)weight;
}

// floor((a * b + 2^31) / 2^32), from halves.
static inline int32_t rounded_high_product(int32_t a, int32_t b) {
    uint32_t a_low = (uint32_t)a & 0xffffu, b_low = (uint32_t)b & 0xffffu;
    int32_t a_high = a >> 16, b_high = b >> 16;
    uint32_t low = a_low * b_low;
    // Neither of the two exceeds 2^31 - 2^16 in size.
    int32_t first = a_high * (int32_t)b_low, second = (int32_t)a_low * b_high;
    uint32_t middle = (low >> 16) + ((uint32_t)first & 0xffffu) + ((uint32_t)second & 0xffffu);
    int32_t high = a_high * b_high + (first >> 16) + (second >> 16) + (int32_t)(middle >> 16);
    return high + (int32_t)((middle >> 15) & 1u);
}
#endif

static inline int8_t stepped(int32_t sum, const last_step_t *step, const layer_t *layer) {
    int32_t value = rounded_high_product(sum, step->mantissa);
    value += layer->away ? value >> 31 : 0;
    value = (int32_t)((uint32_t)value + (uint32_t)step->offset) >> step->shift;
    return (int8_t)(value < layer->low ? layer->low : value > layer->high ? layer->high : value);
}

// The outputs of a record.
static WB_APART void store(block_t *block, const layer_t *layer) {
    const int32_t *sum = block->sums;
    const last_step_t *step = (const last_step_t *)(const void *)block->at;
    for (uint32_t channel = 0; channel < CHANNELS; channel++, step++) {
        for (uint32_t pixel = 0; pixel < PIXELS; pixel++) {
            *block->out[pixel]++ = stepped(*sum++, step, layer);
        }
    }
    block->at = (const uint8_t *)step;
}

// Packs the patches at some corners.
static WB_APART void gather(
    const map_t *map, const corner_t *corner, uint32_t *words, int8_t *copies) {
    const wb_window_t *window = &map->conv->window;
    const int8_t *x[PIXELS];
    uint32_t n_runs = window->kernel_height, length = map->length;
    int32_t are_inside = (window->in_channels & 3) == 0;
    for (uint32_t pixel = 0; pixel < PIXELS; pixel++) {
        int32_t row = corner[pixel].row, column = corner[pixel].column;
        are_inside &= row >= 0 && column >= 0 && row < map->inside_rows &&
            column < map->inside_columns;
    }
    if (!are_inside) {
        n_runs = 1;
        length = map->copy_size;
    }
    for (uint32_t pixel = 0; pixel < PIXELS; pixel++, corner++) {
        if (are_inside) {
            x[pixel] = map->x + (uint32_t)corner->row * map->row_size +
                (uint32_t)corner->column * window->in_channels;
        } else {
            // What fills the last word is 0.
            *(uint32_t *)(void *)(copies + length - 4) = 0;
            copy_patch(map->conv, map->x, corner, copies);
            x[pixel] = copies;
            copies += length;
        }
    }
    for (; n_runs != 0; n_runs--) {
        words = pack(words, x, length);
        for (uint32_t pixel = 0; pixel < PIXELS; pixel++) {
            x[pixel] += map->step;
        }
    }
}

static void run(const wb_call_t *call) {
    const layer_t *layer = layer_of(call);
    const wb_window_t *window = &layer->conv.window;
    uint32_t *words = (uint32_t *)(void *)call->operand[2].data;
    uint32_t *words_end = words + inputs_of(layer) / 2 * PIXELS;
    map_t map;
    block_t block;
    start_map(&map, &layer->conv, &call->operand[0]);
    block.words = words;
    block.words_end = words_end;
    block.end = call->params + call->params_size;
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
            block.out[pixel] = out;
            if (pixel + 1 < n) {
                next_corner(window, &corner, &column);
                out += window->out_channels;
            }
        }
        next_corner(window, &corner, &column);
        out += window->out_channels;
        gather(&map, corners, words, (int8_t *)words_end);
        start_block(&block, layer, n);
        block.at = (const uint8_t *)(layer + 1);
        while (block.at != block.end) {
            add_products(&block);
            if (block.steps == NO_STEPS) {
                store(&block, layer);
            }
        }
    }
}

static WB_COLD uint32_t scratch_size(const layer_t *layer) {
    const wb_window_t *window = &layer->conv.window;
    int32_t copies = wb_window_overhangs(window) || window->dilation_width != 1 ||
        (window->in_channels & 3) != 0;
    return inputs_of(layer) * (copies ? 12 : 8);
}

static WB_COLD int32_t params_are_sound(const wb_call_t *call) {
    const layer_t *layer = layer_of(call);
    const conv_t *conv = &layer->conv;
    // No product exceeds 32 bits: 8192 records of 4 * 65536 + 32 bytes.
    if (call->params_size < sizeof(layer_t) || !wb_window_is_sound(&conv->window) ||
        patch_of(&conv->window) > MAX_PATCH || conv->window.out_channels % CHANNELS != 0 ||
        conv->n_stretches != 0 || layer->away > 1 || layer->low > layer->high ||
        layer->reserved != 0 ||
        call->params_size != sizeof(layer_t) + n_records(layer) * record_size(layer)) {
        return 0;
    }
    const uint8_t *end = (const uint8_t *)(layer + 1);
    for (uint32_t i = n_records(layer); i != 0; i--) {
        end += record_size(layer);
        const last_step_t *step = (const last_step_t *)(const void *)end;
        for (uint32_t channel = 0; channel < CHANNELS; channel++) {
            if ((--step)->shift & ~31) {
                return 0;
            }
        }
    }
    return 1;
}

static WB_COLD int32_t check(const wb_call_t *call) {
    if (!params_are_sound(call)) {
        return WB_BAD_PARAMS;
    }
    const layer_t *layer = layer_of(call);
    const wb_window_t *window = &layer->conv.window;
    uint32_t in_pixels = (uint32_t)window->in_height * window->in_width;
    uint32_t out_pixels = (uint32_t)window->out_height * window->out_width;
    if (call->n_inputs != 1 || call->n_operands != 3 ||
        !wb_is_operand(&call->operand[0], 'b', in_pixels * window->in_channels) ||
        !wb_is_operand(&call->operand[1], 'b', out_pixels * window->out_channels) ||
        !wb_is_operand(&call->operand[2], 'i', scratch_size(layer))) {
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
