// Tells binutils which Xtensa core to assemble and link for: the variable XTENSA_GNU_CONFIG names
// this plug-in. The core is an ESP32's as far as plain integer code goes: little-endian, windowed
// registers, no cache or FPU options. QEMU's table of its core dc233c says how instructions are
// encoded; that core has what an ESP32 has, but for MULUH and MULSH.
//
// The two records and their fields are those that binutils 2.40 looks up by name.
#define EXPORTED __attribute__((visibility("default")))

#define xtensa_modules EXPORTED xtensa_modules
#include "target/xtensa/core-dc233c/xtensa-modules.c.inc"
#undef xtensa_modules

typedef struct {
    int big_endian, density, const16, abs, addx, l32r, absolute_literals, text_section_literals;
    int mac16, mul16, mul32, mul32_high, div32, nsa, minmax, sext, loops;
    int threadptr, release_sync, s32c1i, booleans;
    int fp, fp_div, fp_recip, fp_sqrt, fp_rsqrt, fp_postinc;
    int dfp, dfp_div, dfp_recip, dfp_sqrt, dfp_rsqrt;
    int windowed, n_registers, wide_branches, predicted_branches;
    int icache_size, dcache_size, icache_line, dcache_line, icache_line_bits, dcache_line_bits;
    int dcache_writes_back, mmu, mmu_smallest_page_bits;
    int debug, n_ibreak, n_dbreak, debug_level;
    int max_instruction_size, fetch_width;
    int abi, abi_windowed, abi_call0;
} config_v1_t;

typedef struct {
    int pipeline_stage, march_latest, march_earliest;
} config_v2_t;

EXPORTED const config_v1_t xtensa_config_v1 = {
    .density = 1,
    .abs = 1,
    .addx = 1,
    .l32r = 1,
    .text_section_literals = 1,
    .mul16 = 1,
    .mul32 = 1,
    .div32 = 1,
    .nsa = 1,
    .minmax = 1,
    .sext = 1,
    .loops = 1,
    .threadptr = 1,
    .release_sync = 1,
    .s32c1i = 1,
    .windowed = 1,
    .n_registers = 64,
    .icache_line = 16,
    .dcache_line = 16,
    .icache_line_bits = 4,
    .dcache_line_bits = 4,
    .mmu_smallest_page_bits = 1,
    .debug = 1,
    .n_ibreak = 2,
    .n_dbreak = 2,
    .debug_level = 6,
    .max_instruction_size = 3,
    .fetch_width = 4,
    .abi_call0 = 1, // of the numbers 0 and 1; .abi is the windowed one
};

EXPORTED const config_v2_t xtensa_config_v2 = {
    .pipeline_stage = 3,
    .march_latest = 260003, // LX6
    .march_earliest = 260003,
};
