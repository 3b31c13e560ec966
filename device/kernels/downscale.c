// Means over blocks of a part of a picture; channels, grey, or RGB565.
// host/wingbeat/reference/downscale.py defines the result; the two agree bit for bit.
//
// operand 0: input, uint8 [rows][columns][channels] or uint16 [rows][columns]
// operand 1: output, uint8 [out_rows][out_columns][out_channels]
// operand 2: scratch, uint16 [out_columns * column_factor * channels]; not of RGB565, nor of a crop
#include "kernels/copy.h"
#include "kernels/operands.h"

#define MAX_SIDE 2047u // so that a picture of 4 channels has less than 2^24 bytes
#define MAX_CHANNELS 4u
#define MAX_FACTOR 32u // so that the sums of a column fit 16 bits
#define RGB 3u
#define GREY 0x80u // with 1 channel; else the number of channels
#define SHIFT 10u  // of the weights of channels

enum { BYTES = 0, RGB565 = 1, RGB565_SWAPPED = 2 };

typedef struct {
    uint16_t rows, columns; // 1 to MAX_SIDE
    uint16_t top, left;
    uint16_t out_rows, out_columns;    // 1 or more; with the factors within the picture
    uint8_t row_factor, column_factor; // 1 to MAX_FACTOR
    uint8_t pixels;
    uint8_t channels; // 1 to MAX_CHANNELS; RGB for RGB565
    uint8_t first;    // channel
    uint8_t out;      // number of channels, or GREY | 1
    uint8_t reserved[2];
} downscale_t;

typedef struct {
    uint32_t rows, columns; // pixels of a block
    uint32_t stride;        // bytes from row to row of the picture
    uint32_t rotation;      // of RGB565, by which a word's pixels come in order
    uint32_t factor;        // 2^24 / pixels
    uint32_t half;          // of the pixels
    uint32_t is_grey;
} block_t;

static const downscale_t *params_of(const wb_call_t *call) {
    return (const downscale_t *)(const void *)call->params;
}

static uint32_t is_crop(const downscale_t *params) {
    return params->pixels == BYTES && params->row_factor == 1 && params->column_factor == 1 &&
           params->out == params->channels;
}

// Columns that are used.
static uint32_t width_of(const downscale_t *params) {
    return (uint32_t)params->out_columns * params->column_factor;
}

// floor(2^24 / n) + 1 for n from 1 to 1024.
static WB_APART uint32_t reciprocal(uint32_t n) {
    uint32_t quotient = 0;
    uint32_t rest = 1;
    for (uint32_t left = 25; left != 0; left--) {
        quotient <<= 1;
        if (rest >= n) {
            rest -= n;
            quotient++;
        }
        rest <<= 1;
    }
    return quotient + 1;
}

static WB_INLINE uint8_t mean_of(uint32_t sum, const block_t *block) {
    return (uint8_t)((sum + block->half) * block->factor >> 24);
}

// ---- RGB565: two pixels at a time

// Two pixels, r1 g1 b1 r0 g0 b0 from the highest bit down, are added up in two words of three
// fields: `even` has g1 r0 b0, `all` everything without b0. The fields hold 32 words.
#define RED_WEIGHT 2518u
#define GREEN_WEIGHT 2433u
#define BLUE_WEIGHT 960u
#define FIELDS 0x07e0f81fu
#define WORDS_AT_ONCE 32u

#if defined(__ARM_ARCH_6M__)
#include "kernels/downscale_armv6m.h"
#define GREY_APART 1 // line_565 is for colours only
#else
#define GREY_APART 0
static WB_INLINE void add_565(uint32_t word, uint32_t rotation, uint32_t *even, uint32_t *all) {
    // Upper bytes first: each half gets the low byte of the other pixel, which changes no sum.
    word = (word >> rotation) | (word << (-rotation & 31u));
    *all += word >> 5;
    *even += word & FIELDS;
}

// Adds up rows of a block; returns where the next row starts.
static WB_INLINE const uint8_t *add_rows_565(
    const uint8_t *x, uint32_t rows, const block_t *block, uint32_t *even, uint32_t *all) {
    for (; rows != 0; rows--, x += block->stride) {
        const uint16_t *at = (const uint16_t *)(const void *)x;
        const uint16_t *end = at + block->columns;
        if (((uintptr_t)at & 2u) != 0) {
            add_565(*at++, block->rotation, even, all);
        }
        for (; end - at >= 2; at += 2) {
            add_565(*(const uint32_t *)(const void *)at, block->rotation, even, all);
        }
        if (at != end) {
            add_565(*at, block->rotation, even, all);
        }
    }
    return x;
}
#endif

// Means of the sums of a channel, in steps of 1 / weight.
static WB_INLINE uint8_t weighted(uint32_t sum, const block_t *block) {
    return mean_of((sum + (1u << (SHIFT - 1))) >> SHIFT, block);
}

// The blocks of one row of the output.
static WB_APART void line_565(
    const block_t *block, uint32_t at_once, const uint8_t *x, uint8_t *out, const uint8_t *end) {
    while (out != end) {
        uint32_t red = 0, green = 0, blue = 0;
        const uint8_t *at = x;
        for (uint32_t left = block->rows; left != 0;) {
            uint32_t even = 0, all = 0;
            uint32_t rows = left < at_once ? left : at_once;
            left -= rows;
            at = add_rows_565(at, rows, block, &even, &all);
            uint32_t odd = all - ((even >> 11) << 6); // r1 b1 g0, 5 bits further down
            red += ((even >> 11) & 1023u) + (odd >> 22);
            green += (even >> 21) + (odd & 2047u);
            blue += (even & 2047u) + ((odd >> 11) & 2047u);
        }
        x += 2u * block->columns;
        if (!GREY_APART && block->is_grey) {
            *out++ = weighted(RED_WEIGHT * red + GREEN_WEIGHT * green + BLUE_WEIGHT * blue, block);
        } else {
            *out++ = weighted(8423u * red, block);
            *out++ = weighted(4145u * green, block);
            *out++ = weighted(8423u * blue, block);
        }
    }
}

// Rows of a block whose sums fit the fields.
static uint32_t rows_at_once(const block_t *block) {
    uint32_t words = (block->columns >> 1) + 1u;
    uint32_t rows = 0;
    for (uint32_t used = words; used <= WORDS_AT_ONCE; used += words) {
        rows++;
    }
    return rows;
}

static void any_line_565(
    const block_t *block, const uint8_t *x, uint8_t *out, const uint8_t *end) {
    uint32_t at_once = rows_at_once(block);
#if GREY_APART
    if (block->is_grey) {
        uint32_t bytes = 2u * block->columns;
        line_t line = {x, out, end, block->rows, at_once, bytes - 2u, block->stride,
            block->stride - bytes, bytes - block->stride * block->rows, block->rotation, FIELDS,
            RED_WEIGHT, GREEN_WEIGHT, BLUE_WEIGHT, (block->half << SHIFT) + (1u << (SHIFT - 1)),
            block->factor, 0};
        line_grey(&line);
        return;
    }
#endif
    line_565(block, at_once, x, out, end);
}

// ---- Bytes: first the sums of columns, four at a time, then those of blocks

#define BYTE_FIELDS 0x00ff00ffu

// Sums of `n` columns of bytes; those that do not share a word with three others in each row are
// added up one by one.
static WB_APART void add_columns(
    const uint8_t *x, uint32_t n, const block_t *block, uint16_t *sums) {
    uint32_t stride = block->stride;
    const uint8_t *end = x + n;
    while (x != end) {
        if ((((uintptr_t)x | stride) & 3u) == 0 && end - x >= 4) {
            uint32_t even = 0, all = 0;
            const uint8_t *at = x;
            for (uint32_t rows = block->rows; rows != 0; rows--, at += stride) {
                uint32_t word = *(const uint32_t *)(const void *)at;
                all += word >> 8;
                even += word & BYTE_FIELDS;
            }
            uint32_t odd = all - ((even >> 16) << 8);
            sums[0] = (uint16_t)even;
            sums[1] = (uint16_t)odd;
            sums[2] = (uint16_t)(even >> 16);
            sums[3] = (uint16_t)(odd >> 16);
            sums += 4;
            x += 4;
        } else {
            uint32_t sum = 0;
            const uint8_t *at = x++;
            for (uint32_t rows = block->rows; rows != 0; rows--, at += stride) {
                sum += *at;
            }
            *sums++ = (uint16_t)sum;
        }
    }
}

// The blocks of one row of one channel of the output, every `step` bytes.
static WB_APART void line_of_channel(const uint16_t *sums, uint32_t channels, const block_t *block,
    uint8_t *out, uint32_t step, const uint8_t *end) {
    uint32_t wide = block->columns;
    uint32_t half = block->half;
    uint32_t factor = block->factor;
    for (; out < end; out += step) {
        uint32_t sum = half;
        for (uint32_t left = wide; left != 0; left--) {
            sum += *sums;
            sums += channels;
        }
        *out = (uint8_t)(sum * factor >> 24);
    }
}

// The same of all three channels as grey.
static WB_APART void line_of_grey(
    const uint16_t *sums, const block_t *block, uint8_t *out, const uint8_t *end) {
    for (; out != end; out++) {
        uint32_t red = 0, green = 0, blue = 0;
        for (uint32_t left = block->columns; left != 0; left--) {
            red += *sums++;
            green += *sums++;
            blue += *sums++;
        }
        uint32_t grey = 306u * red + 601u * green + 117u * blue + (1u << (SHIFT - 1));
        *out = mean_of(grey >> SHIFT, block);
    }
}

static void run(const wb_call_t *call) {
    const downscale_t *params = params_of(call);
    uint32_t pixel = params->pixels == BYTES ? params->channels : 2u;
    uint32_t n = (uint32_t)params->row_factor * params->column_factor;
    block_t block = {params->row_factor, params->column_factor, params->columns * pixel,
        params->pixels == RGB565_SWAPPED ? 24u : 0u, reciprocal(n), n >> 1,
        params->out & GREY};
    const uint8_t *x = call->operand[0].data + params->top * block.stride + params->left * pixel;
    uint8_t *out = call->operand[1].data;
    uint32_t width = width_of(params) * pixel;
    uint32_t out_channels = params->out & ~GREY;
    uint32_t out_width = params->out_columns * out_channels;
    for (uint32_t rows = params->out_rows; rows != 0; rows--, x += block.stride * block.rows) {
        if (params->pixels != BYTES) {
            any_line_565(&block, x, out, out + out_width);
        } else if (is_crop(params)) {
            wb_copy(out, x, width);
        } else {
            uint16_t *sums = (uint16_t *)(void *)call->operand[2].data;
            add_columns(x, width, &block, sums);
            if (block.is_grey) {
                line_of_grey(sums, &block, out, out + out_width);
            } else {
                for (uint32_t i = 0; i != out_channels; i++) {
                    line_of_channel(sums + params->first + i, params->channels, &block, out + i,
                        out_channels, out + out_width);
                }
            }
        }
        out += out_width;
    }
}

static int32_t is_inside(uint32_t side, uint32_t at, uint32_t count, uint32_t factor) {
    return side != 0 && side <= MAX_SIDE && count != 0 && factor != 0 && factor <= MAX_FACTOR &&
           at + count * factor <= side;
}

static int32_t has_channels(const downscale_t *params) {
    uint32_t is_rgb = params->pixels != BYTES;
    if (params->channels == 0 || params->channels > MAX_CHANNELS ||
        (is_rgb && params->channels != RGB)) {
        return 0;
    }
    if (params->out & GREY) {
        return params->out == (GREY | 1u) && params->channels == RGB && params->first == 0;
    }
    return params->out != 0 && params->first + params->out <= params->channels &&
           (!is_rgb || params->out == RGB);
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const downscale_t *params = params_of(call);
    if (call->params_size != sizeof(downscale_t) || params->pixels > RGB565_SWAPPED ||
        !is_inside(params->rows, params->top, params->out_rows, params->row_factor) ||
        !is_inside(params->columns, params->left, params->out_columns, params->column_factor) ||
        !has_channels(params) || params->reserved[0] != 0 || params->reserved[1] != 0) {
        return WB_BAD_PARAMS;
    }
    uint32_t is_bytes = params->pixels == BYTES;
    uint32_t size = (uint32_t)params->rows * params->columns * (is_bytes ? params->channels : 2u);
    uint32_t out_size = (uint32_t)params->out_rows * params->out_columns * (params->out & ~GREY);
    uint32_t has_sums = is_bytes && !is_crop(params);
    if (call->n_inputs != 1 || call->n_operands != 2u + has_sums ||
        !wb_is_operand(&call->operand[0], is_bytes ? 'B' : 'H', size) ||
        !wb_is_operand(&call->operand[1], 'B', out_size) ||
        (has_sums &&
            !wb_is_operand(&call->operand[2], 'H', 2u * width_of(params) * params->channels))) {
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
