/* Serial port and timer of the MPS2 boards. The timer counts down in 32 bits from the first call
 * on, and starts anew after 171 s or more; a longer gap between two readings is lost. */
#include <stdbool.h>

#include "machine.h"
#include "uart.h"

#define REGISTER(base, offset) (*(volatile uint32_t *)((base) + (offset)))
#define UART_DATA REGISTER(CMSDK_UART, 0x00)
#define UART_STATE REGISTER(CMSDK_UART, 0x04)
#define UART_CTRL REGISTER(CMSDK_UART, 0x08)
#define UART_BAUDDIV REGISTER(CMSDK_UART, 0x10)
#define UART_TX_FULL (1u << 0)
#define UART_RX_FULL (1u << 1)
#define UART_ENABLE (3u)
#define UART_SMALLEST_DIVIDER (16)
#define TIMER_CTRL REGISTER(CMSDK_TIMER, 0x00)
#define TIMER_VALUE REGISTER(CMSDK_TIMER, 0x04)
#define TIMER_RELOAD REGISTER(CMSDK_TIMER, 0x08)
#define TIMER_ENABLE (1u)

void uart_init(void) {
    UART_BAUDDIV = UART_SMALLEST_DIVIDER;
    UART_CTRL = UART_ENABLE;
}

int uart_rx_chr(void) {
    return UART_STATE & UART_RX_FULL ? (int)UART_DATA : UART_RX_NO_CHAR;
}

void uart_tx_strn(const char *text, size_t length) {
    for (const char *end = text + length; text != end; text++) {
        while (UART_STATE & UART_TX_FULL) {
        }
        UART_DATA = (uint8_t)*text;
    }
}

uint64_t machine_time_ns(void) {
    static bool started;
    static uint32_t last = UINT32_MAX;
    static uint64_t ticks;
    if (!started) {
        TIMER_RELOAD = UINT32_MAX;
        TIMER_VALUE = UINT32_MAX;
        TIMER_CTRL = TIMER_ENABLE;
        started = true;
    }
    uint32_t now = TIMER_VALUE;
    ticks += last - now;
    last = now;
    return ticks * CMSDK_TICK_NS;
}

/* An instruction is longer than a tick, and QEMU rounds what is left down. */
uint64_t machine_instructions(void) {
    return machine_time_ns() / NS_PER_INSTRUCTION;
}
