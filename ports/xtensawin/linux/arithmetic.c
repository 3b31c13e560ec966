// What gcc calls for arithmetic that its processor, the ESP8266's, has no instructions for:
// divisions, 64-bit products, float. Debian's libgcc for it leaves them to that chip's ROM, and is
// of another calling convention. Float results are rounded to nearest, ties to even.
#include <stdbool.h>
#include <stdint.h>

typedef union {
    float value;
    uint32_t bits;
} float_bits_t;

typedef union {
    double value;
    uint64_t bits;
} double_bits_t;

#define SIGN 0x80000000u
#define INFINITE 0x7f800000u
#define NOT_A_NUMBER 0x7fc00000u
#define FRACTION_BITS 23
#define IMPLICIT_ONE (1u << FRACTION_BITS)
#define BIAS 127
#define EXPONENT_OF_1 (BIAS + FRACTION_BITS) // where a mantissa is an integer

#define DOUBLE_FRACTION_BITS 52
#define DOUBLE_BIAS 1023
#define DOUBLE_SPECIAL 2047

// ---- Integers

uint32_t __udivsi3(uint32_t a, uint32_t b) {
    __asm__("quou %0, %1, %2" : "=r"(a) : "r"(a), "r"(b));
    return a;
}

uint32_t __umodsi3(uint32_t a, uint32_t b) {
    __asm__("remu %0, %1, %2" : "=r"(a) : "r"(a), "r"(b));
    return a;
}

int32_t __divsi3(int32_t a, int32_t b) {
    __asm__("quos %0, %1, %2" : "=r"(a) : "r"(a), "r"(b));
    return a;
}

int32_t __modsi3(int32_t a, int32_t b) {
    __asm__("rems %0, %1, %2" : "=r"(a) : "r"(a), "r"(b));
    return a;
}

int __clzsi2(uint32_t a) {
    int zeros;
    __asm__("nsau %0, %1" : "=r"(zeros) : "r"(a));
    return zeros;
}

int __ctzsi2(uint32_t a) {
    return 31 - __clzsi2(a & -a);
}

static int leading_zeros(uint64_t a) {
    uint32_t high = (uint32_t)(a >> 32);
    return high != 0 ? __clzsi2(high) : 32 + __clzsi2((uint32_t)a);
}

uint64_t __umulsidi3(uint32_t a, uint32_t b) {
    uint32_t low = (a & 0xffff) * (b & 0xffff);
    uint32_t middle = (a >> 16) * (b & 0xffff) + (low >> 16); // below 2^32
    uint32_t other = (a & 0xffff) * (b >> 16) + (middle & 0xffff);
    uint32_t high = (a >> 16) * (b >> 16) + (middle >> 16) + (other >> 16);
    return (uint64_t)high << 32 | other << 16 | (low & 0xffff);
}

uint64_t __muldi3(uint64_t a, uint64_t b) {
    uint32_t crossed = (uint32_t)(a >> 32) * (uint32_t)b + (uint32_t)a * (uint32_t)(b >> 32);
    return __umulsidi3((uint32_t)a, (uint32_t)b) + ((uint64_t)crossed << 32);
}

uint64_t __ashldi3(uint64_t a, int n) {
    uint32_t high = (uint32_t)(a >> 32), low = (uint32_t)a;
    if (n >= 32) {
        high = low << (n - 32);
        low = 0;
    } else if (n > 0) {
        high = high << n | low >> (32 - n);
        low <<= n;
    }
    return (uint64_t)high << 32 | low;
}

uint64_t __lshrdi3(uint64_t a, int n) {
    uint32_t high = (uint32_t)(a >> 32), low = (uint32_t)a;
    if (n >= 32) {
        low = high >> (n - 32);
        high = 0;
    } else if (n > 0) {
        low = low >> n | high << (32 - n);
        high >>= n;
    }
    return (uint64_t)high << 32 | low;
}

int64_t __ashrdi3(int64_t a, int n) {
    return a < 0 ? (int64_t)~__lshrdi3(~(uint64_t)a, n) : (int64_t)__lshrdi3((uint64_t)a, n);
}

static uint64_t divide(uint64_t a, uint64_t b, uint64_t *rest) {
    uint64_t quotient = 0;
    if ((a | b) >> 32 == 0) {
        quotient = __udivsi3((uint32_t)a, (uint32_t)b);
        *rest = __umodsi3((uint32_t)a, (uint32_t)b);
        return quotient;
    }
    int shift = b <= a ? leading_zeros(b) - leading_zeros(a) : -1;
    for (; shift >= 0; shift--) {
        uint64_t part = b << shift;
        quotient <<= 1;
        if (a >= part) {
            a -= part;
            quotient |= 1;
        }
    }
    *rest = a;
    return quotient;
}

static uint64_t magnitude(int64_t a) {
    return a < 0 ? -(uint64_t)a : (uint64_t)a;
}

uint64_t __udivdi3(uint64_t a, uint64_t b) {
    uint64_t rest;
    return divide(a, b, &rest);
}

uint64_t __umoddi3(uint64_t a, uint64_t b) {
    uint64_t rest;
    divide(a, b, &rest);
    return rest;
}

int64_t __divdi3(int64_t a, int64_t b) {
    uint64_t quotient = __udivdi3(magnitude(a), magnitude(b));
    return (int64_t)((a ^ b) < 0 ? -quotient : quotient);
}

int64_t __moddi3(int64_t a, int64_t b) {
    uint64_t rest = __umoddi3(magnitude(a), magnitude(b));
    return (int64_t)(a < 0 ? -rest : rest);
}

// ---- Float

static uint32_t bits_of(float a) {
    return (float_bits_t) {.value = a}.bits;
}

static float from_bits(uint32_t bits) {
    return (float_bits_t) {.bits = bits}.value;
}

static bool is_nan(uint32_t bits) {
    return (bits & ~SIGN) > INFINITE;
}

static bool is_infinite(uint32_t bits) {
    return (bits & ~SIGN) == INFINITE;
}

// The number is mantissa 2^exponent, for a finite one.
static uint32_t mantissa_of(uint32_t bits) {
    uint32_t fraction = bits & (IMPLICIT_ONE - 1);
    return bits & INFINITE ? fraction | IMPLICIT_ONE : fraction;
}

static int exponent_of(uint32_t bits) {
    int exponent = (int)((bits & INFINITE) >> FRACTION_BITS);
    return (exponent == 0 ? 1 : exponent) - EXPONENT_OF_1;
}

// The float nearest to mantissa 2^exponent.
static float rounded(uint32_t sign, int exponent, uint64_t mantissa) {
    if (mantissa == 0) {
        return from_bits(sign);
    }
    int zeros = leading_zeros(mantissa);
    mantissa <<= zeros;
    int field = exponent - zeros + 63 + BIAS;
    int dropped = 63 - FRACTION_BITS;
    if (field < 1) {
        dropped += 1 - field; // subnormal
        field = 1;
    }
    if (field > 254) {
        return from_bits(sign | INFINITE);
    }
    uint64_t kept = dropped < 64 ? mantissa >> dropped : 0;
    uint64_t rest = dropped < 64 ? mantissa << (64 - dropped) : dropped == 64 ? mantissa : 1;
    uint64_t half = (uint64_t)1 << 63;
    kept += rest > half || (rest == half && (kept & 1));
    // The leading one of kept adds 1 to the exponent's field, and so does a carry into it.
    return from_bits(sign | (((uint32_t)(field - 1) << FRACTION_BITS) + (uint32_t)kept));
}

float __addsf3(float x, float y) {
    uint32_t a = bits_of(x), b = bits_of(y);
    if (is_nan(a) || is_nan(b) || (is_infinite(a) && is_infinite(b) && a != b)) {
        return from_bits(NOT_A_NUMBER);
    }
    if (is_infinite(a) || is_infinite(b)) {
        return from_bits(is_infinite(a) ? a : b);
    }
    if ((a & ~SIGN) < (b & ~SIGN)) {
        uint32_t larger = b;
        b = a;
        a = larger;
    }
    const int guard = 38; // bits; what is shifted out of them is kept as a one in the last
    int exponent = exponent_of(a);
    int distance = exponent - exponent_of(b);
    uint64_t large = (uint64_t)mantissa_of(a) << guard;
    uint64_t small = (uint64_t)mantissa_of(b) << guard;
    uint64_t shifted = distance < 64 ? small >> distance : 0;
    if (distance >= 64 ? small != 0 : shifted << distance != small) {
        shifted |= 1;
    }
    uint64_t sum = (a ^ b) & SIGN ? large - shifted : large + shifted;
    return rounded(sum != 0 ? a & SIGN : a & b & SIGN, exponent - guard, sum);
}

float __subsf3(float x, float y) {
    return __addsf3(x, from_bits(bits_of(y) ^ SIGN));
}

float __mulsf3(float x, float y) {
    uint32_t a = bits_of(x), b = bits_of(y), sign = (a ^ b) & SIGN;
    if (is_nan(a) || is_nan(b)) {
        return from_bits(NOT_A_NUMBER);
    }
    if (is_infinite(a) || is_infinite(b)) {
        return from_bits((a & ~SIGN) == 0 || (b & ~SIGN) == 0 ? NOT_A_NUMBER : sign | INFINITE);
    }
    uint64_t product = __umulsidi3(mantissa_of(a), mantissa_of(b));
    return rounded(sign, exponent_of(a) + exponent_of(b), product);
}

float __divsf3(float x, float y) {
    uint32_t a = bits_of(x), b = bits_of(y), sign = (a ^ b) & SIGN;
    if (is_nan(a) || is_nan(b) || (is_infinite(a) && is_infinite(b)) || ((a | b) & ~SIGN) == 0) {
        return from_bits(NOT_A_NUMBER);
    }
    if (is_infinite(a) || (b & ~SIGN) == 0) {
        return from_bits(sign | INFINITE);
    }
    if (is_infinite(b) || (a & ~SIGN) == 0) {
        return from_bits(sign);
    }
    // The quotient has 38 to 63 bits: a rest is a one behind them.
    uint64_t rest;
    int shift = leading_zeros(mantissa_of(a)) - 1;
    uint64_t quotient = divide((uint64_t)mantissa_of(a) << shift, mantissa_of(b), &rest);
    int exponent = exponent_of(a) - shift - exponent_of(b) - 1;
    return rounded(sign, exponent, quotient << 1 | (rest != 0));
}

// A number in the order of floats; both zeros are 0.
static int32_t key_of(uint32_t bits) {
    return bits & SIGN ? -(int32_t)(bits & ~SIGN) : (int32_t)bits;
}

static int compare(float x, float y, int unordered) {
    uint32_t a = bits_of(x), b = bits_of(y);
    if (is_nan(a) || is_nan(b)) {
        return unordered;
    }
    return (key_of(a) > key_of(b)) - (key_of(a) < key_of(b));
}

int __eqsf2(float x, float y) {
    return compare(x, y, 1);
}

int __nesf2(float x, float y) {
    return compare(x, y, 1);
}

int __ltsf2(float x, float y) {
    return compare(x, y, 1);
}

int __lesf2(float x, float y) {
    return compare(x, y, 1);
}

int __gtsf2(float x, float y) {
    return compare(x, y, -1);
}

int __gesf2(float x, float y) {
    return compare(x, y, -1);
}

int __unordsf2(float x, float y) {
    return is_nan(bits_of(x)) || is_nan(bits_of(y));
}

// ---- Conversions

// Towards zero; limit for what is larger, 0 for what is not a number.
static uint64_t whole_part(float x, uint64_t limit) {
    uint32_t bits = bits_of(x);
    int exponent = exponent_of(bits);
    uint64_t whole = mantissa_of(bits);
    if (is_nan(bits)) {
        return 0;
    }
    if (exponent > 40) {
        return limit;
    }
    whole = exponent >= 0 ? whole << exponent : exponent > -32 ? whole >> -exponent : 0;
    return whole < limit ? whole : limit;
}

int32_t __fixsfsi(float x) {
    uint32_t negative = bits_of(x) >> 31;
    uint32_t whole = (uint32_t)whole_part(x, (uint64_t)INT32_MAX + negative);
    return (int32_t)(negative ? -whole : whole);
}

uint32_t __fixunssfsi(float x) {
    return bits_of(x) & SIGN ? 0 : (uint32_t)whole_part(x, UINT32_MAX);
}

int64_t __fixsfdi(float x) {
    uint32_t negative = bits_of(x) >> 31;
    uint64_t whole = whole_part(x, (uint64_t)INT64_MAX + negative);
    return (int64_t)(negative ? -whole : whole);
}

uint64_t __fixunssfdi(float x) {
    return bits_of(x) & SIGN ? 0 : whole_part(x, UINT64_MAX);
}

float __floatdisf(int64_t a) {
    return rounded(a < 0 ? SIGN : 0, 0, magnitude(a));
}

float __floatundisf(uint64_t a) {
    return rounded(0, 0, a);
}

float __floatsisf(int32_t a) {
    return __floatdisf(a);
}

float __floatunsisf(uint32_t a) {
    return rounded(0, 0, a);
}

float __truncdfsf2(double x) {
    uint64_t bits = (double_bits_t) {.value = x}.bits;
    uint32_t sign = (uint32_t)(bits >> 32) & SIGN;
    int exponent = (int)(bits >> DOUBLE_FRACTION_BITS) & DOUBLE_SPECIAL;
    uint64_t one = (uint64_t)1 << DOUBLE_FRACTION_BITS;
    uint64_t fraction = bits & (one - 1);
    if (exponent == DOUBLE_SPECIAL) {
        return from_bits(fraction != 0 ? NOT_A_NUMBER : sign | INFINITE);
    }
    // Subnormal doubles are far below the smallest float.
    return rounded(sign, exponent - DOUBLE_BIAS - DOUBLE_FRACTION_BITS, fraction | one);
}

static double to_double(uint32_t sign, int exponent, uint64_t mantissa) {
    uint64_t bits = 0;
    if (mantissa != 0) {
        int shift = leading_zeros(mantissa) - (63 - DOUBLE_FRACTION_BITS);
        uint64_t field = (uint64_t)(exponent - shift + DOUBLE_FRACTION_BITS + DOUBLE_BIAS - 1);
        bits = (field << DOUBLE_FRACTION_BITS) + (mantissa << shift);
    }
    return (double_bits_t) {.bits = (uint64_t)sign << 32 | bits}.value;
}

double __extendsfdf2(float x) {
    uint32_t bits = bits_of(x);
    if ((bits & INFINITE) == INFINITE) {
        uint64_t field = (uint64_t)(bits & ~SIGN) << (DOUBLE_FRACTION_BITS - FRACTION_BITS);
        field |= (uint64_t)DOUBLE_SPECIAL << DOUBLE_FRACTION_BITS;
        return (double_bits_t) {.bits = (uint64_t)(bits & SIGN) << 32 | field}.value;
    }
    return to_double(bits & SIGN, exponent_of(bits), mantissa_of(bits));
}

double __floatsidf(int32_t a) {
    return to_double(a < 0 ? SIGN : 0, 0, magnitude(a));
}
