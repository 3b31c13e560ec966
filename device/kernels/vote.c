// What most of the last decisions say.
// host/wingbeat/reference/vote.py defines the result; the two agree bit for bit.
//
// operand 0: input, int8, int16 or uint16 [n_scores]
// operand 1: output, int16 [1]: a class, or none
// operand 2: kept from run to run, uint8 [n_votes]: decisions plus 1, newest first; 0 for none yet
// operand 3: scratch, uint8 [n_scores + 2]: how many votes are for each of these numbers
#include "kernels/operands.h"
#include "kernels/scores.h"

#define MAX_SCORES 254u // decisions plus 1 are bytes

typedef struct {
    uint8_t n_scores; // 1 to MAX_SCORES
    uint8_t n_votes;  // 1 or more
    uint8_t typecode; // of the scores: 'b', 'h' or 'H'
    uint8_t none;     // what a run with small scores decides for: 0 to n_scores
    int32_t least;    // the least score with which it decides for a class
} vote_t;

static const vote_t *vote_of(const wb_call_t *call) {
    return (const vote_t *)(const void *)call->params;
}

static uint32_t decide(const vote_t *vote, const uint8_t *x) {
    uint32_t best = 0;
    int32_t largest = wb_score(x, vote->typecode, 0);
    for (uint32_t i = 1; i != vote->n_scores; i++) {
        int32_t score = wb_score(x, vote->typecode, i);
        if (score > largest) {
            largest = score;
            best = i;
        }
    }
    return largest >= vote->least ? best : vote->none;
}

// Puts a vote in front of the others, of which the oldest falls out.
static void push(uint8_t *votes, uint32_t count, uint32_t vote) {
    for (uint32_t i = 0; i != count; i++) {
        uint32_t next = votes[i];
        votes[i] = (uint8_t)vote;
        vote = next;
    }
}

static void run(const wb_call_t *call) {
    const vote_t *vote = vote_of(call);
    uint8_t *votes = call->operand[2].data;
    uint8_t *count = call->operand[3].data;
    uint32_t limit = vote->n_scores + 1u; // the largest vote
    for (uint32_t i = 0; i <= limit; i++) {
        count[i] = 0;
    }
    push(votes, vote->n_votes, decide(vote, call->operand[0].data) + 1);
    for (uint32_t i = 0; i != vote->n_votes; i++) {
        // Nothing that is kept is trusted.
        if (votes[i] <= limit) {
            count[votes[i]]++;
        }
    }
    count[0] = 0;
    uint32_t best = votes[0];
    for (uint32_t i = 1; i != vote->n_votes; i++) {
        if (votes[i] <= limit && count[votes[i]] > count[best]) {
            best = votes[i];
        }
    }
    *(int16_t *)(void *)call->operand[1].data = (int16_t)(best - 1);
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const vote_t *vote = vote_of(call);
    if (call->params_size != sizeof(vote_t) || vote->n_scores == 0 ||
        vote->n_scores > MAX_SCORES || vote->n_votes == 0 ||
        wb_score_size(vote->typecode) == 0 || vote->none > vote->n_scores) {
        return WB_BAD_PARAMS;
    }
    uint32_t n = vote->n_scores;
    if (call->n_inputs != 1 || call->n_operands != 4 ||
        !wb_is_operand(&call->operand[0], vote->typecode, n * wb_score_size(vote->typecode)) ||
        !wb_is_operand(&call->operand[1], 'h', 2) ||
        !wb_is_operand(&call->operand[2], 'B', vote->n_votes) ||
        !wb_is_operand(&call->operand[3], 'B', n + 2)) {
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
