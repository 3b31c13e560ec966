// Window, real FFT and squared magnitude of each channel, in block floating point.
// host/wingbeat/reference/power_spectrum.py defines every result; the two agree bit for bit.
//
// params:    u16 n, u8 n_channels, u8 0, i16 window[n / 2 + 1], i16 0, twiddles (cos, sin as i16)
// operand 0: input, int16 [n][n_channels]
// operand 1: output, int32 [n_channels][n / 2 + 1]: power, to be used as uint32
// operand 2: output, int32 [n_channels]: the power is power * 2^exponent
//
// A channel is transformed where its power will be, as n / 2 words of two int16: the real part is
// the low one. Sums are made in uint32_t: with tables as the reference makes them none overflows,
// and with others the result is wrong but defined.
#include "kernels/kernel.h"

#define MIN_LENGTH 64u
#define MAX_LENGTH 2048u
#define WINDOW_BITS 14
#define TWIDDLE_BITS 13
#define MAGNITUDE_BITS 0xfffeu // v ^ 2 v of an int16 has its highest bit at its number of bits

#define INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))

typedef struct {
    uint16_t n; // samples: 64 to 2048, a power of two
    uint8_t n_channels;
    uint8_t reserved;
} spectrum_t;

typedef struct {
    uint32_t re; // two's complement
    uint32_t im;
} complex_t;

static const spectrum_t *spectrum_of(const wb_call_t *call) {
    return (const spectrum_t *)(const void *)call->params;
}

static const int16_t *window_of(const spectrum_t *spectrum) {
    return (const int16_t *)(const void *)(spectrum + 1);
}

// 4 if n / 2 is a power of 4, else 2.
static uint32_t first_radix(uint32_t n) {
    return (n & 0xaaaaaaaau) != 0 ? 4 : 2;
}

static uint32_t n_twiddles(uint32_t n) {
    return n / 2 - first_radix(n) + n / 4;
}

INLINE int32_t low_of(uint32_t word) {
    return (int16_t)(word & 0xffffu);
}

INLINE int32_t high_of(uint32_t word) {
    return (int32_t)word >> 16;
}

INLINE complex_t complex_of(int32_t re, int32_t im) {
    complex_t z = {(uint32_t)re, (uint32_t)im};
    return z;
}

INLINE complex_t sum(complex_t a, complex_t b) {
    complex_t z = {a.re + b.re, a.im + b.im};
    return z;
}

INLINE complex_t difference(complex_t a, complex_t b) {
    complex_t z = {a.re - b.re, a.im - b.im};
    return z;
}

// Times -j.
INLINE complex_t turned(complex_t a) {
    complex_t z = {a.im, 0u - a.re};
    return z;
}

// (re + j im) (cos - j sin)
INLINE complex_t times(int32_t re, int32_t im, uint32_t twiddle) {
    uint32_t cosine = (uint32_t)low_of(twiddle);
    uint32_t sine = (uint32_t)high_of(twiddle);
    complex_t z;
    z.re = (uint32_t)re * cosine + (uint32_t)im * sine;
    z.im = (uint32_t)im * cosine - (uint32_t)re * sine;
    return z;
}

INLINE uint32_t rounding_of(uint32_t shift) {
    return (1u << shift) >> 1;
}

INLINE int32_t shifted(uint32_t value, uint32_t shift) {
    return (int32_t)value >> shift;
}

INLINE uint32_t packed(complex_t z, uint32_t shift) {
    uint32_t im = (uint32_t)shifted(z.im, shift) << 16;
    return im | ((uint32_t)shifted(z.re, shift) & 0xffffu);
}

// Smallest p with -2^p <= v < 2^p, from v ^ 2 v of all pairs of values v, joined by or.
static uint32_t bits_of(uint32_t spread) {
    uint32_t bits = 0;
    spread = (spread | spread >> 16) & MAGNITUDE_BITS;
    while ((spread >>= 1) != 0) {
        bits++;
    }
    return bits;
}

// Bits of count words of two int16; count is a multiple of 4.
NOINLINE uint32_t bits_of_words(const uint32_t *words, uint32_t count) {
    uint32_t spread = 0;
    for (const uint32_t *end = words + count; words != end; words += 4) {
        uint32_t a = words[0], b = words[1], c = words[2], d = words[3];
        spread |= (a ^ a << 1) | (b ^ b << 1) | (c ^ c << 1) | (d ^ d << 1);
    }
    return bits_of(spread);
}

NOINLINE uint32_t bits_of_samples(const int16_t *x, uint32_t count, uint32_t stride) {
    uint32_t spread = 0;
    for (; count != 0; count--, x += stride) {
        uint32_t v = (uint32_t)(int32_t)*x;
        spread |= (v ^ v << 1) & 0xffffu;
    }
    return bits_of(spread);
}

// Sums and differences of four, or what they become: the transform of 4 samples.
INLINE void butterfly(
    uint32_t *z, uint32_t quarter, uint32_t shift, complex_t a, complex_t b, complex_t c,
    complex_t d) {
    complex_t plus = sum(a, c);
    complex_t minus = difference(a, c);
    complex_t other = sum(b, d);
    complex_t side = turned(difference(b, d));
    z[0] = packed(sum(plus, other), shift);
    z[quarter] = packed(sum(minus, side), shift);
    z[2 * quarter] = packed(difference(plus, other), shift);
    z[3 * quarter] = packed(difference(minus, side), shift);
}

// Where one channel is read, and through which window.
typedef struct {
    const int16_t *x;
    uint32_t stride;
    const int16_t *window; // rising
    const int16_t *mirror; // falling
} source_t;

// Two samples in the rising half of the window, at most n / 4 from the start.
INLINE complex_t rising(const source_t *source, uint32_t offset) {
    const int16_t *x = source->x + offset * source->stride;
    const int16_t *window = source->window + offset;
    return complex_of(x[0] * window[0], x[source->stride] * window[1]);
}

// The same behind the middle of the window.
INLINE complex_t falling(const source_t *source, uint32_t offset, uint32_t half) {
    const int16_t *x = source->x + (offset + half) * source->stride;
    const int16_t *window = source->mirror - offset;
    return complex_of(x[0] * window[0], x[source->stride] * window[-1]);
}

INLINE void windowed4(const source_t *source, uint32_t n, uint32_t shift, uint32_t *z) {
    complex_t a = rising(source, 0);
    complex_t b = rising(source, n / 4);
    complex_t c = falling(source, 0, n / 2);
    complex_t d = falling(source, n / 4, n / 2);
    a = sum(a, complex_of((int32_t)rounding_of(shift), (int32_t)rounding_of(shift)));
    butterfly(z, 1, shift, a, b, c, d);
}

INLINE void windowed2(const source_t *source, uint32_t n, uint32_t shift, uint32_t *z) {
    complex_t a = rising(source, 0);
    complex_t b = falling(source, 0, n / 2);
    a = sum(a, complex_of((int32_t)rounding_of(shift), (int32_t)rounding_of(shift)));
    z[0] = packed(sum(a, b), shift);
    z[1] = packed(difference(a, b), shift);
}

// The first pass. Results go to where the digits of their number in base 4 are reversed.
NOINLINE void window_all(source_t source, uint32_t n, uint32_t shift, uint32_t *z) {
    uint32_t radix = first_radix(n);
    uint32_t place = 0;
    for (uint32_t left = radix == 4 ? n / 8 : n / 4; left != 0; left--) {
        if (radix == 4) {
            windowed4(&source, n, shift, z + place);
        } else {
            windowed2(&source, n, shift, z + place);
        }
        source.x += 2 * source.stride;
        source.window += 2;
        source.mirror -= 2;
        uint32_t digit = n / 8;
        while (digit != 0 && (place & 3 * digit) == 3 * digit) {
            place -= 3 * digit;
            digit >>= 2;
        }
        place += digit;
    }
}

// Joins 4 transforms of quarter samples each, in all of z[0..n / 2 - 1].
NOINLINE void join(
    uint32_t *z, const uint32_t *end, uint32_t quarter, uint32_t shift, const uint32_t *twiddles) {
    uint32_t rounding = rounding_of(shift);
    while (z != end) {
        const uint32_t *twiddle = twiddles;
        for (const uint32_t *first_end = z + quarter; z != first_end; z++, twiddle += 3) {
            uint32_t a = z[0], b = z[quarter], c = z[2 * quarter], d = z[3 * quarter];
            complex_t first = {
                ((uint32_t)low_of(a) << TWIDDLE_BITS) + rounding,
                ((uint32_t)high_of(a) << TWIDDLE_BITS) + rounding,
            };
            butterfly(
                z, quarter, shift, first, times(low_of(b), high_of(b), twiddle[0]),
                times(low_of(c), high_of(c), twiddle[1]), times(low_of(d), high_of(d), twiddle[2]));
        }
        z += 3 * quarter;
    }
}

INLINE uint32_t square(complex_t z, uint32_t shift) {
    uint32_t re = (uint32_t)shifted(z.re, shift);
    uint32_t im = (uint32_t)shifted(z.im, shift);
    return re * re + im * im;
}

// From the transform of the complex samples to the power of the real ones, in place.
NOINLINE void separate(uint32_t *z, uint32_t half, uint32_t shift, const uint32_t *twiddle) {
    uint32_t *low = z;
    uint32_t *high = z + half;
    uint32_t rounding = rounding_of(shift);
    uint32_t re = (uint32_t)low_of(*z) << (TWIDDLE_BITS + 1);
    uint32_t im = (uint32_t)high_of(*z) << (TWIDDLE_BITS + 1);
    uint32_t first = (uint32_t)shifted(re + im + rounding, shift);
    uint32_t last = (uint32_t)shifted(re - im + rounding, shift);
    *low++ = first * first;
    *high-- = last * last;
    for (; low <= high; low++, high--, twiddle++) {
        uint32_t a = *low, b = *high;
        complex_t even = {
            ((uint32_t)(low_of(a) + low_of(b)) << TWIDDLE_BITS) + rounding,
            ((uint32_t)(high_of(a) - high_of(b)) << TWIDDLE_BITS) + rounding,
        };
        complex_t odd = turned(times(low_of(a) - low_of(b), high_of(a) + high_of(b), *twiddle));
        *low = square(sum(even, odd), shift);
        *high = square(difference(even, odd), shift);
    }
}

// One channel; its exponent.
static int32_t transform(const spectrum_t *spectrum, const int16_t *x, uint32_t *z) {
    uint32_t n = spectrum->n;
    const int16_t *window = window_of(spectrum);
    const uint32_t *twiddles = (const uint32_t *)(const void *)(window + n / 2 + 2);
    source_t source = {x, spectrum->n_channels, window, window + n / 2};
    uint32_t quarter = first_radix(n);
    uint32_t shift = bits_of_samples(x, n, source.stride) + (quarter == 4);
    window_all(source, n, shift, z);
    int32_t exponent = (int32_t)shift - WINDOW_BITS;
    for (; quarter < n / 2; quarter *= 4) {
        shift = bits_of_words(z, n / 2) + 1;
        join(z, z + n / 2, quarter, shift, twiddles);
        twiddles += 3 * quarter;
        exponent += (int32_t)shift - TWIDDLE_BITS;
    }
    shift = bits_of_words(z, n / 2);
    separate(z, n / 2, shift, twiddles);
    return 2 * (exponent + (int32_t)shift - TWIDDLE_BITS - 1);
}

static void run(const wb_call_t *call) {
    const spectrum_t *spectrum = spectrum_of(call);
    const int16_t *x = (const int16_t *)(const void *)call->operand[0].data;
    uint32_t *power = (uint32_t *)(void *)call->operand[1].data;
    int32_t *exponent = (int32_t *)(void *)call->operand[2].data;
    for (uint32_t left = spectrum->n_channels; left != 0; left--) {
        *exponent++ = transform(spectrum, x++, power);
        power += spectrum->n / 2 + 1;
    }
}

WB_COLD static int32_t params_are_sound(const wb_call_t *call) {
    const spectrum_t *spectrum = spectrum_of(call);
    if (call->params_size < sizeof(spectrum_t)) {
        return 0;
    }
    uint32_t n = spectrum->n;
    return n >= MIN_LENGTH && n <= MAX_LENGTH && (n & (n - 1)) == 0 &&
        spectrum->n_channels != 0 && spectrum->reserved == 0 &&
        call->params_size == sizeof(spectrum_t) + 2 * (n / 2 + 2) + 4 * n_twiddles(n) &&
        window_of(spectrum)[n / 2 + 1] == 0;
}

WB_COLD static int32_t is_operand(const wb_operand_t *operand, uint32_t typecode, uint32_t size) {
    return operand->typecode == typecode && operand->size == size;
}

WB_COLD static int32_t check(const wb_call_t *call) {
    if (!params_are_sound(call)) {
        return WB_BAD_PARAMS;
    }
    uint32_t n = spectrum_of(call)->n;
    uint32_t n_channels = spectrum_of(call)->n_channels;
    if (call->n_inputs != 1 || call->n_operands != 3 ||
        !is_operand(&call->operand[0], 'h', 2 * n * n_channels) ||
        !is_operand(&call->operand[1], 'i', 4 * (n / 2 + 1) * n_channels) ||
        !is_operand(&call->operand[2], 'i', 4 * n_channels)) {
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
