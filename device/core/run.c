// The straight walk over a program's operators, and the decision at its end.
#include "core/program.h"

#include <stddef.h>

static uint8_t *tensor_data(const wb_tensor_t *tensor, uint8_t *arena, const uint8_t *input) {
    // Kernels only read from the input: the loader made sure of it.
    return tensor->place == WB_PLACE_INPUT ? (uint8_t *)(uintptr_t)input : arena + tensor->place;
}

static void make_call(
    wb_call_t *call, const uint8_t *program, const wb_operator_t *op, uint32_t phase) {
    const wb_tensor_t *tensors = wb_tensors(program);
    call->phase = phase;
    call->params = program + op->params;
    call->params_size = op->params_size;
    call->n_inputs = op->n_inputs;
    call->n_operands = op->n_operands;
    for (uint32_t i = 0; i < op->n_operands; i++) {
        const wb_tensor_t *tensor = &tensors[op->operand[i]];
        call->operand[i].data = NULL;
        call->operand[i].size = tensor->size;
        call->operand[i].typecode = tensor->typecode;
    }
}

int32_t wb_check_operators(const uint8_t *program, const wb_kernel_t *kernels) {
    const wb_operator_t *op = wb_operators(program);
    for (uint32_t i = 0; i < wb_header(program)->n_operators; i++, op++) {
        wb_call_t call;
        make_call(&call, program, op, WB_CHECK);
        if (kernels[i](&call) != WB_OK) {
            return WB_E_OPERATOR;
        }
    }
    return 0;
}

void wb_run(
    const uint8_t *program, const wb_kernel_t *kernels, uint8_t *arena, const uint8_t *input) {
    const wb_tensor_t *tensors = wb_tensors(program);
    const wb_operator_t *op = wb_operators(program);
    for (uint32_t i = 0; i < wb_header(program)->n_operators; i++, op++) {
        wb_call_t call;
        make_call(&call, program, op, WB_RUN);
        for (uint32_t j = 0; j < op->n_operands; j++) {
            call.operand[j].data = tensor_data(&tensors[op->operand[j]], arena, input);
        }
        (void)kernels[i](&call);
    }
}

static int32_t element(const void *at, uint32_t typecode) {
    switch (typecode) {
        case 'b':
            return *(const int8_t *)at;
        case 'B':
            return *(const uint8_t *)at;
        case 'h':
            return *(const int16_t *)at;
        case 'H':
            return *(const uint16_t *)at;
        default:
            return *(const int32_t *)at;
    }
}

int32_t wb_decide(const uint8_t *program, const uint8_t *arena) {
    const wb_header_t *header = wb_header(program);
    const wb_tensor_t *tensor = &wb_tensors(program)[header->decision_tensor];
    const uint8_t *data = arena + tensor->place;
    int32_t best = element(data, tensor->typecode);
    if (header->decision_kind == WB_DECIDE_VALUE) {
        return best;
    }
    if (header->decision_kind == WB_DECIDE_POSITIVE) {
        return best > 0;
    }
    uint32_t shift = wb_item_shift(tensor->typecode);
    uint32_t n = tensor->size >> shift;
    uint32_t index = 0;
    for (uint32_t i = 1; i < n; i++) {
        int32_t value = element(data + (i << shift), tensor->typecode);
        if (value > best) {
            best = value;
            index = i;
        }
    }
    return (int32_t)index;
}
