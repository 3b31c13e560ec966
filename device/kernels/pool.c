// The mean or the largest value under a window, int8.
// host/wingbeat/reference/pool.py defines the result; SPEC.md, "Pools", has the bytes.
//
// operand 0: input, int8 [height, width, channels]
// operand 1: output, int8 [out height, out width, channels]
//
// Compiled twice: POOL_LARGEST for the largest value, else for the mean.
#include "kernels/axis.h"
#include "kernels/kernel.h"
#include "kernels/operands.h"

#define MAX_POSITIONS 65535u
#define MAX_CHANNELS 16384u
#define NOINLINE __attribute__((noinline))

typedef struct {
    wb_axis_t rows;
    wb_axis_t columns;
    uint16_t channels; // 1 to MAX_CHANNELS
    int8_t low;
    int8_t high;
} pool_t;

// The part of the map under the window. Bytes where no number is meant.
typedef struct {
    uint32_t rows;
    uint32_t columns;
    uint32_t row;        // from a row to the next
    uint32_t length;     // of a row
    uint32_t pixel;      // from a pixel to the next
    uint32_t count;      // pixels; 0 before the first window
    uint32_t half;       // of the count, rounded down
    uint32_t reciprocal; // ceil(2^24 / count); 0 if the count is above MAX_COUNT
} area_t;

static const pool_t *pool_of(const wb_call_t *call) {
    return (const pool_t *)(const void *)call->params;
}

static uint8_t limited(int32_t value, const pool_t *pool) {
    return (uint8_t)(value < pool->low ? pool->low : value > pool->high ? pool->high : value);
}

// ---- A pixel of the output

#if defined(POOL_LARGEST)

// Makes outputs as large as the inputs.
static NOINLINE void raise(const uint8_t *x, const uint8_t *end, uint8_t *out) {
    do {
        int8_t value = *(const int8_t *)x++;
        if (value > *(int8_t *)out) {
            *out = (uint8_t)value;
        }
        out++;
    } while (x != end);
}

// Input pixel by input pixel: in place, the first lies where the output lies.
static void run_pixel(const uint8_t *x, area_t *area, const pool_t *pool, uint8_t *out) {
    for (uint32_t i = 0; i < area->pixel; i++) {
        out[i] = x[i];
    }
    for (uint32_t i = area->rows; i != 0; i--) {
        for (uint32_t k = 0; k != area->length; k += area->pixel) {
            raise(x + k, x + k + area->pixel, out);
        }
        x += area->row;
    }
    if (pool->low != INT8_MIN || pool->high != INT8_MAX) {
        for (uint32_t i = 0; i < area->pixel; i++) {
            out[i] = limited((int8_t)out[i], pool);
        }
    }
}

#else

#define FRACTION_BITS 24u // of a reciprocal
#define MAX_COUNT 257u    // values that a 16-bit field sums up; for fewer reciprocals are exact
#define BYTES 4u          // channels that are summed up at once, in a word
#define EVEN 0x00ff00ffu
#define SIGNS 0x80808080u

// floor(value / divisor), bit by bit; value below 2^25.
static NOINLINE uint32_t quotient(uint32_t value, uint32_t divisor) {
    uint32_t result = 0, rest = 0;
    value <<= 7;
    for (uint32_t i = 25; i != 0; i--) {
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

// To nearest, ties away from zero. For n up to 257 the product is below 2^32, and the reciprocal,
// which is too large by less than n / 2^24, gives the quotient of every value up to 128.5 n.
static NOINLINE uint8_t mean_of(int32_t sum, const area_t *area, const pool_t *pool) {
    int32_t sign = sum >> 31;
    uint32_t value = (uint32_t)((sum ^ sign) - sign) + area->half;
    uint32_t result = area->reciprocal != 0 ? (value * area->reciprocal) >> FRACTION_BITS
                                            : quotient(value, area->count);
    return limited(((int32_t)result ^ sign) - sign, pool);
}

static NOINLINE int32_t sum_of(const uint8_t *x, const area_t *area) {
    uint32_t pixel = area->pixel;
    uint32_t rows = area->rows;
    int32_t sum = 0;
    do {
        const uint8_t *at = x;
        const uint8_t *end = at + area->length;
        do {
            sum += *(const int8_t *)at;
            at += pixel;
        } while (at != end);
        x += area->row;
    } while (--rows != 0);
    return sum;
}

// Means of four channels from their sums + 128 each, 16 bits each. x: aligned to 4, as the pixels.
static NOINLINE void average_word(
    const uint8_t *x, const area_t *area, const pool_t *pool, uint8_t *out) {
    uint32_t pixel = area->pixel;
    uint32_t rows = area->rows;
    uint32_t even = 0, odd = 0;
    do {
        const uint8_t *at = x;
        const uint8_t *end = at + area->length;
        do {
            uint32_t word = *(const uint32_t *)(const void *)at ^ SIGNS;
            at += pixel;
            odd += (word >> 8) & EVEN;
            even += word & EVEN;
        } while (at != end);
        x += area->row;
    } while (--rows != 0);
    int32_t offset = (int32_t)(area->count * 128);
    out[0] = mean_of((int32_t)(even & 0xffffu) - offset, area, pool);
    out[1] = mean_of((int32_t)(odd & 0xffffu) - offset, area, pool);
    out[2] = mean_of((int32_t)(even >> 16) - offset, area, pool);
    out[3] = mean_of((int32_t)(odd >> 16) - offset, area, pool);
}

static void set_count(area_t *area) {
    uint32_t count = area->rows * area->columns;
    if (count == area->count) {
        return;
    }
    area->count = count;
    area->half = count / 2;
    area->reciprocal = 0;
    if (count <= MAX_COUNT) {
        area->reciprocal = quotient((1u << FRACTION_BITS) + count - 1, count);
    }
}

static void run_pixel(const uint8_t *x, area_t *area, const pool_t *pool, uint8_t *out) {
    set_count(area);
    uint32_t in_words = ((uintptr_t)x | area->pixel) % BYTES == 0 && area->reciprocal != 0;
    const uint8_t *end = out + area->pixel;
    while (out != end) {
        if (in_words) {
            average_word(x, area, pool, out);
            x += BYTES;
            out += BYTES;
        } else {
            *out++ = mean_of(sum_of(x++, area), area, pool);
        }
    }
}

#endif

// ---- Run

// Cuts what lies outside of the map off a window: the first position that is left, and how many.
static NOINLINE uint32_t cut(const wb_axis_t *axis, uint32_t number, uint32_t *length) {
    int32_t start = (int32_t)(number * axis->stride) - axis->before;
    int32_t end = start + axis->kernel;
    int32_t first = start < 0 ? 0 : start;
    *length = (uint32_t)((end > axis->size ? axis->size : end) - first);
    return (uint32_t)first;
}

static void run(const wb_call_t *call) {
    const pool_t *pool = pool_of(call);
    const uint8_t *x = call->operand[0].data;
    uint8_t *out = call->operand[1].data;
    area_t area;
    area.pixel = pool->channels;
    area.row = pool->columns.size * area.pixel;
    area.count = 0;
    for (uint32_t i = 0; i < pool->rows.out; i++) {
        const uint8_t *row = x + cut(&pool->rows, i, &area.rows) * area.row;
        for (uint32_t k = 0; k < pool->columns.out; k++) {
            uint32_t first = cut(&pool->columns, k, &area.columns);
            area.length = area.columns * area.pixel;
            run_pixel(row + first * area.pixel, &area, pool, out);
            out += area.pixel;
        }
    }
}

// ---- Check

// Whether every window has something of the map under it.
WB_COLD static int32_t is_sound(const wb_axis_t *axis) {
    return wb_axis_is_sound(axis) && axis->dilation == 1 && axis->before < axis->kernel &&
           (axis->out - 1u) * axis->stride < (uint32_t)axis->size + axis->before;
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const pool_t *pool = pool_of(call);
    if (call->params_size != sizeof(pool_t) || !is_sound(&pool->rows) ||
        !is_sound(&pool->columns)) {
        return WB_BAD_PARAMS;
    }
    uint32_t channels = pool->channels;
    uint32_t positions = (uint32_t)pool->rows.size * pool->columns.size;
    uint32_t out_positions = (uint32_t)pool->rows.out * pool->columns.out;
    if (positions > MAX_POSITIONS || out_positions > MAX_POSITIONS ||
        channels - 1 >= MAX_CHANNELS || pool->low > pool->high) {
        return WB_BAD_PARAMS;
    }
    if (call->n_inputs != 1 || call->n_operands != 2 ||
        !wb_is_operand(&call->operand[0], 'b', positions * channels) ||
        !wb_is_operand(&call->operand[1], 'b', out_positions * channels)) {
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
