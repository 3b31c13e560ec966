#include "drive.h"

#include <stdlib.h>
#include <string.h>

uint8_t *drive_copy(const uint8_t *data, uint32_t size) {
    uint8_t *copy = malloc(size);
    if (copy == NULL && size != 0) {
        abort();
    }
    if (size != 0) {
        memcpy(copy, data, size);
    }
    return copy;
}

static wb_kernel_t kernel_of(uint32_t opcode) {
    const drive_kernel_t *entry = drive_kernels;
    while (entry->name != NULL && entry->opcode != opcode) {
        entry++;
    }
    return entry->kernel;
}

static int32_t load_kernels(drive_model_t *model) {
    uint32_t n = wb_header(model->program)->n_operators;
    const wb_operator_t *op = wb_operators(model->program);
    model->kernels = malloc(n * sizeof(wb_kernel_t));
    for (uint32_t i = 0; i < n; i++) {
        model->kernels[i] = kernel_of(op[i].opcode);
        if (model->kernels[i] == NULL) {
            return WB_E_KERNEL;
        }
    }
    int32_t status = wb_call_operators(model->program, model->kernels, WB_CHECK, NULL, NULL);
    return status == WB_OK ? 0 : WB_E_OPERATOR;
}

static int32_t load(drive_model_t *model, uint32_t size) {
    int32_t reason = wb_check_program(model->program, size);
    if (reason == 0 && wb_header(model->program)->stream_tensor != 0) {
        reason = wb_check_stream(model->program);
    }
    if (reason == 0) {
        reason = load_kernels(model);
    }
    if (reason != 0) {
        return reason;
    }
    const wb_header_t *header = wb_header(model->program);
    model->input_size = wb_tensors(model->program)[header->input_tensor].size;
    model->output_size = wb_tensors(model->program)[header->output_tensor].size;
    if (header->arena > DRIVE_LIMIT || model->input_size > DRIVE_LIMIT) {
        return DRIVE_TOO_LARGE;
    }
    model->arena = malloc(header->arena);
    // What nobody writes must not be read as a pointer or a count.
    memset(model->arena, 0xa5, header->arena);
    if (header->stream_tensor != 0) {
        uint32_t kept = wb_tensors(model->program)[header->stream_tensor].place;
        memset(model->arena + kept, 0, header->arena - kept);
    }
    return 0;
}

int32_t drive_load(drive_model_t *model, const uint8_t *program, uint32_t size) {
    memset(model, 0, sizeof(*model));
    model->program = drive_copy(program, size);
    int32_t reason = load(model, size);
    if (reason != 0) {
        drive_free(model);
    }
    return reason;
}

int32_t drive_push(drive_model_t *model, const uint8_t *block, uint32_t size, uint8_t *output) {
    const wb_header_t *header = wb_header(model->program);
    uint32_t item = 1u << wb_item_shift(wb_tensors(model->program)[header->input_tensor].typecode);
    uint8_t *copy = malloc(item + size);
    memcpy(copy + item, block, size);
    wb_result_t result = {output, 0, 0};
    wb_push(model->program, model->kernels, model->arena, copy + item, size & ~(item - 1), &result);
    free(copy);
    return result.due ? result.decision : DRIVE_NOT_DUE;
}

int32_t drive_run(drive_model_t *model, const uint8_t *input, uint8_t *output) {
    const wb_header_t *header = wb_header(model->program);
    const wb_tensor_t *tensors = wb_tensors(model->program);
    // The caller's buffer is only aligned to its own items.
    uint32_t item = 1u << wb_item_shift(tensors[header->input_tensor].typecode);
    uint8_t *copy = malloc(item + model->input_size);
    memcpy(copy + item, input, model->input_size);
    int32_t status = wb_call_operators(
        model->program, model->kernels, WB_RUN, model->arena, copy + item);
    free(copy);
    if (status != WB_OK) {
        memset(output, 0, model->output_size);
        return DRIVE_NOT_DUE;
    }
    memcpy(output, model->arena + tensors[header->output_tensor].place, model->output_size);
    return wb_decide(model->program, model->arena);
}

void drive_free(drive_model_t *model) {
    free(model->program);
    free(model->kernels);
    free(model->arena);
}
