// What the fuzzer calls: the loader, the kernels' checks and a run on any bytes.
//
// The first byte says what follows:
//   bit 0   0: a program, then a row of input; 1: a link table
//   bit 1   1: leave the checksum as it is; 0: put it right, to get behind it
//   bit 2   1: a program at an odd address, which must be refused
//
// The offsets in a link table whose checksum is right are trusted: assemble() wrote them, and
// they say where native code is. The target makes them fit its text before it puts the checksum
// right.
#include "drive.h"

#include <stdlib.h>
#include <string.h>

enum {
    LINKS = 1,
    KEEP_CRC = 2,
    MISALIGNED = 4,
};

#define SIZE_AT 8u // of the program's size in its header
#define TEXT_SIZE 256u

static uint32_t read_word(const uint8_t *at) {
    uint32_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

static void fix_crc(uint8_t *data, uint32_t size) {
    uint32_t crc = wb_crc32((const uint32_t *)(const void *)data, size - 4);
    memcpy(data + size - 4, &crc, sizeof(crc));
}

// Bytes of the program in front of the row; everything if the header does not say.
static uint32_t program_size(const uint8_t *data, uint32_t size) {
    uint32_t said = size < SIZE_AT + 4 ? 0 : read_word(data + SIZE_AT);
    return said >= 4 && said <= size && said % 4 == 0 ? said : size;
}

static void run_row(drive_model_t *model, const uint8_t *row, uint32_t row_size) {
    uint8_t *input = calloc(1, model->input_size);
    uint8_t *output = malloc(model->output_size);
    memcpy(input, row, row_size < model->input_size ? row_size : model->input_size);
    (void)drive_run(model, input, output);
    if (wb_header(model->program)->stream_tensor != 0) {
        (void)drive_push(model, row, row_size, output);
    }
    free(input);
    free(output);
}

static void try_program(const uint8_t *data, uint32_t size, uint32_t flags) {
    uint32_t program = program_size(data, size);
    uint8_t *copy = drive_copy(data, program);
    if ((flags & KEEP_CRC) == 0 && program >= 4 && program % 4 == 0) {
        fix_crc(copy, program);
    }
    drive_model_t model;
    if (drive_load(&model, copy, program) == 0) {
        run_row(&model, data + program, size - program);
        drive_free(&model);
    }
    free(copy);
}

static void try_misaligned(const uint8_t *data, uint32_t size) {
    uint8_t *copy = malloc(size + 1);
    memcpy(copy + 1, data, size);
    if (wb_check_program(copy + 1, size) != WB_E_ALIGNMENT) {
        abort();
    }
    free(copy);
}

static void bound_links(uint8_t *links, uint32_t size) {
    for (uint32_t at = 0; at + sizeof(wb_link_t) + 4 <= size; at += sizeof(wb_link_t)) {
        wb_link_t *link = (wb_link_t *)(void *)(links + at);
        link->offset = link->offset % TEXT_SIZE & ~3u;
        link->size = link->size % (TEXT_SIZE - link->offset + 1) & ~3u;
    }
}

static void try_links(const uint8_t *data, uint32_t size, uint32_t flags) {
    uint8_t *links = drive_copy(data, size);
    uint8_t *text = malloc(TEXT_SIZE);
    memset(text, 0x5a, TEXT_SIZE);
    if ((flags & KEEP_CRC) == 0 && size >= 4 && size % 4 == 0) {
        bound_links(links, size);
        fix_crc(links, size);
    }
    if (wb_check_links(links, size) == 0 && (flags & KEEP_CRC) == 0) {
        for (uint32_t opcode = 0; opcode < 256; opcode++) {
            (void)wb_find_kernel(links, size, opcode, text);
        }
    }
    free(links);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    uint32_t flags = data[0];
    uint32_t rest = (uint32_t)size - 1;
    if (flags & LINKS) {
        try_links(data + 1, rest, flags);
    } else if (flags & MISALIGNED) {
        try_misaligned(data + 1, rest);
    } else {
        try_program(data + 1, rest, flags);
    }
    return 0;
}
