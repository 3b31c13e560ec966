// The program format on the board. SPEC.md is the definition; the structs below lie over
// the program's bytes in place, so every field is little-endian and naturally aligned.
#ifndef WINGBEAT_PROGRAM_H
#define WINGBEAT_PROGRAM_H

#include "kernels/kernel.h"

#define WB_MAGIC 0x424e4757u // "WGNB"
#define WB_FORMAT_VERSION 1
#define WB_PLACE_INPUT 0xffffffffu // tensor is the caller's input buffer, not in the arena

enum {
    WB_DECIDE_VALUE = 0,    // predict returns the largest element of the decision tensor
    WB_DECIDE_ARGMAX = 1,   // predict returns the index of the first largest one
    WB_DECIDE_NONE = 2,     // predict has no meaning for this program
    WB_DECIDE_POSITIVE = 3, // predict returns 1 if the largest one is above 0, else 0
};

// Reasons for refusing a program or a call. assemble() writes their texts into the .mpy in this
// order, where they cost no RAM if the file is in ROMFS.
enum {
    WB_E_ALIGNMENT = 1,
    WB_E_TRUNCATED,
    WB_E_MAGIC,
    WB_E_VERSION,
    WB_E_CHECKSUM,
    WB_E_LAYOUT,
    WB_E_KERNEL,
    WB_E_OPERATOR,
    WB_E_INPUT,
    WB_E_OUTPUT,
    WB_E_ARENA,
    WB_E_SELF,
    WB_E_NO_DECISION,
    WB_E_MEMORY,
    WB_E_BLOCK, // programs that take a stream only
};

typedef struct {
    uint32_t shape[4];  // 0 past the last dimension
    uint32_t scale;     // bits of a float32
    int32_t zero_point; // real value = (stored - zero_point) * scale
} wb_descriptor_t;

typedef struct {
    uint32_t magic;
    uint16_t version;
    uint8_t decision_kind;
    uint8_t channels; // elements of a sample of the stream; 0: the program takes no stream
    uint32_t size;  // bytes of the whole program, its CRC included; a multiple of 4
    uint32_t arena; // bytes; a multiple of 4
    uint16_t n_tensors;
    uint16_t n_operators;
    uint16_t input_tensor;
    uint16_t output_tensor;
    uint16_t decision_tensor;
    uint16_t stream_tensor; // where an input is gathered, behind the u32 of bytes that are there
    wb_descriptor_t input;
    wb_descriptor_t output;
} wb_header_t;

typedef struct {
    uint32_t place; // byte offset in the arena, a multiple of 4, or WB_PLACE_INPUT
    uint32_t size;  // bytes
    uint8_t typecode; // of the elements, as in Python's array module: b B h H i f
    uint8_t reserved[3];
} wb_tensor_t;

typedef struct {
    uint16_t opcode;
    uint8_t n_inputs; // the first n_inputs operands are only read
    uint8_t n_operands;
    uint32_t params; // offset in the program, a multiple of 4
    uint32_t params_size;
    uint16_t operand[WB_MAX_OPERANDS]; // tensor indexes
} wb_operator_t;

// One entry of the link table that assemble() appends to the program.
typedef struct {
    uint16_t opcode;
    uint16_t entry;  // offset of the entry point in the kernel
    uint32_t offset; // of the kernel, from the start of the module's text; a multiple of 4
    uint32_t size;   // bytes; a multiple of 4
    uint32_t crc;    // of the kernel's bytes
} wb_link_t;

typedef int32_t (*wb_kernel_t)(const wb_call_t *call);

// Inside of one module: no detour over a global offset table. For Xtensa, mpy_ld.py knows no other
// way to a function that is not static: it leaves direct calls unresolved.
#if !defined(__XTENSA__)
#pragma GCC visibility push(hidden)
#endif

// CRC-32 (the zlib one) of size bytes at data; data 4-byte aligned, size a multiple of 4,
// read in whole words (instruction RAM of an ESP32 allows nothing else).
uint32_t wb_crc32(const uint32_t *data, uint32_t size);

// 0, or the WB_E_ reason why the size bytes at data do not start with a sound program.
int32_t wb_check_program(const uint8_t *data, uint32_t size);

// 0, or why the link table is unsound. links 4-byte aligned.
int32_t wb_check_links(const uint8_t *links, uint32_t size);

// The link of opcode if its kernel's bytes are whole, else NULL. text: start of the module's text.
const wb_link_t *wb_find_kernel(
    const uint8_t *links, uint32_t size, uint32_t opcode, const uint8_t *text);

// Calls kernels[i] for operator i, until one returns something else than WB_OK: that is returned.
// WB_NOT_DUE is no error: there is no result this time.
// WB_CHECK lets them check their parameters; arena and input are not used and may be NULL.
// WB_RUN runs the program, which passed all of the checks; arena and input are as large and as
// aligned as it says.
int32_t wb_call_operators(
    const uint8_t *program, const wb_kernel_t *kernels, uint32_t phase, uint8_t *arena,
    const uint8_t *input);

// 0, or the WB_E_ reason why a program that is sound otherwise cannot take a stream.
int32_t wb_check_stream(const uint8_t *program);

// What of a stream is due.
typedef struct {
    uint8_t *output;  // takes the output tensor; may be NULL
    int32_t decision; // what predict would return
    int32_t due;      // whether anything was
} wb_result_t;

// Runs the program for every whole input that block completes; the rest waits in the arena. The
// program passed wb_check_stream; size is a multiple of the input's item. result->due is 0 before.
void wb_push(
    const uint8_t *program, const wb_kernel_t *kernels, uint8_t *arena, const uint8_t *block,
    uint32_t size, wb_result_t *result);

// What predict returns, from the arena after WB_RUN.
int32_t wb_decide(const uint8_t *program, const uint8_t *arena);

// log2 of the bytes of one element of a dtype: 0, 1 or 2; larger for an unknown typecode.
uint32_t wb_item_shift(uint32_t typecode);

#if !defined(__XTENSA__)
#pragma GCC visibility pop
#endif

static inline const wb_header_t *wb_header(const uint8_t *program) {
    return (const wb_header_t *)(const void *)program;
}

static inline const wb_tensor_t *wb_tensors(const uint8_t *program) {
    return (const wb_tensor_t *)(const void *)(program + sizeof(wb_header_t));
}

static inline const wb_operator_t *wb_operators(const uint8_t *program) {
    return (const wb_operator_t *)(const void *)(wb_tensors(program) + wb_header(program)->n_tensors);
}

#endif
