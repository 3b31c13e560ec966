// The last samples of a stream, whenever enough new ones have come.
// host/wingbeat/reference/window.py defines the result; the two agree bit for bit.
//
// operand 0: input, [n_new][width]
// operand 1: output, kept from run to run, [n_window][width]
// operand 2: kept from run to run, int32 [1]: samples since the last window that was due
#include "kernels/operands.h"

#define MAX_ELEMENTS (1u << 24)

typedef struct {
    uint16_t n_window; // samples: 1 or more
    uint16_t n_new;    // of each run: 1 to n_window
    uint16_t hop;      // n_new or more
    uint16_t width;    // elements of a sample: 1 or more
    uint8_t typecode;
    uint8_t reserved[3]; // 0
} window_t;

typedef struct {
    uint32_t words[4];
} line_t;

static const window_t *window_of(const wb_call_t *call) {
    return (const window_t *)(const void *)call->params;
}

// To lower addresses, if the two overlap.
static void copy(uint8_t *to, const uint8_t *from, uint32_t size) {
    const uint8_t *end = from + size;
    uint32_t together = (uint32_t)(uintptr_t)to | (uint32_t)(uintptr_t)from;
    if ((together & 3) == 0 && (uintptr_t)(from - to) >= sizeof(line_t)) {
        for (; (uintptr_t)(end - from) >= sizeof(line_t); from += sizeof(line_t)) {
            *(line_t *)(void *)to = *(const line_t *)(const void *)from;
            to += sizeof(line_t);
        }
    }
    if ((together & 1) == 0) {
        for (; (uintptr_t)(end - from) >= 2; from += 2) {
            *(uint16_t *)(void *)to = *(const uint16_t *)(const void *)from;
            to += 2;
        }
    }
    while (from != end) {
        *to++ = *from++;
    }
}

static int32_t run(const wb_call_t *call) {
    const window_t *window = window_of(call);
    uint32_t *count = (uint32_t *)(void *)call->operand[2].data;
    uint8_t *data = call->operand[1].data;
    uint32_t step = call->operand[0].size;
    uint32_t kept = call->operand[1].size - step;
    copy(data, data + step, kept);
    copy(data + kept, call->operand[0].data, step);
    *count += window->n_new;
    if ((int32_t)*count < window->n_window) {
        return WB_NOT_DUE;
    }
    *count -= window->hop;
    return WB_OK;
}

// Bytes; 0 for an unknown typecode.
WB_COLD static uint32_t item_of(uint32_t typecode) {
    uint32_t lower = typecode | 0x20;
    if (lower == 'b') {
        return 1;
    }
    if (lower == 'h') {
        return 2;
    }
    return typecode == 'i' || typecode == 'f' ? 4 : 0;
}

WB_COLD static int32_t params_are_sound(const wb_call_t *call) {
    const window_t *window = window_of(call);
    return call->params_size == sizeof(window_t) && window->n_new != 0 &&
        window->n_new <= window->n_window && window->n_new <= window->hop && window->width != 0 &&
        (uint32_t)window->n_window * window->width <= MAX_ELEMENTS &&
        item_of(window->typecode) != 0 &&
        (window->reserved[0] | window->reserved[1] | window->reserved[2]) == 0;
}

WB_COLD static int32_t check(const wb_call_t *call) {
    if (!params_are_sound(call)) {
        return WB_BAD_PARAMS;
    }
    const window_t *window = window_of(call);
    uint32_t sample = item_of(window->typecode) * window->width;
    if (call->n_inputs != 1 || call->n_operands != 3 ||
        !wb_is_operand(&call->operand[0], window->typecode, sample * window->n_new) ||
        !wb_is_operand(&call->operand[1], window->typecode, sample * window->n_window) ||
        !wb_is_operand(&call->operand[2], 'i', 4)) {
        return WB_BAD_OPERANDS;
    }
    return WB_OK;
}

WB_KERNEL int32_t wb_kernel(const wb_call_t *call) {
    return call->phase == WB_CHECK ? check(call) : run(call);
}
