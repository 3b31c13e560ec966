/* An unexpected processor exception is reported in one line, then QEMU ends. Takes the place of
 * the port's own file, which waits forever. `wingbeat.targets.qemu` reads the line. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "py/runtime.h"

#if defined(__ARM_ARCH_ISA_THUMB)

/* What the processor pushes on the stack when it takes an exception. */
typedef struct {
    uint32_t r0, r1, r2, r3, r12, lr, pc, xpsr;
} exception_frame_t;

__attribute__((used)) static NORETURN void report(const exception_frame_t *frame, uint32_t number) {
    printf("\r\nwingbeat fault: exception %u pc %08x lr %08x r0 %08x r1 %08x r2 %08x r3 %08x\r\n",
        (unsigned)number, (unsigned)frame->pc, (unsigned)frame->lr, (unsigned)frame->r0,
        (unsigned)frame->r1, (unsigned)frame->r2, (unsigned)frame->r3);
    exit(1);
}

#define HANDLER(name) \
    __attribute__((naked)) NORETURN void name(void) { \
        __asm volatile ("mov r0, sp\n mrs r1, ipsr\n ldr r2, =report\n bx r2\n .ltorg"); \
    }

HANDLER(NMI_Handler)
HANDLER(HardFault_Handler)
HANDLER(MemManage_Handler)
HANDLER(BusFault_Handler)
HANDLER(UsageFault_Handler)
HANDLER(SVC_Handler)
HANDLER(DebugMon_Handler)
HANDLER(PendSV_Handler)
HANDLER(SysTick_Handler)

#endif
