// Numbers with 16 significant bits, for ratios of large sums on cores without division.
// host/wingbeat/reference/number.py defines every result; SPEC.md, "Numbers", has the formulas.
#ifndef WINGBEAT_NUMBER_H
#define WINGBEAT_NUMBER_H

#include "kernels/kernel.h"

#define WB_NUMBER static __attribute__((noinline, unused))

// m * 2^e with 2^15 <= m < 2^16, or m = 0.
typedef struct {
    uint32_t m;
    int32_t e;
} wb_number_t;

// value * 2^e, rounded down.
WB_NUMBER wb_number_t wb_number(uint32_t value, int32_t e) {
    wb_number_t number = {value, e};
    while (number.m >= 0x10000u) {
        number.m >>= 1;
        number.e++;
    }
    while (number.m != 0 && number.m < 0x8000u) {
        number.m <<= 1;
        number.e--;
    }
    return number;
}

WB_NUMBER wb_number_t wb_times(wb_number_t a, wb_number_t b) {
    return wb_number(a.m * b.m, a.e + b.e);
}

// b is not 0.
WB_NUMBER wb_number_t wb_over(wb_number_t a, wb_number_t b) {
    uint32_t rest = a.m;
    uint32_t quotient = 0;
    for (uint32_t left = 17; left != 0; left--) {
        quotient <<= 1;
        if (rest >= b.m) {
            rest -= b.m;
            quotient++;
        }
        rest <<= 1;
    }
    return wb_number(quotient, a.e - b.e - 16);
}

// floor(a), at most limit; limit is below 2^31.
WB_NUMBER uint32_t wb_floor(wb_number_t a, uint32_t limit) {
    if (a.m == 0 || a.e <= -16) {
        return 0;
    }
    if (a.e > 15) {
        return limit;
    }
    uint32_t value = a.e < 0 ? a.m >> -a.e : a.m << a.e;
    return value < limit ? value : limit;
}

#endif
