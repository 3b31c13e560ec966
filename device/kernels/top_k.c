// The k largest scores with their classes, largest first; of equal ones the lower class.
// host/wingbeat/reference/top_k.py defines the result; the two agree bit for bit.
//
// operand 0: input, int8, int16 or uint16 [n_scores]
// operand 1: output, int32 [k][2]: class, score
#include "kernels/operands.h"
#include "kernels/scores.h"

typedef struct {
    uint16_t n_scores; // 1 or more
    uint8_t k;         // 1 to n_scores
    uint8_t typecode;  // of the scores: 'b', 'h' or 'H'
} top_k_t;

typedef struct {
    int32_t class;
    int32_t score;
} place_t;

static const top_k_t *params_of(const wb_call_t *call) {
    return (const top_k_t *)(const void *)call->params;
}

// Moves smaller ones back, from a place that is free, and takes the one in front of them.
static void insert(place_t *first, place_t *place, int32_t class, int32_t score) {
    for (; place != first && score > place[-1].score; place--) {
        *place = place[-1];
    }
    place->class = class;
    place->score = score;
}

static void run(const wb_call_t *call) {
    const top_k_t *params = params_of(call);
    place_t *first = (place_t *)(void *)call->operand[1].data;
    place_t *last = first + params->k - 1;
    place_t *free = first;
    for (uint32_t i = 0; i != params->n_scores; i++) {
        int32_t score = wb_score(call->operand[0].data, params->typecode, i);
        if (free <= last) {
            insert(first, free++, (int32_t)i, score);
        } else if (score > last->score) {
            insert(first, last, (int32_t)i, score);
        }
    }
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const top_k_t *params = params_of(call);
    if (call->params_size != sizeof(top_k_t) || params->k == 0 || params->k > params->n_scores ||
        wb_score_size(params->typecode) == 0) {
        return WB_BAD_PARAMS;
    }
    uint32_t size = wb_score_size(params->typecode);
    if (call->n_inputs != 1 || call->n_operands != 2 ||
        !wb_is_operand(&call->operand[0], params->typecode, size * params->n_scores) ||
        !wb_is_operand(&call->operand[1], 'i', 8u * params->k)) {
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
