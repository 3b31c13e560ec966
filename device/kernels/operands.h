// What the checks of several kernels ask.
#ifndef WINGBEAT_OPERANDS_H
#define WINGBEAT_OPERANDS_H

#include "kernels/kernel.h"

WB_COLD static int32_t wb_is_operand(
    const wb_operand_t *operand, uint32_t typecode, uint32_t size) {
    return operand->typecode == typecode && operand->size == size;
}

#endif
