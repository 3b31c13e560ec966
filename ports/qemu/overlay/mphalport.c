/* Console and clock of an emulated board. Takes the place of the port's own file. */
#include "machine.h"
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

mp_uint_t mp_hal_ticks_cpu(void) {
    return (mp_uint_t)machine_instructions();
}

uint64_t mp_hal_time_ns(void) {
    return machine_time_ns();
}

mp_uint_t mp_hal_ticks_us(void) {
    return (mp_uint_t)(machine_time_ns() / 1000u);
}

mp_uint_t mp_hal_ticks_ms(void) {
    return (mp_uint_t)(machine_time_ns() / 1000000u);
}

void mp_hal_delay_us(mp_uint_t us) {
    uint64_t end = machine_time_ns() + (uint64_t)us * 1000u;
    while (machine_time_ns() < end) {
    }
}

void mp_hal_delay_ms(mp_uint_t ms) {
    uint64_t end = machine_time_ns() + (uint64_t)ms * 1000000u;
    while (machine_time_ns() < end) {
    }
}
