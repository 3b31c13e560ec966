/* From reset to main(). Takes the place of the port's own file: it also switches the FPU on, and
 * makes the larger Cortex-M as strict as the smallest one. */
#include <stdint.h>
#include <stdlib.h>

#include "shared/runtime/semihosting_arm.h"
#include "uart.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

/* From the linker script. */
extern uint32_t _srom, _erom, _sguard, _sstack, _estack, _sidata, _sdata, _edata, _sbss,
    _ebss;

#if __ARM_ARCH >= 7

#define CCR REGISTER(0xe000ed14)
#define CCR_UNALIGN_TRP (1u << 3)
#define SHCSR REGISTER(0xe000ed24)
#define SHCSR_ENABLE_MEMORY_BUS_USAGE (7u << 16)
#define CPACR REGISTER(0xe000ed88)
#define CPACR_FPU (15u << 20)
#define MPU_CTRL REGISTER(0xe000ed94)
#define MPU_CTRL_ENABLE (1u << 0)
#define MPU_CTRL_BACKGROUND (1u << 2)
#define MPU_NUMBER REGISTER(0xe000ed98)
#define MPU_BASE REGISTER(0xe000ed9c)
#define MPU_LIMIT REGISTER(0xe000eda0) /* ARMv7-M: attributes and size */
#define MPU_MAIR0 REGISTER(0xe000edc0)

static void make_read_only(uint32_t number, uint32_t start, uint32_t end) {
    MPU_NUMBER = number;
    #if __ARM_ARCH >= 8
    MPU_BASE = start | 2u << 1;
    MPU_LIMIT = ((end - 1) & ~31u) | 1u;
    #else
    uint32_t log2_size = 31u - (uint32_t)__builtin_clz(end - start);
    MPU_BASE = start;
    MPU_LIMIT = 5u << 24 | 2u << 16 | (log2_size - 1) << 1 | 1u;
    #endif
}

static void set_up_processor(void) {
    #if defined(__ARM_FP)
    CPACR |= CPACR_FPU;
    #endif
    CCR |= CCR_UNALIGN_TRP;
    SHCSR |= SHCSR_ENABLE_MEMORY_BUS_USAGE;
    /* What stands for flash is RAM on these boards. */
    #if __ARM_ARCH >= 8
    MPU_MAIR0 = 0x44; /* normal memory, not cached */
    #endif
    make_read_only(0, (uint32_t)&_srom, (uint32_t)&_erom);
    make_read_only(1, WINGBEAT_ROM_ADDRESS, WINGBEAT_ROM_ADDRESS + WINGBEAT_ROM_SIZE);
    make_read_only(2, (uint32_t)&_sguard, (uint32_t)&_sstack);
    MPU_CTRL = MPU_CTRL_ENABLE | MPU_CTRL_BACKGROUND;
    __asm volatile ("dsb\n isb" ::: "memory");
}

#else

static void set_up_processor(void) {
}

#endif

void exit(int status) {
    mp_semihosting_exit(status);
    for (;;) {
    }
}

__attribute__((used)) static void start(void) {
    for (uint32_t *from = &_sidata, *to = &_sdata; to < &_edata;) {
        *to++ = *from++;
    }
    for (uint32_t *to = &_sbss; to < &_ebss;) {
        *to++ = 0;
    }
    set_up_processor();
    uart_init();
    extern int main(int argc, char **argv);
    exit(main(0, NULL));
}

__attribute__((naked)) void Reset_Handler(void) {
    __asm volatile ("ldr r0, =_estack\n mov sp, r0\n ldr r0, =start\n bx r0\n .ltorg");
}

void NMI_Handler(void);
void HardFault_Handler(void);
void MemManage_Handler(void);
void BusFault_Handler(void);
void UsageFault_Handler(void);
void SVC_Handler(void);
void DebugMon_Handler(void);
void PendSV_Handler(void);
void SysTick_Handler(void);

typedef void (*handler_t)(void);

__attribute__((used, section(".isr_vector"))) static const handler_t vectors[16] = {
    (handler_t)(void *)&_estack,
    Reset_Handler,
    NMI_Handler,
    HardFault_Handler,
    MemManage_Handler,
    BusFault_Handler,
    UsageFault_Handler,
    [11] = SVC_Handler,
    [12] = DebugMon_Handler,
    [14] = PendSV_Handler,
    [15] = SysTick_Handler,
};
