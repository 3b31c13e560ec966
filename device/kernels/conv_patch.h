// Patches of a convolution: what lies under the kernel, where it hangs over the edge as well.
#ifndef WINGBEAT_CONV_PATCH_H
#define WINGBEAT_CONV_PATCH_H

#include "kernels/conv_window.h"

#define MAX_PATCH 65535u

typedef struct {
    wb_window_t window;
    int8_t padding;      // what lies outside of the map
    uint8_t n_stretches; // conv.c: 1 or more; conv_pairs.c: 0
} conv_t;

typedef struct {
    int32_t row; // top left corner of the patch on the map
    int32_t column;
} corner_t;

static uint32_t patch_of(const wb_window_t *window) {
    return (uint32_t)window->kernel_height * window->kernel_width * window->in_channels;
}

// Taps in front of the map, on it and behind it.
typedef struct {
    int32_t front;
    int32_t on;
    int32_t behind;
} span_t;

static span_t span_of(int32_t first, int32_t size, int32_t taps) {
    int32_t start = first < 0 ? -first : 0;
    int32_t end = size - first;
    start = start < taps ? start : taps;
    end = end < taps ? end : taps;
    end = end > start ? end : start;
    span_t span = {start, end - start, taps - end};
    return span;
}

static inline int8_t *fill(int8_t *to, int32_t n, int8_t padding) {
    for (int8_t *end = to + n; to != end; to++) {
        *to = padding;
    }
    return to;
}

// Copies runs of span->on bytes, each with padding around it. gap: from the end of a run to the
// next one.
static WB_APART int8_t *copy_runs(
    int8_t *to, const int8_t *from, const span_t *span, int32_t gap, int32_t n, int8_t padding) {
    for (; n != 0; n--, from += gap) {
        to = fill(to, span->front, padding);
        // Up to 0: one index for both.
        from += span->on;
        to += span->on;
        for (int32_t i = -span->on; i != 0; i++) {
            to[i] = from[i];
        }
        to = fill(to, span->behind, padding);
    }
    return to;
}

// Copies what lies under height x width taps that follow each other.
static WB_APART int8_t *copy_taps(
    const conv_t *conv, const int8_t *x, const corner_t *corner, int32_t height, int32_t width,
    int8_t *to) {
    const wb_window_t *window = &conv->window;
    int32_t channels = window->in_channels;
    int32_t length = width * channels;
    span_t rows = span_of(corner->row, window->in_height, height);
    span_t run = span_of(corner->column, window->in_width, width);
    to = fill(to, rows.front * length, conv->padding);
    if (rows.on != 0) {
        int32_t pixel = (corner->row + rows.front) * window->in_width;
        pixel += run.on == 0 ? 0 : corner->column + run.front;
        run.front *= channels;
        run.on *= channels;
        run.behind *= channels;
        int32_t gap = window->in_width * channels - run.on;
        to = copy_runs(to, x + pixel * channels, &run, gap, rows.on, conv->padding);
    }
    return fill(to, rows.behind * length, conv->padding);
}

static WB_APART void copy_patch(
    const conv_t *conv, const int8_t *x, const corner_t *corner, int8_t *to) {
    const wb_window_t *window = &conv->window;
    if (window->dilation_height == 1 && window->dilation_width == 1) {
        copy_taps(conv, x, corner, window->kernel_height, window->kernel_width, to);
        return;
    }
    corner_t tap = *corner;
    for (uint32_t i = window->kernel_height; i != 0; i--) {
        tap.column = corner->column;
        for (uint32_t j = window->kernel_width; j != 0; j--) {
            to = copy_taps(conv, x, &tap, 1, 1, to);
            tap.column += window->dilation_width;
        }
        tap.row += window->dilation_height;
    }
}

// The same for all pixels.
typedef struct {
    const conv_t *conv;
    const int8_t *x;
    uint32_t row_size;       // bytes
    uint32_t step;           // bytes from a row of taps to the next one
    uint32_t length;         // bytes of a row of taps
    uint32_t copy_size;      // bytes of a patch, rounded up to words
    int32_t inside_rows;     // corners above that and in front of it have all taps on the map
    int32_t inside_columns;  // 0 or less if rows of taps are not contiguous
} map_t;

static void start_map(map_t *map, const conv_t *conv, const wb_operand_t *x) {
    const wb_window_t *window = &conv->window;
    int32_t columns = window->in_width - window->kernel_width + 1;
    map->conv = conv;
    map->x = (const int8_t *)x->data;
    map->row_size = (uint32_t)window->in_channels * window->in_width;
    map->step = map->row_size * window->dilation_height;
    map->length = (uint32_t)window->in_channels * window->kernel_width;
    map->copy_size = (patch_of(window) + 3u) & ~3u;
    map->inside_rows = window->in_height - (window->kernel_height - 1) * window->dilation_height;
    map->inside_columns = window->dilation_width == 1 ? columns : 0;
}

static void next_corner(const wb_window_t *window, corner_t *corner, uint32_t *column) {
    corner->column += window->stride_width;
    if (++*column == window->out_width) {
        *column = 0;
        corner->column = -(int32_t)window->left;
        corner->row += window->stride_height;
    }
}

#endif
