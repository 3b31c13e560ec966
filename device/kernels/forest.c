// Decision forests: walks every tree and sums what its leaf gives.
// SPEC.md, "Operator forest", defines the parameters; wingbeat.reference.forest the result.
//
// Compiled once for each dtype of the features and each kind of leaf, so that a module carries
// only the walk that its model needs:
//   FOREST_DTYPE   FOREST_U8, FOREST_I8, FOREST_I16 or FOREST_F32
//   FOREST_LEAVES  FOREST_PAIRS   uint16 sums of votes, up to 16 classes
//                  FOREST_WIDE    int32 sums of votes, any number of classes
//                  FOREST_VALUES  int32 sums of one value a leaf
#include "kernels/kernel.h"

#define FOREST_U8 0
#define FOREST_I8 1
#define FOREST_I16 2
#define FOREST_F32 3
#define FOREST_PAIRS 0
#define FOREST_WIDE 1
#define FOREST_VALUES 2

#if FOREST_DTYPE == FOREST_U8
#define TYPECODE 'B'
#define ITEM_SHIFT 0
#elif FOREST_DTYPE == FOREST_I8
#define TYPECODE 'b'
#define ITEM_SHIFT 0
#elif FOREST_DTYPE == FOREST_I16
#define TYPECODE 'h'
#define ITEM_SHIFT 1
typedef int16_t threshold_t;
#else
#define TYPECODE 'f'
#define ITEM_SHIFT 2
typedef int32_t threshold_t;
#endif

// 8-bit nodes: threshold << 24 | left << 16 | right << 8 | feature.
// Others: left << 24 | right << 16 | byte offset of the feature; the thresholds stand apart.
#if ITEM_SHIFT == 0
#define RIGHT_SHIFT 8
#define FEATURE_MASK 0xffu
#else
#define RIGHT_SHIFT 16
#define FEATURE_MASK 0xffffu
#endif

#if FOREST_LEAVES == FOREST_PAIRS
typedef uint16_t sum_t;
#define SUM_TYPECODE 'H'
#else
typedef uint32_t sum_t;
#define SUM_TYPECODE 'i'
#endif

#define EXIT 0x80u // in a child reference: leaves the block, to a leaf or to another block
#define N_EXITS 128u
#define MAX_OFFSET 0x4000u // feature offsets stay below: the walk shifts zeros out of their top
#define LAST_CLASS 0x8000u // in a wide vote record: no class follows

typedef struct {
    uint16_t n_features;
    uint16_t n_outputs;
    uint16_t n_trees;
    uint16_t n_weights;   // entries of the weight table of FOREST_PAIRS; 0: records hold weights
    uint16_t full_weight; // of a leaf with one class
    uint16_t first_block; // position: words from the start of params
    uint16_t roots[];     // n_trees positions of blocks, rising
    // uint16_t weights[n_weights]
} forest_t;

typedef struct {
    uint8_t n_nodes; // 1 to 128
    uint8_t n_jumps;
    uint16_t words; // of the whole block
    uint32_t nodes[];
    // threshold_t thresholds[n_nodes], padded to 4 bytes; none with 8-bit features
    // leaves: uint16_t vote records, or int32_t values
    // uint16_t jumps[n_jumps]: positions of blocks, at the very end
} block_t;

static const uint32_t *words_of(const wb_call_t *call) {
    return (const uint32_t *)(const void *)call->params;
}

static const forest_t *forest_of(const wb_call_t *call) {
    return (const forest_t *)(const void *)call->params;
}

static const uint16_t *weights_of(const forest_t *forest) {
    return forest->roots + forest->n_trees;
}

static const block_t *block_at(const wb_call_t *call, uint32_t position) {
    return (const block_t *)(const void *)(words_of(call) + position);
}

static const uint16_t *leaves_of(const block_t *block) {
    const uint32_t *leaves = block->nodes + block->n_nodes;
    #if FOREST_DTYPE == FOREST_I16
    leaves += (block->n_nodes + 1u) / 2;
    #elif FOREST_DTYPE == FOREST_F32
    leaves += block->n_nodes;
    #endif
    return (const uint16_t *)(const void *)leaves;
}

static const uint16_t *jumps_of(const block_t *block) {
    const uint32_t *end = (const uint32_t *)(const void *)block + block->words;
    return (const uint16_t *)(const void *)end - block->n_jumps;
}

// Exits below this are whole votes for the class of that number.
static inline uint32_t direct_classes(const forest_t *forest) {
    #if FOREST_LEAVES == FOREST_PAIRS
    return forest->n_outputs;
    #elif FOREST_LEAVES == FOREST_WIDE
    return forest->n_outputs <= N_EXITS / 2 ? forest->n_outputs : 0;
    #else
    (void)forest;
    return 0;
    #endif
}

// ---- Walks: from the first node of a block to the number of an exit.

#if defined(__ARM_ARCH_6M__)

// Cortex-M0+: a node costs 13 cycles with 8-bit features, 15 with int16, 16 with float32. The
// comparison stands twice, once behind each child, so that there is no jump to a common head.
// n: node, r: byte offset of the node and then its exit, f: feature, u: scratch.
#if ITEM_SHIFT == 0
#define HEAD(load, shift) \
    "ldr %[n], [%[nodes], %[r]]\n" \
    "uxtb %[f], %[n]\n" \
    load " %[f], [%[x], %[f]]\n" \
    shift " %[r], %[n], #24\n" \
    "cmp %[f], %[r]\n"
#define CHILD(shift) \
    "lsls %[r], %[n], #" shift "\n" \
    "bmi 4f\n" \
    "lsrs %[r], %[r], #24\n" \
    "lsls %[r], %[r], #2\n"
#define LEFT CHILD("8")
#define RIGHT CHILD("16")
#else
#define LEFT \
    "asrs %[r], %[n], #24\n" \
    "bmi 5f\n" \
    "lsls %[r], %[r], #2\n"
#define RIGHT \
    "lsls %[r], %[n], #8\n" \
    "bmi 4f\n" \
    "lsrs %[r], %[r], #22\n"
#endif

#if FOREST_DTYPE == FOREST_U8
#define COMPARE HEAD("ldrb", "lsrs")
#elif FOREST_DTYPE == FOREST_I8
#define COMPARE HEAD("ldrsb", "asrs")
#elif FOREST_DTYPE == FOREST_I16
#define COMPARE \
    "ldr %[n], [%[nodes], %[r]]\n" \
    "uxth %[f], %[n]\n" \
    "lsrs %[r], %[r], #1\n" \
    "ldrsh %[f], [%[x], %[f]]\n" \
    "ldrsh %[r], [%[t], %[r]]\n" \
    "cmp %[f], %[r]\n"
#else
// The bits of a float order like an integer once those of negative numbers are turned over.
#define COMPARE \
    "ldr %[n], [%[nodes], %[r]]\n" \
    "uxth %[f], %[n]\n" \
    "ldr %[f], [%[x], %[f]]\n" \
    "ldr %[u], [%[t], %[r]]\n" \
    "asrs %[r], %[f], #31\n" \
    "lsrs %[r], %[r], #1\n" \
    "eors %[f], %[r]\n" \
    "cmp %[f], %[u]\n"
#endif

#if FOREST_DTYPE == FOREST_U8
#define IF_LEFT "bls"
#define IF_RIGHT "bhi"
#else
#define IF_LEFT "ble"
#define IF_RIGHT "bgt"
#endif

static inline uint32_t walk(const block_t *block, const uint8_t *x) {
    uint32_t n;
    uint32_t r;
    uint32_t f;
    uint32_t u;
    __asm__("movs %[r], #0\n" COMPARE IF_RIGHT " 3f\n"
            "2:\n" LEFT COMPARE IF_LEFT " 2b\n"
            "3:\n" RIGHT COMPARE IF_RIGHT " 3b\n"
            "b 2b\n"
            "4: lsrs %[r], %[r], #24\n"
            "5:\n"
            : [n] "=&l"(n), [r] "=&l"(r), [f] "=&l"(f), [u] "=&l"(u)
            : [nodes] "l"(block->nodes), [x] "l"(x), [t] "l"(block->nodes + block->n_nodes)
            : "cc", "memory");
    return r & (N_EXITS - 1);
}

#else

static int32_t goes_right(const block_t *block, uint32_t index, const uint8_t *x) {
    uint32_t node = block->nodes[index];
    x += node & FEATURE_MASK;
    #if FOREST_DTYPE == FOREST_U8
    return *x > node >> 24;
    #elif FOREST_DTYPE == FOREST_I8
    return (int8_t)*x > (int32_t)node >> 24;
    #else
    int32_t key = *(const threshold_t *)(const void *)x;
    #if FOREST_DTYPE == FOREST_F32
    // The bits of a float order like an integer once those of negative numbers are turned over.
    key ^= (int32_t)((uint32_t)(key >> 31) >> 1);
    #endif
    return key > ((const threshold_t *)(const void *)(block->nodes + block->n_nodes))[index];
    #endif
}

static uint32_t walk(const block_t *block, const uint8_t *x) {
    uint32_t child = 0;
    do {
        uint32_t shift = RIGHT_SHIFT + (goes_right(block, child, x) ? 0 : 8);
        child = (block->nodes[child] >> shift) & 0xff;
    } while (child < EXIT);
    return child & (N_EXITS - 1);
}

#endif

// ---- Leaves

#if FOREST_LEAVES == FOREST_PAIRS

// A record of k classes has k - 1 entries: weight (or its index) << 8 | next class << 4 | class.
// In all but the last, the next class is the class itself; in the last, it gets what is left.
static void add_leaf(const wb_call_t *call, const block_t *block, uint32_t index) {
    const forest_t *forest = forest_of(call);
    sum_t *sums = (sum_t *)(void *)call->operand[1].data;
    const uint16_t *record = leaves_of(block) + index;
    uint32_t rest = forest->full_weight;
    uint32_t class;
    uint32_t next;
    do {
        uint32_t entry = *record++;
        uint32_t weight = entry >> 8;
        if (forest->n_weights != 0) {
            weight = weights_of(forest)[weight];
        }
        class = entry & 15u;
        next = (entry >> 4) & 15u;
        sums[class] = (sum_t)(sums[class] + weight);
        rest -= weight;
    } while (class == next);
    sums[next] = (sum_t)(sums[next] + rest);
}

static int32_t leaf_is_sound(const forest_t *forest, const block_t *block, uint32_t index) {
    const uint16_t *end = jumps_of(block);
    for (const uint16_t *record = leaves_of(block) + index; record < end; record++) {
        uint32_t class = *record & 15u;
        uint32_t next = (*record >> 4) & 15u;
        if (class >= forest->n_outputs || next >= forest->n_outputs ||
            (forest->n_weights != 0 && *record >> 8 >= forest->n_weights)) {
            return 0;
        }
        if (class != next) {
            return 1;
        }
    }
    return 0;
}

#elif FOREST_LEAVES == FOREST_WIDE

// A record has two entries for each class: its number (with LAST_CLASS in the last) and weight.
static void add_leaf(const wb_call_t *call, const block_t *block, uint32_t index) {
    sum_t *sums = (sum_t *)(void *)call->operand[1].data;
    const uint16_t *record = leaves_of(block) + index;
    uint32_t class;
    do {
        class = *record++;
        sums[class & ~LAST_CLASS] += *record++;
    } while (class < LAST_CLASS);
}

static int32_t leaf_is_sound(const forest_t *forest, const block_t *block, uint32_t index) {
    const uint16_t *end = jumps_of(block);
    for (const uint16_t *record = leaves_of(block) + index; end - record >= 2; record += 2) {
        if ((*record & ~LAST_CLASS) >= forest->n_outputs) {
            return 0;
        }
        if (*record >= LAST_CLASS) {
            return 1;
        }
    }
    return 0;
}

#else

static int32_t leaf_is_sound(const forest_t *forest, const block_t *block, uint32_t index) {
    (void)forest;
    return leaves_of(block) + 2 * (index + 1) <= jumps_of(block);
}

#endif

static void run(const wb_call_t *call) {
    const forest_t *forest = forest_of(call);
    const uint8_t *x = call->operand[0].data;
    sum_t *sums = (sum_t *)(void *)call->operand[1].data;
    uint32_t direct = direct_classes(forest);
    for (uint32_t i = 0; i < forest->n_outputs; i++) {
        sums[i] = 0;
    }
    #if FOREST_LEAVES == FOREST_VALUES
    uint32_t output = 0;
    #endif
    const uint16_t *end = weights_of(forest);
    for (const uint16_t *root = forest->roots; root != end; root++) {
        const block_t *block = block_at(call, *root);
        uint32_t exit = walk(block, x);
        while (exit >= direct && exit >= N_EXITS - block->n_jumps) {
            block = block_at(call, jumps_of(block)[exit + block->n_jumps - N_EXITS]);
            exit = walk(block, x);
        }
        #if FOREST_LEAVES == FOREST_VALUES
        sums[output] += ((const uint32_t *)(const void *)leaves_of(block))[exit];
        output = output + 1 == forest->n_outputs ? 0 : output + 1;
        #else
        if (exit < direct) {
            sums[exit] = (sum_t)(sums[exit] + forest->full_weight);
        } else {
            add_leaf(call, block, exit - direct);
        }
        #endif
    }
}

// ---- Checks

// A block starts at position to, which lies behind position from, where one starts as well.
static int32_t is_block_behind(const wb_call_t *call, uint32_t from, uint32_t to) {
    if (to >= call->params_size / 4) {
        return 0;
    }
    while (from < to) {
        uint32_t words = block_at(call, from)->words;
        from = words == 0 ? to + 1 : from + words;
    }
    return from == to;
}

static int32_t child_is_sound(
    const wb_call_t *call, uint32_t position, uint32_t index, uint32_t child) {
    const forest_t *forest = forest_of(call);
    const block_t *block = block_at(call, position);
    if ((child & EXIT) == 0) {
        return child > index && child < block->n_nodes;
    }
    child &= N_EXITS - 1;
    uint32_t direct = direct_classes(forest);
    if (child < direct) {
        return 1;
    }
    if (child >= N_EXITS - block->n_jumps) {
        uint32_t target = jumps_of(block)[child + block->n_jumps - N_EXITS];
        return target > position && is_block_behind(call, position, target);
    }
    return leaf_is_sound(forest, block, child - direct);
}

static int32_t block_is_sound(const wb_call_t *call, uint32_t position) {
    const block_t *block = block_at(call, position);
    if (block->n_nodes - 1u >= N_EXITS || block->n_jumps > N_EXITS ||
        block->words > call->params_size / 4 - position || leaves_of(block) > jumps_of(block)) {
        return 0;
    }
    for (uint32_t i = 0; i < block->n_nodes; i++) {
        uint32_t node = block->nodes[i];
        uint32_t offset = node & FEATURE_MASK;
        if (offset >= MAX_OFFSET || (offset & ((1u << ITEM_SHIFT) - 1)) != 0 ||
            offset >> ITEM_SHIFT >= forest_of(call)->n_features ||
            !child_is_sound(call, position, i, (node >> RIGHT_SHIFT) & 0xff) ||
            !child_is_sound(call, position, i, (node >> (RIGHT_SHIFT + 8)) & 0xff)) {
            return 0;
        }
    }
    return 1;
}

static int32_t blocks_are_sound(const wb_call_t *call) {
    const forest_t *forest = forest_of(call);
    const uint16_t *root = forest->roots;
    const uint16_t *end = weights_of(forest);
    uint32_t position = forest->first_block;
    while (position < call->params_size / 4) {
        if (!block_is_sound(call, position)) {
            return 0;
        }
        if (root != end && *root == position) {
            root++;
        }
        position += block_at(call, position)->words;
    }
    return root == end;
}

static int32_t check(const wb_call_t *call) {
    const forest_t *forest = forest_of(call);
    const wb_operand_t *x = &call->operand[0];
    const wb_operand_t *sums = &call->operand[1];
    if (call->params_size < sizeof(forest_t)) {
        return WB_BAD_PARAMS;
    }
    uint32_t tables =
        (uint32_t)sizeof(forest_t) + 2 * ((uint32_t)forest->n_trees + forest->n_weights);
    if (tables > call->params_size || forest->first_block != (tables + 3) / 4) {
        return WB_BAD_PARAMS;
    }
    if (call->n_inputs != 1 || call->n_operands != 2 || x->typecode != TYPECODE ||
        x->size != (uint32_t)forest->n_features << ITEM_SHIFT ||
        sums->typecode != SUM_TYPECODE || sums->size != forest->n_outputs * sizeof(sum_t)) {
        return WB_BAD_OPERANDS;
    }
    return blocks_are_sound(call) ? WB_OK : WB_BAD_PARAMS;
}

WB_KERNEL int32_t wb_kernel(const wb_call_t *call) {
    if (call->phase == WB_CHECK) {
        return check(call);
    }
    run(call);
    return WB_OK;
}
