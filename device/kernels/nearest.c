// Which of some centres a vector is nearest to, and how far it is.
// host/wingbeat/reference/nearest.py defines the result; the two agree bit for bit.
//
// params:    nearest_t, i16 centre[n_centres][n_dimensions], up to a multiple of 4
// operand 0: input, int16 [n_dimensions]
// operand 1: output, int16 [1]: the distance, at most 32767
// operand 2: output, int16 [1]: the centre's number
#include "kernels/integer.h"
#include "kernels/operands.h"

#define MAX_DIMENSIONS 4096u
#define MAX_SHIFT 8u
#define INT16_LIMIT 32767u

typedef struct {
    uint16_t n_dimensions; // 1 to MAX_DIMENSIONS
    uint8_t n_centres;     // 1 or more
    uint8_t shift;         // distances are in steps of 2^shift: 0 to MAX_SHIFT
} nearest_t;

// Up to MAX_DIMENSIONS squares of 32 bits.
typedef struct {
    uint32_t low;
    uint32_t high;
} sum_t;

static const nearest_t *nearest_of(const wb_call_t *call) {
    return (const nearest_t *)(const void *)call->params;
}

// Adds the squares of the differences of count elements.
#if defined(__ARM_ARCH_6M__)
// 11 cycles an element.
//
//   r0 x, r1 centre (their ends)   r2 offset, negative   r4 low   r5 high   r3 0   r6, r7 elements
__attribute__((naked, noinline)) static void add_squares(
    sum_t *sum __attribute__((unused)), const int16_t *x __attribute__((unused)),
    const int16_t *centre __attribute__((unused)), uint32_t count __attribute__((unused))) {
    __asm__(
        "push {r0, r4-r7, lr}\n"
        "lsls r3, r3, #1\n"
        "adds r0, r1, r3\n"
        "adds r1, r2, r3\n"
        "movs r4, #0\n"
        "movs r5, #0\n"
        "subs r2, r4, r3\n"
        "movs r3, #0\n"
        "1: ldrsh r6, [r0, r2]\n"
        "ldrsh r7, [r1, r2]\n"
        "subs r6, r6, r7\n"
        "muls r6, r6\n"
        "adds r4, r4, r6\n"
        "adcs r5, r3\n"
        "adds r2, #2\n"
        "bne 1b\n"
        "pop {r0}\n"
        "stmia r0!, {r4, r5}\n"
        "pop {r4-r7, pc}\n");
}
#else
static void add_squares(sum_t *sum, const int16_t *x, const int16_t *centre, uint32_t count) {
    sum_t total = {0, 0};
    for (const int16_t *end = centre + count; centre != end; centre++) {
        uint32_t difference = (uint32_t)(*x++ - *centre); // its square is below 2^32
        uint32_t square = difference * difference;
        total.low += square;
        total.high += total.low < square;
    }
    *sum = total;
}
#endif

// floor(sqrt(sum / 4^shift)), at most INT16_LIMIT.
static uint32_t root_of(sum_t sum, uint32_t shift) {
    for (; shift != 0; shift--) {
        sum.low = sum.low >> 2 | sum.high << 30;
        sum.high >>= 2;
    }
    uint32_t root = sum.high == 0 ? wb_square_root(sum.low) : INT16_LIMIT;
    return root < INT16_LIMIT ? root : INT16_LIMIT;
}

static void run(const wb_call_t *call) {
    const nearest_t *params = nearest_of(call);
    const int16_t *x = (const int16_t *)(const void *)call->operand[0].data;
    const int16_t *centre = (const int16_t *)(const void *)(params + 1);
    sum_t least = {~0u, ~0u};
    uint32_t found = 0;
    for (uint32_t i = 0; i != params->n_centres; i++) {
        sum_t sum;
        add_squares(&sum, x, centre, params->n_dimensions);
        centre += params->n_dimensions;
        if (sum.high < least.high || (sum.high == least.high && sum.low < least.low)) {
            least = sum;
            found = i;
        }
    }
    *(int16_t *)(void *)call->operand[1].data = (int16_t)root_of(least, params->shift);
    *(int16_t *)(void *)call->operand[2].data = (int16_t)found;
}

WB_COLD static int32_t params_are_sound(const wb_call_t *call) {
    const nearest_t *params = nearest_of(call);
    if (call->params_size < sizeof(nearest_t) || params->n_dimensions == 0 ||
        params->n_dimensions > MAX_DIMENSIONS || params->n_centres == 0 ||
        params->shift > MAX_SHIFT) {
        return 0;
    }
    uint32_t size = (uint32_t)sizeof(nearest_t) + 2u * params->n_dimensions * params->n_centres;
    if (call->params_size != ((size + 3) & ~3u)) {
        return 0;
    }
    return (size & 2) == 0 || (call->params[size] | call->params[size + 1]) == 0;
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const nearest_t *params = nearest_of(call);
    if (!params_are_sound(call)) {
        return WB_BAD_PARAMS;
    }
    if (call->n_inputs != 1 || call->n_operands != 3 ||
        !wb_is_operand(&call->operand[0], 'h', 2u * params->n_dimensions) ||
        !wb_is_operand(&call->operand[1], 'h', 2) || !wb_is_operand(&call->operand[2], 'h', 2)) {
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
