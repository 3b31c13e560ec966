/* Console and clock of an emulated board. Takes the place of the port's own file. */
#include "py/mphal.h"
#include "py/stream.h"
#include "uart.h"

#define NO_CHAR (-1)

static int pending_char = NO_CHAR;

static int receive(void) {
    if (pending_char == NO_CHAR) {
        pending_char = uart_rx_chr();
    }
    return pending_char;
}

uintptr_t mp_hal_stdio_poll(uintptr_t poll_flags) {
    uintptr_t ready = poll_flags & MP_STREAM_POLL_WR;
    if ((poll_flags & MP_STREAM_POLL_RD) && receive() != NO_CHAR) {
        ready |= MP_STREAM_POLL_RD;
    }
    return ready;
}

int mp_hal_stdin_rx_chr(void) {
    while (receive() == NO_CHAR) {
    }
    int c = pending_char;
    pending_char = NO_CHAR;
    return c;
}

mp_uint_t mp_hal_stdout_tx_strn(const char *str, size_t len) {
    uart_tx_strn(str, len);
    return len;
}

#if defined(QEMU_SOC_NRF51)

/* nRF51 TIMER0, the only one of 32 bits, at 8 MHz: at 16 MHz a tick is not a whole number of ns, and
 * QEMU would round at each reading. It wraps after 536 s; a longer gap between two readings is
 * lost. */
#define TIMER_TICK_NS (125)
#define TIMER_REGISTER(offset) (*(volatile uint32_t *)(0x40008000u + (offset)))
#define TIMER_START TIMER_REGISTER(0x000)
#define TIMER_CAPTURE_0 TIMER_REGISTER(0x040)
#define TIMER_BITMODE TIMER_REGISTER(0x508)
#define TIMER_PRESCALER TIMER_REGISTER(0x510)
#define TIMER_CC_0 TIMER_REGISTER(0x540)
#define TIMER_BITMODE_32 (3)
#define TIMER_PRESCALER_8MHZ (1)

static uint64_t timer_ticks(void) {
    static bool started;
    static uint32_t last;
    static uint64_t ticks;
    if (!started) {
        TIMER_BITMODE = TIMER_BITMODE_32;
        TIMER_PRESCALER = TIMER_PRESCALER_8MHZ;
        TIMER_START = 1;
        started = true;
    }
    TIMER_CAPTURE_0 = 1;
    uint32_t now = TIMER_CC_0;
    ticks += now - last;
    last = now;
    return ticks;
}

#else
#error "no timer is known for this machine"
#endif

/* QEMU runs with `-icount shift=N`: one instruction lasts 2**N ns. */
#define NS_PER_INSTRUCTION (1u << WINGBEAT_ICOUNT_SHIFT)

static uint64_t time_ns(void) {
    return timer_ticks() * TIMER_TICK_NS;
}

/* Instructions executed: exact, since an instruction is longer than a tick of the timer. */
mp_uint_t mp_hal_ticks_cpu(void) {
    return (mp_uint_t)((time_ns() + NS_PER_INSTRUCTION - 1) / NS_PER_INSTRUCTION);
}

uint64_t mp_hal_time_ns(void) {
    return time_ns();
}

mp_uint_t mp_hal_ticks_us(void) {
    return (mp_uint_t)(time_ns() / 1000u);
}

mp_uint_t mp_hal_ticks_ms(void) {
    return (mp_uint_t)(time_ns() / 1000000u);
}

void mp_hal_delay_us(mp_uint_t us) {
    uint64_t end = time_ns() + (uint64_t)us * 1000u;
    while (time_ns() < end) {
    }
}

void mp_hal_delay_ms(mp_uint_t ms) {
    uint64_t end = time_ns() + (uint64_t)ms * 1000000u;
    while (time_ns() < end) {
    }
}
