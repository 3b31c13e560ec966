// The straight walk over a program's operators, and the decision at its end.
#include "core/program.h"

int32_t wb_call_operators(
    const uint8_t *program, const wb_kernel_t *kernels, uint32_t phase, uint8_t *arena,
    const uint8_t *input) {
    const wb_tensor_t *tensors = wb_tensors(program);
    const wb_operator_t *op = wb_operators(program);
    int32_t status = WB_OK;
    for (uint32_t i = 0; i < wb_header(program)->n_operators && status == WB_OK; i++, op++) {
        wb_call_t call;
        call.phase = phase;
        call.params = program + op->params;
        call.params_size = op->params_size;
        call.n_inputs = op->n_inputs;
        call.n_operands = op->n_operands;
        for (uint32_t j = 0; j < op->n_operands; j++) {
            const wb_tensor_t *tensor = &tensors[op->operand[j]];
            wb_operand_t *operand = &call.operand[j];
            operand->size = tensor->size;
            operand->typecode = tensor->typecode;
            // Kernels only read from the input: the loader made sure of it. Integers, since there
            // is no arena yet when they check.
            uintptr_t at = (uintptr_t)arena + tensor->place;
            operand->data = (uint8_t *)(tensor->place == WB_PLACE_INPUT ? (uintptr_t)input : at);
        }
        status = kernels[i](&call);
    }
    return status;
}

static int32_t element(const uint8_t *at, uint32_t typecode) {
    if (wb_item_shift(typecode) == 2) {
        return *(const int32_t *)(const void *)at;
    }
    if (wb_item_shift(typecode) == 1) {
        uint16_t value = *(const uint16_t *)(const void *)at;
        return typecode == 'h' ? (int16_t)value : value;
    }
    return typecode == 'b' ? (int8_t)*at : *at;
}

int32_t wb_decide(const uint8_t *program, const uint8_t *arena) {
    const wb_header_t *header = wb_header(program);
    const wb_tensor_t *tensor = &wb_tensors(program)[header->decision_tensor];
    const uint8_t *data = arena + tensor->place;
    int32_t best = INT32_MIN;
    int32_t index = 0;
    int32_t n = (int32_t)(tensor->size >> wb_item_shift(tensor->typecode));
    for (int32_t i = 0; i < n; i++) {
        int32_t value = element(data, tensor->typecode);
        if (value > best) {
            best = value;
            index = i;
        }
        data += 1u << wb_item_shift(tensor->typecode);
    }
    if (header->decision_kind == WB_DECIDE_ARGMAX) {
        return index;
    }
    return header->decision_kind == WB_DECIDE_POSITIVE ? best > 0 : best;
}
