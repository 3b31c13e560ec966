// From scores to detections: smoothing, a threshold with a class for nothing, hysteresis, hold-off.
// host/wingbeat/reference/detector.py defines the result; the two agree bit for bit.
//
// params:    detector_t, u32 ignored[ceil(n_scores / 32)]: a bit for each class
// operand 0: input, int8, int16 or uint16 [n_scores]
// operand 1: output, int16 [1]: the class that is on, or none
// operand 2: kept from run to run, int32 [n_scores + 2]: smoothed scores in steps of 1/256, the
//            class that is on plus 1, runs until another may start
#include "kernels/operands.h"
#include "kernels/scores.h"

#define FRACTION 8
#define MAX_SMOOTHING 15u

typedef struct {
    uint8_t n_scores;  // 1 or more
    uint8_t smoothing; // each run, scores go 2^-smoothing of the way: 0 to MAX_SMOOTHING
    uint8_t typecode;  // of the scores: 'b', 'h' or 'H'
    uint8_t none;      // the result for no class: 0 to n_scores
    int32_t on;        // a class starts where its score is this or more, in steps of 1/256
    int32_t off;       // and ends where it is less than this
    int32_t zero;      // the score that means 0
    uint16_t hold_off; // runs after a start in which no other class starts
    uint16_t reserved; // 0
} detector_t;

static const detector_t *detector_of(const wb_call_t *call) {
    return (const detector_t *)(const void *)call->params;
}

// Smooths all scores; the number of the first largest one.
static uint32_t smooth(const detector_t *detector, const uint8_t *x, int32_t *score) {
    uint32_t best = 0;
    for (uint32_t i = 0; i != detector->n_scores; i++) {
        int32_t distance = wb_score(x, detector->typecode, i) - detector->zero;
        uint32_t way = ((uint32_t)distance << FRACTION) - (uint32_t)score[i];
        score[i] = (int32_t)((uint32_t)score[i] + (uint32_t)((int32_t)way >> detector->smoothing));
        if (score[i] > score[best]) {
            best = i;
        }
    }
    return best;
}

static uint32_t is_ignored(const detector_t *detector, uint32_t class) {
    const uint32_t *ignored = (const uint32_t *)(const void *)(detector + 1);
    return ignored[class >> 5] >> (class & 31) & 1;
}

static void run(const wb_call_t *call) {
    const detector_t *detector = detector_of(call);
    int32_t *score = (int32_t *)(void *)call->operand[2].data;
    uint32_t *kept = (uint32_t *)(void *)(score + detector->n_scores);
    uint32_t best = smooth(detector, call->operand[0].data, score);
    // Nothing that is kept is trusted.
    uint32_t class = kept[0] - 1;
    uint32_t held = kept[1] != 0;
    uint32_t left = kept[1] - held;
    if (class >= detector->n_scores || score[class] < detector->off) {
        class = detector->n_scores;
        if (!held && score[best] >= detector->on && !is_ignored(detector, best)) {
            class = best;
            left = detector->hold_off;
        }
    }
    uint32_t is_on = class != detector->n_scores;
    kept[0] = is_on ? class + 1 : 0;
    kept[1] = left;
    *(int16_t *)(void *)call->operand[1].data = (int16_t)(is_on ? class : detector->none);
}

WB_COLD static int32_t params_are_sound(const wb_call_t *call) {
    const detector_t *detector = detector_of(call);
    if (call->params_size < sizeof(detector_t) || detector->n_scores == 0 ||
        detector->smoothing > MAX_SMOOTHING || wb_score_size(detector->typecode) == 0 ||
        detector->none > detector->n_scores || detector->reserved != 0 ||
        !wb_is_score(detector->typecode, detector->zero)) {
        return 0;
    }
    uint32_t n_words = (detector->n_scores + 31u) >> 5;
    if (call->params_size != sizeof(detector_t) + 4 * n_words) {
        return 0;
    }
    // No bits beyond the classes.
    uint32_t last = ((const uint32_t *)(const void *)(detector + 1))[n_words - 1];
    uint32_t used = detector->n_scores & 31;
    return used == 0 || last >> used == 0;
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const detector_t *detector = detector_of(call);
    if (!params_are_sound(call)) {
        return WB_BAD_PARAMS;
    }
    uint32_t n = detector->n_scores;
    if (call->n_inputs != 1 || call->n_operands != 3 ||
        !wb_is_operand(
            &call->operand[0], detector->typecode, n * wb_score_size(detector->typecode)) ||
        !wb_is_operand(&call->operand[1], 'h', 2) ||
        !wb_is_operand(&call->operand[2], 'i', 4 * n + 8)) {
        return WB_BAD_OPERANDS;
    }
    return WB_OK;
}

WB_KERNEL int32_t wb_kernel(const wb_call_t *call) {
    if (call->phase == WB_CHECK) {
        return check(call);
    }
    run(call);
    return WB_OK;
}
