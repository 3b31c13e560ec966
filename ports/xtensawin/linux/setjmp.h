// As start.S has them: newlib's header does not know Xtensa.
#pragma once

// The caller's a0 to a3 as spilled, and the return address.
typedef unsigned jmp_buf[5];

int setjmp(jmp_buf state);
_Noreturn void longjmp(jmp_buf state, int value);
