// From scores to detections: smoothing, a threshold with a class for nothing, hysteresis, hold-off.
// host/wingbeat/reference/detector.py defines the result; the two agree bit for bit.
//
// operand 0: input, int16 [n_scores]
// operand 1: output, int16 [1]: the class that is on, or n_scores for none
// operand 2: kept from run to run, int32 [n_scores + 2]: smoothed scores in steps of 1/256, the
//            class that is on plus 1, runs until another may start
#include "kernels/operands.h"

#define FRACTION 8
#define MAX_SMOOTHING 15u

typedef struct {
    uint8_t n_scores;  // 1 or more
    uint8_t smoothing; // each run, scores go 2^-smoothing of the way: 0 to MAX_SMOOTHING
    int16_t on;        // a class starts where its score is this or more
    int16_t off;       // and ends where it is less than this
    uint16_t hold_off; // runs after a start in which no other class starts
} detector_t;

static const detector_t *detector_of(const wb_call_t *call) {
    return (const detector_t *)(const void *)call->params;
}

// Smooths all scores; the number of the first largest one.
static uint32_t smooth(const detector_t *detector, const int16_t *x, int32_t *score) {
    uint32_t best = 0;
    for (uint32_t i = 0; i != detector->n_scores; i++) {
        uint32_t way = ((uint32_t)(int32_t)x[i] << FRACTION) - (uint32_t)score[i];
        score[i] = (int32_t)((uint32_t)score[i] + (uint32_t)((int32_t)way >> detector->smoothing));
        if (score[i] > score[best]) {
            best = i;
        }
    }
    return best;
}

static void run(const wb_call_t *call) {
    const detector_t *detector = detector_of(call);
    int32_t *score = (int32_t *)(void *)call->operand[2].data;
    uint32_t *kept = (uint32_t *)(void *)(score + detector->n_scores);
    uint32_t best = smooth(detector, (const int16_t *)(const void *)call->operand[0].data, score);
    // Nothing that is kept is trusted.
    uint32_t class = kept[0] - 1;
    uint32_t held = kept[1] != 0;
    uint32_t left = kept[1] - held;
    if (class >= detector->n_scores || score[class] >> FRACTION < detector->off) {
        class = detector->n_scores;
        if (!held && score[best] >> FRACTION >= detector->on) {
            class = best;
            left = detector->hold_off;
        }
    }
    kept[0] = class == detector->n_scores ? 0 : class + 1;
    kept[1] = left;
    *(int16_t *)(void *)call->operand[1].data = (int16_t)class;
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const detector_t *detector = detector_of(call);
    if (call->params_size != sizeof(detector_t) || detector->n_scores == 0 ||
        detector->smoothing > MAX_SMOOTHING) {
        return WB_BAD_PARAMS;
    }
    uint32_t n = detector->n_scores;
    if (call->n_inputs != 1 || call->n_operands != 3 ||
        !wb_is_operand(&call->operand[0], 'h', 2 * n) ||
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
