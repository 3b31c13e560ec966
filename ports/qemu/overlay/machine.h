/* What each emulated board has for the rest of the port. */
#ifndef WINGBEAT_MACHINE_H
#define WINGBEAT_MACHINE_H

#include <stdint.h>

/* QEMU runs with `-icount shift=N`: one instruction lasts 2**N ns. */
#define NS_PER_INSTRUCTION (1u << WINGBEAT_ICOUNT_SHIFT)

/* Time since the first call, in ns; less than NS_PER_INSTRUCTION behind or ahead of the machine's. */
uint64_t machine_time_ns(void);

/* Instructions executed since the first call; differences between two calls are exact. */
uint64_t machine_instructions(void);

#endif
