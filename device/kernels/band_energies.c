// Energies of frequency bands from a power spectrum: weighted sums, as they are or as logarithms.
// host/wingbeat/reference/band_energies.py defines every result; the two agree bit for bit.
//
// params:    band_energies_t, band_t[n_bands], u8 weights of all bands, zeros up to a multiple of 4
// operand 0: input, int32 [n_channels][n_bins]: power, used as uint32
// operand 1: input, int32 [n_channels]: the power is power * 2^exponent
// operand 2: output, [n_channels][n_bands]: int32 energies or int16 logarithms
#include "kernels/log2.h"
#include "kernels/operands.h"

#define WEIGHT_BITS 8
#define MAX_CHUNK 256u // products of 16 and 8 bits that fit in one uint32
#define INT32_LIMIT 0x7fffffff

typedef struct {
    uint16_t n_bins; // 1 or more
    uint8_t n_bands; // 1 or more
    uint8_t n_channels; // 1 or more
    uint8_t logarithm; // 0: int32 energies, 1: int16 logarithms
    int8_t gain; // energies are energy * 2^gain
    int16_t floor; // the least logarithm
} band_energies_t;

typedef struct {
    uint16_t start; // first bin
    uint16_t count; // bins, 1 or more
    int16_t offset; // added to the logarithm
} band_t;

// high * 2^16 + low, low below 2^16
typedef struct {
    uint32_t high;
    uint32_t low;
} wide_t;

static const band_energies_t *params_of(const wb_call_t *call) {
    return (const band_energies_t *)(const void *)call->params;
}

static const band_t *bands_of(const wb_call_t *call) {
    return (const band_t *)(const void *)(call->params + sizeof(band_energies_t));
}

// Weights follow the bands.
static const uint8_t *weights_of(const wb_call_t *call) {
    return (const uint8_t *)(bands_of(call) + params_of(call)->n_bands);
}

static wide_t weighted_sum(const uint32_t *power, const uint8_t *weight, uint32_t count) {
    wide_t sum = {0, 0};
    while (count != 0) {
        uint32_t chunk = count < MAX_CHUNK ? count : MAX_CHUNK;
        uint32_t low = 0;
        count -= chunk;
        for (const uint8_t *end = weight + chunk; weight != end; weight++) {
            uint32_t value = *power++;
            low += (value & 0xffffu) * *weight;
            sum.high += (value >> 16) * *weight;
        }
        sum.low += low & 0xffffu;
        sum.high += (low >> 16) + (sum.low >> 16);
        sum.low &= 0xffffu;
    }
    return sum;
}

static int32_t logarithm(wide_t sum, int32_t exponent, int32_t offset, int32_t floor) {
    if ((sum.high | sum.low) == 0) {
        return floor;
    }
    uint32_t shift = sum.high >> 16 != 0 ? 16 : 0;
    uint32_t value = shift != 0 ? sum.high : sum.high << 16 | sum.low;
    uint32_t log = (uint32_t)wb_log2_rounded(wb_log2(value));
    log += ((uint32_t)exponent + shift - WEIGHT_BITS) << 9;
    return wb_log2_limited((int32_t)(log + (uint32_t)offset), floor);
}

// floor(sum * 2^exponent), at most INT32_LIMIT.
static int32_t energy(wide_t sum, int32_t exponent) {
    uint32_t high = sum.high;
    uint32_t low = sum.low;
    for (; exponent < 0 && (high | low) != 0; exponent++) {
        low = (low >> 1) | (high & 1) << 15;
        high >>= 1;
    }
    for (; exponent > 0 && high < 0x8000 && (high | low) != 0; exponent--) {
        high = high << 1 | low >> 15;
        low = (low << 1) & 0xffffu;
    }
    if (high >= 0x8000) {
        return INT32_LIMIT;
    }
    return (int32_t)(high << 16 | low);
}

static void run(const wb_call_t *call) {
    const band_energies_t *params = params_of(call);
    const uint32_t *power = (const uint32_t *)(const void *)call->operand[0].data;
    const int32_t *exponent = (const int32_t *)(const void *)call->operand[1].data;
    uint8_t *out = call->operand[2].data;
    for (uint32_t left = params->n_channels; left != 0; left--) {
        const band_t *band = bands_of(call);
        const uint8_t *weight = weights_of(call);
        for (const band_t *end = band + params->n_bands; band != end; band++) {
            wide_t sum = weighted_sum(power + band->start, weight, band->count);
            weight += band->count;
            if (params->logarithm) {
                *(int16_t *)(void *)out =
                    (int16_t)logarithm(sum, *exponent, band->offset, params->floor);
                out += sizeof(int16_t);
            } else {
                int32_t gain = params->gain - WEIGHT_BITS;
                *(int32_t *)(void *)out = energy(sum, (int32_t)((uint32_t)*exponent + (uint32_t)gain));
                out += sizeof(int32_t);
            }
        }
        power += params->n_bins;
        exponent++;
    }
}

WB_COLD static int32_t params_are_sound(const wb_call_t *call) {
    const band_energies_t *params = params_of(call);
    if (call->params_size < sizeof(band_energies_t) || params->n_bins == 0 ||
        params->n_bands == 0 || params->n_channels == 0 || params->logarithm > 1) {
        return 0;
    }
    uint32_t size = sizeof(band_energies_t) + params->n_bands * (uint32_t)sizeof(band_t);
    if (call->params_size < size) {
        return 0;
    }
    const band_t *band = bands_of(call);
    for (const band_t *end = band + params->n_bands; band != end; band++) {
        if (band->count == 0 || (uint32_t)band->start + band->count > params->n_bins) {
            return 0;
        }
        size += band->count;
    }
    uint32_t end = (size + 3) & ~3u;
    if (call->params_size != end) {
        return 0;
    }
    for (; size != end; size++) {
        if (call->params[size] != 0) {
            return 0;
        }
    }
    return 1;
}

WB_COLD static int32_t check(const wb_call_t *call) {
    if (!params_are_sound(call)) {
        return WB_BAD_PARAMS;
    }
    const band_energies_t *params = params_of(call);
    uint32_t n_channels = params->n_channels;
    uint32_t n_out = n_channels * params->n_bands;
    if (call->n_inputs != 2 || call->n_operands != 3 ||
        !wb_is_operand(&call->operand[0], 'i', 4u * n_channels * params->n_bins) ||
        !wb_is_operand(&call->operand[1], 'i', 4 * n_channels) ||
        !wb_is_operand(
            &call->operand[2], params->logarithm ? 'h' : 'i', (params->logarithm ? 2 : 4) * n_out)) {
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
