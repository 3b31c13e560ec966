// Decision forests: walks every tree and sums what its leaf gives.
// SPEC.md, "Operator forest", defines the parameters; wingbeat.reference.forest the result.
//
// Compiled once for each dtype of the features and each kind of leaf, so that a module carries
// only the walk that its model needs:
//   FOREST_DTYPE   FOREST_U8, FOREST_I8, FOREST_I16, FOREST_F32, or FOREST_F32_POSITIVE: float32
//                  with no threshold below 0, where a float's bits compare like an integer's
//   FOREST_LEAVES  FOREST_PAIRS   uint16 sums of votes for up to 16 classes, weights in the records
//                  FOREST_TABLE   the same, finer: records point to a table of weights
//                  FOREST_WIDE    int32 sums of votes for any number of classes
//                  FOREST_VALUES  int32 sums of one value a leaf
#include "kernels/kernel.h"

#define FOREST_U8 0
#define FOREST_I8 1
#define FOREST_I16 2
#define FOREST_F32 3
#define FOREST_F32_POSITIVE 4
#define FOREST_PAIRS 0
#define FOREST_TABLE 1
#define FOREST_WIDE 2
#define FOREST_VALUES 3

#if FOREST_DTYPE == FOREST_U8
#define TYPECODE 'B'
#define ITEM_SHIFT 0
#elif FOREST_DTYPE == FOREST_I8
#define TYPECODE 'b'
#define ITEM_SHIFT 0
#elif FOREST_DTYPE == FOREST_I16
#define TYPECODE 'h'
#define ITEM_SHIFT 1
#else
#define TYPECODE 'f'
#define ITEM_SHIFT 2
#endif

// 8-bit nodes: threshold << 24 | left << 16 | right << 8 | feature.
// Others: left << 24 | right << 16 | byte offset of the feature; the threshold stands apart.
#define NODE_WORDS (ITEM_SHIFT == 2 ? 2u : 1u)
#if ITEM_SHIFT == 0
#define RIGHT_SHIFT 8
#define FEATURE_MASK 0xffu
#else
#define RIGHT_SHIFT 16
#define FEATURE_MASK 0xffffu
#endif

#if FOREST_LEAVES == FOREST_PAIRS || FOREST_LEAVES == FOREST_TABLE
typedef uint16_t sum_t;
#define SUM_TYPECODE 'H'
#define MAX_OUTPUTS 16u
#else
typedef uint32_t sum_t;
#define SUM_TYPECODE 'i'
#define MAX_OUTPUTS 0x7fffu
#endif

#define EXIT 0x80u // in a child reference: leaves the block, to a leaf or to another block
#define N_EXITS 128u
#define MAX_OFFSET 0x2000u // bytes of the features: the walk shifts zeros out of the offsets' top
#define LAST_CLASS 0x8000u // in a wide vote record: no class follows

typedef struct {
    uint16_t n_features;
    uint16_t n_outputs;
    uint16_t n_trees;
    uint16_t n_weights;   // entries of the weight table
    uint16_t full_weight; // of a leaf with one class
    uint16_t end;         // words of params. Positions are words from the start of params
    uint16_t roots[];     // n_trees positions of blocks, rising
    // uint16_t weights[n_weights], padding to 4 bytes, blocks up to the end
} forest_t;

typedef struct {
    uint8_t n_nodes; // 1 to 128
    uint8_t first_jump; // exits from here to 127 lead to other blocks
    uint16_t words;     // of the whole block
    uint32_t nodes[];
    // float32: after each node its threshold; int16: after all nodes all thresholds, padded to
    // 4 bytes; 8-bit: none
    // leaves: uint16_t vote records, or int32_t values
    // uint16_t jumps[N_EXITS - first_jump]: positions of blocks, at the very end
} block_t;

static const forest_t *forest_of(const wb_call_t *call) {
    return (const forest_t *)(const void *)call->params;
}

static const uint16_t *weights_of(const forest_t *forest) {
    return forest->roots + forest->n_trees;
}

static const block_t *block_at(const forest_t *forest, uint32_t position) {
    return (const block_t *)(const void *)((const uint32_t *)(const void *)forest + position);
}

static const block_t *behind(const block_t *block) {
    return (const block_t *)(const void *)((const uint32_t *)(const void *)block + block->words);
}

static const uint16_t *leaves_of(const block_t *block) {
    const uint32_t *leaves = block->nodes + block->n_nodes * NODE_WORDS;
    #if FOREST_DTYPE == FOREST_I16
    leaves += (block->n_nodes + 1u) / 2;
    #endif
    return (const uint16_t *)(const void *)leaves;
}

static const uint16_t *jumps_of(const block_t *block) {
    return (const uint16_t *)(const void *)behind(block) - (N_EXITS - block->first_jump);
}

// Exits below this are whole votes for the class of that number.
static inline uint32_t direct_classes(const forest_t *forest) {
    #if FOREST_LEAVES == FOREST_VALUES
    (void)forest;
    return 0;
    #elif FOREST_LEAVES == FOREST_WIDE
    return forest->n_outputs <= N_EXITS / 2 ? forest->n_outputs : 0;
    #else
    return forest->n_outputs;
    #endif
}

// ---- Run

#if defined(__ARM_ARCH_6M__)

#include "kernels/forest_armv6m.h"

#else

static int32_t goes_right(const block_t *block, uint32_t index, const uint8_t *x) {
    const uint32_t *at = block->nodes + index * NODE_WORDS;
    uint32_t node = *at;
    x += node & FEATURE_MASK;
    #if FOREST_DTYPE == FOREST_U8
    return *x > node >> 24;
    #elif FOREST_DTYPE == FOREST_I8
    return (int8_t)*x > (int32_t)node >> 24;
    #elif FOREST_DTYPE == FOREST_I16
    const int16_t *thresholds = (const int16_t *)(const void *)(block->nodes + block->n_nodes);
    return *(const int16_t *)(const void *)x > thresholds[index];
    #else
    int32_t key = *(const int32_t *)(const void *)x;
    #if FOREST_DTYPE == FOREST_F32
    // The bits of a float order like an integer once those of negative numbers are turned over.
    key ^= (int32_t)((uint32_t)(key >> 31) >> 1);
    #endif
    return key > (int32_t)at[1];
    #endif
}

// From the first node of a block to the number of an exit.
static uint32_t walk(const block_t *block, const uint8_t *x) {
    uint32_t child = 0;
    do {
        uint32_t shift = RIGHT_SHIFT + (goes_right(block, child, x) ? 0 : 8);
        child = (block->nodes[child * NODE_WORDS] >> shift) & 0xff;
    } while (child < EXIT);
    return child & (N_EXITS - 1);
}

#if FOREST_LEAVES == FOREST_VALUES

static sum_t *add_leaf(
    const forest_t *forest, const block_t *block, uint32_t index, sum_t *sums) {
    (void)forest;
    *sums += ((const uint32_t *)(const void *)leaves_of(block))[index];
    return sums + 1;
}

#elif FOREST_LEAVES == FOREST_WIDE

// A record has two entries for each class: its number (with LAST_CLASS in the last) and weight.
static sum_t *add_leaf(
    const forest_t *forest, const block_t *block, uint32_t index, sum_t *sums) {
    (void)forest;
    const uint16_t *record = leaves_of(block) + index;
    uint32_t class;
    do {
        class = *record++;
        sums[class & ~LAST_CLASS] += *record++;
    } while (class < LAST_CLASS);
    return sums;
}

#else

// A record of k classes has k - 1 entries: next class << 12 | class << 8 | weight, or its index.
// In all but the last, the next class is the class itself; in the last, it gets what is left.
static sum_t *add_leaf(
    const forest_t *forest, const block_t *block, uint32_t index, sum_t *sums) {
    const uint16_t *record = leaves_of(block) + index;
    uint32_t rest = forest->full_weight;
    uint32_t class;
    uint32_t next;
    do {
        uint32_t weight = *record & 0xffu;
        #if FOREST_LEAVES == FOREST_TABLE
        weight = weights_of(forest)[weight];
        #endif
        class = (*record >> 8) & 15u;
        next = *record++ >> 12;
        sums[class] = (sum_t)(sums[class] + weight);
        rest -= weight;
    } while (class == next);
    sums[next] = (sum_t)(sums[next] + rest);
    return sums;
}

#endif

// direct is direct_classes() or, for VALUES, the end of the sums.
static void add_trees(
    const forest_t *forest, const uint8_t *x, sum_t *sums, uintptr_t direct) {
    const uint16_t *end = weights_of(forest);
    for (uint32_t i = 0; i < forest->n_outputs; i++) {
        sums[i] = 0;
    }
    #if FOREST_LEAVES == FOREST_VALUES
    sum_t *first = sums;
    #else
    (void)direct;
    #endif
    for (const uint16_t *root = forest->roots; root != end; root++) {
        const block_t *block = block_at(forest, *root);
        uint32_t exit = walk(block, x);
        while (exit >= direct_classes(forest) && exit >= block->first_jump) {
            block = block_at(forest, jumps_of(block)[exit - block->first_jump]);
            exit = walk(block, x);
        }
        if (exit < direct_classes(forest)) {
            sums[exit] = (sum_t)(sums[exit] + forest->full_weight);
        } else {
            sums = add_leaf(forest, block, exit - direct_classes(forest), sums);
        }
        #if FOREST_LEAVES == FOREST_VALUES
        sums = (uintptr_t)sums == direct ? first : sums;
        #endif
    }
}

#endif

static void run(const wb_call_t *call) {
    const forest_t *forest = forest_of(call);
    sum_t *sums = (sum_t *)(void *)call->operand[1].data;
    #if FOREST_LEAVES == FOREST_VALUES
    uintptr_t direct = (uintptr_t)(sums + forest->n_outputs);
    #else
    uintptr_t direct = direct_classes(forest);
    #endif
    add_trees(forest, call->operand[0].data, sums, direct);
}

// ---- Checks

#if FOREST_LEAVES == FOREST_VALUES

static int32_t leaf_is_sound(const forest_t *forest, const block_t *block, uint32_t index) {
    (void)forest;
    return leaves_of(block) + 2 * (index + 1) <= jumps_of(block);
}

#elif FOREST_LEAVES == FOREST_WIDE

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
    #if FOREST_LEAVES == FOREST_TABLE
    uint32_t weights = forest->n_weights;
    #else
    uint32_t weights = 128;
    #endif
    const uint16_t *end = jumps_of(block);
    for (const uint16_t *record = leaves_of(block) + index; record < end; record++) {
        uint32_t class = (*record >> 8) & 15u;
        uint32_t next = *record >> 12;
        if (class >= forest->n_outputs || next >= forest->n_outputs ||
            (*record & 0xffu) >= weights) {
            return 0;
        }
        if (class != next) {
            return 1;
        }
    }
    return 0;
}

#endif

// Another block starts at position, behind block.
static int32_t is_block_behind(
    const forest_t *forest, const block_t *block, uint32_t position) {
    const block_t *target = block_at(forest, position);
    if (position >= forest->end || target <= block) {
        return 0;
    }
    while (block < target && block->words != 0) {
        block = behind(block);
    }
    return block == target;
}

static int32_t child_is_sound(
    const forest_t *forest, const block_t *block, uint32_t index, uint32_t child) {
    if (child < EXIT) {
        return child > index && child < block->n_nodes;
    }
    uint32_t exit = child - EXIT;
    uint32_t direct = direct_classes(forest);
    if (exit < direct) {
        return 1;
    }
    if (exit >= block->first_jump) {
        return is_block_behind(forest, block, jumps_of(block)[exit - block->first_jump]);
    }
    return leaf_is_sound(forest, block, exit - direct);
}

static int32_t node_is_sound(const forest_t *forest, const block_t *block, uint32_t index) {
    uint32_t node = block->nodes[index * NODE_WORDS];
    uint32_t offset = node & FEATURE_MASK;
    return (offset & ((1u << ITEM_SHIFT) - 1)) == 0 &&
        offset >> ITEM_SHIFT < forest->n_features &&
        child_is_sound(forest, block, index, (node >> RIGHT_SHIFT) & 0xff) &&
        child_is_sound(forest, block, index, (node >> (RIGHT_SHIFT + 8)) & 0xff);
}

static int32_t block_is_sound(const forest_t *forest, const block_t *block) {
    uint32_t n_nodes = block->n_nodes;
    if (n_nodes - 1 >= N_EXITS || block->first_jump > N_EXITS ||
        behind(block) > block_at(forest, forest->end) || leaves_of(block) > jumps_of(block)) {
        return 0;
    }
    for (uint32_t i = 0; i < n_nodes; i++) {
        if (!node_is_sound(forest, block, i)) {
            return 0;
        }
    }
    return 1;
}

// All blocks from position on are sound, and the roots are some of them.
static int32_t blocks_are_sound(const forest_t *forest, uint32_t position) {
    const uint16_t *root = forest->roots;
    while (position < forest->end) {
        const block_t *block = block_at(forest, position);
        if (!block_is_sound(forest, block)) {
            return 0;
        }
        if (root != weights_of(forest) && *root == position) {
            root++;
        }
        position += block->words;
    }
    return root == weights_of(forest);
}

static int32_t operands_are_sound(const wb_call_t *call, const forest_t *forest) {
    const wb_operand_t *x = &call->operand[0];
    const wb_operand_t *sums = &call->operand[1];
    return call->n_inputs == 1 && call->n_operands == 2 && x->typecode == TYPECODE &&
        x->size == (uint32_t)forest->n_features << ITEM_SHIFT && x->size <= MAX_OFFSET &&
        sums->typecode == SUM_TYPECODE && sums->size == forest->n_outputs * sizeof(sum_t) &&
        forest->n_outputs - 1u < MAX_OUTPUTS;
}

WB_COLD static int32_t check(const wb_call_t *call) {
    const forest_t *forest = forest_of(call);
    if (call->params_size < sizeof(forest_t) || call->params_size != forest->end * 4u) {
        return WB_BAD_PARAMS;
    }
    uint32_t tables = (uint32_t)sizeof(forest_t) / 2 + forest->n_trees + forest->n_weights;
    if (!operands_are_sound(call, forest)) {
        return WB_BAD_OPERANDS;
    }
    tables = (tables + 1) / 2;
    return tables <= forest->end && blocks_are_sound(forest, tables) ? WB_OK : WB_BAD_PARAMS;
}

WB_KERNEL int32_t wb_kernel(const wb_call_t *call) {
    if (call->phase == WB_CHECK) {
        return check(call);
    }
    run(call);
    return WB_OK;
}
