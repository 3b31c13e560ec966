/* nRF51 TIMER0, the only one of 32 bits, at 8 MHz: at 16 MHz a tick is not a whole number of ns, and
 * QEMU would round at each reading. It wraps after 536 s; a longer gap between two readings is
 * lost. */
#include <stdbool.h>

#include "machine.h"

#define TICK_NS (125)
#define REGISTER(offset) (*(volatile uint32_t *)(0x40008000u + (offset)))
#define START REGISTER(0x000)
#define CAPTURE_0 REGISTER(0x040)
#define BITMODE REGISTER(0x508)
#define PRESCALER REGISTER(0x510)
#define CC_0 REGISTER(0x540)
#define BITMODE_32 (3)
#define PRESCALER_8MHZ (1)

uint64_t machine_time_ns(void) {
    static bool started;
    static uint32_t last;
    static uint64_t ticks;
    if (!started) {
        BITMODE = BITMODE_32;
        PRESCALER = PRESCALER_8MHZ;
        START = 1;
        started = true;
    }
    CAPTURE_0 = 1;
    uint32_t now = CC_0;
    ticks += now - last;
    last = now;
    return ticks * TICK_NS;
}

/* An instruction is longer than a tick, and QEMU rounds ticks down. */
uint64_t machine_instructions(void) {
    return (machine_time_ns() + NS_PER_INSTRUCTION - 1) / NS_PER_INSTRUCTION;
}
