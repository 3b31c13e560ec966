/* An unexpected processor exception is reported in one line, then QEMU ends. Takes the place of
 * the port's own file, which waits forever. `wingbeat.targets.qemu` reads the line. */
#include <stdint.h>
#include <stdlib.h>

#include "py/mpprint.h"
#include "py/runtime.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

/* From the linker script. */
extern uint32_t _sstack, _estack;

/* What the processor pushes on the stack when it takes an exception. */
typedef struct {
    uint32_t r0, r1, r2, r3, r12, lr, pc, xpsr;
} exception_frame_t;

static const char *const names[16] = {
    [2] = "NMI", "HardFault", "MemManage", "BusFault", "UsageFault", [11] = "SVC", "DebugMonitor",
    [14] = "PendSV", "SysTick",
};

#if __ARM_ARCH >= 7

#define CFSR REGISTER(0xe000ed28)
#define MMFAR REGISTER(0xe000ed34)
#define BFAR REGISTER(0xe000ed38)
#define CFSR_MMFAR_VALID (1u << 7)
#define CFSR_BFAR_VALID (1u << 15)

static const char *cause(void) {
    static const struct {
        uint32_t bits;
        const char *text;
    } causes[] = {
        {1u << 4 | 1u << 12 | 1u << 20, "stack overflow"},
        {1u << 0 | 1u << 8, "no instructions there"},
        {1u << 1, "read-only"},
        {1u << 9 | 1u << 10, "nothing at that address"},
        {1u << 16, "unknown instruction"},
        {1u << 17, "not Thumb code"},
        {1u << 18, "bad exception return"},
        {1u << 19, "no coprocessor"},
        {1u << 24, "unaligned access"},
        {1u << 25, "division by zero"},
    };
    for (size_t i = 0; i < MP_ARRAY_SIZE(causes); i++) {
        if (CFSR & causes[i].bits) {
            return causes[i].text;
        }
    }
    return "no cause given";
}

static void report_cause(void) {
    mp_printf(&mp_plat_print, " (%s", cause());
    if (CFSR & CFSR_MMFAR_VALID) {
        mp_printf(&mp_plat_print, ", 0x%08x", (unsigned)MMFAR);
    } else if (CFSR & CFSR_BFAR_VALID) {
        mp_printf(&mp_plat_print, ", 0x%08x", (unsigned)BFAR);
    }
    mp_printf(&mp_plat_print, ")");
}

#else

static void report_cause(void) {
}

#endif

__attribute__((used)) static NORETURN void report(const exception_frame_t *frame, uint32_t number) {
    mp_printf(&mp_plat_print, "\r\nwingbeat fault: %s", names[number & 15]);
    report_cause();
    if ((const uint32_t *)frame >= &_sstack && (const uint32_t *)(frame + 1) <= &_estack) {
        mp_printf(&mp_plat_print, " at pc 0x%08x, lr 0x%08x, r0 %08x r1 %08x r2 %08x r3 %08x",
            (unsigned)frame->pc, (unsigned)frame->lr, (unsigned)frame->r0, (unsigned)frame->r1,
            (unsigned)frame->r2, (unsigned)frame->r3);
    } else {
        mp_printf(&mp_plat_print, " with the stack pointer at 0x%08x", (unsigned)frame);
    }
    mp_printf(&mp_plat_print, "\r\n");
    exit(1);
}

/* The stack may be what is broken. */
__attribute__((used)) static uint64_t report_stack[128];

#define HANDLER(name) \
    __attribute__((naked)) NORETURN void name(void) { \
        __asm volatile ( \
            "mov r0, sp\n mrs r1, ipsr\n" \
            "ldr r2, =report_stack + 1024\n mov sp, r2\n" \
            "ldr r2, =report\n bx r2\n .ltorg"); \
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
