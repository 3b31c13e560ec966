// Streams: inputs are gathered from blocks of any length.
#include "core/program.h"

int32_t wb_check_stream(const uint8_t *program) {
    const wb_header_t *header = wb_header(program);
    const wb_tensor_t *tensors = wb_tensors(program);
    uint32_t gathered = header->stream_tensor;
    if (gathered >= header->n_tensors || gathered == header->input_tensor ||
        header->channels == 0 ||
        tensors[gathered].size != tensors[header->input_tensor].size + sizeof(uint32_t)) {
        return WB_E_LAYOUT;
    }
    return 0;
}

static void copy(uint8_t *to, const uint8_t *from, uint32_t size) {
    for (const uint8_t *end = from + size; from != end; from++) {
        *to++ = *from;
    }
}

static void run(
    const uint8_t *program, const wb_kernel_t *kernels, uint8_t *arena, const uint8_t *input,
    wb_result_t *result) {
    if (wb_call_operators(program, kernels, WB_RUN, arena, input) != WB_OK) {
        return;
    }
    result->due = 1;
    result->decision = wb_decide(program, arena);
    // At once: the next run may use the output's memory.
    if (result->output != 0) {
        const wb_tensor_t *output = &wb_tensors(program)[wb_header(program)->output_tensor];
        copy(result->output, arena + output->place, output->size);
    }
}

void wb_push(
    const uint8_t *program, const wb_kernel_t *kernels, uint8_t *arena, const uint8_t *block,
    uint32_t size, wb_result_t *result) {
    const wb_tensor_t *tensors = wb_tensors(program);
    const wb_tensor_t *input = &tensors[wb_header(program)->input_tensor];
    uint32_t whole = input->size;
    uint32_t within_item = (1u << wb_item_shift(input->typecode)) - 1u;
    uint8_t *gathered = arena + tensors[wb_header(program)->stream_tensor].place;
    uint32_t *count = (uint32_t *)(void *)gathered;
    gathered += sizeof(*count);
    while (size != 0) {
        // An operator of a hostile program may have written there; a part of an item would make
        // the rest of the block start at an odd address.
        if (*count >= whole || (*count & within_item) != 0) {
            *count = 0;
        }
        uint32_t part = whole - *count;
        part = part < size ? part : size;
        if (part == whole) {
            run(program, kernels, arena, block, result);
        } else {
            copy(gathered + *count, block, part);
            *count += part;
            if (*count == whole) {
                *count = 0;
                run(program, kernels, arena, gathered, result);
            }
        }
        block += part;
        size -= part;
    }
}
