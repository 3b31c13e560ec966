// One of the two axes of a map, and what lies on it: what depthwise convolutions and pools share.
#ifndef WINGBEAT_AXIS_H
#define WINGBEAT_AXIS_H

#include "kernels/kernel.h"

typedef struct {
    uint16_t size;   // positions of the input, 1 or more
    uint16_t out;    // positions of the output, 1 or more
    uint8_t kernel;  // this and the next two: 1 or more
    uint8_t stride;
    uint8_t dilation;
    uint8_t before;  // positions of padding in front of the input
} wb_axis_t;

static inline int32_t wb_axis_is_sound(const wb_axis_t *axis) {
    return axis->size != 0 && axis->out != 0 && axis->kernel != 0 && axis->stride != 0 &&
           axis->dilation != 0;
}

#endif
