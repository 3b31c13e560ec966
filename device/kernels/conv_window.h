// Where the kernel of a convolution lies on its map. SPEC.md has the bytes.
#ifndef WINGBEAT_CONV_WINDOW_H
#define WINGBEAT_CONV_WINDOW_H

#include "kernels/kernel.h"

#define WB_MAX_PIXELS 65535u
#define WB_MAX_CHANNELS 16384u

typedef struct {
    uint16_t in_height; // 1 or more; height * width at most WB_MAX_PIXELS
    uint16_t in_width;
    uint16_t in_channels; // 1 to WB_MAX_CHANNELS
    uint16_t out_height;
    uint16_t out_width;
    uint16_t out_channels;
    uint16_t top; // padding
    uint16_t left;
    uint8_t kernel_height; // this and the following: 1 or more
    uint8_t kernel_width;
    uint8_t stride_height;
    uint8_t stride_width;
    uint8_t dilation_height;
    uint8_t dilation_width;
} wb_window_t;

static inline int32_t wb_map_is_sound(uint32_t height, uint32_t width) {
    return height * width - 1 < WB_MAX_PIXELS; // neither is 0, and no more than that
}

static inline int32_t wb_window_is_sound(const wb_window_t *window) {
    return wb_map_is_sound(window->in_height, window->in_width) &&
        wb_map_is_sound(window->out_height, window->out_width) &&
        window->in_channels - 1u < WB_MAX_CHANNELS &&
        window->out_channels - 1u < WB_MAX_CHANNELS && window->kernel_height != 0 &&
        window->kernel_width != 0 && window->stride_height != 0 && window->stride_width != 0 &&
        window->dilation_height != 0 && window->dilation_width != 0;
}

// Whether the kernel reaches outside of the map anywhere.
static inline int32_t wb_window_overhangs(const wb_window_t *window) {
    int32_t bottom = (window->out_height - 1) * window->stride_height +
        (window->kernel_height - 1) * window->dilation_height - window->top;
    int32_t right = (window->out_width - 1) * window->stride_width +
        (window->kernel_width - 1) * window->dilation_width - window->left;
    return window->top != 0 || window->left != 0 || bottom >= window->in_height ||
        right >= window->in_width;
}

#endif
