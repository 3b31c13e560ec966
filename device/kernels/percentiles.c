// Percentiles of each channel of a window.
// host/wingbeat/reference/percentiles.py defines the result; the two agree bit for bit.
//
// params:    percentiles_t, u32 place[n_percentiles]: a sample's number in steps of 1/65536
// operand 0: input, int16 [n_samples][n_channels]
// operand 1: output, int16 [n_channels][n_percentiles]
// operand 2: scratch, uint16 [2 n_samples + 256]
//
// A channel is sorted by its low bytes, then by its high bytes: the time depends on sizes only.
#include "kernels/operands.h"

#define MAX_SAMPLES 32767u
#define COUNTERS 256u
#define SIGN 0x8000u

typedef struct {
    uint16_t n_samples;    // 1 to MAX_SAMPLES
    uint8_t n_channels;    // 1 or more
    uint8_t n_percentiles; // 1 or more
} percentiles_t;

static const percentiles_t *params_of(const wb_call_t *call) {
    return (const percentiles_t *)(const void *)call->params;
}

// Copies n samples in the order of the 8 bits from shift on; those with the same stay in order.
WB_APART static void sort_by(
    uint32_t shift, const uint16_t *from, uint16_t *to, uint16_t *counter, uint32_t n) {
    uint32_t *pairs = (uint32_t *)(void *)counter;
    for (uint32_t *end = pairs + COUNTERS / 2; pairs != end; pairs += 4) {
        pairs[0] = 0;
        pairs[1] = 0;
        pairs[2] = 0;
        pairs[3] = 0;
    }
    const uint16_t *end = from + n;
    for (const uint16_t *each = from; each != end; each++) {
        counter[(uint32_t)*each >> shift & 0xff]++;
    }
    // From how many have these bits to how many have less.
    uint32_t sum = 0;
    for (uint32_t i = 0; i != COUNTERS; i++) {
        uint32_t count = counter[i];
        counter[i] = (uint16_t)sum;
        sum += count;
    }
    for (const uint16_t *each = from; each != end; each++) {
        uint32_t value = *each;
        uint16_t *place = &counter[value >> shift & 0xff];
        to[(*place)++] = (uint16_t)value;
    }
}

// The sample at a place, between two as much as the place is.
static int16_t value_at(const uint16_t *ordered, uint32_t place) {
    uint32_t part = place & 0xffff;
    uint32_t low = ordered[place >> 16];
    // Without a part there may be no sample behind.
    uint32_t high = part == 0 ? low : ordered[(place >> 16) + 1];
    return (int16_t)((low + (((high - low) * part + 0x8000u) >> 16)) ^ SIGN);
}

static void run(const wb_call_t *call) {
    const percentiles_t *params = params_of(call);
    const uint32_t *place = (const uint32_t *)(const void *)(params + 1);
    const uint16_t *x = (const uint16_t *)(const void *)call->operand[0].data;
    int16_t *out = (int16_t *)(void *)call->operand[1].data;
    uint32_t n = params->n_samples;
    uint16_t *counter = (uint16_t *)(void *)call->operand[2].data;
    uint16_t *samples = counter + COUNTERS;
    for (uint32_t left = params->n_channels; left != 0; left--) {
        const uint16_t *sample = x++;
        for (uint32_t i = 0; i != n; i++, sample += params->n_channels) {
            samples[i] = (uint16_t)(*sample ^ SIGN); // the least becomes 0
        }
        sort_by(0, samples, samples + n, counter, n);
        sort_by(8, samples + n, samples, counter, n);
        for (uint32_t i = 0; i != params->n_percentiles; i++) {
            *out++ = value_at(samples, place[i]);
        }
    }
}

WB_COLD static int32_t params_are_sound(const wb_call_t *call) {
    const percentiles_t *params = params_of(call);
    if (call->params_size < sizeof(percentiles_t) || params->n_samples == 0 ||
        params->n_samples > MAX_SAMPLES || params->n_channels == 0 ||
        params->n_percentiles == 0 ||
        call->params_size != sizeof(percentiles_t) + 4u * params->n_percentiles) {
        return 0;
    }
    const uint32_t *place = (const uint32_t *)(const void *)(params + 1);
    for (uint32_t i = 0; i != params->n_percentiles; i++) {
        if (place[i] > (params->n_samples - 1u) << 16) {
            return 0;
        }
    }
    return 1;
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const percentiles_t *params = params_of(call);
    if (!params_are_sound(call)) {
        return WB_BAD_PARAMS;
    }
    uint32_t n = params->n_samples;
    uint32_t channels = params->n_channels;
    if (call->n_inputs != 1 || call->n_operands != 3 ||
        !wb_is_operand(&call->operand[0], 'h', 2 * n * channels) ||
        !wb_is_operand(&call->operand[1], 'h', 2 * channels * params->n_percentiles) ||
        !wb_is_operand(&call->operand[2], 'H', 2 * (2 * n + COUNTERS))) {
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
