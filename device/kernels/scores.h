// Scores of classes: int8 of nets, uint16 of forests, int16 of operators on signals.
// host/wingbeat/reference/scores.py is the same for the references.
#ifndef WINGBEAT_SCORES_H
#define WINGBEAT_SCORES_H

#include "kernels/kernel.h"

static inline int32_t wb_score(const uint8_t *scores, uint32_t typecode, uint32_t i) {
    if (typecode == 'b') {
        return (int8_t)scores[i];
    }
    if (typecode == 'h') {
        return ((const int16_t *)(const void *)scores)[i];
    }
    return ((const uint16_t *)(const void *)scores)[i];
}

// Bytes of a score; 0 if there are no scores of this typecode.
WB_COLD static uint32_t wb_score_size(uint32_t typecode) {
    return typecode == 'b' ? 1 : typecode == 'h' || typecode == 'H' ? 2 : 0;
}

// Whether a score can be this.
WB_COLD __attribute__((unused)) static int32_t wb_is_score(uint32_t typecode, int32_t value) {
    uint32_t least = typecode == 'b' ? 128 : typecode == 'h' ? 32768 : 0;
    return (uint32_t)value + least < (typecode == 'b' ? 256u : 65536u);
}

#endif
