// A FIR filter on each channel of a window, of which every step-th sample is computed.
// host/wingbeat/reference/fir.py defines the result; the two agree bit for bit.
//
// params:    fir_t, i16 taps[n_taps], up to a multiple of 4
// operand 0: input, int16 [n_samples][n_channels]
// operand 1: output, int16 [n_outputs][n_channels]
// operand 2: with KEEP only, kept from run to run, int16 [n_taps - 1 or 1][n_channels]: what the
//            last run's input ended with
#include "kernels/dot.h"
#include "kernels/integer.h"
#include "kernels/operands.h"

#define MAX_TAPS 1024u
#define MAX_SHIFT 31u

enum {
    INSIDE = 0, // only where all taps lie on the input
    KEEP = 1,   // samples before the input are those of the last run
    REPEAT = 2, // taps are centred; beyond its ends, the input's first and last sample go on
};

typedef struct {
    uint16_t n_samples; // 1 or more
    uint16_t n_outputs; // 1 or more
    uint16_t n_taps;    // 1 to MAX_TAPS
    uint16_t step;      // 1 or more
    uint8_t n_channels; // 1 or more
    uint8_t edges;
    uint8_t shift; // 0 to MAX_SHIFT
    uint8_t reserved;
} fir_t;

static const fir_t *fir_of(const wb_call_t *call) {
    return (const fir_t *)(const void *)call->params;
}

static uint32_t history_of(const fir_t *fir) {
    return fir->n_taps - 1u;
}

// The sum of taps that start at sample start, which may lie in front of the input's first one.
WB_COLD static uint32_t sum_at(
    const fir_t *fir, int32_t start, const int16_t *x, const int16_t *history) {
    const int16_t *taps = (const int16_t *)(const void *)(fir + 1);
    uint32_t stride = fir->n_channels;
    uint32_t n_taps = fir->n_taps;
    uint32_t sum = (1u << fir->shift) >> 1;
    uint32_t before = start < 0 ? (uint32_t)-start : 0;
    if (before != 0) {
        const int16_t *first = x;
        uint32_t step = 0;
        before = before < n_taps ? before : n_taps;
        if (fir->edges == KEEP) {
            first = history + (history_of(fir) - (uint32_t)-start) * stride;
            step = stride;
        }
        sum = wb_dot(sum, first, step, taps, before);
    }
    uint32_t at = (uint32_t)start + before;
    uint32_t there = fir->n_samples - at;
    uint32_t count = n_taps - before;
    count = count < there ? count : there;
    sum = wb_dot(sum, x + at * stride, stride, taps + before, count);
    const int16_t *last = x + (fir->n_samples - 1u) * stride;
    return wb_dot(sum, last, 0, taps + before + count, n_taps - before - count);
}

static void keep_history(const fir_t *fir, const int16_t *x, int16_t *history) {
    uint32_t n = history_of(fir) * fir->n_channels;
    uint32_t n_new = (uint32_t)fir->n_samples * fir->n_channels;
    uint32_t n_old = n > n_new ? n - n_new : 0;
    for (uint32_t i = 0; i != n_old; i++) {
        history[i] = history[i + n_new];
    }
    x += n_new - (n - n_old);
    for (uint32_t i = n_old; i != n; i++) {
        history[i] = *x++;
    }
}

static void run(const wb_call_t *call) {
    const fir_t *fir = fir_of(call);
    const int16_t *x = (const int16_t *)(const void *)call->operand[0].data;
    int16_t *out = (int16_t *)(void *)call->operand[1].data;
    int16_t *history = out; // not used but with KEEP
    int32_t start = 0;
    if (fir->edges == KEEP) {
        history = (int16_t *)(void *)call->operand[2].data;
        start = -(int32_t)history_of(fir);
    } else if (fir->edges == REPEAT) {
        start = -(fir->n_taps >> 1);
    }
    const int16_t *taps = (const int16_t *)(const void *)(fir + 1);
    uint32_t half = (1u << fir->shift) >> 1;
    for (uint32_t left = fir->n_outputs; left != 0; left--, start += fir->step) {
        int32_t inside = start >= 0 && (uint32_t)start + fir->n_taps <= fir->n_samples;
        for (uint32_t i = 0; i != fir->n_channels; i++) {
            uint32_t sum;
            if (inside) {
                const int16_t *at = x + (uint32_t)start * fir->n_channels + i;
                sum = wb_dot(half, at, fir->n_channels, taps, fir->n_taps);
            } else {
                sum = sum_at(fir, start, x + i, history + i);
            }
            *out++ = wb_saturated((int32_t)sum >> fir->shift);
        }
    }
    if (fir->edges == KEEP) {
        keep_history(fir, x, history);
    }
}

WB_COLD static int32_t edges_are_sound(const fir_t *fir) {
    if (fir->edges == KEEP) {
        return (uint32_t)fir->n_outputs * fir->step == fir->n_samples;
    }
    if (fir->edges == REPEAT) {
        return fir->n_outputs == fir->n_samples && fir->step == 1 && (fir->n_taps & 1) != 0 &&
            fir->n_taps <= fir->n_samples;
    }
    uint32_t used = (fir->n_outputs - 1u) * fir->step;
    return fir->edges == INSIDE && used < fir->n_samples && fir->n_taps <= fir->n_samples - used;
}

WB_COLD static int32_t params_are_sound(const wb_call_t *call) {
    const fir_t *fir = fir_of(call);
    if (call->params_size < sizeof(fir_t) || fir->n_samples == 0 || fir->n_outputs == 0 ||
        fir->n_taps == 0 || fir->n_taps > MAX_TAPS || fir->step == 0 || fir->n_channels == 0 ||
        fir->shift > MAX_SHIFT || fir->reserved != 0 || !edges_are_sound(fir)) {
        return 0;
    }
    uint32_t size = (uint32_t)sizeof(fir_t) + 2u * fir->n_taps;
    if (call->params_size != ((size + 3) & ~3u)) {
        return 0;
    }
    return (size & 2) == 0 || (call->params[size] | call->params[size + 1]) == 0;
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const fir_t *fir = fir_of(call);
    if (!params_are_sound(call)) {
        return WB_BAD_PARAMS;
    }
    uint32_t sample = 2u * fir->n_channels;
    uint32_t kept = fir->n_taps > 1 ? fir->n_taps - 1u : 1;
    uint32_t n_operands = fir->edges == KEEP ? 3 : 2;
    if (call->n_inputs != 1 || call->n_operands != n_operands ||
        !wb_is_operand(&call->operand[0], 'h', sample * fir->n_samples) ||
        !wb_is_operand(&call->operand[1], 'h', sample * fir->n_outputs) ||
        (n_operands == 3 && !wb_is_operand(&call->operand[2], 'h', sample * kept))) {
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
