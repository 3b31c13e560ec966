// Depthwise convolution, int8: every channel by itself.
// host/wingbeat/reference/depthwise.py defines the result; SPEC.md, "Depthwise", has the bytes and
// shows that the packed sums below are exact.
//
// operand 0: input, int8 [height, width, channels]
// operand 1: output, int8 [out height, out width, channels * multiplier]
// operand 2: scratch: packed positions of a channel, and its weights as words
//
// The map is cut into three parts of equal size along its lines. A position of the three is packed
// into two words, x0 + 2^21 x1 and x2 + 2^11 x1, so that two products make a tap of three outputs.
#include "kernels/kernel.h"
#include "kernels/scale.h"

#define MAX_POSITIONS 0xfffffu
#define MAX_SIZE 0xffffu
#define MAX_CHANNELS 4095u
#define PARTS 3u
#define WORDS 2u    // of a packed position
#define POSITION 8u // bytes of a packed position
#define WIDE 1u
#define SHORT 2u

typedef struct {
    uint16_t size; // positions of the input, 1 or more
    uint16_t out;  // positions of the output, 1 or more
    uint8_t kernel; // this and the next two: 1 or more
    uint8_t stride;
    uint8_t dilation;
    uint8_t before; // positions of padding in front of the input
} axis_t;

typedef struct {
    axis_t lines;      // the axis that is cut
    axis_t places;     // positions in a line
    uint16_t channels; // of the input
    uint8_t multiplier;
    uint8_t turned; // 0: lines are rows of the map, 1: they are its columns
    int8_t fill;    // what lies around the input
    uint8_t group;  // lines of the kernel that are summed up before they are unpacked
    uint16_t reserved;
    wb_scale_t scale; // its last byte is WIDE or SHORT
    // Then the scale's channels, then the weights, channel by channel.
} depthwise_t;

// p = floor(sum * factor / 2^13) + offset becomes an output by floor(p / 2^shift).
typedef struct {
    uint32_t factor_shift; // factor << 5 | shift
    int32_t offset;
} short_t;

// Bytes from one position to the next, in the input or the output.
typedef struct {
    uint32_t line;
    uint32_t place;
} pitch_t;

// Where the lines of the three parts lie in the input, and where they are packed. Bytes.
typedef struct {
    const uint8_t *x;   // the current channel of the input
    uint32_t from;      // from x to the first part's first line, or to where that would be
    uint32_t to_second; // from a line of the first part to the one of the second
    uint32_t to_third;
    uint32_t limit;   // from x to behind the last line
    uint32_t line;    // from a line to the next
    uint32_t place;   // from a place to the next
    uint32_t *packed; // the first place that is not padding
    uint32_t length;  // of the packed places of a line that are not padding
    uint32_t rest;    // from behind them to those of the next line
    uint32_t n_lines; // 1 or more
    const uint8_t *fill;
} parts_t;

// What is the same for all channels, and the current channel.
typedef struct {
    const depthwise_t *layer;
    uint32_t *packed;       // of the current channel
    int32_t *weights;       // of the current output channel, as words
    uint32_t words;         // in a packed line
    uint32_t positions;     // packed
    uint32_t part;          // lines of the output in a part
    uint32_t starts[PARTS]; // first line of each part
    pitch_t out;
    const void *channel; // of the scale: short_t or wb_wide_t
} job_t;

static const depthwise_t *depthwise_of(const wb_call_t *call) {
    return (const depthwise_t *)(const void *)call->params;
}

static uint32_t part_of(const depthwise_t *layer) {
    return ((layer->lines.out + PARTS - 1) * 43691u) >> 17; // a division by 3, below 2^17
}

// Positions that a number of neighbouring outputs look at.
static uint32_t reach(const axis_t *axis, uint32_t outputs) {
    return (outputs - 1) * axis->stride + (axis->kernel - 1u) * axis->dilation + 1;
}

static uint32_t n_taps(const depthwise_t *layer) {
    return (uint32_t)layer->lines.kernel * layer->places.kernel;
}

static uint32_t n_channels(const depthwise_t *layer) {
    return (uint32_t)layer->channels * layer->multiplier;
}

static uint32_t scale_size(const depthwise_t *layer) {
    uint32_t channel = layer->scale.wide == WIDE ? sizeof(wb_wide_t) : sizeof(short_t);
    return sizeof(wb_scale_t) + n_channels(layer) * channel;
}

// ---- Numbers of a short scale

// The smallest power of two above a factor, over 2^13.
static uint32_t step_of(uint32_t factor) {
    factor |= factor >> 1;
    factor |= factor >> 2;
    factor |= factor >> 4;
    factor |= factor >> 8;
    factor |= factor >> 16;
    return (factor + 1) >> 13;
}

// Values below it are negative.
static uint32_t zero_of(const wb_scale_t *scale, uint32_t factor, uint32_t shift) {
    uint32_t half = (1u << shift) >> 1;
    return ((uint32_t)(int32_t)scale->zero_point << shift) + half + (step_of(factor) >> 2);
}

// ---- Loops

static uint32_t packed_low(uint32_t x0, uint32_t x1) {
    return x0 + (x1 << 21);
}

static uint32_t packed_high(uint32_t x2, uint32_t x1) {
    return x2 + (x1 << 11);
}

#if defined(__ARM_ARCH_6M__)

#include "kernels/depthwise_armv6m.h"

#else

static uint32_t value_at(const uint8_t *x) {
    return (uint32_t)(int32_t)*(const int8_t *)x;
}

// Packs a channel of the input.
static void pack(const parts_t *parts) {
    uint32_t *at = parts->packed;
    uint32_t first = parts->from;
    for (uint32_t i = 0; i < parts->n_lines; i++) {
        const uint32_t offsets[PARTS] = {first, first + parts->to_second, first + parts->to_third};
        const uint8_t *x[PARTS];
        uint32_t steps[PARTS];
        for (uint32_t k = 0; k < PARTS; k++) {
            int32_t inside = offsets[k] < parts->limit;
            x[k] = inside ? parts->x + offsets[k] : parts->fill;
            steps[k] = inside ? parts->place : 0;
        }
        for (const uint32_t *end = at + parts->length / 4; at != end; at += WORDS) {
            uint32_t x1 = value_at(x[1]);
            at[0] = packed_low(value_at(x[0]), x1);
            at[1] = packed_high(value_at(x[2]), x1);
            for (uint32_t k = 0; k < PARTS; k++) {
                x[k] += steps[k];
            }
        }
        at += parts->rest / 4;
        first += parts->line;
    }
}

static uint32_t extended(uint32_t value, uint32_t bits) {
    return (uint32_t)((int32_t)(value << (32 - bits)) >> (32 - bits));
}

// Adds three sums within 2^20 from what was packed.
static void add_unpacked(uint32_t low, uint32_t high, uint32_t sums[PARTS]) {
    uint32_t first = extended(low, 21);
    uint32_t second_low = (low - first) >> 21; // 11 bits
    uint32_t rest = high - (second_low << 11);
    uint32_t third = extended(rest, 22);
    uint32_t second_high = (uint32_t)((int32_t)(rest - third) >> 11);
    sums[0] += first;
    sums[1] += second_high + second_low;
    sums[2] += third;
}

static void sum_up(const job_t *job, const uint32_t *at, uint32_t sums[PARTS]) {
    const axis_t *lines = &job->layer->lines;
    const axis_t *places = &job->layer->places;
    const int32_t *weight = job->weights;
    uint32_t left = lines->kernel;
    sums[0] = sums[1] = sums[2] = 0;
    while (left != 0) {
        uint32_t n = left < job->layer->group ? left : job->layer->group;
        uint32_t low = 0, high = 0;
        left -= n;
        for (; n != 0; n--) {
            const uint32_t *x = at;
            for (const int32_t *end = weight + places->kernel; weight != end; weight++) {
                low += (uint32_t)*weight * x[0];
                high += (uint32_t)*weight * x[1];
                x += WORDS * places->dilation;
            }
            at += lines->dilation * job->words;
        }
        add_unpacked(low, high, sums);
    }
}

static int32_t scaled_short(uint32_t sum, const short_t *channel, const wb_scale_t *scale) {
    uint32_t factor = channel->factor_shift >> 5;
    uint32_t shift = channel->factor_shift & 31;
    // |sum| < 2^18, so the product does not wrap; the sum of all three is within 32 bits.
    int32_t fine = (int32_t)(sum * (factor & 0x1fff)) >> 13;
    uint32_t value = sum * (factor >> 13) + (uint32_t)fine + (uint32_t)channel->offset;
    if ((int32_t)value < (int32_t)zero_of(scale, factor, shift)) {
        value -= step_of(factor);
    }
    return wb_limited((int32_t)value >> shift, scale);
}

static void put(const job_t *job, uint32_t sum, uint8_t *out) {
    const wb_scale_t *scale = &job->layer->scale;
    int32_t value = scale->wide == WIDE
                        ? wb_scaled_wide((int32_t)sum, (const wb_wide_t *)job->channel, scale)
                        : scaled_short(sum, (const short_t *)job->channel, scale);
    *out = (uint8_t)value;
}

static void convolve(const job_t *job, uint8_t *out) {
    for (uint32_t i = 0; i < job->part; i++) {
        const uint32_t *at = job->packed + i * job->layer->lines.stride * job->words;
        uint8_t *to = out + i * job->out.line;
        for (uint32_t k = 0; k < job->layer->places.out; k++) {
            uint32_t sums[PARTS];
            sum_up(job, at, sums);
            for (uint32_t part = 0; part < PARTS; part++) {
                put(job, sums[part], to + job->starts[part] * job->out.line);
            }
            at += WORDS * job->layer->places.stride;
            to += job->out.place;
        }
    }
}

#endif

// ---- Run

static pitch_t pitch_of(const depthwise_t *layer, uint32_t lines, uint32_t places, uint32_t n) {
    pitch_t pitch;
    pitch.line = layer->turned ? n : n * places;
    pitch.place = layer->turned ? n * lines : n;
    return pitch;
}

static void prepare(job_t *job, const wb_call_t *call) {
    const depthwise_t *layer = depthwise_of(call);
    uint32_t width = reach(&layer->places, layer->places.out);
    uint32_t last;
    job->layer = layer;
    job->packed = (uint32_t *)(void *)call->operand[2].data;
    job->part = part_of(layer);
    job->words = WORDS * width;
    job->positions = width * reach(&layer->lines, job->part);
    job->weights = (int32_t *)(job->packed + WORDS * job->positions);
    last = layer->lines.out - job->part;
    job->starts[0] = 0;
    job->starts[1] = last < job->part ? last : job->part;
    job->starts[2] = last;
    job->out = pitch_of(layer, layer->lines.out, layer->places.out, n_channels(layer));
}

static void prepare_parts(parts_t *parts, const job_t *job) {
    const depthwise_t *layer = job->layer;
    const axis_t *lines = &layer->lines;
    const axis_t *places = &layer->places;
    uint32_t width = job->words / WORDS;
    uint32_t inside = width < places->before ? 0 : width - places->before;
    inside = inside < places->size ? inside : places->size;
    pitch_t pitch = pitch_of(layer, lines->size, places->size, layer->channels);
    parts->line = pitch.line;
    parts->place = pitch.place;
    parts->from = 0u - lines->before * pitch.line;
    parts->to_second = job->starts[1] * lines->stride * pitch.line;
    parts->to_third = job->starts[2] * lines->stride * pitch.line;
    parts->limit = lines->size * pitch.line;
    parts->packed = job->packed + WORDS * places->before;
    parts->length = inside * POSITION;
    parts->rest = (width - inside) * POSITION;
    parts->n_lines = inside == 0 ? 0 : reach(lines, job->part);
    parts->fill = (const uint8_t *)&layer->fill;
}

// Fills all positions with the padding; those of places outside of the input keep it.
static void fill(const job_t *job) {
    uint32_t value = (uint32_t)(int32_t)job->layer->fill;
    uint32_t *at = job->packed;
    for (const uint32_t *end = at + WORDS * job->positions; at != end; at += WORDS) {
        at[0] = packed_low(value, value);
        at[1] = packed_high(value, value);
    }
}

static void load_weights(const job_t *job, const int8_t *weights) {
    int32_t *to = job->weights;
    for (const int8_t *end = weights + n_taps(job->layer); weights != end; weights++) {
        *to++ = *weights;
    }
}

static void run(const wb_call_t *call) {
    job_t job;
    parts_t parts;
    prepare(&job, call);
    prepare_parts(&parts, &job);
    fill(&job);
    const depthwise_t *layer = job.layer;
    uint32_t scale_bytes = layer->scale.wide == WIDE ? sizeof(wb_wide_t) : sizeof(short_t);
    const uint8_t *channel = (const uint8_t *)(&layer->scale + 1);
    const uint8_t *weights = (const uint8_t *)&layer->scale + scale_size(layer);
    const uint8_t *x = call->operand[0].data;
    uint8_t *out = call->operand[1].data;
    #if defined(__ARM_ARCH_6M__)
    loops_t loops;
    prepare_loops(&loops, &job);
    #endif
    for (parts.x = x; parts.x != x + layer->channels; parts.x++) {
        if (parts.n_lines != 0) {
            pack(&parts);
        }
        for (uint32_t i = 0; i < layer->multiplier; i++) {
            load_weights(&job, (const int8_t *)weights);
            job.channel = channel;
            #if defined(__ARM_ARCH_6M__)
            load_channel(&loops, &job);
            loops.out = out;
            convolve(&loops);
            #else
            convolve(&job, out);
            #endif
            weights += n_taps(layer);
            channel += scale_bytes;
            out++;
        }
    }
}

// ---- Check

static int32_t axis_is_sound(const axis_t *axis) {
    return axis->size != 0 && axis->out != 0 && axis->kernel != 0 && axis->stride != 0 &&
           axis->dilation != 0;
}

// Both at most 0xffff.
static int32_t map_is_sound(uint32_t height, uint32_t width) {
    return height * width <= MAX_POSITIONS;
}

WB_COLD static int32_t head_is_sound(const depthwise_t *layer) {
    const axis_t *lines = &layer->lines;
    const axis_t *places = &layer->places;
    if (!axis_is_sound(lines) || !axis_is_sound(places) || layer->turned > 1 ||
        layer->group == 0 || layer->group > lines->kernel) {
        return 0;
    }
    uint32_t channels = n_channels(layer);
    uint32_t height = reach(lines, part_of(layer));
    uint32_t width = reach(places, places->out);
    return channels >= 1 && channels <= MAX_CHANNELS && height <= MAX_SIZE && width <= MAX_SIZE &&
           map_is_sound(lines->size, places->size) && map_is_sound(lines->out, places->out) &&
           map_is_sound(height, width);
}

WB_COLD static int32_t scale_is_sound(const depthwise_t *layer) {
    const wb_scale_t *scale = &layer->scale;
    if (scale->wide == WIDE) {
        return wb_scale_is_sound(scale, n_channels(layer));
    }
    return scale->wide == SHORT;
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const depthwise_t *layer = depthwise_of(call);
    const wb_operand_t *x = &call->operand[0];
    const wb_operand_t *out = &call->operand[1];
    const wb_operand_t *scratch = &call->operand[2];
    if (call->params_size < sizeof(depthwise_t) || !head_is_sound(layer) ||
        layer->scale.low > layer->scale.high) {
        return WB_BAD_PARAMS;
    }
    uint32_t head = sizeof(depthwise_t) - sizeof(wb_scale_t) + scale_size(layer);
    uint32_t weights = (n_channels(layer) * n_taps(layer) + 3) & ~3u;
    if (call->params_size != head + weights || !scale_is_sound(layer)) {
        return WB_BAD_PARAMS;
    }
    uint32_t positions =
        reach(&layer->lines, part_of(layer)) * reach(&layer->places, layer->places.out);
    uint32_t x_size = (uint32_t)layer->lines.size * layer->places.size * layer->channels;
    uint32_t out_size = (uint32_t)layer->lines.out * layer->places.out * n_channels(layer);
    if (call->n_inputs != 1 || call->n_operands != 3 || x->typecode != 'b' || x->size != x_size ||
        out->typecode != 'b' || out->size != out_size || scratch->typecode != 'i' ||
        scratch->size != 4 * (WORDS * positions + n_taps(layer))) {
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
