// The loops of depthwise.c in C, which define what others compute: a part of that file.

static uint32_t value_at(const uint8_t *x) {
    return (uint32_t)(int32_t)*(const int8_t *)x;
}

// The first input of a line, or the padding, which takes no step.
static inline const uint8_t *line_at(const parts_t *parts, uint32_t offset, uint32_t *step) {
    int32_t inside = offset < parts->limit;
    *step = inside ? parts->place : 0;
    return inside ? parts->x + offset : parts->fill;
}

// Packs a channel of the input.
static WB_APART void pack(const parts_t *parts) {
    uint32_t *at = (uint32_t *)(void *)parts->packed;
    uint32_t length = parts->length / 4;
    uint32_t rest = parts->rest / 4;
    uint32_t first = parts->from;
    for (;;) {
        uint32_t step0, step1, step2;
        const uint8_t *x0 = line_at(parts, first, &step0);
        const uint8_t *x1 = line_at(parts, first + parts->to_second, &step1);
        const uint8_t *x2 = line_at(parts, first + parts->to_third, &step2);
        for (const uint32_t *end = at + length; at != end; at += WORDS) {
            uint32_t middle = value_at(x1);
            at[0] = packed_low(value_at(x0), middle);
            at[1] = packed_high(value_at(x2), middle);
            x0 += step0;
            x1 += step1;
            x2 += step2;
        }
        if (at == (const uint32_t *)(const void *)parts->end) {
            return;
        }
        at += rest;
        first += parts->line;
    }
}

static inline uint32_t extended(uint32_t value, uint32_t bits) {
    return (uint32_t)((int32_t)(value << (32 - bits)) >> (32 - bits));
}

// Takes three sums within 2^20 from what was packed.
static WB_INLINE void unpack(uint32_t low, uint32_t high, uint32_t sums[PARTS]) {
    sums[0] = extended(low, 21);
    uint32_t second_low = (low - sums[0]) >> 21; // 11 bits
    uint32_t rest = high - (second_low << 11);
    sums[2] = extended(rest, 22);
    sums[1] = (uint32_t)((int32_t)(rest - sums[2]) >> 11) + second_low;
}

// What makes an output of a sum in the short form.
typedef struct {
    uint32_t fine;
    uint32_t coarse;
    uint32_t offset;
    uint32_t shift;
    int32_t range;
    uint32_t low;
} rule_t;

static inline rule_t rule_of(const loops_t *loops) {
    rule_t rule = {loops->fine, loops->coarse, loops->offset, loops->shift, (int32_t)loops->range,
                   loops->low};
    return rule;
}

static WB_INLINE uint32_t risen(const rule_t *rule, uint32_t sum) {
    // |sum| < 2^18, so the product does not wrap; the sum of all three is within 32 bits.
    uint32_t fine = (uint32_t)((int32_t)(sum * rule->fine) >> 13);
    return sum * rule->coarse + fine + rule->offset;
}

static WB_INLINE uint8_t cut(const rule_t *rule, uint32_t value) {
    int32_t above = (int32_t)value >> (rule->shift & 31);
    if ((uint32_t)above > (uint32_t)rule->range) {
        above = above < 0 ? 0 : rule->range;
    }
    return (uint8_t)((uint32_t)above + rule->low);
}

#if !defined(DEPTHWISE_3X3)

static WB_APART void sum_up(const loops_t *loops, const uint8_t *at, uint32_t sums[PARTS]) {
    const int32_t *weight = loops->words;
    const uint32_t step = POSITION + loops->step, run = loops->run_bytes / 4;
    const int32_t rest = (int32_t)loops->run_rest;
    sums[0] = sums[1] = sums[2] = 0;
    for (uint32_t group = loops->groups; group != 0; group--) {
        uint32_t low = 0, high = 0;
        for (uint32_t runs = group == 1 ? loops->last_runs : loops->runs; runs != 0; runs--) {
            for (const int32_t *end = weight + run; weight != end; weight++) {
                const uint32_t *x = (const uint32_t *)(const void *)at;
                low += (uint32_t)*weight * x[0];
                high += (uint32_t)*weight * x[1];
                at += step;
            }
            at += rest;
        }
        uint32_t more[PARTS];
        unpack(low, high, more);
        sums[0] += more[0];
        sums[1] += more[1];
        sums[2] += more[2];
    }
}

#endif

static WB_INLINE uint8_t output(const loops_t *loops, const rule_t *rule, uint32_t sum) {
    #if defined(DEPTHWISE_3X3)
    (void)loops;
    return cut(rule, risen(rule, sum));
    #else
    if (loops->shift == WIDE_FORM) {
        return (uint8_t)wb_scaled_wide((int32_t)sum, loops->wide, loops->scale);
    }
    uint32_t value = risen(rule, sum);
    if (loops->shift & SIGNED) {
        value += (int32_t)value < 0 ? loops->negative : loops->positive;
    }
    return cut(rule, value);
    #endif
}

#if !defined(DEPTHWISE_3X3)

// All outputs of a channel.
static WB_APART void convolve_any(const loops_t *loops) {
    const rule_t rule = rule_of(loops);
    const uint8_t *at = loops->at;
    const uint8_t *end = loops->any;
    uint8_t *out = loops->out;
    for (;;) {
        uint32_t sums[PARTS];
        sum_up(loops, at, sums);
        out[0] = output(loops, &rule, sums[0]);
        out[loops->second] = output(loops, &rule, sums[1]);
        out[loops->third] = output(loops, &rule, sums[2]);
        at += loops->place;
        out += loops->out_place;
        if (at == end) {
            if (end == loops->last) {
                return;
            }
            at += (int32_t)loops->line_rest;
            end += loops->line;
            out += (int32_t)loops->out_rest;
        }
    }
}

#endif

#define TAP(weight, k) (low += (uint32_t)weight * x[k], high += (uint32_t)weight * x[k + 1])

// The same for a kernel of 3 x 3 whose places follow each other.
static WB_APART void convolve_nine(const loops_t *loops) {
    const rule_t rule = rule_of(loops);
    const int32_t *w = loops->weights;
    const int32_t w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3], w4 = w[4];
    const int32_t w5 = w[5], w6 = w[6], w7 = w[7], w8 = w[8];
    uint32_t line = (3 * POSITION + loops->step) / 4, place = loops->place / 4;
    const uint32_t *at = (const uint32_t *)(const void *)loops->at;
    const uint32_t *end = (const uint32_t *)(const void *)loops->any;
    uint8_t *out[PARTS] = {loops->out, loops->out + loops->second, loops->out + loops->third};
    uint32_t out_place = loops->out_place;
    for (;;) {
        do {
            const uint32_t *x = at;
            uint32_t low = (uint32_t)w0 * x[0], high = (uint32_t)w0 * x[1];
            TAP(w1, 2);
            TAP(w2, 4);
            x += line;
            TAP(w3, 0);
            TAP(w4, 2);
            TAP(w5, 4);
            x += line;
            TAP(w6, 0);
            TAP(w7, 2);
            TAP(w8, 4);
            uint32_t sums[PARTS];
            unpack(low, high, sums);
            *out[0] = output(loops, &rule, sums[0]);
            *out[1] = output(loops, &rule, sums[1]);
            *out[2] = output(loops, &rule, sums[2]);
            at += place;
            out[0] += out_place;
            out[1] += out_place;
            out[2] += out_place;
        } while (at != end);
        if ((const uint8_t *)end == loops->last) {
            return;
        }
        at += (int32_t)loops->line_rest >> 2;
        end += loops->line / 4;
        out[0] += (int32_t)loops->out_rest;
        out[1] += (int32_t)loops->out_rest;
        out[2] += (int32_t)loops->out_rest;
    }
}

// All outputs of a channel.
static void convolve(const loops_t *loops) {
    #if !defined(DEPTHWISE_3X3)
    if (!loops->end) {
        convolve_any(loops);
        return;
    }
    #endif
    convolve_nine(loops);
}
