// Loads and runs programs: reads them with rows of input from stdin until it ends, and writes a
// status and, for each row of a sound program, the output and the decision. If asked to, it pushes
// the rows as blocks of a stream, where the program takes one.
#include "drive.h"

#include <stdio.h>
#include <stdlib.h>

static void take(void *to, uint32_t size) {
    if (fread(to, 1, size, stdin) != size) {
        exit(3);
    }
}

static uint32_t take_number(void) {
    uint32_t number;
    take(&number, sizeof(number));
    return number;
}

static uint8_t *take_buffer(uint32_t size) {
    uint8_t *buffer = malloc(size);
    take(buffer, size);
    return buffer;
}

static void answer(int32_t decision, const uint8_t *output, uint32_t size) {
    fwrite(output, 1, size, stdout);
    fwrite(&decision, sizeof(decision), 1, stdout);
}

// The rows may be shorter or longer than a damaged program's input.
static void run_row(drive_model_t *model, const uint8_t *row, uint32_t row_size) {
    uint8_t *input = malloc(model->input_size);
    uint8_t *output = malloc(model->output_size);
    for (uint32_t i = 0; i < model->input_size; i++) {
        input[i] = row_size == 0 ? 0 : row[i % row_size];
    }
    answer(drive_run(model, input, output), output, model->output_size);
    free(input);
    free(output);
}

static void push_row(drive_model_t *model, const uint8_t *row, uint32_t row_size) {
    uint8_t *output = calloc(1, model->output_size);
    answer(drive_push(model, row, row_size, output), output, model->output_size);
    free(output);
}

int main(void) {
    uint32_t size;
    while (fread(&size, sizeof(size), 1, stdin) == 1) {
        uint32_t n_rows = take_number();
        uint32_t row_size = take_number();
        uint32_t push = take_number();
        uint8_t *program = take_buffer(size);
        uint8_t *rows = take_buffer(n_rows * row_size);
        drive_model_t model;
        int32_t status = drive_load(&model, program, size);
        uint32_t output_size = status == 0 ? model.output_size : 0;
        fwrite(&status, sizeof(status), 1, stdout);
        fwrite(&output_size, sizeof(output_size), 1, stdout);
        if (status == 0) {
            for (uint32_t i = 0; i < n_rows; i++) {
                if (push && wb_header(model.program)->stream_tensor != 0) {
                    push_row(&model, rows + i * row_size, row_size);
                } else {
                    run_row(&model, rows + i * row_size, row_size);
                }
            }
            drive_free(&model);
        }
        free(program);
        free(rows);
    }
    return 0;
}
