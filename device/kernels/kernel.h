// What the core and a kernel agree on. SPEC.md, "Kernels", is the definition.
#ifndef WINGBEAT_KERNEL_H
#define WINGBEAT_KERNEL_H

#include <stdint.h>

#define WB_MAX_OPERANDS 4

enum {
    // Validate params and the operands' sizes and dtypes; their data is not there yet.
    WB_CHECK = 0,
    // Compute. The same params and sizes passed WB_CHECK before.
    WB_RUN = 1,
};

enum {
    WB_OK = 0,
    WB_NOT_DUE = 1,       // of a run: nothing more to do now, the operators behind do not run
    WB_BAD_PARAMS = -1,   // a parameter is out of range or reaches outside of params
    WB_BAD_OPERANDS = -2, // number, size or dtype of an operand does not fit the parameters
};

typedef struct {
    uint8_t *data;     // aligned to 4 in the arena, to its item in the input
    uint32_t size;     // bytes
    uint32_t typecode; // of the elements, as in Python's array module
} wb_operand_t;

typedef struct {
    uint32_t phase;
    uint32_t params_size;  // bytes, a multiple of 4
    const uint8_t *params; // 4-byte aligned, inside the program, never written
    uint32_t n_inputs;   // operands that are only read
    uint32_t n_operands;
    wb_operand_t operand[WB_MAX_OPERANDS]; // inputs, outputs, scratch
} wb_call_t;

// Every kernel defines this one entry point; the build turns the file into a blob.
int32_t wb_kernel(const wb_call_t *call);

// In kernels: the entry, placed where the linker script expects it.
#define WB_KERNEL __attribute__((section(".text.entry"), used))

// For the checks: small rather than fast, and out of the way of what is fast.
#define WB_COLD __attribute__((cold, noinline))

// A function of its own, so that the loops in it have the registers for themselves.
#define WB_APART __attribute__((noinline))

// Copied into its callers, so that what is in registers stays there.
#define WB_INLINE inline __attribute__((always_inline))

#endif
