/* An unexpected exception is reported in one line, then QEMU ends. Takes the place of the port's
 * own file. `wingbeat.targets.qemu` reads the line. */
#include <stdint.h>
#include <stdlib.h>

#include "py/mpprint.h"
#include "py/runtime.h"

/* From the linker script. */
extern uint32_t _srom;

#define PMP_NAPOT_LOCKED_READ_EXECUTE (0x9du)

typedef struct {
    uint32_t a0, a1, a2, a3, ra, sp;
} registers_t;

static const char *const names[16] = {
    "InstructionMisaligned", "InstructionAccess", "IllegalInstruction", "Breakpoint",
    "LoadMisaligned", "LoadAccess", "StoreMisaligned", "StoreAccess",
    "EnvironmentCall", "EnvironmentCall", "Reserved", "EnvironmentCall",
    "InstructionPage", "LoadPage", "Reserved", "StorePage",
};

#define READ_CSR(name) \
    ({ uint32_t value; __asm volatile ("csrr %0, " #name : "=r" (value)); value; })

__attribute__((used)) static NORETURN void report(const registers_t *saved) {
    uint32_t cause = READ_CSR(mcause);
    mp_printf(&mp_plat_print, "\r\nwingbeat fault: %s (0x%08x)", names[cause & 15],
        (unsigned)READ_CSR(mtval));
    mp_printf(&mp_plat_print,
        " at pc 0x%08x, lr 0x%08x, sp %08x a0 %08x a1 %08x a2 %08x a3 %08x\r\n",
        (unsigned)READ_CSR(mepc), (unsigned)saved->ra, (unsigned)saved->sp, (unsigned)saved->a0,
        (unsigned)saved->a1, (unsigned)saved->a2, (unsigned)saved->a3);
    exit(1);
}

/* The stack may be what is broken. */
__attribute__((used)) static uint32_t report_stack[256] __attribute__((aligned(16)));

__attribute__((naked, aligned(4))) static void on_exception(void) {
    __asm volatile (
        "csrw mscratch, sp\n"
        "la sp, report_stack + 992\n"
        "sw a0, 0(sp)\n sw a1, 4(sp)\n sw a2, 8(sp)\n sw a3, 12(sp)\n sw ra, 16(sp)\n"
        "csrr a0, mscratch\n sw a0, 20(sp)\n"
        "mv a0, sp\n j report");
}

/* The name that the port's startup.c calls. The lock makes the rule hold for machine mode. */
void set_interrupt_table(void) {
    uint32_t first_8_mb = ((uint32_t)&_srom >> 2) | ((8u << 20 >> 3) - 1);
    __asm volatile (
        "csrw mie, zero\n"
        "csrw mtvec, %0\n"
        "csrw pmpaddr0, %1\n"
        "csrw pmpcfg0, %2\n"
        : : "r" (on_exception), "r" (first_8_mb), "r" (PMP_NAPOT_LOCKED_READ_EXECUTE) : "memory");
}
