// 3 x 3 with strides of 1, for processors that multiply halves of words: a part of depthwise.c.
//
// A channel is copied to scratch as int16, with its padding. The outputs at an even place and
// behind it look at two words, four places, of each of three lines. Lines of the copy are rows of
// the map or its columns: the longer ones, if dilation allows it. The copy fits into scratch: with
// A = part_of(), d = lines.dilation and W = places.out + 2, that has 8 (A + 2 d) W bytes or more,
// and the copy 2 (3 A + 2 d) (W + 1) at most; W + 1 is at most 4 W / 3.

// The copy, and where it comes from.
typedef struct {
    const uint8_t *x;   // the current channel of the input
    uint32_t before;    // places of padding in front of a line
    uint32_t above;     // lines of padding
    uint32_t n_places;  // of the input, as many as are looked at
    uint32_t n_lines;   // the same
    uint32_t place;     // bytes of the input, from a place to the next
    uint32_t line_rest; // the same from behind n_places to the next line
    uint32_t pitch;     // places of a line of the copy, even
    uint32_t taps_line; // places from a line of taps to the next
    uint32_t lines;     // of the copy
    uint32_t out_places;
    uint32_t out_lines;
    uint32_t out_place; // bytes of the output, from a place to the next
    uint32_t out_line_rest;
    uint32_t rest;  // words of the copy, from behind the pairs of a line to the next
    uint32_t flipped; // its lines are the places
} copy_t;

static int32_t takes_pairs(const depthwise_t *layer) {
    return layer->lines.stride == 1 && layer->places.stride == 1;
}

// Positions of the input on an axis that outputs look at.
static uint32_t seen(const wb_axis_t *axis, uint32_t extent) {
    uint32_t n = axis->before < extent ? extent - axis->before : 0;
    return n < axis->size ? n : axis->size;
}

WB_COLD static void prepare_copy(copy_t *copy, const depthwise_t *layer) {
    const wb_axis_t *lines = &layer->lines;
    const wb_axis_t *places = &layer->places;
    uint32_t in = layer->channels;
    uint32_t out = n_channels(layer);
    // From a position to the next one of each axis, of the input and of the output.
    uint32_t line = layer->turned ? in : in * places->size;
    uint32_t place = layer->turned ? in * lines->size : in;
    uint32_t out_line = layer->turned ? out : out * places->out;
    uint32_t out_place = layer->turned ? out * lines->out : out;
    copy->flipped = lines->dilation == 1 && lines->out > places->out;
    if (copy->flipped) {
        const wb_axis_t *axis = lines;
        lines = places;
        places = axis;
        uint32_t step = line;
        line = place;
        place = step;
        step = out_line;
        out_line = out_place;
        out_place = step;
    }
    uint32_t width = reach(places, places->out);
    copy->lines = reach(lines, lines->out);
    copy->pitch = (width + 1) & ~1u;
    copy->taps_line = lines->dilation * copy->pitch;
    copy->before = places->before;
    copy->above = lines->before;
    copy->n_places = seen(places, width);
    copy->n_lines = seen(lines, copy->lines);
    copy->place = place;
    copy->line_rest = line - copy->n_places * place;
    copy->out_places = places->out;
    copy->out_lines = lines->out;
    copy->out_place = out_place;
    copy->rest = copy->pitch / 2 - places->out / 2;
    copy->out_line_rest = out_line - places->out * out_place;
}

static WB_APART void copy_channel(const copy_t *copy, int16_t *scratch) {
    const uint8_t *x = copy->x;
    uint32_t place = copy->place, quads = copy->n_places / 4, singles = copy->n_places & 3;
    uint32_t rest = copy->pitch - copy->n_places;
    int16_t *to = scratch + copy->above * copy->pitch + copy->before;
    for (uint32_t i = copy->n_lines; i != 0; i--) {
        for (uint32_t n = singles; n != 0; n--) {
            *to++ = *(const int8_t *)x;
            x += place;
        }
        #if defined(__XTENSA__)
        for (uint32_t n = quads; n != 0; n--) {
            to[0] = *(const int8_t *)x;
            to[1] = *(const int8_t *)(x + place);
            x += 2 * place;
            to[2] = *(const int8_t *)x;
            to[3] = *(const int8_t *)(x + place);
            x += 2 * place;
            to += 4;
        }
        #else
        uint32_t n = quads, first, second, third, fourth;
        __asm__ volatile(
            "cbz %[n], 2f\n"
            "1:\n"
            "ldrsb %[first], [%[x]]\n"
            "ldrsb %[second], [%[x], %[place]]\n"
            "ldrsb %[third], [%[x], %[place], lsl #1]\n"
            "add %[x], %[x], %[place], lsl #2\n"
            "ldrsb %[fourth], [%[x], %[back]]\n"
            "strh %[first], [%[to]], #8\n"
            "strh %[second], [%[to], #-6]\n"
            "strh %[third], [%[to], #-4]\n"
            "strh %[fourth], [%[to], #-2]\n"
            "subs %[n], #1\n"
            "bne 1b\n"
            "2:\n"
            : [to] "+r"(to), [x] "+r"(x), [n] "+l"(n), [first] "=&r"(first),
              [second] "=&r"(second), [third] "=&r"(third), [fourth] "=&r"(fourth)
            : [place] "r"(place), [back] "r"(0u - place)
            : "cc", "memory");
        #endif
        to += rest;
        x += (int32_t)copy->line_rest;
    }
}

// Weights i, j in a word.
static WB_INLINE uint32_t two(const int8_t *weights, uint32_t i, uint32_t j) {
    return ((uint32_t)weights[i] & 0xffffu) | (uint32_t)weights[j] << 16;
}

// Weights as sum_pair() takes them.
typedef struct {
    uint32_t words[6];
} taps_t;

#if defined(__XTENSA__)

#define SATURATE(value) __asm__("clamps %0, %0, 7" : "+r"(value))

// along: from a weight to the next one of a line; across: to the next line. The first two of each
// line, and the third ones.
static taps_t taps_of(const int8_t *w, uint32_t along, uint32_t across) {
    uint32_t third = 2 * along;
    taps_t taps = {{
        two(w, 0, along),
        two(w, across, across + along),
        two(w, 2 * across, 2 * across + along),
        two(w, third, third + across),
        (uint32_t)w[third + 2 * across],
        0,
    }};
    return taps;
}

// Registers that the compiler does not use hold the first four words.
static WB_INLINE void keep_taps(const taps_t *taps) {
    __asm__ volatile("wsr %0, m0\n"
                     "wsr %1, m1\n"
                     "wsr %2, m2\n"
                     "wsr %3, m3\n"
                     :
                     : "r"(taps->words[0]), "r"(taps->words[1]), "r"(taps->words[2]),
                       "r"(taps->words[3]));
}

// The sums of an even place and the one behind it. line: words from a line of taps to the next.
static WB_INLINE void sum_pair(
    const uint32_t *at, uint32_t line, const taps_t *taps, uint32_t *even, uint32_t *odd) {
    const uint32_t *second = at + line, *third = second + line;
    uint32_t x0 = at[0], x1 = at[1], y0 = second[0], y1 = second[1], z0 = third[0], z1 = third[1];
    __asm__ volatile(
        "mul.da.ll m0, %[x0]\n"
        "mula.da.hh m0, %[x0]\n"
        "mula.ad.ll %[x1], m3\n"
        "mula.da.ll m1, %[y0]\n"
        "mula.da.hh m1, %[y0]\n"
        "mula.ad.lh %[y1], m3\n"
        "mula.ad.ll %[z0], m2\n"
        "mula.ad.hh %[z0], m2\n"
        "mula.aa.ll %[w], %[z1]\n"
        "rsr %[even], acclo\n"
        "mul.da.lh m0, %[x0]\n"
        "mula.da.hl m0, %[x1]\n"
        "mula.ad.hl %[x1], m3\n"
        "mula.da.lh m1, %[y0]\n"
        "mula.da.hl m1, %[y1]\n"
        "mula.ad.hh %[y1], m3\n"
        "mula.ad.hl %[z0], m2\n"
        "mula.ad.lh %[z1], m2\n"
        "mula.aa.lh %[w], %[z1]\n"
        "rsr %[odd], acclo\n"
        : [even] "=&r"(*even), [odd] "=r"(*odd)
        : [x0] "r"(x0), [x1] "r"(x1), [y0] "r"(y0), [y1] "r"(y1), [z0] "r"(z0), [z1] "r"(z1),
          [w] "r"(taps->words[4])
        : "acc");
}

#else

#define SATURATE(value) __asm__("ssat %0, #8, %0" : "+r"(value))

// along: from a weight to the next one of a line; across: to the next line. Of each line, the
// first two and the last two.
static taps_t taps_of(const int8_t *w, uint32_t along, uint32_t across) {
    taps_t taps;
    for (uint32_t i = 0; i < 6; i += 2) {
        taps.words[i] = two(w, 0, along);
        taps.words[i + 1] = two(w, along, 2 * along);
        w += across;
    }
    return taps;
}

static WB_INLINE void keep_taps(const taps_t *taps) {
    (void)taps;
}

// The sums of an even place and the one behind it. line: words from a line of taps to the next.
static WB_INLINE void sum_pair(
    const uint32_t *at, uint32_t line, const taps_t *taps, uint32_t *even, uint32_t *odd) {
    const uint32_t *last;
    uint32_t first, second;
    __asm__("ldrd %[x0], %[x1], [%[at]]\n"
            "add %[last], %[at], %[line]\n"
            "smuad %[even], %[x0], %[w0]\n"
            "smultb %[odd], %[x0], %[w0]\n"
            "smlabt %[even], %[x1], %[w1], %[even]\n"
            "smlad %[odd], %[x1], %[w1], %[odd]\n"
            "ldrd %[x0], %[x1], [%[last]]\n"
            "add %[last], %[last], %[line]\n"
            "smlad %[even], %[x0], %[w2], %[even]\n"
            "smlatb %[odd], %[x0], %[w2], %[odd]\n"
            "smlabt %[even], %[x1], %[w3], %[even]\n"
            "smlad %[odd], %[x1], %[w3], %[odd]\n"
            "ldrd %[x0], %[x1], [%[last]]\n"
            "smlad %[even], %[x0], %[w4], %[even]\n"
            "smlatb %[odd], %[x0], %[w4], %[odd]\n"
            "smlabt %[even], %[x1], %[w5], %[even]\n"
            "smlad %[odd], %[x1], %[w5], %[odd]\n"
            : [even] "=&r"(*even), [odd] "=&r"(*odd), [x0] "=&r"(first), [x1] "=&r"(second),
              [last] "=&r"(last)
            : [at] "r"(at), [line] "r"(4 * line), [w0] "r"(taps->words[0]),
              [w1] "r"(taps->words[1]), [w2] "r"(taps->words[2]), [w3] "r"(taps->words[3]),
              [w4] "r"(taps->words[4]), [w5] "r"(taps->words[5])
            : "memory");
}

#endif

// An output from its sum. whole: its limits are those of int8, and offset takes account of low.
static WB_INLINE uint8_t pair_output(const rule_t *rule, uint32_t sum, int32_t whole) {
    uint32_t value = risen(rule, sum);
    if (!whole) {
        return cut(rule, value);
    }
    int32_t limited = (int32_t)value >> (rule->shift & 31);
    SATURATE(limited);
    return (uint8_t)limited;
}

static WB_INLINE void convolve_map(
    const copy_t *copy, const loops_t *loops, const uint32_t *at, const taps_t *given,
    const rule_t *rule, int32_t whole) {
    const taps_t taps = *given;
    const uint32_t line = copy->taps_line / 2, out_place = copy->out_place;
    const uint32_t words = copy->out_places / 2;
    uint8_t *out = loops->out;
    uint32_t even, odd;
    keep_taps(&taps);
    for (uint32_t i = copy->out_lines; i != 0; i--) {
        for (const uint32_t *end = at + words; at != end; at++) {
            sum_pair(at, line, &taps, &even, &odd);
            out[0] = pair_output(rule, even, whole);
            out[out_place] = pair_output(rule, odd, whole);
            out += 2 * out_place;
        }
        if (copy->out_places & 1) {
            sum_pair(at, line, &taps, &even, &odd);
            *out = pair_output(rule, even, whole);
            out += out_place;
        }
        at += copy->rest;
        out += (int32_t)copy->out_line_rest;
    }
}

static WB_APART void convolve_limited(
    const copy_t *copy, const loops_t *loops, const uint32_t *at, const taps_t *taps) {
    const rule_t rule = rule_of(loops);
    convolve_map(copy, loops, at, taps, &rule, 0);
}

#if defined(__XTENSA__)

static WB_APART void convolve_whole(
    const copy_t *copy, const loops_t *loops, const uint32_t *at, const taps_t *taps) {
    rule_t rule = rule_of(loops);
    rule.offset += rule.low << rule.shift;
    convolve_map(copy, loops, at, taps, &rule, 1);
}

#else

// What convolve_channel() needs. Weights, and so sums, are twice as large there: with a factor of
// coarse 2^14 + fine, floor(sum * factor / 2^13) is then 2 sum * coarse, which is exact, and the
// high half of 2 sum * fine 2^18.
typedef struct {
    uint32_t coarse;
    uint32_t fine; // times 2^18
    uint32_t offset;
    uint32_t shift;
    uint32_t line;   // bytes of the copy, from a line of taps to the next
    uint32_t weight; // the first word
    uint32_t out_place;
    uint32_t end;   // of the pairs of a line, set there
    uint32_t pairs; // of a line, bytes of the copy
    uint32_t odd;   // 1: a single place behind them
    uint32_t out_line_rest;
    uint32_t rest;     // bytes of the copy
    uint32_t lines;    // left
    uint32_t weights[5];
    const uint32_t *at;
    uint8_t *out;
} channel_t;

// The sum of an even place in r10, of the odd one behind it in r11.
#define SUM_PAIR \
    "ldrd r1, r4, [sp, #16]\n" \
    "add r12, r0, r1\n" \
    "ldrd r2, r3, [r0], #4\n" \
    "smuad r10, r2, r4\n" \
    "smultb r11, r2, r4\n" \
    "smlabt r10, r3, r5, r10\n" \
    "smlad r11, r3, r5, r11\n" \
    "ldrd r2, r3, [r12]\n" \
    "add r12, r1\n" \
    "smlad r10, r2, r6, r10\n" \
    "smlatb r11, r2, r6, r11\n" \
    "smlabt r10, r3, r7, r10\n" \
    "smlad r11, r3, r7, r11\n" \
    "ldrd r2, r3, [r12]\n" \
    "smlad r10, r2, r8, r10\n" \
    "smlatb r11, r2, r8, r11\n" \
    "smlabt r10, r3, r9, r10\n" \
    "smlad r11, r3, r9, r11\n"

// All outputs of a channel.
//
// r0: the copy, r5 to r9: weights, lr: the output; on the stack what channel_t has up to lines.
__attribute__((naked, noinline)) static void convolve_channel(
    const channel_t *channel __attribute__((unused))) {
    __asm__(
        "push {r4-r11, lr}\n"
        "sub sp, #52\n"
        "ldm r0!, {r1-r7}\n"
        "stm sp, {r1-r7}\n"
        "ldm r0!, {r1-r6}\n"
        "add r7, sp, #28\n"
        "stm r7, {r1-r6}\n"
        "ldm r0, {r5-r9, r10, lr}\n"
        "mov r0, r10\n"
        "1:\n"
        "ldr r2, [sp, #32]\n"
        "cmp r2, #0\n"
        "beq 3f\n"
        "add r2, r0\n"
        "str r2, [sp, #28]\n"
        "2:\n"
        SUM_PAIR
        "ldm sp, {r1, r2, r3, r12}\n"
        "smmla r4, r10, r2, r3\n"
        "mla r10, r10, r1, r4\n"
        "smmla r4, r11, r2, r3\n"
        "mla r11, r11, r1, r4\n"
        "ldrd r1, r2, [sp, #24]\n"
        "asr r10, r10, r12\n"
        "asr r11, r11, r12\n"
        "ssat r10, #8, r10\n"
        "ssat r11, #8, r11\n"
        "strb r10, [lr]\n"
        "strb r11, [lr, r1]\n"
        "add lr, lr, r1, lsl #1\n"
        "cmp r0, r2\n"
        "bne 2b\n"
        "3:\n"
        "ldr r2, [sp, #36]\n"
        "cmp r2, #0\n"
        "beq 4f\n"
        SUM_PAIR
        "sub r0, #4\n"
        "ldm sp, {r1, r2, r3, r12}\n"
        "smmla r4, r10, r2, r3\n"
        "mla r10, r10, r1, r4\n"
        "ldr r1, [sp, #24]\n"
        "asr r10, r10, r12\n"
        "ssat r10, #8, r10\n"
        "strb r10, [lr]\n"
        "add lr, r1\n"
        "4:\n"
        "add r4, sp, #40\n"
        "ldm r4, {r1, r2, r3}\n"
        "add lr, r1\n"
        "add r0, r2\n"
        "subs r3, #1\n"
        "str r3, [sp, #48]\n"
        "bne 1b\n"
        "add sp, #52\n"
        "pop {r4-r11, pc}\n");
}

// Both halves of a word of weights times 2.
static WB_INLINE uint32_t doubled(uint32_t word) {
    return (word << 1) & ~0x10000u;
}

static WB_APART void convolve_whole(
    const copy_t *copy, const loops_t *loops, const uint32_t *at, const taps_t *taps) {
    const rule_t rule = rule_of(loops);
    uint32_t factor = (rule.coarse << 13) + rule.fine;
    channel_t channel;
    channel.coarse = (factor + (1u << 13)) >> 14;
    channel.fine = (factor - (channel.coarse << 14)) << 18;
    channel.offset = rule.offset + (rule.low << rule.shift);
    channel.shift = rule.shift;
    channel.line = copy->taps_line * 2;
    channel.weight = doubled(taps->words[0]);
    channel.out_place = copy->out_place;
    channel.pairs = copy->out_places / 2 * 4;
    channel.odd = copy->out_places & 1;
    channel.out_line_rest = copy->out_line_rest;
    channel.rest = copy->rest * 4;
    channel.lines = copy->out_lines;
    for (uint32_t i = 0; i < 5; i++) {
        channel.weights[i] = doubled(taps->words[i + 1]);
    }
    channel.at = at;
    channel.out = loops->out;
    convolve_channel(&channel);
}

#endif

static WB_APART void run_pairs(const wb_call_t *call) {
    const depthwise_t *layer = depthwise_of(call);
    int16_t *scratch = (int16_t *)(void *)call->operand[2].data;
    copy_t copy;
    loops_t loops;
    prepare_copy(&copy, layer);
    prepare_scale(&loops, layer);
    int16_t *end = scratch + copy.lines * copy.pitch;
    for (int16_t *to = scratch; to != end; to++) {
        *to = layer->fill;
    }
    copy.x = call->operand[0].data;
    loops.out = call->operand[1].data;
    const uint8_t *channel = (const uint8_t *)(&layer->scale + 1);
    const int8_t *weights = (const int8_t *)(channel + layer->channels * sizeof(short_t));
    for (uint32_t i = layer->channels; i != 0; i--) {
        copy_channel(&copy, scratch);
        taps_t taps = taps_of(weights, copy.flipped ? 3 : 1, copy.flipped ? 1 : 3);
        load_scale(&loops, channel);
        const uint32_t *at = (const uint32_t *)(const void *)scratch;
        if (loops.range == UINT8_MAX) {
            convolve_whole(&copy, &loops, at, &taps);
        } else {
            convolve_limited(&copy, &loops, at, &taps);
        }
        copy.x++;
        loops.out++;
        weights += 9;
        channel += sizeof(short_t);
    }
}
