// Calls kernels: reads calls from stdin until it ends, and writes a status and, where the check
// accepted and a run was asked for, the run's status and all operands' bytes.
#include "drive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

// An input of the caller is only aligned to its own items.
static uint32_t misalignment(const wb_call_t *call, uint32_t i) {
    return i < call->n_inputs ? 1u << wb_item_shift(call->operand[i].typecode) : 0;
}

static void take_operands(wb_call_t *call) {
    memset(call->operand, 0, sizeof(call->operand));
    for (uint32_t i = 0; i < call->n_operands; i++) {
        call->operand[i].typecode = take_number();
        call->operand[i].size = take_number();
    }
}

typedef struct {
    uint32_t input;
    uint32_t output; // that lies where the input lies; NOTHING_SHARED if none does
} shared_t;

#define NOTHING_SHARED 255u

static void allocate(wb_call_t *call, uint32_t i, const shared_t *shared, uint8_t *buffers[]) {
    wb_operand_t *operand = &call->operand[i];
    int in_place = shared->output != NOTHING_SHARED;
    if (in_place && i == shared->output) {
        operand->data = call->operand[shared->input].data;
        return;
    }
    uint32_t offset = in_place ? 0 : misalignment(call, i);
    uint32_t size = operand->size;
    if (in_place && i == shared->input && call->operand[shared->output].size > size) {
        size = call->operand[shared->output].size;
    }
    buffers[i] = malloc(offset + size);
    operand->data = buffers[i] + offset;
    memset(operand->data, 0xa5, size);
}

// n_given: operands whose contents come from stdin, the inputs at least.
static void run(
    wb_call_t *call, wb_kernel_t kernel, const shared_t *shared, uint8_t *buffers[],
    uint32_t n_given, int32_t status) {
    for (uint32_t i = 0; i < call->n_operands; i++) {
        allocate(call, i, shared, buffers);
        if (i < n_given) {
            take(call->operand[i].data, call->operand[i].size);
        }
    }
    if (status != WB_OK) {
        return;
    }
    call->phase = WB_RUN;
    int32_t ran = kernel(call);
    fwrite(&ran, sizeof(ran), 1, stdout);
    for (uint32_t i = 0; i < call->n_operands; i++) {
        fwrite(call->operand[i].data, 1, call->operand[i].size, stdout);
    }
}

int main(void) {
    uint32_t number;
    while (fread(&number, sizeof(number), 1, stdin) == 1) {
        wb_kernel_t kernel = drive_kernels[number].kernel;
        wb_call_t call;
        uint8_t *buffers[WB_MAX_OPERANDS] = {NULL};
        uint32_t with_run = take_number();
        shared_t shared;
        shared.input = take_number();
        shared.output = take_number();
        uint32_t n_given = take_number();
        call.phase = WB_CHECK;
        call.params_size = take_number();
        call.n_inputs = take_number();
        call.n_operands = take_number();
        uint8_t *params = malloc(call.params_size);
        take(params, call.params_size);
        call.params = params;
        take_operands(&call);
        int32_t status = kernel(&call);
        fwrite(&status, sizeof(status), 1, stdout);
        if (with_run) {
            run(&call, kernel, &shared, buffers, n_given, status);
        }
        for (uint32_t i = 0; i < WB_MAX_OPERANDS; i++) {
            free(buffers[i]);
        }
        free(params);
    }
    return 0;
}
