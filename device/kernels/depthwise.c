// Depthwise convolution, int8: every channel by itself.
// host/wingbeat/reference/depthwise.py defines the result; SPEC.md, "Depthwise", has the bytes and
// shows that the packed sums below are exact.
//
// operand 0: input, int8 [height, width, channels]
// operand 1: output, int8 [out height, out width, channels * multiplier]
// operand 2: scratch: packed positions of a channel, and its weights as words
//
// depthwise_armv6m.h and depthwise_packed.h have the loops. Where a processor multiplies halves of
// words and adds up, depthwise_pairs.h does 3 x 3 layers of strides 1 in another way.
//
// The map is cut into three parts of equal size along its lines. A position of the three is packed
// into two words, x0 + 2^21 x1 and x2 + 2^11 x1, so that two products make a tap of three outputs.
//
// Compiled twice, so that a module carries only what its model needs:
//   without defines   any layer
//   DEPTHWISE_3X3     3 x 3, no dilation of the places, multiplier 1, short scale with ReLU, outputs
//                     of -128 to 127
#include "kernels/axis.h"
#include "kernels/kernel.h"
#include "kernels/operands.h"
#include "kernels/scale.h"

#define MAX_POSITIONS 0xfffffu
#define MAX_SIZE 0xffffu
#define MAX_CHANNELS 4095u
#define PARTS 3u
#define WORDS 2u    // of a packed position
#define POSITION 8u // bytes of a packed position
#define WIDE 1u // forms of the scale
#define SHORT 2u

typedef struct {
    wb_axis_t lines;      // the axis that is cut
    wb_axis_t places;     // positions in a line
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

// What `pack` needs. All but pointers and n_lines in bytes.
typedef struct {
    const uint8_t *x;   // the current channel of the input
    uint32_t from;      // from x to the first part's first line, or to where that would be
    uint32_t to_second; // from a line of the first part to the one of the second
    uint32_t to_third;
    uint32_t limit;  // from x to behind the last line
    uint32_t line;   // from a line to the next
    uint32_t place;  // from a place to the next
    uint8_t *packed; // the first place that is not padding
    uint32_t length; // packed, of the places of a line that are not padding
    uint32_t rest;   // packed, from behind them to those of the next line
    const uint8_t *fill;
    uint32_t line_rest; // from behind the places of a line to the next line
    uint32_t pitch;     // packed, from a line to the next
    uint8_t *end;       // packed, behind the places of the last line
} parts_t;

// What `convolve` needs: the first part is copied to the stack, the rest is kept in registers.
// Steps to what follows behind something can be negative, modulo 2^32. The inner loop is the one
// over more outputs: over the places of a line, or over the lines at a place, which then have the
// other's name here.
typedef struct {
    int32_t weights[9]; // of a 3 x 3 kernel
    uint32_t coarse;    // the factor's high part
    uint32_t shift;     // | SIGNED, or WIDE_FORM
    uint32_t second;    // from an output of the first part to the one of the second
    uint32_t third;
    uint32_t out_place;  // from an output to the next
    const uint8_t *last; // the end of the last line
    uint32_t line;       // packed, from a line of outputs to the next
    uint32_t line_rest;  // the same from behind its places
    uint32_t out_rest;   // from behind the outputs of a line to the next
    #if !defined(DEPTHWISE_3X3)
    uint32_t back;       // 3 x 3: from behind the last taps to the first ones of the next place
    const uint8_t *end;  // of the places of a line if it is 3 x 3, else 0
    const uint8_t *any;  // the same, always
    int32_t *words;      // weights
    uint32_t run_bytes;  // of the weights of a run of taps
    uint32_t runs;       // in a group
    uint32_t groups;
    uint32_t last_runs; // in the last group
    uint32_t skipped;   // code of the taps that the first turn of a loop leaves out
    uint32_t run_rest;  // from behind the last tap of a run to the first of the next
    uint32_t place;     // packed, from a place to the next
    uint32_t positive;  // added to values of 0 and above, if signed
    uint32_t negative;  // added to the others
    #endif
    uint32_t step;   // r8: from behind a run of a 3 x 3 kernel to the next, else between taps
    uint32_t fine;   // r9: the factor's low part
    uint32_t offset; // r10
    #if defined(DEPTHWISE_3X3)
    uint32_t back;      // r11
    const uint8_t *any; // r12
    #else
    uint32_t range; // r11: high - low
    uint32_t low;   // r12
    #endif
    const uint8_t *at; // r0: packed
    uint8_t *out;      // lr
    #if defined(DEPTHWISE_3X3)
    uint32_t range;
    uint32_t low;
    uint32_t place;
    int32_t *words;
    #endif
    const wb_wide_t *wide;
    const wb_scale_t *scale;
} loops_t;

#define SIGNED 32u
#define WIDE_FORM 64u

static const depthwise_t *depthwise_of(const wb_call_t *call) {
    return (const depthwise_t *)(const void *)call->params;
}

#if defined(DEPTHWISE_3X3)

static uint32_t n_taps(const depthwise_t *layer) {
    (void)layer;
    return 9;
}

static uint32_t multiplier_of(const depthwise_t *layer) {
    (void)layer;
    return 1;
}

static uint32_t channel_size(const depthwise_t *layer) {
    (void)layer;
    return sizeof(short_t);
}

#else

static uint32_t n_taps(const depthwise_t *layer) {
    return (uint32_t)layer->lines.kernel * layer->places.kernel;
}

static uint32_t multiplier_of(const depthwise_t *layer) {
    return layer->multiplier;
}

static uint32_t channel_size(const depthwise_t *layer) {
    return layer->scale.wide == WIDE ? sizeof(wb_wide_t) : sizeof(short_t);
}

#endif

static uint32_t n_channels(const depthwise_t *layer) {
    return layer->channels * multiplier_of(layer);
}

// Positions that a number of neighbouring outputs look at.
static uint32_t reach(const wb_axis_t *axis, uint32_t outputs) {
    return (outputs - 1) * axis->stride + (axis->kernel - 1u) * axis->dilation + 1;
}

// Lines of the output in a part.
static uint32_t part_of(const depthwise_t *layer) {
    return ((layer->lines.out + PARTS - 1) * 43691u) >> 17; // a division by 3, below 2^17
}

static uint32_t packed_low(uint32_t x0, uint32_t x1) {
    return x0 + (x1 << 21);
}

static uint32_t packed_high(uint32_t x2, uint32_t x1) {
    return x2 + (x1 << 11);
}

// ---- Loops

#if defined(__ARM_ARCH_6M__)

#include "kernels/depthwise_armv6m.h"

#else

#define ANY_TAP_BYTES 0u
#include "kernels/depthwise_packed.h"

#endif

// ---- Run

static void prepare_scale(loops_t *loops, const depthwise_t *layer) {
    loops->scale = &layer->scale;
    loops->low = (uint32_t)(int32_t)layer->scale.low;
    loops->range = (uint32_t)(layer->scale.high - layer->scale.low);
}

// All that the parameters say but for the scale.
WB_COLD static void prepare(
    parts_t *parts, loops_t *loops, const depthwise_t *layer, uint8_t *scratch) {
    const wb_axis_t *lines = &layer->lines;
    const wb_axis_t *places = &layer->places;
    uint32_t pitch = reach(places, places->out) * POSITION;
    uint32_t n_lines = part_of(layer);
    uint32_t n_places = places->out;
    uint32_t third = lines->out - n_lines;
    uint32_t second = third < n_lines ? third : n_lines;
    uint32_t in = layer->channels;
    uint32_t out = n_channels(layer);
    uint32_t out_line = layer->turned ? out : out * places->out;
    uint32_t size = reach(lines, n_lines) * pitch; // packed
    parts->line = layer->turned ? in : in * places->size;
    parts->place = layer->turned ? in * lines->size : in;
    parts->from = 0u - lines->before * parts->line;
    parts->limit = lines->size * parts->line;
    parts->to_second = second * lines->stride * parts->line;
    parts->to_third = third * lines->stride * parts->line;
    parts->fill = (const uint8_t *)&layer->fill;
    uint32_t padding = places->before * POSITION;
    uint32_t length = padding < pitch ? pitch - padding : 0;
    if (length > places->size * POSITION) {
        length = places->size * POSITION;
    }
    parts->packed = scratch + padding;
    parts->length = length;
    parts->rest = pitch - length;
    parts->line_rest = parts->line - length / POSITION * parts->place;
    parts->pitch = pitch;
    parts->end = parts->packed + (size - pitch + length);

    uint32_t line = lines->dilation * pitch; // between lines of taps
    loops->line = lines->stride * pitch;
    loops->place = places->stride * POSITION;
    loops->second = second * out_line;
    loops->third = third * out_line;
    loops->out_place = layer->turned ? out * lines->out : out;
    if (n_lines > n_places) {
        uint32_t other = loops->line;
        loops->line = loops->place;
        loops->place = other;
        other = out_line;
        out_line = loops->out_place;
        loops->out_place = other;
        other = n_lines;
        n_lines = n_places;
        n_places = other;
    }
    loops->at = scratch;
    loops->words = loops->weights;
    #if !defined(DEPTHWISE_3X3)
    uint32_t tap = places->dilation * POSITION;
    loops->runs = layer->group;
    loops->run_bytes = places->kernel * 4u;
    loops->groups = 1;
    loops->last_runs = lines->kernel;
    while (loops->last_runs > loops->runs) {
        loops->last_runs -= loops->runs;
        loops->groups++;
    }
    if (pitch == POSITION && loops->groups == 1) {
        // A single place: taps of the lines follow each other like those of the places.
        tap = line;
        loops->run_bytes = loops->last_runs * 4;
        loops->last_runs = 1;
    }
    uint32_t run_taps = loops->run_bytes / 4;
    loops->step = tap - POSITION;
    loops->skipped = (0u - run_taps) % 4 * ANY_TAP_BYTES;
    loops->run_rest = line - run_taps * tap;
    if (loops->last_runs != 3 || loops->groups != 1 || run_taps != 3 || tap != POSITION) {
        loops->words = (int32_t *)(void *)(scratch + size);
    } else
    #endif
    {
        loops->step = line - 3 * POSITION;
        loops->back = loops->place - 2 * line - 3 * POSITION;
    }
    loops->line_rest = loops->line - n_places * loops->place;
    loops->out_rest = out_line - n_places * loops->out_place;
    loops->any = scratch + n_places * loops->place;
    loops->last = loops->any + (n_lines - 1) * loops->line;
    #if !defined(DEPTHWISE_3X3)
    loops->end = loops->words == loops->weights ? loops->any : 0;
    #endif
}

// Fills all positions with the padding; those of places outside of the input keep it.
WB_COLD static void fill(const depthwise_t *layer, uint8_t *scratch, uint32_t size) {
    uint32_t value = (uint32_t)(int32_t)layer->fill;
    uint32_t *at = (uint32_t *)(void *)scratch;
    for (const uint32_t *end = at + size / 4; at != end; at += WORDS) {
        at[0] = packed_low(value, value);
        at[1] = packed_high(value, value);
    }
}

static void load_weights(int32_t *to, const int8_t *weights, uint32_t n) {
    for (const int8_t *end = weights + n; weights != end; weights++) {
        *to++ = *weights;
    }
}

#if !defined(DEPTHWISE_3X3)

// The smallest power of two above a factor, over 2^13.
static uint32_t step_of(uint32_t factor) {
    for (uint32_t shift = 1; shift != 32; shift <<= 1) {
        factor |= factor >> shift;
    }
    return (factor + 1) >> 13;
}

// Where negative values are rounded the other way, and not cut.
static void load_signed(loops_t *loops, uint32_t factor, uint32_t shift) {
    uint32_t step = step_of(factor);
    uint32_t half = (1u << shift) >> 1;
    uint32_t zero = ((uint32_t)(int32_t)loops->scale->zero_point << shift) + half + (step >> 2);
    uint32_t low = loops->low << shift;
    loops->shift = shift | SIGNED;
    loops->offset += low - zero;
    loops->positive = zero - low;
    loops->negative = zero - low - step;
}

#endif

static void load_scale(loops_t *loops, const uint8_t *channel) {
    #if !defined(DEPTHWISE_3X3)
    if (loops->scale->wide == WIDE) {
        loops->wide = (const wb_wide_t *)(const void *)channel;
        loops->shift = WIDE_FORM;
        return;
    }
    #endif
    const short_t *number = (const short_t *)(const void *)channel;
    uint32_t factor = number->factor_shift >> 5;
    uint32_t shift = number->factor_shift & 31;
    loops->fine = factor & 0x1fff;
    loops->coarse = factor >> 13;
    loops->shift = shift;
    loops->offset = (uint32_t)number->offset - (loops->low << shift);
    #if !defined(DEPTHWISE_3X3)
    if (loops->scale->low < loops->scale->zero_point) {
        load_signed(loops, factor, shift);
    }
    #endif
}

// A processor that multiplies halves of words.
#if defined(DEPTHWISE_3X3) && (defined(__ARM_FEATURE_DSP) || defined(__XTENSA__))
#define HALF_WORDS
#include "kernels/depthwise_pairs.h"
#endif

static void run(const wb_call_t *call) {
    const depthwise_t *layer = depthwise_of(call);
    #if defined(HALF_WORDS)
    if (takes_pairs(layer)) {
        run_pairs(call);
        return;
    }
    #endif
    uint8_t *scratch = call->operand[2].data;
    uint32_t taps = n_taps(layer);
    parts_t parts;
    loops_t loops;
    prepare(&parts, &loops, layer, scratch);
    prepare_scale(&loops, layer);
    fill(layer, scratch, call->operand[2].size - 4 * taps);
    parts.x = call->operand[0].data;
    loops.out = call->operand[1].data;
    const uint8_t *channel = (const uint8_t *)(&layer->scale + 1);
    const uint8_t *weights = channel + n_channels(layer) * channel_size(layer);
    for (uint32_t i = layer->channels; i != 0; i--) {
        if (parts.length != 0) {
            pack(&parts);
        }
        parts.x++;
        for (uint32_t k = multiplier_of(layer); k != 0; k--) {
            load_weights(loops.words, (const int8_t *)weights, taps);
            load_scale(&loops, channel);
            convolve(&loops);
            loops.out++;
            weights += taps;
            channel += channel_size(layer);
        }
    }
}

// ---- Check

// Positions that all outputs look at, or more than MAX_SIZE if the axis is unsound.
WB_COLD static uint32_t sound_reach(const wb_axis_t *axis, uint32_t outputs) {
    return wb_axis_is_sound(axis) ? reach(axis, outputs) : MAX_SIZE + 1;
}

// Whether a map has at most so many positions; both 0xffff at most.
static int32_t is_map(uint32_t height, uint32_t width) {
    return height * width <= MAX_POSITIONS;
}

#if defined(DEPTHWISE_3X3)

static int32_t form_is_sound(const depthwise_t *layer) {
    return layer->lines.kernel == 3 && layer->places.kernel == 3 &&
           layer->places.dilation == 1 && layer->multiplier == 1 && layer->group == 3 &&
           layer->scale.wide == SHORT && layer->scale.zero_point == INT8_MIN &&
           layer->scale.low == INT8_MIN && layer->scale.high == INT8_MAX;
}

#else

static int32_t form_is_sound(const depthwise_t *layer) {
    return layer->scale.wide == WIDE ? wb_scale_is_sound(&layer->scale, n_channels(layer))
                                     : layer->scale.wide == SHORT;
}

#endif

WB_COLD static int32_t check(const wb_call_t *call) {
    const depthwise_t *layer = depthwise_of(call);
    if (call->params_size < sizeof(depthwise_t)) {
        return WB_BAD_PARAMS;
    }
    const wb_axis_t *lines = &layer->lines;
    const wb_axis_t *places = &layer->places;
    uint32_t in = layer->channels;
    uint32_t channels = n_channels(layer);
    uint32_t taps = n_taps(layer);
    uint32_t height = sound_reach(lines, part_of(layer));
    uint32_t width = sound_reach(places, places->out);
    if (height > MAX_SIZE || width > MAX_SIZE || !is_map(height, width) ||
        !is_map(lines->size, places->size) || !is_map(lines->out, places->out) ||
        channels - 1 >= MAX_CHANNELS || layer->turned > 1 ||
        layer->group - 1u >= lines->kernel || layer->scale.low > layer->scale.high) {
        return WB_BAD_PARAMS;
    }
    uint32_t weights = (channels * taps + 3) & ~3u;
    if (call->params_size != sizeof(depthwise_t) + channels * channel_size(layer) + weights ||
        !form_is_sound(layer)) {
        return WB_BAD_PARAMS;
    }
    if (call->n_inputs != 1 || call->n_operands != 3 ||
        !wb_is_operand(&call->operand[0], 'b', in * lines->size * places->size) ||
        !wb_is_operand(&call->operand[1], 'b', channels * lines->out * places->out) ||
        !wb_is_operand(&call->operand[2], 'i', 4 * (WORDS * height * width + taps))) {
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
