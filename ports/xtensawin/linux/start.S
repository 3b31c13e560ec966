// The entry of the program, calls of the Linux kernel, and what needs to know of register windows.
// Windowed ABI: the frames of the last callers are in registers only, until others need these.

    .text

// The kernel starts a program with the stack pointer in a1, on which argc lies.
    .align 4
    .global _start
_start:
    movi a0, 0
    mov a6, a1
    call4 1f
    .align 4
1:  entry a1, 64
    mov a10, a2
    call8 port_main
2:  j 2b

// int linux_call(int number, a, b, c, d, e). The kernel wants a2, a6, a3, a4, a5, a8, a9.
    .align 4
    .global linux_call
linux_call:
    entry a1, 32
    mov a10, a3
    mov a3, a4
    mov a4, a5
    mov a5, a6
    mov a6, a10
    mov a8, a7
    movi a9, 0
    syscall
    retw

// void spill_windows(void): writes all registers of the callers to the stack, by a chain of calls
// that needs all 64 of them, 8 for each call.
    .set CHAIN, 64 / 8
    .align 4
    .global spill_windows
spill_windows:
    entry a1, 32
    movi a10, CHAIN
    call8 1f
    retw
    .align 4
1:  entry a1, 32
    beqz a2, 2f
    addi a10, a2, -1
    call8 1b
2:  retw

// The caller's a0 to a3 lie below a callee's stack pointer once they are spilled. setjmp keeps
// them, and where it returns to; its caller's other registers stay where they are spilled, since
// the caller's frame is alive when longjmp is called.
    .set KEPT, 16

    .align 4
    .global setjmp
setjmp:
    entry a1, 48
    call8 spill_windows
    .irp offset, 0, 4, 8, 12
    addi a3, a1, -KEPT
    l32i a4, a3, \offset
    s32i a4, a2, \offset
    .endr
    s32i a0, a2, KEPT
    movi a2, 0
    retw

// Returns in place of setjmp: no frame but this one is in registers, so that retw takes the
// caller's from below this stack pointer.
    .align 4
    .global longjmp
longjmp:
    entry a1, 48
    call8 spill_windows
    .irp offset, 0, 4, 8, 12
    addi a4, a1, -KEPT
    l32i a5, a2, \offset
    s32i a5, a4, \offset
    .endr
    l32i a0, a2, KEPT
    movi a2, 1
    movnez a2, a3, a3
    retw
