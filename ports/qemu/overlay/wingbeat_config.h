/* What Wingbeat changes in MicroPython's QEMU port. */
#include "mpconfigport.h"

#if defined(__ARM_ARCH_6M__)
/* The port leaves native code out on ARMv6-M; real boards with that core load it. */
#define MICROPY_EMIT_THUMB (1)
#define MICROPY_EMIT_THUMB_ARMV7M (0)
#define MICROPY_EMIT_INLINE_THUMB (0)
#endif

#undef MICROPY_PY_SYS_STDIO_BUFFER
#define MICROPY_PY_SYS_STDIO_BUFFER (1)
#undef MICROPY_PY_SELECT
#define MICROPY_PY_SELECT (1)
#undef MICROPY_PY_TIME
#define MICROPY_PY_TIME (1)
