// Loads and runs programs as the binding does, in buffers of exactly the size that they say, for
// the address sanitizer to guard.
#ifndef WINGBEAT_TESTS_DRIVE_H
#define WINGBEAT_TESTS_DRIVE_H

#include "core/program.h"

// Bytes of arena and input above which a program is not run: no board has them.
#define DRIVE_LIMIT (64u << 20)

enum {
    DRIVE_TOO_LARGE = -1, // sound, but above DRIVE_LIMIT
};

typedef struct {
    const char *name;
    uint16_t opcode;
    wb_kernel_t kernel;
} drive_kernel_t;

// Generated from kernels.toml; the last has no name.
extern const drive_kernel_t drive_kernels[];

typedef struct {
    uint8_t *program; // exactly as large as it was given
    wb_kernel_t *kernels;
    uint8_t *arena;
    uint32_t input_size;
    uint32_t output_size;
} drive_model_t;

// 0, or the reason why the program was refused, or DRIVE_TOO_LARGE.
int32_t drive_load(drive_model_t *model, const uint8_t *program, uint32_t size);

// Instead of a decision, where no result is due.
#define DRIVE_NOT_DUE INT32_MIN

// Runs the program on input_size bytes; output takes output_size. Returns the decision.
int32_t drive_run(drive_model_t *model, const uint8_t *input, uint8_t *output);

// Pushes any number of bytes into a program that takes a stream; output as before. Returns the last
// decision.
int32_t drive_push(drive_model_t *model, const uint8_t *block, uint32_t size, uint8_t *output);

void drive_free(drive_model_t *model);

// A copy in memory of exactly that size.
uint8_t *drive_copy(const uint8_t *data, uint32_t size);

#endif
