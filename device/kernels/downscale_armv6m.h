// Rows of RGB565 for Cortex-M0 and M0+: 5 cycles a pixel and 10 a row. downscale.c has the C of
// it, which defines it.
//
//   x first pixel of a row, next pixel    last: the row's last pixel
//   word, share scratch                   skip: bytes from behind a row to the next

#define STEP_565 \
    "rors %[word], %[word], %[rotation]\n" \
    "lsrs %[share], %[word], #5\n" \
    "adds %[all], %[all], %[share]\n" \
    "ands %[word], %[word], %[fields]\n" \
    "adds %[even], %[even], %[word]\n"

static WB_INLINE const uint8_t *add_rows_565(
    const uint8_t *x, uint32_t rows, const block_t *block, uint32_t *even, uint32_t *all) {
    uint32_t word, share;
    const uint8_t *last = x + 2u * block->columns - 2u;
    __asm__ volatile(
        ".syntax unified\n"
        "1: lsrs %[word], %[x], #2\n"
        "bcc 2f\n"
        "ldrh %[word], [%[x]]\n"
        "adds %[x], #2\n" STEP_565
        "2: cmp %[x], %[last]\n"
        "bhs 4f\n"
        "3: ldm %[x]!, {%[word]}\n" STEP_565
        "cmp %[x], %[last]\n"
        "blo 3b\n"
        "4: bne 5f\n"
        "ldrh %[word], [%[x]]\n"
        "adds %[x], #2\n" STEP_565
        "5: add %[x], %[x], %[skip]\n"
        "add %[last], %[last], %[stride]\n"
        "subs %[rows], #1\n"
        "bne 1b\n"
        : [x] "+l"(x), [word] "=&l"(word), [share] "=&l"(share), [even] "+l"(*even),
        [all] "+l"(*all), [rows] "+l"(rows), [last] "+h"(last)
        : [rotation] "l"(block->rotation), [fields] "l"(FIELDS), [stride] "h"(block->stride),
        [skip] "h"(block->stride - 2u * block->columns)
        : "cc", "memory");
    return x;
}
