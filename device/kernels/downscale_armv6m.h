// RGB565 for Cortex-M0 and M0+. downscale.c has the C of it, which defines it.
//
// Rows of a block: 5 cycles a pixel and 10 a row.
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

// A row of grey blocks: 60 cycles a block besides its rows. line_565 in downscale.c defines it.
//
//   r0 x             r4 all         r8  last pixel of a row    r12 out
//   r1 word          r5 rotation    r9  stride                 lr  grey of a block
//   r2 share         r6 fields      r10 skip
//   r3 even          r7 rows        r11 line
typedef struct {
    const uint8_t *x;
    uint8_t *out;
    const uint8_t *end;   // of out
    uint32_t rows;        // of a block
    uint32_t at_once;     // rows whose sums fit the fields
    uint32_t last;        // bytes from the first pixel of a row to its last
    uint32_t stride;
    uint32_t skip;        // bytes from behind a row to the next
    uint32_t next;        // bytes from the row below a block to the next block
    uint32_t rotation, fields;
    uint32_t red, green, blue, half; // weights, and what is added for rounding
    uint32_t factor;
    uint32_t left;        // rows of the block
} line_t;

#define STEP_GREY \
    "rors r1, r1, r5\n" \
    "lsrs r2, r1, #5\n" \
    "adds r4, r4, r2\n" \
    "ands r1, r1, r6\n" \
    "adds r3, r3, r1\n"

__attribute__((naked, noinline)) static void line_grey(line_t *line __attribute__((unused))) {
    __asm__(
        ".syntax unified\n"
        "push {r4-r7, lr}\n"
        "mov r4, r8\n"
        "mov r5, r9\n"
        "mov r6, r10\n"
        "mov r7, r11\n"
        "push {r4-r7}\n"
        "mov r11, r0\n"
        "ldr r1, [r0, #4]\n"
        "mov r12, r1\n"
        "ldr r1, [r0, #24]\n"
        "mov r9, r1\n"
        "ldr r1, [r0, #28]\n"
        "mov r10, r1\n"
        "ldr r5, [r0, #36]\n"
        "ldr r6, [r0, #40]\n"
        "ldr r0, [r0]\n"
        "1: mov r2, r11\n"
        "ldr r4, [r2, #12]\n"
        "movs r1, #0\n"
        "mov lr, r1\n"
        // As many rows as fit, or as are left.
        "2: ldr r7, [r2, #16]\n"
        "cmp r7, r4\n"
        "bls 3f\n"
        "mov r7, r4\n"
        "3: subs r4, r4, r7\n"
        "str r4, [r2, #64]\n"
        "ldr r2, [r2, #20]\n"
        "adds r2, r2, r0\n"
        "mov r8, r2\n"
        "movs r3, #0\n"
        "movs r4, #0\n"
        "4: lsrs r1, r0, #2\n"
        "bcc 5f\n"
        "ldrh r1, [r0]\n"
        "adds r0, #2\n" STEP_GREY
        "5: cmp r0, r8\n"
        "bhs 7f\n"
        "6: ldm r0!, {r1}\n" STEP_GREY
        "cmp r0, r8\n"
        "bhs 7f\n"
        "ldm r0!, {r1}\n" STEP_GREY
        "cmp r0, r8\n"
        "blo 6b\n"
        "7: bne 8f\n"
        "ldrh r1, [r0]\n"
        "adds r0, #2\n" STEP_GREY
        "8: add r0, r10\n"
        "add r8, r9\n"
        "subs r7, #1\n"
        "bne 4b\n"
        // What the fields hold, times weights.
        "mov r7, r11\n"
        "lsrs r1, r3, #11\n"
        "lsls r2, r1, #6\n"
        "subs r4, r4, r2\n"
        "lsls r1, r1, #22\n"
        "lsrs r1, r1, #22\n"
        "lsrs r2, r4, #22\n"
        "adds r1, r1, r2\n"
        "ldr r2, [r7, #44]\n"
        "muls r1, r2, r1\n"
        "add lr, r1\n"
        "lsrs r1, r3, #21\n"
        "lsls r2, r4, #21\n"
        "lsrs r2, r2, #21\n"
        "adds r1, r1, r2\n"
        "ldr r2, [r7, #48]\n"
        "muls r1, r2, r1\n"
        "add lr, r1\n"
        "lsls r1, r3, #21\n"
        "lsrs r1, r1, #21\n"
        "lsls r2, r4, #10\n"
        "lsrs r2, r2, #21\n"
        "adds r1, r1, r2\n"
        "ldr r2, [r7, #52]\n"
        "muls r1, r2, r1\n"
        "add lr, r1\n"
        "mov r2, r7\n"
        "ldr r4, [r2, #64]\n"
        "cmp r4, #0\n"
        "bne 2b\n"
        "ldr r1, [r7, #56]\n"
        "add r1, lr\n"
        "lsrs r1, r1, #10\n"
        "ldr r2, [r7, #60]\n"
        "muls r1, r2, r1\n"
        "lsrs r1, r1, #24\n"
        "mov r2, r12\n"
        "strb r1, [r2]\n"
        "adds r2, #1\n"
        "mov r12, r2\n"
        "ldr r1, [r7, #32]\n"
        "adds r0, r0, r1\n"
        "ldr r1, [r7, #8]\n"
        "cmp r2, r1\n"
        "bne 1b\n"
        "pop {r4-r7}\n"
        "mov r8, r4\n"
        "mov r9, r5\n"
        "mov r10, r6\n"
        "mov r11, r7\n"
        "pop {r4-r7, pc}\n");
}
