// Sums and differences, or with ARITHMETIC_MUL products, of int8 tensors.
// host/wingbeat/reference/arithmetic.py defines the result; the two agree bit for bit.
//
// operands 0 and 1: inputs, int8: x [count], y without some of its dimensions, or y and x. A
//                   constant y is in the parameters, and x is operand 0.
// last operand: output, int8 [count]; may be an input of its size
#include "kernels/scale.h"

#ifndef ARITHMETIC_MUL
#define ARITHMETIC_MUL 0
#endif

#define MAX_ROWS 65535u
#define FRACTION_BITS 20
#define LEFT_SHIFT 20
#define MIN_EXPONENT (-31)
#define MAX_EXPONENT (ARITHMETIC_MUL ? 30 : 0)

typedef struct {
    uint16_t count[3]; // of the output; the first two have a product up to MAX_ROWS
    uint8_t varies;    // bit 0: y has dimension 0; bit 1: y has dimension 1
    uint8_t y_first;   // bit 0: operand 0 is y; 0 with a constant
    // The short formula; armv6m loads it in this order.
    uint32_t bias;    // with FRACTION_BITS
    uint32_t doubt;   // fractions below this need the long formula, in 2^-32
    uint32_t range;   // largest output - low
    int32_t low;      // -128 to 127
    uint32_t addend;  // of a product: what is added to y
    uint32_t fast[2]; // of x and y; of a product the factor, and what is added to x
    // The long formula.
    int32_t mantissa[3];   // of x, y and the output, 0 or more
    int8_t exponent[3];    // MIN_EXPONENT to MAX_EXPONENT
    int8_t zero_point;     // of the output
    int8_t zero_points[2]; // of x and y of a sum
    uint8_t negative;      // bit 0: x is subtracted; bit 1: y is
    uint8_t constant;      // not 0: y is behind this
} arithmetic_t;

// What is left of a row.
typedef struct {
    const int8_t *x; // the row's ends
    const int8_t *y;
    int8_t *out;
    int32_t left; // minus the elements left
} row_t;

static const arithmetic_t *arithmetic_of(const wb_call_t *call) {
    return (const arithmetic_t *)(const void *)call->params;
}

#if defined(__ARM_ARCH_6M__)
#include "kernels/arithmetic_armv6m.h"
#else
static inline uint32_t short_formula(const arithmetic_t *by, int32_t x, int32_t y) {
#if ARITHMETIC_MUL
    uint32_t product = ((uint32_t)x + by->fast[1]) * ((uint32_t)y + by->addend);
    return product * by->fast[0] + by->bias;
#else
    return (uint32_t)x * by->fast[0] + (uint32_t)y * by->fast[1] + by->bias;
#endif
}

// Up to the end of the row, or to an element that needs the long formula.
static void run_quick(const arithmetic_t *by, row_t *row) {
    for (; row->left != 0; row->left++) {
        uint32_t t = short_formula(by, row->x[row->left], row->y[row->left]);
        if (t << (32 - FRACTION_BITS) < by->doubt) {
            return;
        }
        int32_t value = (int32_t)t >> FRACTION_BITS;
        if ((uint32_t)value > by->range) {
            value = value < 0 ? 0 : (int32_t)by->range;
        }
        row->out[row->left] = (int8_t)(value + by->low);
    }
}
#endif

static __attribute__((noinline)) int32_t scaled(
    const arithmetic_t *by, int32_t value, uint32_t which) {
    int32_t exponent = by->exponent[which];
    if (ARITHMETIC_MUL && exponent > 0) {
        value = (int32_t)((uint32_t)value << exponent);
        exponent = 0;
    }
    int32_t high = wb_high_product(value, by->mantissa[which]);
    return wb_divided_by_power(high, (uint32_t)-exponent);
}

static int32_t long_formula(const arithmetic_t *by, int32_t x, int32_t y) {
#if ARITHMETIC_MUL
    uint32_t product = ((uint32_t)x + by->fast[1]) * ((uint32_t)y + by->addend);
    return scaled(by, (int32_t)product, 2);
#else
    int32_t first = scaled(by, (x - by->zero_points[0]) * (1 << LEFT_SHIFT), 0);
    int32_t second = scaled(by, (y - by->zero_points[1]) * (1 << LEFT_SHIFT), 1);
    int32_t sum = by->negative & 1u ? -first : first;
    return scaled(by, by->negative & 2u ? sum - second : sum + second, 2);
#endif
}

static int8_t exact(const arithmetic_t *by, int32_t x, int32_t y) {
    int32_t value = long_formula(by, x, y);
    // Beyond 9 bits the limits decide, and adding cannot overflow.
    value = value < -512 ? -512 : value > 512 ? 512 : value;
    value += by->zero_point - by->low;
    int32_t range = (int32_t)by->range;
    value = value < 0 ? 0 : value > range ? range : value;
    return (int8_t)(value + by->low);
}

// x and out go on to the row's end; y is its start.
static void run_row(const arithmetic_t *by, row_t *row, const int8_t *y) {
    uint32_t n = by->count[2];
    row->x += n;
    row->y = y + n;
    row->out += n;
    row->left = -(int32_t)n;
    do {
        run_quick(by, row);
        if (row->left != 0) {
            row->out[row->left] = exact(by, row->x[row->left], row->y[row->left]);
            row->left++;
        }
    } while (row->left != 0);
}

static void run(const wb_call_t *call) {
    const arithmetic_t *by = arithmetic_of(call);
    uint32_t first = by->y_first & 1u;
    row_t row;
    row.x = (const int8_t *)call->operand[first].data;
    row.out = (int8_t *)call->operand[call->n_inputs].data;
    const int8_t *start = (const int8_t *)call->operand[first ^ 1u].data;
    if (by->constant) {
        start = (const int8_t *)(by + 1);
    }
    row.y = start;
    for (uint32_t i = by->count[0]; i != 0; i--) {
        const int8_t *y = start;
        for (uint32_t j = by->count[1]; j != 0; j--) {
            run_row(by, &row, y);
            if (by->varies & 2u) {
                y = row.y;
            }
        }
        if (by->varies & 1u) {
            start = row.y;
        }
    }
}

WB_COLD static int32_t is_sound(const arithmetic_t *by) {
    uint32_t rows = (uint32_t)by->count[0] * by->count[1];
    if (rows == 0 || rows > MAX_ROWS || by->count[2] == 0 || by->low < -128 || by->low > 127 ||
        by->range > (uint32_t)(127 - by->low)) {
        return 0;
    }
    for (uint32_t i = 0; i < 3; i++) {
        int32_t exponent = by->exponent[i];
        if (by->mantissa[i] < 0 || exponent < MIN_EXPONENT || exponent > MAX_EXPONENT) {
            return 0;
        }
    }
    return 1;
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const arithmetic_t *by = arithmetic_of(call);
    if (call->params_size < sizeof(arithmetic_t) || !is_sound(by)) {
        return WB_BAD_PARAMS;
    }
    uint32_t size = by->count[2];
    uint32_t size_of_y = size;
    size *= (uint32_t)by->count[0] * by->count[1];
    size_of_y *= by->varies & 1u ? by->count[0] : 1u;
    size_of_y *= by->varies & 2u ? by->count[1] : 1u;
    uint32_t behind = by->constant ? (size_of_y + 3u) & ~3u : 0;
    uint32_t n_inputs = by->constant ? 1 : 2;
    if (call->params_size - sizeof(arithmetic_t) != behind ||
        (by->constant && (by->y_first & 1u))) {
        return WB_BAD_PARAMS;
    }
    if (call->n_inputs != n_inputs || call->n_operands != n_inputs + 1) {
        return WB_BAD_OPERANDS;
    }
    for (uint32_t i = 0; i <= n_inputs; i++) {
        uint32_t is_y = n_inputs == 2 && i == ((by->y_first & 1u) ^ 1u);
        if (call->operand[i].typecode != 'b' ||
            call->operand[i].size != (is_y ? size_of_y : size)) {
            return WB_BAD_OPERANDS;
        }
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
