// The mean or the largest value under a window, int8.
// host/wingbeat/reference/pool.py defines the result; SPEC.md, "Pool", has the bytes.
//
// operand 0: input, int8 [height, width, channels]
// operand 1: output, int8 [out height, out width, channels]
#include "kernels/kernel.h"
#include "kernels/operands.h"
#include "kernels/window.h"

#define FRACTION_BITS 24u // of a reciprocal
#define MAX_COUNT 257u    // values that a 16-bit field sums up; for fewer reciprocals are exact
#define BYTES 4u          // channels that are summed up at once, in a word
#define EVEN 0x00ff00ffu
#define SIGNS 0x80808080u

typedef struct {
    wb_window_t window;
    uint8_t average; // 0: the largest value, 1: the mean
    int8_t low;
    int8_t high;
    uint8_t reserved[3];
} pool_t;

// The part of the map under the window.
typedef struct {
    uint32_t rows;
    uint32_t columns;
    uint32_t row;        // bytes from a row of the map to the next
    uint32_t channels;   // bytes from a pixel to the next
    uint32_t count;      // pixels
    uint32_t reciprocal; // ceil(2^24 / count) if count is at most MAX_COUNT
} area_t;

static const pool_t *pool_of(const wb_call_t *call) {
    return (const pool_t *)(const void *)call->params;
}

// floor(value / divisor), bit by bit; value below 2^25.
static uint32_t quotient(uint32_t value, uint32_t divisor) {
    uint32_t result = 0, rest = 0;
    value <<= 7;
    for (uint32_t i = 0; i < 25; i++) {
        rest = (rest << 1) | (value >> 31);
        value <<= 1;
        result <<= 1;
        if (rest >= divisor) {
            rest -= divisor;
            result++;
        }
    }
    return result;
}

static int32_t limited(int32_t value, const pool_t *pool) {
    return value < pool->low ? pool->low : value > pool->high ? pool->high : value;
}

// To nearest, ties away from zero. For n up to 257 the product is below 2^32, and the reciprocal,
// which is too large by less than n / 2^24, gives the quotient of every value up to 128.5 n.
static int32_t mean_of(int32_t sum, const area_t *area) {
    uint32_t value = (uint32_t)(sum < 0 ? -sum : sum) + area->count / 2;
    uint32_t result = area->count <= MAX_COUNT ? (value * area->reciprocal) >> FRACTION_BITS
                                               : quotient(value, area->count);
    return sum < 0 ? -(int32_t)result : (int32_t)result;
}

static int32_t sum_of(const uint8_t *x, const area_t *area) {
    int32_t sum = 0;
    for (uint32_t i = 0; i < area->rows; i++) {
        const uint8_t *at = x;
        for (uint32_t k = 0; k < area->columns; k++) {
            sum += *(const int8_t *)at;
            at += area->channels;
        }
        x += area->row;
    }
    return sum;
}

static int32_t largest_of(const uint8_t *x, const area_t *area) {
    int32_t largest = INT8_MIN;
    for (uint32_t i = 0; i < area->rows; i++) {
        const uint8_t *at = x;
        for (uint32_t k = 0; k < area->columns; k++) {
            int32_t value = *(const int8_t *)at;
            largest = value > largest ? value : largest;
            at += area->channels;
        }
        x += area->row;
    }
    return largest;
}

// The means of four channels. x: aligned to 4, as are the channels of a pixel.
static void average_word(
    const uint8_t *x, const area_t *area, const pool_t *pool, uint8_t *out) {
    uint32_t even = 0, odd = 0;
    for (uint32_t i = 0; i < area->rows; i++) {
        const uint8_t *at = x;
        for (uint32_t k = 0; k < area->columns; k++) {
            uint32_t word = *(const uint32_t *)(const void *)at ^ SIGNS; // + 128 each
            even += word & EVEN;
            odd += (word >> 8) & EVEN;
            at += area->channels;
        }
        x += area->row;
    }
    for (uint32_t i = 0; i < BYTES; i++) {
        int32_t sum = (int32_t)(even & 0xffffu) - (int32_t)(area->count * 128);
        out[i] = (uint8_t)limited(mean_of(sum, area), pool);
        uint32_t next = even >> 16;
        even = odd;
        odd = next;
    }
}

static void run_pixel(const uint8_t *x, const area_t *area, const pool_t *pool, uint8_t *out) {
    uint32_t aligned = ((uintptr_t)x | area->channels) % BYTES == 0;
    uint32_t step = pool->average && aligned && area->count <= MAX_COUNT ? BYTES : 1;
    for (const uint8_t *end = out + area->channels; out != end; out += step) {
        if (step == BYTES) {
            average_word(x, area, pool, out);
        } else {
            int32_t value = pool->average ? mean_of(sum_of(x, area), area) : largest_of(x, area);
            *out = (uint8_t)limited(value, pool);
        }
        x += step;
    }
}

// Cuts what lies outside of the map off a stretch. start: of the window; the first position left.
static uint32_t cut(int32_t start, uint32_t kernel, uint32_t size, uint32_t *length) {
    int32_t end = start + (int32_t)kernel;
    int32_t first = start < 0 ? 0 : start;
    *length = (uint32_t)((end > (int32_t)size ? (int32_t)size : end) - first);
    return (uint32_t)first;
}

static void run(const wb_call_t *call) {
    const pool_t *pool = pool_of(call);
    const wb_window_t *window = &pool->window;
    const uint8_t *x = call->operand[0].data;
    uint8_t *out = call->operand[1].data;
    area_t area;
    area.channels = window->in_channels;
    area.row = (uint32_t)window->in_width * window->in_channels;
    area.count = 0;
    area.reciprocal = 0;
    for (int32_t row = 0; row < window->out_height; row++) {
        uint32_t y = cut(
            row * window->stride_height - window->top, window->kernel_height, window->in_height,
            &area.rows);
        for (int32_t column = 0; column < window->out_width; column++) {
            uint32_t left = cut(
                column * window->stride_width - window->left, window->kernel_width,
                window->in_width, &area.columns);
            uint32_t count = area.rows * area.columns;
            if (count != area.count && count <= MAX_COUNT) {
                area.reciprocal = quotient((1u << FRACTION_BITS) + count - 1, count);
            }
            area.count = count;
            run_pixel(x + y * area.row + left * area.channels, &area, pool, out);
            out += area.channels;
        }
    }
}

// Whether every window has something of the map under it.
static int32_t axis_is_sound(
    uint32_t size, uint32_t out, uint32_t before, uint32_t kernel, uint32_t stride) {
    return before < kernel && (out - 1) * stride < size + before;
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const pool_t *pool = pool_of(call);
    const wb_window_t *window = &pool->window;
    if (call->params_size != sizeof(pool_t) || !wb_window_is_sound(window) ||
        window->in_channels != window->out_channels || window->dilation_height != 1 ||
        window->dilation_width != 1 || pool->average > 1 || pool->low > pool->high ||
        !axis_is_sound(
            window->in_height, window->out_height, window->top, window->kernel_height,
            window->stride_height) ||
        !axis_is_sound(
            window->in_width, window->out_width, window->left, window->kernel_width,
            window->stride_width)) {
        return WB_BAD_PARAMS;
    }
    uint32_t size = (uint32_t)window->in_height * window->in_width * window->in_channels;
    uint32_t out_size = (uint32_t)window->out_height * window->out_width * window->in_channels;
    if (call->n_inputs != 1 || call->n_operands != 2 ||
        !wb_is_operand(&call->operand[0], 'b', size) ||
        !wb_is_operand(&call->operand[1], 'b', out_size)) {
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
