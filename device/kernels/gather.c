// Copies elements of an int8 tensor in another order: transposes, slices, splits, repeats.
// host/wingbeat/reference/gather.py defines the result; the two agree bit for bit.
//
// operand 0: input, int8 [n_inputs]
// operand 1: output, int8 [counts, run]
#include "kernels/copy.h"

#define DIMENSIONS 4
#define MAX_STRIDE 65535
#define SHORT_RUN 8u

typedef struct {
    uint16_t count;
    uint16_t table; // 0, or where a table of u16 positions starts, in 2 bytes from the parameters
    int32_t stride; // without a table: elements from one position to the next
} dimension_t;

typedef struct {
    uint32_t n_inputs; // elements of the input
    uint32_t start;    // position of the first element
    uint32_t run;      // elements that are copied from each position
    dimension_t dimension[DIMENSIONS]; // from the outermost
} gather_t;

static const gather_t *gather_of(const wb_call_t *call) {
    return (const gather_t *)(const void *)call->params;
}

static const uint16_t *table_of(const gather_t *gather, const dimension_t *of) {
    return (const uint16_t *)(const void *)gather + of->table;
}

static __attribute__((noinline)) uint8_t *gather_runs(
    const gather_t *gather, const uint8_t *x, uint8_t *out) {
    const dimension_t *inner = &gather->dimension[DIMENSIONS - 1];
    const uint16_t *table = table_of(gather, inner);
    uint32_t run = gather->run;
    uint32_t left = inner->count;
    int32_t stride = inner->stride;
    if (run == 1 && inner->table == 0) {
        for (; left != 0; left--, x += stride) {
            *out++ = *x;
        }
    }
    for (; left != 0; left--) {
        const uint8_t *from = inner->table != 0 ? x + *table++ : x;
        x += inner->table != 0 ? 0 : stride;
        if (run < SHORT_RUN) {
            for (uint32_t i = 0; i < run; i++) {
                *out++ = from[i];
            }
        } else {
            wb_copy(out, from, run);
            out += run;
        }
    }
    return out;
}

static const uint8_t *moved(
    const gather_t *gather, const uint8_t *x, uint32_t dimension, uint32_t index) {
    const dimension_t *of = &gather->dimension[dimension];
    if (of->table != 0) {
        return x + table_of(gather, of)[index];
    }
    return x + (int32_t)index * of->stride;
}

static void run(const wb_call_t *call) {
    const gather_t *gather = gather_of(call);
    const uint8_t *x = call->operand[0].data + gather->start;
    uint8_t *out = call->operand[1].data;
    for (uint32_t i = 0; i < gather->dimension[0].count; i++) {
        const uint8_t *of_i = moved(gather, x, 0, i);
        for (uint32_t j = 0; j < gather->dimension[1].count; j++) {
            const uint8_t *of_j = moved(gather, of_i, 1, j);
            for (uint32_t k = 0; k < gather->dimension[2].count; k++) {
                out = gather_runs(gather, moved(gather, of_j, 2, k), out);
            }
        }
    }
}

// Moves the lowest and the highest position by what a dimension adds; 0 if it is not sound.
static int32_t widen(const wb_call_t *call, const dimension_t *of, uint32_t *low, uint32_t *high) {
    uint32_t most = 0;
    if (of->table != 0) {
        if (((uint32_t)of->table + of->count) * 2u > call->params_size) {
            return 0;
        }
        const uint16_t *table = (const uint16_t *)(const void *)call->params + of->table;
        for (uint32_t i = 0; i < of->count; i++) {
            most = table[i] > most ? table[i] : most;
        }
        *high += most;
        return 1;
    }
    if (of->stride < -MAX_STRIDE || of->stride > MAX_STRIDE || of->count == 0) {
        return 0;
    }
    most = (uint32_t)(of->stride < 0 ? -of->stride : of->stride) * (of->count - 1u);
    // So that the sum over all dimensions stays within 32 bits.
    if (most > WB_MAX_ELEMENTS) {
        return 0;
    }
    *(of->stride < 0 ? low : high) += most;
    return 1;
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const gather_t *gather = gather_of(call);
    if (call->params_size < sizeof(gather_t) || gather->n_inputs > WB_MAX_ELEMENTS ||
        gather->start > WB_MAX_ELEMENTS || gather->run > WB_MAX_ELEMENTS) {
        return WB_BAD_PARAMS;
    }
    uint32_t low = 0, high = gather->start + gather->run, size = gather->run;
    for (uint32_t i = 0; i < DIMENSIONS; i++) {
        size = wb_times(size, gather->dimension[i].count);
        if (!widen(call, &gather->dimension[i], &low, &high)) {
            return WB_BAD_PARAMS;
        }
    }
    if (size == 0 || low > gather->start || high > gather->n_inputs) {
        return WB_BAD_PARAMS;
    }
    if (call->n_inputs != 1 || call->n_operands != 2 ||
        !wb_is_int8(&call->operand[0], gather->n_inputs) || !wb_is_int8(&call->operand[1], size)) {
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
