/* With -icount, QEMU's cycle counter is the machine's time in ns, and it moves by whole
 * instructions. */
#include "machine.h"

static uint32_t read_low(void) {
    uint32_t low;
    __asm volatile ("csrr %0, mcycle" : "=r" (low));
    return low;
}

static uint32_t read_high(void) {
    uint32_t high;
    __asm volatile ("csrr %0, mcycleh" : "=r" (high));
    return high;
}

uint64_t machine_time_ns(void) {
    uint32_t high;
    uint32_t low;
    do {
        high = read_high();
        low = read_low();
    } while (high != read_high());
    return (uint64_t)high << 32 | low;
}

uint64_t machine_instructions(void) {
    return machine_time_ns() / NS_PER_INSTRUCTION;
}
