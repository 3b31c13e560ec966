// Filters of second-order sections, one behind the other, on each channel of a window.
// host/wingbeat/reference/biquads.py defines the result; the two agree bit for bit.
//
// params:    biquads_t, section_t[n_sections]
// operand 0: input, int16 [n_samples][n_channels]
// operand 1: output, int16 [n_samples][n_channels]; may be the input
// operand 2: int32 [n_sections][n_channels][2]: s1 and s2, kept from run to run if keep is 1
//
// Sums are made in uint32_t: what passes 32 bits comes back, as nothing is limited in between.
#include "kernels/integer.h"
#include "kernels/operands.h"

#define FRACTION 14
#define COARSE_FRACTION 12
#define MAX_SECTIONS 32u

typedef struct {
    uint16_t n_samples; // 1 or more
    uint8_t n_channels; // 1 or more
    uint8_t n_sections; // 1 to MAX_SECTIONS
    uint8_t keep;       // 0: every run starts from 0
    uint8_t reserved[3];
} biquads_t;

typedef struct {
    int16_t b0; // in steps of 2^-FRACTION, or of 2^-COARSE_FRACTION
    int16_t b1;
    int16_t b2;
    int16_t a1; // of the transfer function's denominator, negative
    int16_t a2;
    uint16_t coarse; // 1: coarse steps
} section_t;

// One section over one channel.
typedef struct {
    const int16_t *in_end; // behind the last sample of the channel
    int16_t *out_end;
    int32_t offset; // bytes from there to the first, negative
    int32_t step;   // bytes from a sample to the next
    const section_t *section;
    uint32_t *state;
} pass_t;

#if defined(__ARM_ARCH_6M__)
#include "kernels/biquads_armv6m.h"
#else
static inline __attribute__((always_inline)) void filter_in_steps(
    const pass_t *pass, int fraction) {
    const section_t section = *pass->section;
    const uint8_t *in = (const uint8_t *)pass->in_end;
    uint8_t *out = (uint8_t *)pass->out_end;
    uint32_t s1 = pass->state[0];
    uint32_t s2 = pass->state[1];
    for (int32_t at = pass->offset; at != 0; at += pass->step) {
        int32_t x = *(const int16_t *)(const void *)(in + at);
        uint32_t sum = s1 + (uint32_t)(section.b0 * x);
        int32_t y = (int32_t)sum >> fraction;
        uint32_t rest = sum & ((1u << fraction) - 1u);
        *(int16_t *)(void *)(out + at) = wb_saturated(y);
        uint32_t a1_y = (uint32_t)section.a1 * (uint32_t)y;
        uint32_t a2_y = (uint32_t)section.a2 * (uint32_t)y;
        s1 = rest + s2 + (uint32_t)(section.b1 * x) + a1_y;
        s2 = (uint32_t)(section.b2 * x) + a2_y;
    }
    pass->state[0] = s1;
    pass->state[1] = s2;
}

static void filter(const pass_t *pass) {
    if (pass->section->coarse) {
        filter_in_steps(pass, COARSE_FRACTION);
    } else {
        filter_in_steps(pass, FRACTION);
    }
}
#endif

static const biquads_t *biquads_of(const wb_call_t *call) {
    return (const biquads_t *)(const void *)call->params;
}

static void run(const wb_call_t *call) {
    const biquads_t *biquads = biquads_of(call);
    uint32_t *state = (uint32_t *)(void *)call->operand[2].data;
    const int16_t *in = (const int16_t *)(const void *)call->operand[0].data;
    int16_t *out = (int16_t *)(void *)call->operand[1].data;
    uint32_t n_channels = biquads->n_channels;
    uint32_t n_values = biquads->n_samples * n_channels;
    pass_t pass;
    pass.step = (int32_t)(2 * n_channels);
    pass.offset = -(int32_t)(2 * n_values);
    pass.section = (const section_t *)(const void *)(biquads + 1);
    pass.state = state;
    for (uint32_t left = biquads->n_sections; left != 0; left--, pass.section++) {
        for (uint32_t channel = 0; channel != n_channels; channel++, pass.state += 2) {
            pass.in_end = in + n_values + channel;
            pass.out_end = out + n_values + channel;
            if (!biquads->keep) {
                pass.state[0] = 0;
                pass.state[1] = 0;
            }
            filter(&pass);
        }
        in = out;
    }
}

WB_COLD static int32_t params_are_sound(const wb_call_t *call) {
    const biquads_t *biquads = biquads_of(call);
    if (call->params_size < sizeof(biquads_t) || biquads->n_samples == 0 ||
        biquads->n_channels == 0 || biquads->n_sections == 0 ||
        biquads->n_sections > MAX_SECTIONS || biquads->keep > 1 ||
        (biquads->reserved[0] | biquads->reserved[1] | biquads->reserved[2]) != 0 ||
        call->params_size != sizeof(biquads_t) + biquads->n_sections * sizeof(section_t)) {
        return 0;
    }
    const section_t *section = (const section_t *)(const void *)(biquads + 1);
    for (const section_t *end = section + biquads->n_sections; section != end; section++) {
        if (section->coarse > 1) {
            return 0;
        }
    }
    return 1;
}

WB_COLD static int32_t check(const wb_call_t *call) {
    if (!params_are_sound(call)) {
        return WB_BAD_PARAMS;
    }
    const biquads_t *biquads = biquads_of(call);
    uint32_t n_values = (uint32_t)biquads->n_samples * biquads->n_channels;
    uint32_t n_states = (uint32_t)biquads->n_sections * biquads->n_channels;
    if (call->n_inputs != 1 || call->n_operands != 3 ||
        !wb_is_operand(&call->operand[0], 'h', 2 * n_values) ||
        !wb_is_operand(&call->operand[1], 'h', 2 * n_values) ||
        !wb_is_operand(&call->operand[2], 'i', 8 * n_states)) {
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
